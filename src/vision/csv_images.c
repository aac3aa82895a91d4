/* Pictures listed in a text of path,label. Only the list is in memory; a picture is read when its item is fetched. */
#include "vision/csv_list.h"
#include "vision/folder_index.h"
#include "vision/picture.h"
#include "vision/target_rule.h"
#include "vision/transform.h"
#include "vision/whole_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_CLASSES = 1000000 };

typedef struct csv_images {
    fa_csv_list list;
    int32_t *class; /* [list.count] */
    fa_class_list classes;
    char *path, *root; /* of the list, and where its paths begin */
    fa_picture_rules rules;
    fa_transform *transform; /* held; may be NULL */
    fa_target_rule target;
} csv_images;

static int64_t csv_length(void *data)
{
    return ((csv_images *)data)->list.count;
}

/* False when it is longer than fits. */
static bool path_of(const csv_images *set, const char *listed, char path[FA_PATH_BYTES])
{
    int length = listed[0] == '/' ? snprintf(path, FA_PATH_BYTES, "%s", listed)
                                  : snprintf(path, FA_PATH_BYTES, "%s/%s", set->root, listed);
    return length >= 0 && length < FA_PATH_BYTES;
}

static bool put_item(csv_images *set, int64_t index, fa_collate *batch)
{
    const struct fa_csv_row *row = &set->list.row[index];
    char path[FA_PATH_BYTES];
    fa_sample sample = {.batch = batch, .index = index};
    if (!path_of(set, set->list.text + row->path, path))
        return fa_fail(FA_FILE_ERROR, batch->where, "fa_csv_images", "got a path of more than %d bytes.",
                       FA_PATH_BYTES - 1);
    return fa_sample_picture_of(&sample, path, &set->rules, set->transform, "fa_csv_images", batch->where) &&
           fa_sample_label_at(&sample, fa_target_of(&set->target, set->class[index]), batch->where) &&
           fa_collate_advance(batch, 1, sample.n, index, batch->where);
}

static bool csv_fetch(void *data, const int64_t *indices, int64_t n, fa_collate *batch)
{
    for (int64_t i = 0; i < n; i++)
        if (fa_collate_cancelled(batch) || !put_item(data, indices[i], batch))
            return false;
    return true;
}

static void csv_destroy(void *data)
{
    csv_images *set = data;
    fa_csv_list_end(&set->list);
    fa_class_list_end(&set->classes);
    fa_mfree(set->class);
    fa_mfree(set->path);
    fa_mfree(set->root);
    fa_object_drop((fa_object *)set->transform);
    fa_mfree(set);
}

static fa_names csv_classes(void *data)
{
    return fa_class_list_names(&((csv_images *)data)->classes);
}

static bool csv_target(void *data, int64_t index, int64_t *target)
{
    *target = ((csv_images *)data)->class[index];
    return true;
}

static void csv_name(void *data, int64_t index, char *text, size_t size)
{
    const csv_images *set = data;
    const struct fa_csv_row *row = &set->list.row[index];
    char path[FA_PATH_BYTES];
    if (path_of(set, set->list.text + row->path, path))
        snprintf(text, size, "%s (%s, line %lld)", path, set->path, (long long)row->line);
}

/* The path as the list has it, and the size of the file. */
static fa_item_trace csv_trace(void *data, int64_t index, bool look)
{
    const csv_images *set = data;
    const char *listed = set->list.text + set->list.row[index].path;
    char path[FA_PATH_BYTES];
    return (fa_item_trace){fa_fingerprint_add(1, listed, strlen(listed)),
                           look && path_of(set, listed, path) ? fa_file_size(path) : 0};
}

static size_t csv_notes(void *data, char *text, size_t size)
{
    const csv_images *set = data;
    fa_repr notes = {.to = text, .size = size};
    fa_text_into(text, size, "");
    int64_t *count = fa_calloc((size_t)set->classes.count, sizeof *count);
    for (int64_t i = 0; count != NULL && i < set->list.count; i++)
        count[set->class[i]]++;
    int64_t empty = 0, first = -1;
    for (int64_t c = 0; count != NULL && c < set->classes.count; c++)
        if (count[c] == 0 && empty++ == 0)
            first = c;
    fa_mfree(count);
    if (empty > 0)
        fa_repr_add(&notes, "%lld of the %lld classes of %s %s no picture, the first is %s", (long long)empty,
                    (long long)set->classes.count, set->path, empty == 1 ? "has" : "have", set->classes.name[first]);
    return notes.length;
}

/* ---- Labels ------------------------------------------------------------------------------------------------------ */

/* A whole number, with its sign; false: something else. */
static bool is_number(const char *text, int64_t *number)
{
    char *end;
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    if (digits[0] == 0 || strspn(digits, "0123456789") != strlen(digits))
        return false;
    *number = strtoll(text, &end, 10); /* what does not fit is at the end of the range, and refused */
    return true;
}

static bool refuse_label(const csv_images *set, int64_t row, const char *why, fa_where where)
{
    const struct fa_csv_row *r = &set->list.row[row];
    return fa_fail(FA_FILE_ERROR, where, "fa_csv_images", "%s, line %lld: got label %.100s, %s.", set->path,
                   (long long)r->line, set->list.text + r->label, why);
}

static bool number_labels(csv_images *set, int64_t most, fa_where where)
{
    int64_t largest = -1, number = 0;
    for (int64_t i = 0; i < set->list.count; i++) {
        (void)is_number(set->list.text + set->list.row[i].label, &number);
        if (number < 0 || number > most) {
            char why[80];
            snprintf(why, sizeof why, "needs 0 to %lld", (long long)most);
            return refuse_label(set, i, why, where);
        }
        set->class[i] = (int32_t)number;
        largest = number > largest ? number : largest;
    }
    return fa_class_list_numbers(&set->classes, largest + 1, where);
}

static int compare_texts(const void *a, const void *b)
{
    return fa_python_order(*(const char *const *)a, *(const char *const *)b);
}

/* The different labels, sorted, become the classes. */
static bool collect_names(csv_images *set, fa_where where)
{
    size_t bytes = (size_t)set->list.count * sizeof(char *);
    const char **label = fa_malloc(bytes);
    if (label == NULL)
        return fa_fail_memory(where, bytes);
    for (int64_t i = 0; i < set->list.count; i++)
        label[i] = set->list.text + set->list.row[i].label;
    qsort(label, (size_t)set->list.count, sizeof *label, compare_texts);
    bool fine = true;
    for (int64_t i = 0; fine && i < set->list.count; i++)
        if (i == 0 || strcmp(label[i], label[i - 1]) != 0)
            fine = fa_class_list_add(&set->classes, label[i], strlen(label[i]), where);
    fa_mfree(label);
    return fine;
}

/* The class called so, among sorted names; -1: none. */
static int64_t find_sorted(const fa_class_list *classes, const char *name)
{
    char **found = bsearch(&name, classes->name, (size_t)classes->count, sizeof(char *), compare_texts);
    return found != NULL ? found - classes->name : -1;
}

static int64_t find_any(const fa_class_list *classes, const char *name)
{
    int64_t c = 0;
    while (c < classes->count && strcmp(classes->name[c], name) != 0)
        c++;
    return c < classes->count ? c : -1;
}

static bool name_labels(csv_images *set, bool sorted, fa_where where)
{
    for (int64_t i = 0; i < set->list.count; i++) {
        const char *label = set->list.text + set->list.row[i].label;
        int64_t c = sorted ? find_sorted(&set->classes, label) : find_any(&set->classes, label), number;
        if (c < 0 && is_number(label, &number) && number >= 0 && number < set->classes.count)
            c = number;
        if (c < 0)
            return refuse_label(set, i, "needs one of the classes or its number", where);
        set->class[i] = (int32_t)c;
    }
    return true;
}

static bool choose_classes(csv_images *set, fa_names given, fa_where where)
{
    size_t bytes = (size_t)set->list.count * sizeof *set->class;
    if ((set->class = fa_malloc(bytes)) == NULL)
        return fa_fail_memory(where, bytes);
    if (given.count > 0)
        return fa_class_list_copy(&set->classes, given, where) && name_labels(set, false, where);
    int64_t numbers = 0, number;
    while (numbers < set->list.count && is_number(set->list.text + set->list.row[numbers].label, &number))
        numbers++;
    return numbers == set->list.count ? number_labels(set, MOST_CLASSES - 1, where)
                                      : collect_names(set, where) && name_labels(set, true, where);
}

/* ---- Making one -------------------------------------------------------------------------------------------------- */

static const fa_dataset_kind csv_kind = {.length = csv_length,
                                         .fetch = csv_fetch,
                                         .destroy = csv_destroy,
                                         .classes = csv_classes,
                                         .target = csv_target,
                                         .name = csv_name,
                                         .trace = csv_trace,
                                         .notes = csv_notes};

static bool is_listed_file(void *user, const char *listed)
{
    char path[FA_PATH_BYTES];
    struct stat status;
    return path_of(user, listed, path) && stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* The paths' folder and the list's name; false after an error. */
static bool copy_paths(csv_images *set, const fa_csv_images_args *args)
{
    const char *slash = strrchr(args->path, '/');
    set->path = fa_strdup(args->path);
    set->root = fa_strdup(args->root != NULL ? args->root : slash == NULL ? "." : args->path);
    if (set->path == NULL || set->root == NULL)
        return fa_fail_memory(args->where_, strlen(args->path) + 1);
    if (args->root == NULL && slash != NULL)
        set->root[slash - args->path] = 0;
    return true;
}

static bool read_list(csv_images *set, const fa_csv_images_args *args, const char *what)
{
    static const size_t most = (size_t)1 << 30;
    size_t size;
    char *text = (char *)fa_read_whole_file(args->path, most, what, args->where_, &size);
    fa_csv_rules rules = {.header = args->header < 0 ? -1 : args->header,
                          .path_column = args->path_column,
                          .label_column = args->label_column,
                          .is_file = is_listed_file,
                          .user = set,
                          .path = set->path,
                          .what = what,
                          .where = args->where_};
    return text != NULL && fa_csv_list_read(&set->list, text, size, &rules) &&
           choose_classes(set, args->classes, args->where_);
}

fa_dataset *fa_csv_images_at(const fa_csv_images_args *args)
{
    static const char *const call = "fa_csv_images";
    if (!fa_data_args_check(args->path, args->transform, call, args->where_))
        return NULL;
    if (args->header == 0 && (args->path_column != NULL || args->label_column != NULL)) {
        fa_fail(FA_VALUE_ERROR, args->where_, call, "got a column's name and no header, needs .header = 1 for it.");
        return NULL;
    }
    csv_images *set = fa_calloc(1, sizeof *set);
    if (set == NULL) {
        fa_fail_memory(args->where_, sizeof *set);
        return NULL;
    }
    set->target = (fa_target_rule){args->target_transform, args->target_user};
    if (!fa_picture_rules_parse(&args->picture, call, args->where_, &set->rules) || !copy_paths(set, args) ||
        !read_list(set, args, call)) {
        csv_destroy(set);
        return NULL;
    }
    set->transform = args->transform;
    fa_object_hold((fa_object *)set->transform);
    return fa_dataset_make(&csv_kind, set, false, args->where_);
}
