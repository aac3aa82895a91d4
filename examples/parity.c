/* The port of examples/parity.py, held against its recording: examples/parity RUN.json, in the folder with data/. */
#include <facula.h>

static fa_dataset *first_64(void)
{
    int64_t indices[64];
    for (int64_t i = 0; i < 64; i++)
        indices[i] = i;
    fa_transform *transform = fa_compose(fa_to_tensor(), fa_normalize({0.1307}, {0.3081}));
    return fa_subset(fa_mnist("data/mnist", .transform = transform), indices, 64);
}

int main(int argc, char **argv)
{
    fa_manual_seed(0);
    fa_module *model = fa_nn_sequential(fa_nn_conv2d(1, 4, 3, .stride = 2, .padding = 1), fa_nn_relu(),
                                        fa_nn_max_pool2d(2), fa_nn_flatten(), fa_nn_linear(196, 10));
    fa_module *criterion = fa_nn_cross_entropy_loss();
    fa_optim *optim = fa_sgd(fa_parameters(model), 0.05, .momentum = 0.9, .weight_decay = 5e-4);
    fa_loader *loader = fa_data_loader(first_64(), .batch_size = 4, .shuffle = true);
    fa_parity *parity = fa_parity_new(argc > 1 ? argv[1] : "RUN.json", model, .optim = optim);
    fa_for_each_batch (b, loader) {
        fa_zero_grad(optim);
        fa_tensor *loss = fa_criterion(criterion, fa_forward(model, b.images), b.labels);
        fa_backward(loss);
        fa_step(optim);
        if (!fa_parity_step(parity, loss, b.labels))
            break;
    }
    if (!fa_ok())
        fprintf(stderr, "%s\n", fa_error());
    fa_parity_report(parity, stdout);
    bool agrees = fa_ok() && fa_parity_agrees(parity);
    fa_free(parity);
    fa_free(loader);
    fa_free(optim);
    fa_free(criterion);
    fa_free(model);
    return agrees ? 0 : 1;
}
