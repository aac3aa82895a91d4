/* The mistakes of golden/errors_training.json (support/mistakes.h): losses of pairs, autograd, optimizers, schedules,
 * averages. */
#include "support/mistakes.h"

#include <facula.h>
#include <math.h>

static fa_tensor *leaf(void)
{
    return fa_ones_with(FA_SHAPE(3), .requires_grad = true);
}

static fa_tensor *whole(void)
{
    return fa_tensor_of_as(FA_INT64, FA_SHAPE(3), 0, 1, 1);
}

static fa_tensor *wide(fa_tensor *x)
{
    return fa_to_dtype(x, FA_FLOAT64);
}

/* ---- Losses --------------------------------------------------------------------------------------------------------
 */

PROGRAM(mse_shapes)
{
    AT(fa_mse_loss(fa_randn(3, 2), wrong ? fa_randn(3) : fa_randn(2)));
}

PROGRAM(mse_integers)
{
    AT(fa_mse_loss(whole(), wrong ? whole() : fa_randn(3)));
}

PROGRAM(mse_weight)
{
    AT(fa_mse_loss(fa_randn(3, 2), fa_randn(3, 2), .weight = wrong ? fa_rand(2) : fa_rand(3, 2)));
}

PROGRAM(l1_shapes)
{
    AT(fa_l1_loss(fa_randn(3, 2), wrong ? fa_randn(3) : fa_randn(3, 1)));
}

PROGRAM(smooth_l1_beta)
{
    AT(fa_smooth_l1_loss(fa_randn(3), fa_randn(3), .beta = wrong ? -1 : 0));
}

PROGRAM(huber_delta)
{
    AT(fa_huber_loss(fa_randn(3), fa_randn(3), .delta = wrong ? 0 : 0.1));
}

PROGRAM(bce_shapes)
{
    AT(fa_binary_cross_entropy(wrong ? fa_rand(4, 1) : fa_rand(4), fa_rand(4)));
}

PROGRAM(bce_input)
{
    AT(fa_binary_cross_entropy(wrong ? fa_add(fa_rand(3), 2) : fa_rand(3), fa_rand(3)));
}

PROGRAM(bce_target)
{
    AT(fa_binary_cross_entropy(fa_rand(3), wrong ? fa_sub(fa_rand(3), 2) : fa_rand(3)));
}

PROGRAM(bce_dtype)
{
    AT(fa_binary_cross_entropy(fa_rand(3), wrong ? wide(fa_rand(3)) : fa_rand(3)));
}

PROGRAM(bce_weight)
{
    AT(fa_binary_cross_entropy(fa_rand(3, 2), fa_rand(3, 2), .weight = wrong ? fa_rand(3) : fa_rand(2)));
}

PROGRAM(bce_weight_gradient)
{
    AT(fa_binary_cross_entropy(fa_rand(3), fa_rand(3), .weight = wrong ? leaf() : fa_detach(leaf())));
}

PROGRAM(logits_shapes)
{
    AT(fa_binary_cross_entropy_with_logits(wrong ? fa_randn(4, 1) : fa_randn(4), fa_rand(4)));
}

PROGRAM(logits_integers)
{
    AT(fa_binary_cross_entropy_with_logits(fa_randn(3), wrong ? whole() : fa_to_dtype(whole(), FA_FLOAT32)));
}

PROGRAM(logits_weight)
{
    AT(fa_binary_cross_entropy_with_logits(fa_randn(2), fa_rand(2), .weight = wrong ? fa_rand(3, 2) : fa_rand(2)));
}

PROGRAM(logits_positive)
{
    AT(fa_binary_cross_entropy_with_logits(fa_randn(3, 2), fa_rand(3, 2),
                                           .pos_weight = wrong ? fa_rand(3) : fa_rand(3, 1)));
}

PROGRAM(mse_beta)
{
    AT(fa_mse_loss(fa_rand(3), fa_rand(3), .beta = wrong ? 0.5 : 1));
}

PROGRAM(l1_delta)
{
    AT(fa_l1_loss(fa_rand(3), fa_rand(3), .delta = wrong ? 0.5 : 1));
}

PROGRAM(smooth_l1_delta)
{
    AT(fa_smooth_l1_loss(fa_rand(3), fa_rand(3), .beta = 0.5, .delta = wrong ? 0.5 : 1));
}

PROGRAM(huber_beta)
{
    AT(fa_huber_loss(fa_rand(3), fa_rand(3), .delta = 0.5, .beta = wrong ? 0.5 : 1));
}

PROGRAM(nn_mse_delta)
{
    fa_free(AT(fa_nn_mse_loss(.delta = wrong ? 2 : 1)));
}

PROGRAM(kl_div_shapes)
{
    AT(fa_kl_div(fa_randn(3, 2), wrong ? fa_rand(3) : fa_rand(2)));
}

PROGRAM(kl_div_integers)
{
    AT(fa_kl_div(wrong ? whole() : fa_randn(3), whole()));
}

/* ---- Autograd ------------------------------------------------------------------------------------------------------
 */

PROGRAM(grad_not_used)
{
    fa_tensor *x = leaf(), *y = leaf(), *grads[1];
    AT(fa_autograd_grad(FA_TENSORS(fa_sum(x)), FA_TENSORS(wrong ? y : x), grads));
}

PROGRAM(grad_of_plain)
{
    fa_tensor *x = leaf(), *plain = fa_randn(3), *grads[1];
    AT(fa_autograd_grad(FA_TENSORS(fa_sum(x)), FA_TENSORS(wrong ? plain : x), grads));
}

PROGRAM(grad_not_scalar)
{
    fa_tensor *x = leaf(), *y = fa_mul(x, 2), *grads[1];
    AT(fa_autograd_grad(FA_TENSORS(wrong ? y : fa_sum(y)), FA_TENSORS(x), grads));
}

PROGRAM(grad_twice)
{
    fa_tensor *x = leaf(), *y = fa_sum(fa_exp(x)), *grads[1];
    fa_autograd_grad(FA_TENSORS(y), FA_TENSORS(x), grads, .retain_graph = !wrong);
    AT(fa_autograd_grad(FA_TENSORS(y), FA_TENSORS(x), grads));
}

PROGRAM(grad_counts)
{
    fa_tensor *x = leaf(), *ones = fa_ones(3), *grads[1];
    fa_tensor_list given = wrong ? FA_TENSORS(ones) : FA_TENSORS(ones, ones);
    AT(fa_autograd_grad(FA_TENSORS(fa_mul(x, 2), fa_mul(x, 3)), FA_TENSORS(x), grads, .grad_outputs = given));
}

PROGRAM(retain_plain)
{
    AT(fa_retain_grad(wrong ? fa_randn(3) : fa_mul(leaf(), 2)));
}

PROGRAM(clip_not_finite)
{
    fa_tensor *x = leaf();
    fa_backward(fa_sum(fa_mul(x, wrong ? INFINITY : 2.0)));
    AT(fa_clip_grad_norm_(FA_TENSORS(x), 1, .error_if_nonfinite = true));
}

/* ---- Optimizers, averages ------------------------------------------------------------------------------------------
 */

PROGRAM(group_twice)
{
    fa_tensor *x = leaf();
    fa_optim *optim = fa_sgd(FA_TENSORS(x), 0.1);
    AT(fa_add_param_group(optim, FA_TENSORS(wrong ? x : leaf())));
    fa_free(optim);
}

PROGRAM(group_nesterov)
{
    fa_optim *optim = fa_sgd(FA_TENSORS(leaf()), 0.1);
    AT(fa_add_param_group(optim, FA_TENSORS(leaf()), .nesterov = true, .momentum = wrong ? 0 : 0.9));
    fa_free(optim);
}

#define MAKES(name, call)                                                                                              \
    PROGRAM(name)                                                                                                      \
    {                                                                                                                  \
        fa_optim *optim = AT(call);                                                                                    \
        fa_free(optim);                                                                                                \
    }
MAKES(rmsprop_alpha, fa_rmsprop(FA_TENSORS(leaf()), .alpha = wrong ? -1 : 0))
MAKES(rmsprop_momentum, fa_rmsprop(FA_TENSORS(leaf()), .momentum = wrong ? -1 : 0))
MAKES(rmsprop_eps, fa_rmsprop(FA_TENSORS(leaf()), .eps = wrong ? -1 : 0))
MAKES(adagrad_decay, fa_adagrad(FA_TENSORS(leaf()), .lr_decay = wrong ? -1 : 0))
MAKES(adagrad_start, fa_adagrad(FA_TENSORS(leaf()), .initial_accumulator_value = wrong ? -1 : 0))

PROGRAM(ema_decay)
{
    fa_module *layer = fa_nn_linear(2, 2);
    fa_ema *ema = AT(fa_ema_new(layer, .decay = wrong ? 1.5 : 1));
    fa_free(ema);
    fa_free(layer);
}

/* ---- Schedules -----------------------------------------------------------------------------------------------------
 */

static fa_optim *sgd(void)
{
    return fa_sgd(FA_TENSORS(leaf()), 0.1, .momentum = 0.9);
}

#define SCHEDULES(name, call)                                                                                          \
    PROGRAM(name)                                                                                                      \
    {                                                                                                                  \
        fa_optim *o = sgd();                                                                                           \
        fa_scheduler *schedule = AT(call);                                                                             \
        fa_free(schedule);                                                                                             \
        fa_free(o);                                                                                                    \
    }
SCHEDULES(linear_start, fa_linear_lr(o, .start_factor = wrong ? 0 : 0.1))
SCHEDULES(linear_end, fa_linear_lr(o, .end_factor = wrong ? 2 : 0))
SCHEDULES(constant_factor, fa_constant_lr(o, .factor = wrong ? 2 : 1))
SCHEDULES(restarts_start, fa_cosine_annealing_warm_restarts(o, wrong ? 0 : 1))
SCHEDULES(restarts_mult, fa_cosine_annealing_warm_restarts(o, 3, .T_mult = wrong ? 0 : 1))
SCHEDULES(cycle_steps, fa_one_cycle_lr(o, 0.1, .total_steps = wrong ? 0 : 10))
SCHEDULES(cycle_part, fa_one_cycle_lr(o, 0.1, .total_steps = 10, .pct_start = wrong ? 1.5 : 0.5))
SCHEDULES(cycle_phase, fa_one_cycle_lr(o, 0.1, .total_steps = 10, .pct_start = wrong ? 0.1 : 0.2))
SCHEDULES(plateau_factor, fa_reduce_lr_on_plateau(o, .factor = wrong ? 1 : 0.5))
SCHEDULES(sequence_milestones, fa_sequential_lr(o, FA_SCHEDULES(fa_step_lr(o, 1), fa_step_lr(o, 2)),
                                                wrong ? FA_MILESTONES(1, 2) : FA_MILESTONES(1)))
SCHEDULES(chain_plateau, fa_chained_scheduler(FA_SCHEDULES(wrong ? fa_reduce_lr_on_plateau(o) : fa_step_lr(o, 1))))

PROGRAM(cycle_momentum)
{
    fa_optim *optim = fa_adagrad(FA_TENSORS(leaf()));
    fa_scheduler *schedule = AT(fa_one_cycle_lr(optim, 0.1, .total_steps = 10, .cycle_momentum = wrong));
    fa_free(schedule);
    fa_free(optim);
}

PROGRAM(cycle_beyond)
{
    fa_optim *optim = sgd();
    fa_scheduler *schedule = fa_one_cycle_lr(optim, 0.1, .total_steps = 5);
    for (int i = 0; i < 5; i++)
        fa_step(schedule);
    if (wrong)
        AT(fa_step(schedule));
    fa_free(schedule);
    fa_free(optim);
}

PROGRAM(plateau_step)
{
    fa_optim *optim = sgd();
    fa_scheduler *schedule = fa_reduce_lr_on_plateau(optim);
    AT(wrong ? fa_step(schedule) : fa_step_metric(schedule, 1));
    fa_free(schedule);
    fa_free(optim);
}

PROGRAM(sequence_optimizers)
{
    fa_optim *optim = sgd(), *other = sgd();
    fa_scheduler *part = fa_step_lr(wrong ? other : optim, 1);
    fa_scheduler *schedule = AT(fa_sequential_lr(optim, FA_SCHEDULES(part), ((fa_milestones){0})));
    fa_free(schedule);
    fa_free(optim);
    fa_free(other);
}

static const mistake mistakes[] = {
    {"mse_loss: shapes", mse_shapes, "mse_loss", NULL, "[3]", "equal or 1"},
    {"mse_loss: integers", mse_integers, "mse_loss", NULL, "int64", "float32"},
    {"mse_loss: weight of another shape", mse_weight, "mse_loss", NULL, "[2]", "[3, 2]"},
    {"l1_loss: shapes", l1_shapes, "l1_loss", NULL, "[3]", "equal or 1"},
    {"smooth_l1_loss: negative beta", smooth_l1_beta, "smooth_l1_loss", NULL, "-1", "0"},
    {"huber_loss: delta 0", huber_delta, "huber_loss", NULL, "0", "more than 0"},
    {"bce: shapes", bce_shapes, "binary_cross_entropy", NULL, "[4]", "[4, 1]"},
    {"bce: input outside 0..1", bce_input, "binary_cross_entropy", NULL, "input", "0 to 1"},
    {"bce: target outside 0..1", bce_target, "binary_cross_entropy", NULL, "target", "0 to 1"},
    {"bce: float64 target", bce_dtype, "binary_cross_entropy", NULL, "float64", "float32"},
    {"bce: weight that does not repeat", bce_weight, "binary_cross_entropy", NULL, "[3]", "[3, 2]"},
    {"bce: weight with a gradient", bce_weight_gradient, "binary_cross_entropy", NULL, "gradients", "constants"},
    {"bce_with_logits: shapes", logits_shapes, "binary_cross_entropy_with_logits", NULL, "[4]", "[4, 1]"},
    {"bce_with_logits: integer target", logits_integers, "binary_cross_entropy_with_logits", NULL, "int64", "float32"},
    {"bce_with_logits: weight that is wider", logits_weight, "binary_cross_entropy_with_logits", NULL, "[3, 2]", "[2]"},
    {"bce_with_logits: pos_weight that does not repeat", logits_positive, "binary_cross_entropy_with_logits", NULL,
     "pos_weight [3]", "[3, 2]"},
    {"mse_loss: beta", mse_beta, "mse_loss", NULL, "beta 0.5", "fa_smooth_l1_loss"},
    {"l1_loss: delta", l1_delta, "l1_loss", NULL, "delta 0.5", "fa_huber_loss"},
    {"smooth_l1_loss: delta", smooth_l1_delta, "smooth_l1_loss", NULL, "delta 0.5", "fa_huber_loss"},
    {"huber_loss: beta", huber_beta, "huber_loss", NULL, "beta 0.5", "fa_smooth_l1_loss"},
    {"nn.MSELoss: delta", nn_mse_delta, "fa_nn_mse_loss", NULL, "delta 2", "fa_nn_huber_loss"},
    {"kl_div: shapes", kl_div_shapes, "kl_div", NULL, "[3]", "equal or 1"},
    {"kl_div: integers", kl_div_integers, "kl_div", NULL, "int64", "float32"},
    {"autograd.grad: input not used", grad_not_used, "autograd_grad", NULL, "input 0", "allow_unused"},
    {"autograd.grad: input without a gradient", grad_of_plain, "autograd_grad", NULL, "input 0", "requires"},
    {"autograd.grad: not a scalar", grad_not_scalar, "autograd_grad", NULL, "[3]", "single number"},
    {"autograd.grad: twice", grad_twice, "autograd_grad", NULL, "sum recorded", "retain_graph"},
    {"autograd.grad: one gradient for two outputs", grad_counts, "autograd_grad", NULL, "1 grad_outputs", "2"},
    {"retain_grad: no history", retain_plain, "retain_grad", NULL, "without history", "gradients"},
    {"clip_grad_norm_: not finite", clip_not_finite, "clip_grad_norm_", NULL, "inf", "finite"},
    {"group: a parameter twice", group_twice, "add_param_group", NULL, "earlier group", "one group"},
    {"group: nesterov without momentum", group_nesterov, "add_param_group", NULL, "momentum 0", "above 0"},
    {"RMSprop: negative alpha", rmsprop_alpha, "rmsprop", NULL, "alpha -1", "0"},
    {"RMSprop: negative momentum", rmsprop_momentum, "rmsprop", NULL, "momentum -1", "0"},
    {"RMSprop: negative eps", rmsprop_eps, "rmsprop", NULL, "eps -1", "0"},
    {"Adagrad: negative lr_decay", adagrad_decay, "adagrad", NULL, "lr_decay -1", "0"},
    {"Adagrad: negative first sum", adagrad_start, "adagrad", NULL, "initial_accumulator_value -1", "0"},
    {"LinearLR: start_factor 0", linear_start, "linear_lr", NULL, "start_factor 0", "above 0"},
    {"LinearLR: end_factor above 1", linear_end, "linear_lr", NULL, "end_factor 2", "0 to 1"},
    {"ConstantLR: factor above 1", constant_factor, "constant_lr", NULL, "factor 2", "0 to 1"},
    {"CosineAnnealingWarmRestarts: T_0 0", restarts_start, "warm_restarts", NULL, "T_0 0", "1"},
    {"CosineAnnealingWarmRestarts: T_mult 0", restarts_mult, "warm_restarts", NULL, "T_mult 0", "1"},
    {"OneCycleLR: no number of steps", cycle_steps, "one_cycle_lr", NULL, "total_steps 0", "1"},
    {"OneCycleLR: pct_start above 1", cycle_part, "one_cycle_lr", NULL, "1.5", "0 to 1"},
    {"OneCycleLR: a phase of no steps", cycle_phase, "one_cycle_lr", NULL, "0.1 of 10 steps", "more than one"},
    {"OneCycleLR: no momentum to cycle", cycle_momentum, "one_cycle_lr", NULL, "Adagrad", "momentum"},
    {"OneCycleLR: a step too many", cycle_beyond, "one_cycle_lr", NULL, "step 6", "5"},
    {"ReduceLROnPlateau: factor 1", plateau_factor, "plateau", NULL, "factor 1", "below 1"},
    {"ReduceLROnPlateau: a step without a metric", plateau_step, "plateau", NULL, "without a metric", "needs one"},
    {"SequentialLR: milestones", sequence_milestones, "sequential_lr", NULL, "2 milestones", "one milestone less"},
    {"SequentialLR: of two optimizers", sequence_optimizers, "sequential_lr", NULL, "another optimizer", "one"},
    {"ChainedScheduler: a plateau", chain_plateau, "chained", NULL, "ReduceLROnPlateau", "no metric"},
    {"EMA: decay above 1", ema_decay, "ema_new", NULL, "1.5", "0 to 1"},
};

int main(void)
{
    return RUN_MISTAKES("errors_training", mistakes);
}
