/* Copies between layouts, and the gradient of a fused relu and 2x2 max-pool: kernels of the plan's own steps. */
#ifndef FA_CPU_LAYOUT_H
#define FA_CPU_LAYOUT_H

#include "base/opdef.h"

/* What kernels that change layouts stand under in the kernels' lists: no op. */
#define FA_CPU_CHANGE_LAYOUT FA_OP_COUNT

/* Whether both layouts of a 4-dimensional value are the same bytes (one channel, or one pixel). */
bool fa_layouts_agree(const fa_meta *meta);

/* out[0] = in[0] in the other order of the same [N,C,H,W]; any element type. */
void fa_layout_to_nhwc(const fa_kernel_args *args);
void fa_layout_to_plain(const fa_kernel_args *args);
/* out[0] = the bytes of in[0]. */
void fa_layout_copy(const fa_kernel_args *args);

/* in[0]: gradient of the pooled values [N,C,PH,PW], in[1]: uint8 positions 0..3 of the winners, 255 for none, both
 * channels last. out[0] [N,C,H,W] channels last: the gradient at each winner, 0 elsewhere. float32. */
void fa_layout_unpool2x2(const fa_kernel_args *args);

#endif
