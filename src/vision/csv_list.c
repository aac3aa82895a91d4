/* Reading a list of path,label: RFC 4180 (fields in quotes hold commas, line feeds and doubled quotes), lines that end
 * with LF, CR LF or CR, a byte order mark, and semicolons or tabs instead of commas where the first line has no comma.
 */
#include "vision/csv_list.h"

#include <string.h>
#include <strings.h>

enum { MOST_COLUMNS = 1024 };

typedef struct parser {
    const fa_csv_rules *rules;
    char *at, *end;
    int64_t line;
    char separator;
    /* the row that was read last */
    char *field[MOST_COLUMNS];
    int count;
    int64_t first_line; /* of the row */
} parser;

static bool refuse(const parser *p, int64_t line, const char *text)
{
    return fa_fail(FA_FILE_ERROR, p->rules->where, p->rules->what, "%s, line %lld: %s.", p->rules->path,
                   (long long)line, text);
}

/* ---- One row ----------------------------------------------------------------------------------------------------- */

/* Goes over a line's end, if there is one here. */
static bool end_line(parser *p)
{
    if (p->at == p->end)
        return true;
    if (*p->at != '\n' && *p->at != '\r')
        return false;
    p->at += p->at[0] == '\r' && p->at + 1 < p->end && p->at[1] == '\n' ? 2 : 1;
    p->line++;
    return true;
}

/* The text of a field in quotes moves to its beginning, quotes undone. */
static bool quoted_field(parser *p, char *from, char **last)
{
    int64_t line = p->line;
    char *to = from;
    for (p->at++; p->at < p->end; *to++ = *p->at++) {
        if (*p->at == '"' && (p->at + 1 == p->end || p->at[1] != '"'))
            break;
        if (*p->at == '"')
            p->at++;
        else if (*p->at == '\n')
            p->line++;
    }
    if (p->at == p->end)
        return refuse(p, line, "a field begins with a quote that nothing closes");
    p->at++;
    *last = to;
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t') && *p->at != p->separator)
        p->at++;
    return p->at == p->end || *p->at == p->separator || *p->at == '\n' || *p->at == '\r' ||
           refuse(p, p->line, "a field goes on behind its closing quote");
}

static bool plain_field(parser *p, char **from, char **last)
{
    while (p->at < p->end && *p->at != p->separator && *p->at != '\n' && *p->at != '\r')
        p->at++;
    *last = p->at;
    while (*last > *from && ((*last)[-1] == ' ' || (*last)[-1] == '\t'))
        --*last;
    return true;
}

/* Reads a row; its fields end with a 0. Blank lines are passed over; count 0 at the end. */
static bool read_row(parser *p)
{
    p->count = 0;
    while (p->at < p->end && (*p->at == '\n' || *p->at == '\r'))
        end_line(p);
    p->first_line = p->line;
    while (p->at < p->end) {
        while (p->at < p->end && (*p->at == ' ' || *p->at == '\t') && *p->at != p->separator)
            p->at++;
        char *from = p->at, *last = p->at;
        if (p->count == MOST_COLUMNS)
            return refuse(p, p->line, "more than 1024 fields");
        if (!(p->at < p->end && *p->at == '"' ? quoted_field(p, from, &last) : plain_field(p, &from, &last)))
            return false;
        if (memchr(from, 0, (size_t)(last - from)) != NULL)
            return refuse(p, p->line, "a zero byte, which no text has");
        p->field[p->count++] = from;
        bool more = p->at < p->end && *p->at == p->separator;
        if (more)
            p->at++;
        else
            end_line(p);
        *last = 0; /* what ended the field has been read */
        if (!more)
            break;
        if (p->at == p->end) { /* a separator is the last byte: an empty field behind it */
            if (p->count == MOST_COLUMNS)
                return refuse(p, p->line, "more than 1024 fields");
            p->field[p->count++] = p->end;
        }
    }
    return true;
}

/* ---- Columns ----------------------------------------------------------------------------------------------------- */

/* The likeliest first: where a header has several of them, "y" may be a coordinate, "image_id" a number. */
static const char *const usual_paths[] = {"path",     "filepath", "file_path", "filename", "file_name", "image_path",
                                          "img_path", "file",     "image",     "img",      "image_id",  NULL};
static const char *const usual_labels[] = {"label",      "class",      "target", "category",
                                           "class_name", "label_name", "y",      NULL};

/* The column of a header that is called so, or by the first of the usual names that any column has; -1: none. */
static int find_column(const parser *p, const char *name, const char *const *usual)
{
    for (int k = 0; name != NULL ? k == 0 : usual[k] != NULL; k++)
        for (int i = 0; i < p->count; i++)
            if (name != NULL ? strcmp(p->field[i], name) == 0 : strcasecmp(p->field[i], usual[k]) == 0)
                return i;
    return -1;
}

/* Which columns hold path and label, from the header in hand. */
static bool choose_columns(const parser *p, int column[2])
{
    const fa_csv_rules *rules = p->rules;
    const char *const given[2] = {rules->path_column, rules->label_column};
    for (int k = 0; k < 2; k++) {
        int found = find_column(p, given[k], k == 0 ? usual_paths : usual_labels);
        if (given[k] != NULL && found < 0)
            return fa_fail(FA_FILE_ERROR, rules->where, rules->what,
                           "%s: got a header without a column \"%s\", needs it (its first is \"%s\").", rules->path,
                           given[k], p->field[0]);
        column[k] = found;
    }
    if (column[0] < 0)
        column[0] = column[1] == 0 ? 1 : 0;
    if (column[1] < 0)
        column[1] = column[0] == 0 ? 1 : 0;
    return column[0] != column[1] ||
           fa_fail(FA_VALUE_ERROR, rules->where, rules->what, "got one column for paths and labels, needs two.");
}

static bool add_row(fa_csv_list *list, const parser *p, const int column[2])
{
    const fa_csv_rules *rules = p->rules;
    int needed = column[0] > column[1] ? column[0] + 1 : column[1] + 1;
    if (p->count < needed)
        return fa_fail(FA_FILE_ERROR, rules->where, rules->what,
                       "%s, line %lld: got %d field%s, needs %d (path%clabel).", rules->path, (long long)p->first_line,
                       p->count, p->count == 1 ? "" : "s", needed, p->separator);
    const char *path = p->field[column[0]], *label = p->field[column[1]];
    if (path[0] == 0 || label[0] == 0)
        return refuse(p, p->first_line, path[0] == 0 ? "the path is empty" : "the label is empty");
    if (list->count == list->capacity) {
        size_t more = list->capacity > 0 ? (size_t)list->capacity + (size_t)list->capacity / 2 : 256, bytes;
        struct fa_csv_row *larger = fa_mul_size(more, sizeof *larger, &bytes) ? fa_realloc(list->row, bytes) : NULL;
        if (larger == NULL)
            return fa_fail_memory(rules->where, more * sizeof *larger);
        list->row = larger;
        list->capacity = (int64_t)more;
    }
    list->row[list->count++] =
        (struct fa_csv_row){(size_t)(path - list->text), (size_t)(label - list->text), p->first_line};
    return true;
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

static char separator_of(const char *text, size_t size)
{
    const char *end = memchr(text, '\n', size);
    size_t length = end != NULL ? (size_t)(end - text) : size;
    return memchr(text, ',', length) != NULL    ? ','
           : memchr(text, ';', length) != NULL  ? ';'
           : memchr(text, '\t', length) != NULL ? '\t'
                                                : ',';
}

/* Whether the first row, in hand, is a header: said by the rules, or it has one of the usual names. */
static bool has_names(const parser *p)
{
    const fa_csv_rules *rules = p->rules;
    if (rules->header >= 0)
        return rules->header != 0;
    return rules->path_column != NULL || rules->label_column != NULL ||
           (!rules->is_file(rules->user, p->field[0]) &&
            (find_column(p, NULL, usual_paths) >= 0 || find_column(p, NULL, usual_labels) >= 0));
}

static bool read_rows(fa_csv_list *list, parser *p)
{
    const fa_csv_rules *rules = p->rules;
    int column[2] = {0, 1};
    for (bool first = true; read_row(p); first = false) {
        if (p->count == 0)
            break;
        if (first && has_names(p)) {
            list->header = true;
            if (!choose_columns(p, column))
                return false;
        } else if (!add_row(list, p, column)) {
            return false;
        }
    }
    if (!fa_ok())
        return false;
    /* A header of other words: it names no file, and the next row does. */
    if (rules->header < 0 && !list->header && list->count > 1 &&
        !rules->is_file(rules->user, list->text + list->row[0].path) &&
        rules->is_file(rules->user, list->text + list->row[1].path)) {
        list->header = true;
        list->count--;
        memmove(list->row, list->row + 1, (size_t)list->count * sizeof *list->row);
    }
    return true;
}

bool fa_csv_list_read(fa_csv_list *list, char *text, size_t size, const fa_csv_rules *rules)
{
    *list = (fa_csv_list){.text = text};
    parser *p = fa_calloc(1, sizeof *p);
    if (p == NULL)
        return fa_fail_memory(rules->where, sizeof *p);
    size_t mark = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    p->rules = rules;
    p->at = text + mark;
    p->end = text + size;
    p->line = 1;
    p->separator = separator_of(p->at, size - mark);
    bool fine = read_rows(list, p);
    fa_mfree(p);
    return fine && (list->count > 0 ||
                    fa_fail(FA_FILE_ERROR, rules->where, rules->what,
                            "%s has no line with a path and a label, needs one for each picture.", rules->path));
}

void fa_csv_list_end(fa_csv_list *list)
{
    fa_mfree(list->text);
    fa_mfree(list->row);
    *list = (fa_csv_list){.text = NULL};
}
