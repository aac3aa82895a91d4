/* 5.1 The data set of 5_1_simple_image_dataset.h: its length, and one of its items. */
#include "5_1_simple_image_dataset.h"

int main(void)
{
    fa_manual_seed(0);
    fa_dataset *dataset = simple_image_dataset(1000);
    printf("Nombre d'exemples : %d\n", (int)fa_length(dataset));

    fa_batch item = fa_dataset_get(dataset, 0);
    printf("Shape de l'image : %s\n", fa_str(fa_shape_of(item.images)));
    printf("Label : %.0f\n", fa_item(item.labels));

    fa_free(dataset);
    return fa_exit_status(stderr);
}
