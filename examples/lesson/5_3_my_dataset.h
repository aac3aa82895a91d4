/* 5.3 Made-up pictures of 64x64 and their labels. Used by 5.3, 6.4 and 6.5. */
#include <facula.h>

typedef struct MyDataset {
    fa_tensor *data, *labels;
} MyDataset;

static bool my_item(void *user, int64_t idx, fa_sample *sample)
{
    MyDataset *self = user;
    return fa_sample_row(sample, self->data, idx) && fa_sample_row(sample, self->labels, idx);
}

static fa_dataset *my_dataset(int64_t num_samples)
{
    MyDataset self = {.data = fa_randn(num_samples, 3, 64, 64)};
    self.labels = fa_randint(0, 10, FA_SHAPE(num_samples));
    return fa_dataset_new(&self, .size = sizeof self, .tensors = {&self.data, &self.labels}, .count = num_samples,
                          .item = my_item);
}
