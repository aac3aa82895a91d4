/* The recorded graph: nodes, leaves, handles, scopes.
 *
 * A *node* is one application of an op: pure, its inputs are nodes. A *leaf* is memory that outlives scopes and can be
 * written: parameter, buffer, gradient, optimizer state, a batch. A `leaf` node reads one version of a leaf. An
 * *effect* (an op with `writes`) changes leaves; effects run once, in program order. A *handle* is what the user
 * holds: it names a node, and an in-place op gives it another one.
 *
 * Invariants:
 *   - a node's inputs were recorded before it;
 *   - layout, kernel choice and order of summation follow from the node's meta, attributes and the pattern it was
 *     recorded in, never from what is read;
 *   - a node stays defined until its scope ends; its value may come and go (FA_PENDING -> FA_DONE -> FA_DROPPED). */
#ifndef FA_TENSOR_NODE_H
#define FA_TENSOR_NODE_H

#include "base/error.h"
#include "base/memory.h"
#include "base/opdef.h"
#include "facula/functional.h"

typedef struct fa_node fa_node;
typedef struct fa_leaf fa_leaf;
typedef struct fa_scope_frame fa_scope_frame;
typedef struct fa_thread fa_thread;
typedef struct fa_gradient_hooks fa_gradient_hooks;

/* How a parameter gets its first value (drawn late, in the order of the module tree). */
typedef enum fa_init_kind { FA_INIT_NONE, FA_INIT_UNIFORM, FA_INIT_CONSTANT } fa_init_kind;

struct fa_leaf {
    atomic_int refs;
    fa_meta meta; /* PLAIN */
    fa_buffer *buffer;
    uint64_t version;          /* of what lies in memory */
    uint64_t recorded_version; /* after all effects recorded so far */
    fa_where changed;          /* the line that recorded the latest write */
    fa_node *writer;           /* the pending effect that writes it last; NULL: none */
    bool requires_grad;
    bool parameter; /* prints as "Parameter containing:" */
    bool grad_defined;
    bool grad_used;  /* an optimizer's step has used the gradient that stands there */
    bool grad_mixed; /* and more was added to it since */
    atomic_bool init_done;
    fa_leaf *grad; /* its gradient's memory, made once */
    fa_init_kind init;
    double init_lo, init_hi;
    char *name;               /* "conv1.weight" for messages; may be NULL */
    fa_leaf *grad_of;         /* of a gradient: the leaf that owns it (not counted) */
    fa_tensor *handle;        /* the handle outside scopes; NULL: none yet */
    fa_node *backward_grad;   /* during backward: the sum so far; NULL: nothing but zeros */
    bool touched;             /* during backward: it was reached */
    fa_gradient_hooks *hooks; /* fa_register_hook; NULL: none */
    const fa_node *last_user; /* of a leaf with hooks, during a walk: the node whose gradient rule adds to it last */
    uint32_t hooked;          /* the walk that called them */
};

typedef enum fa_node_state { FA_PENDING, FA_DONE, FA_DROPPED, FA_FAILED } fa_node_state;

struct fa_node {
    uint16_t op; /* fa_op */
    uint8_t state;
    uint8_t n_in;
    uint8_t n_ints, n_floats;
    bool requires_grad;
    bool consumed;      /* backward has been through it without retain_graph */
    bool detached;      /* a view without history, whatever its base has */
    bool watched;       /* fa_watch */
    bool fast;          /* layout rule of a fast kernel applied */
    bool noncontiguous; /* PyTorch's strides would not be row-major (a transposed or sliced view) */
    int handles;        /* live handles that name it */
    fa_meta meta;
    fa_node *in[FA_MAX_INPUTS];
    int64_t ints[FA_MAX_INTS];
    double floats[FA_MAX_FLOATS];
    fa_where where;
    uint64_t serial; /* order of recording in the thread */
    fa_scope_frame *scope;
    fa_leaf *leaf;            /* op leaf */
    uint64_t leaf_version;    /* op leaf: the version it reads */
    fa_buffer *value;         /* FA_DONE: in meta.layout */
    fa_buffer *plain;         /* the same, row-major, made for reading */
    const void *user;         /* custom op */
    fa_node *backward_grad;   /* during backward: the sum so far; NULL: nothing but zeros */
    uint32_t wanted;          /* the walk of fa_autograd_grad that needs its gradient */
    fa_leaf *retained;        /* fa_retain_grad: a leaf without values, whose gradient is the node's */
    int64_t *counter;         /* effect: counted up when it was recorded, down again if it fails */
    fa_gradient_hooks *hooks; /* fa_register_hook; NULL: none */
    fa_node *partner;         /* hook: nn/'s own */
    uint64_t partner_serial;
    uint32_t reached, below; /* the walk that gave it a gradient; that will give it one */
    uint32_t mark, index;    /* of a traversal: plan's own */
    uint32_t flags;          /* of a traversal: plan's own */
};

/* ---- Recording: what ops/ and nn/ use ------------------------------------------------------------------------------
 */

/* Starts an op or call of the user's: notes `where` for nodes and errors. */
void fa_begin(fa_where where);
fa_where fa_current_where(void);

/* The node behind a handle, for reading; NULL after raising an error (NULL handle, another thread's, after its scope).
 * `what` and `name` are for the message: "conv2d", "input". Silent for a NULL handle while an error is set. */
fa_node *fa_use(const fa_tensor *handle, const char *what, const char *name);

/* Records op with `n` inputs (absent ones NULL) and attributes; runs the shape rule, decides requires_grad, layout and
 * queues the node. NULL after an error, the graph as it was. `ints` points at one of the *_ints structs or an array. */
fa_node *fa_record(fa_op op, int n, fa_node *const *in, const void *ints, size_t ints_bytes, const double *floats,
                   int n_floats);
/* The same with node->user set (custom ops). */
fa_node *fa_record_user(fa_op op, int n, fa_node *const *in, const void *ints, size_t ints_bytes, const double *floats,
                        int n_floats, const void *user);
fa_node *fa_record1(fa_op op, fa_node *a);
fa_node *fa_record2(fa_op op, fa_node *a, fa_node *b);
#define FA_INTS(struct_value) &(struct_value), sizeof(struct_value)

/* A new handle in the current scope (NULL for a NULL node). */
fa_tensor *fa_handle(fa_node *node);
/* A handle of a view: it follows writes to `base`, and writes through it reach the base. */
fa_tensor *fa_handle_view(fa_node *node, const fa_tensor *base);
/* Gives a handle another node: an in-place op. Checks what PyTorch checks; returns the handle or NULL. */
fa_tensor *fa_assign_handle(fa_tensor *handle, fa_node *value, const char *what);
/* Attribute of the op replace: the value of the second input with the history of the first. */
enum { FA_REPLACE_VALUE = 0 };

/* In a gradient rule: whether input i needs its gradient. */
bool fa_wants_grad(const fa_node *node, int i);
/* In a gradient rule: what it records will be differentiated in turn (create_graph). An op whose gradient is an op
 * without a rule records it in simple ops then. */
bool fa_rules_differentiable(void);
/* Around the call of a function of the user's from a gradient rule: what it records is as anywhere else. */
typedef struct fa_outside {
    bool differentiable_rules;
    fa_where where;
} fa_outside;
fa_outside fa_outside_begin(void);
void fa_outside_end(fa_outside outside);

/* Messages: "[2, 3]" into a small ring of buffers, valid for the next few calls. */
const char *fa_shape_text(const fa_meta *meta);
const char *fa_dims_text(int ndim, const int64_t *size);
const char *fa_dtype_name(int dtype); /* "float32" */
/* Raises kind at the current line: shorthand for fa_fail(kind, fa_current_where(), ...). Returns false. */
#define fa_refuse(kind, what, ...) fa_fail((kind), fa_current_where(), (what), __VA_ARGS__)
/* A dimension counted from the end made positive; -1 after an error. */
int fa_wrap_dim(int dim, int ndim, const char *what);

/* ---- Leaves --------------------------------------------------------------------------------------------------------
 */

/* New memory of a shape, not cleared, one reference. NULL after an error. */
fa_leaf *fa_leaf_new(const fa_meta *meta);
/* The same on a buffer, whose reference is taken over (also after an error). */
fa_leaf *fa_leaf_of_buffer(const fa_meta *meta, fa_buffer *buffer);
fa_leaf *fa_leaf_retain(fa_leaf *leaf);
void fa_leaf_release(fa_leaf *leaf);
/* A node that reads the leaf as the program sees it now (after all recorded writes). */
fa_node *fa_leaf_node(fa_leaf *leaf);
/* The leaf's memory with everything pending on it done, for reading. NULL after an error. */
const void *fa_leaf_data(fa_leaf *leaf);
/* The same for writing: what was recorded from the old values is run first; the version rises. */
void *fa_leaf_data_mut(fa_leaf *leaf, fa_where where);
/* The leaf behind a handle, NULL (no error) when it names a computed value. */
fa_leaf *fa_handle_leaf(const fa_tensor *handle);
/* A handle that lives as long as the leaf, in no scope: parameters and buffers. */
fa_tensor *fa_leaf_handle(fa_leaf *leaf);

/* Records an effect: inputs in fa_op_def.writes must be leaf nodes; their leaves' recorded version rises. */
bool fa_record_effect(fa_op op, int n, fa_node *const *in, const void *ints, size_t ints_bytes, const double *floats,
                      int n_floats);

/* The effect just recorded has counted *counter up (an optimizer's step); should it fail, it is counted down again. */
void fa_effect_counts(int64_t *counter);
/* Before a draw whose use is still pending: the generator's state goes back to here if the plan fails. */
void fa_note_draw(fa_generator *generator);

/* Meta of a PLAIN value. */
fa_meta fa_meta_of(int dtype, int ndim, const int64_t *shape);
bool fa_meta_from_shape(fa_meta *meta, fa_dtype dtype, const fa_shape *shape, const char *what);
/* Broadcast shape of two metas; false after an error naming both. */
bool fa_broadcast(const fa_meta *a, const fa_meta *b, fa_meta *out, const char *what);

/* ---- Hooks of gradients --------------------------------------------------------------------------------------------
 */

/* Calls a list's functions on a gradient; returns what comes out, NULL after an error. */
fa_node *fa_gradient_hooks_call(fa_gradient_hooks *hooks, fa_node *gradient);
void fa_gradient_hooks_free(fa_gradient_hooks *hooks);
/* Whether any leaf has hooks. */
bool fa_leaf_hooks_exist(void);
/* The next number of a hook, of a tensor or a module. */
int64_t fa_next_hook_id(void);
/* What a hook gave in place of `gradient`, checked; `what` is for messages. NULL after an error. */
fa_node *fa_replaced_gradient(const fa_tensor *given, const fa_node *gradient, const char *what);

/* ---- Evaluation ----------------------------------------------------------------------------------------------------
 */

/* Runs what `node` needs; its value is then in node->value. False after an error. */
bool fa_evaluate(fa_node *node);
/* Runs every pending effect and every pending value that a handle names. */
bool fa_flush(void);
/* Row-major bytes of an evaluated node. */
const void *fa_node_bytes(fa_node *node);

#endif
