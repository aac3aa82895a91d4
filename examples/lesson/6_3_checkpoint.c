/* 6.3 All that a training needs to go on: weights, optimizer, epoch. */
#include "5_3_simple_cnn.h"

int main(void)
{
    /* As before (5.3): a model that has made one step */
    fa_manual_seed(0);
    int64_t epoch = 3;
    fa_module *first_model = simple_cnn();
    fa_optim *first_optimizer = fa_adam(fa_parameters(first_model), .lr = 0.001);
    fa_tensor *images = fa_randn(4, 3, 64, 64), *labels = fa_arange(4);
    fa_tensor *first_loss = fa_cross_entropy(fa_forward(first_model, images), labels);
    fa_backward(first_loss);
    fa_step(first_optimizer);

    /* Saving */
    fa_value *saved = fa_dict("epoch", epoch, "model_state_dict", fa_state_dict(first_model), "optimizer_state_dict",
                              fa_state_dict(first_optimizer), "loss", first_loss);
    fa_save(saved, "checkpoint.pth");

    /* Loading, and going on */
    fa_module *model = simple_cnn();
    fa_optim *optimizer = fa_adam(fa_parameters(model));

    fa_value *checkpoint = fa_load("checkpoint.pth");
    fa_load_state_dict(model, fa_get(checkpoint, "model_state_dict"));
    fa_load_state_dict(optimizer, fa_get(checkpoint, "optimizer_state_dict"));
    int64_t start_epoch = fa_get_int(checkpoint, "epoch");
    fa_tensor *loss = fa_get_tensor(checkpoint, "loss");

    fa_train(model);
    printf("%d %.4f\n", (int)start_epoch, fa_item(loss));

    fa_free(first_model), fa_free(first_optimizer), fa_free(model), fa_free(optimizer);
    return fa_exit_status(stderr);
}
