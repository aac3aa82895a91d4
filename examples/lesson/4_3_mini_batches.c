/* 4.3 Training in mini-batches that are cut by hand. Takes a minute and a gigabyte. */
#include "3_4_simple_cnn.h"

int main(void)
{
    fa_manual_seed(0);
    fa_module *model = simple_cnn(10);
    fa_optim *optimizer = fa_adam(fa_parameters(model), .lr = 0.001);
    fa_module *criterion = fa_nn_cross_entropy_loss();

    /* Made-up data */
    fa_tensor *images = fa_randn(100, 3, 224, 224);
    fa_tensor *labels = fa_randint(0, 10, FA_SHAPE(100));

    int64_t batch_size = 32;
    int64_t num_batches = fa_size(images, 0) / batch_size;

    for (int epoch = 0; epoch < 10; epoch++) {
        double last_loss = 0;
        for (int64_t i = 0; i < num_batches; i++)
            fa_scope { /* what a step makes ends with the step */
                int64_t start_idx = i * batch_size;
                int64_t end_idx = start_idx + batch_size;

                fa_tensor *batch_images = fa_slice(images, 0, start_idx, end_idx);
                fa_tensor *batch_labels = fa_slice(labels, 0, start_idx, end_idx);

                fa_tensor *outputs = fa_forward(model, batch_images);
                fa_tensor *loss = fa_criterion(criterion, outputs, batch_labels);

                fa_zero_grad(optimizer);
                fa_backward(loss);
                fa_step(optimizer);
                last_loss = fa_item(loss);
            }
        printf("Epoch %d, Loss: %.4f\n", epoch + 1, last_loss);
    }

    fa_free(model), fa_free(optimizer), fa_free(criterion);
    return fa_exit_status(stderr);
}
