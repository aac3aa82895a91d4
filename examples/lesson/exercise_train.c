/* The exercise, parts 1 to 3: a training that saves itself after each epoch, and goes on where it stood.
 * usage: exercise_train [folder] [epochs] [MNIST's folder] */
#include "exercise_network.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Mean loss over a loader's pictures, and the share of them that is told rightly, in percent. */
static double evaluate(fa_module *model, fa_loader *loader, double *accuracy)
{
    double loss = 0, correct = 0, total = 0;
    fa_eval(model);
    fa_no_grad
        fa_for_each_batch (b, loader) {
            fa_tensor *scores = fa_forward(model, b.images);
            loss += fa_item(fa_cross_entropy(scores, b.labels)) * (double)b.size;
            correct += fa_item(fa_sum(fa_eq(fa_argmax(scores, 1), b.labels)));
            total += (double)b.size;
        }
    *accuracy = 100 * correct / total;
    return loss / total;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "exercise";
    int64_t epochs = argc > 2 ? atoll(argv[2]) : 6;
    const char *root = argc > 3 ? argv[3] : "data/mnist";
    const char *last = fa_format("%s/last.pth", folder), *best = fa_format("%s/best_model.pth", folder);
    mkdir(folder, 0777);

    /* 1. Everything as at the very start: the same seed gives the same split and the same first weights */
    fa_manual_seed(0);
    fa_dataset *part[3];
    fa_random_split(fa_mnist(root, .train = true, .transform = fa_to_tensor()), part, 3, {5000, 1000, 54000});
    fa_loader *train = fa_data_loader(part[0], .batch_size = 32, .shuffle = true);
    fa_loader *validation = fa_data_loader(part[1], .batch_size = 500);
    fa_module *model = digit_network();
    fa_optim *optimizer = fa_adam(fa_parameters(model), .lr = 0.001);

    /* 3. Then to where an earlier program left it */
    int64_t done = 0;
    double best_loss = INFINITY;
    if (access(last, F_OK) == 0) {
        fa_value *saved = fa_load(last);
        fa_load_state_dict(model, fa_get(saved, "model_state_dict"));
        fa_load_state_dict(optimizer, fa_get(saved, "optimizer_state_dict"));
        fa_load_state_dict((fa_generator *)NULL, fa_get(saved, "generator_state"));
        done = fa_get_int(saved, "epochs_done");
        best_loss = fa_get_float(saved, "best_val_loss");
        if (fa_ok())
            printf("%s: %d epochs are done\n", last, (int)done);
    }

    for (; done < epochs && fa_ok(); done++) {
        double train_loss = 0, accuracy;
        fa_train(model);
        fa_for_each_batch (b, train) {
            fa_tensor *loss = fa_cross_entropy(fa_forward(model, b.images), b.labels);
            fa_zero_grad(optimizer);
            fa_backward(loss);
            fa_step(optimizer);
            train_loss += fa_item(loss) * (double)b.size / (double)fa_length(part[0]);
        }
        double val_loss = evaluate(model, validation, &accuracy);
        if (!fa_ok())
            break;
        printf("epoch %d: training loss %.4f, validation loss %.4f, %.1f %%\n", (int)done + 1, train_loss, val_loss,
               accuracy);

        /* 2. The best model first: killed between the two saves, a program that goes on does this epoch again */
        if (val_loss < best_loss) {
            best_loss = val_loss;
            fa_save(fa_dict("network", fa_str(model), "model_state_dict", fa_state_dict(model), "transforms",
                            "ToTensor()", "class_names", fa_list("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
                            "epoch", done, "val_loss", val_loss),
                    best);
        }
        fa_save(fa_dict("model_state_dict", fa_state_dict(model), "optimizer_state_dict", fa_state_dict(optimizer),
                        "generator_state", fa_state_dict((fa_generator *)NULL), "epochs_done", done + 1,
                        "best_val_loss", best_loss),
                last);
    }

    fa_free(model), fa_free(optimizer), fa_free(train), fa_free(validation);
    for (int i = 0; i < 3; i++)
        fa_free(part[i]);
    return fa_exit_status(stderr);
}
