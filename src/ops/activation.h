/* What the files of activations share: y = f(x) element by element, and NAME_grad(g, saved) = g * f'(x), where `saved`
 * is x, or y where the derivative is simpler in y. A kernel is its formula, worked out in double; s and t are floats[0]
 * and floats[1] in the element's type, and in the second kernel x is what was saved:
 *
 *     FA_ACTIVATION_KERNEL(reference, x > 0 ? x : s * x)
 *     FA_ACTIVATION_GRAD_KERNEL(grad_reference, x > 0 ? g : s * g)
 *     FA_ACTIVATION_GRADIENT(leaky_relu, node->in[0])
 *
 * Their own gradients: FA_LINEAR_GRADIENT for functions made of straight lines, else FA_CURVED_GRADIENT with a function
 * that records f''(x). */
#ifndef FA_OPS_ACTIVATION_H
#define FA_OPS_ACTIVATION_H

#include "ops/kernel_types.h"
#include "ops/rules.h"

#include <math.h>

#define FA_ACTIVATION_LOOP(T, INPUTS, EXPRESSION)                                                                      \
    {                                                                                                                  \
        const double s = (double)(T)args->floats[0], t = (double)(T)args->floats[1];                                   \
        T *out = args->out[0];                                                                                         \
        (void)s, (void)t;                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            INPUTS(T)                                                                                                  \
            out[i] = (T)(EXPRESSION);                                                                                  \
        }                                                                                                              \
    }
#define FA_ACTIVATION_X(T) const double x = (double)((const T *)args->in[0])[i];
#define FA_ACTIVATION_G_X(T)                                                                                           \
    const double g = (double)((const T *)args->in[0])[i], x = (double)((const T *)args->in[1])[i];

#define FA_ACTIVATION_FUNCTION(function, INPUTS, EXPRESSION)                                                           \
    static void function(const fa_kernel_args *args)                                                                   \
    {                                                                                                                  \
        const int64_t n = fa_meta_numel(args->out_meta[0]);                                                            \
        if (args->out_meta[0]->dtype == FA_DT_FLOAT32)                                                                 \
            FA_ACTIVATION_LOOP(float, INPUTS, EXPRESSION)                                                              \
        else                                                                                                           \
            FA_ACTIVATION_LOOP(double, INPUTS, EXPRESSION)                                                             \
    }
#define FA_ACTIVATION_KERNEL(function, EXPRESSION) FA_ACTIVATION_FUNCTION(function, FA_ACTIVATION_X, EXPRESSION)
#define FA_ACTIVATION_GRAD_KERNEL(function, EXPRESSION) FA_ACTIVATION_FUNCTION(function, FA_ACTIVATION_G_X, EXPRESSION)

/* Records op on inputs with the attributes of `node`. */
static inline fa_node *fa_record_like(fa_op op, const fa_node *node, int n, fa_node *const *in)
{
    return fa_record(op, n, in, node->ints, node->n_ints * sizeof(int64_t), node->floats, node->n_floats);
}

/* The gradient rule of NAME. */
#define FA_ACTIVATION_GRADIENT(op_name, saved)                                                                         \
    static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)                                              \
    {                                                                                                                  \
        grad_in[0] = fa_record_like(FA_OP_##op_name##_grad, node, 2, (fa_node *[]){grad, (saved)});                    \
    }

/* That of NAME_grad(g, saved) where NAME is made of straight lines: linear in g, and constant along what was saved. */
#define FA_LINEAR_GRADIENT(op_name)                                                                                    \
    static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)                                         \
    {                                                                                                                  \
        if (fa_wants_grad(node, 0))                                                                                    \
            grad_in[0] = fa_record_like(FA_OP_##op_name##_grad, node, 2, (fa_node *[]){grad, node->in[1]});            \
    }

/* That of NAME_grad(g, x) where curvature(node, x) records f''(x): to g the same op on h; to x  h * g * f''(x). */
#define FA_CURVED_GRADIENT(op_name, curvature)                                                                         \
    static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)                                         \
    {                                                                                                                  \
        if (fa_wants_grad(node, 0))                                                                                    \
            grad_in[0] = fa_record_like(FA_OP_##op_name##_grad, node, 2, (fa_node *[]){grad, node->in[1]});            \
        if (fa_wants_grad(node, 1))                                                                                    \
            grad_in[1] =                                                                                               \
                fa_record2(FA_OP_mul, fa_record2(FA_OP_mul, grad, node->in[0]), curvature(node, node->in[1]));         \
    }

/* a * factor + term; NULL for NULL. */
static inline fa_node *fa_times_plus(fa_node *a, double factor, double term)
{
    fa_node *product = factor == 1 ? a : fa_record_scalar(FA_OP_mul_scalar, a, factor);
    return term == 0 ? product : fa_record_scalar(FA_OP_add_scalar, product, term);
}

/* Ends a call: the activation of x with two numbers, as a new tensor or in place. `what` is the call's name. */
fa_tensor *fa_activate(fa_op op, fa_tensor *handle, fa_node *x, const double numbers[2], bool inplace,
                       const char *what);

#endif
