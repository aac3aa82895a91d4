/* The walk of a broadcast op: dimensions that lie together in both inputs are joined into one, the last is a row. */
#include "ops/elementwise.h"

static void input_strides(const fa_meta *in, const fa_meta *out, int64_t *stride)
{
    int64_t step = 1;
    for (int d = out->ndim - 1, e = in->ndim - 1; d >= 0; d--, e--) {
        const int64_t size = e >= 0 ? in->shape[e] : 1;
        stride[d] = size == 1 ? 0 : step;
        step *= size;
    }
}

fa_walk fa_walk_begin(const fa_kernel_args *args)
{
    const fa_meta *out = args->out_meta[0];
    fa_walk walk = {.rows = 1, .row = 1};
    int64_t stride[FA_WALK_INPUTS][FA_MAX_DIMS] = {{0}}, size[FA_MAX_DIMS];
    while (walk.inputs < FA_WALK_INPUTS && args->in_meta[walk.inputs]) {
        input_strides(args->in_meta[walk.inputs], out, stride[walk.inputs]);
        walk.inputs++;
    }
    int n = 0;
    for (int d = 0; d < out->ndim; d++) {
        if (out->shape[d] == 1)
            continue;
        bool joins = n > 0;
        for (int k = 0; k < walk.inputs && joins; k++)
            joins = walk.stride[k][n - 1] == stride[k][d] * out->shape[d];
        if (!joins)
            size[n++] = 1;
        size[n - 1] *= out->shape[d];
        for (int k = 0; k < walk.inputs; k++)
            walk.stride[k][n - 1] = stride[k][d];
    }
    walk.outer = n > 0 ? n - 1 : 0;
    for (int d = 0; d < walk.outer; d++) {
        walk.size[d] = size[d];
        walk.rows *= size[d];
    }
    if (n > 0) {
        walk.row = size[n - 1];
        for (int k = 0; k < walk.inputs; k++)
            walk.step[k] = walk.stride[k][n - 1];
    }
    return walk;
}

void fa_walk_next(fa_walk *walk)
{
    walk->rows--;
    for (int d = walk->outer - 1; d >= 0; d--) {
        const bool wraps = ++walk->index[d] == walk->size[d];
        for (int k = 0; k < walk->inputs; k++)
            walk->at[k] += walk->stride[k][d] * (wraps ? 1 - walk->size[d] : 1);
        if (!wraps)
            return;
        walk->index[d] = 0;
    }
}
