/* The patterns that a plan fuses (patterns.h). */
#include "plan/patterns.h"

#include <string.h>

bool fa_plan_only_feeds(const fa_builder *b, int r, fa_op op)
{
    return b->consumers[r] == 1 && b->run->nodes[b->sole_consumer[r]]->op == op;
}

static bool may_end_in_relu(fa_op op)
{
    return op == FA_OP_conv2d || op == FA_OP_linear || op == FA_OP_batch_norm_apply || op == FA_OP_batch_norm_eval;
}

int fa_plan_relu_after(const fa_builder *b, int r)
{
    const fa_node *node = b->run->nodes[r];
    if (!b->fuse || !node->fast || !may_end_in_relu((fa_op)node->op) || fa_kept(node, FA_KEEP_HARD) ||
        !fa_plan_only_feeds(b, r, FA_OP_relu))
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

int fa_plan_pool_after(const fa_builder *b, int relu, int *pool_grad, int *relu_grad)
{
    const fa_run *run = b->run;
    int pool = -1;
    *pool_grad = *relu_grad = -1;
    if (!b->fuse || fa_kept(run->nodes[relu], FA_KEEP_HARD | FA_KEEP_SOFT))
        return -1;
    for (int r = relu + 1; r < run->n_nodes; r++) {
        const fa_node *node = run->nodes[r];
        for (int i = 0; i < node->n_in; i++) {
            if (fa_input_of(b, node, i) != relu)
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
    bool in_a_row = *pool_grad >= 0 && *relu_grad >= 0 && fa_plan_only_feeds(b, *pool_grad, FA_OP_relu_grad) &&
                    b->sole_consumer[*pool_grad] == *relu_grad &&
                    !fa_kept(run->nodes[*pool_grad], FA_KEEP_HARD | FA_KEEP_SOFT);
    return in_a_row ? pool : -1;
}

/* Whether node r's first `inputs` inputs from `first` on are the values that node `other` has from `from` on. */
static bool same_inputs(const fa_builder *b, int r, int first, int other, int from, int inputs)
{
    for (int i = 0; i < inputs; i++)
        if (fa_input_of(b, b->run->nodes[r], first + i) != fa_input_of(b, b->run->nodes[other], from + i))
            return false;
    return true;
}

bool fa_plan_find_loss(const fa_builder *b, int log_softmax, fa_loss_pattern *p)
{
    const fa_run *run = b->run;
    *p = (fa_loss_pattern){log_softmax, -1, -1, -1};
    if (!b->fuse || !run->nodes[log_softmax]->fast || run->nodes[log_softmax]->op != FA_OP_log_softmax)
        return false;
    for (int r = log_softmax + 1; r < run->n_nodes; r++) {
        const fa_node *node = run->nodes[r];
        for (int i = 0; i < node->n_in; i++) {
            if (fa_input_of(b, node, i) != log_softmax)
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
            if (fa_input_of(b, run->nodes[r], i) == p->nll)
                return false;
    return fa_plan_only_feeds(b, p->nll_grad, FA_OP_log_softmax_grad) &&
           b->sole_consumer[p->nll_grad] == p->log_softmax_grad &&
           fa_input_of(b, run->nodes[p->log_softmax_grad], 0) == p->nll_grad &&
           !fa_kept(run->nodes[p->nll_grad], FA_KEEP_HARD | FA_KEEP_SOFT) &&
           same_inputs(b, p->nll_grad, 2, p->nll, 1, 2) &&
           memcmp(run->nodes[p->nll_grad]->ints, run->nodes[p->nll]->ints, sizeof(fa_loss_ints)) == 0;
}

/* ---- Gradients that are never stored ------------------------------------------------------------------------------
 */

bool fa_plan_writes_external(const fa_builder *b, int external, int first, int end)
{
    for (int r = first; r < end; r++) {
        const fa_node *node = b->run->nodes[r];
        uint32_t writes = fa_op_table[node->op]->writes;
        for (int i = 0; i < node->n_in; i++)
            if ((writes >> i & 1) != 0 && fa_input_of(b, node, i) == b->run->n_nodes + external)
                return true;
    }
    return false;
}

static bool is_norm_grad(fa_op op)
{
    return op == FA_OP_batch_norm_grad_stats || op == FA_OP_batch_norm_input_grad;
}

static bool is_conv_grad(fa_op op)
{
    return op == FA_OP_conv2d_weight_grad || op == FA_OP_conv2d_input_grad || op == FA_OP_conv2d_bias_grad;
}

int fa_plan_unstored_inputs(const fa_builder *b, int r, int pool_grad, int norm, int values[FA_MAX_INPUTS])
{
    const fa_run *run = b->run;
    const fa_node *node = run->nodes[r];
    const int gradient = fa_input_of(b, node, 0);
    for (int i = 0; i < FA_MAX_INPUTS; i++)
        values[i] = fa_input_of(b, node, i);
    values[0] = fa_input_of(b, run->nodes[pool_grad >= 0 ? pool_grad : gradient], 0);
    if (norm >= 0)
        for (int i = 0; i < 2; i++)
            values[6 + i] = fa_input_of(b, run->nodes[norm], 2 + i);
    return pool_grad < 0 ? -1 : is_norm_grad((fa_op)node->op) ? 6 : 2;
}

static bool has_kernel(const fa_builder *b, int r, int pool_grad, int norm)
{
    const fa_node *node = b->run->nodes[r];
    int values[FA_MAX_INPUTS];
    fa_meta metas[FA_MAX_INPUTS];
    fa_kernel_args args = {.ints = node->ints,
                           .floats = node->floats,
                           .fuse = pool_grad >= 0 ? FA_FUSE_UNPOOL : FA_FUSE_RELU,
                           .out_meta = {&node->meta}};
    const int places = fa_plan_unstored_inputs(b, r, pool_grad, norm, values);
    for (int i = 0; i < FA_MAX_INPUTS; i++) {
        if (values[i] < 0 && i != places)
            continue;
        metas[i] = fa_node_of(b, values[i == places ? 0 : i])->meta;
        if (i == places)
            metas[i].dtype = FA_DT_UINT8;
        args.in_meta[i] = &metas[i];
    }
    return fa_cpu_find((fa_op)node->op, &args) != NULL;
}

bool fa_plan_can_stay_pooled(const fa_builder *b, int pool_grad, int relu_grad)
{
    const fa_run *run = b->run;
    if (fa_kept(run->nodes[relu_grad], FA_KEEP_HARD | FA_KEEP_SOFT) || b->placed_in[relu_grad] >= 0)
        return false;
    for (int r = relu_grad + 1; r < run->n_nodes; r++) {
        const fa_node *node = run->nodes[r];
        for (int i = 0; i < node->n_in; i++)
            if (fa_input_of(b, node, i) == relu_grad &&
                (i != 0 || !node->fast || !(is_conv_grad((fa_op)node->op) || is_norm_grad((fa_op)node->op)) ||
                 !has_kernel(b, r, pool_grad, -1)))
                return false;
    }
    return true;
}

/* Whether node r is a gradient of the batch norm, given relu_grad's result. */
static bool is_gradient_of(const fa_builder *b, int r, int norm)
{
    const fa_node *node = b->run->nodes[r], *layer = b->run->nodes[norm];
    return is_norm_grad((fa_op)node->op) && node->fast && fa_input_of(b, node, 1) == fa_input_of(b, layer, 0) &&
           fa_input_of(b, node, 2) == fa_input_of(b, layer, 1);
}

int fa_plan_cut_by(const fa_builder *b, int relu_grad)
{
    const fa_run *run = b->run;
    const fa_node *node = run->nodes[relu_grad];
    const int relu = node->op == FA_OP_relu_grad ? fa_input_of(b, node, 1) : -1;
    if (!b->fuse || relu < 0 || relu >= run->n_nodes || run->nodes[relu]->op != FA_OP_relu ||
        fa_kept(node, FA_KEEP_HARD | FA_KEEP_SOFT) || b->placed_in[relu_grad] >= 0 || node->meta.ndim != 4)
        return -1;
    const int norm = fa_input_of(b, run->nodes[relu], 0);
    if (norm < 0 || norm >= run->n_nodes || run->nodes[norm]->op != FA_OP_batch_norm_apply || !run->nodes[norm]->fast)
        return -1;
    int last = norm;
    for (int r = relu_grad + 1; r < run->n_nodes; r++)
        for (int i = 0; i < run->nodes[r]->n_in; i++) {
            if (fa_input_of(b, run->nodes[r], i) != relu_grad)
                continue;
            if (i != 0 || !is_gradient_of(b, r, norm) || !has_kernel(b, r, -1, norm))
                return -1;
            last = r;
        }
    for (int i = 2; i < 4; i++) { /* the line is drawn again from weight and bias: they must be those of then */
        const int external = fa_input_of(b, run->nodes[norm], i) - run->n_nodes;
        if (external >= 0 && fa_plan_writes_external(b, external, norm, last))
            return -1;
    }
    return last > norm ? norm : -1;
}
