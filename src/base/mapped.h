/* Files mapped into memory, and what happens when one becomes shorter meanwhile.
 *
 * A page of a mapping that lies beyond the file's end cannot be read: the system sends SIGBUS, which ends a process.
 * While mappings live, a handler stands in the way: for an address inside one of them it puts a page of zeros there and
 * notes that the mapping is broken, and the next call that asks (fa_mapped_check) raises an error. For any other
 * address it passes the signal on to the handler that was there before. The handler is installed with the first mapping
 * and taken away with the last one, unless a later handler has been put above it, which then may still call it. */
#ifndef FA_BASE_MAPPED_H
#define FA_BASE_MAPPED_H

#include "base/error.h"
#include "base/memory.h"

/* The first `bytes` of an open file, private: writes to them stay here. NULL after an error, which calls it `path`. */
fa_buffer *fa_map_file(int file, size_t bytes, const char *path, const char *what, fa_where where);
/* False when the buffer is a mapping (or lies in one) that is broken. */
bool fa_mapped_intact(const fa_buffer *buffer);

/* Mappings that broke and have not been reported. */
extern atomic_int fa_mapped_broken;
bool fa_mapped_report(fa_where where);
/* True unless a mapping broke since the last call; then raises an error at `where`. */
static inline bool fa_mapped_check(fa_where where)
{
    return __builtin_expect(atomic_load_explicit(&fa_mapped_broken, memory_order_relaxed) == 0, 1) ||
           fa_mapped_report(where);
}

#endif
