/* A plan run on this step's memory and numbers; and the executor that tensor/ calls.
 *
 * Checks of data come first. Nothing is written before they have passed and memory for every survivor is there, so a
 * plan that fails leaves everything as it was. */
#include "plan/plan.h"

#include "base/pool.h"
#include "plan/profile.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH_GRAIN = 16384 /* elements of an optimizer's task */ };

/* ---- Mode ----------------------------------------------------------------------------------------------------------
 */

static fa_plan_mode mode;

void fa_plan_set_mode(const char *name)
{
    mode = strcmp(name, "off") == 0 ? FA_PLAN_OFF : strcmp(name, "nofuse") == 0 ? FA_PLAN_NOFUSE : FA_PLAN_FUSED;
}

fa_plan_mode fa_plan_get_mode(void)
{
    return mode;
}

__attribute__((constructor)) static void read_environment(void)
{
    const char *plan = getenv("FACULA_PLAN");
    if (plan != NULL)
        fa_plan_set_mode(plan);
}

/* ---- Running -------------------------------------------------------------------------------------------------------
 */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *external_data(const fa_external *external)
{
    const fa_node *node = external->node;
    return node->op == FA_OP_leaf ? node->leaf->buffer->data : node->value->data;
}

static void *block_data(const fa_plan *plan, const fa_run *run, char *arena, int block)
{
    const fa_block *b = &plan->blocks[block];
    switch (b->kind) {
    case FA_IN_EXTERNAL:
        return run->externals[b->index].data;
    case FA_IN_SURVIVOR:
        return run->nodes[b->index]->value->data;
    default:
        return arena + b->offset;
    }
}

static fa_kernel_args step_args(const fa_plan *plan, const fa_step *step, const fa_run *run, char *arena)
{
    fa_kernel_args args = {.ints = step->ints, .fuse = step->fuse};
    if (step->node >= 0) {
        args.floats = run->nodes[step->node]->floats;
        args.user = (void *)(uintptr_t)run->nodes[step->node]->user;
    }
    for (int i = 0; i < FA_MAX_INPUTS; i++)
        if (step->in[i] >= 0) {
            args.in[i] = block_data(plan, run, arena, step->in[i]);
            args.in_meta[i] = &step->in_meta[i];
        }
    for (int i = 0; i < FA_MAX_OUTPUTS; i++)
        if (step->out[i] >= 0) {
            args.out[i] = block_data(plan, run, arena, step->out[i]);
            args.out_meta[i] = &step->out_meta[i];
        }
    if (step->scratch >= 0)
        args.scratch = block_data(plan, run, arena, step->scratch);
    return args;
}

/* An optimizer's updates of all parameters as one piece of work: ranges of elements, each given to the op's kernel as a
 * vector of its own. */
typedef struct batch {
    const fa_plan *plan;
    const fa_run *run;
    char *arena;
    int first, count;
} batch;

static int64_t batch_elements(const batch *b, int step)
{
    return fa_meta_numel(&b->plan->steps[b->first + step].in_meta[0]);
}

static void run_range(void *context, int64_t task)
{
    const batch *b = context;
    int step = 0;
    for (int64_t tasks; step < b->count; step++, task -= tasks) {
        tasks = (batch_elements(b, step) + BATCH_GRAIN - 1) / BATCH_GRAIN;
        if (task < tasks)
            break;
    }
    int64_t begin = task * BATCH_GRAIN, length = batch_elements(b, step) - begin;
    if (length > BATCH_GRAIN)
        length = BATCH_GRAIN;
    const fa_step *s = &b->plan->steps[b->first + step];
    fa_kernel_args args = step_args(b->plan, s, b->run, b->arena);
    fa_meta piece = fa_meta_of(s->in_meta[0].dtype, 1, &length);
    for (int i = 0; i < FA_MAX_INPUTS; i++)
        if (args.in[i] != NULL) {
            args.in[i] = (char *)args.in[i] + begin * fa_dtype_size(piece.dtype);
            args.in_meta[i] = &piece;
        }
    s->run(&args);
}

static int run_batch(const fa_plan *plan, int first, const fa_run *run, char *arena)
{
    batch b = {plan, run, arena, first, 0};
    int64_t tasks = 0;
    while (first + b.count < plan->n_steps && plan->steps[first + b.count].batched &&
           plan->steps[first + b.count].run == plan->steps[first].run &&
           (b.count == 0 || !plan->steps[first + b.count].opens_batch))
        tasks += (batch_elements(&b, b.count++) + BATCH_GRAIN - 1) / BATCH_GRAIN;
    fa_parallel(tasks, run_range, &b);
    return b.count;
}

/* Steps [first, first + count), which ran together. */
static void report(const fa_plan *plan, const fa_run *run, char *arena, int first, int count, double seconds)
{
    fa_work work = {0};
    for (int s = first; s < first + count; s++) {
        const fa_step *step = &plan->steps[s];
        const fa_kernel_args args = step_args(plan, step, run, arena);
        fa_plan_add_work(&work, step, step->node >= 0 ? run->nodes[step->node] : NULL, &args);
    }
    fa_plan_report(&work, &plan->steps[first], seconds);
}

static void run_steps(const fa_plan *plan, const fa_run *run, char *arena)
{
    const bool timed = fa_plan_is_timed();
    for (int s = 0; s < plan->n_steps;) {
        const fa_step *step = &plan->steps[s];
        double start = timed ? now() : 0;
        int count = 1;
        if (step->batched) {
            count = run_batch(plan, s, run, arena);
        } else {
            fa_kernel_args args = step_args(plan, step, run, arena);
            step->run(&args);
        }
        if (timed)
            report(plan, run, arena, s, count, now() - start);
        s += count;
    }
}

/* ---- Checks --------------------------------------------------------------------------------------------------------
 */

/* The first serial of what must be given up with a node: what it needs and was recorded for it, the earliest of which
 * begins its step. What was recorded before that stands. */
static uint64_t first_ancestor(fa_thread *thread, fa_node *node)
{
    uint32_t mark = ++thread->mark;
    uint64_t first = node->serial;
    node->mark = mark;
    for (int64_t k = thread->pending_count - 1; k >= 0; k--) {
        const fa_node *pending = thread->pending[k];
        if (pending->mark != mark)
            continue;
        first = pending->serial < first ? pending->serial : first;
        for (int i = 0; i < pending->n_in; i++)
            if (pending->in[i] != NULL)
                pending->in[i]->mark = mark;
    }
    return first;
}

static bool run_checks(fa_thread *thread, const fa_plan *plan, const fa_run *run)
{
    for (int k = 0; k < plan->n_checks; k++) {
        fa_node *node = run->nodes[plan->checks[k]];
        const fa_op_def *def = fa_op_table[node->op];
        fa_kernel_args args = {.ints = node->ints, .floats = node->floats};
        for (int i = 0; i < node->n_in; i++) {
            if (node->in[i] == NULL)
                continue;
            args.in_meta[i] = &node->in[i]->meta;
            if ((def->check_inputs >> i & 1) != 0) {
                args.in[i] = (void *)(uintptr_t)fa_node_bytes(node->in[i]);
                if (args.in[i] == NULL)
                    return false;
            }
        }
        if (!def->check(&args, node->where)) {
            thread->failed_from = first_ancestor(thread, node);
            return false;
        }
    }
    return true;
}

/* A checked input that is itself pending is computed first, on its own. True if one was. */
static bool compute_checked_inputs(fa_thread *thread, const fa_run *run, bool *ok)
{
    for (int r = 0; r < run->n_nodes; r++) {
        const fa_node *node = run->nodes[r];
        const fa_op_def *def = fa_op_table[node->op];
        if (def->check == NULL)
            continue;
        for (int i = 0; i < node->n_in; i++) {
            fa_node *in = node->in[i];
            if ((def->check_inputs >> i & 1) == 0 || in == NULL || in->op == FA_OP_leaf || in->state == FA_DONE)
                continue;
            in->watched = true; /* survives until the check */
            *ok = fa_plan_executor.run(thread, in, false);
            return true;
        }
    }
    return false;
}

/* ---- A whole plan --------------------------------------------------------------------------------------------------
 */

static bool take_survivors(const fa_plan *plan, const fa_run *run)
{
    for (int r = 0; r < run->n_nodes; r++) {
        if (plan->survivors[r] < 0)
            continue;
        run->nodes[r]->value = fa_buffer_new(plan->blocks[plan->survivors[r]].bytes);
        if (run->nodes[r]->value != NULL)
            continue;
        while (--r >= 0)
            if (plan->survivors[r] >= 0) {
                fa_buffer_release(run->nodes[r]->value);
                run->nodes[r]->value = NULL;
            }
        return fa_fail_memory(fa_current_where(), 0);
    }
    return true;
}

static char *arena_of(fa_plan_thread *own, size_t bytes)
{
    if (own->arena == NULL || own->arena->capacity < bytes) {
        fa_buffer_release(own->arena);
        if (own->arena != NULL) /* into the system, not the pool: there may be no memory for both */
            fa_buffer_pool_trim();
        own->arena = fa_buffer_new(bytes > 0 ? bytes : 1);
        if (own->arena == NULL)
            fa_fail_memory(fa_current_where(), bytes);
    }
    return own->arena != NULL ? own->arena->data : NULL;
}

/* Nodes of the root scope are never given up, so their values are: the oldest go once they hold more than this. They
 * are computed again when asked for, if nothing that they need was written since. */
enum { ROOT_BYTES = 256 << 20 };

static void drop_old_values(fa_thread *thread)
{
    for (; thread->root_bytes > ROOT_BYTES && thread->root_oldest < thread->node_count; thread->root_oldest++) {
        fa_node *node = fa_thread_node(thread, thread->root_oldest);
        if (node->scope != &thread->root)
            return;
        if (node->op == FA_OP_leaf || node->state != FA_DONE || node->value == NULL || node->watched)
            continue;
        thread->root_bytes -= node->value->bytes;
        fa_buffer_release(node->value);
        fa_buffer_release(node->plain);
        node->value = node->plain = NULL;
        node->state = FA_DROPPED;
    }
}

/* Effects are done: leaves are at their new version. */
static void settle(fa_thread *thread, const fa_plan *plan, const fa_run *run)
{
    for (int r = 0; r < run->n_nodes; r++) {
        fa_node *node = run->nodes[r];
        uint32_t writes = fa_op_table[node->op]->writes;
        node->state = plan->survivors[r] >= 0 || writes != 0 ? FA_DONE : FA_DROPPED;
        if (plan->survivors[r] >= 0 && node->scope == &thread->root)
            thread->root_bytes += node->value->bytes;
        if (writes == 0)
            continue;
        thread->pending_effects--;
        for (int i = 0; i < node->n_in; i++)
            if ((writes >> i & 1) != 0 && node->in[i] != NULL) {
                fa_leaf *leaf = node->in[i]->leaf;
                leaf->version++;
                if (leaf->writer == node)
                    leaf->writer = NULL;
            }
    }
    int64_t left = 0;
    for (int64_t k = 0; k < thread->pending_count; k++)
        if (thread->pending[k]->state == FA_PENDING)
            thread->pending[left++] = thread->pending[k];
    thread->pending_count = left;
}

bool fa_plan_execute(fa_thread *thread, fa_plan *plan, fa_run *run)
{
    fa_plan_thread *own = thread->executor;
    for (int e = 0; e < run->n_externals; e++)
        run->externals[e].data = external_data(&run->externals[e]);
    if (!fa_plan_fits(plan, run, own->arena != NULL ? own->arena->capacity : 0)) {
        thread->failed_from = run->nodes[0]->serial;
        return false;
    }
    char *arena = arena_of(own, plan->arena_bytes);
    if (arena != NULL && !run_checks(thread, plan, run))
        return false;
    if (arena == NULL || !take_survivors(plan, run)) {
        thread->failed_from = run->nodes[0]->serial;
        return false;
    }
    uint64_t saved = fa_ftz_on();
    run_steps(plan, run, arena);
    fa_ftz_restore(saved);
    drop_old_values(thread);
    settle(thread, plan, run);
    return true;
}

static fa_plan_thread *plan_thread(fa_thread *thread)
{
    if (thread->executor == NULL) {
        thread->executor = fa_calloc(1, sizeof(fa_plan_thread));
        if (thread->executor == NULL)
            fa_fail_memory(thread->where, sizeof(fa_plan_thread));
    }
    return thread->executor;
}

fa_plan *fa_plan_prepare(fa_thread *thread, fa_node *root)
{
    fa_plan_thread *own = plan_thread(thread);
    return own != NULL && fa_plan_select(thread, &own->run, root, thread->pending_effects > 0)
               ? fa_plan_acquire(&own->run)
               : NULL;
}

static bool run_pending(fa_thread *thread, fa_node *root, bool effects)
{
    fa_plan_thread *own = plan_thread(thread);
    if (own == NULL)
        return false;
    for (;;) {
        if (!fa_plan_select(thread, &own->run, root, effects))
            return false;
        bool ok = true;
        if (!compute_checked_inputs(thread, &own->run, &ok))
            break;
        if (!ok)
            return false;
    }
    if (own->run.n_nodes == 0)
        return true;
    fa_plan *plan = fa_plan_acquire(&own->run);
    if (plan == NULL) {
        thread->failed_from = own->run.nodes[0]->serial;
        return false;
    }
    bool ok = fa_plan_execute(thread, plan, &own->run);
    fa_plan_release(plan);
    return ok;
}

static bool is_fast(const fa_node *node)
{
    if (mode == FA_PLAN_OFF)
        return false;
    fa_kernel_args args = {.ints = node->ints, .floats = node->floats, .out_meta = {&node->meta}};
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] != NULL)
            args.in_meta[i] = &node->in[i]->meta;
    return fa_cpu_find((fa_op)node->op, &args) != NULL;
}

static void thread_exit(fa_thread *thread)
{
    fa_plan_thread *own = thread->executor;
    if (own == NULL)
        return;
    fa_buffer_release(own->arena);
    fa_mfree(own->run.nodes);
    fa_mfree(own->run.externals);
    fa_mfree(own->run.key);
    fa_mfree(own);
    thread->executor = NULL;
}

const fa_executor fa_plan_executor = {.run = run_pending, .is_fast = is_fast, .thread_exit = thread_exit};
