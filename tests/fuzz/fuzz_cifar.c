/* CIFAR's files: pickles, which begin with 0x80, as images and as names of classes, and records. */
#include "fuzz_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const bool pickle = size > 0 && data[0] == 0x80;
    const char *const ten = pickle ? "test_batch" : "test_batch.bin", *const hundred = pickle ? "test" : "test.bin";
    fuzz_write(ten, data, size);
    fuzz_dataset(fa_cifar10(fuzz_folder, .train = false));
    fuzz_write(hundred, data, size);
    fuzz_dataset(fa_cifar100(fuzz_folder, .train = false));
    fuzz_dataset(fa_cifar100(fuzz_folder, .train = false, .coarse = true));
    const char *const meta = pickle ? "batches.meta" : "batches.meta.txt";
    fuzz_write(meta, data, size);
    fuzz_dataset(fa_cifar10(fuzz_folder, .train = false));
    fuzz_unlink(meta);
    fuzz_unlink(ten);
    fuzz_unlink(hundred);
    return 0;
}
