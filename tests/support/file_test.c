/* What tests of files share. */
#include "support/file_test.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

tempdir folder;

int make_folder(void **state)
{
    (void)state;
    folder = tempdir_new();
    return 0;
}

int remove_folder(void **state)
{
    (void)state;
    tempdir_free(&folder);
    return 0;
}

int nothing_left(void **state)
{
    (void)state;
    const bool fine = fa_module_live_count() == 0 && fa_value_live_count() == 0;
    fa_clear_error();
    return fine ? 0 : -1;
}

void assert_fine(void)
{
    assert_string_equal(fa_error(), "");
}

const char *error_text(void)
{
    static char text[8192];
    snprintf(text, sizeof text, "%s", fa_error());
    assert_true(text[0] != '\0');
    fa_clear_error();
    return text;
}

const char *golden_pth(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "tests/golden/pth/%s%s", name, strchr(name, '.') != NULL ? "" : ".pth");
    return source_path(path);
}

fa_value *load_with(fa_value *(*read)(const fa_open_file *file), const char *path, bool mmap)
{
    fa_open_file file = {.fd = open(path, O_RDONLY), .path = path, .what = "load", .where = FA_HERE, .mmap = mmap};
    assert_true(file.fd >= 0);
    file.bytes = (uint64_t)lseek(file.fd, 0, SEEK_END);
    fa_value *value = read(&file);
    close(file.fd);
    return value;
}
