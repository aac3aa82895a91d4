/* 2.2 The size of a convolution's output: by the formula, and of the layer itself. Shapes are known without computing.
 */
#include <facula.h>

int main(void)
{
    const struct {
        int64_t size, kernel, stride, padding;
    } cases[] = {{224, 3, 1, 1}, {224, 3, 1, 0}, {224, 3, 2, 1}, {224, 7, 2, 3}, {224, 5, 1, 2},
                 {28, 5, 1, 0},  {28, 3, 3, 0},  {7, 3, 2, 0},   {8, 3, 2, 0},   {9, 4, 3, 2}};

    printf("input  kernel  stride  padding   formula  layer\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t size = cases[i].size, kernel = cases[i].kernel, stride = cases[i].stride, padding = cases[i].padding;
        int64_t formula = (size + 2 * padding - kernel) / stride + 1;

        fa_module *conv = fa_nn_conv2d(3, 8, kernel, .stride = stride, .padding = padding);
        fa_tensor *y = fa_forward(conv, fa_empty(1, 3, size, size));
        printf("%5d  %6d  %6d  %7d  %8d  %5d\n", (int)size, (int)kernel, (int)stride, (int)padding, (int)formula,
               (int)fa_size(y, 2));
        fa_free(conv);
    }
    return fa_exit_status(stderr);
}
