/* Runs of the programs of examples/lesson/, built with lesson/trace.h, against golden/lesson.json. */
#ifndef FA_TESTS_LESSON_RUN_H
#define FA_TESTS_LESSON_RUN_H

#include "support/golden.h"
#include "support/tempdir.h"

/* golden/lesson.json, opened and closed around a group of tests. */
int lesson_open(void **state);
int lesson_close(void **state);
/* Its entry of a program. */
const cJSON *lesson_entry(const char *program);

/* The file of a program. */
const char *lesson_path(const char *program);
/* Runs a program in the folder, which gets the data under data/ if it has none. The test fails unless it ends with 0.
 */
void lesson_run(const tempdir *folder, const char *program);
/* What the latest program wrote, to be freed. */
char *lesson_output(const tempdir *folder);

/* Lines of the trace that begin with a word, without it. */
typedef struct lesson_lines {
    char *text; /* owned */
    const char **line;
    int count;
} lesson_lines;
lesson_lines lesson_trace(const tempdir *folder, const char *word);
void lesson_lines_free(lesson_lines *lines);

/* Compares the latest run with the golden entry of the program: text and shapes exactly, decimal numbers within what
 * was printed; data, order and initial weights bit for bit; the first `held` losses within `tolerance` of PyTorch's,
 * relatively, and the last loss between half and twice PyTorch's. */
void lesson_compare(const tempdir *folder, const char *program, int held, double tolerance);

#endif
