/* A training that can be stopped (Ctrl-C, kill) and started again, and goes on exactly where it stood.
 * usage: run [folder of the run] [epochs] [MNIST's folder] */
#include <facula.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "runs/example";
    int64_t epochs = argc > 2 ? atoll(argv[2]) : 3;
    const char *root = argc > 3 ? argv[3] : "data/mnist";

    fa_manual_seed(0);
    fa_dataset *part[2] = {NULL, NULL};
    fa_random_split(fa_mnist(root, .train = true, .transform = fa_to_tensor()), part, 2, {0.9, 0.1});
    fa_loader *train = fa_data_loader(part[0], .batch_size = 64, .shuffle = true, .num_workers = 1);
    fa_loader *validation = fa_data_loader(part[1], .batch_size = 500);
    fa_module *model = fa_nn_sequential(fa_nn_conv2d(1, 16, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                                        fa_nn_dropout(0.25), fa_nn_flatten(), fa_nn_linear(16 * 14 * 14, 10));
    fa_optim *optim = fa_adam(fa_parameters(model), 1e-3);
    fa_scheduler *schedule = fa_exponential_lr(optim, 0.9);

    fa_run *run = fa_run_open(folder, .model = model, .optim = optim, .scheduler = schedule, .train_loader = train,
                              .epochs = epochs, .resume = true, .signals = true);
    printf("%s", fa_run_notes(run));
    fa_for_each_epoch (epoch, run) {
        fa_train(model);
        fa_for_each_batch (b, train) {
            fa_tensor *scores = fa_forward(model, b.images);
            fa_tensor *loss = fa_cross_entropy(scores, b.labels);
            fa_zero_grad(optim);
            fa_backward(loss);
            fa_step(optim);
            fa_run_step(run, b, loss, .scores = scores);
        }
        fa_eval(model);
        fa_no_grad
            fa_for_each_batch (b, validation) {
                fa_tensor *scores = fa_forward(model, b.images);
                fa_run_validate(run, b, fa_cross_entropy(scores, b.labels), .scores = scores);
            }
        fa_step(schedule);
        if (!fa_run_end_epoch(run))
            break;
        fa_run_result r = fa_run_results(run);
        printf("epoch %d  loss %.4f  validation loss %.4f, %.2f %%\n", (int)epoch + 1, r.train_loss, r.val_loss,
               r.val_acc);
    }
    fa_run_finish(run);

    int status = fa_ok() ? 0 : 1;
    if (!fa_ok())
        fprintf(stderr, "%s\n", fa_error());
    else if (fa_run_stopped(run) > 0)
        printf("stopped; start it again to go on\n"), status = 128 + fa_run_stopped(run);
    fa_free(run);
    fa_free(schedule);
    fa_free(optim);
    fa_free(model);
    fa_free(train);
    fa_free(validation);
    fa_free(part[0]);
    fa_free(part[1]);
    return status;
}
