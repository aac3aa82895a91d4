/* Transforms for tests/torch/compare_transforms.py: reads cases from standard input, writes what comes out to standard
 * output.
 *
 * A case: a line "SEED TIMES HEIGHT WIDTH CHANNELS LENGTH", LENGTH bytes of text, and TIMES images [HEIGHT, WIDTH,
 * CHANNELS] of bytes. The answer: for each image a line "DTYPE RANK SIZES..." and its bytes; then a line with a random
 * int64, and the transform's text as a line "LENGTH" and that many bytes; or a line "error MESSAGE". */
#include "facula.h"
#include "support/facula_test.h"

#include "base/generator.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool run_images(fa_transform *transform, int64_t times, int64_t h, int64_t w, int64_t c, const uint8_t *pixels)
{
    for (int64_t i = 0; i < times && fa_ok(); i++)
        fa_scope {
            fa_tensor *image = fa_from_memory(pixels + i * h * w * c, FA_UINT8, FA_SHAPE(h, w, c));
            fa_tensor *out = fa_transform_apply(transform, image);
            const void *data = out != NULL ? fa_data(out) : NULL;
            if (data != NULL) {
                printf("%d %d", fa_dtype_of(out) == FA_UINT8 ? 8 : 32, fa_ndim(out));
                for (int d = 0; d < fa_ndim(out); d++)
                    printf(" %" PRId64, fa_size(out, d));
                printf("\n");
                fwrite(data, fa_dtype_of(out) == FA_UINT8 ? 1 : 4, (size_t)fa_numel(out), stdout);
            }
        }
    return fa_ok();
}

int main(void)
{
    int64_t times, h, w, c, length;
    uint64_t seed;
    while (scanf("%" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &seed, &times, &h, &w, &c,
                 &length) == 6) {
        char text[4096] = {0}, printed[4096];
        size_t bytes = (size_t)(times * h * w * c);
        uint8_t *pixels = malloc(bytes + 1);
        if (pixels == NULL || length >= (int64_t)sizeof text || getchar() != '\n' ||
            fread(text, 1, (size_t)length, stdin) != (size_t)length || fread(pixels, 1, bytes, stdin) != bytes)
            return 2;
        fa_transform *transform = fa_transform_parse(text);
        fa_manual_seed(seed);
        if (run_images(transform, times, h, w, c, pixels)) {
            int64_t word = fa_mt_random_int64(fa_generator_lock(NULL));
            fa_generator_unlock(NULL);
            size_t n = fa_transform_text(transform, printed, sizeof printed);
            printf("%" PRId64 "\n%zu\n%s", word, n, printed);
        } else {
            printf("error %s\n", fa_error());
        }
        fa_clear_error();
        fa_transform_free(transform);
        free(pixels);
        fflush(stdout);
    }
    return 0;
}
