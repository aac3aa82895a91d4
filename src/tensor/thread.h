/* What belongs to one thread: its handles, scopes, nodes and the work that is pending; and the executor that plan/
 * registers. */
#ifndef FA_TENSOR_THREAD_H
#define FA_TENSOR_THREAD_H

#include "base/generator.h"
#include "tensor/node.h"

enum { FA_NODES_PER_CHUNK = 128, FA_SLOTS_PER_CHUNK = 512, FA_MAX_DRAWN = 4 };

/* What a handle stands for. A handle names a leaf or a node, and a view also its base. */
typedef struct fa_slot {
    uint32_t generation; /* even: free, odd: in use; part of the handle */
    uint32_t next;       /* next slot of the same scope, or of the free list; UINT32_MAX ends */
    fa_scope_frame *scope;
    fa_leaf *leaf;
    fa_node *node;
    fa_node *view;         /* view: the node first recorded for it, from which it is taken again; lives as long as it */
    const fa_tensor *base; /* view: the handle that it looks at, and what that named when `node` was recorded */
    fa_node *base_node;
    fa_leaf *base_leaf;
    uint64_t base_version;
} fa_slot;

/* What else ends with a scope: floors above hang their own record on a frame. */
typedef struct fa_scope_owned {
    void (*end)(struct fa_scope_owned *owned);
} fa_scope_owned;

struct fa_scope_frame {
    uint64_t id;
    fa_scope_frame *parent;
    uint32_t first_slot;
    int64_t first_node;    /* the node stack's height when the scope began */
    uint64_t first_serial; /* nodes recorded in it have greater serials */
    fa_where where;
    fa_scope_owned *owned; /* NULL: nothing */
    fa_scope_frame *next_free;
};

struct fa_thread {
    uint32_t id; /* 1 ...; 0 is the table of leaf handles */
    bool exited;
    fa_where where;
    bool no_grad;
    bool walking;              /* gradients are being recorded */
    bool differentiable_rules; /* gradient rules run whose results will be differentiated (create_graph) */

    fa_slot **slot_chunks;
    uint32_t slot_count, slot_chunk_count, free_slot;

    fa_scope_frame root, *scope, *free_frames;
    uint64_t next_scope_id;
    bool carries;      /* a handle of an outer scope may name a node of an inner one */
    size_t root_bytes; /* values that nodes of the root scope hold, and where the oldest of them may be */
    int64_t root_oldest;

    fa_node **node_chunks; /* a stack of nodes, in the order of recording */
    int64_t node_count, node_chunk_count;
    uint64_t next_serial;

    fa_node **pending; /* recorded and not run, in the order of recording */
    int64_t pending_count, pending_capacity;
    int64_t pending_effects;
    uint32_t mark;
    uint64_t failed_from; /* set by the executor when a run fails: the first serial to give up; 0: nothing was begun */

    fa_leaf **touched; /* backward: leaves that received a gradient */
    int64_t touched_count, touched_capacity;

    /* Generators of pending draws, and their state before the first of these. */
    struct {
        fa_generator *generator;
        uint64_t serial; /* nodes recorded after the draw have greater serials */
        fa_mt state;
    } drawn[FA_MAX_DRAWN];
    int drawn_count;

    void *executor; /* plan/'s own: arena, key buffer */
    fa_thread *next;
};

/* The calling thread's; made at its first use. NULL after an error (no memory). */
fa_thread *fa_thread_get(void);
fa_node *fa_thread_node(fa_thread *thread, int64_t index);

/* The executor, registered by plan/ when the library is loaded. */
typedef struct fa_executor {
    /* Runs what `root` needs (may be NULL); with effects also every pending effect and every pending value that a
     * handle names. False after an error; the thread's pending work is then given up by the caller. */
    bool (*run)(fa_thread *thread, fa_node *root, bool effects);
    /* Whether a fast kernel will run this node; asked before the layout is chosen. */
    bool (*is_fast)(const fa_node *node);
    void (*thread_exit)(fa_thread *thread);
} fa_executor;
extern const fa_executor fa_plan_executor; /* defined in plan/ */

/* The slot of a handle; NULL after raising an error. */
fa_slot *fa_slot_of(fa_thread *thread, const fa_tensor *handle, const char *what, const char *name);
/* The last reference to a leaf goes: so does its handle outside scopes. */
void fa_leaf_handle_drop(fa_leaf *leaf);
void fa_leaf_hooks_free(fa_leaf *leaf);
/* A scope's tensors and nodes are given up. */
void fa_scope_close(fa_thread *thread, fa_scope_frame *frame);
/* Gives up pending work after a failure: nodes recorded from `first_serial` on fail, their effects are undone. */
void fa_abandon_pending(fa_thread *thread, uint64_t first_serial);
/* No draw is pending any more. */
void fa_forget_draws(fa_thread *thread);

#endif
