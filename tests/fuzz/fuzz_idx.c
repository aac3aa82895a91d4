/* The reader of IDX files, packed or not, as images and as labels. */
#include "fuzz_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t image[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 7, 8};
    static const uint8_t label[] = {0, 0, 8, 1, 0, 0, 0, 2, 3, 4};
    fuzz_write("train-images-idx3-ubyte", data, size);
    fuzz_write("train-labels-idx1-ubyte", label, sizeof label);
    fuzz_dataset(fa_mnist(fuzz_folder));
    fuzz_write("train-images-idx3-ubyte", image, sizeof image);
    fuzz_write("train-labels-idx1-ubyte", data, size);
    fuzz_dataset(fa_mnist(fuzz_folder));
    return 0;
}
