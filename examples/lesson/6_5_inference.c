/* 6.5 Predictions with a saved model: the best one of 6.4, which must have been run before. */
#include "5_3_my_dataset.h"
#include "5_3_simple_cnn.h"

int main(void)
{
    /* As before (5.3): the validation set, whose numbers come after those of the training set */
    fa_manual_seed(0);
    fa_free(my_dataset(800));
    fa_loader *test_loader = fa_data_loader(my_dataset(200), .batch_size = 32);

    fa_module *model = simple_cnn();
    fa_value *checkpoint = fa_load("checkpoints/best_model.pth");
    fa_load_state_dict(model, fa_get(checkpoint, "model_state_dict"));
    fa_eval(model);

    /* To the GPU, where there is one */
    fa_device device = fa_cuda_is_available() ? FA_CUDA : FA_CPU;
    model = fa_to(model, device);

    fa_no_grad
        fa_for_each_batch (b, test_loader) {
            fa_tensor *images = fa_to(b.images, device), *predicted;
            fa_tensor *outputs = fa_forward(model, images);
            fa_max(outputs, 1, &predicted);
            fa_print(predicted);
            break;
        }

    fa_free(model), fa_free(test_loader);
    return fa_exit_status(stderr);
}
