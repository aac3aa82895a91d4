/* Batch norm's fused kernels of every instruction set, against the steps that they stand for, bit for bit: relu and a
 * 2x2 max-pool in the forward pass; in the backward pass a gradient that relu cuts, and one read from the pooled
 * values' gradient and the winners' places. For 1, 2, 3 and 7 threads; elements that are not finite too. */
#include "support/kernel_call.h"

#include "base/pool.h"
#include "facula/base.h"

#include <math.h>
#include <string.h>

typedef struct norm_case {
    fa_meta image, pooled, places, row, pair;
    float *x, *g, *pooled_g, *weight, *bias, *stats;
} norm_case;

static float *draw(const fa_meta *meta, kernel_values kind)
{
    const int64_t n = fa_meta_numel(meta);
    float *data = malloc((size_t)n * sizeof *data + 1);
    assert_non_null(data);
    for (int64_t i = 0; i < n; i++)
        data[i] = kernel_draw(kind);
    return data;
}

/* Results of all steps, given back to the caller: `n` floats with guards behind them. */
static float *room(const fa_meta *meta)
{
    return (void *)kernel_guarded(kernel_bytes(meta));
}

static void end(void *data, const fa_meta *meta)
{
    kernel_check_guard(data, kernel_bytes(meta));
    free(data);
}

static void run(const fa_cpu_isa_entry *isa, fa_op op, fa_kernel_args *args)
{
    const fa_cpu_kernel *kernel = fa_cpu_find_in(isa->table, op, args);
    assert_non_null(kernel);
    const size_t bytes = kernel->scratch ? kernel->scratch(args) : 0;
    args->scratch = NULL;
    assert_int_equal(posix_memalign(&args->scratch, 64, bytes + 64), 0);
    kernel->run(args);
    free(args->scratch);
}

/* The same bits, but for NaN, which may be any, and the sign of 0 where `zeros` says so. */
static void check_same(const char *what, const float *got, const float *want, int64_t n, bool zeros)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&got[i], &want[i], sizeof *got) != 0 && !(isnan(got[i]) && isnan(want[i])) &&
            !(zeros && got[i] == want[i]))
            fail_msg("%s: element %lld is %.9g, needs %.9g", what, (long long)i, (double)got[i], (double)want[i]);
}

static norm_case make_case(const int64_t s[4], kernel_values kind)
{
    norm_case c = {.image = F32(s[0], s[1], s[2], s[3]), .row = F32(s[1]), .pair = F32(2, s[1])};
    c.pooled = F32(s[0], s[1], s[2] / 2, s[3] / 2);
    c.image.layout = c.pooled.layout = FA_NHWC;
    c.places = c.pooled;
    c.places.dtype = FA_DT_UINT8;
    c.x = draw(&c.image, kind);
    c.g = draw(&c.image, kind);
    c.pooled_g = draw(&c.pooled, kind);
    c.weight = draw(&c.row, NORMAL);
    c.bias = draw(&c.row, NORMAL);
    c.stats = draw(&c.pair, POSITIVE);
    for (int64_t o = 0; o < s[1]; o++)
        c.stats[s[1] + o] *= (float)(s[0] * s[2] * s[3]);
    return c;
}

static void end_case(norm_case *c)
{
    float *all[] = {c->x, c->g, c->pooled_g, c->weight, c->bias, c->stats};
    for (int i = 0; i < 6; i++)
        free(all[i]);
}

static const double floats[FA_MAX_FLOATS] = {1e-5};
static const fa_pool2d_ints pool_ints = {.kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}};

/* y after relu, and what a pool makes of it, in steps and at once; *places is the caller's. */
static void check_forward(const fa_cpu_isa_entry *isa, const norm_case *c, bool affine, float *y, uint8_t *places)
{
    const int64_t values = fa_meta_numel(&c->image), windows = fa_meta_numel(&c->pooled);
    fa_kernel_args args = {.floats = floats,
                           .in = {c->x, c->stats, affine ? c->weight : NULL, affine ? c->bias : NULL},
                           .in_meta = {&c->image, &c->pair, affine ? &c->row : NULL, affine ? &c->row : NULL},
                           .out = {y},
                           .out_meta = {&c->image},
                           .fuse = FA_FUSE_RELU};
    run(isa, FA_OP_batch_norm_apply, &args);
    float *want = room(&c->pooled), *got = room(&c->pooled), *spread = room(&c->image), *found = room(&c->image);
    fa_kernel_args pool = {.ints = (const int64_t *)&pool_ints,
                           .in = {y},
                           .in_meta = {&c->image},
                           .out = {want},
                           .out_meta = {&c->pooled}};
    run(isa, FA_OP_max_pool2d, &pool);
    args.fuse |= FA_FUSE_MAX_POOL;
    args.out[0] = got;
    args.out[1] = places;
    args.out_meta[0] = &c->pooled;
    args.out_meta[1] = &c->places;
    run(isa, FA_OP_batch_norm_apply, &args);
    check_same("pooled", got, want, windows, true);
    /* The places are right where they send the gradient to the positions that max-pool's and relu's gradients find. */
    fa_pool2d_ints ints = pool_ints;
    memcpy(ints.input_shape, c->image.shape, sizeof ints.input_shape);
    fa_kernel_args back = {.ints = (const int64_t *)&ints,
                           .in = {c->pooled_g, y},
                           .in_meta = {&c->pooled, &c->image},
                           .out = {spread},
                           .out_meta = {&c->image}};
    run(isa, FA_OP_max_pool2d_grad, &back);
    fa_kernel_args cut = {
        .in = {spread, y}, .in_meta = {&c->image, &c->image}, .out = {found}, .out_meta = {&c->image}};
    run(isa, FA_OP_relu_grad, &cut);
    for (int64_t i = 0; i < values; i++) {
        const int64_t C = c->image.shape[1], H = c->image.shape[2], W = c->image.shape[3], o = i % C;
        const int64_t column = i / C % W, row = i / C / W % H, image = i / C / W / H;
        const int64_t PH = H / 2, PW = W / 2, at = ((image * PH + row / 2) * PW + column / 2) * C + o;
        const bool inside = row / 2 < PH && column / 2 < PW;
        const float value = inside && places[at] == row % 2 * 2 + column % 2 ? c->pooled_g[at] : 0;
        check_same("place", &value, &found[i], 1, true);
    }
    end(want, &c->pooled);
    end(got, &c->pooled);
    end(spread, &c->image);
    end(found, &c->image);
}

/* Both gradients from a stored g, then fused; in[6] and in[7] as the caller has them. */
static void check_gradients(const fa_cpu_isa_entry *isa, const norm_case *c, bool affine, float *stored,
                            const fa_kernel_args *fused)
{
    const int64_t channels = fa_meta_numel(&c->pair), values = fa_meta_numel(&c->image);
    float *sums[2], *dx[2];
    for (int k = 0; k < 2; k++) {
        sums[k] = room(&c->pair);
        dx[k] = room(&c->image);
        fa_kernel_args args = {.floats = floats,
                               .in = {stored, c->x, c->stats},
                               .in_meta = {&c->image, &c->image, &c->pair},
                               .out = {sums[k]},
                               .out_meta = {&c->pair}};
        if (k == 1) {
            args.fuse = fused->fuse;
            for (int i = 0; i < FA_MAX_INPUTS; i += i == 0 ? 6 : 1) {
                args.in[i] = fused->in[i];
                args.in_meta[i] = fused->in_meta[i];
            }
        }
        run(isa, FA_OP_batch_norm_grad_stats, &args);
        args.in[3] = sums[0];
        args.in_meta[3] = &c->pair;
        args.in[4] = affine ? c->weight : NULL;
        args.in_meta[4] = affine ? &c->row : NULL;
        args.out[0] = dx[k];
        args.out_meta[0] = &c->image;
        run(isa, FA_OP_batch_norm_input_grad, &args);
    }
    check_same("sums", sums[1], sums[0], channels, false);
    check_same("dx", dx[1], dx[0], values, false);
    for (int k = 0; k < 2; k++) {
        end(sums[k], &c->pair);
        end(dx[k], &c->image);
    }
}

static void check_case(const fa_cpu_isa_entry *isa, const int64_t shape[4], kernel_values kind, bool affine)
{
    norm_case c = make_case(shape, kind);
    float *y = room(&c.image), *stored = room(&c.image);
    uint8_t *places = (void *)kernel_guarded(kernel_bytes(&c.places));
    check_forward(isa, &c, affine, y, places);
    fa_kernel_args cut = {.in = {c.g, y}, .in_meta = {&c.image, &c.image}, .out = {stored}, .out_meta = {&c.image}};
    run(isa, FA_OP_relu_grad, &cut);
    fa_kernel_args fused = {.fuse = FA_FUSE_RELU, .in = {c.g}, .in_meta = {&c.image}};
    if (affine) {
        fused.in[6] = c.weight;
        fused.in[7] = c.bias;
        fused.in_meta[6] = fused.in_meta[7] = &c.row;
    }
    check_gradients(isa, &c, affine, stored, &fused);
    const int64_t n = fa_meta_numel(&c.image);
    for (int64_t i = 0; i < n; i++) { /* as check_forward has it */
        const int64_t C = shape[1], H = shape[2], W = shape[3], PH = H / 2, PW = W / 2;
        const int64_t column = i / C % W, row = i / C / W % H, image = i / C / W / H;
        const int64_t at = ((image * PH + row / 2) * PW + column / 2) * C + i % C;
        const bool inside = row / 2 < PH && column / 2 < PW;
        stored[i] = inside && places[at] == row % 2 * 2 + column % 2 ? c.pooled_g[at] + 0.0f : 0;
    }
    fused = (fa_kernel_args){.fuse = FA_FUSE_UNPOOL, .in = {c.pooled_g}, .in_meta = {&c.pooled}};
    fused.in[6] = places;
    fused.in_meta[6] = &c.places;
    check_gradients(isa, &c, affine, stored, &fused);
    end(y, &c.image);
    end(stored, &c.image);
    end(places, &c.places);
    end_case(&c);
}

static void test_fused(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = {{2, 3, 4, 6}, {1, 16, 2, 2},    {3, 17, 5, 3},  {2, 70, 7, 8},
                                        {5, 1, 2, 3}, {40, 33, 14, 14}, {64, 16, 9, 8}, {9, 128, 11, 10}};
    static const int threads[] = {1, 2, 3, 7};
    const int before = fa_get_num_threads();
    kernel_seed = test_seed(8);
    for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name; isa++)
        for (int k = 0; k < 8 && isa->available(); k++)
            for (int variant = 0; variant < 8; variant++) {
                fa_set_num_threads(threads[variant / 2]);
                check_case(isa, shapes[k], variant / 2 % 2 ? SPECIAL : NORMAL, variant % 2);
            }
    fa_set_num_threads(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
