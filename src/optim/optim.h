/* What is behind an optimizer and a schedule. Kinds of optimizers differ in their constructor and in the effect that
 * they record for a parameter; kinds of schedules in how a step changes the groups' rates. */
#ifndef FA_OPTIM_OPTIM_H
#define FA_OPTIM_OPTIM_H

#include "facula/files.h"
#include "facula/optim.h"
#include "tensor/node.h"

enum { FA_OPTIM_STATES = 3 };

typedef struct fa_optim_parameter {
    fa_leaf *leaf;
    fa_leaf *state[FA_OPTIM_STATES]; /* made at the parameter's first step; NULL: not used by this kind */
    int64_t steps;                   /* that this parameter took part in */
    int64_t first;                   /* the step for which the latest of the state was made; 0: read from a file */
} fa_optim_parameter;

/* What can be set for each group by itself; a kind reads those that it knows. */
typedef struct fa_optim_options {
    double lr, momentum, dampening, weight_decay;
    double betas[2], eps;                       /* Adam; eps: all but SGD */
    double alpha;                               /* RMSprop */
    double lr_decay, initial_accumulator_value; /* Adagrad */
    bool nesterov, amsgrad, centered, maximize;
} fa_optim_options;

typedef struct fa_optim_group {
    fa_optim_options now;
    bool scheduled;                                     /* a schedule has set initial_lr */
    double initial_lr;                                  /* the rate when the first schedule was made */
    double max_lr, min_lr, max_momentum, base_momentum; /* of a one-cycle schedule */
    bool cycled, cycled_momentum;                       /* one has set its rates; its momenta too */
    bool loaded;                                        /* a state dict was loaded, no schedule has stepped since */
    double loaded_lr, loaded_momentum;                  /* what it had, whatever making a schedule did to them */
    int64_t count;
    fa_optim_parameter *parameter;
} fa_optim_group;

struct fa_optim {
    atomic_int refs;
    const struct fa_optim_kind *kind;
    fa_optim_options defaults;
    int64_t group_count;
    char note[512];         /* fa_optim_notes */
    fa_optim_group **group; /* each stays where it is: steps that are still to be run point at its counts */
};

typedef struct fa_optim_kind {
    const char *name, *what; /* "SGD", "fa_sgd" */
    bool counts_steps;       /* PyTorch keeps `step` among the state */
    bool state_at_once;      /* state is made with the group, not at the first step */
    bool has_momentum, has_betas;
    /* Whether options are possible; false after raising an error at `where`. */
    bool (*check)(const fa_optim_options *options, const char *what, fa_where where);
    /* PyTorch's name of a state leaf; NULL: this group has none at k. */
    const char *(*state_name)(const fa_optim_options *options, int k);
    double (*state_start)(const fa_optim_options *options); /* NULL: 0 */
    /* Records the step of one parameter; steps is its number, from 1. False after an error. */
    bool (*record)(const fa_optim_options *options, const fa_optim_parameter *parameter, fa_node *weight, fa_node *grad,
                   int64_t steps);
} fa_optim_kind;

/* An optimizer over these parameters, one reference. NULL after an error; silent for an empty list while one is set. */
fa_optim *fa_optim_make(const fa_optim_kind *kind, fa_tensor_list params, const fa_optim_options *options,
                        fa_where where);
/* value >= 0; false after raising an error that names the option. */
bool fa_optim_check(double value, const char *what, const char *option, fa_where where);
fa_optim *fa_optim_retain(fa_optim *optim);

/* The state of one parameter as PyTorch names and orders it: its `step` where the kind counts them, then its tensors.
 * A parameter that never took part has none. Returns how many entries were filled. */
typedef struct fa_optim_state {
    const char *name;
    fa_leaf *leaf; /* NULL: `step`, a number */
    int64_t *step;
} fa_optim_state;
int fa_optim_state_list(fa_optim *optim, int64_t group, int64_t parameter, fa_optim_state entry[FA_OPTIM_STATES + 1]);
/* Makes the state tensors of one parameter that are still missing. False after an error. */
bool fa_optim_make_state(const fa_optim *optim, fa_optim_group *group, fa_optim_parameter *parameter);

/* ---- Schedules ---- */

/* A schedule's state dict while it is loaded, twice: first everything is checked and nothing is changed, then it is put
 * in its place and nothing can fail. */
typedef struct fa_schedule_reader {
    fa_value *dict;
    bool commit;
    fa_where where;
} fa_schedule_reader;

typedef struct fa_schedule_kind {
    const char *name, *what; /* "StepLR", "fa_step_lr" */
    /* The rates at scheduler->epoch, which has just risen by one. False after an error: the epoch goes back. */
    bool (*step)(fa_scheduler *scheduler, fa_where where);
    /* The same in closed form, at the start of a phase of a sequence; NULL: `step` does it. */
    void (*closed)(fa_scheduler *scheduler);
    void (*release)(fa_scheduler *scheduler); /* NULL: nothing to release */
    /* PyTorch's state dict: adds the schedule's own entries, and reads them. False after an error. */
    bool (*put)(const fa_scheduler *scheduler, fa_value *dict, fa_where where);
    bool (*take)(fa_scheduler *scheduler, const fa_schedule_reader *reader);
    bool own_last;  /* its own entries come after the common ones */
    bool own_only;  /* it has no common ones */
    bool uncounted; /* its _step_count stays 0 */
} fa_schedule_kind;

struct fa_scheduler {
    const fa_schedule_kind *kind;
    fa_optim *optim;
    int64_t epoch;
    bool initial;    /* the step that is done when it is made */
    bool held;       /* in a sequence or chain, which frees it */
    int64_t bases;   /* groups when it was made */
    double *base_lr; /* their initial_lr */
    double *last_lr; /* their rates after its latest step */
    int64_t count;   /* PyTorch's _step_count */
};

/* `size` bytes for a schedule of `optim`, zeroed, at epoch last_epoch (-1 to begin), that has noted the groups' initial
 * rates. NULL after an error. */
void *fa_scheduler_make(size_t size, const fa_schedule_kind *kind, fa_optim *optim, int64_t last_epoch, fa_where where);
/* Its step at the next epoch, 0 to begin: what ends a constructor. NULL after an error; the schedule is freed then. */
fa_scheduler *fa_scheduler_start(fa_scheduler *scheduler, fa_where where);
/* The next step, whatever is set beside it. False after an error. */
bool fa_scheduler_advance(fa_scheduler *scheduler, fa_where where);
/* Notes the groups' rates as those after its latest step. */
void fa_scheduler_note(fa_scheduler *scheduler);
/* Its state dict, and the reading of one, as a part of a sequence or chain too. NULL, false after an error. */
fa_value *fa_scheduler_put_state(const fa_scheduler *scheduler, fa_where where);
bool fa_scheduler_take_state(fa_scheduler *scheduler, const fa_schedule_reader *reader);
/* Entries: numbers that are there and finite, whole ones of at least `least`; lists of `count`. False after an error.
 * What is read goes to `out` at commit only. */
bool fa_take_int(const fa_schedule_reader *reader, const char *name, int64_t *out, int64_t least);
bool fa_take_float(const fa_schedule_reader *reader, const char *name, double *out);
bool fa_take_bool(const fa_schedule_reader *reader, const char *name, bool *out);
bool fa_take_floats(const fa_schedule_reader *reader, const char *name, double *out, int64_t count);
/* The entry of a kind; NULL after an error. */
fa_value *fa_take_value(const fa_schedule_reader *reader, const char *name, fa_value_kind kind);
/* A list of floats; those that are 0 as PyTorch's default, the int, where `zero`. */
fa_value *fa_floats_value(const double *number, int64_t count, bool zero, fa_where where);
/* False after raising an error unless one is set: NULL. */
bool fa_scheduler_check_optim(const fa_optim *optim, const char *what, fa_where where);
/* Raises "got NAME VALUE, needs NEED"; returns false. */
bool fa_scheduler_refuse(const char *what, const char *name, double value, const char *need, fa_where where);
/* Sets the momentum of a group, or the first beta. */
void fa_optim_set_momentum(const fa_optim *optim, fa_optim_group *group, double momentum);

#endif
