/* A data set in MNIST's form. */
#include "support/small_mnist.h"

#include "support/facula_test.h"
#include "support/tempdir.h"

#include <stdlib.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE };

static void put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void write_half(const char *folder, const char *name, int n, uint64_t seed)
{
    size_t image_bytes = 16 + (size_t)n * PIXELS, label_bytes = 8 + (size_t)n;
    uint8_t *images = malloc(image_bytes), *labels = malloc(label_bytes);
    assert_true(images != NULL && labels != NULL);
    const uint32_t image_header[4] = {0x0803, (uint32_t)n, SIDE, SIDE}, label_header[2] = {0x0801, (uint32_t)n};
    for (int i = 0; i < 4; i++)
        put_u32(images + 4 * i, image_header[i]);
    for (int i = 0; i < 2; i++)
        put_u32(labels + 4 * i, label_header[i]);
    for (int i = 0; i < n; i++) {
        int class = (int)test_random_int(&seed, 0, 9);
        labels[8 + i] = (uint8_t) class;
        for (int p = 0; p < PIXELS; p++) {
            int y = p / SIDE, x = p % SIDE, top = class / 5 * 14, left = class % 5 * 5;
            bool inside = y >= top + 4 && y < top + 10 && x >= left && x < left + 6;
            images[16 + (size_t)i * PIXELS + (size_t)p] = (uint8_t)test_random_int(&seed, 0, inside ? 255 : 90);
        }
    }
    char path[1024];
    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte", folder, name);
    write_file(path, images, image_bytes);
    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte", folder, name);
    write_file(path, labels, label_bytes);
    free(images);
    free(labels);
}

void write_small_mnist(const char *folder, int training, int test)
{
    write_half(folder, "train", training, 1);
    write_half(folder, "t10k", test, 2);
}
