/* Kernels against their reference kernels. */
#include "kernel_call.h"

#include "base/pool.h"
#include "cpu/layout.h"

#include <math.h>
#include <string.h>

uint64_t kernel_seed = 1;

/* ---- A call --------------------------------------------------------------------------------------------------------
 */

fa_meta kernel_meta(int dtype, int ndim, const int64_t *shape)
{
    fa_meta meta = {.dtype = (uint8_t)dtype, .ndim = (uint8_t)ndim};
    for (int d = 0; d < ndim; d++)
        meta.shape[d] = shape[d];
    return meta;
}
size_t kernel_bytes(const fa_meta *meta)
{
    return (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype));
}

void *kernel_copy(const void *data, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    assert_non_null(copy);
    if (bytes > 0)
        memcpy(copy, data, bytes);
    return copy;
}

float kernel_draw(kernel_values kind)
{
    static const float special[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f};
    if (kind == SPECIAL && test_random_int(&kernel_seed, 0, 8) == 0)
        return special[test_random_int(&kernel_seed, 0, 4)];
    if (kind == TIES)
        return (float)test_random_int(&kernel_seed, -2, 2);
    return (float)test_random_real(&kernel_seed, kind == POSITIVE ? 0.1 : -2, 2);
}

void *kernel_input(kernel_call *c, fa_meta meta, kernel_values kind)
{
    const int64_t n = fa_meta_numel(&meta);
    void *data = malloc(kernel_bytes(&meta) + 1);
    assert_non_null(data);
    for (int64_t i = 0; i < n; i++) {
        if (meta.dtype == FA_DT_FLOAT32)
            ((float *)data)[i] = kernel_draw(kind);
        else if (meta.dtype == FA_DT_INT64)
            ((int64_t *)data)[i] = test_random_int(&kernel_seed, 0, 3);
        else
            ((uint8_t *)data)[i] = (uint8_t)test_random_int(&kernel_seed, 0, 1);
    }
    c->in_meta[c->inputs] = meta;
    c->in[c->inputs++] = data;
    return data;
}

static void free_inputs(kernel_call *c)
{
    for (int i = 0; i < c->inputs; i++)
        free(c->in[i]);
}

/* ---- Layouts, in the test's own words ------------------------------------------------------------------------------
 */

void kernel_turn(void *to, const void *from, const fa_meta *meta, bool to_nhwc)
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

static bool is_nhwc(const kernel_call *c, int i)
{
    const fa_op_def *def = fa_op_table[c->op];
    return def->layout == FA_LAYOUT_IMAGE && (def->image_inputs >> i & 1) != 0;
}

static bool out_is_nhwc(const kernel_call *c)
{
    const fa_op_def *def = fa_op_table[c->op];
    return def->layout == FA_LAYOUT_IMAGE && !def->plain_output && c->out_meta.ndim == 4;
}

/* ---- Running -------------------------------------------------------------------------------------------------------
 */

static bool is_effect(const kernel_call *c)
{
    return fa_op_table[c->op]->writes != 0;
}

static kernel_result collect(const kernel_call *c, void *const *in, void *out, bool nhwc)
{
    kernel_result r = {0};
    if (!is_effect(c)) {
        r.bytes = kernel_bytes(&c->out_meta);
        r.data = kernel_copy(out, r.bytes);
        if (nhwc)
            kernel_turn(r.data, out, &c->out_meta, false);
        return r;
    }
    for (int i = 0; i < c->inputs; i++)
        r.bytes += c->in[i] ? kernel_bytes(&c->in_meta[i]) : 0;
    r.data = malloc(r.bytes + 1);
    assert_non_null(r.data);
    size_t at = 0;
    for (int i = 0; i < c->inputs; i++)
        if (c->in[i]) {
            memcpy(r.data + at, in[i], kernel_bytes(&c->in_meta[i]));
            at += kernel_bytes(&c->in_meta[i]);
        }
    return r;
}

char *kernel_guarded(size_t bytes)
{
    char *data = aligned_alloc(64, (bytes + KERNEL_GUARD + 63) / 64 * 64);
    assert_non_null(data);
    memset(data, 0xa5, (bytes + KERNEL_GUARD + 63) / 64 * 64);
    return data;
}

void kernel_check_guard(const char *data, size_t bytes)
{
    for (size_t i = bytes; i < bytes + KERNEL_GUARD; i++)
        assert_int_equal((uint8_t)data[i], 0xa5);
}

/* The op's reference kernel (kernel NULL), or a kernel; `in_place`: out[0] is in[0]. */
kernel_result kernel_run(const kernel_call *c, const fa_cpu_kernel *kernel, bool in_place)
{
    fa_kernel_args args = {.ints = c->ints, .floats = c->floats, .fuse = c->fuse};
    fa_meta metas[FA_MAX_INPUTS], out_meta = c->out_meta;
    const bool nhwc = kernel && out_is_nhwc(c);
    for (int i = 0; i < c->inputs; i++) {
        if (!c->in[i])
            continue;
        metas[i] = c->in_meta[i];
        args.in_meta[i] = &metas[i];
        args.in[i] = kernel_copy(c->in[i], kernel_bytes(&metas[i]));
        if (kernel && is_nhwc(c, i)) {
            metas[i].layout = FA_NHWC;
            kernel_turn(args.in[i], c->in[i], &metas[i], true);
        }
    }
    const size_t bytes = is_effect(c) ? 0 : kernel_bytes(&out_meta);
    char *out = kernel_guarded(bytes), *scratch = NULL;
    if (!is_effect(c)) {
        out_meta.layout = nhwc ? FA_NHWC : FA_PLAIN;
        args.out_meta[0] = &out_meta;
        args.out[0] = in_place ? args.in[0] : out;
    }
    const size_t scratch_bytes = kernel && kernel->scratch ? kernel->scratch(&args) : 0;
    args.scratch = scratch = kernel_guarded(scratch_bytes);
    const uint64_t saved = fa_ftz_on();
    (kernel ? kernel->run : fa_op_table[c->op]->reference)(&args);
    fa_ftz_restore(saved);
    const kernel_result r = collect(c, args.in, args.out[0], nhwc);
    kernel_check_guard(out, bytes);
    kernel_check_guard(scratch, scratch_bytes);
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
    if (tolerance == KERNEL_EXACT || isinf(want))
        return memcmp(&got, &want, sizeof got) == 0;
    return fabs((double)got - (double)want) <= tolerance * (1 + fabs((double)want));
}

static void check_result(const kernel_call *c, const fa_cpu_kernel *kernel, const kernel_result *got,
                         const kernel_result *want)
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

static const fa_cpu_kernel *find(const fa_cpu_isa_entry *isa, const kernel_call *c)
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
void kernel_check_against(kernel_call *c, const kernel_result *want)
{
    for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name; isa++) {
        if (!isa->available())
            continue;
        const fa_cpu_kernel *kernel = find(isa, c);
        if (!kernel)
            fail_msg("%s has no kernel for %s", isa->name, fa_op_table[c->op]->name);
        static const int threads[] = {1, 3, 2, 7};
        kernel_result first = {0};
        for (int t = 0; t < (FA_SANITIZED ? 2 : 4); t++) { /* threads start and end slowly there */
            fa_set_num_threads(threads[t]);
            kernel_result r = kernel_run(c, kernel, false);
            if (t == 0) {
                check_result(c, kernel, &r, want);
                first = r;
                continue;
            }
            assert_same_bytes(r.data, first.data, first.bytes);
            free(r.data);
        }
        if (kernel->elementwise_in_place && kernel_bytes(&c->in_meta[0]) == first.bytes) {
            kernel_result r = kernel_run(c, kernel, true);
            assert_same_bytes(r.data, first.data, first.bytes);
            free(r.data);
        }
        free(first.data);
    }
    free_inputs(c);
}

void kernel_check(kernel_call *c)
{
    kernel_result want = kernel_run(c, NULL, false);
    kernel_check_against(c, &want);
    free(want.data);
}
