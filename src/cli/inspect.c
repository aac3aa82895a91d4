/* facula inspect FILE: what is in a model file. */
#include "inspect.h"

#include <stdlib.h>
#include <string.h>

fa_value *find_metadata(const inspected *file)
{
    fa_value *attributes = fa_kind_of(file->value) == FA_VALUE_DICT ? fa_attributes(file->value) : NULL;
    if (attributes == NULL || !fa_has(attributes, "__metadata__"))
        return NULL;
    fa_value *notes = fa_get(attributes, "__metadata__");
    return fa_kind_of(notes) == FA_VALUE_DICT && fa_len(notes) > 0 ? notes : NULL;
}

const char *find_tied(seen_tensors *seen, const fa_tensor_info *info, const char *name, bool *whole)
{
    if (info->bytes == 0)
        return NULL;
    for (int pass = 0; pass < 2; pass++) /* the same elements before the same storage */
        for (size_t i = 0; i < seen->count; i++) {
            const seen_tensor *s = &seen->tensor[i];
            *whole = s->data == info->data && s->bytes == info->bytes;
            if (s->storage == info->storage && (*whole || pass == 1))
                return s->name;
        }
    if (seen->count == seen->capacity) {
        seen->capacity = seen->capacity * 2 + 64;
        seen->tensor = realloc(seen->tensor, seen->capacity * sizeof *seen->tensor);
    }
    char *copy = strdup(name);
    if (seen->tensor == NULL || copy == NULL) {
        fprintf(stderr, "facula: error: no memory\n");
        exit(1);
    }
    seen->tensor[seen->count++] = (seen_tensor){info->data, info->storage, info->bytes, copy};
    return NULL;
}

void free_seen(seen_tensors *seen)
{
    for (size_t i = 0; i < seen->count; i++)
        free(seen->tensor[i].name);
    free(seen->tensor);
    *seen = (seen_tensors){0};
}

int command_inspect(int argc, char **argv)
{
    bool json = false, quick = false;
    const option_spec options[] = {
        {"json", OPTION_FLAG, &json, 0, 0, NULL, "for programs: one object, one entry for every value"},
        {"quick", OPTION_FLAG, &quick, 0, 0, NULL, "read no numbers: no ranges, no checksums"},
    };
    const char *path;
    int status = read_options(argc, argv, options, sizeof options / sizeof *options,
                              "usage: facula inspect FILE [options]\n\nShows what is in a model file (.pth of any age, "
                              ".safetensors, .npy): names, types, shapes, sizes,\nranges, NaN and infinity, tied "
                              "tensors. Nothing in the file is executed.",
                              &path, 1);
    if (status != 0)
        return status < 0 ? 0 : status;
    if (path == NULL) {
        fprintf(stderr, "facula: inspect: which file? As in: facula inspect model.pth\n");
        return EXIT_USAGE;
    }
    inspected file = {.path = path, .format = file_format(path), .bytes = file_bytes(path), .quick = quick};
    file.value = fa_load(path, .mmap = quick);
    bool good = file.value != NULL && (json ? print_json(&file) : print_tree(&file));
    return good ? 0 : fail_with_error();
}
