/* 5.1 A data set of made-up pictures of 64x64 and their labels. 5.2 loads it in batches. */
#include <facula.h>

typedef struct SimpleImageDataset {
    fa_tensor *images, *labels;
} SimpleImageDataset;

static bool simple_image_item(void *user, int64_t idx, fa_sample *sample)
{
    SimpleImageDataset *self = user;
    return fa_sample_row(sample, self->images, idx) && fa_sample_row(sample, self->labels, idx);
}

static fa_dataset *simple_image_dataset(int64_t num_samples)
{
    SimpleImageDataset self = {.images = fa_randn(num_samples, 3, 64, 64)};
    self.labels = fa_randint(0, 10, FA_SHAPE(num_samples));
    return fa_dataset_new(&self, .size = sizeof self, .tensors = {&self.images, &self.labels}, .count = num_samples,
                          .item = simple_image_item);
}
