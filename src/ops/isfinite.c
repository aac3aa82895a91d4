/* isnan, isinf, isfinite: bool, of any type (an integer is finite). No gradient. */
#include "ops/elementwise.h"

#include <math.h>

static bool infer(fa_node *node)
{
    fa_infer_same(node);
    node->meta.dtype = FA_DT_BOOL;
    return true;
}

/* float holds no infinity that double does not, and every integer becomes a finite double. */
#define DEFINE_TEST(op, test)                                                                                          \
    static void op##_reference(const fa_kernel_args *args)                                                             \
    {                                                                                                                  \
        FA_TEST(test(x))                                                                                               \
    }                                                                                                                  \
    const fa_op_def fa_op_##op = {                                                                                     \
        .name = #op,                                                                                                   \
        .layout = FA_LAYOUT_PLAIN,                                                                                     \
        .infer = infer,                                                                                                \
        .reference = op##_reference,                                                                                   \
    };                                                                                                                 \
    fa_tensor *fa_##op##_at(fa_tensor *a, fa_where where)                                                              \
    {                                                                                                                  \
        fa_begin(where);                                                                                               \
        return fa_handle(fa_record1(FA_OP_##op, fa_use(a, #op, "a")));                                                 \
    }

DEFINE_TEST(isnan, isnan)
DEFINE_TEST(isinf, isinf)
DEFINE_TEST(isfinite, isfinite)
