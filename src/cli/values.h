/* What `inspect` and `convert` share: files told apart, and text from files made fit for a terminal. */
#ifndef FACULA_CLI_VALUES_H
#define FACULA_CLI_VALUES_H

#include "cli.h"

/* What kind of file it is, by its first bytes: "PyTorch (zip)". */
const char *file_format(const char *path);
/* Its size; -1 if it cannot be told. */
long long file_bytes(const char *path);

/* Text that grows. Without memory the command ends. */
typedef struct line {
    char *text;
    size_t length, capacity;
    bool cut; /* line_add_value left something out */
} line;
void line_add(line *l, const char *format, ...) FA_PRINTF_(2, 3);
/* Text from a file: control characters and what is not UTF-8 are written as \xNN. */
void line_add_clean(line *l, const char *text, size_t length);
/* The same for JSON, which has control characters. */
void line_add_utf8(line *l, const char *text, size_t length);
/* Columns that a text takes, near enough: characters. */
int line_columns(const line *l);
void line_free(line *l);

/* "1.5 KiB" */
void line_add_bytes(line *l, long long bytes);
/* "1,234,567" */
void line_add_count(line *l, long long count);
/* "[32, 1, 3, 3]" */
void line_add_shape(line *l, const fa_shape *shape);
/* A number as Python's repr has it: 0.1, 3.0, 1e-05. */
void line_add_number(line *l, double x);
/* A plain value on one line: 3, 0.5, 'text', (0.9, 0.999); containers are cut short after `most` columns. False (and
 * nothing added) if it holds a tensor or an object. */
bool line_add_value(line *l, fa_value *value, size_t most);

#endif
