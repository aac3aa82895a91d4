/* What is behind a module: the tree, its tensors, and what a layer needs to be made.
 *
 * Invariants:
 *   - the tree has no circle; a child may have several parents;
 *   - `refs` counts parents and the user's holds (`held`) together; a floating module is held once by nobody in
 *     particular, and its first parent takes that hold over;
 *   - links, counts and the list of live modules change under fa_modules_lock alone. */
#ifndef FA_NN_MODULE_H
#define FA_NN_MODULE_H

#include "facula/nn.h"
#include "tensor/node.h"

/* Growing text. After a failed allocation it stays as it is, and `failed` is set. */
typedef struct fa_text {
    char *data;
    size_t length, capacity;
    bool failed;
} fa_text;
void fa_text_add(fa_text *text, const char *format, ...) FA_PRINTF_(2, 3);
/* The same after ", " unless the text is empty. */
void fa_text_option(fa_text *text, const char *format, ...) FA_PRINTF_(2, 3);
/* A double as Python's repr writes it: 1e-05, 0.1, 1.0, nan. */
void fa_text_number(fa_text *text, double value);
void fa_text_free(fa_text *text);

/* A parameter or buffer under its name. */
typedef struct fa_module_entry {
    char *name;
    fa_leaf *leaf;
    fa_tensor *tensor; /* the leaf's handle */
    bool buffer;
    int order; /* of registration, shared with children */
} fa_module_entry;

typedef struct fa_child_link {
    char *name;
    fa_module *module;
    int order;
} fa_child_link;

/* A list that was handed out, with its names. */
typedef struct fa_list_cache {
    uint64_t version; /* of all trees, when it was made; 0: never */
    int64_t count, capacity;
    fa_tensor **tensor;
    char **name;
} fa_list_cache;
void fa_list_free(fa_list_cache *list);
enum { FA_LIST_PARAMETERS, FA_LIST_BUFFERS, FA_LIST_STATE, FA_LIST_COUNT };

typedef struct fa_hook {
    int64_t id; /* 0: removed */
    fa_hook_time time;
    fa_hook_function function;
    void *context;
} fa_hook;

typedef fa_tensor *(*fa_criterion_function)(fa_module *self, fa_tensor *input, fa_tensor *target, fa_where where);
/* Writes what stands between the brackets of a module's printed form. */
typedef void (*fa_describe_function)(const fa_module *self, fa_text *text);

typedef struct fa_module_impl {
    fa_module *self;
    char *class_name;
    fa_forward_function forward;
    fa_criterion_function criterion;
    fa_describe_function describe;
    fa_describe_function
        unprinted; /* options that do not print and are not the defaults, in the same form; may be NULL */
    void (*release)(fa_module *self);
    int refs, held, parents;
    bool floating, training;
    bool was_training; /* while a summary runs */
    bool list;         /* prints runs of equal children as one */
    bool counted;      /* a mark of a traversal that visits a shared module once */
    int next_order;
    int n_entries, n_children;
    fa_module_entry *entries;
    fa_child_link *children;
    struct fa_module_impl *parent;          /* the first one; NULL: a root */
    const char *name;                       /* in that parent */
    struct fa_module_impl *previous, *next; /* live modules, oldest first */
    struct fa_module_impl *next_dead;
    fa_list_cache lists[FA_LIST_COUNT];
    fa_module_list modules; /* fa_named_modules, as of modules_version (0: never) */
    uint64_t modules_version;
    uint64_t serial; /* no other module has or had it */
    fa_hook *hooks;
    int n_hooks, hooks_running;
} fa_module_impl;

void fa_modules_lock(void);
void fa_modules_unlock(void);
/* The oldest live module; under the lock. */
fa_module_impl *fa_modules_first(void);
/* Rises with every change of any tree. */
uint64_t fa_modules_version(void);
void fa_modules_changed(void);

/* A module of `size` bytes, zeroed, floating, in training. NULL after an error. */
fa_module *fa_module_make(size_t size, const char *class_name, fa_forward_function forward,
                          fa_describe_function describe, fa_where where);
/* Releases what a failed constructor was given or has made: a floating module goes, another's is left alone. */
void fa_module_drop(fa_module *module);
/* False after raising an error unless one is set: NULL, or not made by fa_module_new. `what` is the call's name. */
bool fa_module_check(const fa_module *module, const char *what, fa_where where);
/* Path from the root, "features.0"; the class's name for a root. Cut to `size`. Returns `out`. */
const char *fa_module_path(const fa_module_impl *impl, char *out, size_t size);
/* The last layer of the last child, and so on: in a Sequential, what gives the network's output. */
fa_module *fa_module_last(fa_module *module);
/* The tensor under a name of this module itself; NULL (no error) if there is none. */
fa_tensor *fa_module_tensor(const fa_module *module, const char *name);

/* What losses do not print: a reduction that is not the mean; the sizes of a weight that there is. */
void fa_unprinted_reduction(fa_text *text, fa_reduction reduction);
void fa_unprinted_weight(const fa_module *self, fa_text *text, const char *name);

/* Makes and registers a parameter or buffer. FA_INIT_UNIFORM waits to be drawn from [lo, hi); FA_INIT_CONSTANT is
 * filled with lo at once. NULL after an error. */
fa_tensor *fa_module_new_tensor(fa_module *module, const char *name, bool buffer, const fa_meta *meta,
                                fa_init_kind init, double lo, double hi, fa_where where);
/* Registers a leaf, taking the caller's reference. NULL after an error. */
fa_tensor *fa_module_put_leaf(fa_module *module, const char *name, bool buffer, fa_leaf *leaf, fa_where where);

/* Draws all weights that wait, in the order of the trees. */
void fa_init_pending(void);
/* Notes that a leaf waits to be drawn. */
void fa_init_wait(void);
/* Fills a leaf's memory with a value. */
void fa_leaf_fill(fa_leaf *leaf, double value);

/* A call of a module that has hooks. */
typedef struct fa_hooked {
    fa_tensor *input; /* what the forward function is given */
    fa_node *node;    /* the op that sees its gradient; NULL: none is needed */
} fa_hooked;
/* The hooks of a module around its forward function: the input to use, the output to return. NULL after an error. */
fa_tensor *fa_hooks_before(fa_module *module, fa_tensor *x, fa_hooked *hooked);
fa_tensor *fa_hooks_after(fa_module *module, const fa_hooked *hooked, fa_tensor *y);
void fa_module_list_free(fa_module_list *list);

enum { FA_FORWARD_DEPTH = 256 }; /* modules inside one another */
/* The user's line of the forward call that runs now. */
fa_where fa_forward_where(void);
/* For the calling thread: told of each forward as it begins, and when it has returned a tensor. */
typedef struct fa_forward_observer {
    void (*enter)(void *context, fa_module_impl *module, fa_tensor *input);
    void (*leave)(void *context, fa_module_impl *module, fa_tensor *output);
    void *context;
} fa_forward_observer;
/* Sets the observer (NULL: none) and returns the previous one. */
const fa_forward_observer *fa_forward_observe(const fa_forward_observer *observer);
/* The layer's path for messages; NULL outside modules. Given to base/error.h. */
const char *fa_forward_path(void);

#endif
