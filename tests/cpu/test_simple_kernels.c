/* Every kernel that is no convolution or matrix product, of every ISA that this machine has, against its op's reference
 * kernel: the same bits where each result is a few rounded steps, else within a tolerance; the same bits for 1, 2, 3
 * and 7 threads; nothing written beyond output and scratch. */
#include "support/facula_test.h"

#include "base/opdef.h"
#include "base/pool.h"
#include "cpu/isa.h"
#include "cpu/layout.h"

#include <math.h>
#include <string.h>

enum { GUARD = 64, EXACT = 0 };

static uint64_t seed = 1;

/* ---- A call --------------------------------------------------------------------------------------------------------
 */

typedef struct call {
    fa_op op;
    fa_meta in_meta[FA_MAX_INPUTS], out_meta;
    void *in[FA_MAX_INPUTS]; /* row-major; NULL: absent */
    int inputs;
    int64_t ints[FA_MAX_INTS];
    double floats[FA_MAX_FLOATS];
    double tolerance; /* |got - want| <= tolerance * (1 + |want|); EXACT: bits */
    int fuse;
} call;

static fa_meta meta_of(int dtype, int ndim, const int64_t *shape)
{
    fa_meta meta = {.dtype = (uint8_t)dtype, .ndim = (uint8_t)ndim};
    for (int d = 0; d < ndim; d++)
        meta.shape[d] = shape[d];
    return meta;
}
#define META(dtype, ...)                                                                                               \
    meta_of(dtype, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#define F32(...) META(FA_DT_FLOAT32, __VA_ARGS__)
#define SCALAR meta_of(FA_DT_FLOAT32, 0, NULL)

static size_t bytes_of(const fa_meta *meta)
{
    return (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype));
}

static void *copy_of(const void *data, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    assert_non_null(copy);
    if (bytes > 0)
        memcpy(copy, data, bytes);
    return copy;
}

typedef enum values { NORMAL, POSITIVE, TIES, SPECIAL } values;

static float draw(values kind)
{
    static const float special[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f};
    if (kind == SPECIAL && test_random_int(&seed, 0, 8) == 0)
        return special[test_random_int(&seed, 0, 4)];
    if (kind == TIES)
        return (float)test_random_int(&seed, -2, 2);
    return (float)test_random_real(&seed, kind == POSITIVE ? 0.1 : -2, 2);
}

static void *add_input(call *c, fa_meta meta, values kind)
{
    const int64_t n = fa_meta_numel(&meta);
    void *data = malloc(bytes_of(&meta) + 1);
    assert_non_null(data);
    for (int64_t i = 0; i < n; i++) {
        if (meta.dtype == FA_DT_FLOAT32)
            ((float *)data)[i] = draw(kind);
        else if (meta.dtype == FA_DT_INT64)
            ((int64_t *)data)[i] = test_random_int(&seed, 0, 3);
        else
            ((uint8_t *)data)[i] = (uint8_t)test_random_int(&seed, 0, 1);
    }
    c->in_meta[c->inputs] = meta;
    c->in[c->inputs++] = data;
    return data;
}

static void free_inputs(call *c)
{
    for (int i = 0; i < c->inputs; i++)
        free(c->in[i]);
}

/* ---- Layouts, in the test's own words ------------------------------------------------------------------------------
 */

static void turn(void *to, const void *from, const fa_meta *meta, bool to_nhwc)
{
    const int64_t C = meta->shape[1], pixels = meta->shape[2] * meta->shape[3], size = fa_dtype_size(meta->dtype);
    for (int64_t n = 0; n < meta->shape[0]; n++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t p = 0; p < pixels; p++) {
                const int64_t plain = (n * C + c) * pixels + p, last = (n * pixels + p) * C + c;
                memcpy((char *)to + (to_nhwc ? last : plain) * size,
                       (const char *)from + (to_nhwc ? plain : last) * size, (size_t)size);
            }
}

static bool is_nhwc(const call *c, int i)
{
    const fa_op_def *def = fa_op_table[c->op];
    return def->layout == FA_LAYOUT_IMAGE && (def->image_inputs >> i & 1) != 0;
}

static bool out_is_nhwc(const call *c)
{
    return fa_op_table[c->op]->layout == FA_LAYOUT_IMAGE && c->out_meta.ndim == 4;
}

/* ---- Running -------------------------------------------------------------------------------------------------------
 */

/* What a run leaves: the output, or for an effect all inputs one after the other; row-major. */
typedef struct result {
    char *data;
    size_t bytes;
} result;

static bool is_effect(const call *c)
{
    return fa_op_table[c->op]->writes != 0;
}

static result collect(const call *c, void *const *in, void *out, bool nhwc)
{
    result r = {0};
    if (!is_effect(c)) {
        r.bytes = bytes_of(&c->out_meta);
        r.data = copy_of(out, r.bytes);
        if (nhwc)
            turn(r.data, out, &c->out_meta, false);
        return r;
    }
    for (int i = 0; i < c->inputs; i++)
        r.bytes += c->in[i] ? bytes_of(&c->in_meta[i]) : 0;
    r.data = malloc(r.bytes + 1);
    assert_non_null(r.data);
    size_t at = 0;
    for (int i = 0; i < c->inputs; i++)
        if (c->in[i]) {
            memcpy(r.data + at, in[i], bytes_of(&c->in_meta[i]));
            at += bytes_of(&c->in_meta[i]);
        }
    return r;
}

static char *guarded(size_t bytes)
{
    char *data = aligned_alloc(64, (bytes + GUARD + 63) / 64 * 64);
    assert_non_null(data);
    memset(data, 0xa5, (bytes + GUARD + 63) / 64 * 64);
    return data;
}

static void check_guard(const char *data, size_t bytes)
{
    for (size_t i = bytes; i < bytes + GUARD; i++)
        assert_int_equal((uint8_t)data[i], 0xa5);
}

/* The op's reference kernel (kernel NULL), or a kernel; `in_place`: out[0] is in[0]. */
static result run(const call *c, const fa_cpu_kernel *kernel, bool in_place)
{
    fa_kernel_args args = {.ints = c->ints, .floats = c->floats, .fuse = c->fuse};
    fa_meta metas[FA_MAX_INPUTS], out_meta = c->out_meta;
    const bool nhwc = kernel && out_is_nhwc(c);
    for (int i = 0; i < c->inputs; i++) {
        if (!c->in[i])
            continue;
        metas[i] = c->in_meta[i];
        args.in_meta[i] = &metas[i];
        args.in[i] = copy_of(c->in[i], bytes_of(&metas[i]));
        if (kernel && is_nhwc(c, i)) {
            metas[i].layout = FA_NHWC;
            turn(args.in[i], c->in[i], &metas[i], true);
        }
    }
    const size_t bytes = is_effect(c) ? 0 : bytes_of(&out_meta);
    char *out = guarded(bytes), *scratch = NULL;
    if (!is_effect(c)) {
        out_meta.layout = nhwc ? FA_NHWC : FA_PLAIN;
        args.out_meta[0] = &out_meta;
        args.out[0] = in_place ? args.in[0] : out;
    }
    const size_t scratch_bytes = kernel && kernel->scratch ? kernel->scratch(&args) : 0;
    args.scratch = scratch = guarded(scratch_bytes);
    const uint64_t saved = fa_ftz_on();
    (kernel ? kernel->run : fa_op_table[c->op]->reference)(&args);
    fa_ftz_restore(saved);
    const result r = collect(c, args.in, args.out[0], nhwc);
    check_guard(out, bytes);
    check_guard(scratch, scratch_bytes);
    for (int i = 0; i < c->inputs; i++)
        free(args.in[i]);
    free(out);
    free(scratch);
    return r;
}

static bool floats_agree(float got, float want, double tolerance)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (tolerance == EXACT || isinf(want))
        return memcmp(&got, &want, sizeof got) == 0;
    return fabs((double)got - (double)want) <= tolerance * (1 + fabs((double)want));
}

static void check_result(const call *c, const fa_cpu_kernel *kernel, const result *got, const result *want)
{
    assert_int_equal(got->bytes, want->bytes);
    const int dtype = is_effect(c) ? c->in_meta[0].dtype : c->out_meta.dtype;
    if (dtype != FA_DT_FLOAT32) {
        assert_same_bytes(got->data, want->data, want->bytes);
        return;
    }
    for (size_t i = 0; i < want->bytes / sizeof(float); i++) {
        float a, b;
        memcpy(&a, got->data + i * sizeof a, sizeof a);
        memcpy(&b, want->data + i * sizeof b, sizeof b);
        if (!floats_agree(a, b, c->tolerance))
            fail_msg("%s: element %zu is %.9g, the reference has %.9g (first input [%lld,%lld,%lld,%lld])",
                     kernel->name, i, (double)a, (double)b, (long long)c->in_meta[0].shape[0],
                     (long long)c->in_meta[0].shape[1], (long long)c->in_meta[0].shape[2],
                     (long long)c->in_meta[0].shape[3]);
    }
}

static const fa_cpu_kernel *find(const fa_cpu_isa_entry *isa, const call *c)
{
    fa_kernel_args args = {.ints = c->ints, .floats = c->floats, .fuse = c->fuse};
    for (int i = 0; i < c->inputs; i++)
        if (c->in[i])
            args.in_meta[i] = &c->in_meta[i];
    if (!is_effect(c))
        args.out_meta[0] = &c->out_meta;
    return fa_cpu_find_in(isa->table, c->op, &args);
}

/* Against `want`, or the reference kernel. Frees the inputs. */
static void check_against(call *c, const result *want)
{
    for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name; isa++) {
        if (!isa->available())
            continue;
        const fa_cpu_kernel *kernel = find(isa, c);
        if (!kernel)
            fail_msg("%s has no kernel for %s", isa->name, fa_op_table[c->op]->name);
        static const int threads[] = {1, 3, 2, 7};
        result first = {0};
        for (int t = 0; t < (FA_SANITIZED ? 2 : 4); t++) { /* threads start and end slowly there */
            fa_set_num_threads(threads[t]);
            result r = run(c, kernel, false);
            if (t == 0) {
                check_result(c, kernel, &r, want);
                first = r;
                continue;
            }
            assert_same_bytes(r.data, first.data, first.bytes);
            free(r.data);
        }
        if (kernel->elementwise_in_place && bytes_of(&c->in_meta[0]) == first.bytes) {
            result r = run(c, kernel, true);
            assert_same_bytes(r.data, first.data, first.bytes);
            free(r.data);
        }
        free(first.data);
    }
    free_inputs(c);
}

static void check(call *c)
{
    result want = run(c, NULL, false);
    check_against(c, &want);
    free(want.data);
}

/* ---- Elementwise ---------------------------------------------------------------------------------------------------
 */

static const fa_op binary_ops[] = {FA_OP_add, FA_OP_sub, FA_OP_mul, FA_OP_div, FA_OP_relu_grad};
static const int64_t lengths[] = {0, 1, 3, 15, 16, 17, 33, 1000, 70001};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

static void check_binary(fa_op op, fa_meta a, fa_meta b, fa_meta out)
{
    call c = {.op = op, .out_meta = out};
    add_input(&c, a, SPECIAL);
    add_input(&c, b, SPECIAL);
    check(&c);
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
            call c = {.op = ops[k], .out_meta = F32(lengths[l]), .floats = {0.3}};
            add_input(&c, F32(lengths[l]), SPECIAL);
            check(&c);
        }
}

static void test_dropout(void **state)
{
    (void)state;
    for (int l = 0; l < LENGTHS; l++) {
        call c = {.op = FA_OP_dropout, .out_meta = F32(lengths[l]), .floats = {1 / 0.7}};
        add_input(&c, F32(lengths[l]), SPECIAL);
        add_input(&c, META(FA_DT_UINT8, lengths[l]), NORMAL);
        check(&c);
    }
}

static void test_eq_and_effects(void **state)
{
    (void)state;
    for (int l = 0; l < LENGTHS; l++) {
        call eq = {.op = FA_OP_eq, .out_meta = META(FA_DT_BOOL, lengths[l])};
        add_input(&eq, META(FA_DT_INT64, lengths[l]), NORMAL);
        add_input(&eq, META(FA_DT_INT64, lengths[l]), NORMAL);
        check(&eq);
        for (int k = 0; k < 2; k++) {
            call effect = {.op = k ? FA_OP_assign : FA_OP_accumulate};
            add_input(&effect, F32(lengths[l]), SPECIAL);
            add_input(&effect, F32(lengths[l]), SPECIAL);
            check(&effect);
        }
    }
}

/* ---- Optimizers ----------------------------------------------------------------------------------------------------
 */

static void test_sgd(void **state)
{
    (void)state;
    for (int bits = 0; bits < 64; bits++) {
        const int64_t n = test_random_int(&seed, 1, 70);
        const fa_sgd_floats f = {0.1, bits & 8 ? 0.9 : 0, bits & 32 ? 0.25 : 0, bits & 16 ? 0.01 : 0};
        call c = {.op = FA_OP_sgd, .ints = {bits & 1, bits >> 1 & 1, bits >> 2 & 1}};
        memcpy(c.floats, &f, sizeof f);
        add_input(&c, F32(n), NORMAL);
        add_input(&c, F32(n), bits & 4 ? SPECIAL : NORMAL);
        if (f.momentum != 0)
            add_input(&c, F32(n), NORMAL);
        check(&c);
    }
}

static void test_adam(void **state)
{
    (void)state;
    for (int bits = 0; bits < 64; bits++) {
        const int64_t n = test_random_int(&seed, 1, 70);
        const fa_adam_floats f = {1e-3, bits & 16 ? 0.3 : 0.9, 0.999, 1e-8, bits & 8 ? 0.01 : 0, 0.271, 0.003};
        call c = {.op = FA_OP_adam, .ints = {bits & 1, bits >> 1 & 1, bits >> 2 & 1}};
        memcpy(c.floats, &f, sizeof f);
        add_input(&c, F32(n), NORMAL);
        add_input(&c, F32(n), bits & 32 ? SPECIAL : NORMAL);
        add_input(&c, F32(n), NORMAL);
        add_input(&c, F32(n), POSITIVE);
        if (bits & 1)
            add_input(&c, F32(n), POSITIVE);
        check(&c);
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

static void check_pool(const pool_case *p, fa_op op, values kind)
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
    const fa_meta image = meta_of(FA_DT_FLOAT32, 4, p->image);
    const fa_meta pooled = F32(p->image[0], p->image[1], pooled_size(p, 0), pooled_size(p, 1));
    call c = {.op = op, .out_meta = grad ? image : pooled};
    memcpy(c.ints, &ints, sizeof ints);
    if (grad)
        add_input(&c, pooled, kind);
    if (op != FA_OP_avg_pool2d_grad)
        add_input(&c, image, kind);
    check(&c);
}

static void test_pools(void **state)
{
    (void)state;
    static const fa_op ops[] = {FA_OP_max_pool2d, FA_OP_max_pool2d_grad, FA_OP_avg_pool2d, FA_OP_avg_pool2d_grad};
    static const values kinds[] = {NORMAL, TIES, SPECIAL};
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
            g[i] = draw(SPECIAL) + 0.0f;
            const int64_t p = test_random_int(&seed, 0, 4), c = i % C, x = i / C % PW, row = i / C / PW;
            position[i] = p < 4 ? (uint8_t)p : 255;
            if (p < 4)
                want[(((row / PH * H) + row % PH * 2 + p / 2) * W + 2 * x + p % 2) * C + c] = g[i];
        }
        pooled.layout = full.layout = positions.layout = FA_NHWC;
        const int64_t ints[FA_MAX_INTS] = {0};
        for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name; isa++) {
            if (!isa->available())
                continue;
            float *dx = (void *)guarded((size_t)m * sizeof *dx);
            fa_kernel_args args = {
                .in = {g, position}, .in_meta = {&pooled, &positions}, .out = {dx}, .out_meta = {&full}, .ints = ints};
            const fa_cpu_kernel *kernel = fa_cpu_find_in(isa->table, FA_OP_max_pool2d_grad, &args);
            assert_non_null(kernel);
            kernel->run(&args);
            assert_all_close_f32(dx, want, m, 0, 0);
            memset(dx, 0xff, (size_t)m * sizeof *dx);
            fa_layout_unpool2x2(&args);
            assert_all_close_f32(dx, want, m, 0, 0);
            check_guard((char *)dx, (size_t)m * sizeof *dx);
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
    const size_t bytes = bytes_of(meta);
    fa_meta last = *meta;
    last.layout = FA_NHWC;
    char *to = guarded(bytes), *back = guarded(bytes);
    fa_kernel_args args = {.in = {copy_of(plain, bytes)}, .in_meta = {meta}, .out = {to}, .out_meta = {&last}};
    (kernel ? kernel->run : fa_layout_to_nhwc)(&args);
    assert_same_bytes(to, nhwc, bytes);
    free(args.in[0]);
    args = (fa_kernel_args){.in = {to}, .in_meta = {&last}, .out = {back}, .out_meta = {meta}};
    (kernel ? kernel->run : fa_layout_to_plain)(&args);
    assert_same_bytes(back, plain, bytes);
    check_guard(to, bytes);
    check_guard(back, bytes);
    free(to);
    free(back);
}

static void test_layouts(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = {{2, 3, 5, 7}, {1, 16, 4, 4}, {3, 33, 6, 3}, {0, 4, 2, 2}, {40, 64, 17, 19}};
    static const int dtypes[] = {FA_DT_FLOAT32, FA_DT_UINT8, FA_DT_INT64};
    for (int k = 0; k < 15; k++) {
        const fa_meta meta = meta_of(dtypes[k % 3], 4, shapes[k / 3]);
        const size_t bytes = bytes_of(&meta);
        uint8_t *plain = malloc(bytes + 1), *nhwc = malloc(bytes + 1);
        assert_true(plain && nhwc);
        for (size_t i = 0; i < bytes; i++)
            plain[i] = (uint8_t)test_random(&seed);
        turn(nhwc, plain, &meta, true);
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
static void add_image(call *c, const int64_t *shape, values kind)
{
    const fa_meta meta = meta_of(FA_DT_FLOAT32, 4, shape);
    float *x = add_input(c, meta, kind);
    for (int64_t i = 0; i < fa_meta_numel(&meta); i++)
        x[i] += (float)(i / (shape[2] * shape[3]) % shape[1]);
}

static void test_batch_norm_stats(void **state)
{
    (void)state;
    for (int k = 0; k < NORM_IMAGES; k++)
        for (int special = 0; special < 2; special++) {
            call c = {.op = FA_OP_batch_norm_stats, .out_meta = F32(2, norm_images[k][1]), .tolerance = 3e-7};
            add_image(&c, norm_images[k], special ? SPECIAL : NORMAL);
            check(&c);
        }
}

/* mean and v of the second row: v is M times a variance around 1. */
static void add_stats(call *c, const int64_t *shape)
{
    float *stats = add_input(c, F32(2, shape[1]), POSITIVE);
    for (int64_t o = 0; o < shape[1]; o++)
        stats[shape[1] + o] *= (float)(shape[0] * shape[2] * shape[3]);
}

static void add_optional(call *c, fa_meta meta, bool present)
{
    if (present)
        add_input(c, meta, NORMAL);
    else
        c->inputs++;
}

static void test_batch_norm_forward(void **state)
{
    (void)state;
    for (int k = 0; k < NORM_IMAGES; k++)
        for (int bits = 0; bits < 8; bits++) {
            const fa_meta image = meta_of(FA_DT_FLOAT32, 4, norm_images[k]), row = F32(norm_images[k][1]);
            call apply = {.op = FA_OP_batch_norm_apply, .out_meta = image, .floats = {1e-5}};
            add_image(&apply, norm_images[k], bits & 4 ? SPECIAL : NORMAL);
            add_stats(&apply, norm_images[k]);
            add_optional(&apply, row, bits & 1);
            add_optional(&apply, row, bits & 2);
            check(&apply);
            call eval = {.op = FA_OP_batch_norm_eval, .out_meta = image, .floats = {1e-5}};
            add_image(&eval, norm_images[k], bits & 4 ? SPECIAL : NORMAL);
            add_input(&eval, row, NORMAL);
            add_input(&eval, row, POSITIVE);
            add_optional(&eval, row, bits & 1);
            add_optional(&eval, row, bits & 2);
            check(&eval);
        }
}

/* Fused with relu: relu of the reference's result. */
static void test_batch_norm_relu(void **state)
{
    (void)state;
    for (int k = 0; k < NORM_IMAGES; k++) {
        const fa_meta image = meta_of(FA_DT_FLOAT32, 4, norm_images[k]);
        call c = {.op = FA_OP_batch_norm_apply, .out_meta = image, .floats = {1e-5}};
        add_image(&c, norm_images[k], SPECIAL);
        add_stats(&c, norm_images[k]);
        add_input(&c, F32(image.shape[1]), NORMAL);
        add_input(&c, F32(image.shape[1]), NORMAL);
        result want = run(&c, NULL, false);
        for (size_t i = 0; i < want.bytes / sizeof(float); i++) {
            float *y = (float *)(void *)want.data + i;
            *y = *y < 0 ? 0 : *y;
        }
        c.fuse = FA_FUSE_RELU;
        check_against(&c, &want);
        free(want.data);
    }
}

static void test_batch_norm_gradients(void **state)
{
    (void)state;
    for (int k = 0; k < NORM_IMAGES; k++)
        for (int weighted = 0; weighted < 2; weighted++) {
            const int64_t *shape = norm_images[k];
            const fa_meta image = meta_of(FA_DT_FLOAT32, 4, shape), row = F32(shape[1]), pair = F32(2, shape[1]);
            const values kind = weighted ? NORMAL : SPECIAL;
            call stats = {.op = FA_OP_batch_norm_grad_stats, .out_meta = pair, .floats = {1e-5}, .tolerance = 1e-6};
            add_input(&stats, image, kind);
            add_image(&stats, shape, kind);
            add_stats(&stats, shape);
            check(&stats);
            call dx = {.op = FA_OP_batch_norm_input_grad, .out_meta = image, .floats = {1e-5}, .tolerance = 2e-5};
            add_input(&dx, image, kind);
            add_image(&dx, shape, kind);
            add_stats(&dx, shape);
            add_input(&dx, pair, NORMAL);
            add_optional(&dx, row, weighted);
            check(&dx);
            call eval_stats = {
                .op = FA_OP_batch_norm_eval_grad_stats, .out_meta = pair, .floats = {1e-5}, .tolerance = 1e-6};
            add_input(&eval_stats, image, kind);
            add_image(&eval_stats, shape, kind);
            add_input(&eval_stats, row, NORMAL);
            add_input(&eval_stats, row, POSITIVE);
            check(&eval_stats);
            call eval_dx = {.op = FA_OP_batch_norm_eval_input_grad, .out_meta = image, .floats = {1e-5}};
            add_input(&eval_dx, image, SPECIAL);
            add_input(&eval_dx, row, POSITIVE);
            add_optional(&eval_dx, row, weighted);
            check(&eval_dx);
        }
}

/* ---- Rows ----------------------------------------------------------------------------------------------------------
 */

static void check_rows(fa_op op, fa_meta meta, int64_t dim, values kind, float scale)
{
    const bool grad = op == FA_OP_softmax_grad || op == FA_OP_log_softmax_grad;
    call c = {.op = op, .out_meta = meta, .ints = {dim}, .tolerance = grad ? 5e-6 : 1e-6};
    float *x = add_input(&c, meta, kind);
    for (int64_t k = 0; k < fa_meta_numel(&meta) && !grad; k++)
        x[k] *= scale;
    float *y = grad ? add_input(&c, meta, kind) : NULL;
    for (int64_t k = 0; k < fa_meta_numel(&meta) && grad; k++) /* as a logarithm of a probability is */
        y[k] = y[k] > 0 ? -y[k] : y[k];
    check(&c);
}

static void test_softmax(void **state)
{
    (void)state;
    static const fa_op ops[] = {FA_OP_softmax, FA_OP_log_softmax, FA_OP_softmax_grad, FA_OP_log_softmax_grad};
    for (int k = 0; k < 4; k++)
        for (int special = 0; special < 2; special++) {
            const values kind = special ? SPECIAL : NORMAL;
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
    const fa_meta target = N < 0 ? meta_of(FA_DT_INT64, 0, NULL) : META(FA_DT_INT64, N);
    const fa_meta losses = N < 0 || reduction != 0 ? SCALAR : F32(N);
    for (int grad = 0; grad < 2; grad++) {
        call c = {.op = grad ? FA_OP_nll_loss_grad : FA_OP_nll_loss,
                  .out_meta = grad ? scores : losses,
                  .floats = {smoothing}};
        memcpy(c.ints, &ints, sizeof ints);
        if (grad)
            add_input(&c, losses, NORMAL);
        add_input(&c, scores, SPECIAL);
        int64_t *label = add_input(&c, target, NORMAL);
        for (int64_t n = 0; n < fa_meta_numel(&target); n++) {
            label[n] = test_random_int(&seed, 0, C - 1);
            if (test_random_int(&seed, 0, 5) == 0)
                label[n] = ignore_index;
        }
        add_optional(&c, F32(C), weighted);
        check(&c);
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

static void check_sum(fa_meta in, int64_t mask, values kind)
{
    int64_t shape[FA_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < in.ndim; d++)
        if (!(mask >> d & 1))
            shape[ndim++] = in.shape[d];
    for (int mean = 0; mean < 2; mean++) {
        call c = {.op = mean ? FA_OP_mean : FA_OP_sum,
                  .out_meta = meta_of(FA_DT_FLOAT32, ndim, shape),
                  .ints = {mask},
                  .tolerance = 3e-7};
        add_input(&c, in, kind);
        check(&c);
    }
}

static void test_sum_and_mean(void **state)
{
    (void)state;
    for (int special = 0; special < 2; special++) {
        const values kind = special ? SPECIAL : NORMAL;
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
        call c = {.op = FA_OP_sum_to, .out_meta = out[k], .tolerance = 3e-7};
        add_input(&c, in, SPECIAL);
        check(&c);
    }
}

static void test_sum_of_integers(void **state)
{
    (void)state;
    for (int l = 0; l < LENGTHS; l++)
        for (int k = 0; k < 2; k++) {
            call c = {.op = FA_OP_sum, .out_meta = meta_of(FA_DT_INT64, 0, NULL), .ints = {1}};
            add_input(&c, META(k ? FA_DT_BOOL : FA_DT_INT64, lengths[l]), NORMAL);
            check(&c);
        }
}

static void test_argmax(void **state)
{
    (void)state;
    static const values kinds[] = {NORMAL, TIES, SPECIAL};
    static const int64_t shapes[][2] = {{64, 10}, {5, 1}, {0, 3}, {9, 40}, {300, 300}};
    for (int k = 0; k < 3; k++)
        for (int s = 0; s < 5; s++) {
            call c = {.op = FA_OP_argmax, .out_meta = META(FA_DT_INT64, shapes[s][0]), .ints = {1}};
            add_input(&c, F32(shapes[s][0], shapes[s][1]), kinds[k]);
            check(&c);
        }
}

int main(void)
{
    seed = test_seed(20240607);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_eq_and_effects),
        cmocka_unit_test(test_sgd),
        cmocka_unit_test(test_adam),
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
