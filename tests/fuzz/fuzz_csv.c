/* Lists of pictures, the first byte of which says how they are read: all of them as a text, and, which is a hundred
 * times slower, one in four as a data set. */
#include "fuzz_files.h"

#include "base/memory.h"
#include "vision/csv_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_file(void *user, const char *path)
{
    (void)user;
    return path[0] == 'a';
}

/* Every row's fields end in the text. */
static void read_text(const uint8_t *data, size_t size, int how)
{
    char *text = fa_malloc(size + 1);
    if (text == NULL)
        return;
    memcpy(text, data, size);
    text[size] = 0;
    const fa_csv_rules rules = {.header = how == 3 ? -1 : how - 1,
                                .path_column = how == 2 ? "p" : NULL,
                                .is_file = is_file,
                                .path = "list.csv",
                                .what = "fuzz",
                                .where = FA_HERE};
    fa_csv_list list;
    const bool fine = fa_csv_list_read(&list, text, size, &rules);
    if (fine != fa_ok() || (!fine && strstr(fa_error(), "list.csv") == NULL) || (fine && list.count < 1))
        abort();
    for (int64_t i = 0; fine && i < list.count; i++) {
        const struct fa_csv_row *row = &list.row[i];
        if (row->path >= size || row->label >= size || strlen(list.text + row->path) > size - row->path ||
            strlen(list.text + row->label) > size - row->label || row->line < 1)
            abort();
    }
    fa_csv_list_end(&list);
    fa_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char picture[] = "P5 1 1 255\n7";
    if (size == 0)
        return 0;
    const int how = data[0] % 4;
    read_text(data + 1, size - 1, how);
    if (data[0] >= 64)
        return 0;
    char list[96];
    fuzz_write("a", (const uint8_t *)picture, sizeof picture - 1);
    fuzz_write("list.csv", data + 1, size - 1);
    snprintf(list, sizeof list, "%s/list.csv", fuzz_folder);
    static const char *const names[] = {"cat", "dog"};
    const fa_names classes = {how == 3 ? names : NULL, how == 3 ? 2 : 0};
    fuzz_dataset(fa_csv_images(list, .header = how == 3 ? -1 : how - 1, .classes = classes));
    return 0;
}
