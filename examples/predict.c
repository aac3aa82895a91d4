/* What a trained network sees in a picture that this program draws. usage: predict CHECKPOINT */
#include <facula.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    static uint8_t picture[28][28]; /* grey, white on black as MNIST's: a program's own pixels */
    for (int y = 4; y < 24; y++)
        picture[y][13] = picture[y][14] = 255;
    fa_predictor *classifier = fa_predictor_open(argc > 1 ? argv[1] : "runs/mnist-001");
    fa_prediction p = fa_predict(classifier, &picture[0][0], 28, 28, 1);
    for (int k = 0; k < 3 && fa_ok(); k++)
        printf("%-10s %5.1f %%\n", p.top[k].name, 100 * p.top[k].probability);
    fa_free(classifier);
    return fa_exit_status(stderr);
}
