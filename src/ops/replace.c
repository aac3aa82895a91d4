/* replace: y = new, in the place of old: what a write in place leaves of a tensor with history. ints[0] says of whose:
 *
 *     FA_REPLACE_VALUE   outside autograd (fa_no_grad, or through a detached view): the history of old; its gradient is
 * g others             by fill_, zero_, copy_ or a draw: of both; the gradient of old is 0, that of new is g */
#include "ops/rules.h"

#include <string.h>

static bool infer(fa_node *node)
{
    fa_infer_same(node);
    node->noncontiguous = node->in[0]->noncontiguous;
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (node->ints[0] == FA_REPLACE_VALUE) {
        grad_in[0] = grad;
        return;
    }
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record_full(&node->in[0]->meta, 0);
    if (fa_wants_grad(node, 1))
        grad_in[1] = grad;
}

static const char *grad_label(const fa_node *node)
{
    static const char *const label[] = {
        [FA_REPLACE_FILL] = "FillBackward2",
        [FA_REPLACE_ZERO] = "ZeroBackward0",
        [FA_REPLACE_COPY] = "CopyBackwards",
        [FA_REPLACE_UNIFORM] = "UniformBackward0",
        [FA_REPLACE_NORMAL] = "NormalBackward0",
        [FA_REPLACE_BERNOULLI] = "BernoulliBackward2",
        [FA_REPLACE_EXPONENTIAL] = "ExponentialBackward0",
    };
    if (node->ints[0] != FA_REPLACE_VALUE)
        return label[node->ints[0]];
    const fa_op_def *def = fa_op_table[node->in[0]->op];
    return def->grad_label ? def->grad_label(node->in[0]) : def->grad_name;
}

static void reference(const fa_kernel_args *args)
{
    const fa_meta *meta = args->out_meta[0];
    const size_t bytes = (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype));
    if (bytes > 0)
        memmove(args->out[0], args->in[1], bytes);
}

/* inputs: old, new */
const fa_op_def fa_op_replace = {
    .name = "replace",
    .grad_name = "CopyBackwards",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

fa_tensor *fa_finish_replace(fa_tensor *handle, fa_node *before, fa_node *value, fa_replace_kind kind, const char *what)
{
    if (before && value && before->requires_grad && fa_grad_enabled() && !fa_handle_leaf(handle)) {
        const int64_t ints[1] = {kind};
        fa_node *in[2] = {before, fa_record_cast(value, before->meta.dtype)};
        value = in[1] ? fa_record(FA_OP_replace, 2, in, ints, sizeof ints, NULL, 0) : NULL;
    }
    return fa_finish_inplace(handle, before, value, what);
}
