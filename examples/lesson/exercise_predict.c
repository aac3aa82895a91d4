/* The exercise, part 5: the best model of exercise_train or exercise_run; how many test digits it tells, and what it
 * says of one, from memory and from a file. usage: exercise_predict [folder] [test digit] [MNIST's folder] */
#include "exercise_network.h"

#include <stdlib.h>

/* Grey pixels as a PGM file: a line of text, then the bytes. */
static bool write_pgm(const char *path, const uint8_t *pixels, int side)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return false;
    bool written = fprintf(file, "P5 %d %d 255\n", side, side) > 0 &&
                   fwrite(pixels, (size_t)side, (size_t)side, file) == (size_t)side;
    return fclose(file) == 0 && written;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "exercise";
    int64_t number = argc > 2 ? atoll(argv[2]) : 0;
    const char *root = argc > 3 ? argv[3] : "data/mnist";
    const char *best = fa_format("%s/best_model.pth", folder), *file = fa_format("%s/digit.pgm", folder);

    /* A network of our own takes the weights; any test data set will do to measure it. */
    fa_dataset *test = fa_mnist(root, .train = false, .transform = fa_to_tensor());
    fa_loader *loader = fa_data_loader(test, .batch_size = 500);
    fa_module *model = digit_network();
    fa_load_state_dict(model, fa_load(best));
    fa_eval(model);
    double correct = 0;
    fa_no_grad
        fa_for_each_batch (b, loader)
            correct += fa_item(fa_sum(fa_eq(fa_argmax(fa_forward(model, b.images), 1), b.labels)));
    if (fa_ok())
        printf("%s: %.2f %% of %d test digits\n", best, 100 * correct / (double)fa_length(test), (int)fa_length(test));

    /* The file says network, transforms and names: nothing else is needed to ask it. */
    fa_predictor *classifier = fa_predictor_open(best);
    const uint8_t *digit = fa_data(fa_select(fa_dataset_data(test), 0, number)); /* uint8 [28, 28] */
    for (int y = 0; y < 28 && fa_ok(); y += 2) {
        for (int x = 0; x < 28; x++)
            putchar(" .:*#"[digit[28 * y + x] / 52]);
        putchar('\n');
    }

    fa_prediction answer[2] = {fa_predict(classifier, digit, 28, 28, 1)};
    if (fa_ok() && !write_pgm(file, digit, 28))
        fprintf(stderr, "%s cannot be written\n", file);
    answer[1] = fa_predict_file(classifier, file);
    for (int i = 0; i < 2 && fa_ok(); i++)
        printf("from %-6s  %s with %.2f %%, %s with %.2f %%\n", i == 0 ? "memory" : "a file", answer[i].name,
               100 * answer[i].probability, answer[i].top[1].name, 100 * answer[i].top[1].probability);

    fa_free(classifier), fa_free(model), fa_free(loader);
    return fa_exit_status(stderr);
}
