/* Optimizers and learning rate schedules, in PyTorch's words and with its arithmetic.
 *
 * An optimizer holds the parameters it was given (not the module) and its state; it is counted, and fa_free releases
 * it. A parameter without a gradient is skipped: no state, no weight decay, no count. Constructors return NULL after
 * an error; a step refuses while the thread has one, so nobody trains through an error. */
#ifndef FACULA_OPTIM_H
#define FACULA_OPTIM_H

#include "facula/nn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fa_optim fa_optim;
typedef struct fa_scheduler fa_scheduler;

/* torch.optim.SGD: g = grad + weight_decay*p; b = momentum*b + (1 - dampening)*g, the first time b = g;
 * p -= lr*b, with nesterov p -= lr*(g + momentum*b). */
typedef struct fa_sgd_args {
    char begin_;
    fa_tensor_list params;
    double lr;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double momentum, dampening, weight_decay;
    bool nesterov, maximize;
} fa_sgd_args;
FA_API fa_optim *fa_sgd_at(const fa_sgd_args *args);
/* fa_sgd(fa_parameters(model), 0.1, .momentum = 0.9) */
#define fa_sgd(...) FA_CALL_(fa_sgd_at, fa_sgd_args, .lr = 1e-3, .begin_ = 0, __VA_ARGS__)

/* torch.optim.Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019): m = b1*m + (1 - b1)*g,
 * v = b2*v + (1 - b2)*g*g, p -= lr * m/(1 - b1^t) / (sqrt(v/(1 - b2^t)) + eps). weight_decay adds to the gradient in
 * Adam and shrinks the weight in AdamW. amsgrad: v's largest value so far. */
typedef struct fa_adam_args {
    char begin_;
    fa_tensor_list params;
    double lr;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double betas[2];
    double eps, weight_decay;
    bool amsgrad, maximize;
} fa_adam_args;
#define FA_ADAM_DEFAULTS .lr = 1e-3, .betas = {0.9, 0.999}, .eps = 1e-8
FA_API fa_optim *fa_adam_at(const fa_adam_args *args);
FA_API fa_optim *fa_adamw_at(const fa_adam_args *args);
/* fa_adam(fa_parameters(model), 1e-3, .betas = {0.9, 0.99}) */
#define fa_adam(...) FA_CALL_(fa_adam_at, fa_adam_args, FA_ADAM_DEFAULTS, .begin_ = 0, __VA_ARGS__)
#define fa_adamw(...)                                                                                                  \
    FA_CALL_(fa_adamw_at, fa_adam_args, FA_ADAM_DEFAULTS, .weight_decay = 1e-2, .begin_ = 0, __VA_ARGS__)

/* torch.optim.RMSprop: s = alpha*s + (1 - alpha)*g*g, p -= lr * g/(sqrt(s) + eps). centered: s less the square of the
 * gradient's own running mean. With momentum: b = momentum*b + g/(sqrt(s) + eps), p -= lr*b. */
typedef struct fa_rmsprop_args {
    char begin_;
    fa_tensor_list params;
    double lr;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double alpha, eps, weight_decay, momentum;
    bool centered, maximize;
} fa_rmsprop_args;
FA_API fa_optim *fa_rmsprop_at(const fa_rmsprop_args *args);
#define fa_rmsprop(...)                                                                                                \
    FA_CALL_(fa_rmsprop_at, fa_rmsprop_args, .lr = 1e-2, .alpha = 0.99, .eps = 1e-8, .begin_ = 0, __VA_ARGS__)

/* torch.optim.Adagrad (Duchi, Hazan and Singer 2011): s = s + g*g from initial_accumulator_value on,
 * p -= lr/(1 + (t - 1)*lr_decay) * g/(sqrt(s) + eps). */
typedef struct fa_adagrad_args {
    char begin_;
    fa_tensor_list params;
    double lr;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double lr_decay, weight_decay, initial_accumulator_value, eps;
    bool maximize;
} fa_adagrad_args;
FA_API fa_optim *fa_adagrad_at(const fa_adagrad_args *args);
#define fa_adagrad(...) FA_CALL_(fa_adagrad_at, fa_adagrad_args, .lr = 1e-2, .eps = 1e-10, .begin_ = 0, __VA_ARGS__)

/* ---- Parameter groups ----------------------------------------------------------------------------------------------
 */

/* Further parameters with options of their own; what is not written is as the optimizer was made with. Options that the
 * kind does not have are ignored. A parameter may be in one group alone. False after an error, and then nothing has
 * changed.
 *
 *     fa_optim *optim = fa_sgd(fa_parameters(head), 0.1, .momentum = 0.9);                group 0
 *     fa_add_param_group(optim, fa_parameters(body), .lr = 0.01, .weight_decay = 0);      group 1, momentum 0.9 */
typedef struct fa_group_args {
    char begin_;
    fa_optim *optim;
    fa_tensor_list params;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double lr, momentum, dampening, weight_decay, betas[2], eps, alpha, lr_decay, initial_accumulator_value;
    int nesterov, amsgrad, centered, maximize;
} fa_group_args;
#define FA_OPTIM_DEFAULT (-0x1p1000)
#define FA_GROUP_DEFAULTS                                                                                              \
    .lr = FA_OPTIM_DEFAULT, .momentum = FA_OPTIM_DEFAULT, .dampening = FA_OPTIM_DEFAULT,                               \
    .weight_decay = FA_OPTIM_DEFAULT, .betas = {FA_OPTIM_DEFAULT, FA_OPTIM_DEFAULT}, .eps = FA_OPTIM_DEFAULT,          \
    .alpha = FA_OPTIM_DEFAULT, .lr_decay = FA_OPTIM_DEFAULT, .initial_accumulator_value = FA_OPTIM_DEFAULT,            \
    .nesterov = -1, .amsgrad = -1, .centered = -1, .maximize = -1
FA_API bool fa_add_param_group_at(const fa_group_args *args);
#define fa_add_param_group(...)                                                                                        \
    FA_CALL_(fa_add_param_group_at, fa_group_args, FA_GROUP_DEFAULTS, .begin_ = 0, __VA_ARGS__)

FA_API int64_t fa_group_count(const fa_optim *optim);
/* The learning rate of a group's next step, and its momentum: `momentum`, or the first beta. */
FA_API double fa_group_lr_at(const fa_optim *optim, int64_t group, fa_where where);
FA_API double fa_group_momentum_at(const fa_optim *optim, int64_t group, fa_where where);
FA_API bool fa_set_group_lr_at(fa_optim *optim, int64_t group, double lr, fa_where where);
#define fa_group_lr(optim, group) fa_group_lr_at((optim), (group), FA_HERE)
#define fa_group_momentum(optim, group) fa_group_momentum_at((optim), (group), FA_HERE)
#define fa_set_group_lr(optim, group, lr) fa_set_group_lr_at((optim), (group), (lr), FA_HERE)
/* The same of the first group; and for all groups. */
FA_API double fa_lr(const fa_optim *optim);
FA_API bool fa_set_lr_at(fa_optim *optim, double lr, fa_where where);
#define fa_set_lr(optim, lr) fa_set_lr_at((optim), (lr), FA_HERE)

/* ---- Steps ---------------------------------------------------------------------------------------------------------
 */

/* One update of every parameter that has a gradient; one step of a schedule. False after an error, and then nothing
 * has changed. */
FA_API bool fa_optim_step_at(fa_optim *optim, fa_where where);
FA_API bool fa_scheduler_step_at(fa_scheduler *scheduler, fa_where where);
#define fa_step(x) _Generic((x), fa_optim * : fa_optim_step_at, fa_scheduler * : fa_scheduler_step_at)((x), FA_HERE)

/* Drops the gradients (they are then undefined, as PyTorch's None) of an optimizer's or a module's parameters. */
FA_API bool fa_optim_zero_grad_at(fa_optim *optim, fa_where where);
#define fa_zero_grad(x)                                                                                                \
    _Generic((x), fa_optim * : fa_optim_zero_grad_at, fa_module * : fa_module_zero_grad_at)((x), FA_HERE)

/* What a step has met that is hardly meant, one line, "" when nothing: gradients to which fa_backward has added since
 * the last step used them, for want of fa_zero_grad. Several fa_backward for one step are none of that. */
FA_API const char *fa_optim_notes(const fa_optim *optim);

/* ---- Learning rate schedules ---------------------------------------------------------------------------------------
 *
 * A schedule holds the optimizer and changes the rate of every group. Those that exist when it is made are scheduled;
 * rates are worked out as PyTorch's step() does, each from the one before, in double. `e` below is the number of the
 * step; at 0, when a schedule is made, some change the rate already. With .last_epoch = k a schedule goes on after step
 * k of one that the optimizer had before, whose first rates it still knows: what is made then does step k + 1. */

/* StepLR: lr *= gamma in every step_size-th step. */
typedef struct fa_step_lr_args {
    char begin_;
    fa_optim *optim;
    int64_t step_size;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double gamma;
    int64_t last_epoch;
} fa_step_lr_args;
FA_API fa_scheduler *fa_step_lr_at(const fa_step_lr_args *args);
#define fa_step_lr(...)                                                                                                \
    FA_CALL_(fa_step_lr_at, fa_step_lr_args, .gamma = 0.1, .last_epoch = -1, .begin_ = 0, __VA_ARGS__)

/* Step numbers written in the program: FA_MILESTONES(30, 80). */
typedef struct fa_milestones {
    const int64_t *at;
    int64_t count;
} fa_milestones;
#define FA_MILESTONES(...)                                                                                             \
    ((fa_milestones){(const int64_t[]){__VA_ARGS__}, (int64_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))})

/* MultiStepLR: lr *= gamma at each milestone (gamma^k at one that is listed k times).
 * fa_multi_step_lr(optim, FA_MILESTONES(30, 80), .gamma = 0.1) */
typedef struct fa_multi_step_lr_args {
    char begin_;
    fa_optim *optim;
    fa_milestones milestones;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double gamma;
    int64_t last_epoch;
} fa_multi_step_lr_args;
FA_API fa_scheduler *fa_multi_step_lr_at(const fa_multi_step_lr_args *args);
#define fa_multi_step_lr(...)                                                                                          \
    FA_CALL_(fa_multi_step_lr_at, fa_multi_step_lr_args, .gamma = 0.1, .last_epoch = -1, .begin_ = 0, __VA_ARGS__)

/* ExponentialLR: lr *= gamma in every step. */
typedef struct fa_exponential_lr_args {
    char begin_;
    fa_optim *optim;
    double gamma;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t last_epoch;
} fa_exponential_lr_args;
FA_API fa_scheduler *fa_exponential_lr_at(const fa_exponential_lr_args *args);
#define fa_exponential_lr(...)                                                                                         \
    FA_CALL_(fa_exponential_lr_at, fa_exponential_lr_args, .last_epoch = -1, .begin_ = 0, __VA_ARGS__)

/* ConstantLR: the rate times factor until step total_iters. */
typedef struct fa_constant_lr_args {
    char begin_;
    fa_optim *optim;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double factor;
    int64_t total_iters;
    int64_t last_epoch;
} fa_constant_lr_args;
FA_API fa_scheduler *fa_constant_lr_at(const fa_constant_lr_args *args);
#define fa_constant_lr(...)                                                                                            \
    FA_CALL_(fa_constant_lr_at, fa_constant_lr_args, .factor = 1.0 / 3, .total_iters = 5, .last_epoch = -1,            \
             .begin_ = 0, __VA_ARGS__)

/* LinearLR: the rate times a factor that goes from start_factor to end_factor in total_iters steps. */
typedef struct fa_linear_lr_args {
    char begin_;
    fa_optim *optim;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double start_factor, end_factor;
    int64_t total_iters;
    int64_t last_epoch;
} fa_linear_lr_args;
FA_API fa_scheduler *fa_linear_lr_at(const fa_linear_lr_args *args);
#define fa_linear_lr(...)                                                                                              \
    FA_CALL_(fa_linear_lr_at, fa_linear_lr_args, .start_factor = 1.0 / 3, .end_factor = 1, .total_iters = 5,           \
             .last_epoch = -1, .begin_ = 0, __VA_ARGS__)

/* CosineAnnealingLR (Loshchilov and Hutter 2017): half a cosine from the rate down to eta_min in T_max steps, and up
 * again in the next T_max. */
typedef struct fa_cosine_annealing_lr_args {
    char begin_;
    fa_optim *optim;
    int64_t T_max;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double eta_min;
    int64_t last_epoch;
} fa_cosine_annealing_lr_args;
FA_API fa_scheduler *fa_cosine_annealing_lr_at(const fa_cosine_annealing_lr_args *args);
#define fa_cosine_annealing_lr(...)                                                                                    \
    FA_CALL_(fa_cosine_annealing_lr_at, fa_cosine_annealing_lr_args, .last_epoch = -1, .begin_ = 0, __VA_ARGS__)

/* CosineAnnealingWarmRestarts: half a cosine down in T_0 steps, then from the top again, each T_mult times as long. */
typedef struct fa_warm_restarts_args {
    char begin_;
    fa_optim *optim;
    int64_t T_0;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t T_mult;
    double eta_min;
    int64_t last_epoch;
} fa_warm_restarts_args;
FA_API fa_scheduler *fa_cosine_annealing_warm_restarts_at(const fa_warm_restarts_args *args);
#define fa_cosine_annealing_warm_restarts(...)                                                                         \
    FA_CALL_(fa_cosine_annealing_warm_restarts_at, fa_warm_restarts_args, .T_mult = 1, .last_epoch = -1, .begin_ = 0,  \
             __VA_ARGS__)

/* OneCycleLR (Smith and Topin 2018): up from max_lr/div_factor to max_lr in pct_start of the steps, down to
 * 1/final_div_factor of where it began in the rest; with three_phase down to where it began first. cycle_momentum: the
 * momentum (Adam: the first beta) goes from max_momentum to base_momentum and back. total_steps, or epochs *
 * steps_per_epoch. More than total_steps steps are an error. */
typedef struct fa_one_cycle_lr_args {
    char begin_;
    fa_optim *optim;
    double max_lr;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t total_steps, epochs, steps_per_epoch;
    const double *max_lrs, *base_momenta, *max_momenta; /* one a group instead of max_lr, ..; NULL: the same for all */
    double pct_start;
    bool linear; /* anneal_strategy = 'linear' */
    bool cycle_momentum;
    double base_momentum, max_momentum, div_factor, final_div_factor;
    bool three_phase;
    int64_t last_epoch;
} fa_one_cycle_lr_args;
FA_API fa_scheduler *fa_one_cycle_lr_at(const fa_one_cycle_lr_args *args);
#define fa_one_cycle_lr(...)                                                                                           \
    FA_CALL_(fa_one_cycle_lr_at, fa_one_cycle_lr_args, .pct_start = 0.3, .cycle_momentum = true,                       \
             .base_momentum = 0.85, .max_momentum = 0.95, .div_factor = 25, .final_div_factor = 1e4, .last_epoch = -1, \
             .begin_ = 0, __VA_ARGS__)

/* ReduceLROnPlateau: lr *= factor, not below min_lr, once `patience` steps in a row brought nothing better. A metric is
 * better than the best so far if it is smaller (mode FA_MIN) by more than threshold: that share of the best, or with
 * threshold_abs that much. After a cut, `cooldown` steps do not count. Its step is fa_step_metric(schedule, loss). */
typedef enum fa_plateau_mode { FA_MIN, FA_MAX } fa_plateau_mode;
typedef struct fa_plateau_args {
    char begin_;
    fa_optim *optim;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_plateau_mode mode;
    double factor;
    int64_t patience;
    double threshold;
    bool threshold_abs; /* threshold_mode = 'abs' */
    int64_t cooldown;
    double min_lr, eps;    /* a cut of eps or less is not made */
    const double *min_lrs; /* one a group instead of min_lr; NULL: the same for all */
} fa_plateau_args;
FA_API fa_scheduler *fa_reduce_lr_on_plateau_at(const fa_plateau_args *args);
#define fa_reduce_lr_on_plateau(...)                                                                                   \
    FA_CALL_(fa_reduce_lr_on_plateau_at, fa_plateau_args, .factor = 0.1, .patience = 10, .threshold = 1e-4,            \
             .eps = 1e-8, .begin_ = 0, __VA_ARGS__)
FA_API bool fa_step_metric_at(fa_scheduler *scheduler, double metric, fa_where where);
#define fa_step_metric(scheduler, metric) fa_step_metric_at((scheduler), (metric), FA_HERE)

/* LambdaLR: the first rate times factor(e, context). `factors`: one a group instead. */
typedef double (*fa_lr_function)(int64_t epoch, void *context);
typedef struct fa_lambda_lr_args {
    char begin_;
    fa_optim *optim;
    fa_lr_function factor;
    struct fa_keyword_only *kw_;
    fa_where where_;
    void *context;
    const fa_lr_function *factors; /* as many as groups; read now */
    int64_t last_epoch;
} fa_lambda_lr_args;
FA_API fa_scheduler *fa_lambda_lr_at(const fa_lambda_lr_args *args);
#define fa_lambda_lr(...) FA_CALL_(fa_lambda_lr_at, fa_lambda_lr_args, .last_epoch = -1, .begin_ = 0, __VA_ARGS__)

/* Schedules of one optimizer for the two below, which free them: FA_SCHEDULES(warmup, cosine). */
typedef struct fa_schedules {
    fa_scheduler *const *schedule;
    int64_t count;
} fa_schedules;
#define FA_SCHEDULES(...)                                                                                              \
    ((fa_schedules){(fa_scheduler *[]){__VA_ARGS__},                                                                   \
                    (int64_t)(sizeof((fa_scheduler *[]){__VA_ARGS__}) / sizeof(fa_scheduler *))})
/* SequentialLR: one schedule after the other; the k-th begins at milestone k - 1.
 * fa_sequential_lr(optim, FA_SCHEDULES(warmup, cosine), FA_MILESTONES(5)) */
typedef struct fa_sequential_lr_args {
    char begin_;
    fa_optim *optim;
    fa_schedules schedules;
    fa_milestones milestones;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t last_epoch; /* steps counted already, less one; its schedules begin all the same, as PyTorch's do */
} fa_sequential_lr_args;
FA_API fa_scheduler *fa_sequential_lr_at(const fa_sequential_lr_args *args);
#define fa_sequential_lr(...)                                                                                          \
    FA_CALL_(fa_sequential_lr_at, fa_sequential_lr_args, .last_epoch = -1, .begin_ = 0, __VA_ARGS__)
/* ChainedScheduler: all of them in every step. */
FA_API fa_scheduler *fa_chained_scheduler_at(fa_schedules schedules, fa_where where);
#define fa_chained_scheduler(schedules) fa_chained_scheduler_at((schedules), FA_HERE)

/* ---- Averages of weights (torch.optim.swa_utils.AveragedModel) ------------------------------------------------------
 */

/* Running means of a module's parameters, in memory of their own. With decay: m = decay*m + (1 - decay)*w, the first
 * time m = w; without (SWA): the mean of all updates. Buffers are copied in each update; with use_buffers averaged too.
 *
 *     fa_ema *ema = fa_ema_new(model, .decay = 0.999);
 *     ... fa_step(optim); fa_ema_update(ema); ...
 *     fa_ema_swap(ema);   evaluate(model);   fa_ema_swap(ema);
 *
 * It holds the module; fa_free releases it. */
typedef struct fa_ema fa_ema;
typedef struct fa_ema_args {
    char begin_;
    fa_module *module;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double decay; /* FA_SWA: the mean of all */
    bool use_buffers;
} fa_ema_args;
#define FA_SWA (-0x1p1000)
FA_API fa_ema *fa_ema_new_at(const fa_ema_args *args);
#define fa_ema_new(...) FA_CALL_(fa_ema_new_at, fa_ema_args, .decay = FA_SWA, .begin_ = 0, __VA_ARGS__)
/* Takes the module's weights of now in. False after an error. */
FA_API bool fa_ema_update_at(fa_ema *ema, fa_where where);
#define fa_ema_update(ema) fa_ema_update_at((ema), FA_HERE)
/* The means into a module of the same shapes, which may be the one that is averaged. */
FA_API bool fa_ema_copy_to_at(fa_ema *ema, fa_module *module, fa_where where);
#define fa_ema_copy_to(ema, module) fa_ema_copy_to_at((ema), (module), FA_HERE)
/* The means and the module's weights change places: once before evaluation, and again after it. */
FA_API bool fa_ema_swap_at(fa_ema *ema, fa_where where);
#define fa_ema_swap(ema) fa_ema_swap_at((ema), FA_HERE)
/* Updates so far (n_averaged). */
FA_API int64_t fa_ema_count(const fa_ema *ema);
/* The mean of the parameter or buffer with this key of the module's state dict. An error if there is none. */
FA_API fa_tensor *fa_ema_find_at(fa_ema *ema, const char *key, fa_where where);
#define fa_ema_find(ema, key) fa_ema_find_at((ema), (key), FA_HERE)

/* What fa_free calls. */
FA_API void fa_optim_free(fa_optim *optim);
FA_API void fa_scheduler_free(fa_scheduler *scheduler);
FA_API void fa_ema_free(fa_ema *ema);
/* Those that have not been freed yet, in the whole process. */
FA_API int64_t fa_optim_live_count(void);
FA_API int64_t fa_scheduler_live_count(void);
FA_API int64_t fa_ema_live_count(void);

#ifdef __cplusplus
}
#endif
#endif
