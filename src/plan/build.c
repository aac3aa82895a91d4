/* A plan from a run set: patterns fused, layouts converted where a kernel needs another one, a kernel for each step.
 *
 * Values are numbered as in fa_run_input: nodes first, externals after. */
#include "plan/plan.h"

#include "cpu/layout.h"

#include <string.h>

typedef struct builder {
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
    int *unpooled; /* [nodes] gradient of a fused relu and max-pool that is never stored: its max_pool2d_grad; -1 */
    bool failed;
} builder;

static const fa_node *node_of(const builder *b, int value)
{
    return value < b->run->n_nodes ? b->run->nodes[value] : b->run->externals[value - b->run->n_nodes].node;
}

static int input_of(const builder *b, const fa_node *node, int i)
{
    return i < node->n_in ? fa_run_input(b->run, node, i) : -1;
}

static size_t value_bytes(const fa_meta *meta)
{
    return (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype));
}

static bool kept(const fa_node *node, uint32_t flags)
{
    return (node->flags & flags) != 0;
}

/* ---- Blocks and steps ----------------------------------------------------------------------------------------------
 */

static int new_block(builder *b, fa_place_kind kind, int index, size_t bytes)
{
    fa_plan *plan = b->plan;
    if (plan->n_blocks == plan->block_capacity) {
        int capacity = plan->block_capacity > 0 ? 2 * plan->block_capacity : 64;
        fa_block *more = fa_realloc(plan->blocks, (size_t)capacity * sizeof *more);
        if (more == NULL) {
            b->failed = true;
            return 0;
        }
        plan->blocks = more;
        plan->block_capacity = capacity;
    }
    plan->blocks[plan->n_blocks] =
        (fa_block){.kind = kind, .index = index, .bytes = bytes, .first = INT32_MAX, .last = -1};
    return plan->n_blocks++;
}

static fa_step *new_step(builder *b, int node)
{
    fa_plan *plan = b->plan;
    if (plan->n_steps == plan->step_capacity) {
        int capacity = plan->step_capacity > 0 ? 2 * plan->step_capacity : 64;
        fa_step *more = fa_realloc(plan->steps, (size_t)capacity * sizeof *more);
        if (more == NULL) {
            static _Thread_local fa_step spare;
            b->failed = true;
            return &spare;
        }
        plan->steps = more;
        plan->step_capacity = capacity;
    }
    fa_step *step = &plan->steps[plan->n_steps++];
    memset(step, 0, sizeof *step);
    step->node = node;
    step->scratch = -1;
    for (int i = 0; i < FA_MAX_INPUTS; i++)
        step->in[i] = -1;
    for (int i = 0; i < FA_MAX_OUTPUTS; i++)
        step->out[i] = -1;
    return step;
}

/* The arguments of a step without addresses, as kernels are asked with. */
static fa_kernel_args shapes_of(const fa_step *step, const double *floats)
{
    fa_kernel_args args = {.ints = step->ints, .floats = floats, .fuse = step->fuse};
    for (int i = 0; i < FA_MAX_INPUTS; i++)
        if (step->in[i] >= 0)
            args.in_meta[i] = &step->in_meta[i];
    for (int i = 0; i < FA_MAX_OUTPUTS; i++)
        if (step->out[i] >= 0)
            args.out_meta[i] = &step->out_meta[i];
    return args;
}

static void choose_kernel(builder *b, fa_step *step, const fa_node *node)
{
    if (node->fast && b->fast) {
        fa_kernel_args args = shapes_of(step, node->floats);
        const fa_cpu_kernel *kernel = fa_cpu_find(step->op, &args);
        if (kernel != NULL) {
            step->run = kernel->run;
            step->kernel = kernel->name;
            step->in_place_allowed = kernel->elementwise_in_place;
            size_t scratch = kernel->scratch != NULL ? kernel->scratch(&args) : 0;
            if (scratch > 0)
                step->scratch = new_block(b, FA_IN_ARENA, -1, scratch);
            return;
        }
    }
    step->run = fa_op_table[step->op]->reference;
    step->kernel = "reference";
}

/* The block of a value in a layout, converting it with a step if need be. */
static int value_block(builder *b, int value, fa_layout layout)
{
    const fa_node *node = node_of(b, value);
    if (value >= b->run->n_nodes && b->block[value] < 0)
        b->block[value] = new_block(b, FA_IN_EXTERNAL, value - b->run->n_nodes, value_bytes(&node->meta));
    if (node->meta.ndim != 4 || node->meta.layout == layout || fa_layouts_agree(&node->meta))
        return b->block[value];
    if (b->converted[value] >= 0)
        return b->converted[value];
    int from = b->block[value], to = new_block(b, FA_IN_ARENA, -1, value_bytes(&node->meta));
    fa_step *step = new_step(b, -1);
    step->op = FA_OP_clone;
    step->run = layout == FA_NHWC ? fa_layout_to_nhwc : fa_layout_to_plain;
    step->kernel = layout == FA_NHWC ? "to channels last" : "to row-major";
    step->in[0] = from;
    step->in_meta[0] = node->meta;
    step->out[0] = to;
    step->out_meta[0] = node->meta;
    step->out_meta[0].layout = (uint8_t)layout;
    b->converted[value] = to;
    return to;
}

static fa_layout needed_layout(const fa_node *node, int i)
{
    const fa_op_def *def = fa_op_table[node->op];
    if (!node->fast)
        return FA_PLAIN;
    if (def->layout == FA_LAYOUT_IMAGE)
        return (def->image_inputs >> i & 1) != 0 ? FA_NHWC : FA_PLAIN;
    if (def->layout == FA_LAYOUT_ELEMENTWISE)
        return (fa_layout)node->meta.layout;
    return FA_PLAIN;
}

/* Where a node's value goes: into a leaf, a survivor, or the arena. */
static int output_block(builder *b, int r)
{
    const fa_node *node = b->run->nodes[r];
    size_t bytes = value_bytes(&node->meta);
    if (b->placed_in[r] >= 0) {
        int value = b->run->n_nodes + b->placed_in[r];
        if (b->block[value] < 0)
            b->block[value] = new_block(b, FA_IN_EXTERNAL, b->placed_in[r], bytes);
        return b->block[value];
    }
    if (kept(node, FA_KEEP_HARD | FA_KEEP_SOFT)) {
        int block = new_block(b, FA_IN_SURVIVOR, r, bytes);
        b->plan->survivors[r] = block;
        return block;
    }
    return new_block(b, FA_IN_ARENA, -1, bytes);
}

/* ---- Patterns ------------------------------------------------------------------------------------------------------
 */

static bool only_feeds(const builder *b, int r, fa_op op)
{
    return b->consumers[r] == 1 && b->run->nodes[b->sole_consumer[r]]->op == op;
}

static bool may_end_in_relu(fa_op op)
{
    return op == FA_OP_conv2d || op == FA_OP_linear || op == FA_OP_batch_norm_apply || op == FA_OP_batch_norm_eval;
}

/* A layer whose result only relu reads: the index of the relu, or -1. */
static int relu_after(const builder *b, int r)
{
    const fa_node *node = b->run->nodes[r];
    if (!b->fuse || !node->fast || !may_end_in_relu((fa_op)node->op) || kept(node, FA_KEEP_HARD) ||
        !only_feeds(b, r, FA_OP_relu))
        return -1;
    int relu = b->sole_consumer[r];
    return b->run->nodes[relu]->fast ? relu : -1;
}

static bool is_pool_2x2(const fa_node *node)
{
    const fa_pool2d_ints *p = (const void *)node->ints;
    return p->kernel[0] == 2 && p->kernel[1] == 2 && p->stride[0] == 2 && p->stride[1] == 2 && p->padding[0] == 0 &&
           p->padding[1] == 0 && p->dilation[0] == 1 && p->dilation[1] == 1 && p->ceil_mode == 0;
}

/* A relu that is read by one 2x2 max-pool and, in backward, by that pool's and its own gradient alone, those two in a
 * row: then the winners' positions stand for it, and its plane is never stored. The index of the pool, or -1;
 * *pool_grad and *relu_grad: the gradient nodes, -1 in a run without backward. */
static int pool_after(const builder *b, int relu, int *pool_grad, int *relu_grad)
{
    const fa_run *run = b->run;
    int pool = -1;
    *pool_grad = *relu_grad = -1;
    if (!b->fuse || kept(run->nodes[relu], FA_KEEP_HARD | FA_KEEP_SOFT))
        return -1;
    for (int r = relu + 1; r < run->n_nodes; r++) {
        const fa_node *node = run->nodes[r];
        for (int i = 0; i < node->n_in; i++) {
            if (input_of(b, node, i) != relu)
                continue;
            if (node->op == FA_OP_max_pool2d && pool < 0 && node->fast && is_pool_2x2(node))
                pool = r;
            else if (node->op == FA_OP_max_pool2d_grad && i == 1 && *pool_grad < 0 && node->fast && is_pool_2x2(node))
                *pool_grad = r;
            else if (node->op == FA_OP_relu_grad && i == 1 && *relu_grad < 0 && node->fast)
                *relu_grad = r;
            else
                return -1;
        }
    }
    if (pool < 0)
        return -1;
    if (*pool_grad < 0 && *relu_grad < 0)
        return pool;
    bool in_a_row = *pool_grad >= 0 && *relu_grad >= 0 && only_feeds(b, *pool_grad, FA_OP_relu_grad) &&
                    b->sole_consumer[*pool_grad] == *relu_grad &&
                    !kept(run->nodes[*pool_grad], FA_KEEP_HARD | FA_KEEP_SOFT);
    return in_a_row ? pool : -1;
}

/* The nodes of a cross entropy: log_softmax, nll_loss, and in backward their gradients (-1 without). */
typedef struct loss_pattern {
    int log_softmax, nll, nll_grad, log_softmax_grad;
} loss_pattern;

/* Whether node r's first `inputs` inputs from `first` on are the values that node `other` has from `from` on. */
static bool same_inputs(const builder *b, int r, int first, int other, int from, int inputs)
{
    for (int i = 0; i < inputs; i++)
        if (input_of(b, b->run->nodes[r], first + i) != input_of(b, b->run->nodes[other], from + i))
            return false;
    return true;
}

/* A log_softmax that only a loss and, in backward, their two gradients read, with no look at the loss between. */
static bool find_loss(const builder *b, int log_softmax, loss_pattern *p)
{
    const fa_run *run = b->run;
    *p = (loss_pattern){log_softmax, -1, -1, -1};
    if (!b->fuse || !run->nodes[log_softmax]->fast || run->nodes[log_softmax]->op != FA_OP_log_softmax)
        return false;
    for (int r = log_softmax + 1; r < run->n_nodes; r++) {
        const fa_node *node = run->nodes[r];
        for (int i = 0; i < node->n_in; i++) {
            if (input_of(b, node, i) != log_softmax)
                continue;
            if (node->op == FA_OP_nll_loss && i == 0 && p->nll < 0 && node->fast)
                p->nll = r;
            else if (node->op == FA_OP_nll_loss_grad && i == 1 && p->nll_grad < 0 && node->fast)
                p->nll_grad = r;
            else if (node->op == FA_OP_log_softmax_grad && i == 1 && p->log_softmax_grad < 0 && node->fast)
                p->log_softmax_grad = r;
            else
                return false;
        }
    }
    if (p->nll < 0 || (p->nll_grad < 0) != (p->log_softmax_grad < 0))
        return false;
    int end = p->log_softmax_grad >= 0 ? p->log_softmax_grad : p->nll;
    for (int r = log_softmax + 1; r < end; r++)
        if (fa_op_table[run->nodes[r]->op]->writes != 0)
            return false; /* it may write what the pattern reads at its end */
    if (p->nll_grad < 0)
        return true;
    for (int r = p->nll + 1; r < p->log_softmax_grad; r++)
        for (int i = 0; i < run->nodes[r]->n_in; i++)
            if (input_of(b, run->nodes[r], i) == p->nll)
                return false;
    return only_feeds(b, p->nll_grad, FA_OP_log_softmax_grad) && b->sole_consumer[p->nll_grad] == p->log_softmax_grad &&
           input_of(b, run->nodes[p->log_softmax_grad], 0) == p->nll_grad &&
           !kept(run->nodes[p->nll_grad], FA_KEEP_HARD | FA_KEEP_SOFT) &&
           same_inputs(b, p->nll_grad, 2, p->nll, 1, 2) &&
           memcmp(run->nodes[p->nll_grad]->ints, run->nodes[p->nll]->ints, sizeof(fa_loss_ints)) == 0;
}

/* ---- Lowering ------------------------------------------------------------------------------------------------------
 */

/* A step with the node's inputs, each in the layout that its kernel needs. */
static fa_step *step_with_inputs(builder *b, int r)
{
    const fa_node *node = b->run->nodes[r];
    int blocks[FA_MAX_INPUTS];
    for (int i = 0; i < node->n_in; i++) { /* first, since a conversion is a step of its own */
        int value = input_of(b, node, i);
        blocks[i] = value >= 0 ? value_block(b, value, needed_layout(node, i)) : -1;
    }
    fa_step *step = new_step(b, r);
    step->op = (fa_op)node->op;
    memcpy(step->ints, node->ints, sizeof step->ints);
    for (int i = 0; i < node->n_in; i++) {
        if (blocks[i] < 0)
            continue;
        step->in[i] = blocks[i];
        step->in_meta[i] = node_of(b, input_of(b, node, i))->meta;
        step->in_meta[i].layout = (uint8_t)(step->in_meta[i].ndim == 4 ? needed_layout(node, i) : FA_PLAIN);
    }
    return step;
}

/* What an effect writes has another copy in the other layout no more. */
static void forget_conversions(builder *b, const fa_node *effect)
{
    uint32_t writes = fa_op_table[effect->op]->writes;
    for (int i = 0; i < effect->n_in; i++)
        if ((writes >> i & 1) != 0 && input_of(b, effect, i) >= 0)
            b->converted[input_of(b, effect, i)] = -1;
}

static void lower_node(builder *b, int r)
{
    const fa_node *node = b->run->nodes[r];
    fa_step *step = step_with_inputs(b, r);
    if (fa_op_table[node->op]->writes == 0) {
        b->block[r] = output_block(b, r);
        step->out[0] = b->block[r];
        step->out_meta[0] = node->meta;
    } else {
        step->batched = fa_op_table[node->op]->elementwise_effect;
        forget_conversions(b, node);
    }
    choose_kernel(b, step, node);
}

/* conv2d, linear or batch norm + relu, + max_pool2d after a conv2d. */
static bool lower_fused_layer(builder *b, int r)
{
    int relu = relu_after(b, r);
    if (relu < 0)
        return false;
    int pool_grad = -1, relu_grad = -1;
    int pool = b->run->nodes[r]->op == FA_OP_conv2d ? pool_after(b, relu, &pool_grad, &relu_grad) : -1;
    int result = pool >= 0 ? pool : relu;
    const fa_node *node = b->run->nodes[r], *last = b->run->nodes[result];
    fa_step *step = step_with_inputs(b, r);
    step->fuse = pool >= 0 ? FA_FUSE_RELU | FA_FUSE_MAX_POOL : FA_FUSE_RELU;
    step->out_meta[0] = last->meta;
    step->out[0] = 0;
    fa_kernel_args args = shapes_of(step, node->floats);
    const fa_cpu_kernel *kernel = fa_cpu_find(step->op, &args);
    if (kernel == NULL || (kernel->fuse & step->fuse) != step->fuse) {
        b->plan->n_steps--; /* no such kernel here: the nodes go one by one */
        return false;
    }
    step->run = kernel->run;
    step->kernel = kernel->name;
    step->out[0] = output_block(b, result);
    b->block[result] = step->out[0];
    step = &b->plan->steps[b->plan->n_steps - 1];
    if (pool >= 0) {
        step->out_meta[1] = last->meta;
        step->out_meta[1].dtype = FA_DT_UINT8;
        step->out[1] = new_block(b, FA_IN_ARENA, -1, (size_t)fa_meta_numel(&last->meta));
        if (pool_grad >= 0) {
            b->positions[pool_grad] = step->out[1];
            b->done[relu_grad] = 1;
            b->sole_consumer[pool_grad] = relu_grad;
        }
    }
    args = shapes_of(step, node->floats);
    size_t scratch = kernel->scratch != NULL ? kernel->scratch(&args) : 0;
    if (scratch > 0)
        step->scratch = new_block(b, FA_IN_ARENA, -1, scratch);
    b->done[r] = b->done[relu] = 1;
    if (pool >= 0)
        b->done[pool] = 1;
    return true;
}

/* The arguments of a convolution's gradient that reads the pooled gradient and the winners' positions. */
static fa_kernel_args unpool_args(const builder *b, int r, int pool_grad, fa_meta *pooled, fa_meta *places)
{
    const fa_node *node = b->run->nodes[r];
    fa_kernel_args args = {.ints = node->ints, .floats = node->floats, .fuse = FA_FUSE_UNPOOL};
    *pooled = *places = node_of(b, input_of(b, b->run->nodes[pool_grad], 0))->meta;
    pooled->layout = places->layout = FA_NHWC;
    places->dtype = FA_DT_UINT8;
    args.in_meta[0] = pooled;
    if (node->n_in > 1)
        args.in_meta[1] = &node->in[1]->meta;
    args.in_meta[2] = places;
    args.out_meta[0] = &node->meta;
    return args;
}

/* Whether only gradients of a convolution read relu_grad's result, and each has a kernel that does without it. */
static bool can_stay_pooled(const builder *b, int pool_grad, int relu_grad)
{
    const fa_run *run = b->run;
    if (kept(run->nodes[relu_grad], FA_KEEP_HARD | FA_KEEP_SOFT) || b->placed_in[relu_grad] >= 0)
        return false;
    for (int r = relu_grad + 1; r < run->n_nodes; r++) {
        const fa_node *node = run->nodes[r];
        for (int i = 0; i < node->n_in; i++) {
            if (input_of(b, node, i) != relu_grad)
                continue;
            fa_meta pooled, places;
            if (i != 0 || !node->fast ||
                (node->op != FA_OP_conv2d_weight_grad && node->op != FA_OP_conv2d_input_grad &&
                 node->op != FA_OP_conv2d_bias_grad))
                return false;
            fa_kernel_args args = unpool_args(b, r, pool_grad, &pooled, &places);
            if (fa_cpu_find((fa_op)node->op, &args) == NULL)
                return false;
        }
    }
    return true;
}

/* A convolution's gradient whose first input is never stored. */
static bool lower_from_pooled(builder *b, int r)
{
    const fa_node *node = b->run->nodes[r];
    const int relu_grad = node->n_in > 0 ? input_of(b, node, 0) : -1;
    if (relu_grad < 0 || relu_grad >= b->run->n_nodes || b->unpooled[relu_grad] < 0)
        return false;
    const int pool_grad = b->unpooled[relu_grad];
    const int gradient = value_block(b, input_of(b, b->run->nodes[pool_grad], 0), FA_NHWC);
    const int other = node->n_in > 1 ? value_block(b, input_of(b, node, 1), needed_layout(node, 1)) : -1;
    fa_step *step = new_step(b, r);
    step->op = (fa_op)node->op;
    memcpy(step->ints, node->ints, sizeof step->ints);
    step->fuse = FA_FUSE_UNPOOL;
    step->in[0] = gradient;
    step->in[2] = b->positions[pool_grad];
    unpool_args(b, r, pool_grad, &step->in_meta[0], &step->in_meta[2]);
    if (other >= 0) {
        step->in[1] = other;
        step->in_meta[1] = node->in[1]->meta;
        step->in_meta[1].layout = (uint8_t)(node->in[1]->meta.ndim == 4 ? needed_layout(node, 1) : FA_PLAIN);
    }
    b->block[r] = output_block(b, r);
    step->out[0] = b->block[r];
    step->out_meta[0] = node->meta;
    choose_kernel(b, step, node);
    return true;
}

/* max_pool2d_grad + relu_grad from the winners' positions; nothing, where the convolution's gradients start from those.
 */
static void lower_unpool(builder *b, int pool_grad)
{
    if (can_stay_pooled(b, pool_grad, b->sole_consumer[pool_grad])) {
        b->unpooled[b->sole_consumer[pool_grad]] = pool_grad;
        b->done[pool_grad] = 1;
        return;
    }
    const fa_node *node = b->run->nodes[pool_grad];
    int relu_grad = b->sole_consumer[pool_grad];
    int gradient = value_block(b, input_of(b, node, 0), FA_NHWC);
    fa_step *step = new_step(b, pool_grad);
    step->op = FA_OP_max_pool2d_grad;
    step->kernel = "max_pool2d + relu gradient";
    step->run = fa_layout_unpool2x2;
    step->in[0] = gradient;
    step->in_meta[0] = node_of(b, input_of(b, node, 0))->meta;
    step->in_meta[0].layout = FA_NHWC;
    step->in[1] = b->positions[pool_grad];
    step->in_meta[1] = step->in_meta[0];
    step->in_meta[1].dtype = FA_DT_UINT8;
    b->block[relu_grad] = output_block(b, relu_grad);
    step->out[0] = b->block[relu_grad];
    step->out_meta[0] = b->run->nodes[relu_grad]->meta;
    b->done[pool_grad] = 1;
}

/* Whether an effect among the nodes from `first` on writes an external. */
static bool writes_external(const builder *b, int external, int first)
{
    for (int r = first; r < b->run->n_nodes; r++) {
        const fa_node *node = b->run->nodes[r];
        uint32_t writes = fa_op_table[node->op]->writes;
        for (int i = 0; i < node->n_in; i++)
            if ((writes >> i & 1) != 0 && input_of(b, node, i) == b->run->n_nodes + external)
                return true;
    }
    return false;
}

/* Puts a fused cross entropy off to its last node, where everything that it needs is there. */
static bool defer_loss(builder *b, int r)
{
    loss_pattern p;
    if (!find_loss(b, r, &p))
        return false;
    fa_kernel_args args = {
        .ints = b->run->nodes[p.nll]->ints, .floats = b->run->nodes[p.nll]->floats, .fuse = FA_FUSE_LOG_SOFTMAX};
    for (int i = 0; i < b->run->nodes[p.nll]->n_in; i++)
        if (b->run->nodes[p.nll]->in[i] != NULL)
            args.in_meta[i] = &b->run->nodes[p.nll]->in[i]->meta;
    if (fa_cpu_find(FA_OP_nll_loss, &args) == NULL)
        return false;
    b->done[p.nll] = 1;
    if (p.nll_grad >= 0)
        b->done[p.nll_grad] = 1;
    int end = p.log_softmax_grad >= 0 ? p.log_softmax_grad : p.nll;
    b->loss_ends[end] = r;
    b->done[end] = 0;
    return true;
}

static void lower_loss(builder *b, int end)
{
    loss_pattern p;
    find_loss(b, b->loss_ends[end], &p);
    const fa_node *log_softmax = b->run->nodes[p.log_softmax], *nll = b->run->nodes[p.nll];
    const int values[4] = {input_of(b, log_softmax, 0), input_of(b, nll, 1), input_of(b, nll, 2),
                           p.nll_grad >= 0 ? input_of(b, b->run->nodes[p.nll_grad], 0) : -1};
    int blocks[4];
    for (int i = 0; i < 4; i++)
        blocks[i] = values[i] >= 0 ? value_block(b, values[i], FA_PLAIN) : -1;
    fa_step *step = new_step(b, p.nll);
    step->op = FA_OP_nll_loss;
    step->fuse = FA_FUSE_LOG_SOFTMAX;
    memcpy(step->ints, nll->ints, sizeof step->ints);
    for (int i = 0; i < 4; i++)
        if (blocks[i] >= 0) {
            step->in[i] = blocks[i];
            step->in_meta[i] = node_of(b, values[i])->meta;
        }
    const int nodes[3] = {p.nll, p.log_softmax_grad, p.log_softmax};
    for (int i = 0; i < 3; i++)
        if (nodes[i] >= 0) {
            step->out[i] = b->block[nodes[i]] = output_block(b, nodes[i]);
            step->out_meta[i] = b->run->nodes[nodes[i]]->meta;
        }
    fa_kernel_args args = shapes_of(step, nll->floats);
    const fa_cpu_kernel *kernel = fa_cpu_find(FA_OP_nll_loss, &args);
    step->run = kernel->run;
    step->kernel = kernel->name;
    b->done[end] = 1;
}

/* A reshape is its input's bytes; one that survives, or looks at memory that this run writes, has its own copy. */
static void lower_alias(builder *b, int r)
{
    const fa_node *node = b->run->nodes[r];
    int value = input_of(b, node, 0);
    int from = value_block(b, value, FA_PLAIN);
    const fa_block *block = &b->plan->blocks[from];
    bool shared = block->kind != FA_IN_EXTERNAL || !writes_external(b, block->index, 0);
    if (!kept(node, FA_KEEP_HARD | FA_KEEP_SOFT) && b->placed_in[r] < 0 && shared) {
        b->block[r] = from;
        return;
    }
    fa_step *step = new_step(b, r);
    step->op = FA_OP_clone;
    step->run = fa_layout_copy;
    step->kernel = "copy";
    step->in[0] = from;
    step->in_meta[0] = node->meta;
    b->block[r] = output_block(b, r);
    step->out[0] = b->block[r];
    step->out_meta[0] = node->meta;
}

/* ---- Gradients written where they belong ----------------------------------------------------------------------------
 */

/* assign(leaf, value), where this run computes the value and touches the leaf nowhere else: the value is computed into
 * the leaf's memory. */
static void place_assignments(builder *b)
{
    const fa_run *run = b->run;
    for (int r = 0; r < run->n_nodes; r++) {
        const fa_node *node = run->nodes[r];
        if (node->op != FA_OP_assign)
            continue;
        int value = input_of(b, node, 1), external = input_of(b, node, 0) - run->n_nodes;
        if (value >= run->n_nodes || b->placed_in[value] >= 0)
            continue;
        const fa_node *source = run->nodes[value];
        if (kept(source, FA_KEEP_HARD | FA_KEEP_SOFT) || source->meta.layout != FA_PLAIN)
            continue;
        int uses = 0;
        for (int k = 0; k <= r && uses < 2; k++)
            for (int i = 0; i < run->nodes[k]->n_in; i++)
                uses += input_of(b, run->nodes[k], i) == run->n_nodes + external;
        if (uses == 1 && !writes_external(b, external, r + 1)) {
            b->placed_in[value] = external;
            b->done[r] = 1;
        }
    }
}

/* ---- The whole ------------------------------------------------------------------------------------------------------
 */

static void count_consumers(builder *b)
{
    for (int r = 0; r < b->run->n_nodes; r++)
        for (int i = 0; i < b->run->nodes[r]->n_in; i++) {
            int value = input_of(b, b->run->nodes[r], i);
            if (value >= 0 && value < b->run->n_nodes) {
                b->consumers[value]++;
                b->sole_consumer[value] = r;
            }
        }
}

static void find_lifetimes(fa_plan *plan)
{
    for (int s = 0; s < plan->n_steps; s++) {
        const fa_step *step = &plan->steps[s];
        int used[FA_MAX_INPUTS + FA_MAX_OUTPUTS + 1], n = 0;
        for (int i = 0; i < FA_MAX_INPUTS; i++)
            used[n++] = step->in[i];
        for (int i = 0; i < FA_MAX_OUTPUTS; i++)
            used[n++] = step->out[i];
        used[n++] = step->scratch;
        for (int i = 0; i < n; i++) {
            if (used[i] < 0)
                continue;
            fa_block *block = &plan->blocks[used[i]];
            block->first = s < block->first ? s : block->first;
            block->last = s;
        }
    }
}

/* Neighbouring updates run side by side, but for two that write the same memory. */
static void separate_batches(fa_plan *plan)
{
    int first = 0;
    for (int s = 0; s < plan->n_steps; s++) {
        fa_step *step = &plan->steps[s];
        if (!step->batched || (s > 0 && (!plan->steps[s - 1].batched || plan->steps[s - 1].run != step->run)))
            first = s;
        for (int k = first; k < s && step->batched; k++)
            for (int i = 0; i < FA_MAX_INPUTS; i++)
                for (int j = 0; j < FA_MAX_INPUTS; j++)
                    if (step->in[i] >= 0 && step->in[i] == plan->steps[k].in[j] &&
                        ((fa_op_table[step->op]->writes >> i & 1) != 0 ||
                         (fa_op_table[plan->steps[k].op]->writes >> j & 1) != 0))
                        step->opens_batch = true;
        if (step->opens_batch)
            first = s;
    }
}

static void collect_checks(builder *b)
{
    fa_plan *plan = b->plan;
    for (int r = 0; r < b->run->n_nodes; r++)
        if (fa_op_table[b->run->nodes[r]->op]->check != NULL)
            plan->checks[plan->n_checks++] = r;
}

static void build(builder *b)
{
    const fa_run *run = b->run;
    count_consumers(b);
    place_assignments(b);
    collect_checks(b);
    for (int r = 0; r < run->n_nodes && !b->failed; r++) {
        if (b->done[r])
            continue;
        if (b->positions[r] >= 0)
            lower_unpool(b, r);
        else if (b->loss_ends[r] >= 0)
            lower_loss(b, r);
        else if (defer_loss(b, r))
            continue;
        else if (fa_op_table[run->nodes[r]->op]->alias)
            lower_alias(b, r);
        else if (!lower_from_pooled(b, r) && !lower_fused_layer(b, r))
            lower_node(b, r);
    }
    find_lifetimes(b->plan);
    separate_batches(b->plan);
    fa_plan_place_blocks(b->plan);
}

fa_plan *fa_plan_build(const fa_run *run)
{
    int nodes = run->n_nodes, values = nodes + run->n_externals;
    fa_plan *plan = fa_calloc(1, sizeof *plan);
    int *ints = fa_malloc((size_t)(nodes * 6 + values * 2 + 1) * sizeof(int));
    uint8_t *done = fa_calloc((size_t)nodes + 1, 1);
    builder b = {.run = run, .plan = plan, .done = done};
    if (plan != NULL) {
        plan->key = fa_malloc((size_t)run->key_words * sizeof *plan->key);
        plan->checks = fa_malloc((size_t)(nodes + 1) * sizeof *plan->checks);
        plan->survivors = fa_malloc((size_t)(nodes + 1) * sizeof *plan->survivors);
    }
    if (plan == NULL || ints == NULL || done == NULL || plan->key == NULL || plan->checks == NULL ||
        plan->survivors == NULL)
        goto no_memory;
    plan->hash = run->hash;
    plan->key_words = run->key_words;
    memcpy(plan->key, run->key, (size_t)run->key_words * sizeof *plan->key);
    plan->n_nodes = nodes;
    b.consumers = ints;
    b.sole_consumer = ints + nodes;
    b.placed_in = ints + 2 * nodes;
    b.positions = ints + 3 * nodes;
    b.loss_ends = ints + 4 * nodes;
    b.unpooled = ints + 5 * nodes;
    b.block = ints + 6 * nodes;
    b.converted = b.block + values;
    memset(b.consumers, 0, (size_t)nodes * sizeof(int));
    memset(b.sole_consumer, 0xff, (size_t)(nodes * 5 + values * 2) * sizeof(int));
    memset(plan->survivors, 0xff, (size_t)nodes * sizeof(int));
    b.fast = fa_plan_get_mode() != FA_PLAN_OFF;
    b.fuse = fa_plan_get_mode() == FA_PLAN_FUSED;
    build(&b);
    if (b.failed)
        goto no_memory;
    fa_mfree(ints);
    fa_mfree(done);
    return plan;
no_memory:
    fa_mfree(ints);
    fa_mfree(done);
    fa_plan_free(plan);
    fa_fail_memory(fa_current_where(), (size_t)(nodes + 1) * sizeof(fa_step));
    return NULL;
}

void fa_plan_free(fa_plan *plan)
{
    if (plan == NULL)
        return;
    fa_mfree(plan->key);
    fa_mfree(plan->steps);
    fa_mfree(plan->blocks);
    fa_mfree(plan->checks);
    fa_mfree(plan->survivors);
    fa_mfree(plan);
}
