/* An op from outside the library, with its own gradient: swish(x) = x / (1 + exp(-beta x)), Ramachandran et al. 2017.
 */
#include <facula.h>

#include <math.h>
#include <stdio.h>

static bool swish_rule(fa_custom_rule *call)
{
    fa_tensor *x = call->input[0], *s = fa_sigmoid(fa_mul(x, call->numbers[0]));
    fa_tensor *bend = fa_mul(fa_mul(call->output, fa_rsub(1, s)), call->numbers[0]);
    call->input_grad[0] = fa_mul(call->output_grad, fa_add(s, bend));
    return fa_ok();
}

static int64_t elements(const fa_custom_call *call)
{
    int64_t n = 1;
    for (int d = 0; d < call->output_shape.ndim; d++)
        n *= call->output_shape.size[d];
    return n;
}

static bool swish_shape(fa_custom_call *call)
{
    if (call->input_dtype[0] == FA_FLOAT32)
        return true; /* the result is preset to the input's shape and type */
    fa_raise(FA_DTYPE_ERROR, "swish: needs float32");
    return false;
}

static void swish_forward(fa_custom_call *call)
{
    const float *x = call->input[0];
    float *y = call->output, beta = (float)call->numbers[0];
    for (int64_t i = 0, n = elements(call); i < n; i++)
        y[i] = x[i] / (1 + expf(-beta * x[i]));
}

static void swish_backward(fa_custom_call *call)
{
    const float *x = call->input[0], *y = call->output, *gy = call->output_grad;
    float *gx = call->input_grad[0], beta = (float)call->numbers[0];
    for (int64_t i = 0, n = elements(call); i < n; i++)
        gx[i] = gy[i] * (beta * y[i] + (1 - beta * y[i]) / (1 + expf(-beta * x[i])));
}

static const fa_custom_op swish_op = {
    .name = "swish", .shape = swish_shape, .forward = swish_forward, .backward = swish_backward, .rule = swish_rule};

static fa_tensor *swish(fa_tensor *x)
{
    return fa_custom(&swish_op, {x}, .numbers = {1.0});
}

int main(void)
{
    fa_tensor *x = fa_tensor_of(FA_SHAPE(5), -2, -1, 0, 1, 2);
    fa_set_requires_grad_at(x, true, FA_HERE);
    fa_tensor *y = swish(x), *slope[1];
    fa_backward(fa_sum(y), .retain_graph = true);
    fa_print(y);
    fa_print(fa_grad(x));
    fa_autograd_grad(FA_TENSORS(fa_sum(y)), FA_TENSORS(x), slope, .create_graph = true); /* by the rule */
    fa_autograd_grad(FA_TENSORS(fa_sum(slope[0])), FA_TENSORS(x), slope);
    fa_print(slope[0]);
    return fa_exit_status(stderr);
}
