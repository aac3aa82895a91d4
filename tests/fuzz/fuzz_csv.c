/* Lists of pictures, the first byte of which says how they are read. */
#include "fuzz_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char picture[] = "P5 1 1 255\n7";
    if (size == 0)
        return 0;
    char list[96];
    fuzz_write("a", (const uint8_t *)picture, sizeof picture - 1);
    fuzz_write("list.csv", data + 1, size - 1);
    snprintf(list, sizeof list, "%s/list.csv", fuzz_folder);
    const int how = data[0] % 4;
    static const char *const names[] = {"cat", "dog"};
    const fa_names classes = {how == 3 ? names : NULL, how == 3 ? 2 : 0};
    fuzz_dataset(fa_csv_images(list, .header = how == 3 ? -1 : how - 1, .classes = classes));
    return 0;
}
