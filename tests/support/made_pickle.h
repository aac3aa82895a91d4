/* Pickles and .pth files that are put together opcode by opcode. */
#ifndef FA_TESTS_MADE_PICKLE_H
#define FA_TESTS_MADE_PICKLE_H

#include "support/file_test.h"

#include "files/zip_writer.h"

#include <string.h>

typedef struct pickled {
    char bytes[8192];
    size_t length;
} pickled;

static inline void add(pickled *p, const void *bytes, size_t length)
{
    assert_true(p->length + length <= sizeof p->bytes);
    memcpy(p->bytes + p->length, bytes, length);
    p->length += length;
}

#define ADD(p, literal) add((p), (literal), sizeof(literal) - 1)

static inline void add_number(pickled *p, int64_t x)
{
    char bytes[10] = "\x8a\x08";
    memcpy(bytes + 2, &x, 8);
    add(p, bytes, sizeof bytes);
}

static inline void add_text(pickled *p, const char *text)
{
    const uint32_t length = (uint32_t)strlen(text);
    ADD(p, "X");
    add(p, &length, 4);
    add(p, text, length);
}

static inline void add_name(pickled *p, const char *module, const char *name)
{
    ADD(p, "c");
    add(p, module, strlen(module));
    ADD(p, "\n");
    add(p, name, strlen(name));
    ADD(p, "\n");
}

/* A contiguous row out of the storage `key` of a class in torch. */
static inline void add_row_of(pickled *p, const char *class_name, const char *key, const char *location, int64_t stored,
                              int64_t offset, int64_t length)
{
    const bool untyped = strcmp(class_name, "UntypedStorage") == 0;
    add_name(p, "torch._utils", untyped ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
    ADD(p, "((");
    add_text(p, "storage");
    add_name(p, untyped ? "torch.storage" : "torch", class_name);
    add_text(p, key);
    add_text(p, location);
    add_number(p, stored);
    ADD(p, "tQ");
    add_number(p, offset);
    add_number(p, length);
    ADD(p, "\x85K\x01\x85\x89");
    add_name(p, "collections", "OrderedDict");
    ADD(p, ")R");
    if (untyped)
        add_name(p, "torch", "uint16");
    ADD(p, "tR");
}

static inline void add_row(pickled *p, const char *key, const char *location, int64_t stored, int64_t offset,
                           int64_t length)
{
    add_row_of(p, "FloatStorage", key, location, stored, offset, length);
}

/* The file of torch.save with this pickle and these records (NULL: without it); its path. */
static inline const char *save_archive(const pickled *p, const char *byteorder, const char *version,
                                       const void *storage, size_t bytes)
{
    const char *path = tempdir_file(&folder, "made.pth");
    fa_atomic_file file;
    fa_zip_writer zip;
    assert_true(fa_atomic_open(&file, path, "save", FA_HERE));
    fa_zip_begin(&zip, &file);
    fa_zip_record(&zip, "data.pkl", p->bytes, p->length);
    if (byteorder != NULL)
        fa_zip_record(&zip, "byteorder", byteorder, strlen(byteorder));
    if (storage != NULL)
        fa_zip_record(&zip, "data/0", storage, bytes);
    if (version != NULL)
        fa_zip_record(&zip, "version", version, strlen(version));
    assert_true(fa_zip_end(&zip));
    fa_zip_free(&zip);
    assert_true(fa_atomic_commit(&file));
    return path;
}

static inline const char *save_pickle(const pickled *p, const float *storage, size_t elements)
{
    return save_archive(p, "little", "3\n", storage, elements * sizeof *storage);
}

static inline fa_value *load_pickle(const pickled *p)
{
    return fa_load(save_pickle(p, NULL, 0));
}

typedef struct literal {
    const char *bytes;
    size_t length;
} literal;

#define VALUE(bytes)                                                                                                   \
    {                                                                                                                  \
        bytes, sizeof(bytes) - 1                                                                                       \
    }

#endif
