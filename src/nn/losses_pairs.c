/* Losses of pairs as objects: MSELoss, L1Loss, SmoothL1Loss, HuberLoss, BCELoss, BCEWithLogitsLoss, KLDivLoss. */
#include "nn/module.h"

#include <string.h>

typedef struct pair_loss {
    fa_module base;
    fa_reduction reduction;
    double beta, delta;
    bool log_target;
} pair_loss;

static void pair_unprinted(const fa_module *self, fa_text *text)
{
    const pair_loss *loss = (const pair_loss *)self;
    const char *name = fa_class_name(self);
    fa_unprinted_reduction(text, loss->reduction);
    fa_unprinted_weight(self, text, "weight");
    fa_unprinted_weight(self, text, "pos_weight");
    const bool smooth = strcmp(name, "SmoothL1Loss") == 0, huber = strcmp(name, "HuberLoss") == 0;
    if ((smooth && loss->beta != 1) || (huber && loss->delta != 1)) {
        fa_text_option(text, smooth ? "beta=" : "delta=");
        fa_text_number(text, smooth ? loss->beta : loss->delta);
    }
    if (loss->log_target)
        fa_text_option(text, "log_target=True");
}

/* NULL after an error. */
static pair_loss *make(fa_reduction reduction, fa_reduction last, const char *what, const char *class_name,
                       fa_criterion_function criterion, fa_where where)
{
    if ((int)reduction < FA_REDUCE_NONE || reduction > last) {
        fa_fail(FA_VALUE_ERROR, where, what,
                "got reduction %d, needs FA_REDUCE_NONE, FA_REDUCE_MEAN or FA_REDUCE_SUM%s. Hint: leave it out for the "
                "mean",
                (int)reduction, last == FA_REDUCE_BATCHMEAN ? ", or FA_REDUCE_BATCHMEAN" : "");
        return NULL;
    }
    fa_module *module = fa_module_make(sizeof(pair_loss), class_name, NULL, NULL, where);
    if (!module)
        return NULL;
    module->impl_->criterion = criterion;
    module->impl_->unprinted = pair_unprinted;
    pair_loss *loss = (pair_loss *)module;
    loss->reduction = reduction;
    return loss;
}

/* ---- Distances -----------------------------------------------------------------------------------------------------
 */

static fa_distance_loss_args distance_call(const fa_module *self, fa_tensor *input, fa_tensor *target, fa_where where)
{
    const pair_loss *loss = (const pair_loss *)self;
    return (fa_distance_loss_args){.where_ = where,
                                   .input = input,
                                   .target = target,
                                   .reduction = loss->reduction,
                                   .beta = loss->beta,
                                   .delta = loss->delta};
}

#define CRITERION(name)                                                                                                \
    static fa_tensor *name##_criterion(fa_module *self, fa_tensor *input, fa_tensor *target, fa_where where)           \
    {                                                                                                                  \
        const fa_distance_loss_args args = distance_call(self, input, target, where);                                  \
        return fa_##name##_loss_at(&args);                                                                             \
    }
CRITERION(mse)
CRITERION(l1)
CRITERION(smooth_l1)
CRITERION(huber)

static bool has_no(const fa_nn_distance_loss_args *args, const char *what, const char *name, double value,
                   const char *other)
{
    return value == 1 ||
           fa_fail(FA_VALUE_ERROR, args->where_, what, "got %s %g, needs none. Hint: %s has it", name, value, other);
}

static fa_module *distance_new(const fa_nn_distance_loss_args *args, const char *what, const char *class_name,
                               fa_criterion_function criterion)
{
    if ((criterion != smooth_l1_criterion && !has_no(args, what, "beta", args->beta, "fa_nn_smooth_l1_loss")) ||
        (criterion != huber_criterion && !has_no(args, what, "delta", args->delta, "fa_nn_huber_loss")))
        return NULL;
    pair_loss *loss = make(args->reduction, FA_REDUCE_SUM, what, class_name, criterion, args->where_);
    if (!loss)
        return NULL;
    loss->beta = args->beta;
    loss->delta = args->delta;
    return &loss->base;
}

fa_module *fa_nn_mse_loss_at(const fa_nn_distance_loss_args *args)
{
    return distance_new(args, "fa_nn_mse_loss", "MSELoss", mse_criterion);
}

fa_module *fa_nn_l1_loss_at(const fa_nn_distance_loss_args *args)
{
    return distance_new(args, "fa_nn_l1_loss", "L1Loss", l1_criterion);
}

fa_module *fa_nn_smooth_l1_loss_at(const fa_nn_distance_loss_args *args)
{
    return distance_new(args, "fa_nn_smooth_l1_loss", "SmoothL1Loss", smooth_l1_criterion);
}

fa_module *fa_nn_huber_loss_at(const fa_nn_distance_loss_args *args)
{
    return distance_new(args, "fa_nn_huber_loss", "HuberLoss", huber_criterion);
}

/* ---- Binary cross entropy ------------------------------------------------------------------------------------------
 */

static fa_binary_loss_args binary_call(const fa_module *self, fa_tensor *input, fa_tensor *target, fa_where where)
{
    return (fa_binary_loss_args){.where_ = where,
                                 .input = input,
                                 .target = target,
                                 .weight = fa_module_tensor(self, "weight"),
                                 .pos_weight = fa_module_tensor(self, "pos_weight"),
                                 .reduction = ((const pair_loss *)self)->reduction};
}

static fa_tensor *bce_criterion(fa_module *self, fa_tensor *input, fa_tensor *target, fa_where where)
{
    const fa_binary_loss_args args = binary_call(self, input, target, where);
    return fa_binary_cross_entropy_at(&args);
}

static fa_tensor *bce_with_logits_criterion(fa_module *self, fa_tensor *input, fa_tensor *target, fa_where where)
{
    const fa_binary_loss_args args = binary_call(self, input, target, where);
    return fa_binary_cross_entropy_with_logits_at(&args);
}

static fa_module *binary_new(const fa_nn_binary_loss_args *args, const char *what, const char *class_name,
                             fa_criterion_function criterion)
{
    pair_loss *loss = make(args->reduction, FA_REDUCE_SUM, what, class_name, criterion, args->where_);
    if (!loss)
        return NULL;
    const fa_own_args own = {.where_ = args->where_, .buffer_ = true};
    if ((!args->weight || fa_own_tensor_at(&loss->base, "weight", args->weight, &own)) &&
        (!args->pos_weight || fa_own_tensor_at(&loss->base, "pos_weight", args->pos_weight, &own)))
        return &loss->base;
    fa_module_drop(&loss->base);
    return NULL;
}

fa_module *fa_nn_bce_loss_at(const fa_nn_binary_loss_args *args)
{
    static const char what[] = "fa_nn_bce_loss";
    if (!args->pos_weight)
        return binary_new(args, what, "BCELoss", bce_criterion);
    fa_fail(FA_VALUE_ERROR, args->where_, what, "got pos_weight, needs none. Hint: fa_nn_bce_with_logits_loss has it");
    return NULL;
}

fa_module *fa_nn_bce_with_logits_loss_at(const fa_nn_binary_loss_args *args)
{
    return binary_new(args, "fa_nn_bce_with_logits_loss", "BCEWithLogitsLoss", bce_with_logits_criterion);
}

/* ---- Divergence ----------------------------------------------------------------------------------------------------
 */

static fa_tensor *kl_div_criterion(fa_module *self, fa_tensor *input, fa_tensor *target, fa_where where)
{
    const pair_loss *loss = (const pair_loss *)self;
    const fa_kl_div_args args = {.where_ = where,
                                 .input = input,
                                 .target = target,
                                 .reduction = loss->reduction,
                                 .log_target = loss->log_target};
    return fa_kl_div_at(&args);
}

fa_module *fa_nn_kl_div_loss_at(const fa_nn_kl_div_loss_args *args)
{
    pair_loss *loss =
        make(args->reduction, FA_REDUCE_BATCHMEAN, "fa_nn_kl_div_loss", "KLDivLoss", kl_div_criterion, args->where_);
    if (!loss)
        return NULL;
    loss->log_target = args->log_target;
    return &loss->base;
}
