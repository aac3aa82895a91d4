/* What the files of ops/ share: shape rules, type rules, and short names for recording common ops. Every fa_record_*
 * below gives NULL for a NULL input, so that rules can be nested without checks. */
#ifndef FA_OPS_RULES_H
#define FA_OPS_RULES_H

#include "tensor/node.h"

/* ---- Shape rules ---- */

bool fa_infer_same(fa_node *node);      /* shape and dtype of input 0 */
bool fa_infer_float(fa_node *node);     /* the same, float32 or float64 alone */
bool fa_infer_broadcast(fa_node *node); /* two inputs of one dtype, broadcast */

/* ---- Types ---- */

bool fa_same_shape(const fa_meta *a, const fa_meta *b);
/* PyTorch's result type: the wider of two; a value without dimensions counts by its kind (bool < integer < float) alone
 * beside one that has some. */
int fa_promote(const fa_meta *a, const fa_meta *b);
/* The type of x op number: a whole number keeps integers, a fraction makes them float32; bool becomes int64. */
int fa_promote_number(const fa_meta *a, double number);
/* A number as an integer, cut to the range of int64; NaN gives 0. */
int64_t fa_number_int(double number);

/* ---- Attributes of reshape, expand, sum_to and full ---- */

/* How a reshape was asked for: the name that autograd prints. */
typedef enum fa_view_kind {
    FA_VIEW,
    FA_VIEW_ALIAS, /* reshape of elements that lie in another order, but need no copy */
    FA_VIEW_COPY,  /* reshape of elements that do not lie in order */
    FA_VIEW_SQUEEZE,
    FA_VIEW_SQUEEZE_ALL,
    FA_VIEW_SQUEEZE_RESULT, /* a vector operand's dimension taken out again */
    FA_VIEW_UNSQUEEZE,
    FA_VIEW_SELECT,
    FA_VIEW_UNBIND,
    FA_VIEW_DOT,
    FA_VIEW_MV,
    FA_VIEW_HIDDEN, /* an op's own: it prints as what it is a view of */
    FA_VIEW_KINDS
} fa_view_kind;

typedef struct fa_shape_ints {
    int64_t ndim, size[FA_MAX_DIMS], kind;
} fa_shape_ints;

/* The same of permute. */
typedef enum fa_permute_kind { FA_PERMUTE, FA_PERMUTE_TRANSPOSE, FA_PERMUTE_T } fa_permute_kind;

typedef struct fa_permute_ints {
    int64_t dim[FA_MAX_DIMS]; /* dimension d of the result is dim[d] of the input */
    int64_t kind;             /* fa_permute_kind */
} fa_permute_ints;

/* ---- Recording ---- */

fa_node *fa_record_scalar(fa_op op, fa_node *a, double number);
/* A binary op after promotion of both inputs. */
fa_node *fa_record_binary(fa_op op, fa_node *a, fa_node *b);
/* `a` itself where it has that type, or a storage-only one, which the op that gets it refuses by its own name. */
fa_node *fa_record_cast(fa_node *a, int dtype);
fa_node *fa_record_convert(fa_node *a, int dtype); /* asked for by the user: any two types */
fa_node *fa_record_float(fa_node *a);              /* integers and bool as float32 */
fa_node *fa_record_reshape(fa_node *a, int ndim, const int64_t *size, fa_view_kind kind);
fa_node *fa_record_reshape_as(fa_node *a, const fa_meta *meta);
fa_node *fa_record_expand_as(fa_node *a, const fa_meta *meta); /* `a` itself where it has that shape */
fa_node *fa_record_sum_to(fa_node *a, const fa_meta *meta);    /* `a` itself where it has that shape */
fa_node *fa_record_full(const fa_meta *meta, double value);
fa_node *fa_record_number(int dtype, double value); /* without dimensions */
/* condition ? a : b (where.c): a and b of one type, all broadcast. */
fa_node *fa_record_where(fa_node *condition, fa_node *a, fa_node *b);
fa_node *fa_record_sum(fa_node *a, int64_t mask, bool keepdim);
fa_node *fa_record_matmul(fa_node *a, fa_node *b, bool transpose_a, bool transpose_b);

/* Ends an in-place op: checks that `value` fits the tensor (shape, kind of type), casts it and hands it over. */
fa_tensor *fa_finish_inplace(fa_tensor *handle, const fa_node *before, fa_node *value, const char *what);

/* The same where nothing of the tensor's value goes into the new one, which its history must not end with (replace.c).
 */
typedef enum fa_replace_kind {
    FA_REPLACE_FILL = FA_REPLACE_VALUE + 1,
    FA_REPLACE_ZERO,
    FA_REPLACE_COPY,
    FA_REPLACE_UNIFORM,
    FA_REPLACE_NORMAL,
    FA_REPLACE_BERNOULLI,
    FA_REPLACE_EXPONENTIAL
} fa_replace_kind;
fa_tensor *fa_finish_replace(fa_tensor *handle, fa_node *before, fa_node *value, fa_replace_kind kind,
                             const char *what);

double fa_flops_none(const fa_kernel_args *args);  /* moves bytes only */
double fa_flops_input(const fa_kernel_args *args); /* one an element of input 0 */

/* ---- Strides: what PyTorch's would be ---- */

/* Strides (in elements) that the value of `node` would have in PyTorch: views of views of contiguous memory. */
void fa_node_strides(const fa_node *node, int64_t stride[FA_MAX_DIMS]);
/* The same of a new tensor "like" the node's value (empty_like, clone): dense, its dimensions in the same order. */
void fa_like_strides(const fa_node *node, int64_t stride[FA_MAX_DIMS]);
/* Dimensions by their strides, the largest first. */
void fa_strides_order(const fa_meta *meta, const int64_t *stride, int order[FA_MAX_DIMS]);
/* Elements that lie in the order of these strides are put in row-major order. False without memory. */
bool fa_strides_to_row_major(const fa_meta *meta, const int64_t *stride, void *data);
bool fa_strides_contiguous(const fa_meta *meta, const int64_t *stride);
/* Strides of the same elements under another shape; false where no strides can say that (a copy is needed). */
bool fa_view_strides(const fa_meta *meta, const int64_t *stride, int ndim, const int64_t *size, int64_t *out);

#endif
