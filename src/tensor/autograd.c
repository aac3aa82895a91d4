/* Gradients: the graph is walked from the results to the leaves in the reverse order of recording, and each op's
 * gradient rule records the ops that compute its inputs' gradients. Backward turns what reaches a leaf into an effect
 * on its
 * `.grad`; fa_autograd_grad hands what reaches its inputs to the caller.
 *
 * A rule may leave the gradient of an input NULL: it is zero everywhere. What only such gradients reach gets zeros. */
#include "tensor/thread.h"

#include <string.h>

/* An input of fa_autograd_grad: a leaf, or a computed value. */
typedef struct goal {
    fa_leaf *leaf;
    fa_node *node;
    fa_node *gradient;
    bool reached;
} goal;

typedef struct walk {
    fa_thread *thread;
    uint32_t mark;
    int64_t waiting; /* nodes that were reached and are still to be visited */
    bool retain_graph;
    const char *what; /* for messages */
    goal *goals;      /* NULL: backward, whose goals are all leaves */
    int64_t goal_count;
} walk;

static bool add_gradient(fa_node **sum, fa_node *gradient)
{
    if (gradient == NULL)
        return true;
    *sum = *sum == NULL ? gradient : fa_record2(FA_OP_add, *sum, gradient);
    return *sum != NULL;
}

static bool touch(fa_thread *thread, fa_leaf *leaf)
{
    if (leaf->touched)
        return true;
    if (thread->touched_count == thread->touched_capacity) {
        int64_t capacity = thread->touched_capacity > 0 ? 2 * thread->touched_capacity : 64;
        fa_leaf **more = fa_realloc(thread->touched, (size_t)capacity * sizeof(fa_leaf *));
        if (more == NULL)
            return fa_fail_memory(thread->where, (size_t)capacity * sizeof(fa_leaf *));
        thread->touched = more;
        thread->touched_capacity = capacity;
    }
    thread->touched[thread->touched_count++] = leaf;
    leaf->touched = true;
    return true;
}

static goal *goal_of_leaf(const walk *w, const fa_leaf *leaf)
{
    for (int64_t k = 0; k < w->goal_count; k++)
        if (w->goals[k].leaf == leaf)
            return &w->goals[k];
    return NULL;
}

static bool give_gradient(walk *w, fa_node *node, fa_node *gradient)
{
    if (node->op == FA_OP_leaf) {
        if (w->goals == NULL)
            return touch(w->thread, node->leaf) && add_gradient(&node->leaf->backward_grad, gradient);
        goal *g = goal_of_leaf(w, node->leaf);
        g->reached = true;
        return add_gradient(&g->gradient, gradient);
    }
    if (node->reached != w->mark) {
        node->reached = w->mark;
        node->backward_grad = NULL;
        w->waiting++;
    }
    return add_gradient(&node->backward_grad, gradient);
}

/* Whether the gradient of input i is needed in this walk. */
static bool leads_on(const walk *w, const fa_node *node, int i)
{
    return fa_wants_grad(node, i) && (w->goals == NULL || node->in[i]->wanted == w->mark);
}

static void reach_goals(walk *w, const fa_node *node, fa_node *gradient)
{
    for (int64_t k = 0; k < w->goal_count; k++)
        if (w->goals[k].node == node) {
            w->goals[k].reached = true;
            w->goals[k].gradient = gradient;
        }
}

static bool retain(walk *w, fa_node *node, fa_node *gradient)
{
    if (node->retained == NULL)
        return true;
    node->retained->backward_grad = gradient;
    return touch(w->thread, node->retained);
}

static bool run_rule(walk *w, fa_node *node, fa_node *gradient, fa_node **grad_in)
{
    const fa_op_def *def = fa_op_table[node->op];
    if (node->consumed)
        return fa_refuse(FA_STATE_ERROR, w->what,
                         "got a graph that backward has been through already (%s recorded at %s:%d), needs a new one. "
                         "Hint: run the forward pass again, or give the first backward .retain_graph = true.",
                         def->name, node->where.file, node->where.line);
    if (def->gradient == NULL)
        return fa_refuse(FA_STATE_ERROR, def->name,
                         "got a gradient to differentiate, needs an op whose gradient has a rule of its own: %s, "
                         "recorded at %s:%d, has none. Hint: leave that layer out of what is differentiated twice, or "
                         "write it with simpler ops.",
                         def->name, node->where.file, node->where.line);
    bool outer = w->thread->differentiable_rules;
    w->thread->differentiable_rules = !w->thread->no_grad;
    def->gradient(node, gradient, grad_in);
    w->thread->differentiable_rules = outer;
    node->consumed = !w->retain_graph;
    return fa_ok();
}

/* ---- Hooks ---- */

static fa_node *filled(const fa_meta *meta, double value)
{
    int64_t ints[2 + FA_MAX_DIMS] = {meta->dtype, meta->ndim};
    memcpy(ints + 2, meta->shape, sizeof meta->shape);
    return fa_record(FA_OP_full, 0, NULL, ints, sizeof ints, &value, 1);
}

/* A complete gradient (NULL: zeros) through a list of hooks. */
static bool call_hooks(fa_gradient_hooks *hooks, const fa_meta *meta, fa_node **gradient)
{
    if (*gradient == NULL)
        *gradient = filled(meta, 0);
    if (*gradient != NULL)
        *gradient = fa_gradient_hooks_call(hooks, *gradient);
    return *gradient != NULL;
}

static bool call_leaf_hooks(walk *w, fa_leaf *leaf)
{
    if (leaf->hooks == NULL || leaf->hooked == w->mark)
        return true;
    leaf->hooked = w->mark;
    leaf->last_user = NULL;
    goal *g = w->goals != NULL ? goal_of_leaf(w, leaf) : NULL;
    return call_hooks(leaf->hooks, &leaf->meta, g != NULL ? &g->gradient : &leaf->backward_grad);
}

/* As in PyTorch, the hooks of a leaf are called as soon as its gradient is complete. */
static bool call_hooks_of_inputs(walk *w, const fa_node *node)
{
    for (int i = 0; i < node->n_in; i++)
        if (leads_on(w, node, i) && node->in[i]->op == FA_OP_leaf && node->in[i]->leaf->last_user == node &&
            !call_leaf_hooks(w, node->in[i]->leaf))
            return false;
    return true;
}

static void find_last_users(const walk *w, int64_t top)
{
    if (!fa_leaf_hooks_exist())
        return;
    for (int64_t i = top; i >= 0; i--) {
        fa_node *node = fa_thread_node(w->thread, i);
        if (node->reached != w->mark && node->below != w->mark)
            continue;
        for (int n = 0; n < node->n_in; n++) {
            if (!leads_on(w, node, n))
                continue;
            node->in[n]->below = w->mark;
            if (node->in[n]->op == FA_OP_leaf)
                node->in[n]->leaf->last_user = node;
        }
    }
}

static bool visit(walk *w, fa_node *node)
{
    fa_node *gradient = node->backward_grad, *grad_in[FA_MAX_INPUTS] = {NULL};
    node->backward_grad = NULL;
    w->waiting--;
    bool goes_on = false;
    for (int i = 0; i < node->n_in; i++)
        goes_on |= leads_on(w, node, i);
    /* As in PyTorch, a goal that others lie behind is what its hooks see, and one at the end is what they make of it.
     */
    if (goes_on)
        reach_goals(w, node, gradient);
    if (node->hooks != NULL && !call_hooks(node->hooks, &node->meta, &gradient))
        return false;
    if (!goes_on)
        reach_goals(w, node, gradient);
    if (!retain(w, node, gradient))
        return false;
    if (!goes_on)
        return true;
    if (gradient != NULL && !run_rule(w, node, gradient, grad_in))
        return false;
    for (int i = 0; i < node->n_in; i++)
        if (leads_on(w, node, i) && !give_gradient(w, node->in[i], grad_in[i]))
            return false;
    return !fa_leaf_hooks_exist() || call_hooks_of_inputs(w, node);
}

/* From the nodes that were given a gradient down. */
static bool run_walk(walk *w, int64_t top)
{
    find_last_users(w, top);
    for (int64_t i = top; w->waiting > 0 && i >= 0; i--) {
        fa_node *node = fa_thread_node(w->thread, i);
        if (node->reached == w->mark && node->op != FA_OP_leaf && !visit(w, node))
            return false;
    }
    return true;
}

static fa_node *first_gradient(fa_node *node, fa_tensor *given, const char *what)
{
    if (given != NULL) {
        fa_node *gradient = fa_use(given, what, "gradient");
        if (gradient == NULL)
            return NULL;
        if (gradient->meta.ndim != node->meta.ndim || gradient->meta.dtype != node->meta.dtype ||
            memcmp(gradient->meta.shape, node->meta.shape, sizeof node->meta.shape) != 0) {
            fa_refuse(FA_SHAPE_ERROR, what,
                      "got a gradient of %s %s, needs %s %s, the shape and type of the tensor. "
                      "Hint: the gradient has one number for each element of what backward starts from.",
                      fa_dtype_name(gradient->meta.dtype), fa_shape_text(&gradient->meta),
                      fa_dtype_name(node->meta.dtype), fa_shape_text(&node->meta));
            return NULL;
        }
        return gradient;
    }
    if (fa_meta_numel(&node->meta) != 1) {
        fa_refuse(FA_SHAPE_ERROR, what,
                  "got a tensor of shape %s, needs a single number (a loss). Hint: reduce it "
                  "with fa_sum or fa_mean, or give %s.",
                  fa_shape_text(&node->meta), strcmp(what, "backward") == 0 ? ".gradient" : ".grad_outputs");
        return NULL;
    }
    return filled(&node->meta, 1);
}

/* Only one walk at a time: a hook or a rule of the user's may not start another. */
static bool check_no_walk(const fa_thread *thread, const char *what)
{
    return !thread->walking ||
           fa_refuse(
               FA_STATE_ERROR, what,
               "got a call from a hook, or from the rule of a custom op, while gradients are being recorded, needs "
               "to be called outside. Hint: keep the gradient (fa_keep), and go on after backward.");
}

static bool check_history(const fa_thread *thread, const fa_node *node, const char *what)
{
    return node->requires_grad ||
           fa_refuse(FA_STATE_ERROR, what,
                     "got a tensor without history, needs one computed from what requires gradients. Hint: %s",
                     thread->no_grad ? "this line runs under fa_no_grad."
                                     : "was it computed under fa_no_grad or detached, or are all parameters frozen?");
}

/* ---- Backward ------------------------------------------------------------------------------------------------------
 */

/* leaf.grad = gradient, or += where one is defined. */
static bool store_gradient(fa_leaf *leaf, fa_node *gradient)
{
    if (gradient == NULL)
        gradient = filled(&leaf->meta, 0);
    if (gradient == NULL)
        return false;
    if (leaf->grad == NULL) {
        leaf->grad = fa_leaf_new(&leaf->meta);
        if (leaf->grad == NULL)
            return false;
        leaf->grad->grad_of = leaf;
    }
    fa_node *in[2] = {fa_leaf_node(leaf->grad), gradient};
    if (in[0] == NULL ||
        !fa_record_effect(leaf->grad_defined ? FA_OP_accumulate : FA_OP_assign, 2, in, NULL, 0, NULL, 0))
        return false;
    leaf->grad_mixed = leaf->grad_defined && leaf->grad_used;
    leaf->grad_used = leaf->grad_mixed;
    leaf->grad_defined = true;
    return true;
}

/* Ends a walk: what reached leaves and retained gradients is stored, unless it failed (`ok` false). */
static bool store_touched(walk *w, bool ok)
{
    fa_thread *thread = w->thread;
    for (int64_t k = 0; k < thread->touched_count; k++) {
        fa_leaf *leaf = thread->touched[k];
        if (ok) /* hooks that no user has called: backward started from the leaf */
            ok = call_leaf_hooks(w, leaf);
        if (ok)
            ok = store_gradient(leaf, leaf->backward_grad);
        leaf->backward_grad = NULL;
        leaf->touched = false;
    }
    return ok;
}

static bool run_backward(fa_thread *thread, fa_node *root, fa_tensor *given, bool retain_graph)
{
    fa_node *gradient = first_gradient(root, given, "backward");
    if (gradient == NULL)
        return false;
    walk w = {.thread = thread, .mark = ++thread->mark, .retain_graph = retain_graph, .what = "backward"};
    thread->touched_count = 0;
    int64_t top = thread->node_count - 1;
    return store_touched(&w, give_gradient(&w, root, gradient) && run_walk(&w, top));
}

/* What was recorded for a walk that failed goes again; effects come last, so none or all stand. */
static void take_back(fa_thread *thread, int64_t pending, int64_t effects)
{
    while (thread->pending_count > pending && thread->pending_effects == effects)
        thread->pending_count--;
}

bool fa_backward_at(const fa_backward_args *args)
{
    fa_begin(args->where_);
    fa_thread *thread = fa_thread_get();
    if (thread == NULL || !fa_ok())
        return false;
    fa_node *root = fa_use(args->tensor, "backward", "the tensor");
    if (root == NULL || !check_no_walk(thread, "backward") || !check_history(thread, root, "backward"))
        return false;
    bool no_grad = thread->no_grad;
    thread->no_grad = true;
    thread->walking = true;
    int64_t pending = thread->pending_count, effects = thread->pending_effects;
    bool ok = run_backward(thread, root, args->gradient, args->retain_graph);
    if (!ok)
        take_back(thread, pending, effects);
    thread->no_grad = no_grad;
    thread->walking = false;
    return ok;
}

/* ---- fa_autograd_grad ----------------------------------------------------------------------------------------------
 */

static bool find_goals(walk *w, const fa_autograd_grad_args *args)
{
    for (int64_t k = 0; k < w->goal_count; k++) {
        goal *g = &w->goals[k];
        fa_node *node = fa_use(args->inputs.tensor[k], "autograd_grad", "an input");
        if (node == NULL)
            return false;
        if (!node->requires_grad && !(node->op == FA_OP_leaf && node->leaf->requires_grad))
            return fa_refuse(FA_STATE_ERROR, "autograd_grad",
                             "got input %lld, which has no history, needs one that requires gradients. Hint: "
                             "fa_requires_grad_(x, true) before the outputs are computed.",
                             (long long)k);
        if (node->op == FA_OP_leaf)
            g->leaf = node->leaf;
        else
            g->node = node;
    }
    return true;
}

/* Marks what lies between the goals and the outputs. */
static void mark_wanted(walk *w, int64_t top)
{
    for (int64_t k = 0; k < w->goal_count; k++)
        if (w->goals[k].node != NULL)
            w->goals[k].node->wanted = w->mark;
    for (int64_t i = 0; i <= top; i++) {
        fa_node *node = fa_thread_node(w->thread, i);
        if (node->op == FA_OP_leaf) {
            if (node->requires_grad && goal_of_leaf(w, node->leaf) != NULL)
                node->wanted = w->mark;
            continue;
        }
        for (int n = 0; n < node->n_in && node->wanted != w->mark; n++)
            if (fa_wants_grad(node, n) && node->in[n]->wanted == w->mark)
                node->wanted = w->mark;
    }
}

static bool start_outputs(walk *w, const fa_autograd_grad_args *args)
{
    if (args->grad_outputs.count > 0 && args->grad_outputs.count != args->outputs.count)
        return fa_refuse(FA_VALUE_ERROR, "autograd_grad",
                         "got %lld grad_outputs for %lld outputs, needs one each. Hint: NULL for a single number.",
                         (long long)args->grad_outputs.count, (long long)args->outputs.count);
    for (int64_t k = 0; k < args->outputs.count; k++) {
        fa_node *root = fa_use(args->outputs.tensor[k], "autograd_grad", "an output");
        if (root == NULL || !check_history(w->thread, root, "autograd_grad"))
            return false;
        fa_node *gradient =
            first_gradient(root, args->grad_outputs.count > 0 ? args->grad_outputs.tensor[k] : NULL, "autograd_grad");
        if (gradient == NULL)
            return false;
        bool is_wanted = root->op == FA_OP_leaf ? goal_of_leaf(w, root->leaf) != NULL : root->wanted == w->mark;
        if (is_wanted && !give_gradient(w, root, gradient))
            return false;
    }
    return true;
}

static bool hand_out(walk *w, const fa_autograd_grad_args *args)
{
    for (int64_t k = 0; k < w->goal_count; k++) {
        /* The same input twice: the first of them took the gradients. */
        const goal *g = &w->goals[k];
        if (g->leaf != NULL)
            g = goal_of_leaf(w, g->leaf);
        if (g->reached && g->leaf != NULL) { /* an output itself */
            if (!call_leaf_hooks(w, g->leaf))
                return false;
        }
        if (!g->reached) {
            if (args->allow_unused)
                continue;
            return fa_refuse(FA_STATE_ERROR, "autograd_grad",
                             "got input %lld, which the outputs do not depend on, needs one that they were computed "
                             "from. Hint: .allow_unused = true gives NULL for it.",
                             (long long)k);
        }
        const fa_meta *meta = g->leaf != NULL ? &g->leaf->meta : &g->node->meta;
        args->grads[k] = fa_handle(g->gradient != NULL ? g->gradient : filled(meta, 0));
        if (args->grads[k] == NULL)
            return false;
    }
    return true;
}

bool fa_autograd_grad_at(const fa_autograd_grad_args *args)
{
    fa_begin(args->where_);
    fa_thread *thread = fa_thread_get();
    for (int64_t k = 0; args->grads != NULL && k < args->inputs.count; k++)
        args->grads[k] = NULL;
    if (thread == NULL || !fa_ok() || !check_no_walk(thread, "autograd_grad"))
        return false;
    if (args->outputs.count < 1 || args->inputs.count < 1 || args->grads == NULL)
        return fa_refuse(FA_VALUE_ERROR, "autograd_grad",
                         "got %lld outputs and %lld inputs%s, needs one of each, and an array for the results. Hint: "
                         "fa_autograd_grad(FA_TENSORS(y), FA_TENSORS(x), slope)",
                         (long long)args->outputs.count, (long long)args->inputs.count,
                         args->grads == NULL ? " and no array" : "");
    walk w = {.thread = thread,
              .retain_graph = args->retain_graph || args->create_graph,
              .what = "autograd_grad",
              .goals = fa_calloc((size_t)args->inputs.count, sizeof(goal)),
              .goal_count = args->inputs.count};
    if (w.goals == NULL)
        return fa_fail_memory(args->where_, (size_t)args->inputs.count * sizeof(goal));
    bool no_grad = thread->no_grad, ok = find_goals(&w, args);
    for (int64_t k = 0; ok && k < args->outputs.count; k++) /* outputs that are views are taken up before the walk */
        ok = fa_use(args->outputs.tensor[k], "autograd_grad", "an output") != NULL;
    w.mark = ++thread->mark;
    int64_t pending = thread->pending_count, effects = thread->pending_effects, top = thread->node_count - 1;
    if (ok) {
        mark_wanted(&w, top);
        thread->no_grad = !args->create_graph;
        thread->walking = true;
        thread->touched_count = 0;
        ok = start_outputs(&w, args) && run_walk(&w, top) && hand_out(&w, args);
        thread->no_grad = true;
        ok = store_touched(&w, ok);
        thread->walking = false;
        thread->no_grad = no_grad;
    }
    for (int64_t k = 0; !ok && k < args->inputs.count; k++)
        args->grads[k] = NULL;
    if (!ok)
        take_back(thread, pending, effects);
    fa_mfree(w.goals);
    return ok;
}

/* ---- Gradients of tensors ------------------------------------------------------------------------------------------
 */

fa_tensor *fa_grad_at(fa_tensor *tensor, fa_where where)
{
    fa_begin(where);
    fa_leaf *leaf = fa_handle_leaf(tensor);
    if (leaf == NULL) {
        const fa_node *node = tensor != NULL && fa_ok() ? fa_use(tensor, "grad", "the tensor") : NULL;
        if (node == NULL)
            return NULL;
        leaf = node->retained;
    }
    if (leaf == NULL) {
        fa_refuse(FA_STATE_ERROR, "grad",
                  "got a computed tensor; only leaves keep their gradient. Hint: ask a parameter, "
                  "or a tensor made with .requires_grad = true; or call fa_retain_grad(x) before backward.");
        return NULL;
    }
    return leaf->grad != NULL && leaf->grad_defined ? fa_leaf_handle(leaf->grad) : NULL;
}

fa_tensor *fa_retain_grad_at(fa_tensor *tensor, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(tensor, "retain_grad", "the tensor");
    if (node == NULL)
        return NULL;
    if (!(node->requires_grad || (node->op == FA_OP_leaf && node->leaf->requires_grad))) {
        fa_refuse(FA_STATE_ERROR, "retain_grad",
                  "got a tensor without history, needs one that requires gradients. Hint: was it computed under "
                  "fa_no_grad, or detached?");
        return NULL;
    }
    if (node->op == FA_OP_leaf || node->retained != NULL)
        return tensor;
    fa_meta meta = node->meta;
    meta.layout = FA_PLAIN;
    fa_buffer *buffer = fa_buffer_new(1);
    if (buffer == NULL) {
        fa_fail_memory(where, 1);
        return NULL;
    }
    node->retained = fa_leaf_of_buffer(&meta, buffer);
    return node->retained != NULL ? tensor : NULL;
}

fa_tensor *fa_set_requires_grad_at(fa_tensor *tensor, bool requires_grad, fa_where where)
{
    fa_begin(where);
    fa_leaf *leaf = fa_handle_leaf(tensor);
    if (leaf == NULL) {
        if (tensor != NULL && fa_ok())
            fa_refuse(FA_STATE_ERROR, "requires_grad_",
                      "got a computed tensor, needs a leaf. Hint: use fa_detach(x) for a "
                      "tensor without history.");
        return NULL;
    }
    if (requires_grad && leaf->meta.dtype != FA_DT_FLOAT32 && leaf->meta.dtype != FA_DT_FLOAT64) {
        fa_refuse(FA_DTYPE_ERROR, "requires_grad_", "got dtype %s, needs a floating type.",
                  fa_dtype_name(leaf->meta.dtype));
        return NULL;
    }
    leaf->requires_grad = requires_grad;
    return tensor;
}
