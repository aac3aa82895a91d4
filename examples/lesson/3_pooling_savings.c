/* 3 What pooling saves: the network of 3.3 with it and without, its parameters and the time of a training step. */
#include <facula.h>

#include <time.h>

static fa_module *network(bool pooling)
{
    int64_t side = pooling ? 56 : 224;
    fa_module *net = fa_nn_sequential();
    fa_module_add(net, NULL, fa_nn_conv2d(3, 32, .kernel_size = 3, .padding = 1));
    fa_module_add(net, NULL, fa_nn_relu());
    if (pooling)
        fa_module_add(net, NULL, fa_nn_max_pool2d(2));
    fa_module_add(net, NULL, fa_nn_conv2d(32, 64, .kernel_size = 3, .padding = 1));
    fa_module_add(net, NULL, fa_nn_relu());
    if (pooling)
        fa_module_add(net, NULL, fa_nn_max_pool2d(2));
    fa_module_add(net, NULL, fa_nn_flatten());
    fa_module_add(net, NULL, fa_nn_linear(64 * side * side, 10));
    return net;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Of a step on one picture, the best of three. */
static double step_time(fa_module *net)
{
    double best = 1e9;
    for (int i = 0; i < 4; i++)
        fa_scope {
            fa_tensor *x = fa_randn(1, 3, 224, 224), *label = fa_randint(0, 10, FA_SHAPE(1));
            double start = seconds();
            fa_backward(fa_cross_entropy(fa_forward(net, x), label));
            fa_sync();
            double spent = seconds() - start;
            if (i > 0 && spent < best) /* the first one also plans */
                best = spent;
        }
    return best;
}

int main(void)
{
    fa_manual_seed(0);
    double time[2];
    int64_t parameters[2];
    for (int pooling = 0; pooling < 2; pooling++) {
        fa_module *net = network(pooling);
        fa_tensor_list list = fa_parameters(net);
        parameters[pooling] = 0;
        for (int64_t i = 0; i < list.count; i++)
            parameters[pooling] += fa_numel(list.tensor[i]);
        time[pooling] = step_time(net);
        printf("%s pooling: %9d parameters, %.4f s for a step\n", pooling ? "with   " : "without",
               (int)parameters[pooling], time[pooling]);
        fa_free(net);
    }
    printf("saved: %.2f%% of the parameters\n", 100 - 100 * (double)parameters[1] / (double)parameters[0]);
    printf("the step is %.1f times as fast\n", time[0] / time[1]);
    return fa_exit_status(stderr);
}
