/* The exercise, part 4: the same training as a run, which may be stopped anywhere (Ctrl-C), also in mid-epoch.
 * usage: exercise_run [folder] [epochs] [MNIST's folder] */
#include "exercise_network.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "runs/exercise";
    int64_t epochs = argc > 2 ? atoll(argv[2]) : 6;
    const char *root = argc > 3 ? argv[3] : "data/mnist";
    static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

    fa_manual_seed(0);
    fa_dataset *part[3];
    fa_random_split(fa_mnist(root, .train = true, .transform = fa_to_tensor()), part, 3, {5000, 1000, 54000});
    fa_loader *train = fa_data_loader(part[0], .batch_size = 32, .shuffle = true);
    fa_loader *validation = fa_data_loader(part[1], .batch_size = 500);
    fa_module *model = digit_network();
    fa_optim *optimizer = fa_adam(fa_parameters(model), .lr = 0.001);

    fa_run *run = fa_run_open(folder, .model = model, .optim = optimizer, .train_loader = train, .epochs = epochs,
                              .resume = true, .signals = true, .class_names = {digits, 10}, .transforms = "ToTensor()");
    fa_for_each_epoch (epoch, run) {
        fa_train(model);
        fa_for_each_batch (b, train) {
            fa_tensor *scores = fa_forward(model, b.images), *loss = fa_cross_entropy(scores, b.labels);
            fa_zero_grad(optimizer);
            fa_backward(loss);
            fa_step(optimizer);
            fa_run_step(run, b, loss, .scores = scores);
        }
        fa_eval(model);
        fa_no_grad
            fa_for_each_batch (b, validation) {
                fa_tensor *scores = fa_forward(model, b.images);
                fa_run_validate(run, b, fa_cross_entropy(scores, b.labels), .scores = scores);
            }
        if (!fa_run_end_epoch(run))
            break;
        fa_run_result r = fa_run_results(run);
        printf("epoch %d: training loss %.4f, validation loss %.4f, %.1f %%\n", (int)epoch + 1, r.train_loss,
               r.val_loss, r.val_acc);
        fflush(stdout);
    }
    fa_run_finish(run);
    int stopped = fa_run_stopped(run);
    if (stopped != 0)
        printf("stopped after batch %d of epoch %d; the same command goes on\n", (int)fa_run_results(run).batch,
               (int)fa_run_results(run).epoch + 1);

    fa_free(run), fa_free(model), fa_free(optimizer), fa_free(train), fa_free(validation);
    for (int i = 0; i < 3; i++)
        fa_free(part[i]);
    int status = fa_exit_status(stderr);
    return stopped > 0 ? 128 + stopped : status;
}
