/* Backward: the graph is walked from the result to the leaves in the reverse order of recording, and each op's gradient
 * rule records the ops that compute its inputs' gradients. What reaches a leaf becomes an effect on its `.grad`. */
#include "tensor/thread.h"

#include <string.h>

static fa_node *sum_of(fa_node *a, fa_node *b)
{
    return a == NULL ? b : fa_record2(FA_OP_add, a, b);
}

/* Everything reachable that requires gradients is marked; false (with an error) if a part was used up before. */
typedef struct walk {
    fa_thread *thread;
    uint32_t mark;
    int64_t waiting; /* nodes with a gradient that are still to be visited */
} walk;

static bool give_gradient(walk *w, fa_node *node, fa_node *gradient)
{
    if (gradient == NULL)
        return false;
    if (node->op == FA_OP_leaf) {
        fa_leaf *leaf = node->leaf;
        if (leaf->backward_grad == NULL) {
            fa_thread *thread = w->thread;
            if (thread->touched_count == thread->touched_capacity) {
                int64_t capacity = thread->touched_capacity > 0 ? 2 * thread->touched_capacity : 64;
                fa_leaf **more = fa_realloc(thread->touched, (size_t)capacity * sizeof(fa_leaf *));
                if (more == NULL)
                    return fa_fail_memory(thread->where, (size_t)capacity * sizeof(fa_leaf *));
                thread->touched = more;
                thread->touched_capacity = capacity;
            }
            thread->touched[thread->touched_count++] = leaf;
        }
        leaf->backward_grad = sum_of(leaf->backward_grad, gradient);
        return leaf->backward_grad != NULL;
    }
    if (node->mark != w->mark) {
        node->mark = w->mark;
        node->backward_grad = NULL;
        w->waiting++;
    }
    node->backward_grad = sum_of(node->backward_grad, gradient);
    return node->backward_grad != NULL;
}

static bool visit(walk *w, fa_node *node, bool retain_graph)
{
    w->waiting--;
    if (node->consumed)
        return fa_refuse(FA_STATE_ERROR, "backward",
                         "got a graph that backward has been through already (%s recorded at %s:%d), needs a new one. "
                         "Hint: run the forward pass again, or give the first backward .retain_graph = true.",
                         fa_op_table[node->op]->name, node->where.file, node->where.line);
    fa_node *grad_in[FA_MAX_INPUTS] = {NULL};
    fa_op_table[node->op]->gradient(node, node->backward_grad, grad_in);
    node->backward_grad = NULL;
    for (int i = 0; i < node->n_in; i++)
        if (fa_wants_grad(node, i) && !give_gradient(w, node->in[i], grad_in[i]))
            return false;
    node->consumed = !retain_graph;
    return true;
}

/* leaf.grad = gradient, or += where one is defined. */
static bool store_gradient(fa_leaf *leaf, fa_node *gradient)
{
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
    leaf->grad_defined = true;
    return true;
}

static fa_node *first_gradient(fa_node *node, fa_tensor *given)
{
    if (given != NULL) {
        fa_node *gradient = fa_use(given, "backward", "gradient");
        if (gradient == NULL)
            return NULL;
        if (gradient->meta.ndim != node->meta.ndim || gradient->meta.dtype != node->meta.dtype ||
            memcmp(gradient->meta.shape, node->meta.shape, sizeof node->meta.shape) != 0) {
            fa_refuse(FA_SHAPE_ERROR, "backward",
                      "got a gradient of %s %s, needs %s %s, the shape and type of the tensor. "
                      "Hint: the gradient has one number for each element of what backward starts from.",
                      fa_dtype_name(gradient->meta.dtype), fa_shape_text(&gradient->meta),
                      fa_dtype_name(node->meta.dtype), fa_shape_text(&node->meta));
            return NULL;
        }
        return gradient;
    }
    if (fa_meta_numel(&node->meta) != 1) {
        fa_refuse(FA_SHAPE_ERROR, "backward",
                  "got a tensor of shape %s, needs a single number (a loss). Hint: reduce it "
                  "with fa_sum or fa_mean, or give .gradient.",
                  fa_shape_text(&node->meta));
        return NULL;
    }
    int64_t ints[2 + FA_MAX_DIMS] = {node->meta.dtype, node->meta.ndim};
    memcpy(ints + 2, node->meta.shape, sizeof node->meta.shape);
    double one = 1;
    return fa_record(FA_OP_full, 0, NULL, ints, sizeof ints, &one, 1);
}

static bool run_backward(fa_thread *thread, fa_node *root, fa_tensor *given, bool retain_graph)
{
    fa_node *gradient = first_gradient(root, given);
    if (gradient == NULL)
        return false;
    /* Marks also serve plan/: a fresh one for each walk. */
    walk w = {.thread = thread, .mark = ++thread->mark};
    thread->touched_count = 0;
    int64_t top = thread->node_count - 1;
    bool ok = give_gradient(&w, root, gradient);
    for (int64_t i = top; ok && w.waiting > 0 && i >= 0; i--) {
        fa_node *node = fa_thread_node(thread, i);
        if (node->mark == w.mark && node->backward_grad != NULL && node->serial <= root->serial)
            ok = visit(&w, node, retain_graph);
    }
    for (int64_t k = 0; k < thread->touched_count; k++) {
        fa_leaf *leaf = thread->touched[k];
        if (ok)
            ok = store_gradient(leaf, leaf->backward_grad);
        leaf->backward_grad = NULL;
    }
    return ok;
}

bool fa_backward_at(const fa_backward_args *args)
{
    fa_begin(args->where_);
    fa_thread *thread = fa_thread_get();
    if (thread == NULL || !fa_ok())
        return false;
    fa_node *root = fa_use(args->tensor, "backward", "the tensor");
    if (root == NULL)
        return false;
    if (!root->requires_grad)
        return fa_refuse(FA_STATE_ERROR, "backward",
                         "got a tensor without history, needs one computed from what requires gradients. Hint: %s",
                         thread->no_grad
                             ? "this line runs under fa_no_grad."
                             : "was it computed under fa_no_grad or detached, or are all parameters frozen?");
    bool no_grad = thread->no_grad;
    thread->no_grad = true;
    int64_t pending = thread->pending_count, effects = thread->pending_effects;
    bool ok = run_backward(thread, root, args->gradient, args->retain_graph);
    if (!ok) { /* what was recorded goes again; effects come last, so none or all stand */
        while (thread->pending_count > pending && thread->pending_effects == effects)
            thread->pending_count--;
    }
    thread->no_grad = no_grad;
    return ok;
}

fa_tensor *fa_grad_at(fa_tensor *tensor, fa_where where)
{
    fa_begin(where);
    fa_leaf *leaf = fa_handle_leaf(tensor);
    if (leaf == NULL) {
        if (tensor != NULL && fa_ok())
            fa_refuse(FA_STATE_ERROR, "grad",
                      "got a computed tensor; only leaves keep their gradient. Hint: ask a parameter, "
                      "or a tensor made with .requires_grad = true.");
        return NULL;
    }
    return leaf->grad != NULL && leaf->grad_defined ? fa_leaf_handle(leaf->grad) : NULL;
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
