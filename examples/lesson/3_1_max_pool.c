/* 3.1 Max pooling: the greatest number of each 2x2 window. */
#include <facula.h>

int main(void)
{
    /* A matrix of 4x4, as [batch, channels, height, width] */
    fa_tensor *x = fa_tensor_of(FA_SHAPE(1, 1, 4, 4), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);

    /* Windows of 2x2 that move by 2: none overlaps another, and each side is halved. */
    fa_tensor *y = fa_max_pool2d(x, .kernel_size = 2, .stride = 2);
    fa_print(y);
    return fa_exit_status(stderr);
}
