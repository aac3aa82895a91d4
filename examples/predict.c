/* What is in a picture of one's own, in memory. usage: predict CHECKPOINT PICTURE.ppm */
#include <facula.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
    int width, height;
    if (file == NULL || fscanf(file, "P6 %d %d 255", &width, &height) != 2 || width < 1 || height < 1)
        return fprintf(stderr, "usage: predict CHECKPOINT PICTURE.ppm\n"), 2;
    uint8_t *pixels = malloc(3 * (size_t)width * (size_t)height); /* a program's own: a camera's frame, a canvas */
    if (pixels == NULL || fgetc(file) == EOF ||
        fread(pixels, 3 * (size_t)width, (size_t)height, file) != (size_t)height)
        return fprintf(stderr, "%s is cut short\n", argv[2]), 1;
    fclose(file);

    fa_predictor *classifier = fa_predictor_open(argv[1]);
    fa_prediction p = fa_predict(classifier, pixels, height, width, 3);
    if (!fa_ok())
        return fprintf(stderr, "%s\n", fa_error()), 1;
    printf("%s: %.1f %%\n", p.name, 100 * p.probability);
    fa_free(classifier);
    free(pixels);
    return 0;
}
