/* One call of a kernel, of every ISA that this machine has, against its op's reference kernel: the same bits where each
 * result is a few rounded steps, else within a tolerance; the same bits for 1, 2, 3 and 7 threads; nothing written
 * beyond output and scratch. */
#ifndef FA_TESTS_KERNEL_CALL_H
#define FA_TESTS_KERNEL_CALL_H

#include "facula_test.h"

#include "base/opdef.h"
#include "cpu/isa.h"

enum { KERNEL_GUARD = 64, KERNEL_EXACT = 0 };

/* Of everything that is drawn. */
extern uint64_t kernel_seed;

typedef struct kernel_call {
    fa_op op;
    fa_meta in_meta[FA_MAX_INPUTS], out_meta;
    void *in[FA_MAX_INPUTS]; /* row-major; NULL: absent */
    int inputs;
    int64_t ints[FA_MAX_INTS];
    double floats[FA_MAX_FLOATS];
    double tolerance; /* |got - want| <= tolerance * (1 + |want|); KERNEL_EXACT: bits */
    int fuse;
} kernel_call;

fa_meta kernel_meta(int dtype, int ndim, const int64_t *shape);
#define META(dtype, ...)                                                                                               \
    kernel_meta(dtype, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#define F32(...) META(FA_DT_FLOAT32, __VA_ARGS__)
#define SCALAR kernel_meta(FA_DT_FLOAT32, 0, NULL)

size_t kernel_bytes(const fa_meta *meta);
void *kernel_copy(const void *data, size_t bytes);

typedef enum kernel_values { NORMAL, POSITIVE, TIES, SPECIAL } kernel_values;
float kernel_draw(kernel_values kind);
/* Adds an input, drawn; returns its data. */
void *kernel_input(kernel_call *c, fa_meta meta, kernel_values kind);

/* Between the two layouts, in the test's own words. */
void kernel_turn(void *to, const void *from, const fa_meta *meta, bool to_nhwc);

/* Memory with a guard behind it. */
char *kernel_guarded(size_t bytes);
void kernel_check_guard(const char *data, size_t bytes);

/* What a run leaves: the output, or for an effect all inputs one after the other; row-major. */
typedef struct kernel_result {
    char *data;
    size_t bytes;
} kernel_result;
/* The op's reference kernel (kernel NULL), or a kernel; `in_place`: out[0] is in[0]. */
kernel_result kernel_run(const kernel_call *c, const fa_cpu_kernel *kernel, bool in_place);

/* Every kernel for the call against the reference kernel, or `want`. Frees the inputs. */
void kernel_check(kernel_call *c);
void kernel_check_against(kernel_call *c, const kernel_result *want);

#endif
