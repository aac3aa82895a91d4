/* fa_load: what a file is, by its first bytes. */
#include "base/error.h"
#include "base/mapped.h"
#include "files/foreign.h"
#include "files/pth_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static fa_value *load_open(const fa_open_file *file)
{
    uint8_t head[FA_FOREIGN_HEAD] = {0};
    const size_t count = file->bytes < sizeof head ? (size_t)file->bytes : sizeof head;
    if (!fa_file_read(file, head, 0, count))
        return NULL;
    if (fa_is_pth_zip(head, count))
        return fa_pth_load(file);
    if (fa_is_pth_legacy(head, count))
        return fa_pth_legacy_load(file);
    if (fa_is_npy(head, count))
        return fa_npy_load(file);
    if (fa_is_safetensors(head, count, file->bytes))
        return fa_safetensors_load(file);
    return fa_refuse_foreign(file, head, count);
}

static int open_file(const fa_load_args *args, uint64_t *bytes)
{
    int fd = open(args->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer would wait for ever */
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        fa_fail(FA_FILE_ERROR, args->where_, "load", "could not open %s: %s.", args->path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        fa_fail(FA_FILE_ERROR, args->where_, "load", "%s is %s, needs a file.", args->path,
                S_ISDIR(st.st_mode) ? "a folder" : "no ordinary file");
    } else if (st.st_size == 0) {
        fa_fail(FA_FILE_ERROR, args->where_, "load", "%s is empty. Hint: fetch or save it again.", args->path);
    } else {
        *bytes = (uint64_t)st.st_size;
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

fa_value *fa_load_at(const fa_load_args *args)
{
    fa_begin(args->where_);
    if (!fa_ok() || !fa_mapped_check(args->where_))
        return NULL;
    if (args->path == NULL || args->path[0] == '\0') {
        fa_fail(FA_VALUE_ERROR, args->where_, "load", "got no path, needs the name of a file.");
        return NULL;
    }
    fa_open_file file = {.path = args->path, .what = "load", .where = args->where_, .mmap = args->mmap};
    file.fd = open_file(args, &file.bytes);
    if (file.fd < 0)
        return NULL;
    fa_value *value = load_open(&file);
    close(file.fd);
    return value;
}
