/* What the tables of kinds share: short forms for calling an op, and shapes of random cases. */
#ifndef FA_TESTS_OP_KINDS_H
#define FA_TESTS_OP_KINDS_H

#include "op_case.h"

static inline void op_give(op_outputs *out, const char *name, fa_tensor *tensor)
{
    out->name[out->count] = name;
    out->tensor[out->count++] = tensor;
}

#define BUILD(name, expression)                                                                                        \
    static void build_##name(const op_case *c, fa_tensor **in, op_outputs *out)                                        \
    {                                                                                                                  \
        (void)c, (void)in;                                                                                             \
        op_give(out, "y", expression);                                                                                 \
    }
#define IN(name) op_in(c, in, name)
#define INT(name, otherwise) ((int)op_number(c, name, otherwise))

/* ---- Shapes of random cases ---------------------------------------------------------------------------------------
 */

static inline int64_t op_size(op_draw *d, int64_t high)
{
    return op_choose(d, 1, d->large ? 3 * high : high);
}

/* Up to `dims` dimensions; one case in 12 is empty. */
static inline fa_shape op_any_shape(op_draw *d, int least, int dims, int64_t high)
{
    fa_shape shape = {.ndim = (int)op_choose(d, least, dims)};
    bool empty = op_choose(d, 0, 11) == 11;
    for (int i = 0; i < shape.ndim; i++)
        shape.size[i] = op_size(d, i + 1 == shape.ndim ? 2 * high : high);
    if (empty && shape.ndim)
        shape.size[op_choose(d, 0, shape.ndim - 1)] = 0;
    return shape;
}

static inline int64_t op_batch(op_draw *d)
{
    int64_t n = op_choose(d, 0, 5);
    return n == 5 ? 0 : d->large ? 3 * n + 1 : n + 1; /* 1 is the simplest */
}

static inline op_values op_values_for(op_draw *d, op_values usual)
{
    return !d->smooth && op_choose(d, 0, 9) == 9 ? OP_SPECIAL : usual;
}

#endif
