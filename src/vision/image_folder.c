/* ImageFolder: pictures in one folder a class. Only names are in memory; a picture is read when its item is fetched. */
#include "data/dataset.h"
#include "vision/folder_index.h"
#include "vision/picture.h"
#include "vision/target_rule.h"
#include "vision/transform.h"
#include "vision/whole_file.h"

#include <stdio.h>
#include <string.h>

typedef struct image_folder {
    fa_folder_index index;
    fa_picture_rules rules;
    fa_transform *transform; /* held; may be NULL */
    fa_target_rule target;
} image_folder;

static int64_t folder_length(void *data)
{
    return ((image_folder *)data)->index.count;
}

static bool folder_target(void *data, int64_t index, int64_t *target)
{
    const fa_folder_index *files = &((image_folder *)data)->index;
    *target = files->folder[files->file[index].folder].class;
    return true;
}

static bool put_item(image_folder *set, int64_t index, fa_collate *batch)
{
    char path[FA_PATH_BYTES];
    int64_t class;
    fa_sample sample = {.batch = batch, .index = index};
    return fa_folder_index_path(&set->index, index, path) && folder_target(set, index, &class) &&
           fa_sample_picture_of(&sample, path, &set->rules, set->transform, "fa_image_folder", batch->where) &&
           fa_sample_label_at(&sample, fa_target_of(&set->target, class), batch->where) &&
           fa_collate_advance(batch, 1, sample.n, index, batch->where);
}

static bool folder_fetch(void *data, const int64_t *indices, int64_t n, fa_collate *batch)
{
    for (int64_t i = 0; i < n; i++)
        if (fa_collate_cancelled(batch) || !put_item(data, indices[i], batch))
            return false;
    return true;
}

static void folder_destroy(void *data)
{
    image_folder *set = data;
    fa_folder_index_end(&set->index);
    fa_object_drop((fa_object *)set->transform);
    fa_mfree(set);
}

static fa_names folder_classes(void *data)
{
    return fa_class_list_names(&((image_folder *)data)->index.class);
}

static void folder_name(void *data, int64_t index, char *text, size_t size)
{
    char path[FA_PATH_BYTES];
    if (fa_folder_index_path(&((image_folder *)data)->index, index, path))
        fa_text_into(text, size, path);
}

/* The path below the root, and the size of the file. */
static fa_item_trace folder_trace(void *data, int64_t index, bool look)
{
    const fa_folder_index *files = &((image_folder *)data)->index;
    const struct fa_indexed_file *file = &files->file[index];
    const struct fa_indexed_folder *folder = &files->folder[file->folder];
    const char *name = files->names + folder->names + file->name;
    char path[FA_PATH_BYTES];
    return (fa_item_trace){
        .name = fa_fingerprint_add(fa_fingerprint_add(1, folder->path, strlen(folder->path)), name, strlen(name)),
        .content = look && fa_folder_index_path(files, index, path) ? fa_file_size(path) : 0};
}

/* ---- Notes ------------------------------------------------------------------------------------------------------- */

/* Whether every class is called as a part of a data set is, not as what is in the pictures. */
static bool are_parts(const fa_folder_index *files)
{
    static const char *const parts[] = {"train", "training", "val", "valid", "validation", "test", "testing"};
    for (int64_t c = 0; c < files->class.count; c++) {
        size_t p = 0;
        while (p < sizeof parts / sizeof *parts && strcmp(parts[p], files->class.name[c]) != 0)
            p++;
        if (p == sizeof parts / sizeof *parts)
            return false;
    }
    return files->class.count > 0;
}

static void next_line(fa_repr *text)
{
    if (text->length > 0)
        fa_repr_add(text, "\n");
}

static size_t folder_notes(void *data, char *text, size_t size)
{
    const fa_folder_index *files = &((image_folder *)data)->index;
    fa_repr notes = {.to = text, .size = size};
    fa_text_into(text, size, "");
    if (are_parts(files))
        fa_repr_add(&notes, "the classes of %s are called %s%s%s; if those are parts of the data, open one of them",
                    files->root, files->class.name[0], files->class.count > 1 ? " and " : "",
                    files->class.count > 1 ? files->class.name[1] : "");
    for (int64_t c = 0; c < files->class.count; c++)
        if (files->class.name[c][0] == '.') {
            next_line(&notes);
            fa_repr_add(&notes, "the hidden folder %s/%s is taken for a class", files->root, files->class.name[c]);
        }
    for (int64_t c = 0; c < files->class.count; c++)
        if (files->files_of_class[c] == 0) {
            next_line(&notes);
            fa_repr_add(&notes, "the class %s has no pictures in %s", files->class.name[c], files->root);
        }
    if (files->skipped > 0) {
        bool one = files->skipped == 1;
        next_line(&notes);
        fa_repr_add(&notes, "%lld file%s not called as pictures are, left out: %s/%s", (long long)files->skipped,
                    one ? " is" : "s are", files->root, files->first_skipped);
        if (!one)
            fa_repr_add(&notes, " and others");
    }
    return notes.length;
}

/* ---- Making one -------------------------------------------------------------------------------------------------- */

static const fa_dataset_kind folder_kind = {.length = folder_length,
                                            .fetch = folder_fetch,
                                            .destroy = folder_destroy,
                                            .classes = folder_classes,
                                            .target = folder_target,
                                            .name = folder_name,
                                            .trace = folder_trace,
                                            .notes = folder_notes};

fa_dataset *fa_image_folder_at(const fa_image_folder_args *args)
{
    static const char *const call = "fa_image_folder";
    fa_where where = args->where_;
    if (!fa_data_args_check(args->root, args->transform, call, where))
        return NULL;
    if (args->extensions.count > 0 && args->is_valid_file != NULL) {
        fa_fail(FA_VALUE_ERROR, where, call, "got .extensions and .is_valid_file, needs one of them.");
        return NULL;
    }
    image_folder *set = fa_calloc(1, sizeof *set);
    if (set == NULL) {
        fa_fail_memory(where, sizeof *set);
        return NULL;
    }
    fa_folder_rules rules = {.extensions = args->extensions,
                             .is_valid_file = args->is_valid_file,
                             .classes = args->classes,
                             .allow_empty = args->allow_empty,
                             .what = call,
                             .where = where};
    set->target = (fa_target_rule){args->target_transform, args->target_user};
    if (!fa_picture_rules_parse(&args->picture, call, where, &set->rules) ||
        !fa_folder_index_read(&set->index, args->root, &rules)) {
        folder_destroy(set);
        return NULL;
    }
    set->transform = args->transform;
    fa_object_hold((fa_object *)set->transform);
    return fa_dataset_make(&folder_kind, set, false, where);
}
