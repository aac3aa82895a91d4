/* Files: plain values (what a checkpoint is made of), and reading and writing them.
 *
 *     fa_save(fa_dict("epoch", epoch, "model_state_dict", fa_state_dict(model), "loss", loss), "checkpoint.pth");
 *
 *     fa_value *checkpoint = fa_load("checkpoint.pth");
 *     int64_t epoch = fa_get_int(checkpoint, "epoch");
 *     double loss = fa_get_float(checkpoint, "loss");
 *
 * Ownership. A value belongs to the scope in which it was made, as a tensor does, and ends with it; in the root scope
 * at fa_shutdown() or the end of the thread. fa_free(value) ends it earlier. A container holds what was put into it;
 * the child that fa_get gives is the container's, and lives as long as that (or as the child's own scope).
 * fa_value_retain(value) makes the program itself a holder, to be ended by one more fa_free(value). A use after the end
 * is an error with a message. Values may be read on any thread; who changes one must be alone with it.
 *
 * Tensors in a value are the tensors that were put in, not copies (a computed one gives its numbers, without history).
 *
 * Untrusted files. Nothing in a file is ever executed. What is not known to be plain data is refused by name, and every
 * length, offset, checksum and depth is checked before anything is allocated. */
#ifndef FACULA_FILES_H
#define FACULA_FILES_H

#include "facula/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

struct fa_module;                 /* nn.h */
typedef struct fa_value fa_value; /* an opaque handle; never dereferenced */

/* ---- What a value is --------------------------------------------------------------------------------------------- */

typedef enum fa_value_kind {
    FA_VALUE_INVALID = 0, /* of NULL, and of a value that has ended */
    FA_VALUE_NONE,
    FA_VALUE_BOOL,
    FA_VALUE_INT,
    FA_VALUE_FLOAT,
    FA_VALUE_STRING, /* UTF-8, may hold zero bytes */
    FA_VALUE_BYTES,
    FA_VALUE_LIST,
    FA_VALUE_TUPLE,
    FA_VALUE_DICT, /* keeps the order in which keys were first put */
    FA_VALUE_TENSOR,
    FA_VALUE_OBJECT /* the record of a pickled object: class and attributes, nothing that runs; without attributes
                     * (fa_attributes gives NULL): the name of a class or function alone */
} fa_value_kind;

/* Python has more types than there are kinds; what a value of a kind was (or shall be) there. */
typedef enum fa_value_flavour {
    FA_FLAVOUR_PLAIN = 0,
    FA_FLAVOUR_ORDERED_DICT, /* DICT: collections.OrderedDict */
    FA_FLAVOUR_COUNTER,      /* DICT: collections.Counter */
    FA_FLAVOUR_SET,          /* LIST: set */
    FA_FLAVOUR_SIZE,         /* TUPLE: torch.Size */
    FA_FLAVOUR_BYTEARRAY,    /* BYTES: bytearray */
    FA_FLAVOUR_PYTHON2,      /* STRING, BYTES: str of Python 2; STRING if it is valid UTF-8 */
    FA_FLAVOUR_BIG           /* INT: beyond 64 bits; fa_as_string gives its decimal digits */
} fa_value_flavour;

FA_API fa_value_kind fa_kind_of(const fa_value *value);
FA_API fa_value_flavour fa_flavour_of(const fa_value *value);
/* "dict", "OrderedDict", "int", "tensor", ...: for messages. */
FA_API const char *fa_kind_name(const fa_value *value);

/* ---- Making values ----------------------------------------------------------------------------------------------- */

FA_API fa_value *fa_value_none_at(fa_where where);
FA_API fa_value *fa_value_bool_at(bool x, fa_where where);
FA_API fa_value *fa_value_int_at(int64_t x, fa_where where);
FA_API fa_value *fa_value_uint_at(uint64_t x, fa_where where);
FA_API fa_value *fa_value_float_at(double x, fa_where where);
FA_API fa_value *fa_value_string_at(const char *text, fa_where where);
FA_API fa_value *fa_value_text_at(const char *text, int64_t length, fa_where where); /* may hold zero bytes */
FA_API fa_value *fa_value_bytes_at(const void *data, int64_t length, fa_where where);
/* A string of a file's name, which may be any bytes: those that are no UTF-8 stand in it as in Python's os.fsdecode,
 * U+DC00 + byte. fa_as_path gives the name back. */
FA_API fa_value *fa_value_path_at(const char *path, fa_where where);
FA_API fa_value *fa_value_tensor_at(fa_tensor *tensor, fa_where where);
/* The value itself, so that fa_dict takes both; NULL raises an error. */
FA_API fa_value *fa_value_same_at(fa_value *value, fa_where where);
/* Empty containers, of a kind and flavour. */
FA_API fa_value *fa_container_at(fa_value_kind kind, fa_value_flavour flavour, fa_where where);
/* An object without attributes: fa_value_object_at("torch.nn.modules.linear", "Linear", FA_HERE). */
FA_API fa_value *fa_value_object_at(const char *module, const char *class_name, fa_where where);
/* Of n entries, a dict's being key, value, key, value, ... The new value holds them. */
FA_API fa_value *fa_dict_of_at(int64_t n, fa_value *const *x, fa_where where);
FA_API fa_value *fa_list_of_at(int64_t n, fa_value *const *x, fa_where where);
FA_API fa_value *fa_tuple_of_at(int64_t n, fa_value *const *x, fa_where where);

#define fa_value_none() fa_value_none_at(FA_HERE)
#define fa_value_bool(x) fa_value_bool_at((x), FA_HERE)
#define fa_value_int(x) fa_value_int_at((x), FA_HERE)
#define fa_value_float(x) fa_value_float_at((x), FA_HERE)
#define fa_value_string(text) fa_value_string_at((text), FA_HERE)
#define fa_value_bytes(data, length) fa_value_bytes_at((data), (length), FA_HERE)
#define fa_value_path(path) fa_value_path_at((path), FA_HERE)
#define fa_value_tensor(tensor) fa_value_tensor_at((tensor), FA_HERE)

/* A value of anything plain: bool, integers, float, double, char *, fa_tensor *, fa_value *. In C17 `true` and `false`
 * are ints; write (bool)true where the difference matters to the reader. */
#define fa_value_of(x)                                                                                                 \
    _Generic((x), bool                                                                                                 \
             : fa_value_bool_at, char                                                                                  \
             : fa_value_int_at, signed char                                                                            \
             : fa_value_int_at, unsigned char                                                                          \
             : fa_value_int_at, short                                                                                  \
             : fa_value_int_at, unsigned short                                                                         \
             : fa_value_int_at, int                                                                                    \
             : fa_value_int_at, unsigned                                                                               \
             : fa_value_int_at, long                                                                                   \
             : fa_value_int_at, long long                                                                              \
             : fa_value_int_at, unsigned long                                                                          \
             : fa_value_uint_at, unsigned long long                                                                    \
             : fa_value_uint_at, float                                                                                 \
             : fa_value_float_at, double                                                                               \
             : fa_value_float_at, char *                                                                               \
             : fa_value_string_at, const char *                                                                        \
             : fa_value_string_at, fa_tensor *                                                                         \
             : fa_value_tensor_at, fa_value *                                                                          \
             : fa_value_same_at)((x), FA_HERE)

/* fa_dict("epoch", 3, "state", fa_dict("lr", 0.1), 0, "a key may be a number"): up to 16 pairs, more with fa_dict_put.
 * fa_list(1, 2.5, "three") and fa_tuple(0.9, 0.999): 1 to 32 items. Empty ones: fa_dict_new(), fa_list_new(). */
#define fa_dict_new() fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, FA_HERE)
#define fa_list_new() fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, FA_HERE)
#define fa_dict(...) fa_dict_of_at(FA_COUNT_(__VA_ARGS__), FA_VALUES_(__VA_ARGS__), FA_HERE)
#define fa_list(...) fa_list_of_at(FA_COUNT_(__VA_ARGS__), FA_VALUES_(__VA_ARGS__), FA_HERE)
#define fa_tuple(...) fa_tuple_of_at(FA_COUNT_(__VA_ARGS__), FA_VALUES_(__VA_ARGS__), FA_HERE)

/* Puts a pair into a dict (an equal key's value is replaced; 1, 1.0 and true are equal), an item into a list or set.
 * Return the container, or NULL after an error. */
FA_API fa_value *fa_dict_put_at(fa_value *dict, fa_value *key, fa_value *x, fa_where where);
FA_API fa_value *fa_list_add_at(fa_value *list, fa_value *x, fa_where where);
#define fa_dict_put(dict, key, x) fa_dict_put_at((dict), fa_value_of(key), fa_value_of(x), FA_HERE)
#define fa_list_add(list, x) fa_list_add_at((list), fa_value_of(x), FA_HERE)
/* Attributes: of an object its state, of an OrderedDict what was set on it (`_metadata`). A dict that the value holds,
 * or NULL, without an error, when there is none. */
FA_API fa_value *fa_attributes_at(fa_value *value, fa_where where);
FA_API bool fa_set_attributes_at(fa_value *value, fa_value *dict, fa_where where);
#define fa_attributes(value) fa_attributes_at((value), FA_HERE)

/* ---- Reading values ---------------------------------------------------------------------------------------------- */

/* The entry of a dict by key, of a list or tuple by number (negative: from the end). NULL after an error, which lists
 * what keys there are. The result is the container's. A key is a string or an integer. */
typedef struct fa_key {
    const char *text; /* NULL: the number */
    int64_t number;
} fa_key;
FA_API fa_value *fa_get_at(fa_value *value, fa_key key, fa_where where);
FA_API bool fa_has_at(fa_value *value, fa_key key, fa_where where);
#define fa_get(value, key) fa_get_at((value), fa_key_of(key), FA_HERE)
#define fa_has(value, key) fa_has_at((value), fa_key_of(key), FA_HERE)
/* Entries of a dict, list or tuple, bytes of a string, elements of a tensor; 0 of anything else. */
FA_API int64_t fa_len(const fa_value *value);
/* In order: key and value of the i-th entry of a dict, item i of a list or tuple. The container's own. */
FA_API fa_value *fa_key_at(fa_value *dict, int64_t i);
FA_API fa_value *fa_value_at(fa_value *container, int64_t i);

/* A value as a C value; an error names what was found. Numbers convert where nothing is lost (a bool is an int, an int
 * a float, 3.0 an int), and a tensor of one element is its element. Strings and bytes live as long as the value. */
FA_API int64_t fa_as_int_at(fa_value *value, fa_where where);
FA_API double fa_as_float_at(fa_value *value, fa_where where);
FA_API bool fa_as_bool_at(fa_value *value, fa_where where);
FA_API const char *fa_as_string_at(fa_value *value, fa_where where); /* ends with a zero byte; NULL after an error */
FA_API const void *fa_as_bytes_at(fa_value *value, int64_t *length, fa_where where);
/* The file's name that a string of fa_value_path, or of Python's os.fsdecode, stands for; lives in the current scope.
 */
FA_API const char *fa_as_path_at(fa_value *value, fa_where where);
/* A handle in the current scope. Tensors that lie apart in memory or in a type that is not computed in here (int8,
 * int16, uint16: int32; uint32, uint64: int64) are converted when they are first asked for. */
FA_API fa_tensor *fa_as_tensor_at(fa_value *value, fa_where where);
#define fa_as_int(value) fa_as_int_at((value), FA_HERE)
#define fa_as_float(value) fa_as_float_at((value), FA_HERE)
#define fa_as_bool(value) fa_as_bool_at((value), FA_HERE)
#define fa_as_string(value) fa_as_string_at((value), FA_HERE)
#define fa_as_bytes(value, length) fa_as_bytes_at((value), (length), FA_HERE)
#define fa_as_path(value) fa_as_path_at((value), FA_HERE)
#define fa_as_tensor(value) fa_as_tensor_at((value), FA_HERE)

/* The same of an entry; an error names the key. */
FA_API int64_t fa_get_int_at(fa_value *value, fa_key key, fa_where where);
FA_API double fa_get_float_at(fa_value *value, fa_key key, fa_where where);
FA_API bool fa_get_bool_at(fa_value *value, fa_key key, fa_where where);
FA_API const char *fa_get_string_at(fa_value *value, fa_key key, fa_where where);
FA_API fa_tensor *fa_get_tensor_at(fa_value *value, fa_key key, fa_where where);
#define fa_get_int(value, key) fa_get_int_at((value), fa_key_of(key), FA_HERE)
#define fa_get_float(value, key) fa_get_float_at((value), fa_key_of(key), FA_HERE)
#define fa_get_bool(value, key) fa_get_bool_at((value), fa_key_of(key), FA_HERE)
#define fa_get_string(value, key) fa_get_string_at((value), fa_key_of(key), FA_HERE)
#define fa_get_tensor(value, key) fa_get_tensor_at((value), fa_key_of(key), FA_HERE)

/* Of an object: "torch.nn.modules.conv" and "Conv2d"; NULL of anything else. */
FA_API const char *fa_object_module(const fa_value *value);
FA_API const char *fa_object_class(const fa_value *value);

/* ---- Texts of the current scope -----------------------------------------------------------------------------------
 */

/* Strings for printf and paths: they end with the scope, as values do, and need not be freed. "" after an error.
 *
 *     printf("images %s, labels %s\n", fa_str(fa_shape_of(b.images)), fa_str(b.labels));
 *     fa_save(state, fa_format("checkpoints/epoch_%d.pth", epoch + 1));
 *
 * fa_str(x) is str(x) of a tensor, a shape (torch.Size([64, 1, 28, 28])) or a module; fa_format takes what printf
 * takes.
 */
FA_API const char *fa_tensor_str_at(fa_tensor *tensor, fa_where where);
FA_API const char *fa_shape_str_at(fa_shape shape, fa_where where);
FA_API const char *fa_module_str_at(struct fa_module *module, fa_where where);
FA_API const char *fa_format_at(fa_where where, const char *format, ...) FA_PRINTF_(2, 3);
#define fa_str(x)                                                                                                      \
    _Generic((x), fa_tensor *                                                                                          \
             : fa_tensor_str_at, fa_shape                                                                              \
             : fa_shape_str_at, struct fa_module *                                                                     \
             : fa_module_str_at)((x), FA_HERE)
#define fa_format(...) fa_format_at(FA_HERE, __VA_ARGS__)

/* ---- Lifetime ---------------------------------------------------------------------------------------------------- */

FA_API fa_value *fa_value_retain(fa_value *value); /* returns it */
FA_API void fa_value_free(fa_value *value);        /* fa_free */
/* Values alive that the program retained. */
FA_API int64_t fa_value_live_count(void);

/* ---- Loading ----------------------------------------------------------------------------------------------------- */

typedef struct fa_load_args {
    char begin_;
    const char *path;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool mmap; /* tensors lie in the mapped file, read as they are used; checksums are not looked at */
} fa_load_args;
/* What torch.save, safetensors or numpy.save wrote, told apart by content, never by name. Tensors of other devices come
 * to the CPU, tensors that share a storage share it here. NULL after an error, which names the file and what is wrong
 * with it. With .mmap the file must not be changed while the tensors live (writes to the tensors do not reach it); if
 * it shrinks, the next call that uses the library says so. */
FA_API fa_value *fa_load_at(const fa_load_args *args) FA_WARN_UNUSED;
#define fa_load(...) FA_CALL_(fa_load_at, fa_load_args, .begin_ = 0, __VA_ARGS__)

/* ---- Saving ------------------------------------------------------------------------------------------------------ */

/* fa_save(x, path): x is a value, a tensor or a module (a whole model, nn.h). The ending of the path decides:
 *
 *     .safetensors   a dict of tensors, as the safetensors package writes it
 *     .npy           one tensor, as numpy.save writes it
 *     any other      what torch.save writes, for torch.load with its defaults (weights_only=True)
 *
 * The file is written beside its place, flushed to the disk and then takes its name: whatever fails, and whenever the
 * process is killed, the path holds the old file or the new one, whole. Equal values give equal bytes. A tensor brings
 * its own elements alone; tensors with the very same elements in memory (tied weights) share them in a .pth file too.
 * Gradients, history and devices are not saved. False after an error, or while one is set. */
FA_API bool fa_save_value_at(fa_value *value, const char *path, fa_where where);
FA_API bool fa_save_tensor_at(fa_tensor *tensor, const char *path, fa_where where);
FA_API bool fa_save_module_at(struct fa_module *module, const char *path, fa_where where);
#define fa_save(x, path)                                                                                               \
    _Generic((x), fa_value *                                                                                           \
             : fa_save_value_at, fa_tensor *                                                                           \
             : fa_save_tensor_at, struct fa_module *                                                                   \
             : fa_save_module_at)((x), (path), FA_HERE)

/* ---- What a tensor is in its file -------------------------------------------------------------------------------- */

typedef struct fa_tensor_info {
    const char *dtype; /* PyTorch's word: "int16", also for types that become others here */
    fa_shape shape;
    int64_t elements, bytes;
    const void *data, *storage; /* where it lies in memory, and in what: tied tensors have both in common */
    bool contiguous, requires_grad;
    bool parameter; /* an nn.Parameter */
} fa_tensor_info;
/* Nothing is converted and no element is read. False after an error. */
FA_API bool fa_tensor_info_at(fa_value *tensor, fa_tensor_info *info, fa_where where);

typedef struct fa_tensor_range {
    double least, most; /* infinities included; NaN where there is nothing but NaN, no element, or no order (complex) */
    int64_t nan, infinite;
} fa_tensor_range;
/* Reads all elements. False after an error. */
FA_API bool fa_tensor_range_at(fa_value *tensor, fa_tensor_range *range, fa_where where);

/* ---- Counting arguments ------------------------------------------------------------------------------------------ */

#define fa_key_of(key)                                                                                                 \
    _Generic((key), char * : fa_text_key_, const char * : fa_text_key_, default : fa_number_key_)((key))
static inline fa_key fa_text_key_(const char *text)
{
    fa_key key = {text, 0};
    if (text == 0)
        key.text = "";
    return key;
}
static inline fa_key fa_number_key_(int64_t number)
{
    fa_key key = {0, number};
    return key;
}

#define FA_COUNT_(...)                                                                                                 \
    FA_PICK_33_(__VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11,   \
                10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define FA_VALUES_(...)                                                                                                \
    ((fa_value *[]){FA_PICK_33_(__VA_ARGS__, FA_V32_, FA_V31_, FA_V30_, FA_V29_, FA_V28_, FA_V27_, FA_V26_, FA_V25_,   \
                                FA_V24_, FA_V23_, FA_V22_, FA_V21_, FA_V20_, FA_V19_, FA_V18_, FA_V17_, FA_V16_,       \
                                FA_V15_, FA_V14_, FA_V13_, FA_V12_, FA_V11_, FA_V10_, FA_V9_, FA_V8_, FA_V7_, FA_V6_,  \
                                FA_V5_, FA_V4_, FA_V3_, FA_V2_, FA_V1_, 0)(__VA_ARGS__)})
#define FA_PICK_33_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21,    \
                    a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, picked, ...)                                \
    picked
#define FA_V1_(x) fa_value_of(x)
#define FA_V2_(x, ...) fa_value_of(x), FA_V1_(__VA_ARGS__)
#define FA_V3_(x, ...) fa_value_of(x), FA_V2_(__VA_ARGS__)
#define FA_V4_(x, ...) fa_value_of(x), FA_V3_(__VA_ARGS__)
#define FA_V5_(x, ...) fa_value_of(x), FA_V4_(__VA_ARGS__)
#define FA_V6_(x, ...) fa_value_of(x), FA_V5_(__VA_ARGS__)
#define FA_V7_(x, ...) fa_value_of(x), FA_V6_(__VA_ARGS__)
#define FA_V8_(x, ...) fa_value_of(x), FA_V7_(__VA_ARGS__)
#define FA_V9_(x, ...) fa_value_of(x), FA_V8_(__VA_ARGS__)
#define FA_V10_(x, ...) fa_value_of(x), FA_V9_(__VA_ARGS__)
#define FA_V11_(x, ...) fa_value_of(x), FA_V10_(__VA_ARGS__)
#define FA_V12_(x, ...) fa_value_of(x), FA_V11_(__VA_ARGS__)
#define FA_V13_(x, ...) fa_value_of(x), FA_V12_(__VA_ARGS__)
#define FA_V14_(x, ...) fa_value_of(x), FA_V13_(__VA_ARGS__)
#define FA_V15_(x, ...) fa_value_of(x), FA_V14_(__VA_ARGS__)
#define FA_V16_(x, ...) fa_value_of(x), FA_V15_(__VA_ARGS__)
#define FA_V17_(x, ...) fa_value_of(x), FA_V16_(__VA_ARGS__)
#define FA_V18_(x, ...) fa_value_of(x), FA_V17_(__VA_ARGS__)
#define FA_V19_(x, ...) fa_value_of(x), FA_V18_(__VA_ARGS__)
#define FA_V20_(x, ...) fa_value_of(x), FA_V19_(__VA_ARGS__)
#define FA_V21_(x, ...) fa_value_of(x), FA_V20_(__VA_ARGS__)
#define FA_V22_(x, ...) fa_value_of(x), FA_V21_(__VA_ARGS__)
#define FA_V23_(x, ...) fa_value_of(x), FA_V22_(__VA_ARGS__)
#define FA_V24_(x, ...) fa_value_of(x), FA_V23_(__VA_ARGS__)
#define FA_V25_(x, ...) fa_value_of(x), FA_V24_(__VA_ARGS__)
#define FA_V26_(x, ...) fa_value_of(x), FA_V25_(__VA_ARGS__)
#define FA_V27_(x, ...) fa_value_of(x), FA_V26_(__VA_ARGS__)
#define FA_V28_(x, ...) fa_value_of(x), FA_V27_(__VA_ARGS__)
#define FA_V29_(x, ...) fa_value_of(x), FA_V28_(__VA_ARGS__)
#define FA_V30_(x, ...) fa_value_of(x), FA_V29_(__VA_ARGS__)
#define FA_V31_(x, ...) fa_value_of(x), FA_V30_(__VA_ARGS__)
#define FA_V32_(x, ...) fa_value_of(x), FA_V31_(__VA_ARGS__)

#ifdef __cplusplus
}
#endif
#endif
