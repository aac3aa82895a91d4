/* Every kernel that is no convolution or matrix product and no optimizer's (support/kernel_call.h). */
#include "support/kernel_call.h"

#include "base/pool.h"
#include "cpu/layout.h"

#include <math.h>
#include <string.h>

/* ---- Elementwise ---------------------------------------------------------------------------------------------------
 */

static const fa_op binary_ops[] = {FA_OP_add, FA_OP_sub, FA_OP_mul, FA_OP_div, FA_OP_relu_grad};
static const int64_t lengths[] = {0, 1, 3, 15, 16, 17, 33, 1000, 70001};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

static void check_binary(fa_op op, fa_meta a, fa_meta b, fa_meta out)
{
    kernel_call c = {.op = op, .out_meta = out};
    kernel_input(&c, a, SPECIAL);
    kernel_input(&c, b, SPECIAL);
    kernel_check(&c);
}

static void test_binary(void **state)
{
    (void)state;
    for (int k = 0; k < 5; k++) {
        for (int l = 0; l < LENGTHS; l++)
            check_binary(binary_ops[k], F32(lengths[l]), F32(lengths[l]), F32(lengths[l]));
        check_binary(binary_ops[k], F32(3, 5, 7), SCALAR, F32(3, 5, 7));
        check_binary(binary_ops[k], F32(1), F32(4, 35), F32(4, 35));
        check_binary(binary_ops[k], F32(9, 21), F32(21), F32(9, 21));
        check_binary(binary_ops[k], F32(21), F32(9, 21), F32(9, 21));
        check_binary(binary_ops[k], F32(2, 5, 3, 7), F32(1, 5, 1, 1), F32(2, 5, 3, 7));
        check_binary(binary_ops[k], F32(6, 1), F32(1, 19), F32(6, 19));
        check_binary(binary_ops[k], F32(2, 1, 3, 4), F32(5, 1, 4), F32(2, 5, 3, 4));
        check_binary(binary_ops[k], SCALAR, SCALAR, SCALAR);
        check_binary(binary_ops[k], F32(700, 130), F32(130), F32(700, 130));
        check_binary(binary_ops[k], F32(300, 1), F32(300, 301), F32(300, 301));
    }
}

static void test_unary(void **state)
{
    (void)state;
    static const fa_op ops[] = {FA_OP_add_scalar, FA_OP_mul_scalar, FA_OP_div_scalar, FA_OP_neg, FA_OP_relu};
    for (int k = 0; k < 5; k++)
        for (int l = 0; l < LENGTHS; l++) {
            kernel_call c = {.op = ops[k], .out_meta = F32(lengths[l]), .floats = {0.3}};
            kernel_input(&c, F32(lengths[l]), SPECIAL);
            kernel_check(&c);
        }
}

static void test_dropout(void **state)
{
    (void)state;
    for (int l = 0; l < LENGTHS; l++) {
        kernel_call c = {.op = FA_OP_dropout, .out_meta = F32(lengths[l]), .floats = {1 / 0.7}};
        kernel_input(&c, F32(lengths[l]), SPECIAL);
        kernel_input(&c, META(FA_DT_UINT8, lengths[l]), NORMAL);
        kernel_check(&c);
    }
}

static void test_eq_and_effects(void **state)
{
    (void)state;
    for (int l = 0; l < LENGTHS; l++) {
        kernel_call eq = {.op = FA_OP_eq, .out_meta = META(FA_DT_BOOL, lengths[l])};
        kernel_input(&eq, META(FA_DT_INT64, lengths[l]), NORMAL);
        kernel_input(&eq, META(FA_DT_INT64, lengths[l]), NORMAL);
        kernel_check(&eq);
        for (int k = 0; k < 2; k++) {
            kernel_call effect = {.op = k ? FA_OP_assign : FA_OP_accumulate};
            kernel_input(&effect, F32(lengths[l]), SPECIAL);
            kernel_input(&effect, F32(lengths[l]), SPECIAL);
            kernel_check(&effect);
        }
    }
}

/* ---- Pools ---------------------------------------------------------------------------------------------------------
 */

typedef struct pool_case {
    int64_t image[4], kernel[2], stride[2], padding[2], dilation[2], ceil_mode, count_include_pad, divisor;
} pool_case;

static const pool_case pool_cases[] = {
    {{2, 32, 8, 8}, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 0, 1, 0},
    {{1, 1, 2, 2}, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 0, 1, 0},
    {{3, 17, 9, 7}, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 0, 1, 0},
    {{2, 5, 7, 9}, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 1, 1, 0},
    {{2, 20, 9, 8}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 0, 1, 0},
    {{2, 3, 11, 6}, {3, 2}, {1, 2}, {1, 0}, {1, 1}, 0, 0, 0},
    {{0, 3, 4, 4}, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 0, 1, 0},
    {{4, 7, 1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}, 0, 1, 0},
    {{2, 35, 7, 7}, {7, 7}, {7, 7}, {0, 0}, {1, 1}, 0, 1, 0},
    {{2, 6, 10, 10}, {3, 3}, {3, 3}, {1, 1}, {1, 1}, 1, 0, 0},
    {{1, 9, 12, 11}, {2, 3}, {1, 1}, {1, 1}, {3, 2}, 0, 1, 0},
    {{2, 8, 9, 9}, {4, 4}, {3, 2}, {2, 2}, {1, 1}, 1, 1, 5},
    {{33, 10, 12, 13}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 0, 1, 0},
    {{40, 32, 30, 28}, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 0, 1, 0},
};
enum { POOL_CASES = sizeof pool_cases / sizeof pool_cases[0] };

static int64_t pooled_size(const pool_case *p, int axis)
{
    const int64_t size = p->image[2 + axis], s = p->stride[axis], pad = p->padding[axis];
    const int64_t room = size + 2 * pad - p->dilation[axis] * (p->kernel[axis] - 1) - 1;
    int64_t n = (room + (p->ceil_mode ? s - 1 : 0)) / s + 1;
    return p->ceil_mode && (n - 1) * s >= size + pad ? n - 1 : n;
}

static void check_pool(const pool_case *p, fa_op op, kernel_values kind)
{
    const bool average = op == FA_OP_avg_pool2d || op == FA_OP_avg_pool2d_grad;
    const bool grad = op == FA_OP_max_pool2d_grad || op == FA_OP_avg_pool2d_grad;
    if (average && p->dilation[0] != 1)
        return;
    fa_pool2d_ints ints = {.ceil_mode = p->ceil_mode,
                           .count_include_pad = p->count_include_pad,
                           .divisor_override = average ? p->divisor : 0};
    memcpy(ints.kernel, p->kernel, sizeof ints.kernel);
    memcpy(ints.stride, p->stride, sizeof ints.stride);
    memcpy(ints.padding, p->padding, sizeof ints.padding);
    memcpy(ints.dilation, p->dilation, sizeof ints.dilation);
    memcpy(ints.input_shape, p->image, sizeof ints.input_shape);
    const fa_meta image = kernel_meta(FA_DT_FLOAT32, 4, p->image);
    const fa_meta pooled = F32(p->image[0], p->image[1], pooled_size(p, 0), pooled_size(p, 1));
    kernel_call c = {.op = op, .out_meta = grad ? image : pooled};
    memcpy(c.ints, &ints, sizeof ints);
    if (grad)
        kernel_input(&c, pooled, kind);
    if (op != FA_OP_avg_pool2d_grad)
        kernel_input(&c, image, kind);
    kernel_check(&c);
}

static void test_pools(void **state)
{
    (void)state;
    static const fa_op ops[] = {FA_OP_max_pool2d, FA_OP_max_pool2d_grad, FA_OP_avg_pool2d, FA_OP_avg_pool2d_grad};
    static const kernel_values kinds[] = {NORMAL, TIES, SPECIAL};
    for (int p = 0; p < POOL_CASES; p++)
        for (int op = 0; op < 4; op++)
            for (int k = 0; k < 3; k++)
                check_pool(&pool_cases[p], ops[op], kinds[k]);
}

/* The gradient from positions, on channels-last data (so the call is not turned), with the library's own ISA too. */
static void test_unpool(void **state)
{
    (void)state;
    static const int64_t images[][4] = {{2, 32, 8, 8}, {3, 17, 9, 7}, {1, 1, 2, 2}, {2, 5, 3, 4}, {50, 33, 20, 20}};
    for (int k = 0; k < 5; k++) {
        const int64_t *s = images[k], N = s[0], C = s[1], H = s[2], W = s[3], PH = H / 2, PW = W / 2;
        fa_meta pooled = F32(N, C, PH, PW), full = F32(N, C, H, W), positions = META(FA_DT_UINT8, N, C, PH, PW);
        const int64_t n = fa_meta_numel(&pooled), m = fa_meta_numel(&full);
        float *g = calloc((size_t)n, sizeof *g), *want = calloc((size_t)m, sizeof *want);
        uint8_t *position = malloc((size_t)n);
        assert_true(g && want && position);
        for (int64_t i = 0; i < n; i++) {
            g[i] = kernel_draw(SPECIAL) + 0.0f;
            const int64_t p = test_random_int(&kernel_seed, 0, 4), c = i % C, x = i / C % PW, row = i / C / PW;
            position[i] = p < 4 ? (uint8_t)p : 255;
            if (p < 4)
                want[(((row / PH * H) + row % PH * 2 + p / 2) * W + 2 * x + p % 2) * C + c] = g[i];
        }
        pooled.layout = full.layout = positions.layout = FA_NHWC;
        const int64_t ints[FA_MAX_INTS] = {0};
        for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name; isa++) {
            if (!isa->available())
                continue;
            float *dx = (void *)kernel_guarded((size_t)m * sizeof *dx);
            fa_kernel_args args = {
                .in = {g, position}, .in_meta = {&pooled, &positions}, .out = {dx}, .out_meta = {&full}, .ints = ints};
            const fa_cpu_kernel *kernel = fa_cpu_find_in(isa->table, FA_OP_max_pool2d_grad, &args);
            assert_non_null(kernel);
            kernel->run(&args);
            assert_all_close_f32(dx, want, m, 0, 0);
            memset(dx, 0xff, (size_t)m * sizeof *dx);
            fa_layout_unpool2x2(&args);
            assert_all_close_f32(dx, want, m, 0, 0);
            kernel_check_guard((char *)dx, (size_t)m * sizeof *dx);
            free(dx);
        }
        free(g);
        free(want);
        free(position);
    }
}

/* ---- Layouts -------------------------------------------------------------------------------------------------------
 */

/* There with `kernel` or the library's own step, and back. */
static void check_layout(const fa_meta *meta, const fa_cpu_kernel *kernel, const void *plain, const void *nhwc)
{
    const size_t bytes = kernel_bytes(meta);
    fa_meta last = *meta;
    last.layout = FA_NHWC;
    char *to = kernel_guarded(bytes), *back = kernel_guarded(bytes);
    fa_kernel_args args = {.in = {kernel_copy(plain, bytes)}, .in_meta = {meta}, .out = {to}, .out_meta = {&last}};
    (kernel ? kernel->run : fa_layout_to_nhwc)(&args);
    assert_same_bytes(to, nhwc, bytes);
    free(args.in[0]);
    args = (fa_kernel_args){.in = {to}, .in_meta = {&last}, .out = {back}, .out_meta = {meta}};
    (kernel ? kernel->run : fa_layout_to_plain)(&args);
    assert_same_bytes(back, plain, bytes);
    kernel_check_guard(to, bytes);
    kernel_check_guard(back, bytes);
    free(to);
    free(back);
}

static void test_layouts(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = {{2, 3, 5, 7}, {1, 16, 4, 4}, {3, 33, 6, 3}, {0, 4, 2, 2}, {40, 64, 17, 19}};
    static const int dtypes[] = {FA_DT_FLOAT32, FA_DT_UINT8, FA_DT_INT64};
    for (int k = 0; k < 15; k++) {
        const fa_meta meta = kernel_meta(dtypes[k % 3], 4, shapes[k / 3]);
        const size_t bytes = kernel_bytes(&meta);
        uint8_t *plain = malloc(bytes + 1), *nhwc = malloc(bytes + 1);
        assert_true(plain && nhwc);
        for (size_t i = 0; i < bytes; i++)
            plain[i] = (uint8_t)test_random(&kernel_seed);
        kernel_turn(nhwc, plain, &meta, true);
        check_layout(&meta, NULL, plain, nhwc);
        const fa_kernel_args args = {.in_meta = {&meta}};
        for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name && k % 3 == 0; isa++) {
            const fa_cpu_kernel *kernel = fa_cpu_find_in(isa->table, FA_CPU_CHANGE_LAYOUT, &args);
            assert_non_null(kernel);
            if (isa->available())
                check_layout(&meta, kernel, plain, nhwc);
        }
        free(plain);
        free(nhwc);
    }
}

/* ---- Batch norm ----------------------------------------------------------------------------------------------------
 */

static const int64_t norm_images[][4] = {
    {2, 3, 4, 5}, {1, 1, 1, 2}, {3, 16, 1, 1}, {0, 5, 2, 2}, {5, 17, 3, 3}, {4, 70, 6, 5}, {50, 33, 20, 20},
};
enum { NORM_IMAGES = sizeof norm_images / sizeof norm_images[0] };

/* x with a mean far from 0 beside its spread. */
static void add_image(kernel_call *c, const int64_t *shape, kernel_values kind)
{
    const fa_meta meta = kernel_meta(FA_DT_FLOAT32, 4, shape);
    float *x = kernel_input(c, meta, kind);
    for (int64_t i = 0; i < fa_meta_numel(&meta); i++)
        x[i] += (float)(i / (shape[2] * shape[3]) % shape[1]);
}

static void test_batch_norm_stats(void **state)
{
    (void)state;
    for (int k = 0; k < NORM_IMAGES; k++)
        for (int special = 0; special < 2; special++) {
            kernel_call c = {.op = FA_OP_batch_norm_stats, .out_meta = F32(2, norm_images[k][1]), .tolerance = 3e-7};
            add_image(&c, norm_images[k], special ? SPECIAL : NORMAL);
            kernel_check(&c);
        }
}

/* mean and v of the second row: v is M times a variance around 1. */
static void add_stats(kernel_call *c, const int64_t *shape)
{
    float *stats = kernel_input(c, F32(2, shape[1]), POSITIVE);
    for (int64_t o = 0; o < shape[1]; o++)
        stats[shape[1] + o] *= (float)(shape[0] * shape[2] * shape[3]);
}

static void add_optional(kernel_call *c, fa_meta meta, bool present)
{
    if (present)
        kernel_input(c, meta, NORMAL);
    else
        c->inputs++;
}

static void test_batch_norm_forward(void **state)
{
    (void)state;
    for (int k = 0; k < NORM_IMAGES; k++)
        for (int bits = 0; bits < 8; bits++) {
            const fa_meta image = kernel_meta(FA_DT_FLOAT32, 4, norm_images[k]), row = F32(norm_images[k][1]);
            kernel_call apply = {.op = FA_OP_batch_norm_apply, .out_meta = image, .floats = {1e-5}};
            add_image(&apply, norm_images[k], bits & 4 ? SPECIAL : NORMAL);
            add_stats(&apply, norm_images[k]);
            add_optional(&apply, row, bits & 1);
            add_optional(&apply, row, bits & 2);
            kernel_check(&apply);
            kernel_call eval = {.op = FA_OP_batch_norm_eval, .out_meta = image, .floats = {1e-5}};
            add_image(&eval, norm_images[k], bits & 4 ? SPECIAL : NORMAL);
            kernel_input(&eval, row, NORMAL);
            kernel_input(&eval, row, POSITIVE);
            add_optional(&eval, row, bits & 1);
            add_optional(&eval, row, bits & 2);
            kernel_check(&eval);
        }
}

/* Fused with relu: relu of the reference's result. */
static void test_batch_norm_relu(void **state)
{
    (void)state;
    for (int k = 0; k < NORM_IMAGES; k++) {
        const fa_meta image = kernel_meta(FA_DT_FLOAT32, 4, norm_images[k]);
        kernel_call c = {.op = FA_OP_batch_norm_apply, .out_meta = image, .floats = {1e-5}};
        add_image(&c, norm_images[k], SPECIAL);
        add_stats(&c, norm_images[k]);
        kernel_input(&c, F32(image.shape[1]), NORMAL);
        kernel_input(&c, F32(image.shape[1]), NORMAL);
        kernel_result want = kernel_run(&c, NULL, false);
        for (size_t i = 0; i < want.bytes / sizeof(float); i++) {
            float *y = (float *)(void *)want.data + i;
            *y = *y < 0 ? 0 : *y;
        }
        c.fuse = FA_FUSE_RELU;
        kernel_check_against(&c, &want);
        free(want.data);
    }
}

static void test_batch_norm_gradients(void **state)
{
    (void)state;
    for (int k = 0; k < NORM_IMAGES; k++)
        for (int weighted = 0; weighted < 2; weighted++) {
            const int64_t *shape = norm_images[k];
            const fa_meta image = kernel_meta(FA_DT_FLOAT32, 4, shape), row = F32(shape[1]), pair = F32(2, shape[1]);
            const kernel_values kind = weighted ? NORMAL : SPECIAL;
            kernel_call stats = {
                .op = FA_OP_batch_norm_grad_stats, .out_meta = pair, .floats = {1e-5}, .tolerance = 1e-6};
            kernel_input(&stats, image, kind);
            add_image(&stats, shape, kind);
            add_stats(&stats, shape);
            kernel_check(&stats);
            kernel_call dx = {
                .op = FA_OP_batch_norm_input_grad, .out_meta = image, .floats = {1e-5}, .tolerance = 2e-5};
            kernel_input(&dx, image, kind);
            add_image(&dx, shape, kind);
            add_stats(&dx, shape);
            kernel_input(&dx, pair, NORMAL);
            add_optional(&dx, row, weighted);
            kernel_check(&dx);
            kernel_call eval_stats = {
                .op = FA_OP_batch_norm_eval_grad_stats, .out_meta = pair, .floats = {1e-5}, .tolerance = 1e-6};
            kernel_input(&eval_stats, image, kind);
            add_image(&eval_stats, shape, kind);
            kernel_input(&eval_stats, row, NORMAL);
            kernel_input(&eval_stats, row, POSITIVE);
            kernel_check(&eval_stats);
            kernel_call eval_dx = {.op = FA_OP_batch_norm_eval_input_grad, .out_meta = image, .floats = {1e-5}};
            kernel_input(&eval_dx, image, SPECIAL);
            kernel_input(&eval_dx, row, POSITIVE);
            add_optional(&eval_dx, row, weighted);
            kernel_check(&eval_dx);
        }
}

/* ---- Rows ----------------------------------------------------------------------------------------------------------
 */

static void check_rows(fa_op op, fa_meta meta, int64_t dim, kernel_values kind, float scale)
{
    const bool grad = op == FA_OP_softmax_grad || op == FA_OP_log_softmax_grad;
    kernel_call c = {.op = op, .out_meta = meta, .ints = {dim}, .tolerance = grad ? 5e-6 : 1e-6};
    float *x = kernel_input(&c, meta, kind);
    for (int64_t k = 0; k < fa_meta_numel(&meta) && !grad; k++)
        x[k] *= scale;
    float *y = grad ? kernel_input(&c, meta, kind) : NULL;
    for (int64_t k = 0; k < fa_meta_numel(&meta) && grad; k++) /* as a logarithm of a probability is */
        y[k] = y[k] > 0 ? -y[k] : y[k];
    kernel_check(&c);
}

static void test_softmax(void **state)
{
    (void)state;
    static const fa_op ops[] = {FA_OP_softmax, FA_OP_log_softmax, FA_OP_softmax_grad, FA_OP_log_softmax_grad};
    for (int k = 0; k < 4; k++)
        for (int special = 0; special < 2; special++) {
            const kernel_values kind = special ? SPECIAL : NORMAL;
            check_rows(ops[k], F32(64, 10), 1, kind, 3);
            check_rows(ops[k], F32(7, 1), 1, kind, 1);
            check_rows(ops[k], F32(0, 10), 1, kind, 1);
            check_rows(ops[k], F32(33), 0, kind, 20);
            check_rows(ops[k], F32(3, 5, 17, 1), 2, kind, 60);
            check_rows(ops[k], F32(400, 131), 1, kind, 5);
            check_rows(ops[k], SCALAR, 0, kind, 1);
        }
}

static void check_nll(int64_t N, int64_t C, int64_t reduction, double smoothing, bool weighted, int64_t ignore_index)
{
    const fa_loss_ints ints = {.reduction = reduction, .ignore_index = ignore_index};
    const fa_meta scores = N < 0 ? F32(C) : F32(N, C);
    const fa_meta target = N < 0 ? kernel_meta(FA_DT_INT64, 0, NULL) : META(FA_DT_INT64, N);
    const fa_meta losses = N < 0 || reduction != 0 ? SCALAR : F32(N);
    for (int grad = 0; grad < 2; grad++) {
        kernel_call c = {.op = grad ? FA_OP_nll_loss_grad : FA_OP_nll_loss,
                         .out_meta = grad ? scores : losses,
                         .floats = {smoothing}};
        memcpy(c.ints, &ints, sizeof ints);
        if (grad)
            kernel_input(&c, losses, NORMAL);
        kernel_input(&c, scores, SPECIAL);
        int64_t *label = kernel_input(&c, target, NORMAL);
        for (int64_t n = 0; n < fa_meta_numel(&target); n++) {
            label[n] = test_random_int(&kernel_seed, 0, C - 1);
            if (test_random_int(&kernel_seed, 0, 5) == 0)
                label[n] = ignore_index;
        }
        add_optional(&c, F32(C), weighted);
        kernel_check(&c);
    }
}

static void test_nll_loss(void **state)
{
    (void)state;
    for (int bits = 0; bits < 8; bits++)
        for (int64_t reduction = 0; reduction < 3; reduction++) {
            const double smoothing = bits & 1 ? 0.1 : 0;
            const int64_t ignore_index = bits & 4 ? 0 : -100;
            check_nll(64, 10, reduction, smoothing, bits & 2, ignore_index);
            check_nll(1, 1, reduction, smoothing, bits & 2, ignore_index);
            check_nll(0, 10, reduction, smoothing, bits & 2, ignore_index);
            check_nll(-1, 5, reduction, smoothing, bits & 2, ignore_index);
            check_nll(700, 101, reduction, smoothing, bits & 2, ignore_index);
        }
}

/* ---- Reductions ----------------------------------------------------------------------------------------------------
 */

static void check_sum(fa_meta in, int64_t mask, kernel_values kind)
{
    int64_t shape[FA_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < in.ndim; d++)
        if (!(mask >> d & 1))
            shape[ndim++] = in.shape[d];
    for (int mean = 0; mean < 2; mean++) {
        kernel_call c = {.op = mean ? FA_OP_mean : FA_OP_sum,
                         .out_meta = kernel_meta(FA_DT_FLOAT32, ndim, shape),
                         .ints = {mask},
                         .tolerance = 3e-7};
        kernel_input(&c, in, kind);
        kernel_check(&c);
    }
}

static void test_sum_and_mean(void **state)
{
    (void)state;
    for (int special = 0; special < 2; special++) {
        const kernel_values kind = special ? SPECIAL : NORMAL;
        check_sum(SCALAR, 0, kind);
        for (int l = 0; l < LENGTHS; l++)
            check_sum(F32(lengths[l]), 1, kind);
        check_sum(F32(64, 10), 1, kind);
        check_sum(F32(64, 10), 2, kind);
        check_sum(F32(64, 10), 3, kind);
        check_sum(F32(64, 10), 0, kind);
        check_sum(F32(3, 5, 7, 9), 12, kind);
        check_sum(F32(3, 5, 7, 9), 13, kind);
        check_sum(F32(3, 5, 7, 9), 2, kind);
        check_sum(F32(3, 5, 1, 9), 1, kind);
        check_sum(F32(0, 5, 2, 2), 13, kind);
        check_sum(F32(3, 0), 2, kind);
        check_sum(F32(3, 0), 1, kind);
        check_sum(F32(1000, 37), 1, kind);
        check_sum(F32(3, 40000), 2, kind);
        check_sum(F32(300, 6, 17, 17), 13, kind);
        check_sum(F32(5, 400, 270), 2, kind);
    }
}

static void test_sum_to(void **state)
{
    (void)state;
    const fa_meta in = F32(6, 5, 7, 9), out[] = {F32(9), F32(1, 5, 1, 1), F32(7, 9), F32(6, 1, 1, 1), SCALAR};
    for (int k = 0; k < 5; k++) {
        kernel_call c = {.op = FA_OP_sum_to, .out_meta = out[k], .tolerance = 3e-7};
        kernel_input(&c, in, SPECIAL);
        kernel_check(&c);
    }
}

static void test_sum_of_integers(void **state)
{
    (void)state;
    for (int l = 0; l < LENGTHS; l++)
        for (int k = 0; k < 2; k++) {
            kernel_call c = {.op = FA_OP_sum, .out_meta = kernel_meta(FA_DT_INT64, 0, NULL), .ints = {1}};
            kernel_input(&c, META(k ? FA_DT_BOOL : FA_DT_INT64, lengths[l]), NORMAL);
            kernel_check(&c);
        }
}

static void test_argmax(void **state)
{
    (void)state;
    static const kernel_values kinds[] = {NORMAL, TIES, SPECIAL};
    static const int64_t shapes[][2] = {{64, 10}, {5, 1}, {0, 3}, {9, 40}, {300, 300}};
    for (int k = 0; k < 3; k++)
        for (int s = 0; s < 5; s++) {
            kernel_call c = {.op = FA_OP_argmax, .out_meta = META(FA_DT_INT64, shapes[s][0]), .ints = {1}};
            kernel_input(&c, F32(shapes[s][0], shapes[s][1]), kinds[k]);
            kernel_check(&c);
        }
}

int main(void)
{
    kernel_seed = test_seed(20240607);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_eq_and_effects),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_unpool),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_batch_norm_stats),
        cmocka_unit_test(test_batch_norm_forward),
        cmocka_unit_test(test_batch_norm_relu),
        cmocka_unit_test(test_batch_norm_gradients),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_nll_loss),
        cmocka_unit_test(test_sum_and_mean),
        cmocka_unit_test(test_sum_to),
        cmocka_unit_test(test_sum_of_integers),
        cmocka_unit_test(test_argmax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
