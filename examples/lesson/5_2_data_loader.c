/* 5.2 A loader: batches, in a new order each time, fetched by threads. */
#include "5_1_simple_image_dataset.h"

int main(void)
{
    fa_manual_seed(0);
    fa_dataset *dataset = simple_image_dataset(1000);

    fa_loader *dataloader = fa_data_loader(dataset, .batch_size = 32, /* pictures in a batch */
                                           .shuffle = true,           /* another order each time */
                                           .num_workers = 4,          /* threads that fetch ahead */
                                           .drop_last = false /* the last batch comes too, though it has only 8 */
    );

    fa_for_each_batch (b, dataloader)
        printf("Batch %d: images shape = %s, labels shape = %s\n", (int)b.index, fa_str(fa_shape_of(b.images)),
               fa_str(fa_shape_of(b.labels)));

    fa_free(dataloader);
    return fa_exit_status(stderr);
}
