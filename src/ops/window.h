/* Sliding windows over images: what conv2d, max_pool2d and avg_pool2d share. */
#ifndef FA_OPS_WINDOW_H
#define FA_OPS_WINDOW_H

#include "tensor/node.h"

/* Sizes beyond this are mistakes; below it, products of two of them fit an int64_t. */
#define FA_WINDOW_LIMIT INT32_MAX

/* {pair[0], pair[1]}, where the caller set them, else {both, both}. */
void fa_window_pair(int64_t out[2], const int64_t pair[2], int64_t both);

/* Whether both values lie in [least, FA_WINDOW_LIMIT]; raises "got stride 0 x 2, needs at least 1" if not. `hint` ends
 * the message. */
bool fa_window_check(const int64_t value[2], int64_t least, const char *what, const char *name, const char *hint);

/* Whether an input is [N,C,H,W] or [C,H,W]; raises a shape error if not. */
bool fa_window_check_image(const fa_node *x, const char *what);

/* Records `op` on x: a [C,H,W] input is given a batch dimension of 1 first, which is taken off the result. `more`:
 * the `n_more` further inputs. */
fa_node *fa_window_record(fa_op op, fa_node *x, int n_more, fa_node *const *more, const void *ints, size_t ints_bytes);

/* Checks what both pools check (input, kernel, stride, padding, dilation) and fills `ints`. */
bool fa_pool2d_ints_from(const fa_pool2d_args *args, const fa_node *x, const char *what, fa_pool2d_ints *ints);

/* Output size of a pool along one dimension:
 *     floor((size + 2p - d(k-1) - 1 + (ceil ? s-1 : 0)) / s) + 1,
 * less one if ceil and the last window would start beyond the input and the padding before it. */
int64_t fa_pool2d_output_size(int64_t size, const fa_pool2d_ints *ints, int axis);

/* Shape rule of a pool: [N,C,H,W] gives [N,C,H',W']. */
bool fa_pool2d_infer(fa_node *node);

/* Operations of a pool, one for each element of each window, and of its gradient. */
double fa_pool2d_flops(const fa_kernel_args *args);
double fa_pool2d_grad_flops(const fa_kernel_args *args);

/* Gives the node a shape and the dtype of its first input; false after an error (the sizes do not fit). */
bool fa_window_set_meta(fa_node *node, const int64_t shape[4]);

#endif
