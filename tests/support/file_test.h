/* What tests of files share: a folder of the test's own, errors, PyTorch's files, one reader by itself. */
#ifndef FA_TESTS_FILE_TEST_H
#define FA_TESTS_FILE_TEST_H

#include "support/facula_test.h"

#include "facula.h"
#include "files/formats.h"
#include "support/tempdir.h"

/* Set up and torn down by these, as the group's first and last. */
extern tempdir folder;
int make_folder(void **state);
int remove_folder(void **state);

/* The end of a test: nothing of it is left, also where it ended in an error. */
int nothing_left(void **state);

void assert_fine(void);
/* The message of the latest error, which is then cleared; the test fails when there is none. */
const char *error_text(void);

/* The path of tests/golden/pth/NAME.pth, or of NAME there where it has an ending. */
const char *golden_pth(const char *name);
/* What one format's reader gives for a file. */
fa_value *load_with(fa_value *(*read)(const fa_open_file *file), const char *path, bool mmap);

#endif
