/* 5.3 A whole training: data set, loader, network, loss, optimizer, and a look at data that is not trained on. */
#include "5_3_my_dataset.h"
#include "5_3_simple_cnn.h"

int main(void)
{
    fa_manual_seed(0);
    /* Data: to train on, and to look at */
    fa_dataset *train_dataset = my_dataset(800);
    fa_dataset *val_dataset = my_dataset(200);

    fa_loader *train_loader = fa_data_loader(train_dataset, .batch_size = 32, .shuffle = true);
    fa_loader *val_loader = fa_data_loader(val_dataset, .batch_size = 32, .shuffle = false);

    /* Network, loss, optimizer */
    fa_module *model = simple_cnn();
    fa_module *criterion = fa_nn_cross_entropy_loss();
    fa_optim *optimizer = fa_adam(fa_parameters(model), .lr = 0.001);

    int num_epochs = 5;
    for (int epoch = 0; epoch < num_epochs && fa_ok(); epoch++) {
        /* Training */
        fa_train(model);
        double train_loss = 0;

        fa_for_each_batch (b, train_loader) {
            fa_tensor *outputs = fa_forward(model, b.images);
            fa_tensor *loss = fa_criterion(criterion, outputs, b.labels);

            fa_zero_grad(optimizer);
            fa_backward(loss);
            fa_step(optimizer);

            train_loss += fa_item(loss);
        }

        /* Validation */
        fa_eval(model);
        double val_loss = 0, correct = 0;
        int64_t total = 0;

        fa_no_grad
            fa_for_each_batch (b, val_loader) {
                fa_tensor *outputs = fa_forward(model, b.images), *predicted;
                fa_tensor *loss = fa_criterion(criterion, outputs, b.labels);
                val_loss += fa_item(loss);

                fa_max(outputs, 1, &predicted);
                total += fa_size(b.labels, 0);
                correct += fa_item(fa_sum(fa_eq(predicted, b.labels)));
            }

        printf("Epoch %d/%d\n", epoch + 1, num_epochs);
        printf("  Train Loss: %.4f\n", train_loss / (double)fa_length(train_loader));
        printf("  Val Loss: %.4f\n", val_loss / (double)fa_length(val_loader));
        printf("  Val Accuracy: %.2f%%\n", 100 * correct / (double)total);
    }

    fa_free(model), fa_free(criterion), fa_free(optimizer), fa_free(train_loader), fa_free(val_loader);
    return fa_exit_status(stderr);
}
