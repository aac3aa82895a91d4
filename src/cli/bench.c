/* facula bench: images a second of a known network, training or inference, in one process on one set of batches that
 * is made before the clock starts. The data, the start and the steps are those of bench/compare.py's peers: seed 0, the
 * model, then MNIST's first images for `mnist`, photographs in the order that the generator gives for the others. With
 * --loader it measures how fast batches come instead (bench_loader.c). */
#include "bench.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { LOSSES = 20, WARM_UP = 3, MOST_POOLS = 8 };

typedef struct bench_options {
    const char *network, *mode, *data, *loader;
    int64_t threads, batch, batches, workers;
    double seconds;
    bool json, profile;
} bench_options;

typedef struct bench {
    bench_options options;
    const network *network;
    bool training;
    fa_module *model;
    fa_optim *optim;
    fa_tensor **images, **labels; /* [batches] */
    double losses[LOSSES];
    int n_losses;
    int64_t steps;
    double elapsed;
    double active[MOST_POOLS]; /* behind each max-pool, the share of values above 0: what sparse gradients have to do */
    int n_active;
} bench;

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double peak_memory_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

static bool takes_digits(const bench *b)
{
    return b->network->form.channels == 1;
}

static int read_bench_options(int argc, char **argv, bench *b)
{
    bench_options *o = &b->options;
    *o = (bench_options){
        .network = "mnist", .mode = "train", .threads = -1, .batch = -1, .batches = -1, .workers = 2, .seconds = 5};
    const option_spec options[] = {
        {"network", OPTION_TEXT, &o->network, 0, 0, "NAME", "mnist, cifar, fake64, img224, vgg_bn or resnet18"},
        {"mode", OPTION_TEXT, &o->mode, 0, 0, "MODE", "train or infer"},
        {"threads", OPTION_INT, &o->threads, 1, 256, "N", "for the kernels"},
        {"batch", OPTION_INT, &o->batch, 1, 1e6, "N", "images a step; default: the network's usual batch"},
        {"batches", OPTION_INT, &o->batches, 1, 1e6, "N", "different batches, used in turn; default: 20, 4 for img224"},
        {"seconds", OPTION_NUMBER, &o->seconds, 0.01, 3600, "S", "for how long to measure"},
        {"data", OPTION_TEXT, &o->data, 0, 0, "DIR",
         "MNIST's files (default: data/mnist), for other networks pictures in DIR/CLASS (default: data/pictures)"},
        {"loader", OPTION_TEXT, &o->loader, 0, 0, "DATA",
         "mnist, or jpeg (pictures in DIR/train/CLASS and DIR/test/CLASS): a first epoch of batches instead of steps"},
        {"workers", OPTION_INT, &o->workers, 0, 256, "N", "of the loader"},
        {"profile", OPTION_FLAG, &o->profile, 0, 0, NULL,
         "each kernel's time, and its share of what the machine can do"},
        {"json", OPTION_FLAG, &o->json, 0, 0, NULL, "one JSON object instead of text"},
    };
    int status =
        read_options(argc, argv, options, sizeof options / sizeof *options,
                     "usage: facula bench [options]\n\nMeasures whole steps: forward, and in training backward and "
                     "Adam's update, the loss read back.",
                     NULL, 0);
    if (status != 0)
        return status;
    b->network = find_network(o->network);
    if (b->network == NULL)
        return EXIT_USAGE;
    b->training = strcmp(o->mode, "train") == 0;
    if (!b->training && strcmp(o->mode, "infer") != 0) {
        fprintf(stderr, "facula: --mode: got \"%s\", needs train or infer\n", o->mode);
        return EXIT_USAGE;
    }
    if (o->data == NULL)
        o->data = o->loader == NULL && !takes_digits(b) ? "data/pictures" : "data/mnist";
    if (o->batch < 0)
        o->batch = b->network->batch;
    if (o->batches < 0)
        o->batches = b->network->form.height > 100 ? 4 : 20;
    return 0;
}

/* MNIST's training half in the files' order; photographs enlarged to the network's side, shuffled. */
static fa_loader *open_images(const bench *b)
{
    const image_form *form = &b->network->form;
    fa_dataset *data =
        takes_digits(b)
            ? fa_mnist(b->options.data, .train = true, .transform = fa_to_tensor())
            : fa_image_folder(b->options.data, .transform = fa_compose(
                                                   fa_resize(form->height), fa_to_tensor(),
                                                   fa_normalize({0.4914, 0.4822, 0.4465}, {0.2470, 0.2435, 0.2616})));
    return fa_data_loader(data, .batch_size = b->options.batch, .shuffle = !takes_digits(b), .drop_last = true);
}

/* As many epochs as it takes. */
static bool read_batches(bench *b)
{
    const int64_t wanted = b->options.batches;
    fa_loader *loader = open_images(b);
    for (int64_t n = 0; loader != NULL && fa_ok() && n < wanted;)
        fa_for_each_batch (batch, loader) {
            if (n == wanted)
                break;
            b->images[n] = fa_keep(batch.images);
            b->labels[n++] = fa_keep(batch.labels);
        }
    fa_free(loader);
    return fa_ok();
}

static bool prepare(bench *b)
{
    size_t count = (size_t)b->options.batches;
    b->images = calloc(count, sizeof *b->images);
    b->labels = calloc(count, sizeof *b->labels);
    if (b->images == NULL || b->labels == NULL)
        return fa_raise(FA_MEMORY_ERROR, "bench: no memory"), false;
    fa_manual_seed(0);
    b->model = make_network(b->network, &b->network->form);
    if (b->model == NULL)
        return false;
    if (b->training) {
        fa_train(b->model);
        b->optim = fa_adam(fa_parameters(b->model), 1e-3);
    } else
        fa_eval(b->model);
    return read_batches(b);
}

static double step(bench *b)
{
    int64_t i = b->steps++ % b->options.batches;
    double loss = 0;
    fa_scope {
        fa_tensor *value;
        if (b->training) {
            value = fa_cross_entropy(fa_forward(b->model, b->images[i]), b->labels[i]);
            fa_zero_grad(b->optim);
            fa_backward(value);
            fa_step(b->optim);
            loss = fa_item(value);
        } else
            fa_no_grad {
                fa_tensor *scores = fa_forward(b->model, b->images[i]);
                fa_data(scores);
                if (b->n_losses < LOSSES)
                    loss = fa_item(fa_cross_entropy(scores, b->labels[i]));
            }
    }
    if (b->n_losses < LOSSES)
        b->losses[b->n_losses++] = loss;
    return loss;
}

static bool measure(bench *b)
{
    while ((b->steps < WARM_UP || b->n_losses < LOSSES) && fa_ok())
        step(b);
    int64_t first = b->steps;
    if (b->options.profile)
        fa_profiler_start();
    double started = seconds_now();
    do
        step(b);
    while (fa_ok() && seconds_now() - started < b->options.seconds);
    fa_profiler_stop();
    b->elapsed = seconds_now() - started;
    b->steps -= first;
    return fa_ok();
}

static fa_tensor *count_active(fa_module *pool, fa_tensor *input, fa_tensor *output, void *context)
{
    (void)pool, (void)input;
    bench *b = context;
    const float *value = fa_data(output);
    int64_t n = value != NULL ? fa_numel(output) : 0, active = 0;
    for (int64_t i = 0; i < n; i++)
        active += value[i] > 0;
    if (n > 0 && b->n_active < MOST_POOLS)
        b->active[b->n_active++] = (double)active / (double)n;
    return NULL;
}

/* Of the first batch, with the weights as they are after the last step. */
static bool measure_active(bench *b)
{
    const fa_module_list modules = fa_named_modules(b->model);
    for (int64_t i = 0; i < modules.count; i++)
        if (strcmp(fa_class_name(modules.module[i]), "MaxPool2d") == 0)
            fa_register_forward_hook(modules.module[i], count_active, b);
    fa_eval(b->model);
    fa_scope {
        fa_no_grad {
            fa_forward(b->model, b->images[0]);
        }
    }
    return fa_ok();
}

/* ---- The profile --------------------------------------------------------------------------------------------------
 */

static int by_time(const void *a, const void *b)
{
    const fa_kernel_time *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* The share of a call's shortest time in which the machine could have done it: 1 at the limit of multiply-adds or of
 * memory, more where a kernel saves some of them. */
static double share_of_limit(const fa_kernel_time *k, const fa_cpu_limits *limits)
{
    const double compute = k->flops / limits->flops, memory = limits->bytes > 0 ? k->bytes / limits->bytes : 0;
    return (compute > memory ? compute : memory) / k->best;
}

/* The kernels in the order of their time, to be freed; NULL without memory. */
static fa_kernel_time *sorted_kernels(int64_t *n)
{
    const fa_kernel_time *kernels;
    *n = fa_profiler_kernels(&kernels);
    fa_kernel_time *sorted = malloc((size_t)(*n + 1) * sizeof *sorted);
    if (sorted == NULL)
        return NULL;
    memcpy(sorted, kernels, (size_t)*n * sizeof *sorted);
    qsort(sorted, (size_t)*n, sizeof *sorted, by_time);
    return sorted;
}

static void print_profile(const bench *b)
{
    const fa_cpu_limits limits = fa_measure_cpu_limits();
    int64_t n;
    fa_kernel_time *kernels = sorted_kernels(&n);
    if (kernels == NULL)
        return;
    double inside = 0;
    printf("\nlimits, measured now: %.0f GFLOP/s of multiply-adds, %.1f GB/s of memory\n", limits.flops * 1e-9,
           limits.bytes * 1e-9);
    printf("%6s %9s %8s %9s %8s %7s  %-22s %-20s    %-20s %s\n", "share", "ms/step", "calls", "GFLOP/s", "GB/s",
           "limit", "op", "from", "to", "kernel");
    for (int64_t i = 0; i < n; i++) {
        const fa_kernel_time *k = &kernels[i];
        inside += k->seconds;
        printf("%5.1f%% %9.3f %8.3g %9.1f %8.1f %6.0f%%  %-22s %-20s -> %-20s %s\n", 100 * k->seconds / b->elapsed,
               1e3 * k->seconds / (double)b->steps, (double)k->calls / (double)b->steps, k->flops / k->best * 1e-9,
               k->bytes / k->best * 1e-9, 100 * share_of_limit(k, &limits), k->op, k->input, k->output, k->kernel);
    }
    printf("%5.1f%% %9.3f  outside of kernels\n", 100 * (1 - inside / b->elapsed),
           1e3 * (b->elapsed - inside) / (double)b->steps);
    printf(
        "share and ms: of all calls; GFLOP/s, GB/s and limit: the shortest call, operations as the formula has them\n");
    free(kernels);
}

static void add_profile(const bench *b, cJSON *json)
{
    const fa_cpu_limits limits = fa_measure_cpu_limits();
    int64_t n;
    fa_kernel_time *kernels = sorted_kernels(&n);
    cJSON_AddNumberToObject(json, "limit_flops", limits.flops);
    cJSON_AddNumberToObject(json, "limit_bytes", limits.bytes);
    cJSON *list = cJSON_AddArrayToObject(json, "kernels");
    for (int64_t i = 0; kernels != NULL && i < n; i++) {
        const fa_kernel_time *k = &kernels[i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "op", k->op);
        cJSON_AddStringToObject(row, "kernel", k->kernel);
        cJSON_AddStringToObject(row, "input", k->input);
        cJSON_AddStringToObject(row, "output", k->output);
        cJSON_AddNumberToObject(row, "calls_per_step", (double)k->calls / (double)b->steps);
        cJSON_AddNumberToObject(row, "ms_per_step", 1e3 * k->seconds / (double)b->steps);
        cJSON_AddNumberToObject(row, "best_ms", 1e3 * k->best);
        cJSON_AddNumberToObject(row, "flops", k->flops);
        cJSON_AddNumberToObject(row, "bytes", k->bytes);
        cJSON_AddNumberToObject(row, "share_of_limit", share_of_limit(k, &limits));
        cJSON_AddItemToArray(list, row);
    }
    free(kernels);
}

static bool report(const bench *b)
{
    const bench_options *o = &b->options;
    double images = (double)(b->steps * o->batch) / b->elapsed, ms = 1e3 * b->elapsed / (double)b->steps;
    const double memory = peak_memory_mib();
    if (!o->json) {
        printf("%s, %s, batch %lld, %d thread%s, %s\n", b->network->name, o->mode, (long long)o->batch,
               fa_get_num_threads(), fa_get_num_threads() == 1 ? "" : "s", fa_cpu_isa());
        printf("%.0f images/s, %.3f ms a step, peak memory %.0f MiB\nfirst losses:", images, ms, memory);
        for (int i = 0; i < b->n_losses; i++)
            printf(" %.6f", b->losses[i]);
        printf("\nabove 0 behind each max-pool, at the end:");
        for (int i = 0; i < b->n_active; i++)
            printf(" %.0f%%", 100 * b->active[i]);
        printf("\n");
        if (o->profile)
            print_profile(b);
        return true;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "network", b->network->name);
    cJSON_AddStringToObject(json, "mode", o->mode);
    cJSON_AddNumberToObject(json, "batch", (double)o->batch);
    cJSON_AddNumberToObject(json, "threads", fa_get_num_threads());
    cJSON_AddStringToObject(json, "isa", fa_cpu_isa());
    cJSON_AddStringToObject(json, "dtype", "float32");
    cJSON_AddNumberToObject(json, "images_per_second", images);
    cJSON_AddNumberToObject(json, "ms_per_step", ms);
    cJSON_AddNumberToObject(json, "peak_memory_mib", memory);
    cJSON_AddItemToObject(json, "losses", cJSON_CreateDoubleArray(b->losses, b->n_losses));
    cJSON_AddItemToObject(json, "active", cJSON_CreateDoubleArray(b->active, b->n_active));
    if (o->profile)
        add_profile(b, json);
    char *text = cJSON_PrintUnformatted(json);
    if (text != NULL)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
    return text != NULL;
}

int command_bench(int argc, char **argv)
{
    bench b = {0};
    int status = read_bench_options(argc, argv, &b);
    if (status != 0)
        return status < 0 ? 0 : status;
    if (b.options.threads > 0)
        fa_set_num_threads((int)b.options.threads);
    if (b.options.loader != NULL)
        return bench_loader(&(loader_bench){.data_set = b.options.loader,
                                            .data = b.options.data,
                                            .batch = option_given("batch") ? b.options.batch : 64,
                                            .workers = b.options.workers,
                                            .json = b.options.json});
    bool ok = prepare(&b) && measure(&b) && measure_active(&b) && report(&b);
    if (!ok)
        fail_with_error();
    fa_free(b.optim);
    fa_free(b.model);
    free(b.images);
    free(b.labels);
    return ok ? 0 : 1;
}
