/* Prints what number_cases.h's cases give for the seeds of the command line: a line "seed SEED", then a line
 * "NAME exact|near HEX" a case. compare_numbers.py runs it. */
#include "support/number_cases.h"

#include <facula.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

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

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        uint64_t seed = strtoull(argv[i], NULL, 10);
        printf("seed %" PRIu64 "\n", seed);
        run_number_cases(seed, print, stdout);
    }
    return fa_ok() ? 0 : 1;
}
