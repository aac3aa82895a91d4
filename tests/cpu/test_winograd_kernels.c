/* Convolutions that go by Winograd, forward and both gradients, on every instruction set: the error against double
 * within a multiple of the direct kernel's, an image's bits alone and in a batch, elements that are not finite as the
 * direct kernel has them, the switch that turns them off. Random shapes are in test_dense_kernels.c. */
#include "support/kernel_call.h"

#include "base/pool.h"
#include "facula/base.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct layer {
    int64_t images, in, out, side;
} layer;

/* One of the three ops on a layer with padding 1. */
static kernel_call call_of(const layer *l, fa_op op)
{
    kernel_call c = {.op = op};
    const fa_meta x = F32(l->images, l->in, l->side, l->side), y = F32(l->images, l->out, l->side, l->side);
    const fa_meta w = F32(l->out, l->in, 3, 3);
    const fa_meta a = op == FA_OP_conv2d ? x : y, b = op == FA_OP_conv2d_weight_grad ? x : w;
    c.out_meta = op == FA_OP_conv2d ? y : op == FA_OP_conv2d_input_grad ? x : w;
    fa_conv2d_ints ints = {.groups = 1};
    for (int d = 0; d < 2; d++) {
        ints.stride[d] = ints.dilation[d] = ints.padding_before[d] = ints.padding_after[d] = 1;
        ints.kernel[d] = 3;
    }
    memcpy(ints.input_shape, c.out_meta.shape, sizeof ints.input_shape);
    memcpy(c.ints, &ints, sizeof ints);
    kernel_input(&c, a, NORMAL);
    kernel_input(&c, b, NORMAL);
    return c;
}

static void end_call(kernel_call *c)
{
    for (int i = 0; i < c->inputs; i++)
        free(c->in[i]);
}

static const fa_cpu_kernel *find(const fa_cpu_isa_entry *isa, const kernel_call *c, const char *precision)
{
    assert_true(fa_set_float32_precision(precision));
    fa_kernel_args args = {.ints = c->ints, .floats = c->floats, .out_meta = {&c->out_meta}};
    for (int i = 0; i < c->inputs; i++)
        args.in_meta[i] = &c->in_meta[i];
    const fa_cpu_kernel *kernel = fa_cpu_find_in(isa->table, c->op, &args);
    assert_true(fa_set_float32_precision("high"));
    assert_non_null(kernel);
    return kernel;
}

#define FOR_EACH_ISA(isa)                                                                                              \
    for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name; isa++)                                            \
        if (isa->available())

static const fa_op ops[] = {FA_OP_conv2d, FA_OP_conv2d_input_grad, FA_OP_conv2d_weight_grad};

typedef struct error {
    double largest, rms;
} error;

static error error_of(const kernel_result *got, const kernel_result *want)
{
    error e = {0};
    const int64_t n = (int64_t)(got->bytes / sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        const double off = fabs((double)((float *)(void *)got->data)[i] - (double)((float *)(void *)want->data)[i]);
        e.largest = fmax(e.largest, off);
        e.rms += off * off;
    }
    e.rms = sqrt(e.rms / (double)n);
    return e;
}

/* The pictures of layers are what relu leaves. */
static void cut(kernel_call *c, int input)
{
    float *x = c->in[input];
    for (int64_t i = 0; i < fa_meta_numel(&c->in_meta[input]); i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

/* The reference sums in double; its rounding to float32 is far below these errors. The direct kernels of the weights'
 * gradient sum short chains, several times more exact than PyTorch's channels-last path, hence the other factor.
 * F(2x2), which takes the results of layers below 64 channels, rounds like the direct sum. */
static void test_error(void **state)
{
    (void)state;
    static const layer layers[] = {{2, 64, 16, 12}, {2, 64, 64, 14}, {1, 128, 128, 8}, {8, 72, 40, 7},
                                   {4, 16, 32, 16}, {4, 32, 64, 14}, {8, 37, 50, 11}};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        for (int o = 0; o < 3; o++) {
            kernel_call c = call_of(&layers[i], ops[o]);
            cut(&c, ops[o] == FA_OP_conv2d_weight_grad ? 1 : 0);
            const fa_cpu_kernel *winograd = find(isa, &c, "high"), *direct = find(isa, &c, "highest");
            if (!strstr(winograd->name, "winograd") || strstr(direct->name, "winograd"))
                fail_msg("got %s and %s", winograd->name, direct->name);
            const kernel_result want = kernel_run(&c, NULL, false), a = kernel_run(&c, winograd, false);
            const kernel_result b = kernel_run(&c, direct, false);
            const error fast = error_of(&a, &want), plain = error_of(&b, &want);
            const bool small = ops[o] == FA_OP_conv2d && layers[i].in < 64;
            const double factor = small ? 1.5 : ops[o] == FA_OP_conv2d_weight_grad ? 10 : 6;
            if (fast.largest > factor * plain.largest || fast.rms > factor * plain.rms)
                fail_msg("%s: largest error %g, rms %g; the direct sum's %g, %g", winograd->name, fast.largest,
                         fast.rms, plain.largest, plain.rms);
            free(want.data);
            free(a.data);
            free(b.data);
            end_call(&c);
        }
}

/* NaN and infinities in either input: the same elements as in the direct kernel, whose padding is a product too. */
static void test_not_finite(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const layer layers[] = {{5, 66, 20, 9}, {5, 18, 20, 9}};
    FOR_EACH_ISA(isa)
    for (int o = 0; o < 3; o++)
        for (int input = 0; input < 2; input++)
            for (int b = 0; b < 6; b++) {
                kernel_call c = call_of(&layers[b / 3], ops[o]);
                const int64_t n = fa_meta_numel(&c.in_meta[input]);
                ((float *)c.in[input])[test_random_int(&kernel_seed, 0, n - 1)] = bad[b % 3];
                const kernel_result a = kernel_run(&c, find(isa, &c, "high"), false);
                const kernel_result want = kernel_run(&c, find(isa, &c, "highest"), false);
                int64_t kept = 0;
                for (size_t i = 0; i < want.bytes / sizeof(float); i++) {
                    const float x = ((float *)(void *)a.data)[i], y = ((float *)(void *)want.data)[i];
                    kept += isfinite(y);
                    if (isnan(x) != isnan(y) || (isinf(y) && x != y) || (isfinite(y) && fabsf(x - y) > 1e-3f))
                        fail_msg("%s: element %zu is %g, needs %g", fa_op_table[c.op]->name, i, (double)x, (double)y);
                }
                assert_true(kept > 0);
                free(a.data);
                free(want.data);
                end_call(&c);
            }
}

/* A picture that is not finite changes no other's bits. */
static void test_images(void **state)
{
    (void)state;
    static const layer layers[] = {{5, 66, 20, 9}, {5, 18, 20, 9}};
    FOR_EACH_ISA(isa)
    for (int o = 0; o < 4; o++) {
        const layer all = layers[o / 2];
        kernel_call c = call_of(&all, ops[o % 2]), one = c;
        const fa_cpu_kernel *kernel = find(isa, &c, "high");
        const int64_t image = fa_meta_numel(&c.in_meta[0]) / all.images,
                      result = fa_meta_numel(&c.out_meta) / all.images;
        const kernel_result clean = kernel_run(&c, kernel, false);
        ((float *)c.in[0])[3 * image + 7] = INFINITY;
        const kernel_result spoilt = kernel_run(&c, kernel, false);
        one.in_meta[0].shape[0] = one.out_meta.shape[0] = 1;
        for (int64_t i = 0; i < all.images; i++) {
            const size_t at = (size_t)(i * result) * sizeof(float), bytes = (size_t)result * sizeof(float);
            one.in[0] = (float *)c.in[0] + i * image;
            const kernel_result alone = kernel_run(&one, kernel, false);
            assert_same_bytes(alone.data, spoilt.data + at, bytes);
            if (i != 3)
                assert_same_bytes(clean.data + at, spoilt.data + at, bytes);
            free(alone.data);
        }
        free(clean.data);
        free(spoilt.data);
        end_call(&c);
    }
}

static void test_switch(void **state)
{
    (void)state;
    assert_false(fa_set_float32_precision("medium"));
    assert_int_equal(fa_error_code(), FA_VALUE_ERROR);
    fa_clear_error();
    assert_false(fa_set_float32_precision(NULL));
    fa_clear_error();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_switch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
