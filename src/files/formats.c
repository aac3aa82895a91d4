/* What readers and writers of the smaller formats share. */
#include "files/formats.h"

#include "base/error.h"
#include "base/mapped.h"
#include "files/atomic.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

bool fa_file_read(const fa_open_file *file, void *to, uint64_t offset, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        size_t piece = bytes - done < (size_t)1 << 30 ? bytes - done : (size_t)1 << 30;
        ssize_t got = pread(file->fd, (char *)to + done, piece, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fa_fail(FA_FILE_ERROR, file->where, file->what, "could not read %s: %s.", file->path,
                           strerror(errno));
        if (got == 0)
            return fa_fail(FA_FILE_ERROR, file->where, file->what,
                           "%s became shorter while it was read: it had %llu bytes, now it ends before byte %llu.",
                           file->path, (unsigned long long)file->bytes, (unsigned long long)(offset + bytes));
        done += (size_t)got;
    }
    return true;
}

fa_buffer *fa_file_part(const fa_open_file *file, fa_buffer **whole, uint64_t offset, size_t bytes, size_t alignment)
{
    if (file->mmap && bytes > 0 && offset % alignment == 0) {
        if (*whole == NULL)
            *whole = fa_map_file(file->fd, (size_t)file->bytes, file->path, file->what, file->where);
        if (*whole == NULL)
            return NULL;
        fa_buffer *part = fa_buffer_part(*whole, (size_t)offset, bytes);
        if (part == NULL)
            fa_fail_memory(file->where, sizeof *part);
        return part;
    }
    fa_buffer *buffer = fa_buffer_new(bytes);
    if (buffer == NULL) {
        fa_fail_memory(file->where, bytes);
    } else if (!fa_file_read(file, buffer->data, offset, bytes)) {
        fa_buffer_release(buffer);
        buffer = NULL;
    }
    return buffer;
}

bool fa_write_elements(const fa_tensor_view *view, bool (*write)(void *to, const void *data, size_t bytes), void *to,
                       fa_where where)
{
    const size_t each = fa_stored_types[view->stored].size;
    if (view->contiguous)
        return write(to, view->data, (size_t)view->elements * each);
    const int64_t room = view->elements < FA_VIEW_PART ? view->elements : FA_VIEW_PART;
    void *part = fa_malloc((size_t)room * each);
    if (part == NULL)
        return fa_fail_memory(where, (size_t)room * each);
    bool good = true;
    for (int64_t i = 0, count; good && i < view->elements; i += count) {
        count = view->elements - i < room ? view->elements - i : room;
        fa_view_copy_part(part, view, i, count);
        good = write(to, part, (size_t)count * each);
    }
    fa_mfree(part);
    return good;
}

bool fa_write_to_file(void *file, const void *data, size_t bytes)
{
    return fa_atomic_write(file, data, bytes);
}

bool fa_path_ends(const char *path, const char *ending)
{
    size_t length = strlen(path), tail = strlen(ending);
    return length >= tail && strcasecmp(path + length - tail, ending) == 0;
}

fa_stored fa_stored_of_safetensors(const char *word)
{
    for (int i = 0; i < FA_STORED_COUNT; i++)
        if (fa_stored_types[i].safetensors != NULL && strcmp(fa_stored_types[i].safetensors, word) == 0)
            return (fa_stored)i;
    return FA_STORED_COUNT;
}
