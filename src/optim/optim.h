/* What is behind an optimizer. Kinds differ in their constructor and in the effect that they record for a parameter. */
#ifndef FA_OPTIM_OPTIM_H
#define FA_OPTIM_OPTIM_H

#include "facula/optim.h"
#include "tensor/node.h"

enum { FA_OPTIM_STATES = 3 };

typedef struct fa_optim_parameter {
    fa_leaf *leaf;
    fa_leaf *state[FA_OPTIM_STATES]; /* made at the parameter's first step; NULL: not used by this kind */
    int64_t steps;                   /* that this parameter took part in */
} fa_optim_parameter;

struct fa_optim {
    atomic_int refs;
    const struct fa_optim_kind *kind;
    double lr;
    double momentum, dampening; /* SGD */
    double betas[2], eps;       /* Adam */
    double weight_decay;
    bool nesterov, amsgrad, maximize, decoupled;
    int64_t count;
    fa_optim_parameter *parameter;
};

typedef struct fa_optim_kind {
    const char *name;
    int (*states)(const fa_optim *optim); /* leaves of state that a parameter needs */
    /* Records the step of one parameter; steps is its number, from 1. False after an error. */
    bool (*record)(const fa_optim *optim, const fa_optim_parameter *parameter, fa_node *weight, fa_node *grad,
                   int64_t steps);
} fa_optim_kind;

/* An optimizer over these parameters, one reference. NULL after an error; silent for an empty list while one is set. */
fa_optim *fa_optim_make(const fa_optim_kind *kind, const char *what, fa_tensor_list params, double lr, fa_where where);
/* value >= 0; false after raising an error that names the option. */
bool fa_optim_check(double value, const char *what, const char *option, fa_where where);
fa_optim *fa_optim_retain(fa_optim *optim);

#endif
