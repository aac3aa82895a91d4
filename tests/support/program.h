/* Small programs of eager calls, a word of text after the other, for comparing whole programs with PyTorch: tests/torch
 * makes them at random, tests/golden/programs.json keeps some. */
#ifndef FA_TESTS_PROGRAM_H
#define FA_TESTS_PROGRAM_H

#include <stdbool.h>
#include <stdio.h>

/* Runs a program. Tensors are numbered; "new 3 2 4 5 17 1" makes number 3 of 2 dimensions, 4 x 5, drawn from seed 17,
 * which requires a gradient. What it prints goes to `out`, a line each: "P 3 numbers" the elements of 3, "G 3 numbers"
 * (or NULL) its gradient, "R 3 1" that it requires one, "ERROR message" the end. */
void program_run(const char *text, FILE *out);

#endif
