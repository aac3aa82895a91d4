/* any, all: whether some (every) element along the reduced dimensions is true: not 0; NaN is. bool; uint8 of uint8, as
 * in PyTorch. Of nothing, any is false and all is true. No gradient. */
#include "ops/elementwise.h"
#include "ops/reduce.h"

static bool infer(fa_node *node)
{
    fa_infer_reduced(node);
    if (node->meta.dtype != FA_DT_UINT8)
        node->meta.dtype = FA_DT_BOOL;
    return true;
}

#define ANY(T)                                                                                                         \
    {                                                                                                                  \
        const T *in = args->in[0];                                                                                     \
        for (int64_t o = 0; o < r.outputs; o++) {                                                                      \
            bool any = false;                                                                                          \
            FA_EACH_REDUCED(r, o, any |= (in[at] != 0) == wanted)                                                      \
            out[o] = any == wanted;                                                                                    \
        }                                                                                                              \
        break;                                                                                                         \
    }

/* That all are true is that none is false. */
static void find(const fa_kernel_args *args, bool wanted)
{
    const fa_reduce r = fa_reduce_of(args->in_meta[0], args->ints[0]);
    uint8_t *out = args->out[0];
    FA_EACH_TYPE(args->in_meta[0]->dtype, ANY)
}

#define DEFINE_TEST(op, wanted)                                                                                        \
    static void op##_reference(const fa_kernel_args *args)                                                             \
    {                                                                                                                  \
        find(args, wanted);                                                                                            \
    }                                                                                                                  \
    const fa_op_def fa_op_##op = {                                                                                     \
        .name = #op,                                                                                                   \
        .layout = FA_LAYOUT_PLAIN,                                                                                     \
        .infer = infer,                                                                                                \
        .reference = op##_reference,                                                                                   \
        .flops = fa_flops_input,                                                                                       \
    };                                                                                                                 \
    fa_tensor *fa_##op##_at(const fa_reduce_args *args)                                                                \
    {                                                                                                                  \
        fa_begin(args->where_);                                                                                        \
        fa_node *x = fa_use(args->x, #op, "input");                                                                    \
        return fa_handle(fa_record_reduced(FA_OP_##op, x, &args->dims, args->keepdim, 0, 0));                          \
    }

DEFINE_TEST(any, true)
DEFINE_TEST(all, false)
