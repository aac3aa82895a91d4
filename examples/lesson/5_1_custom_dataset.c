/* 5.1 A data set of one's own: how many items there are, and what item i is. */
#include <facula.h>

typedef struct CustomDataset {
    fa_tensor *data, *labels;
} CustomDataset;

static bool get_item(void *user, int64_t idx, fa_sample *sample)
{
    CustomDataset *self = user;
    return fa_sample_row(sample, self->data, idx) && fa_sample_row(sample, self->labels, idx);
}

static fa_dataset *custom_dataset(fa_tensor *data, fa_tensor *labels)
{
    CustomDataset self = {data, labels};
    return fa_dataset_new(&self, .size = sizeof self, .tensors = {&self.data, &self.labels}, .count = fa_size(data, 0),
                          .item = get_item);
}

int main(void)
{
    fa_tensor *data = fa_view(fa_arange(6.), 3, 2), *labels = fa_tensor_of_as(FA_INT64, FA_SHAPE(3), 4, 5, 6);
    fa_dataset *d = custom_dataset(data, labels);
    fa_batch item = fa_dataset_get(d, 1);
    printf("%d (%s, %s)\n", (int)fa_length(d), fa_str(item.images), fa_str(item.labels));

    fa_free(d);
    return fa_exit_status(stderr);
}
