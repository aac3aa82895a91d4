/* A plan from a run set: patterns fused, layouts converted where a kernel needs another one, a kernel for each step.
 *
 * Values are numbered as in fa_run_input: nodes first, externals after. */
#include "plan/patterns.h"

#include "cpu/layout.h"

#include <string.h>

/* ---- Blocks and steps ----------------------------------------------------------------------------------------------
 */

static int new_block(fa_builder *b, fa_place_kind kind, int index, size_t bytes)
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

static fa_step *new_step(fa_builder *b, int node)
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

static void choose_kernel(fa_builder *b, fa_step *step, const fa_node *node)
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
static int value_block(fa_builder *b, int value, fa_layout layout)
{
    const fa_node *node = fa_node_of(b, value);
    if (value >= b->run->n_nodes && b->block[value] < 0)
        b->block[value] = new_block(b, FA_IN_EXTERNAL, value - b->run->n_nodes, fa_value_bytes(&node->meta));
    if (node->meta.ndim != 4 || node->meta.layout == layout || fa_layouts_agree(&node->meta))
        return b->block[value];
    if (b->converted[value] >= 0)
        return b->converted[value];
    int from = b->block[value], to = new_block(b, FA_IN_ARENA, -1, fa_value_bytes(&node->meta));
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
static int output_block(fa_builder *b, int r)
{
    const fa_node *node = b->run->nodes[r];
    size_t bytes = fa_value_bytes(&node->meta);
    if (b->placed_in[r] >= 0) {
        int value = b->run->n_nodes + b->placed_in[r];
        if (b->block[value] < 0)
            b->block[value] = new_block(b, FA_IN_EXTERNAL, b->placed_in[r], bytes);
        return b->block[value];
    }
    if (fa_kept(node, FA_KEEP_HARD | FA_KEEP_SOFT)) {
        int block = new_block(b, FA_IN_SURVIVOR, r, bytes);
        b->plan->survivors[r] = block;
        return block;
    }
    return new_block(b, FA_IN_ARENA, -1, bytes);
}

/* ---- Lowering ------------------------------------------------------------------------------------------------------
 */

/* A step of a node on these values, each in the layout that its kernel needs. */
static fa_step *step_with_values(fa_builder *b, int r, const int values[FA_MAX_INPUTS])
{
    const fa_node *node = b->run->nodes[r];
    int blocks[FA_MAX_INPUTS];
    for (int i = 0; i < FA_MAX_INPUTS; i++) /* first, since a conversion is a step of its own */
        blocks[i] = values[i] >= 0 ? value_block(b, values[i], needed_layout(node, i)) : -1;
    fa_step *step = new_step(b, r);
    step->op = (fa_op)node->op;
    memcpy(step->ints, node->ints, sizeof step->ints);
    for (int i = 0; i < FA_MAX_INPUTS; i++) {
        if (blocks[i] < 0)
            continue;
        step->in[i] = blocks[i];
        step->in_meta[i] = fa_node_of(b, values[i])->meta;
        step->in_meta[i].layout = (uint8_t)(step->in_meta[i].ndim == 4 ? needed_layout(node, i) : FA_PLAIN);
    }
    return step;
}

static fa_step *step_with_inputs(fa_builder *b, int r)
{
    int values[FA_MAX_INPUTS];
    for (int i = 0; i < FA_MAX_INPUTS; i++)
        values[i] = fa_input_of(b, b->run->nodes[r], i);
    return step_with_values(b, r, values);
}

/* What an effect writes has another copy in the other layout no more. */
static void forget_conversions(fa_builder *b, const fa_node *effect)
{
    uint32_t writes = fa_op_table[effect->op]->writes;
    for (int i = 0; i < effect->n_in; i++)
        if ((writes >> i & 1) != 0 && fa_input_of(b, effect, i) >= 0)
            b->converted[fa_input_of(b, effect, i)] = -1;
}

static void lower_node(fa_builder *b, int r)
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

/* conv2d, linear or batch norm + relu, + max_pool2d after an image. */
static bool lower_fused_layer(fa_builder *b, int r)
{
    int relu = fa_plan_relu_after(b, r);
    if (relu < 0)
        return false;
    int pool_grad = -1, relu_grad = -1;
    int pool = b->run->nodes[r]->op != FA_OP_linear ? fa_plan_pool_after(b, relu, &pool_grad, &relu_grad) : -1;
    int result = pool >= 0 ? pool : relu;
    const fa_node *node = b->run->nodes[r], *last = b->run->nodes[result];
    fa_step *step = step_with_inputs(b, r);
    step->fuse = pool >= 0 ? FA_FUSE_RELU | FA_FUSE_MAX_POOL : FA_FUSE_RELU;
    step->out_meta[0] = last->meta;
    step->out[0] = 0;
    fa_kernel_args args = shapes_of(step, node->floats);
    const fa_cpu_kernel *kernel = fa_cpu_find(step->op, &args);
    if (kernel == NULL && pool >= 0) { /* no such kernel here: the pool goes by itself */
        pool = pool_grad = -1;
        result = relu;
        last = b->run->nodes[relu];
        step->fuse = args.fuse = FA_FUSE_RELU;
        step->out_meta[0] = last->meta;
        kernel = fa_cpu_find(step->op, &args);
    }
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

/* A layer's gradient whose first input is never stored. */
static bool lower_from_unstored(fa_builder *b, int r)
{
    const fa_node *node = b->run->nodes[r];
    const int gradient = node->n_in > 0 ? fa_input_of(b, node, 0) : -1;
    if (gradient < 0 || gradient >= b->run->n_nodes || (b->unpooled[gradient] < 0 && b->cut[gradient] < 0))
        return false;
    const int pool_grad = b->unpooled[gradient];
    int values[FA_MAX_INPUTS];
    const int places = fa_plan_unstored_inputs(b, r, pool_grad, b->cut[gradient], values);
    fa_step *step = step_with_values(b, r, values);
    step->fuse = pool_grad >= 0 ? FA_FUSE_UNPOOL : FA_FUSE_RELU;
    if (places >= 0) {
        step->in[places] = b->positions[pool_grad];
        step->in_meta[places] = step->in_meta[0];
        step->in_meta[places].dtype = FA_DT_UINT8;
    }
    b->block[r] = output_block(b, r);
    step->out[0] = b->block[r];
    step->out_meta[0] = node->meta;
    choose_kernel(b, step, node);
    return true;
}

/* A relu_grad that its readers do without: nothing. */
static bool lower_cut(fa_builder *b, int r)
{
    b->cut[r] = fa_plan_cut_by(b, r);
    return b->cut[r] >= 0;
}

/* max_pool2d_grad + relu_grad from the winners' positions; nothing, where the layer's gradients start from those.
 */
static void lower_unpool(fa_builder *b, int pool_grad)
{
    if (fa_plan_can_stay_pooled(b, pool_grad, b->sole_consumer[pool_grad])) {
        b->unpooled[b->sole_consumer[pool_grad]] = pool_grad;
        b->done[pool_grad] = 1;
        return;
    }
    const fa_node *node = b->run->nodes[pool_grad];
    int relu_grad = b->sole_consumer[pool_grad];
    int gradient = value_block(b, fa_input_of(b, node, 0), FA_NHWC);
    fa_step *step = new_step(b, pool_grad);
    step->op = FA_OP_max_pool2d_grad;
    step->kernel = "max_pool2d + relu gradient";
    step->run = fa_layout_unpool2x2;
    step->in[0] = gradient;
    step->in_meta[0] = fa_node_of(b, fa_input_of(b, node, 0))->meta;
    step->in_meta[0].layout = FA_NHWC;
    step->in[1] = b->positions[pool_grad];
    step->in_meta[1] = step->in_meta[0];
    step->in_meta[1].dtype = FA_DT_UINT8;
    b->block[relu_grad] = output_block(b, relu_grad);
    step->out[0] = b->block[relu_grad];
    step->out_meta[0] = b->run->nodes[relu_grad]->meta;
    b->done[pool_grad] = 1;
}

/* Puts a fused cross entropy off to its last node, where everything that it needs is there. */
static bool defer_loss(fa_builder *b, int r)
{
    fa_loss_pattern p;
    if (!fa_plan_find_loss(b, r, &p))
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

static void lower_loss(fa_builder *b, int end)
{
    fa_loss_pattern p;
    fa_plan_find_loss(b, b->loss_ends[end], &p);
    const fa_node *log_softmax = b->run->nodes[p.log_softmax], *nll = b->run->nodes[p.nll];
    const int values[4] = {fa_input_of(b, log_softmax, 0), fa_input_of(b, nll, 1), fa_input_of(b, nll, 2),
                           p.nll_grad >= 0 ? fa_input_of(b, b->run->nodes[p.nll_grad], 0) : -1};
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
            step->in_meta[i] = fa_node_of(b, values[i])->meta;
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
static void lower_alias(fa_builder *b, int r)
{
    const fa_node *node = b->run->nodes[r];
    int value = fa_input_of(b, node, 0);
    int from = value_block(b, value, FA_PLAIN);
    const fa_block *block = &b->plan->blocks[from];
    bool shared = block->kind != FA_IN_EXTERNAL || !fa_plan_writes_external(b, block->index, 0, b->run->n_nodes);
    if (!fa_kept(node, FA_KEEP_HARD | FA_KEEP_SOFT) && b->placed_in[r] < 0 && shared) {
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
static void place_assignments(fa_builder *b)
{
    const fa_run *run = b->run;
    for (int r = 0; r < run->n_nodes; r++) {
        const fa_node *node = run->nodes[r];
        if (node->op != FA_OP_assign)
            continue;
        int value = fa_input_of(b, node, 1), external = fa_input_of(b, node, 0) - run->n_nodes;
        if (value >= run->n_nodes || b->placed_in[value] >= 0)
            continue;
        const fa_node *source = run->nodes[value];
        if (fa_kept(source, FA_KEEP_HARD | FA_KEEP_SOFT) || source->meta.layout != FA_PLAIN)
            continue;
        int uses = 0;
        for (int k = 0; k <= r && uses < 2; k++)
            for (int i = 0; i < run->nodes[k]->n_in; i++)
                uses += fa_input_of(b, run->nodes[k], i) == run->n_nodes + external;
        if (uses == 1 && !fa_plan_writes_external(b, external, r + 1, run->n_nodes)) {
            b->placed_in[value] = external;
            b->done[r] = 1;
        }
    }
}

/* ---- The whole ------------------------------------------------------------------------------------------------------
 */

static void count_consumers(fa_builder *b)
{
    for (int r = 0; r < b->run->n_nodes; r++)
        for (int i = 0; i < b->run->nodes[r]->n_in; i++) {
            int value = fa_input_of(b, b->run->nodes[r], i);
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

static void collect_checks(fa_builder *b)
{
    fa_plan *plan = b->plan;
    for (int r = 0; r < b->run->n_nodes; r++)
        if (fa_op_table[b->run->nodes[r]->op]->check != NULL)
            plan->checks[plan->n_checks++] = r;
}

static void build(fa_builder *b)
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
        else if (!lower_cut(b, r) && !lower_from_unstored(b, r) && !lower_fused_layer(b, r))
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
    int *ints = fa_malloc((size_t)(nodes * 7 + values * 2 + 1) * sizeof(int));
    uint8_t *done = fa_calloc((size_t)nodes + 1, 1);
    fa_builder b = {.run = run, .plan = plan, .done = done};
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
    b.cut = ints + 6 * nodes;
    b.block = ints + 7 * nodes;
    b.converted = b.block + values;
    memset(b.consumers, 0, (size_t)nodes * sizeof(int));
    memset(b.sole_consumer, 0xff, (size_t)(nodes * 6 + values * 2) * sizeof(int));
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
