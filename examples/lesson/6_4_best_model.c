/* 6.4 A training that keeps its best model, and a checkpoint every ten epochs. */
#include "5_3_my_dataset.h"
#include "5_3_simple_cnn.h"

#include <math.h>
#include <sys/stat.h>

int main(void)
{
    /* As before (5.3) */
    fa_manual_seed(0);
    fa_dataset *train_dataset = my_dataset(800);
    fa_dataset *val_dataset = my_dataset(200);
    fa_loader *val_loader = fa_data_loader(val_dataset, .batch_size = 32);
    int num_epochs = 5;

    fa_manual_seed(0);
    fa_module *model = simple_cnn();
    fa_optim *optimizer = fa_adam(fa_parameters(model), .lr = 0.001);
    fa_module *criterion = fa_nn_cross_entropy_loss();
    fa_loader *train_loader = fa_data_loader(train_dataset, .batch_size = 32, .shuffle = true);

    mkdir("checkpoints", 0777);

    double best_val_loss = INFINITY;

    for (int epoch = 0; epoch < num_epochs && fa_ok(); epoch++) {
        fa_train(model);
        fa_for_each_batch (b, train_loader) {
            fa_tensor *outputs = fa_forward(model, b.images);
            fa_tensor *loss = fa_criterion(criterion, outputs, b.labels);

            fa_zero_grad(optimizer);
            fa_backward(loss);
            fa_step(optimizer);
        }

        fa_eval(model);
        double val_loss = 0;
        fa_no_grad
            fa_for_each_batch (b, val_loader) {
                fa_tensor *outputs = fa_forward(model, b.images);
                fa_tensor *loss = fa_criterion(criterion, outputs, b.labels);
                val_loss += fa_item(loss);
            }

        val_loss /= (double)fa_length(val_loader);

        if (val_loss < best_val_loss) {
            best_val_loss = val_loss;
            fa_save(fa_dict("epoch", epoch, "model_state_dict", fa_state_dict(model), "optimizer_state_dict",
                            fa_state_dict(optimizer), "val_loss", val_loss),
                    "checkpoints/best_model.pth");
            printf("✓ Nouveau meilleur modèle sauvegardé (val_loss: %.4f)\n", val_loss);
        }

        if ((epoch + 1) % 10 == 0)
            fa_save(fa_dict("epoch", epoch, "model_state_dict", fa_state_dict(model), "optimizer_state_dict",
                            fa_state_dict(optimizer)),
                    fa_format("checkpoints/checkpoint_epoch_%d.pth", epoch + 1));
    }

    printf("Entraînement terminé. Meilleure val_loss: %.4f\n", best_val_loss);

    fa_free(model), fa_free(criterion), fa_free(optimizer), fa_free(train_loader), fa_free(val_loader);
    return fa_exit_status(stderr);
}
