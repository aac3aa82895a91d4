/* Everything that depends on a seed, as one list of cases: tests/ops/test_numbers.c compares them with golden values,
 * tests/torch/compare_numbers.py with PyTorch itself. tests/golden/make_numbers.py has the same cases in PyTorch's
 * words.
 */
#ifndef FA_TESTS_NUMBER_CASES_H
#define FA_TESTS_NUMBER_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes what a case gave: bytes that must be PyTorch's, or (`exact` false) floats within 1e-6 of them. */
typedef void (*take_numbers)(void *context, const char *name, bool exact, const void *bytes, size_t size);

/* Runs all cases with a seed, from which also sizes and options are worked out. */
void run_number_cases(uint64_t seed, take_numbers take, void *context);
int count_number_cases(void);

#endif
