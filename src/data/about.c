/* What is known of a data set without reading its items: classes, targets, notes. */
#include "data/dataset.h"

#include <stdio.h>
#include <string.h>

fa_names fa_dataset_names(const fa_dataset_body *body)
{
    return body->kind->classes != NULL ? body->kind->classes(body->data) : (fa_names){NULL, 0};
}

size_t fa_text_into(char *to, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (size > 0) {
        size_t n = length < size ? length : size - 1;
        memcpy(to, text, n);
        to[n] = '\0';
    }
    return length;
}

size_t fa_dataset_note(const fa_dataset_body *body, char *text, size_t size)
{
    return body->kind->notes != NULL ? body->kind->notes(body->data, text, size) : fa_text_into(text, size, "");
}

/* ---- The program's questions ------------------------------------------------------------------------------------- */

fa_names fa_dataset_classes_at(fa_dataset *dataset, fa_where where)
{
    const fa_dataset_body *body = fa_dataset_use(dataset, "fa_dataset_classes", where);
    return body != NULL ? fa_dataset_names(body) : (fa_names){NULL, 0};
}

int64_t fa_class_index_at(fa_dataset *dataset, const char *name, fa_where where)
{
    const fa_dataset_body *body = fa_dataset_use(dataset, "fa_class_index", where);
    if (body == NULL)
        return -1;
    fa_names names = fa_dataset_names(body);
    for (int64_t i = 0; name != NULL && i < names.count; i++)
        if (strcmp(names.name[i], name) == 0)
            return i;
    char list[512] = "none with a name";
    size_t length = 0;
    for (int64_t i = 0; i < names.count && length < sizeof list - 1; i++) {
        int more = snprintf(list + length, sizeof list - length, "%s%s", i > 0 ? ", " : "", names.name[i]);
        length += more > 0 ? (size_t)more : 0;
    }
    fa_fail(FA_VALUE_ERROR, where, "fa_class_index", "got \"%s\", needs one of the %lld classes: %s%s.",
            name != NULL ? name : "(NULL)", (long long)names.count, list, length >= sizeof list ? " ..." : "");
    return -1;
}

fa_tensor *fa_tensor_over(fa_buffer *buffer, const fa_meta *meta)
{
    fa_leaf *leaf = fa_leaf_of_buffer(meta, fa_buffer_retain(buffer));
    if (leaf == NULL)
        return NULL;
    fa_tensor *tensor = fa_handle(fa_leaf_node(leaf));
    fa_leaf_release(leaf);
    return tensor;
}

static bool target_of(const fa_dataset_body *body, int64_t index, int64_t *target)
{
    body = fa_dataset_innermost(body, &index);
    return body != NULL && body->kind->target != NULL && body->kind->target(body->data, index, target);
}

fa_tensor *fa_dataset_targets_at(fa_dataset *dataset, fa_where where)
{
    fa_begin(where);
    const fa_dataset_body *body = fa_dataset_use(dataset, "fa_dataset_targets", where);
    if (body == NULL || !fa_ok())
        return NULL;
    int64_t n = body->kind->length(body->data);
    fa_meta meta = fa_meta_of(FA_DT_INT64, 1, &n);
    if (body->kind->targets != NULL)
        return fa_tensor_over(body->kind->targets(body->data), &meta);
    fa_leaf *leaf = fa_leaf_new(&meta);
    if (leaf == NULL)
        return NULL;
    int64_t *targets = leaf->buffer->data;
    fa_tensor *made = NULL;
    int64_t i = 0;
    while (i < n && target_of(body, i, &targets[i]))
        i++;
    if (i == n)
        made = fa_handle(fa_leaf_node(leaf));
    else
        fa_fail(FA_VALUE_ERROR, where, "fa_dataset_targets",
                "got a data set whose class numbers are known only by reading its items, needs one with targets, as "
                "fa_mnist or fa_image_folder make them.");
    fa_leaf_release(leaf);
    return made;
}

size_t fa_dataset_notes_at(fa_dataset *dataset, char *text, size_t size, fa_where where)
{
    fa_text_into(text, size, "");
    const fa_dataset_body *body = fa_dataset_use(dataset, "fa_dataset_notes", where);
    return body != NULL ? fa_dataset_note(body, text, size) : 0;
}
