/* The patterns that a plan fuses: which nodes stand together. Nothing here changes the plan. */
#ifndef FA_PLAN_PATTERNS_H
#define FA_PLAN_PATTERNS_H

#include "plan/plan.h"

/* A plan in the making. */
typedef struct fa_builder {
    const fa_run *run;
    fa_plan *plan;
    bool fast, fuse;
    int *consumers;     /* [nodes] how many inputs name it */
    int *sole_consumer; /* [nodes] the last one found */
    uint8_t *done;      /* [nodes] part of an earlier step */
    int *block;         /* [values] where it lies, in its own layout; -1: not yet */
    int *converted;     /* [values] where it lies in the other layout; -1 */
    int *placed_in;     /* [nodes] external into which its value is written at once; -1 */
    int *positions;     /* [nodes] max_pool2d fused into conv2d: block of the winners' positions; -1 */
    int *loss_ends;     /* [nodes] the last node of a fused cross entropy: its log_softmax; -1 */
    /* Gradients that are never stored, since their readers do without: */
    int *unpooled; /* [nodes] that of a fused relu and max-pool: its max_pool2d_grad; -1 */
    int *cut;      /* [nodes] that of a relu behind a batch norm: the batch norm; -1 */
    bool failed;
} fa_builder;

static inline const fa_node *fa_node_of(const fa_builder *b, int value)
{
    return value < b->run->n_nodes ? b->run->nodes[value] : b->run->externals[value - b->run->n_nodes].node;
}

static inline int fa_input_of(const fa_builder *b, const fa_node *node, int i)
{
    return i < node->n_in ? fa_run_input(b->run, node, i) : -1;
}

static inline size_t fa_value_bytes(const fa_meta *meta)
{
    return (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype));
}

static inline bool fa_kept(const fa_node *node, uint32_t flags)
{
    return (node->flags & flags) != 0;
}

/* The nodes of a cross entropy: log_softmax, nll_loss, and in backward their gradients (-1 without). */
typedef struct fa_loss_pattern {
    int log_softmax, nll, nll_grad, log_softmax_grad;
} fa_loss_pattern;

/* A layer whose result only relu reads: the index of the relu, or -1. */
int fa_plan_relu_after(const fa_builder *b, int r);
/* A relu that is read by one 2x2 max-pool and, in backward, by that pool's and its own gradient alone, those two in a
 * row: then the winners' positions stand for it, and its plane is never stored. The index of the pool, or -1;
 * *pool_grad and *relu_grad: the gradient nodes, -1 in a run without backward. */
int fa_plan_pool_after(const fa_builder *b, int relu, int *pool_grad, int *relu_grad);
/* A log_softmax that only a loss and, in backward, their two gradients read, with no look at the loss between. */
bool fa_plan_find_loss(const fa_builder *b, int log_softmax, fa_loss_pattern *p);
bool fa_plan_only_feeds(const fa_builder *b, int r, fa_op op);
/* Whether an effect among the nodes [first, end) writes an external. */
bool fa_plan_writes_external(const fa_builder *b, int external, int first, int end);

/* Whether only gradients of a layer read relu_grad's result, and each has a kernel that reads the pooled values'
 * gradient and the winners' positions. */
bool fa_plan_can_stay_pooled(const fa_builder *b, int pool_grad, int relu_grad);
/* A relu_grad that only the gradients of the batch norm before that relu read, which can cut it themselves: the batch
 * norm; else -1. */
int fa_plan_cut_by(const fa_builder *b, int relu_grad);
/* The inputs of a reader of such a gradient, as value numbers, -1: absent. The winners' positions are no value: the
 * input that takes them, else -1. */
int fa_plan_unstored_inputs(const fa_builder *b, int r, int pool_grad, int norm, int values[FA_MAX_INPUTS]);

#endif
