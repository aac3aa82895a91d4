/* Goes on with a training that PyTorch began (compare_states.py): reads IN.pth, does its steps, writes OUT.pth.
 * usage: torch_states IN.pth OUT.pth */
#include <facula.h>
#include <stdio.h>
#include <string.h>

static double number(fa_value *options, const char *name, double otherwise)
{
    return fa_has(options, name) ? fa_get_float(options, name) : otherwise;
}

/* Options come with the state; those that decide what may be loaded are given. */
static fa_optim *make_optim(const char *kind, fa_value *o, fa_tensor_list p)
{
    if (strcmp(kind, "SGD") == 0)
        return fa_sgd(p, 0.3, .momentum = number(o, "momentum", 0));
    if (strcmp(kind, "Adam") == 0)
        return fa_adam(p, 0.3);
    if (strcmp(kind, "AdamW") == 0)
        return fa_adamw(p, 0.3);
    if (strcmp(kind, "RMSprop") == 0)
        return fa_rmsprop(p, 0.3);
    return fa_adagrad(p, 0.3);
}

static fa_scheduler *make_schedule(const char *name, fa_optim *optim)
{
    if (strcmp(name, "StepLR") == 0)
        return fa_step_lr(optim, 100);
    if (strcmp(name, "MultiStepLR") == 0)
        return fa_multi_step_lr(optim, FA_MILESTONES(100));
    if (strcmp(name, "ExponentialLR") == 0)
        return fa_exponential_lr(optim, 0.5);
    if (strcmp(name, "LinearLR") == 0)
        return fa_linear_lr(optim);
    if (strcmp(name, "CosineAnnealingLR") == 0)
        return fa_cosine_annealing_lr(optim, 100);
    if (strcmp(name, "CosineAnnealingWarmRestarts") == 0)
        return fa_cosine_annealing_warm_restarts(optim, 100);
    fa_scheduler *first = fa_linear_lr(optim), *second = fa_exponential_lr(optim, 0.5);
    return fa_sequential_lr(optim, FA_SCHEDULES(first, second), FA_MILESTONES(100));
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    fa_value *in = fa_load(argv[1]);
    fa_value *weights = fa_get(in, "weights"), *grads = fa_get(in, "grads");
    fa_tensor *p[2];
    for (int k = 0; k < 2; k++) {
        fa_tensor *start = fa_as_tensor(fa_value_at(weights, k));
        p[k] = fa_zeros_with(fa_shape_of(start), .requires_grad = true);
        fa_no_grad {
            fa_copy_from(p[k], fa_data(start));
        }
    }
    fa_optim *optim = make_optim(fa_get_string(in, "kind"), fa_get(in, "options"), FA_TENSORS(p[0]));
    fa_add_param_group(optim, FA_TENSORS(p[1]));
    fa_load_state_dict(optim, fa_get(in, "optim"));
    fa_scheduler *schedule = make_schedule(fa_get_string(in, "schedule_name"), optim);
    fa_load_state_dict(schedule, fa_get(in, "schedule"));
    for (int64_t t = 0; t < fa_len(grads) && fa_ok(); t++)
        fa_scope {
            fa_zero_grad(optim);
            for (int k = 0; k < 2; k++)
                fa_backward(fa_sum(fa_mul(p[k], fa_as_tensor(fa_value_at(fa_value_at(grads, t), k)))));
            fa_step(optim);
            fa_step(schedule);
        }
    fa_save(fa_dict("weights", fa_list(p[0], p[1]), "optim", fa_state_dict(optim), "schedule", fa_state_dict(schedule)),
            argv[2]);
    fa_free(schedule);
    fa_free(optim);
    if (!fa_ok())
        fprintf(stderr, "%s\n", fa_error());
    return fa_ok() ? 0 : 1;
}
