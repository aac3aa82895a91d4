/* Saving and loading: a whole model, its weights, a training with its optimizer, and predictions with what was loaded.
 * All of the files open in PyTorch too: torch.load("checkpoint.pth"). usage: save_load [folder] */
#include <facula.h>

#include <stdio.h>

typedef struct SimpleCNN {
    fa_module base;
    fa_module *features, *classifier;
} SimpleCNN;

static fa_tensor *simple_cnn_forward(fa_module *self, fa_tensor *x)
{
    SimpleCNN *net = (SimpleCNN *)self;
    return fa_forward(net->classifier, fa_flatten(fa_forward(net->features, x), 1));
}

static fa_module *simple_cnn(void)
{
    SimpleCNN *net = fa_module_new(SimpleCNN, simple_cnn_forward);
    fa_layer(net, features,
             fa_nn_sequential(fa_nn_conv2d(3, 8, 3, .padding = 1), fa_nn_batch_norm2d(8), fa_nn_relu(),
                              fa_nn_max_pool2d(2)));
    fa_layer(net, classifier, fa_nn_linear(8 * 8 * 8, 10));
    return &net->base;
}

/* One step on random pictures; the loss. */
static double train_step(fa_module *model, fa_optim *optim)
{
    double value = 0;
    fa_scope {
        fa_tensor *images = fa_rand(32, 3, 16, 16), *labels = fa_randint(0, 10, FA_SHAPE(32));
        fa_tensor *loss = fa_cross_entropy(fa_forward(model, images), labels);
        fa_zero_grad(optim);
        fa_backward(loss);
        fa_step(optim);
        value = fa_item(loss);
    }
    return value;
}

int main(int argc, char **argv)
{
    char whole[512], weights[512], training[512];
    const char *folder = argc > 1 ? argv[1] : ".";
    snprintf(whole, sizeof whole, "%s/model_complet.pth", folder);
    snprintf(weights, sizeof weights, "%s/model_weights.pth", folder);
    snprintf(training, sizeof training, "%s/checkpoint.pth", folder);

    fa_manual_seed(0);
    fa_module *model = simple_cnn();
    fa_optim *optim = fa_adam(fa_parameters(model), 1e-3);
    int64_t epoch = 0;
    double loss = 0;
    for (; epoch < 3; epoch++)
        loss = train_step(model, optim);

    /* 6.1 The whole model: network and weights. A class of one's own is told by its name. */
    fa_save(model, whole);
    fa_register_class("SimpleCNN", simple_cnn);
    fa_module *again = fa_load_module(whole);
    fa_eval(again);

    /* 6.2 The weights alone, as is recommended */
    fa_save(fa_state_dict(model), weights);
    fa_module *other = simple_cnn();
    fa_load_state_dict(other, fa_load(weights));
    fa_eval(other);

    /* 6.3 The training: saved, and resumed with a new model and a new optimizer */
    fa_save(fa_dict("epoch", epoch, "model_state_dict", fa_state_dict(model), "optimizer_state_dict",
                    fa_state_dict(optim), "loss", loss),
            training);
    fa_module *resumed = simple_cnn();
    fa_optim *resumed_optim = fa_adam(fa_parameters(resumed));
    fa_value *checkpoint = fa_load(training);
    fa_load_state_dict(resumed, fa_get(checkpoint, "model_state_dict"));
    fa_load_state_dict(resumed_optim, fa_get(checkpoint, "optimizer_state_dict"));
    printf("resumed after epoch %d, loss %.4f\n", (int)fa_get_int(checkpoint, "epoch"),
           fa_get_float(checkpoint, "loss"));
    fa_manual_seed(1);
    double here = train_step(model, optim), next_here = train_step(model, optim);
    fa_manual_seed(1);
    double there = train_step(resumed, resumed_optim), next_there = train_step(resumed, resumed_optim);
    printf("two more steps: %.6f, %.6f; after resuming: %.6f, %.6f\n", here, next_here, there, next_there);

    /* 6.5 Predictions: all three networks give the same */
    fa_load_state_dict(resumed, fa_get(checkpoint, "model_state_dict"));
    fa_eval(resumed);
    fa_no_grad
        fa_scope {
            fa_tensor *images = fa_rand(4, 3, 16, 16);
            fa_module *networks[] = {again, other, resumed};
            for (int i = 0; i < 3; i++) {
                fa_tensor *predicted = fa_argmax(fa_forward(networks[i], images), 1);
                printf("predicted: ");
                fa_print(predicted);
            }
        }

    const int status = fa_ok() && here == there && next_here == next_there ? 0 : 1;
    if (status != 0)
        fprintf(stderr, "%s\n", fa_ok() ? "the resumed training went another way" : fa_error());
    fa_free(optim), fa_free(resumed_optim);
    fa_free(model), fa_free(again), fa_free(other), fa_free(resumed);
    return status;
}
