/* 3.2 Average pooling: the mean of each 2x2 window. */
#include <facula.h>

int main(void)
{
    /* As before (3.1) */
    fa_tensor *x = fa_tensor_of(FA_SHAPE(1, 1, 4, 4), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);

    fa_tensor *y = fa_avg_pool2d(x, .kernel_size = 2, .stride = 2);
    fa_print(y);
    return fa_exit_status(stderr);
}
