/* Gradients of a convolution whose result went through a 2x2 max-pool: the kernels that use the winners alone, from the
 * dense gradient and from the pooled one with its places, against the reference kernel on the dense gradient
 * (support/kernel_call.h); both forms in the same bits; elements that are not finite as in the reference.
 * FACULA_TEST_SEED=n repeats a run, FACULA_TEST_CASES=n sets its length. */
#include "support/kernel_call.h"

#include "base/pool.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int cases = 60;

/* A convolution, stride 1, and the gradient that reaches its result through the pool. */
typedef struct pooled_case {
    union {
        fa_conv2d_ints conv;
        int64_t all[FA_MAX_INTS];
    } ints;
    fa_meta x, weight, dense, pooled, places;
    float *dense_g, *pooled_g;
    uint8_t *places_nhwc;
} pooled_case;

static int64_t between(int64_t low, int64_t high)
{
    return test_random_int(&kernel_seed, low, high);
}

static pooled_case random_case(bool usual, int64_t least_channels)
{
    pooled_case k = {0};
    fa_conv2d_ints *ints = &k.ints.conv;
    const int64_t n = between(0, 5) ? between(1, 4) : between(30, 34),
                  c = between(least_channels, between(0, 2) ? 40 : 130);
    const int64_t o = between(0, 2) ? between(1, 40) : between(1, 90), size[2] = {between(1, 15), between(1, 15)};
    int64_t out[2];
    ints->groups = 1;
    ints->pooled = 1;
    for (int d = 0; d < 2; d++) {
        ints->stride[d] = ints->dilation[d] = 1;
        do {
            ints->kernel[d] = usual ? 3 : between(1, 5);
            ints->padding_before[d] = usual && between(0, 3) ? 1 : between(0, 3);
            ints->padding_after[d] = between(0, 3) ? ints->padding_before[d] : between(0, 3);
            out[d] = size[d] + ints->padding_before[d] + ints->padding_after[d] - ints->kernel[d] + 1;
        } while (out[d] < 2);
    }
    k.x = F32(n, c, size[0], size[1]);
    k.weight = F32(o, c, ints->kernel[0], ints->kernel[1]);
    k.dense = F32(n, o, out[0], out[1]);
    k.pooled = F32(n, o, out[0] / 2, out[1] / 2);
    k.places = k.pooled;
    k.places.dtype = FA_DT_UINT8;
    k.dense_g = calloc((size_t)fa_meta_numel(&k.dense), sizeof(float));
    k.pooled_g = malloc(kernel_bytes(&k.pooled));
    k.places_nhwc = malloc(kernel_bytes(&k.places));
    uint8_t *places = malloc(kernel_bytes(&k.places));
    assert_true(k.dense_g && k.pooled_g && k.places_nhwc && places);
    const int64_t active = between(0, 100), rows = k.pooled.shape[2], columns = k.pooled.shape[3];
    for (int64_t at = 0; at < fa_meta_numel(&k.pooled); at++) {
        const int64_t plane = at / columns / rows, row = at / columns % rows, column = at % columns;
        k.pooled_g[at] = between(0, 20) ? kernel_draw(NORMAL) : 0;
        places[at] = between(0, 99) < active ? (uint8_t)between(0, 3) : 255;
        if (places[at] != 255)
            k.dense_g[(plane * out[0] + 2 * row + places[at] / 2) * out[1] + 2 * column + places[at] % 2] =
                k.pooled_g[at];
    }
    kernel_turn(k.places_nhwc, places, &k.places, true);
    free(places);
    return k;
}

static void end_case(pooled_case *k)
{
    free(k->dense_g);
    free(k->pooled_g);
    free(k->places_nhwc);
}

static void put(kernel_call *c, fa_meta meta, const void *data)
{
    c->in_meta[c->inputs] = meta;
    c->in[c->inputs++] = data ? kernel_copy(data, kernel_bytes(&meta)) : NULL;
}

/* The call with the dense gradient, or with the pooled one. */
static kernel_call call_of(const pooled_case *k, fa_op op, const fa_meta *other, const float *values,
                           const fa_meta *result, bool compact)
{
    kernel_call c = {.op = op, .out_meta = *result, .tolerance = 2e-5, .fuse = compact ? FA_FUSE_UNPOOL : 0};
    memcpy(c.ints, k->ints.all, sizeof c.ints);
    for (int d = 0; d < 4; d++)
        ((fa_conv2d_ints *)(void *)c.ints)->input_shape[d] = result->shape[d];
    put(&c, compact ? k->pooled : k->dense, compact ? k->pooled_g : k->dense_g);
    put(&c, other ? *other : k->x, values);
    if (compact)
        put(&c, k->places, k->places_nhwc);
    return c;
}

static void end_call(kernel_call *c)
{
    for (int i = 0; i < c->inputs; i++)
        free(c->in[i]);
}

/* Whether some ISA serves the call with a kernel whose name has `word`. */
static bool served_by(const kernel_call *c, const char *word)
{
    fa_kernel_args args = {.ints = c->ints, .floats = c->floats, .fuse = c->fuse, .out_meta = {&c->out_meta}};
    for (int i = 0; i < c->inputs; i++)
        args.in_meta[i] = c->in[i] ? &c->in_meta[i] : NULL;
    const fa_cpu_kernel *kernel = fa_cpu_find(c->op, &args);
    return kernel && strstr(kernel->name, word);
}

/* Both forms against the reference, and against each other on each ISA. */
static bool check_op(const pooled_case *k, fa_op op, const fa_meta *other, const float *values, const fa_meta *result)
{
    kernel_call dense = call_of(k, op, other, values, result, false);
    kernel_call compact = call_of(k, op, other, values, result, true);
    const bool special = served_by(&compact, "");
    const kernel_result want = kernel_run(&dense, NULL, false);
    for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name && special; isa++) {
        fa_kernel_args args = {.ints = compact.ints, .floats = compact.floats, .fuse = compact.fuse};
        args.out_meta[0] = &compact.out_meta;
        for (int i = 0; i < compact.inputs; i++)
            args.in_meta[i] = compact.in[i] ? &compact.in_meta[i] : NULL;
        const fa_cpu_kernel *kernel = isa->available() ? fa_cpu_find_in(isa->table, op, &args) : NULL;
        if (!kernel)
            continue;
        const kernel_result a = kernel_run(&dense, kernel, false), b = kernel_run(&compact, kernel, false);
        assert_same_bytes(a.data, b.data, a.bytes);
        free(a.data);
        free(b.data);
    }
    if (special)
        kernel_check_against(&compact, &want);
    else
        end_call(&compact);
    kernel_check_against(&dense, &want);
    free(want.data);
    return special;
}

static float *draw(const fa_meta *meta, int bad)
{
    float *values = malloc(kernel_bytes(meta) + 1);
    assert_non_null(values);
    for (int64_t i = 0; i < fa_meta_numel(meta); i++)
        values[i] = kernel_draw(NORMAL);
    for (; bad > 0; bad--)
        values[between(0, fa_meta_numel(meta) - 1)] = bad % 3 == 0 ? NAN : bad % 3 == 1 ? INFINITY : -INFINITY;
    return values;
}

static void run_cases(fa_op op, bool usual, int bad, int least)
{
    /* With fewer channels of the input a dense kernel takes over, which multiplies a weight by padding. */
    const int64_t least_channels = op == FA_OP_conv2d_input_grad && bad > 0 ? 9 : 1;
    int special = 0;
    for (int i = 0; i < cases; i++) {
        pooled_case k = random_case(usual, least_channels);
        const fa_meta *other = op == FA_OP_conv2d_weight_grad ? &k.x : op == FA_OP_conv2d_input_grad ? &k.weight : NULL;
        const int64_t o = k.dense.shape[1];
        const fa_meta bias = F32(o);
        const fa_meta *result = op == FA_OP_conv2d_weight_grad  ? &k.weight
                                : op == FA_OP_conv2d_input_grad ? &k.x
                                                                : &bias;
        float *values = other ? draw(other, bad) : NULL;
        special += check_op(&k, op, other, values, result);
        free(values);
        end_case(&k);
    }
    assert_in_range(special, (unsigned)(least * cases / 100), (unsigned)cases);
}

static void test_weight_grad(void **state)
{
    (void)state;
    run_cases(FA_OP_conv2d_weight_grad, true, 0, 100);
    run_cases(FA_OP_conv2d_weight_grad, false, 0, 100);
}

static void test_input_grad(void **state)
{
    (void)state;
    run_cases(FA_OP_conv2d_input_grad, true, 0, 50);
    run_cases(FA_OP_conv2d_input_grad, false, 0, 0);
}

static void test_bias_grad(void **state)
{
    (void)state;
    run_cases(FA_OP_conv2d_bias_grad, true, 0, 100);
}

static void test_not_finite(void **state)
{
    (void)state;
    run_cases(FA_OP_conv2d_weight_grad, true, 1, 100);
    run_cases(FA_OP_conv2d_weight_grad, false, 4, 100);
    run_cases(FA_OP_conv2d_input_grad, true, 2, 100);
}

int main(void)
{
    if (getenv("FACULA_TEST_SEED"))
        kernel_seed = strtoull(getenv("FACULA_TEST_SEED"), NULL, 10);
    if (getenv("FACULA_TEST_CASES"))
        cases = atoi(getenv("FACULA_TEST_CASES"));
    printf("seed %llu, %d cases\n", (unsigned long long)kernel_seed, cases);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weight_grad),
        cmocka_unit_test(test_input_grad),
        cmocka_unit_test(test_bias_grad),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
