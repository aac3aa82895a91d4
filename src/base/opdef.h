/* What an op is: ids, attributes, shapes, the type of a kernel.
 *
 * The floors above agree on this file alone: `ops/` fills fa_op_def, `cpu/` (and other back ends) offer kernels,
 * `plan/` calls them. Nothing here knows how a graph is stored. */
#ifndef FA_BASE_OPDEF_H
#define FA_BASE_OPDEF_H

#include "facula/base.h"

enum {
    FA_MAX_DIMS = 8,
    FA_MAX_INPUTS = 8,
    FA_MAX_OUTPUTS = 4, /* a recorded op has one; a fused step may have more */
    FA_MAX_INTS = 24,
    FA_MAX_FLOATS = 8
};

/* Order follows fa_dtype of tensor.h. */
typedef enum fa_dtype_id {
    FA_DT_FLOAT32,
    FA_DT_FLOAT64,
    FA_DT_INT64,
    FA_DT_INT32,
    FA_DT_UINT8,
    FA_DT_BOOL,
    FA_DT_BFLOAT16, /* these two are stored, moved and cast; nothing is computed in them */
    FA_DT_FLOAT16,
    FA_DT_COUNT
} fa_dtype_id;

/* How the elements of a 4-dimensional value lie in memory. `shape` is always PyTorch's [N,C,H,W]. */
typedef enum fa_layout {
    FA_PLAIN, /* row-major in the order of `shape` */
    FA_NHWC   /* channels last: ((n*H + h)*W + w)*C + c */
} fa_layout;

typedef struct fa_meta {
    uint8_t dtype, ndim, layout, reserved;
    int64_t shape[FA_MAX_DIMS]; /* entries from ndim on are 0 */
} fa_meta;

static inline int64_t fa_meta_numel(const fa_meta *meta)
{
    int64_t n = 1;
    for (int d = 0; d < meta->ndim; d++)
        n *= meta->shape[d];
    return n;
}

/* Bytes of one element. */
static inline int64_t fa_dtype_size(int dtype)
{
    static const int8_t size[FA_DT_COUNT] = {4, 8, 8, 4, 1, 1, 2, 2};
    return size[dtype];
}

static inline bool fa_is_storage_only(int dtype)
{
    return dtype == FA_DT_BFLOAT16 || dtype == FA_DT_FLOAT16;
}

/* ---- Ids: one a line of ops.def ---------------------------------------------------------------------------------- */

typedef enum fa_op {
#define FA_OP(name) FA_OP_##name,
#include "base/ops.def"
#undef FA_OP
    FA_OP_COUNT
} fa_op;

/* ---- Attributes. A node carries int64_t ints[FA_MAX_INTS] (structure) and double floats[FA_MAX_FLOATS] (inputs of the
 * plan: they may change every step without a new plan). Each op reads them through one of these views. --------------
 */

typedef struct fa_conv2d_ints { /* conv2d and its gradients; pairs are {height, width} */
    int64_t stride[2], padding_before[2], padding_after[2], dilation[2], groups;
    int64_t kernel[2];      /* kh, kw */
    int64_t input_shape[4]; /* conv2d_input_grad: [N,C,H,W] of the result; conv2d_weight_grad: [O,C/G,kh,kw] */
    int64_t transposed;     /* conv2d_input_grad: it is conv_transpose2d, no gradient */
    int64_t pooled;         /* gradients: g came through a 2x2 max-pool with stride 2, so that of each window of four
                               positions at most one is not 0 */
} fa_conv2d_ints;

typedef struct fa_pool2d_ints { /* max_pool2d, avg_pool2d and their gradients */
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    int64_t ceil_mode, count_include_pad;
    int64_t divisor_override; /* 0: none */
    int64_t input_shape[4];   /* gradients: [N,C,H,W] of the result */
} fa_pool2d_ints;

typedef struct fa_adaptive_ints { /* adaptive pools and their gradients */
    int64_t output[2];
    int64_t input_shape[4]; /* gradients: [N,C,H,W] of the result */
} fa_adaptive_ints;

typedef struct fa_loss_ints {
    int64_t reduction; /* 0 none, 1 mean, 2 sum */
    int64_t ignore_index;
    int64_t cross_entropy; /* called by that name: for messages */
} fa_loss_ints;

typedef struct fa_dims_ints { /* reductions */
    int64_t mask;             /* bit d: dimension d is reduced */
    int64_t keepdim;
} fa_dims_ints;

/* How a slice was asked for: the name that autograd prints. */
typedef enum fa_slice_kind { FA_SLICE, FA_SLICE_SPLIT, FA_SLICE_SPLIT_SIZES } fa_slice_kind;

typedef struct fa_slice_ints {
    int64_t dim, start, step, length; /* elements start, start+step, ..., `length` of them */
    int64_t base_shape[FA_MAX_DIMS];  /* slice_grad, slice_write: shape of the tensor that was sliced */
    int64_t kind;
} fa_slice_ints;

typedef struct fa_sgd_floats {
    double lr, momentum, dampening, weight_decay;
} fa_sgd_floats; /* ints: 0 nesterov, 1 maximize, 2 first step (the buffer becomes a copy of the gradient) */

typedef struct fa_adam_floats {
    double lr, beta1, beta2, eps, weight_decay, correction1, correction2; /* 1 - beta1^t, 1 - beta2^t */
} fa_adam_floats; /* ints: 0 amsgrad, 1 maximize, 2 decoupled weight decay (AdamW) */

typedef struct fa_rmsprop_floats {
    double lr, alpha, eps, weight_decay, momentum;
} fa_rmsprop_floats; /* ints: 0 centered, 1 maximize */

typedef struct fa_adagrad_floats {
    double rate, eps, weight_decay; /* rate: lr / (1 + (t - 1) * lr_decay) */
} fa_adagrad_floats;                /* ints: 0 maximize */

/* ---- Kernels ----------------------------------------------------------------------------------------------------- */

/* What a kernel is called with. Buffers never overlap, except an in-place input (fa_op_def.writes), whose pointer is
 * `in[i]` itself, and `out[0]` with `in[0]` in kernels that promise elementwise_in_place.
 * An optional input that is absent has in[i] == NULL and in_meta[i] == NULL. */
typedef struct fa_kernel_args {
    void *out[FA_MAX_OUTPUTS];
    const fa_meta *out_meta[FA_MAX_OUTPUTS];
    void *in[FA_MAX_INPUTS]; /* const unless the op writes it */
    const fa_meta *in_meta[FA_MAX_INPUTS];
    const int64_t *ints;
    const double *floats;
    void *scratch; /* as many bytes as fa_cpu_kernel.scratch asked for, 64-byte aligned, not cleared */
    int fuse;      /* FA_FUSE_* flags of the step */
    void *user;    /* custom ops: their definition */
} fa_kernel_args;

enum {
    /* Apply relu to the result. batch_norm_grad_stats, batch_norm_input_grad: relu followed the layer, and in[0] is the
     * gradient behind it; in[6] and in[7] are the layer's weight and bias, or absent. */
    FA_FUSE_RELU = 1,
    FA_FUSE_MAX_POOL = 2, /* conv2d, batch norm: also 2x2 stride 2 max-pool; out[1]: the winners' places */
    /* nll_loss: its input is scores, and log_softmax comes first. in: scores, target, weight?, and in backward the
     * gradient of the loss; out: loss, in backward the gradient of the scores, log-probabilities. */
    FA_FUSE_LOG_SOFTMAX = 4,
    /* conv2d's gradients with `pooled`, batch_norm_grad_stats, batch_norm_input_grad: in[0] is the gradient of the
     * pooled values; in[2], for batch norm in[6], the winners' places (uint8, 0..3 row by row, 255 for none) */
    FA_FUSE_UNPOOL = 8
};

typedef void (*fa_kernel)(const fa_kernel_args *args);

/* ---- Definition of an op: one object in each file of ops/ -------------------------------------------------------- */

struct fa_node;

/* Which layout a node's inputs need and its output gets, when a fast kernel runs it (the reference path is all PLAIN).
 * Chosen when the node is recorded, from the graph alone, so that bits do not depend on what is read when. */
typedef enum fa_layout_rule {
    FA_LAYOUT_PLAIN,      /* inputs and output PLAIN */
    FA_LAYOUT_IMAGE,      /* the inputs in fa_op_def.image_inputs are NHWC; the output is NHWC if it has 4 dimensions */
    FA_LAYOUT_ELEMENTWISE /* all inputs have the output's shape: NHWC if any input is, else PLAIN */
} fa_layout_rule;

typedef struct fa_op_def {
    const char *name;      /* "conv2d": PyTorch's word, used in messages */
    const char *grad_name; /* PyTorch's grad_fn, "ConvolutionBackward0"; NULL: not differentiable */
    const char *(*grad_label)(const struct fa_node *node); /* that name where it depends on the call; NULL: grad_name */
    uint32_t writes; /* bit i: input i is written in place; the op is an effect and has no output of its own */
    /* An effect on vectors of one length, element by element: it may be run on parts of them, several at once, and
     * several such steps that follow one another are one piece of work. */
    bool elementwise_effect;
    uint32_t image_inputs; /* with FA_LAYOUT_IMAGE: bit i: input i is read channels last */
    fa_layout_rule layout;
    bool plain_output; /* with FA_LAYOUT_IMAGE: the result is no image (a weight's gradient) and stays PLAIN */
    bool moves;        /* elements are copied as they are: takes the storage-only types too */
    bool alias;        /* the output is the first input's bytes under another shape (PLAIN only) */
    /* Shape rule: reads inputs and attributes, sets the node's meta. False after raising an error. */
    bool (*infer)(struct fa_node *node);
    /* Gradient rule, in terms of ops: given the gradient of the output, sets grad_in[i] for each input i for which
     * fa_wants_grad(node, i). NULL: no gradient. */
    void (*gradient)(struct fa_node *node, struct fa_node *grad, struct fa_node **grad_in);
    /* The formula, plainly: PLAIN layout, any dtype the op allows, sums in double, on the calling thread. */
    fa_kernel reference;
    /* A check of input values that must run before the plan writes anything (labels in range); reads the inputs in
     * check_inputs alone. False after raising an error. */
    bool (*check)(const fa_kernel_args *args, fa_where where);
    uint32_t check_inputs;
    /* Floating-point operations of one call, for reports (multiply-add counts 2). NULL: one an output element. */
    double (*flops)(const fa_kernel_args *args);
} fa_op_def;

#define FA_OP(name) extern const fa_op_def fa_op_##name;
#include "base/ops.def"
#undef FA_OP
/* Indexed by fa_op; defined in ops/table.c. */
extern const fa_op_def *const fa_op_table[FA_OP_COUNT];

/* ---- Back ends -----------------------------------------------------------------------------------------------------
 */

/* A fast kernel for one op (or fused pattern) on one ISA. */
typedef struct fa_cpu_kernel {
    fa_op op;
    const char *name; /* for verbose lines: "conv2d direct nhwc" */
    /* Whether this call's dtypes, shapes and attributes are served (layouts are those of the op's rule). */
    bool (*supports)(const fa_kernel_args *args);
    /* Bytes of scratch for this call; NULL: none. A function of shapes alone, never of the number of threads. */
    size_t (*scratch)(const fa_kernel_args *args);
    fa_kernel run;
    int fuse;                  /* FA_FUSE_* flags that this kernel can apply */
    bool elementwise_in_place; /* out[0] may be in[0] */
} fa_cpu_kernel;

#endif
