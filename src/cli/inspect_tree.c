/* The form of `facula inspect` for people: a table, nested by indentation. */
#include "inspect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INLINE = 72, DICT_INLINE = 4, NAME_MOST = 60 };

typedef struct row {
    int depth;
    bool container;
    line name, dtype, shape, size, note, warning;
} row;

typedef struct table {
    row *rows;
    size_t count, capacity;
    seen_tensors seen;
    bool quick, colour;
    long long tensors, elements, bytes; /* shared ones counted once */
} table;

static row *add_row(table *t, int depth)
{
    if (t->count == t->capacity) {
        t->capacity = t->capacity * 2 + 64;
        t->rows = realloc(t->rows, t->capacity * sizeof *t->rows);
        if (t->rows == NULL) {
            fprintf(stderr, "facula: error: no memory\n");
            exit(1);
        }
    }
    t->rows[t->count] = (row){.depth = depth};
    return &t->rows[t->count++];
}

/* ---- Collecting -------------------------------------------------------------------------------------------------- */

static void add_short(line *l, const fa_tensor_info *info, double x)
{
    bool floating = strstr(info->dtype, "float") != NULL;
    line_add(l, floating ? "%.4g" : "%.0f", x + 0.0); /* no -0 */
}

static bool add_range(row *r, fa_value *value, const fa_tensor_info *info)
{
    fa_tensor_range range;
    if (!fa_tensor_range_at(value, &range, FA_HERE))
        return false;
    if (range.least == range.most && info->elements == 1) {
        add_short(&r->note, info, range.least);
    } else if (range.least == range.most) {
        line_add(&r->note, "all ");
        add_short(&r->note, info, range.least);
    } else if (!isnan(range.least)) {
        add_short(&r->note, info, range.least);
        line_add(&r->note, " to ");
        add_short(&r->note, info, range.most);
    }
    if (range.nan > 0)
        line_add(&r->warning, "%lld NaN", (long long)range.nan);
    if (range.infinite > 0)
        line_add(&r->warning, "%s%lld infinite", range.nan > 0 ? ", " : "", (long long)range.infinite);
    return true;
}

static bool add_tensor(table *t, size_t at, fa_value *value, const char *name)
{
    fa_tensor_info info;
    if (!fa_tensor_info_at(value, &info, FA_HERE))
        return false;
    row *r = &t->rows[at];
    line_add(&r->dtype, "%s", info.dtype);
    line_add_shape(&r->shape, &info.shape);
    line_add_bytes(&r->size, info.bytes);
    if (!t->quick && !add_range(r, value, &info))
        return false;
    bool whole;
    const char *tied = find_tied(&t->seen, &info, name, &whole);
    if (tied != NULL)
        line_add(&r->note, "%s%s %s", r->note.length > 0 ? "  " : "", whole ? "=" : "shares memory with", tied);
    t->tensors++;
    if (tied == NULL || !whole) {
        t->elements += info.elements;
        t->bytes += info.bytes;
    }
    return true;
}

static bool add_value(table *t, fa_value *value, int depth, const line *name, const line *path);

static bool add_child(table *t, fa_value *key, int64_t index, fa_value *value, int depth, const line *path)
{
    line name = {0}, below = {0};
    if (key == NULL)
        line_add(&name, "[%lld]", (long long)index);
    else if (fa_kind_of(key) == FA_VALUE_STRING)
        line_add_clean(&name, fa_as_string(key), (size_t)fa_len(key));
    else if (!line_add_value(&name, key, NAME_MOST))
        line_add(&name, "%s", fa_kind_name(key));
    line_add(&below, "%s%s%s", path->length > 0 ? path->text : "", path->length > 0 && key != NULL ? "." : "",
             name.length > 0 ? name.text : "");
    bool good = add_value(t, value, depth, &name, &below);
    line_free(&name);
    line_free(&below);
    return good;
}

/* Hooks and other empty things of a pickled module are of no interest. */
static bool is_empty_container(fa_value *value)
{
    fa_value_kind kind = fa_kind_of(value);
    return (kind == FA_VALUE_DICT || kind == FA_VALUE_LIST || kind == FA_VALUE_TUPLE) && fa_len(value) == 0;
}

static bool add_children(table *t, fa_value *value, int depth, const line *path)
{
    fa_value_kind kind = fa_kind_of(value);
    bool object = kind == FA_VALUE_OBJECT;
    fa_value *container = object ? fa_attributes(value) : value;
    int64_t n = container != NULL ? fa_len(container) : 0;
    bool keys = object || kind == FA_VALUE_DICT;
    for (int64_t i = 0; i < n; i++) {
        fa_value *child = fa_value_at(container, i);
        if (object && (is_empty_container(child) || fa_kind_of(child) == FA_VALUE_NONE))
            continue;
        if (!add_child(t, keys ? fa_key_at(container, i) : NULL, i, child, depth, path))
            return false;
    }
    return true;
}

/* "dict of 3", "torch.nn.modules.linear.Linear" */
static void add_kind(line *to, fa_value *value)
{
    if (fa_kind_of(value) == FA_VALUE_OBJECT) {
        const char *module = fa_object_module(value), *class_name = fa_object_class(value);
        line_add_clean(to, module, strlen(module));
        line_add(to, ".");
        line_add_clean(to, class_name, strlen(class_name));
    } else {
        line_add(to, "%s of %lld", fa_kind_name(value), (long long)fa_len(value));
    }
}

/* "dict of 3: 2 tensors, 1.2 KiB"; the root has no name, and its kind stands there. */
static void describe_container(row *r, fa_value *value, long long tensors, long long bytes)
{
    bool named = r->name.length > 0;
    add_kind(named ? &r->note : &r->name, value);
    if (tensors == 0)
        return;
    line_add(&r->note, "%s%lld tensor%s", named ? ": " : "", tensors, tensors == 1 ? "" : "s");
    if (bytes > 0) { /* else all of them are tied to others above */
        line_add(&r->note, ", ");
        line_add_bytes(&r->note, bytes);
    }
}

/* Plain values stand on one line: what fits, and long lists of numbers or strings cut short. */
static bool add_inline(row *r, fa_value *value)
{
    fa_value_kind kind = fa_kind_of(value);
    bool container = kind == FA_VALUE_DICT || kind == FA_VALUE_LIST || kind == FA_VALUE_TUPLE, flat = container;
    for (int64_t i = 0; flat && i < fa_len(value); i++) {
        fa_value_kind item = fa_kind_of(fa_value_at(value, i));
        flat = item != FA_VALUE_DICT && item != FA_VALUE_LIST && item != FA_VALUE_TUPLE;
    }
    bool good = line_add_value(&r->note, value, INLINE);
    if (container && kind != FA_VALUE_DICT)
        good = good && (flat || !r->note.cut);
    else if (container)
        good = good && !r->note.cut && fa_len(value) <= DICT_INLINE;
    if (!good)
        line_free(&r->note);
    return good;
}

static bool add_value(table *t, fa_value *value, int depth, const line *name, const line *path)
{
    row *r = add_row(t, depth);
    size_t at = t->count - 1;
    if (name != NULL)
        line_add(&r->name, "%s", name->length > 0 ? name->text : "''");
    if (fa_kind_of(value) == FA_VALUE_TENSOR)
        return add_tensor(t, at, value, path->length > 0 ? path->text : "");
    if (add_inline(r, value))
        return true;
    r->container = true;
    long long tensors = t->tensors, bytes = t->bytes;
    if (!add_children(t, value, depth + 1, path))
        return false;
    describe_container(&t->rows[at], value, t->tensors - tensors, t->bytes - bytes);
    return true;
}

/* ---- Printing ---------------------------------------------------------------------------------------------------- */

static int most(int a, int b)
{
    return a > b ? a : b;
}

static void print_cell(const line *l, int width, bool right)
{
    int space = width - line_columns(l);
    if (right)
        printf("%*s", space > 0 ? space : 0, "");
    fputs(l->length > 0 ? l->text : "", stdout);
    if (!right)
        printf("%*s", space > 0 ? space : 0, "");
}

static void print_rows(const table *t)
{
    const char *bold = t->colour ? "\033[1m" : "", *dim = t->colour ? "\033[2m" : "",
               *red = t->colour ? "\033[31m" : "", *plain = t->colour ? "\033[0m" : "";
    int name = 0, dtype = 0, shape = 0, size = 0;
    for (size_t i = 0; i < t->count; i++) {
        const row *r = &t->rows[i];
        if (!r->container)
            name = most(name, 2 * r->depth + line_columns(&r->name));
        dtype = most(dtype, line_columns(&r->dtype));
        shape = most(shape, line_columns(&r->shape));
        size = most(size, line_columns(&r->size));
    }
    name = name < NAME_MOST ? name : NAME_MOST;
    for (size_t i = 0; i < t->count; i++) {
        const row *r = &t->rows[i];
        printf("%*s%s", 2 * r->depth, "", r->container ? bold : "");
        print_cell(&r->name, name - 2 * r->depth, false);
        fputs(r->container ? plain : "", stdout);
        if (r->dtype.length > 0) {
            printf("  ");
            print_cell(&r->dtype, dtype, false);
            printf("  ");
            print_cell(&r->shape, shape, false);
            printf("  ");
            print_cell(&r->size, size, true);
        }
        if (r->note.length > 0)
            printf("  %s%s%s", r->container ? dim : "", r->note.text, r->container ? plain : "");
        if (r->warning.length > 0)
            printf("  %s%s%s", red, r->warning.text, plain);
        printf("\n");
    }
}

static void print_head(const inspected *file, const table *t)
{
    line head = {0};
    line_add_clean(&head, file->path, strlen(file->path));
    line_add(&head, "%s  %s, ", t->colour ? "\033[0m" : "", file->format);
    line_add_bytes(&head, file->bytes);
    printf("%s%s\n", t->colour ? "\033[1m" : "", head.text);
    line_free(&head);
    fa_value *notes = find_metadata(file);
    for (int64_t i = 0; notes != NULL && i < fa_len(notes); i++) {
        fa_value *key = fa_key_at(notes, i), *text = fa_value_at(notes, i);
        line_add_clean(&head, fa_as_string(key), (size_t)fa_len(key));
        line_add(&head, ": ");
        line_add_clean(&head, fa_as_string(text), (size_t)fa_len(text));
        printf("%s\n", head.text);
        line_free(&head);
    }
    printf("\n");
}

static void print_foot(const table *t)
{
    if (t->tensors < 2)
        return;
    line foot = {0};
    line_add(&foot, "\n%lld tensors, ", t->tensors);
    line_add_count(&foot, t->elements);
    line_add(&foot, " elements, ");
    line_add_bytes(&foot, t->bytes);
    printf("%s\n", foot.text);
    line_free(&foot);
}

bool print_tree(const inspected *file)
{
    const char *no_colour = getenv("NO_COLOR");
    table t = {.quick = file->quick, .colour = isatty(STDOUT_FILENO) && (no_colour == NULL || no_colour[0] == '\0')};
    line path = {0};
    fa_value_kind kind = fa_kind_of(file->value);
    bool good;
    if (kind == FA_VALUE_DICT && fa_len(file->value) > 0) {
        good = add_children(&t, file->value, 0, &path);
    } else {
        good = add_value(&t, file->value, 0, NULL, &path);
    }
    if (good) {
        print_head(file, &t);
        print_rows(&t);
        print_foot(&t);
    }
    for (size_t i = 0; i < t.count; i++) {
        line_free(&t.rows[i].name);
        line_free(&t.rows[i].dtype);
        line_free(&t.rows[i].shape);
        line_free(&t.rows[i].size);
        line_free(&t.rows[i].note);
        line_free(&t.rows[i].warning);
    }
    free(t.rows);
    free_seen(&t.seen);
    return good;
}
