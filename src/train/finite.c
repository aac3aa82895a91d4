/* Where a loss that is not finite comes from.
 *
 * When that is known the step has been taken, and its gradients have spoilt every weight. So the weights of before each
 * step are kept, and the batch goes through the layers with them again. */
#include "train/run.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/opdef.h"

#include <stdio.h>
#include <string.h>

static size_t bytes_of(fa_tensor *tensor)
{
    return (size_t)fa_numel(tensor) * (size_t)fa_dtype_size(fa_dtype_of(tensor));
}

void fa_run_keep_weights(fa_run *run, fa_where where)
{
    fa_tensor_list all = fa_parameters_at(run->model, where);
    size_t total = 0, at = 0;
    for (int64_t i = 0; i < all.count; i++)
        total += bytes_of(all.tensor[i]);
    if (total != run->weights_size) {
        fa_mfree(run->weights);
        run->weights = fa_malloc(total);
        run->weights_size = run->weights != NULL ? total : 0; /* no memory: the message is a shorter one */
    }
    for (int64_t i = 0; i < all.count && run->weights_size > 0; i++) {
        const void *data = fa_data_at(all.tensor[i], where);
        if (data == NULL)
            return;
        memcpy(run->weights + at, data, bytes_of(all.tensor[i]));
        at += bytes_of(all.tensor[i]);
    }
}

static bool put_weights_back(fa_run *run, fa_where where)
{
    fa_tensor_list all = fa_parameters_at(run->model, where);
    size_t at = 0;
    for (int64_t i = 0; i < all.count; i++) {
        fa_tensor *now = all.tensor[i];
        if (at + bytes_of(now) > run->weights_size)
            return false;
        fa_copy_from_at(now, run->weights + at, where);
        at += bytes_of(now);
    }
    return fa_ok();
}

static bool is_finite(fa_tensor *x, fa_where where)
{
    if (x == NULL)
        return true;
    fa_tensor *finite = fa_isfinite_at(x, where);
    return fa_item_at(fa_all_at(&(fa_reduce_args){.x = finite, .dims = {.ndim = -1}, .where_ = where}), where) != 0;
}

typedef struct search {
    fa_module_list modules;
    fa_where where;
    char *text;
    size_t size;
} search;

static bool found(const search *s)
{
    return s->text[0] != '\0';
}

/* A hook after each layer's forward. */
static fa_tensor *look(fa_module *module, fa_tensor *input, fa_tensor *output, void *context)
{
    const search *s = context;
    (void)input;
    if (found(s) || is_finite(output, s->where))
        return NULL;
    for (int64_t i = 0; i < s->modules.count; i++)
        if (s->modules.module[i] == module)
            snprintf(s->text, s->size, "the output of layer %s (%s)", s->modules.name[i], fa_class_name(module));
    return NULL;
}

static void look_at_weights(fa_run *run, const search *s)
{
    fa_tensor_list all = fa_parameters_at(run->model, s->where);
    for (int64_t i = 0; i < all.count && !found(s); i++)
        if (!is_finite(all.tensor[i], s->where))
            snprintf(s->text, s->size, "%s, which the steps before have spoilt", all.name[i]);
}

static void look_at_layers(const fa_run *run, const fa_batch *batch, search *s)
{
    int64_t *ids = fa_calloc((size_t)s->modules.count, sizeof *ids);
    for (int64_t i = 0; ids != NULL && i < s->modules.count; i++)
        if (fa_child_count(s->modules.module[i]) == 0)
            ids[i] = fa_register_module_hook_at(s->modules.module[i], FA_HOOK_AFTER_FORWARD, look, s, s->where);
    if (ids != NULL && fa_forward_at(run->model, batch->images, s->where) != NULL && !found(s) && fa_ok())
        snprintf(s->text, s->size, "the loss itself, each layer's output is finite");
    for (int64_t i = 0; ids != NULL && i < s->modules.count; i++)
        if (ids[i] != 0)
            fa_remove_module_hook(s->modules.module[i], ids[i]);
    fa_mfree(ids);
}

void fa_run_find_not_finite(fa_run *run, const fa_batch *batch, char *text, size_t size, fa_where where)
{
    search s = {fa_named_modules_at(run->model, where), where, text, size};
    text[0] = '\0';
    fa_no_grad
        fa_scope {
            if (!is_finite(batch->images, where))
                snprintf(text, size, "the batch's images");
            if (!found(&s) && put_weights_back(run, where)) {
                look_at_weights(run, &s);
                if (!found(&s))
                    look_at_layers(run, batch, &s);
            }
        }
    fa_error_record record; /* a network that takes more than the images is not called as the program calls it */
    fa_error_take(&record);
}
