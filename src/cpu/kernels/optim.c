/* One step of SGD, Adam or AdamW, RMSprop and Adagrad on a vector of parameters, and one of a running mean: the
 * formulas of the ops of these names, each rounding and each fused multiply-add as there, with the same bits. The plan
 * cuts parameters into vectors and these into tasks. */
#include "cpu/kernels/wide.h"

#include <math.h>

/* ---- SGD -----------------------------------------------------------------------------------------------------------
 */

typedef struct sgd_call {
    float *w, *buffer;
    const float *grad;
    fv rate, momentum, decay, damped;
    bool maximize, decays, has_momentum, nesterov, first;
} sgd_call;

FA_INLINE void sgd_vector(const sgd_call *c, int64_t i, int64_t n)
{
    fv g = fv_load_some(c->grad + i, n), w = fv_load_some(c->w + i, n);
    if (c->maximize)
        g = -g;
    if (c->decays)
        g = fv_fma_exact(w, c->decay, g);
    if (c->has_momentum) {
        const fv b = c->first ? g : fv_fma_exact(g, c->damped, fv_load_some(c->buffer + i, n) * c->momentum);
        fv_store_some(c->buffer + i, b, n);
        g = c->nesterov ? fv_fma_exact(b, c->momentum, g) : b;
    }
    fv_store_some(c->w + i, fv_fma_exact(g, c->rate, w), n);
}

/* Inlined with the switches of a call known, so that its loop has no branch. */
FA_INLINE void sgd_loop(sgd_call c, int64_t n)
{
    int64_t i = 0;
    for (; i + FV_LANES <= n; i += FV_LANES)
        sgd_vector(&c, i, FV_LANES);
    if (i < n)
        sgd_vector(&c, i, n - i);
}

static void sgd_run(const fa_kernel_args *args)
{
    const fa_sgd_floats *f = (const void *)args->floats;
    const int64_t n = fa_meta_numel(args->in_meta[0]);
    sgd_call c = {.w = args->in[0],
                  .grad = args->in[1],
                  .buffer = args->in[2],
                  .rate = fv_set1((float)-f->lr),
                  .momentum = fv_set1((float)f->momentum),
                  .decay = fv_set1((float)f->weight_decay),
                  .damped = fv_set1((float)(1 - f->dampening)),
                  .nesterov = args->ints[0] != 0,
                  .maximize = args->ints[1] != 0,
                  .first = args->ints[2] != 0,
                  .decays = f->weight_decay != 0,
                  .has_momentum = args->in[2] && f->momentum != 0};
    if (c.maximize || c.nesterov || c.first) {
        sgd_loop(c, n);
        return;
    }
    c.maximize = c.nesterov = c.first = false;
    if (!c.has_momentum && !c.decays) {
        c.has_momentum = c.decays = false;
        sgd_loop(c, n);
    } else if (!c.decays) {
        c.has_momentum = true;
        c.decays = false;
        sgd_loop(c, n);
    } else {
        c.decays = true;
        sgd_loop(c, n);
    }
}

/* ---- Adam ----------------------------------------------------------------------------------------------------------
 */

typedef struct adam_call {
    float *w, *m, *v, *largest;
    const float *grad;
    fv decay, shrink, lerp, beta2, weight2, root, eps, rate;
    bool maximize, decays, decoupled, amsgrad, lerp_from_end;
} adam_call;

FA_INLINE void adam_vector(const adam_call *c, int64_t i, int64_t n)
{
    fv g = fv_load_some(c->grad + i, n), w = fv_load_some(c->w + i, n), m = fv_load_some(c->m + i, n);
    if (c->maximize)
        g = -g;
    if (c->decays && c->decoupled)
        w = w * c->shrink;
    else if (c->decays)
        g = fv_fma_exact(w, c->decay, g);
    m = fv_fma_exact(c->lerp, g - m, c->lerp_from_end ? g : m);
    fv second = fv_fma_exact(c->weight2 * g, g, fv_load_some(c->v + i, n) * c->beta2);
    fv_store_some(c->m + i, m, n);
    fv_store_some(c->v + i, second, n);
    if (c->amsgrad) {
        const fv largest = fv_load_some(c->largest + i, n);
        second = fv_select(fm_or(fv_gt(second, largest), fv_isnan(second)), second, largest);
        fv_store_some(c->largest + i, second, n);
    }
    const fv denominator = fv_sqrt(second) / c->root + c->eps;
    fv_store_some(c->w + i, w + c->rate * m / denominator, n);
}

FA_INLINE void adam_loop(adam_call c, int64_t n)
{
    int64_t i = 0;
    for (; i + FV_LANES <= n; i += FV_LANES)
        adam_vector(&c, i, FV_LANES);
    if (i < n)
        adam_vector(&c, i, n - i);
}

static void adam_run(const fa_kernel_args *args)
{
    const fa_adam_floats *f = (const void *)args->floats;
    const int64_t n = fa_meta_numel(args->in_meta[0]);
    const float weight1 = (float)(1 - f->beta1);
    const bool from_end = !(weight1 > -0.5f && weight1 < 0.5f);
    adam_call c = {.w = args->in[0],
                   .grad = args->in[1],
                   .m = args->in[2],
                   .v = args->in[3],
                   .largest = args->in[4],
                   .decay = fv_set1((float)f->weight_decay),
                   .shrink = fv_set1((float)(1 - f->lr * f->weight_decay)),
                   .lerp = fv_set1(from_end ? weight1 - 1 : weight1),
                   .beta2 = fv_set1((float)f->beta2),
                   .weight2 = fv_set1((float)(1 - f->beta2)),
                   .root = fv_set1((float)sqrt(f->correction2)),
                   .eps = fv_set1((float)f->eps),
                   .rate = fv_set1((float)-(f->lr / f->correction1)),
                   .amsgrad = args->ints[0] && args->in[4],
                   .maximize = args->ints[1] != 0,
                   .decoupled = args->ints[2] != 0,
                   .decays = f->weight_decay != 0,
                   .lerp_from_end = from_end};
    if (c.amsgrad || c.maximize || c.lerp_from_end) {
        adam_loop(c, n);
        return;
    }
    c.amsgrad = c.maximize = c.lerp_from_end = false;
    adam_loop(c, n);
}

/* ---- RMSprop -------------------------------------------------------------------------------------------------------
 */

typedef struct rmsprop_call {
    float *w, *square, *buffer, *mean;
    const float *grad;
    fv decay, alpha, share, lerp, eps, rate, momentum;
    bool maximize, decays, centered, lerp_from_end;
} rmsprop_call;

FA_INLINE void rmsprop_vector(const rmsprop_call *c, int64_t i, int64_t n)
{
    fv g = fv_load_some(c->grad + i, n);
    const fv w = fv_load_some(c->w + i, n);
    if (c->maximize)
        g = -g;
    if (c->decays)
        g = fv_fma_exact(w, c->decay, g);
    fv square = fv_fma_exact(c->share * g, g, fv_load_some(c->square + i, n) * c->alpha);
    fv_store_some(c->square + i, square, n);
    if (c->centered) {
        fv mean = fv_load_some(c->mean + i, n);
        mean = fv_fma_exact(c->lerp, g - mean, c->lerp_from_end ? g : mean);
        fv_store_some(c->mean + i, mean, n);
        square = fv_fma_exact(-mean, mean, square);
    }
    const fv root = fv_sqrt(square) + c->eps;
    if (c->buffer) {
        const fv buffer = fv_load_some(c->buffer + i, n) * c->momentum + g / root;
        fv_store_some(c->buffer + i, buffer, n);
        fv_store_some(c->w + i, fv_fma_exact(buffer, c->rate, w), n);
    } else {
        fv_store_some(c->w + i, w + c->rate * g / root, n);
    }
}

static void rmsprop_run(const fa_kernel_args *args)
{
    const fa_rmsprop_floats *f = (const void *)args->floats;
    const int64_t n = fa_meta_numel(args->in_meta[0]);
    const float share = (float)(1 - f->alpha);
    const bool from_end = !(share > -0.5f && share < 0.5f);
    const rmsprop_call c = {.w = args->in[0],
                            .grad = args->in[1],
                            .square = args->in[2],
                            .buffer = args->in[3],
                            .mean = args->in[4],
                            .decay = fv_set1((float)f->weight_decay),
                            .alpha = fv_set1((float)f->alpha),
                            .share = fv_set1(share),
                            .lerp = fv_set1(from_end ? share - 1 : share),
                            .eps = fv_set1((float)f->eps),
                            .rate = fv_set1((float)-f->lr),
                            .momentum = fv_set1((float)f->momentum),
                            .centered = args->ints[0] && args->in[4],
                            .maximize = args->ints[1] != 0,
                            .decays = f->weight_decay != 0,
                            .lerp_from_end = from_end};
    int64_t i = 0;
    for (; i + FV_LANES <= n; i += FV_LANES)
        rmsprop_vector(&c, i, FV_LANES);
    if (i < n)
        rmsprop_vector(&c, i, n - i);
}

/* ---- Adagrad -------------------------------------------------------------------------------------------------------
 */

static void adagrad_run(const fa_kernel_args *args)
{
    const fa_adagrad_floats *f = (const void *)args->floats;
    const int64_t n = fa_meta_numel(args->in_meta[0]);
    float *w = args->in[0], *sum = args->in[2];
    const float *grad = args->in[1];
    const bool maximize = args->ints[0] != 0, decays = f->weight_decay != 0;
    const fv decay = fv_set1((float)f->weight_decay), eps = fv_set1((float)f->eps), rate = fv_set1((float)-f->rate);
    for (int64_t i = 0; i < n; i += FV_LANES) {
        const int64_t length = fa_min64(FV_LANES, n - i);
        const fv old = fv_load_some(w + i, length);
        fv g = fv_load_some(grad + i, length);
        if (maximize)
            g = -g;
        if (decays)
            g = fv_fma_exact(old, decay, g);
        const fv square = fv_fma_exact(g, g, fv_load_some(sum + i, length));
        fv_store_some(sum + i, square, length);
        fv_store_some(w + i, old + rate * g / (fv_sqrt(square) + eps), length);
    }
}

/* ---- Running means -------------------------------------------------------------------------------------------------
 */

static void average_run(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->in_meta[0]);
    float *mean = args->in[0];
    const float *w = args->in[1], number = (float)args->floats[0];
    const bool all = args->ints[0] != 0, near = number > -0.5f && number < 0.5f;
    const fv c = fv_set1(all || near ? number : number - 1);
    for (int64_t i = 0; i < n; i += FV_LANES) {
        const int64_t length = fa_min64(FV_LANES, n - i);
        const fv m = fv_load_some(mean + i, length), x = fv_load_some(w + i, length);
        if (all)
            fv_store_some(mean + i, m + (x - m) / c, length);
        else
            fv_store_some(mean + i, fv_fma_exact(c, x - m, near ? m : x), length);
    }
}

/* ---- The list ------------------------------------------------------------------------------------------------------
 */

static bool supports(const fa_kernel_args *args)
{
    return args->in_meta[0]->dtype == FA_DT_FLOAT32;
}

const fa_cpu_kernel FA_ISA(fa_optim_kernels)[] = {
    {.op = FA_OP_sgd, .name = "sgd " FA_ISA_NAME, .supports = supports, .run = sgd_run},
    {.op = FA_OP_adam, .name = "adam " FA_ISA_NAME, .supports = supports, .run = adam_run},
    {.op = FA_OP_rmsprop, .name = "rmsprop " FA_ISA_NAME, .supports = supports, .run = rmsprop_run},
    {.op = FA_OP_adagrad, .name = "adagrad " FA_ISA_NAME, .supports = supports, .run = adagrad_run},
    {.op = FA_OP_average, .name = "average " FA_ISA_NAME, .supports = supports, .run = average_run},
    {.run = NULL},
};
