/* Times of kernels: lines on stderr with FACULA_VERBOSE=1, and the table that fa_profiler_kernels gives out. */
#include "plan/profile.h"

#include "facula/profile.h"

#include "base/memory.h"
#include "tensor/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct row_key {
    fa_op op;
    const char *kernel;
    fa_meta in, out;
} row_key;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool profiling;
static bool verbose;
static fa_kernel_time *rows;
static row_key *keys;
static int64_t count, capacity;

__attribute__((constructor)) static void read_environment(void)
{
    const char *word = getenv("FACULA_VERBOSE");
    verbose = word != NULL && word[0] != '\0' && word[0] != '0';
}

bool fa_plan_is_timed(void)
{
    return verbose || atomic_load_explicit(&profiling, memory_order_relaxed);
}

/* Inputs and outputs, each once. */
static double bytes_of(const fa_kernel_args *args)
{
    int64_t bytes = 0;
    for (int i = 0; i < FA_MAX_INPUTS; i++) {
        bool again = false;
        for (int k = 0; k < i; k++)
            again |= args->in[k] == args->in[i];
        if (args->in[i] != NULL && !again)
            bytes += fa_meta_numel(args->in_meta[i]) * fa_dtype_size(args->in_meta[i]->dtype);
    }
    for (int i = 0; i < FA_MAX_OUTPUTS; i++)
        if (args->out[i] != NULL)
            bytes += fa_meta_numel(args->out_meta[i]) * fa_dtype_size(args->out_meta[i]->dtype);
    return (double)bytes;
}

/* The row of a key, made if need be; NULL without memory: the call goes uncounted. */
static fa_kernel_time *row_of(const row_key *key)
{
    for (int64_t i = 0; i < count; i++)
        if (keys[i].op == key->op && keys[i].kernel == key->kernel &&
            memcmp(&keys[i].in, &key->in, sizeof key->in) == 0 && memcmp(&keys[i].out, &key->out, sizeof key->out) == 0)
            return &rows[i];
    if (count == capacity) {
        const int64_t more = capacity > 0 ? 2 * capacity : 64;
        fa_kernel_time *new_rows = fa_realloc(rows, (size_t)more * sizeof *rows);
        rows = new_rows != NULL ? new_rows : rows;
        row_key *new_keys = fa_realloc(keys, (size_t)more * sizeof *keys);
        keys = new_keys != NULL ? new_keys : keys;
        if (new_rows == NULL || new_keys == NULL)
            return NULL;
        capacity = more;
    }
    keys[count] = *key;
    fa_kernel_time *row = &rows[count++];
    *row = (fa_kernel_time){.op = fa_op_table[key->op]->name, .kernel = key->kernel};
    snprintf(row->input, sizeof row->input, "%s", fa_shape_text(&key->in));
    snprintf(row->output, sizeof row->output, "%s", fa_shape_text(&key->out));
    return row;
}

static void collect(const row_key *key, double seconds, double flops, double bytes)
{
    pthread_mutex_lock(&mutex);
    fa_kernel_time *row = row_of(key);
    if (row != NULL) {
        row->best = row->calls == 0 || seconds < row->best ? seconds : row->best;
        row->seconds += seconds;
        row->calls++;
        row->flops = flops;
        row->bytes = bytes;
    }
    pthread_mutex_unlock(&mutex);
}

void fa_plan_add_work(fa_work *work, const fa_step *step, const fa_node *node, const fa_kernel_args *args)
{
    const fa_op_def *def = fa_op_table[step->op];
    fa_kernel_args own = *args; /* a fused step's operations are those of its first op on its own result */
    if (node != NULL && def->writes == 0)
        own.out_meta[0] = &node->meta;
    const fa_meta *result = own.out_meta[0] != NULL ? own.out_meta[0] : own.in_meta[0];
    work->bytes += bytes_of(args);
    work->flops += def->flops != NULL ? def->flops(&own) : result != NULL ? (double)fa_meta_numel(result) : 0;
    if (work->steps++ > 0)
        return;
    work->in = args->in_meta[0] != NULL ? *args->in_meta[0] : (fa_meta){0};
    work->out = args->out_meta[0] != NULL ? *args->out_meta[0] : work->in;
}

void fa_plan_report(const fa_work *work, const fa_step *step, double seconds)
{
    if (atomic_load_explicit(&profiling, memory_order_relaxed))
        collect(&(row_key){.op = step->op, .kernel = step->kernel, .in = work->in, .out = work->out}, seconds,
                work->flops, work->bytes);
    if (!verbose)
        return;
    char times[16] = "";
    if (work->steps > 1)
        snprintf(times, sizeof times, " x %d", work->steps);
    fprintf(stderr, "facula: %-22s %-20s -> %-20s %-28s%s %9.1f us %8.2f GFLOP/s\n", fa_op_table[step->op]->name,
            fa_shape_text(&work->in), fa_shape_text(&work->out), step->kernel, times, seconds * 1e6,
            work->flops / seconds * 1e-9);
}

void fa_profiler_start(void)
{
    pthread_mutex_lock(&mutex);
    count = 0;
    pthread_mutex_unlock(&mutex);
    atomic_store(&profiling, true);
}

void fa_profiler_stop(void)
{
    atomic_store(&profiling, false);
}

int64_t fa_profiler_kernels(const fa_kernel_time **kernels)
{
    pthread_mutex_lock(&mutex);
    *kernels = rows;
    const int64_t n = count;
    pthread_mutex_unlock(&mutex);
    return n;
}
