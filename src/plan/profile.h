/* How long the steps of a plan take: for FACULA_VERBOSE=1 and fa_profiler_start. */
#ifndef FA_PLAN_PROFILE_H
#define FA_PLAN_PROFILE_H

#include "plan/plan.h"

/* Whether somebody asks for times. */
bool fa_plan_is_timed(void);

/* What one kernel call, or several that run as one, had to do. */
typedef struct fa_work {
    int steps;
    double flops, bytes;
    fa_meta in, out; /* of the first step */
} fa_work;

/* `node`: whose op the step computes, or NULL. */
void fa_plan_add_work(fa_work *work, const fa_step *step, const fa_node *node, const fa_kernel_args *args);
void fa_plan_report(const fa_work *work, const fa_step *step, double seconds);

#endif
