/* From pending nodes to a plan, and its execution.
 *
 *   select.c   which nodes run, which values must survive, and the key: the graph's structure in full
 *   cache.c    plans by key, bounded, least recently used goes first
 *   patterns.c which nodes stand together, so that they can be fused
 *   build.c    a plan from a run set: fusion, layouts, kernels, steps
 *   memory.c   a place in one arena for every value, by lifetime
 *   execute.c  a plan run on this step's memory and numbers
 *   profile.c  how long its steps take
 *   fits.c     whether there is memory for a plan
 *
 * A plan holds structure alone: what changes from step to step (floats, addresses) is read from the nodes at each run.
 * Fusion changes where values are stored, never a sum: a fused kernel gives the bits of the kernels it stands for. */
#ifndef FA_PLAN_PLAN_H
#define FA_PLAN_PLAN_H

#include "cpu/isa.h"
#include "tensor/thread.h"

typedef enum fa_plan_mode {
    FA_PLAN_FUSED,  /* the default */
    FA_PLAN_NOFUSE, /* fast kernels, one node at a time */
    FA_PLAN_OFF     /* reference kernels alone */
} fa_plan_mode;

/* "fused", "nofuse" or "off"; also read from FACULA_PLAN at start. For tests: between steps only. */
void fa_plan_set_mode(const char *mode);
fa_plan_mode fa_plan_get_mode(void);
/* Plans made so far, and kept. For tests. */
int64_t fa_plan_count_built(void);
int64_t fa_plan_count_cached(void);

/* ---- The run set: what select.c hands on ---------------------------------------------------------------------------
 */

enum {
    FA_KEEP_HARD = 1, /* the value must be readable afterwards */
    FA_KEEP_SOFT = 2, /* it should be, unless it stands inside a fused pattern (it is computed again when asked for) */
    FA_RUN_SINK = 4   /* selected only because a handle names it */
};

/* An input from outside: a leaf or a value computed by an earlier plan. */
typedef struct fa_external {
    const void *identity; /* the leaf or the node */
    fa_node *node;
    void *data;
} fa_external;

typedef struct fa_run {
    fa_node **nodes;
    int n_nodes, node_capacity;
    fa_external *externals;
    int n_externals, external_capacity;
    uint64_t *key;
    int key_words, key_capacity;
    uint64_t hash;
} fa_run;

/* A node's input i as a value number: an index of run->nodes, or n_nodes + an index of run->externals; -1: absent. */
int fa_run_input(const fa_run *run, const fa_node *node, int i);

bool fa_plan_select(fa_thread *thread, fa_run *run, fa_node *root, bool effects);

/* ---- Plans ---------------------------------------------------------------------------------------------------------
 */

typedef enum fa_place_kind { FA_IN_ARENA, FA_IN_EXTERNAL, FA_IN_SURVIVOR } fa_place_kind;

/* A buffer of a plan: where a value lies, from its first step to its last. */
typedef struct fa_block {
    fa_place_kind kind;
    int index; /* external, or the node of a survivor */
    size_t bytes, offset;
    int first, last;
} fa_block;

typedef struct fa_step {
    fa_kernel run;
    const char *kernel; /* its name, for verbose lines */
    fa_op op;
    int node;                /* whose floats and custom op are used */
    int in[FA_MAX_INPUTS];   /* blocks; -1: absent */
    int out[FA_MAX_OUTPUTS]; /* blocks; -1: not wanted */
    int scratch;             /* block; -1: none */
    int fuse;
    bool in_place_allowed;
    bool opens_batch; /* batched, but not with those before it: it writes what one of them writes */
    bool batched;     /* an elementwise effect that runs together with its neighbours of the same op */
    fa_meta in_meta[FA_MAX_INPUTS], out_meta[FA_MAX_OUTPUTS];
    int64_t ints[FA_MAX_INTS];
} fa_step;

typedef struct fa_plan {
    uint64_t hash;
    uint64_t *key;
    int key_words;
    fa_step *steps;
    int n_steps, step_capacity;
    fa_block *blocks;
    int n_blocks, block_capacity;
    int *checks; /* nodes */
    int n_checks;
    int *survivors; /* node -> block that keeps its value, -1: dropped */
    int n_nodes;
    size_t arena_bytes;
    uint64_t last_used;
    int users; /* being executed */
} fa_plan;

fa_plan *fa_plan_build(const fa_run *run);
void fa_plan_place_blocks(fa_plan *plan);
void fa_plan_free(fa_plan *plan);
/* The plan for a run set, built if it is new; to be given back. NULL after an error. */
fa_plan *fa_plan_acquire(const fa_run *run);
void fa_plan_release(fa_plan *plan);
/* What reading `root` would run, without running it; to be given back. For tests and reports. */
fa_plan *fa_plan_prepare(fa_thread *thread, fa_node *root);
/* False after an error that says which batch would fit: a plan that needs more than the machine or the container has.
 * `held`: bytes of the arena that it takes over, or gives up for a larger one. */
bool fa_plan_fits(const fa_plan *plan, const fa_run *run, size_t held);
bool fa_plan_execute(fa_thread *thread, fa_plan *plan, fa_run *run);

/* Memory that a thread's plans share, and its run set. */
typedef struct fa_plan_thread {
    fa_run run;
    fa_buffer *arena;
} fa_plan_thread;

#endif
