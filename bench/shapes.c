/* Times one layer by itself, for bench/shapes.py and bench/growth.py: lines on standard input, a line of JSON on
 * standard output for each.
 *
 *     limits                      what the machine reaches: operations and bytes a second
 *     time SECONDS LAYER          the shortest call of the forward pass, of the input's and of the weights' gradient
 *     write FILE LAYER            the results of all three, in a file that torch.load reads
 *
 * LAYER is `conv BATCH CHANNELS SIDE OUTPUTS KERNEL STRIDE PADDING GROUPS` (no bias) or `linear ROWS INPUTS OUTPUTS`
 * (with one). Inputs are what a relu leaves of randn, weights He's, the result's gradient randn, all of seed 0: the
 * peer draws the same. Times are those of the kernels, values lying as they do inside a network, and of their packing
 * of weights; the change of layout at the ends is not in them. */
#include <facula.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct layer {
    bool conv;
    int64_t n[8]; /* as in LAYER */
    fa_tensor *x, *weight, *bias, *dy;
} layer;

enum { FORWARD, INPUT, WEIGHT, PARTS };
static const char *const part_names[PARTS] = {"forward", "input", "weight"};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool read_layer(layer *l, const char *text)
{
    char kind[8] = "";
    int64_t *n = l->n;
    int found = 0, read = 0;
    if (sscanf(text, "%7s%n", kind, &read) == 1)
        for (text += read; found < 8 && sscanf(text, "%" SCNd64 "%n", &n[found], &read) == 1; found++)
            text += read;
    l->conv = strcmp(kind, "conv") == 0;
    return l->conv ? found == 8 : strcmp(kind, "linear") == 0 && found == 3;
}

static fa_tensor *draw(fa_shape shape, double scale)
{
    return fa_keep(fa_mul(fa_randn_with(shape), scale));
}

/* In the caller's scope. */
static bool make_layer(layer *l)
{
    const int64_t *n = l->n, side = l->conv ? (n[2] + 2 * n[6] - n[4]) / n[5] + 1 : 0;
    fa_manual_seed(0);
    l->x = fa_keep(fa_relu(l->conv ? fa_randn(n[0], n[1], n[2], n[2]) : fa_randn(n[0], n[1])));
    l->weight =
        l->conv ? draw(FA_SHAPE(n[3], n[1] / n[7], n[4], n[4]), sqrt(2.0 * (double)n[7] / (double)(n[1] * n[4] * n[4])))
                : draw(FA_SHAPE(n[2], n[1]), sqrt(2.0 / (double)n[1]));
    l->dy = l->conv ? draw(FA_SHAPE(n[0], n[3], side, side), 1) : draw(FA_SHAPE(n[0], n[2]), 1);
    l->bias = l->conv ? NULL : draw(FA_SHAPE(n[2]), 1);
    fa_requires_grad_(l->x, true);
    fa_requires_grad_(l->weight, true);
    return fa_ok();
}

static void run(const layer *l, fa_tensor **out)
{
    const int64_t *n = l->n;
    fa_tensor *grads[2];
    out[FORWARD] = l->conv ? fa_conv2d(l->x, l->weight, .stride = n[5], .padding = n[6], .groups = n[7])
                           : fa_linear(l->x, l->weight, l->bias);
    fa_autograd_grad(FA_TENSORS(out[FORWARD]), FA_TENSORS(l->x, l->weight), grads, .grad_outputs = FA_TENSORS(l->dy),
                     .retain_graph = true);
    out[INPUT] = grads[0];
    out[WEIGHT] = grads[1];
    for (int i = 0; i < PARTS; i++)
        fa_data(out[i]);
}

static int part_of(const layer *l, const fa_kernel_time *kernel)
{
    char input[40];
    if (l->conv)
        return strcmp(kernel->op, "conv2d") == 0               ? FORWARD
               : strcmp(kernel->op, "conv2d_input_grad") == 0  ? INPUT
               : strcmp(kernel->op, "conv2d_weight_grad") == 0 ? WEIGHT
                                                               : PARTS;
    snprintf(input, sizeof input, "[%" PRId64 ", %" PRId64 "]", l->n[0], l->n[1]);
    return strcmp(kernel->op, "linear") == 0    ? FORWARD
           : strcmp(kernel->op, "matmul") != 0  ? PARTS
           : strcmp(kernel->output, input) == 0 ? INPUT
                                                : WEIGHT;
}

static void time_layer(const layer *l, double seconds)
{
    fa_tensor *out[PARTS];
    fa_scope
        run(l, out);
    const double end = now() + seconds;
    fa_profiler_start();
    for (int calls = 0; fa_ok() && (calls < 3 || now() < end); calls++)
        fa_scope
            run(l, out);
    fa_profiler_stop();
    const fa_kernel_time *kernels;
    const int64_t n = fa_profiler_kernels(&kernels);
    for (int part = 0; fa_ok() && part < PARTS; part++) {
        double best = 0, flops = 0, bytes = 0;
        const char *name = "";
        for (int64_t i = 0; i < n; i++)
            if (part_of(l, &kernels[i]) == part) {
                best += kernels[i].best;
                flops += kernels[i].flops;
                bytes += kernels[i].bytes;
                name = kernels[i].kernel;
            }
        printf("%s\"%s\": {\"seconds\": %.9g, \"flops\": %.9g, \"bytes\": %.9g, \"kernel\": \"%s\"}",
               part == 0 ? "{" : ", ", part_names[part], best, flops, bytes, name);
    }
    printf("}\n");
}

int main(void)
{
    char line[4200], path[4096];
    while (fgets(line, sizeof line, stdin) != NULL && fa_ok()) {
        layer l = {.conv = false};
        double seconds = 0;
        int read = 0;
        if (strncmp(line, "limits", 6) == 0) {
            const fa_cpu_limits limits = fa_measure_cpu_limits();
            printf("{\"flops\": %.9g, \"bytes\": %.9g, \"threads\": %d, \"isa\": \"%s\"}\n", limits.flops, limits.bytes,
                   fa_get_num_threads(), fa_cpu_isa());
        } else if (sscanf(line, "time %lf %n", &seconds, &read) == 1 && read_layer(&l, line + read)) {
            fa_scope {
                if (make_layer(&l))
                    time_layer(&l, seconds);
            }
        } else if (sscanf(line, "write %4095s %n", path, &read) == 1 && read_layer(&l, line + read)) {
            fa_scope {
                fa_tensor *out[PARTS];
                if (make_layer(&l)) {
                    run(&l, out);
                    fa_save(fa_dict("forward", out[FORWARD], "input", out[INPUT], "weight", out[WEIGHT]), path);
                    printf("{}\n");
                }
            }
        } else {
            fprintf(stderr, "bench_shapes: not understood: %s", line);
            return 2;
        }
        fflush(stdout);
    }
    if (!fa_ok())
        fprintf(stderr, "%s\n", fa_error());
    return fa_shutdown(stderr) == 0 ? 0 : 1;
}
