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

/* torch.optim.lr_scheduler.StepLR: every step_size-th step multiplies the learning rate by gamma. Holds the optimizer.
 */
typedef struct fa_step_lr_args {
    char begin_;
    fa_optim *optim;
    int64_t step_size;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double gamma;
} fa_step_lr_args;
FA_API fa_scheduler *fa_step_lr_at(const fa_step_lr_args *args);
#define fa_step_lr(...) FA_CALL_(fa_step_lr_at, fa_step_lr_args, .gamma = 0.1, .begin_ = 0, __VA_ARGS__)

/* One update of every parameter that has a gradient; one step of a schedule. False after an error, and then nothing
 * has changed. */
FA_API bool fa_optim_step_at(fa_optim *optim, fa_where where);
FA_API bool fa_scheduler_step_at(fa_scheduler *scheduler, fa_where where);
#define fa_step(x) _Generic((x), fa_optim * : fa_optim_step_at, fa_scheduler * : fa_scheduler_step_at)((x), FA_HERE)

/* Drops the gradients (they are then undefined, as PyTorch's None) of an optimizer's or a module's parameters. */
FA_API bool fa_optim_zero_grad_at(fa_optim *optim, fa_where where);
#define fa_zero_grad(x)                                                                                                \
    _Generic((x), fa_optim * : fa_optim_zero_grad_at, fa_module * : fa_module_zero_grad_at)((x), FA_HERE)

/* The learning rate of the next step. */
FA_API double fa_lr(const fa_optim *optim);
FA_API bool fa_set_lr_at(fa_optim *optim, double lr, fa_where where);
#define fa_set_lr(optim, lr) fa_set_lr_at((optim), (lr), FA_HERE)

/* What fa_free calls. */
FA_API void fa_optim_free(fa_optim *optim);
FA_API void fa_scheduler_free(fa_scheduler *scheduler);
/* Those that have not been freed yet, in the whole process. */
FA_API int64_t fa_optim_live_count(void);
FA_API int64_t fa_scheduler_live_count(void);

#ifdef __cplusplus
}
#endif
#endif
