/* Prints what number_cases.h's cases give for the seeds of the command line: a line "seed SEED", then a line
 * "NAME exact|near HEX" a case. With the words "permutation SEED N" it prints the first and last numbers of a large
 * permutation, the sum of i * p[i] modulo 2^64, and a word drawn afterwards. compare_numbers.py runs it. */
#include "support/number_cases.h"

#include <facula.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRINTED = 100 };

static void print(void *context, const char *name, bool exact, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    FILE *file = context;
    fprintf(file, "%s %s ", name, exact ? "exact" : "near");
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = ((const unsigned char *)bytes)[i];
        putc(digits[byte >> 4], file);
        putc(digits[byte & 15], file);
    }
    putc('\n', file);
}

static void print_permutation(uint64_t seed, int64_t n)
{
    fa_manual_seed(seed);
    fa_scope {
        const int64_t *p = fa_data(fa_randperm(n));
        uint64_t sum = 0;
        for (int64_t i = 0; p != NULL && i < n; i++)
            sum += (uint64_t)i * (uint64_t)p[i];
        for (int64_t i = 0; p != NULL && i < 2 * PRINTED; i++)
            printf("%" PRId64 " ", p[i < PRINTED ? i : n - 2 * PRINTED + i]);
        const int64_t *word = fa_data(fa_randint(0, INT64_MAX, FA_SHAPE(1)));
        printf("%" PRIu64 " %" PRId64 "\n", sum, word != NULL ? *word : -1);
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "permutation") == 0) {
        print_permutation(strtoull(argv[2], NULL, 10), strtoll(argv[3], NULL, 10));
        return fa_ok() ? 0 : 1;
    }
    for (int i = 1; i < argc; i++) {
        uint64_t seed = strtoull(argv[i], NULL, 10);
        printf("seed %" PRIu64 "\n", seed);
        run_number_cases(seed, print, stdout);
    }
    return fa_ok() ? 0 : 1;
}
