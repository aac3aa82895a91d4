/* Losses as objects: CrossEntropyLoss, NLLLoss. */
#include "nn/module.h"

typedef struct loss_module {
    fa_module base;
    fa_reduction reduction;
    int64_t ignore_index;
    double label_smoothing;
} loss_module;

void fa_unprinted_reduction(fa_text *text, fa_reduction reduction)
{
    static const char *const words[] = {[FA_REDUCE_NONE] = "none",
                                        [FA_REDUCE_MEAN] = "mean",
                                        [FA_REDUCE_SUM] = "sum",
                                        [FA_REDUCE_BATCHMEAN] = "batchmean"};
    if (reduction != FA_REDUCE_MEAN)
        fa_text_option(text, "reduction='%s'", words[reduction]);
}

void fa_unprinted_weight(const fa_module *self, fa_text *text, const char *name)
{
    fa_tensor *weight = fa_module_tensor(self, name);
    if (!weight)
        return;
    const fa_meta *meta = &fa_handle_leaf(weight)->meta;
    fa_text_option(text, "%s=(", name);
    for (int d = 0; d < meta->ndim; d++)
        fa_text_add(text, "%s%lld", d ? ", " : "", (long long)meta->shape[d]);
    fa_text_add(text, ")");
}

static fa_loss_args loss_call(const fa_module *self, fa_tensor *input, fa_tensor *target, fa_where where)
{
    const loss_module *loss = (const loss_module *)self;
    return (fa_loss_args){.where_ = where,
                          .input = input,
                          .target = target,
                          .weight = fa_module_tensor(self, "weight"),
                          .reduction = loss->reduction,
                          .ignore_index = loss->ignore_index,
                          .label_smoothing = loss->label_smoothing};
}

static fa_tensor *cross_entropy_criterion(fa_module *self, fa_tensor *input, fa_tensor *target, fa_where where)
{
    fa_loss_args args = loss_call(self, input, target, where);
    return fa_cross_entropy_at(&args);
}

static fa_tensor *nll_criterion(fa_module *self, fa_tensor *input, fa_tensor *target, fa_where where)
{
    fa_loss_args args = loss_call(self, input, target, where);
    return fa_nll_loss_at(&args);
}

static void loss_unprinted(const fa_module *self, fa_text *text)
{
    const loss_module *loss = (const loss_module *)self;
    fa_unprinted_reduction(text, loss->reduction);
    if (loss->ignore_index != -100)
        fa_text_option(text, "ignore_index=%lld", (long long)loss->ignore_index);
    fa_unprinted_weight(self, text, "weight");
    if (loss->label_smoothing != 0) {
        fa_text_option(text, "label_smoothing=");
        fa_text_number(text, loss->label_smoothing);
    }
}

static fa_module *loss_new(const fa_nn_loss_args *args, const char *what, const char *class_name,
                           fa_criterion_function criterion)
{
    if ((int)args->reduction < FA_REDUCE_NONE || args->reduction > FA_REDUCE_SUM) {
        fa_fail(FA_VALUE_ERROR, args->where_, what,
                "got reduction %d, needs FA_REDUCE_NONE, FA_REDUCE_MEAN or FA_REDUCE_SUM. Hint: leave it out for the "
                "mean",
                (int)args->reduction);
        return NULL;
    }
    if (!(args->label_smoothing >= 0 && args->label_smoothing <= 1)) {
        fa_fail(FA_VALUE_ERROR, args->where_, what,
                "got label_smoothing %g, needs a number from 0 to 1. Hint: 0.1 is usual", args->label_smoothing);
        return NULL;
    }
    fa_module *module = fa_module_make(sizeof(loss_module), class_name, NULL, NULL, args->where_);
    if (!module)
        return NULL;
    module->impl_->criterion = criterion;
    module->impl_->unprinted = loss_unprinted;
    loss_module *loss = (loss_module *)module;
    loss->reduction = args->reduction;
    loss->ignore_index = args->ignore_index;
    loss->label_smoothing = args->label_smoothing;
    if (args->weight) {
        fa_own_args own = {.where_ = args->where_, .buffer_ = true};
        if (!fa_own_tensor_at(module, "weight", args->weight, &own)) {
            fa_module_drop(module);
            return NULL;
        }
    }
    return module;
}

fa_module *fa_nn_cross_entropy_loss_at(const fa_nn_loss_args *args)
{
    return loss_new(args, "fa_nn_cross_entropy_loss", "CrossEntropyLoss", cross_entropy_criterion);
}

fa_module *fa_nn_nll_loss_at(const fa_nn_loss_args *args)
{
    return loss_new(args, "fa_nn_nll_loss", "NLLLoss", nll_criterion);
}
