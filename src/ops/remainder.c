/* remainder: y = a - floor_divide(a, b) * b, broadcast: it has the sign of b, as in Python. For floats: fmod(a, b),
 * plus b where that is not 0 and has another sign than b. Whole numbers are not divided by 0. Gradients, summed over
 * what was broadcast: g; -g * floor_divide(a, b). */
#include "ops/divisor.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record_sum_to(grad, &node->in[0]->meta);
    if (fa_wants_grad(node, 1)) {
        fa_node *quotient = fa_record2(FA_OP_floor_divide, node->in[0], node->in[1]);
        if (quotient)
            quotient->requires_grad = false; /* constant but for its jumps, also where this is differentiated */
        fa_node *share = fa_record2(FA_OP_mul, fa_record1(FA_OP_neg, grad), quotient);
        grad_in[1] = fa_record_sum_to(share, &node->in[1]->meta);
    }
}

/* The divisor of x % number is a number without dimensions. */
static const char *grad_label(const fa_node *node)
{
    return node->in[1]->op == FA_OP_full ? "RemainderBackward0" : "RemainderBackward1";
}

static double rest_of(double a, double b)
{
    const double rest = fmod(a, b);
    return rest != 0 && (b < 0) != (rest < 0) ? rest + b : rest;
}

static float rest_of_float(float a, float b)
{
    const float rest = fmodf(a, b);
    return rest != 0 && (b < 0) != (rest < 0) ? rest + b : rest;
}

/* Dividing the least int64 by -1 would overflow. */
static int64_t whole_rest(int64_t a, int64_t b)
{
    const int64_t rest = b == -1 ? 0 : a % b;
    return rest != 0 && (b < 0) != (rest < 0) ? rest + b : rest;
}

#define WHOLE(T) FA_BINARY_LOOP(T, int64_t, T, whole_rest(x, y))

static void reference(const fa_kernel_args *args)
{
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        FA_BINARY_LOOP(float, float, float, rest_of_float(x, y))
    case FA_DT_FLOAT64:
        FA_BINARY_LOOP(double, double, double, rest_of(x, y))
    case FA_DT_INT64:
        WHOLE(int64_t)
    case FA_DT_INT32:
        WHOLE(int32_t)
    default:
        WHOLE(uint8_t)
    }
}

static bool check(const fa_kernel_args *args, fa_where where)
{
    return fa_check_divisor(args, where, "remainder");
}

const fa_op_def fa_op_remainder = {
    .name = "remainder",
    .grad_name = "RemainderBackward1",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_quotient,
    .gradient = gradient,
    .reference = reference,
    .check = check,
    .check_inputs = 2,
};

fa_tensor *fa_remainder_at(fa_tensor *a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record_quotient(FA_OP_remainder, a, b));
}

fa_tensor *fa_remainder_number_at(fa_tensor *a, double b, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record_number_quotient(FA_OP_remainder, a, b));
}
