/* The dense fast kernels (linear, matmul, conv2d and its gradients) of every ISA that the machine has, against plain
 * loops in double over random configurations; the same bits for 1, 2, 3 and 7 threads and for any batch; the fused
 * max-pool against the unfused kernel. FACULA_TEST_SEED=n repeats a run, FACULA_TEST_CASES=n sets its length. */
#include "base/opdef.h"
#include "cpu/isa.h"
#include "facula/base.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Numbers and arrays ------------------------------------------------------------------------------------------ */

static uint64_t random_state, seed = 1;
static int cases = 120;

static uint32_t random_u32(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}
/* From lo to hi, both included. */
static int64_t between(int64_t lo, int64_t hi)
{
    return lo + (int64_t)(random_u32() % (uint32_t)(hi - lo + 1));
}
static float random_float(void)
{
    return (float)random_u32() / 1073741824.0f - 1.0f;
}

/* Exactly as large as asked for, so that a sanitizer sees a step beyond. */
static float *random_floats(int64_t n)
{
    float *p = malloc((size_t)n * sizeof *p + 1);
    assert_non_null(p);
    for (int64_t i = 0; i < n; i++)
        p[i] = random_float();
    return p;
}

static fa_meta meta_of(int ndim, int layout, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (fa_meta){.dtype = FA_DT_FLOAT32, .ndim = (uint8_t)ndim, .layout = (uint8_t)layout, .shape = {a, b, c, d}};
}

enum { CANARY = 64 };

/* Runs `kernel` with scratch and outputs full of NaN and bytes behind them that must stay. */
static void run_checked(const fa_cpu_kernel *kernel, fa_kernel_args *args, int64_t out_floats, int64_t out_bytes)
{
    const size_t bytes = kernel->scratch ? kernel->scratch(args) : 0;
    uint8_t *scratch = aligned_alloc(64, (bytes + CANARY + 63) / 64 * 64);
    assert_non_null(scratch);
    memset(scratch, 0xff, bytes);
    memset(scratch + bytes, 0x5a, CANARY);
    args->scratch = scratch;
    memset(args->out[0], 0xff, (size_t)out_floats * sizeof(float));
    if (out_bytes)
        memset(args->out[1], 0xee, (size_t)out_bytes);
    kernel->run(args);
    for (size_t i = 0; i < CANARY; i++)
        assert_int_equal(scratch[bytes + i], 0x5a);
    free(scratch);
}

/* `size`: the sum of the terms' magnitudes. The transforms of a Winograd kernel mix terms of neighbouring results. */
static void check_close(const char *what, const float *got, const double *want, const double *size, int64_t n)
{
    const bool winograd = strstr(what, "winograd") != NULL;
    double largest = 0;
    for (int64_t i = 0; i < n && winograd; i++)
        largest = size[i] > largest ? size[i] : largest;
    for (int64_t i = 0; i < n; i++) {
        const double error = fabs((double)got[i] - want[i]);
        if (!(error <= (winograd ? 2e-6 * largest : 4e-6 * size[i]) + 1e-30))
            fail_msg("%s: element %lld is %.9g, needs %.9g (seed %llu)", what, (long long)i, (double)got[i], want[i],
                     (unsigned long long)seed);
    }
}

/* Bits of out[0] for 1, 2, 3 and 7 threads; leaves the result of the last in out[0]. */
static void run_threads(const fa_cpu_kernel *kernel, fa_kernel_args *args, int64_t n)
{
    static const int threads[] = {1, 2, 3, 7};
    float *first = malloc((size_t)n * sizeof *first + 1);
    for (int t = 0; t < 4; t++) {
        fa_set_num_threads(threads[t]);
        run_checked(kernel, args, n, 0);
        if (t == 0 && n)
            memcpy(first, args->out[0], (size_t)n * sizeof *first);
        else if (n)
            assert_memory_equal(first, args->out[0], (size_t)n * sizeof *first);
    }
    free(first);
}

static const fa_cpu_kernel *find(const fa_cpu_isa_entry *isa, fa_op op, const fa_kernel_args *args)
{
    const fa_cpu_kernel *kernel = fa_cpu_find_in(isa->table, op, args);
    assert_non_null(kernel);
    return kernel;
}

#define FOR_EACH_ISA(isa)                                                                                              \
    for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name; isa++)                                            \
        if (isa->available())

/* ---- linear and matmul ------------------------------------------------------------------------------------------- */

static void naive_product(double *want, double *size, const float *a, bool a_turned, const float *b, bool b_turned,
                          const float *bias, bool relu, int64_t m, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = bias ? (double)bias[j] : 0, magnitude = fabs(sum);
            for (int64_t l = 0; l < k; l++) {
                const double term =
                    (double)(a_turned ? a[l * m + i] : a[i * k + l]) * (double)(b_turned ? b[j * k + l] : b[l * n + j]);
                sum += term;
                magnitude += fabs(term);
            }
            want[i * n + j] = relu && sum < 0 ? 0 : sum;
            size[i * n + j] = magnitude;
        }
}

static void random_sizes(int64_t *m, int64_t *n, int64_t *k)
{
    *m = between(0, 3) ? between(1, 40) : between(0, 260);
    *n = between(0, 3) ? between(1, 70) : between(1, 300);
    *k = between(0, 3) ? between(1, 80) : between(0, 1200);
    if (between(0, 15) == 0) {
        *m = between(1, 5);
        *n = between(1, 40);
        *k = between(4097, 9000);
    }
}

static void test_linear(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    {
        random_state = seed;
        for (int i = 0; i < cases; i++) {
            int64_t m, n, k;
            random_sizes(&m, &n, &k);
            const bool with_bias = between(0, 1), relu = between(0, 1);
            const fa_meta x_meta = meta_of(2, FA_PLAIN, m, k, 0, 0), w_meta = meta_of(2, FA_PLAIN, n, k, 0, 0);
            const fa_meta b_meta = meta_of(1, FA_PLAIN, n, 0, 0, 0), y_meta = meta_of(2, FA_PLAIN, m, n, 0, 0);
            float *x = random_floats(m * k), *w = random_floats(n * k), *b = random_floats(n),
                  *y = random_floats(m * n);
            double *want = calloc((size_t)(m * n) + 1, sizeof *want), *size = calloc((size_t)(m * n) + 1, sizeof *size);
            fa_kernel_args args = {.out = {y},
                                   .out_meta = {&y_meta},
                                   .in = {x, w, with_bias ? b : NULL},
                                   .in_meta = {&x_meta, &w_meta, with_bias ? &b_meta : NULL},
                                   .fuse = relu ? FA_FUSE_RELU : 0};
            const fa_cpu_kernel *kernel = find(isa, FA_OP_linear, &args);
            run_threads(kernel, &args, m * n);
            naive_product(want, size, x, false, w, true, with_bias ? b : NULL, relu, m, n, k);
            check_close("linear", y, want, size, m * n);
            if (m > 0) { /* a row alone has the bits that it has among others */
                const int64_t row = between(0, m - 1);
                const fa_meta one_x = meta_of(2, FA_PLAIN, 1, k, 0, 0), one_y = meta_of(2, FA_PLAIN, 1, n, 0, 0);
                float *alone = random_floats(n);
                args.out[0] = alone;
                args.out_meta[0] = &one_y;
                args.in[0] = x + row * k;
                args.in_meta[0] = &one_x;
                run_checked(kernel, &args, n, 0);
                assert_memory_equal(alone, y + row * n, (size_t)n * sizeof *y);
                free(alone);
            }
            free(x), free(w), free(b), free(y), free(want), free(size);
        }
    }
}

/* A row's bits do not depend on how many others there are, whichever way the product goes. */
static void test_rows_alone(void **state)
{
    (void)state;
    static const int64_t depths[] = {256, 300, 3136, 5000};
    FOR_EACH_ISA(isa)
    {
        random_state = seed + 9;
        for (int d = 0; d < 4; d++) {
            const int64_t k = depths[d], n = 70, most = 130;
            float *x = random_floats(most * k), *w = random_floats(n * k), *b = random_floats(n);
            float *all = random_floats(most * n), *part = random_floats(most * n);
            static const int64_t rows[] = {130, 1, 3, 4, 8, 16, 17, 32, 63, 64, 65};
            for (int r = 0; r < 11; r++)
                for (int turned = 0; turned < 2; turned++) {
                    const fa_meta x_meta = meta_of(2, FA_PLAIN, rows[r], k, 0, 0),
                                  b_meta = meta_of(1, FA_PLAIN, n, 0, 0, 0);
                    const fa_meta w_meta = meta_of(2, FA_PLAIN, turned ? n : k, turned ? k : n, 0, 0);
                    const fa_meta y_meta = meta_of(2, FA_PLAIN, rows[r], n, 0, 0);
                    const int64_t ints[FA_MAX_INTS] = {0};
                    fa_kernel_args args = {.out = {r == 0 ? all : part},
                                           .out_meta = {&y_meta},
                                           .in = {x, w, turned ? b : NULL},
                                           .in_meta = {&x_meta, &w_meta, turned ? &b_meta : NULL},
                                           .ints = ints};
                    fa_kernel_args whole = args;
                    const fa_meta all_x = meta_of(2, FA_PLAIN, most, k, 0, 0),
                                  all_y = meta_of(2, FA_PLAIN, most, n, 0, 0);
                    whole.out[0] = all;
                    whole.in_meta[0] = &all_x;
                    whole.out_meta[0] = &all_y;
                    const fa_op op = turned ? FA_OP_linear : FA_OP_matmul;
                    run_checked(find(isa, op, &whole), &whole, most * n, 0);
                    run_checked(find(isa, op, &args), &args, rows[r] * n, 0);
                    if (r > 0)
                        assert_memory_equal(part, all, (size_t)(rows[r] * n) * sizeof *part);
                }
            free(x), free(w), free(b), free(all), free(part);
        }
    }
}

static void test_matmul(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    {
        random_state = seed + 1;
        for (int i = 0; i < cases; i++) {
            int64_t m, n, k;
            random_sizes(&m, &n, &k);
            const int64_t ints[FA_MAX_INTS] = {between(0, 1), between(0, 1)};
            const fa_meta a_meta = ints[0] ? meta_of(2, FA_PLAIN, k, m, 0, 0) : meta_of(2, FA_PLAIN, m, k, 0, 0);
            const fa_meta b_meta = ints[1] ? meta_of(2, FA_PLAIN, n, k, 0, 0) : meta_of(2, FA_PLAIN, k, n, 0, 0);
            const fa_meta y_meta = meta_of(2, FA_PLAIN, m, n, 0, 0);
            float *a = random_floats(m * k), *b = random_floats(n * k), *y = random_floats(m * n);
            double *want = calloc((size_t)(m * n) + 1, sizeof *want), *size = calloc((size_t)(m * n) + 1, sizeof *size);
            fa_kernel_args args = {
                .out = {y}, .out_meta = {&y_meta}, .in = {a, b}, .in_meta = {&a_meta, &b_meta}, .ints = ints};
            run_threads(find(isa, FA_OP_matmul, &args), &args, m * n);
            naive_product(want, size, a, ints[0], b, ints[1], NULL, false, m, n, k);
            check_close("matmul", y, want, size, m * n);
            free(a), free(b), free(y), free(want), free(size);
        }
    }
}

/* ---- conv2d ------------------------------------------------------------------------------------------------------ */

typedef struct conv_case {
    union {
        fa_conv2d_ints conv;
        int64_t all[FA_MAX_INTS];
    } ints;
    int64_t n, c, h, w, o, kh, kw, oh, ow;
} conv_case;

static int64_t conv_size(const fa_conv2d_ints *ints, int d, int64_t size, int64_t kernel)
{
    const int64_t room = size + ints->padding_before[d] + ints->padding_after[d] - ints->dilation[d] * (kernel - 1) - 1;
    return room < 0 ? 0 : room / ints->stride[d] + 1;
}

static conv_case random_case(void)
{
    conv_case k = {0};
    fa_conv2d_ints *ints = &k.ints.conv;
    do {
        const bool plain = between(0, 2) == 0; /* the networks' usual form */
        ints->groups = plain || between(0, 2) ? 1 : between(1, 5);
        k.n = between(0, 19) ? between(1, 5) : 0;
        k.c = ints->groups * (between(0, 2) ? between(1, 5) : between(1, 40));
        k.o = ints->groups * (between(0, 2) ? between(1, 20) : between(1, 150));
        k.h = between(0, 4) ? between(1, 18) : 1;
        k.w = between(0, 4) ? between(1, 18) : 1;
        k.kh = plain ? 3 : between(1, 5);
        k.kw = plain ? 3 : between(1, 5);
        for (int d = 0; d < 2; d++) {
            ints->stride[d] = plain ? 1 : between(0, 1) ? 1 : between(1, 6);
            ints->dilation[d] = plain || between(0, 1) ? 1 : between(1, 3);
            ints->padding_before[d] = plain ? 1 : between(0, 3);
            ints->padding_after[d] = between(0, 3) ? ints->padding_before[d] : between(0, 3);
        }
        if (between(0, 5) == 0) { /* one channel, 3x3 side by side: a kernel of its own */
            ints->groups = k.c = 1;
            k.o = between(1, 70);
            k.kh = k.kw = 3;
            ints->stride[1] = ints->dilation[1] = 1;
        }
        if (between(0, 5) == 0) { /* planes of a few positions, most taps in the padding */
            ints->groups = 1;
            k.c = between(16, 80);
            k.o = between(0, 1) ? between(16, 80) : 16 * between(1, 5);
            k.h = between(1, 4);
            k.w = between(1, 4);
        }
        if (between(0, 5) == 0) { /* depthwise */
            ints->groups = k.c = k.o = between(2, 70);
            k.kh = between(0, 1) ? 3 : k.kh;
            k.kw = between(0, 1) ? 3 : k.kw;
        }
        ints->kernel[0] = k.kh;
        ints->kernel[1] = k.kw;
        k.oh = conv_size(ints, 0, k.h, k.kh);
        k.ow = conv_size(ints, 1, k.w, k.kw);
    } while (k.oh < 1 || k.ow < 1);
    return k;
}

/* Offsets of the term that position (n, i, j), channels o and c and tap (a, b) contribute; false in the padding. */
typedef struct term {
    int64_t x, weight, y;
} term;

static bool term_at(const conv_case *k, int64_t n, int64_t i, int64_t j, int64_t o, int64_t c, int64_t a, int64_t b,
                    term *t)
{
    const fa_conv2d_ints *ints = &k->ints.conv;
    const int64_t h = i * ints->stride[0] + a * ints->dilation[0] - ints->padding_before[0];
    const int64_t w = j * ints->stride[1] + b * ints->dilation[1] - ints->padding_before[1];
    const int64_t group_c = k->c / ints->groups, group_o = k->o / ints->groups;
    t->x = ((n * k->h + h) * k->w + w) * k->c + o / group_o * group_c + c;
    t->weight = ((o * group_c + c) * k->kh + a) * k->kw + b;
    t->y = ((n * k->oh + i) * k->ow + j) * k->o + o;
    return h >= 0 && h < k->h && w >= 0 && w < k->w;
}

enum { TO_Y, TO_X, TO_WEIGHT };

static void naive_conv(const conv_case *k, int to, double *want, double *size, const float *left, const float *right)
{
    term t;
    for (int64_t n = 0; n < k->n; n++)
        for (int64_t i = 0; i < k->oh; i++)
            for (int64_t j = 0; j < k->ow; j++)
                for (int64_t o = 0; o < k->o; o++)
                    for (int64_t c = 0; c < k->c / k->ints.conv.groups; c++)
                        for (int64_t a = 0; a < k->kh; a++)
                            for (int64_t b = 0; b < k->kw; b++) {
                                if (!term_at(k, n, i, j, o, c, a, b, &t))
                                    continue;
                                const int64_t at = to == TO_Y ? t.y : to == TO_X ? t.x : t.weight;
                                const double value = (double)left[to == TO_Y ? t.x : t.y] *
                                                     (double)right[to == TO_WEIGHT ? t.x : t.weight];
                                want[at] += value;
                                size[at] += fabs(value);
                            }
}

static void test_conv2d(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    {
        random_state = seed + 2;
        for (int i = 0; i < cases; i++) {
            const conv_case k = random_case();
            const int64_t group_c = k.c / k.ints.conv.groups, n = k.n * k.oh * k.ow * k.o;
            const bool with_bias = between(0, 1), relu = between(0, 1);
            const fa_meta x_meta = meta_of(4, FA_NHWC, k.n, k.c, k.h, k.w), b_meta = meta_of(1, FA_PLAIN, k.o, 0, 0, 0);
            const fa_meta w_meta = meta_of(4, FA_PLAIN, k.o, group_c, k.kh, k.kw);
            const fa_meta y_meta = meta_of(4, FA_NHWC, k.n, k.o, k.oh, k.ow);
            float *x = random_floats(k.n * k.c * k.h * k.w), *w = random_floats(k.o * group_c * k.kh * k.kw);
            float *b = random_floats(k.o), *y = random_floats(n);
            double *want = calloc((size_t)n + 1, sizeof *want), *size = calloc((size_t)n + 1, sizeof *size);
            fa_kernel_args args = {.out = {y},
                                   .out_meta = {&y_meta},
                                   .in = {x, w, with_bias ? b : NULL},
                                   .in_meta = {&x_meta, &w_meta, with_bias ? &b_meta : NULL},
                                   .ints = k.ints.all,
                                   .fuse = relu ? FA_FUSE_RELU : 0};
            const fa_cpu_kernel *kernel = find(isa, FA_OP_conv2d, &args);
            run_threads(kernel, &args, n);
            naive_conv(&k, TO_Y, want, size, x, w);
            for (int64_t e = 0; e < n; e++) {
                want[e] += with_bias ? (double)b[e % k.o] : 0;
                size[e] += 1;
                want[e] = relu && want[e] < 0 ? 0 : want[e];
            }
            check_close(kernel->name, y, want, size, n);
            if (k.n > 0) { /* an image alone has the bits that it has in the batch */
                const int64_t image = between(0, k.n - 1), floats = n / k.n;
                const fa_meta one_x = meta_of(4, FA_NHWC, 1, k.c, k.h, k.w);
                const fa_meta one_y = meta_of(4, FA_NHWC, 1, k.o, k.oh, k.ow);
                float *alone = random_floats(floats);
                args.out[0] = alone;
                args.out_meta[0] = &one_y;
                args.in[0] = x + image * k.c * k.h * k.w;
                args.in_meta[0] = &one_x;
                run_checked(kernel, &args, floats, 0);
                assert_memory_equal(alone, y + image * floats, (size_t)floats * sizeof *y);
                free(alone);
            }
            free(x), free(w), free(b), free(y), free(want), free(size);
        }
    }
}

static bool beats(float value, float best)
{
    return value > best || isnan(value);
}

static void test_conv2d_pool(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    {
        random_state = seed + 3;
        for (int i = 0; i < cases; i++) {
            const conv_case k = random_case();
            const int64_t group_c = k.c / k.ints.conv.groups, n = k.n * k.oh * k.ow * k.o;
            const int64_t ph = k.oh / 2, pw = k.ow / 2, pooled = k.n * ph * pw * k.o;
            const bool with_bias = between(0, 1);
            const fa_meta x_meta = meta_of(4, FA_NHWC, k.n, k.c, k.h, k.w), b_meta = meta_of(1, FA_PLAIN, k.o, 0, 0, 0);
            const fa_meta w_meta = meta_of(4, FA_PLAIN, k.o, group_c, k.kh, k.kw);
            const fa_meta y_meta = meta_of(4, FA_NHWC, k.n, k.o, k.oh, k.ow);
            fa_meta p_meta = meta_of(4, FA_NHWC, k.n, k.o, ph, pw), index_meta = p_meta;
            index_meta.dtype = FA_DT_UINT8;
            const int64_t x_floats = k.n * k.c * k.h * k.w;
            float *x = random_floats(x_floats), *w = random_floats(k.o * group_c * k.kh * k.kw);
            float *b = random_floats(k.o), *y = random_floats(n), *p = random_floats(pooled);
            uint8_t *winner = malloc((size_t)pooled + 1);
            if (x_floats && i % 4 == 0)
                x[between(0, x_floats - 1)] = NAN;
            if (x_floats && i % 4 == 1)
                x[between(0, x_floats - 1)] = INFINITY;
            if (i % 4 == 2)
                w[between(0, k.o * group_c * k.kh * k.kw - 1)] = INFINITY;
            fa_kernel_args args = {.out = {y},
                                   .out_meta = {&y_meta},
                                   .in = {x, w, with_bias ? b : NULL},
                                   .in_meta = {&x_meta, &w_meta, with_bias ? &b_meta : NULL},
                                   .ints = k.ints.all};
            const fa_cpu_kernel *alone = find(isa, FA_OP_conv2d, &args);
            run_checked(alone, &args, n, 0);
            args.out[0] = p;
            args.out[1] = winner;
            args.out_meta[0] = &p_meta;
            args.out_meta[1] = &index_meta;
            const bool pools = (alone->fuse & FA_FUSE_MAX_POOL) != 0;
            args.fuse = FA_FUSE_RELU | FA_FUSE_MAX_POOL;
            if (!pools) /* another kernel would give other bits: there is none */
                assert_null(fa_cpu_find_in(isa->table, FA_OP_conv2d, &args));
            for (int threads = 1; threads <= 3 && pools; threads++) {
                fa_set_num_threads(threads);
                run_checked(find(isa, FA_OP_conv2d, &args), &args, pooled, pooled);
                for (int64_t e = 0; e < pooled; e++) {
                    const int64_t o = e % k.o, column = e / k.o % pw, row = e / k.o / pw % ph,
                                  image = e / k.o / pw / ph;
                    float best = 0;
                    int place = 0;
                    for (int q = 0; q < 4; q++) {
                        const float value = y[((image * k.oh + 2 * row + q / 2) * k.ow + 2 * column + q % 2) * k.o + o];
                        if (q == 0 || beats(value, best)) {
                            best = value;
                            place = q;
                        }
                    }
                    if (best <= 0) {
                        best = 0;
                        place = 255;
                    }
                    assert_int_equal(winner[e], place);
                    if (isnan(best))
                        assert_true(isnan(p[e]));
                    else
                        assert_true(p[e] == best);
                }
            }
            free(x), free(w), free(b), free(y), free(p), free(winner);
        }
    }
}

static void test_conv2d_gradients(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    {
        random_state = seed + 4;
        for (int i = 0; i < cases; i++) {
            conv_case k = random_case();
            const int64_t group_c = k.c / k.ints.conv.groups;
            const int64_t x_floats = k.n * k.c * k.h * k.w, w_floats = k.o * group_c * k.kh * k.kw;
            const int64_t g_floats = k.n * k.oh * k.ow * k.o;
            const fa_meta x_meta = meta_of(4, FA_NHWC, k.n, k.c, k.h, k.w), b_meta = meta_of(1, FA_PLAIN, k.o, 0, 0, 0);
            const fa_meta w_meta = meta_of(4, FA_PLAIN, k.o, group_c, k.kh, k.kw);
            const fa_meta g_meta = meta_of(4, FA_NHWC, k.n, k.o, k.oh, k.ow);
            float *x = random_floats(x_floats), *w = random_floats(w_floats), *g = random_floats(g_floats);
            float *dx = random_floats(x_floats), *dw = random_floats(w_floats), *db = random_floats(k.o);
            const int64_t largest = x_floats > w_floats ? x_floats : w_floats;
            double *want = calloc((size_t)(largest + k.o) + 1, sizeof *want);
            double *size = calloc((size_t)(largest + k.o) + 1, sizeof *size);

            fa_kernel_args args = {
                .out = {dx}, .out_meta = {&x_meta}, .in = {g, w}, .in_meta = {&g_meta, &w_meta}, .ints = k.ints.all};
            memcpy(k.ints.conv.input_shape, x_meta.shape, sizeof k.ints.conv.input_shape);
            const fa_cpu_kernel *kernel = find(isa, FA_OP_conv2d_input_grad, &args);
            run_threads(kernel, &args, x_floats);
            naive_conv(&k, TO_X, want, size, g, w);
            check_close(kernel->name, dx, want, size, x_floats);

            memset(want, 0, (size_t)largest * sizeof *want);
            memset(size, 0, (size_t)largest * sizeof *size);
            args = (fa_kernel_args){
                .out = {dw}, .out_meta = {&w_meta}, .in = {g, x}, .in_meta = {&g_meta, &x_meta}, .ints = k.ints.all};
            memcpy(k.ints.conv.input_shape, w_meta.shape, sizeof k.ints.conv.input_shape);
            kernel = find(isa, FA_OP_conv2d_weight_grad, &args);
            run_threads(kernel, &args, w_floats);
            naive_conv(&k, TO_WEIGHT, want, size, g, x);
            check_close(kernel->name, dw, want, size, w_floats);

            memset(want, 0, (size_t)k.o * sizeof *want);
            memset(size, 0, (size_t)k.o * sizeof *size);
            args = (fa_kernel_args){
                .out = {db}, .out_meta = {&b_meta}, .in = {g}, .in_meta = {&g_meta}, .ints = k.ints.all};
            run_threads(find(isa, FA_OP_conv2d_bias_grad, &args), &args, k.o);
            for (int64_t e = 0; e < g_floats; e++) {
                want[e % k.o] += (double)g[e];
                size[e % k.o] += fabs((double)g[e]);
            }
            check_close("conv2d_bias_grad", db, want, size, k.o);
            free(x), free(w), free(g), free(dx), free(dw), free(db), free(want), free(size);
        }
    }
}

/* A weight that is not finite spoils the results that it reaches inside the picture, none through the padding. */
static void check_spoilt(const char *what, const float *got, const double *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const bool same = isnan(want[i])   ? isnan(got[i])
                          : isinf(want[i]) ? (double)got[i] == want[i]
                                           : fabs((double)got[i] - want[i]) <= 1e-3;
        if (!same)
            fail_msg("%s: element %lld is %g, needs %g (seed %llu)", what, (long long)i, (double)got[i], want[i],
                     (unsigned long long)seed);
    }
}

static void test_weights_not_finite(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    FOR_EACH_ISA(isa)
    {
        random_state = seed + 6;
        for (int i = 0; i < cases; i++) {
            conv_case k = random_case();
            const int64_t group_c = k.c / k.ints.conv.groups, y_floats = k.n * k.oh * k.ow * k.o;
            const int64_t x_floats = k.n * k.c * k.h * k.w, w_floats = k.o * group_c * k.kh * k.kw;
            const fa_meta x_meta = meta_of(4, FA_NHWC, k.n, k.c, k.h, k.w);
            const fa_meta w_meta = meta_of(4, FA_PLAIN, k.o, group_c, k.kh, k.kw);
            const fa_meta y_meta = meta_of(4, FA_NHWC, k.n, k.o, k.oh, k.ow);
            float *x = random_floats(x_floats), *w = random_floats(w_floats), *g = random_floats(y_floats);
            float *y = random_floats(y_floats), *dx = random_floats(x_floats);
            const int64_t largest = x_floats > y_floats ? x_floats : y_floats;
            double *want = calloc((size_t)largest + 1, sizeof *want), *size = calloc((size_t)largest + 1, sizeof *size);
            w[between(0, w_floats - 1)] = bad[i % 3];
            fa_kernel_args args = {
                .out = {y}, .out_meta = {&y_meta}, .in = {x, w}, .in_meta = {&x_meta, &w_meta}, .ints = k.ints.all};
            const fa_cpu_kernel *kernel = find(isa, FA_OP_conv2d, &args);
            run_checked(kernel, &args, y_floats, 0);
            naive_conv(&k, TO_Y, want, size, x, w);
            check_spoilt(kernel->name, y, want, y_floats);

            memset(want, 0, (size_t)largest * sizeof *want);
            args = (fa_kernel_args){
                .out = {dx}, .out_meta = {&x_meta}, .in = {g, w}, .in_meta = {&y_meta, &w_meta}, .ints = k.ints.all};
            memcpy(k.ints.conv.input_shape, x_meta.shape, sizeof k.ints.conv.input_shape);
            kernel = find(isa, FA_OP_conv2d_input_grad, &args);
            run_checked(kernel, &args, x_floats, 0);
            naive_conv(&k, TO_X, want, size, g, w);
            check_spoilt(kernel->name, dx, want, x_floats);
            free(x), free(w), free(g), free(y), free(dx), free(want), free(size);
        }
    }
}

/* Layers with more weights than a cache holds, and planes of many segments. */
static void test_large(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    {
        random_state = seed + 5;
        for (int i = 0; i < 2; i++) {
            conv_case k = {
                .n = 2, .c = i ? 3 : 600, .h = i ? 60 : 4, .w = i ? 37 : 5, .o = i ? 33 : 70, .kh = 3, .kw = 3};
            k.ints.conv = (fa_conv2d_ints){.stride = {1, 1},
                                           .padding_before = {1, 1},
                                           .padding_after = {1, 1},
                                           .dilation = {1, 1},
                                           .groups = 1,
                                           .kernel = {3, 3}};
            k.oh = k.h, k.ow = k.w;
            const int64_t x_floats = k.n * k.c * k.h * k.w, w_floats = k.o * k.c * 9, y_floats = k.n * k.o * k.h * k.w;
            const fa_meta x_meta = meta_of(4, FA_NHWC, k.n, k.c, k.h, k.w),
                          w_meta = meta_of(4, FA_PLAIN, k.o, k.c, 3, 3);
            const fa_meta y_meta = meta_of(4, FA_NHWC, k.n, k.o, k.h, k.w);
            float *x = random_floats(x_floats), *w = random_floats(w_floats), *y = random_floats(y_floats);
            float *dw = random_floats(w_floats), *p = random_floats(y_floats);
            uint8_t *winner = malloc((size_t)y_floats);
            const int64_t largest = y_floats > w_floats ? y_floats : w_floats;
            double *want = calloc((size_t)largest, sizeof *want), *size = calloc((size_t)largest, sizeof *size);
            fa_kernel_args args = {.out = {y},
                                   .out_meta = {&y_meta},
                                   .in = {x, w},
                                   .in_meta = {&x_meta, &w_meta},
                                   .ints = k.ints.all,
                                   .fuse = FA_FUSE_RELU};
            const fa_cpu_kernel *kernel = find(isa, FA_OP_conv2d, &args);
            run_threads(kernel, &args, y_floats);
            naive_conv(&k, TO_Y, want, size, x, w);
            for (int64_t e = 0; e < y_floats; e++)
                want[e] = want[e] < 0 ? 0 : want[e];
            check_close(kernel->name, y, want, size, y_floats);
            const fa_meta p_meta = meta_of(4, FA_NHWC, k.n, k.o, k.h / 2, k.w / 2);
            args.out[0] = p;
            args.out[1] = winner;
            args.out_meta[0] = args.out_meta[1] = &p_meta;
            args.fuse |= FA_FUSE_MAX_POOL;
            const int64_t pooled = k.n * k.o * (k.h / 2) * (k.w / 2);
            run_checked(find(isa, FA_OP_conv2d, &args), &args, pooled, pooled);
            for (int64_t e = 0; e < pooled; e++) {
                const int64_t row = e / k.o / (k.w / 2), place = winner[e] == 255 ? 0 : winner[e];
                const int64_t image = row / (k.h / 2), i2 = 2 * (row % (k.h / 2)) + place / 2;
                const int64_t j2 = 2 * (e / k.o % (k.w / 2)) + place % 2;
                assert_true(p[e] == y[((image * k.h + i2) * k.w + j2) * k.o + e % k.o]);
            }
            memset(want, 0, (size_t)largest * sizeof *want);
            memset(size, 0, (size_t)largest * sizeof *size);
            args = (fa_kernel_args){
                .out = {dw}, .out_meta = {&w_meta}, .in = {y, x}, .in_meta = {&y_meta, &x_meta}, .ints = k.ints.all};
            kernel = find(isa, FA_OP_conv2d_weight_grad, &args);
            run_threads(kernel, &args, w_floats);
            naive_conv(&k, TO_WEIGHT, want, size, y, x);
            check_close(kernel->name, dw, want, size, w_floats);
            free(x), free(w), free(y), free(dw), free(p), free(winner), free(want), free(size);
        }
    }
}

/* A padding far larger than the image would need a copy of that size: such a call is left to the reference kernel, and
 * so are other dtypes. */
static void test_refused(void **state)
{
    (void)state;
    int64_t ints[FA_MAX_INTS] = {0};
    fa_conv2d_ints conv = {.stride = {1000000000, 1000000000},
                           .padding_before = {1000000000, 1000000000},
                           .padding_after = {1000000000, 1000000000},
                           .dilation = {1, 1},
                           .groups = 1,
                           .kernel = {1, 1}};
    memcpy(ints, &conv, sizeof conv);
    fa_meta x = meta_of(4, FA_NHWC, 1, 1, 2, 2), w = meta_of(4, FA_PLAIN, 1, 1, 1, 1),
            y = meta_of(4, FA_NHWC, 1, 1, 3, 3);
    fa_kernel_args args = {.out_meta = {&y}, .in_meta = {&x, &w}, .ints = ints};
    FOR_EACH_ISA(isa)
    {
        assert_null(fa_cpu_find_in(isa->table, FA_OP_conv2d, &args));
        fa_conv2d_ints small = conv;
        for (int d = 0; d < 2; d++) {
            small.stride[d] = 1;
            small.padding_before[d] = 1;
            small.padding_after[d] = 0;
        }
        int64_t small_ints[FA_MAX_INTS] = {0};
        memcpy(small_ints, &small, sizeof small);
        fa_kernel_args fine = {.out_meta = {&y}, .in_meta = {&x, &w}, .ints = small_ints};
        assert_non_null(fa_cpu_find_in(isa->table, FA_OP_conv2d, &fine));
        fine.fuse = FA_FUSE_MAX_POOL;
        assert_null(fa_cpu_find_in(isa->table, FA_OP_conv2d, &fine));
        fine.fuse = 0;
        x.dtype = FA_DT_FLOAT64;
        assert_null(fa_cpu_find_in(isa->table, FA_OP_conv2d, &fine));
        x.dtype = FA_DT_FLOAT32;
    }
}

static void test_isa(void **state)
{
    (void)state;
    bool listed = false;
    FOR_EACH_ISA(isa)
    listed = listed || strcmp(isa->name, fa_cpu_isa()) == 0;
    assert_true(listed);
}

int main(void)
{
    if (getenv("FACULA_TEST_SEED"))
        seed = strtoull(getenv("FACULA_TEST_SEED"), NULL, 10);
    if (getenv("FACULA_TEST_CASES"))
        cases = atoi(getenv("FACULA_TEST_CASES"));
    printf("seed %llu, %d cases\n", (unsigned long long)seed, cases);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_isa),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_conv2d),
        cmocka_unit_test(test_conv2d_pool),
        cmocka_unit_test(test_conv2d_gradients),
        cmocka_unit_test(test_weights_not_finite),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
