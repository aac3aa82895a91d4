/* Mistakes that PyTorch refuses too (golden/STEM.json, by make_errors.py): each program is run with its mistake, which
 * must give a message with its file and the very line, the op, the layer's path where a module runs, what was got, what
 * was needed and a hint; and mended, which must run. */
#ifndef FA_TESTS_MISTAKES_H
#define FA_TESTS_MISTAKES_H

#include "facula_test.h"

#include "facula/functional.h"

/* A program with a mistake (wrong) or without. `AT` marks the call that is to be blamed. */
typedef void (*program)(bool wrong);
extern int blamed_line;
#define AT(call) (blamed_line = __LINE__, (call))
#define PROGRAM(name) static void name(bool wrong)

typedef struct mistake {
    const char *name; /* in STEM.json */
    program run;
    const char *op, *path, *got, *need; /* parts of the message; NULL: none is asked for */
} mistake;

/* A test for each, and one that the list is that of tests/golden/STEM.json. For main to return. */
int mistakes_run(const char *stem, const char *path, const mistake *mistakes, int count);
#define RUN_MISTAKES(stem, table) mistakes_run((stem), __FILE__, (table), (int)(sizeof(table) / sizeof *(table)))

#endif
