/* hook: y = x. In backward the function in node->user is given the gradient, and what it returns goes on; ints[0] is
 * the function's number. */
#include "ops/hook.h"

#include <string.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_gradient_hook function;
    memcpy(&function, &node->user, sizeof function);
    grad_in[0] = function(node, grad);
}

static void reference(const fa_kernel_args *args)
{
    const fa_meta *meta = args->out_meta[0];
    const size_t bytes = (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype));
    if (bytes > 0 && args->out[0] != args->in[0])
        memcpy(args->out[0], args->in[0], bytes);
}

const fa_op_def fa_op_hook = {
    .name = "hook",
    .grad_name = "BackwardHookFunctionBackward",
    .layout = FA_LAYOUT_PLAIN,
    .alias = true,
    .infer = fa_infer_same,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

fa_node *fa_record_hook(fa_node *x, fa_gradient_hook hook, int64_t number)
{
    const void *user;
    memcpy(&user, &hook, sizeof user);
    return fa_record_user(FA_OP_hook, 1, &x, &number, sizeof number, NULL, 0, user);
}
