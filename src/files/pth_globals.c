/* The names that a .pth file may ask for, and what each stands for here. Nothing else is known. */
#include "files/pth_reader.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* ---- Storages and tensors -----------------------------------------------------------------------------------------
 */

static void end_storage(void *data)
{
    fa_pth_storage *storage = data;
    fa_storage_release(storage->storage);
    fa_mfree(storage);
}

fa_cell *fa_pth_storage_cell(fa_pickle_reader *reader, const fa_pth_storage *storage)
{
    fa_pth_storage *copy = fa_malloc(sizeof *copy);
    fa_cell *cell = copy != NULL ? fa_cell_new(FA_CELL_PRIVATE, 0, reader->where) : NULL;
    if (cell == NULL) {
        fa_fail_memory(reader->where, sizeof *copy);
        fa_mfree(copy);
        fa_storage_release(storage->storage);
        return NULL;
    }
    *copy = *storage;
    cell->as.private.data = copy;
    cell->as.private.end = end_storage;
    return cell;
}

static const fa_pth_storage *storage_of(const fa_cell *cell)
{
    return cell != NULL && cell->kind == FA_CELL_PRIVATE && cell->as.private.end == end_storage ? cell->as.private.data
                                                                                                : NULL;
}

static bool is_int(const fa_cell *cell)
{
    return cell != NULL && cell->kind == FA_VALUE_INT && cell->flavour != FA_FLAVOUR_BIG;
}

/* A tuple of ints into `to`; their number, -1 when it is none or too long. */
static int dims(const fa_cell *tuple, int64_t to[FA_MAX_DIMS])
{
    if (tuple == NULL || tuple->kind != FA_VALUE_TUPLE || tuple->as.entries->count > FA_MAX_DIMS)
        return -1;
    for (int64_t i = 0; i < tuple->as.entries->count; i++) {
        if (!is_int(tuple->as.entries->item[i]))
            return -1;
        to[i] = tuple->as.entries->item[i]->as.number;
    }
    return (int)tuple->as.entries->count;
}

static bool truth(const fa_cell *cell)
{
    return cell != NULL && cell->kind == FA_VALUE_BOOL && cell->as.number != 0;
}

/* `marks`, a dict: PyTorch keeps x.conj() and such as the elements of x with a mark "conj" or "neg" on the tensor. */
static bool is_marked(const fa_cell *marks, const char *mark)
{
    return marks != NULL && marks->kind == FA_VALUE_DICT && truth(fa_cell_find_text(marks, mark));
}

/* A tensor of (storage, offset, sizes, strides). `stored`: FA_STORED_COUNT: the storage's own type. */
static fa_cell *tensor(fa_pickle_reader *r, const fa_cell *args, fa_stored stored, bool requires_grad,
                       const fa_cell *marks)
{
    const fa_pth_storage *storage = storage_of(fa_pickle_arg(args, 0));
    const fa_cell *offset = fa_pickle_arg(args, 1);
    if (storage == NULL || !is_int(offset))
        return fa_pickle_refuse(r, "a tensor is not made of a storage and an offset");
    if (stored == FA_STORED_COUNT)
        stored = storage->stored;
    if (stored == FA_STORED_COUNT)
        return fa_pickle_refuse(r, "a tensor of an untyped storage does not say its type");
    if (is_marked(marks, "conj") || is_marked(marks, "neg"))
        return fa_pickle_refuse(r,
                                "a tensor is a view that stands for the %s of what is stored, which is not read "
                                "here. Hint: in Python, save x.resolve_conj().resolve_neg()",
                                is_marked(marks, "conj") ? "conjugates" : "negatives");
    fa_tensor_view view = {.stored = stored, .requires_grad = requires_grad};
    int sizes = dims(fa_pickle_arg(args, 2), view.size), strides = dims(fa_pickle_arg(args, 3), view.stride);
    if (sizes < 0 || strides < 0)
        return fa_pickle_refuse(r, "a tensor's sizes and strides are not two tuples of at most %d whole numbers",
                                FA_MAX_DIMS);
    if (sizes != strides)
        return fa_pickle_refuse(r, "a tensor has %d sizes and %d strides", sizes, strides);
    view.ndim = sizes;
    if (offset->as.number < 0 || __builtin_add_overflow(offset->as.number, storage->offset, &view.offset))
        return fa_pickle_refuse(r, "a tensor has an offset of %lld elements", (long long)offset->as.number);
    char name[40];
    snprintf(name, sizeof name, "the tensor at byte %zu of %s", r->op_at - r->begin, r->part);
    return fa_cell_of_storage(storage->storage, &view, name, r->where);
}

static fa_cell *rebuild_tensor(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    (void)g;
    return tensor(r, args, FA_STORED_COUNT, truth(fa_pickle_arg(args, 4)), fa_pickle_arg(args, 6));
}

static fa_stored dtype_of(const fa_cell *cell);

static fa_cell *rebuild_tensor_v3(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    (void)g;
    fa_cell *type = fa_pickle_arg(args, 6);
    const fa_stored stored = dtype_of(type);
    const char *named = fa_pickle_name_of(type);
    if (stored == FA_STORED_COUNT && named != NULL)
        return fa_pickle_refuse(r, "a tensor has the type torch.%s, which is not read here", named);
    if (stored == FA_STORED_COUNT)
        return fa_pickle_refuse(r, "a tensor does not say its type");
    return tensor(r, args, stored, truth(fa_pickle_arg(args, 4)), fa_pickle_arg(args, 7));
}

/* (tensor, requires_grad, hooks, state): the tensor itself, marked. */
static fa_cell *rebuild_parameter(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    (void)g;
    fa_cell *data = fa_pickle_arg(args, 0);
    if (data == NULL || data->kind != FA_VALUE_TENSOR)
        return fa_pickle_refuse(r, "a parameter is not made of a tensor");
    const fa_cell *wanted = fa_pickle_arg(args, 1);
    fa_tensor_view view = data->as.tensor->view;
    view.parameter = true;
    view.requires_grad = wanted == NULL || truth(wanted);
    return fa_cell_of_storage(data->as.tensor->storage, &view, "a parameter", r->where);
}

/* (rebuild function, class, its arguments, state) of tensors with attributes, which are left out. */
static fa_cell *rebuild_from_type(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    const fa_pickle_global *function = fa_pickle_global_of(fa_pickle_arg(args, 0));
    fa_cell *its = fa_pickle_arg(args, 2);
    if (function == NULL || function->call == NULL || function == g || its == NULL || its->kind != FA_VALUE_TUPLE)
        return fa_pickle_refuse(r, "a tensor is made by something that makes none");
    return function->call(r, function, its);
}

static fa_cell *refuse_tensor(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    (void)args;
    return fa_pickle_refuse(r,
                            "holds a tensor made by %s.%s (quantized, sparse or without values), which there is no "
                            "computing with here",
                            g->module, g->name);
}

/* ---- Plain values -------------------------------------------------------------------------------------------------
 */

static fa_cell *ordered_dict(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    const fa_cell *pairs = fa_pickle_arg(args, 0);
    if (pairs != NULL && pairs->kind != FA_VALUE_LIST)
        return fa_pickle_refuse(r, "an OrderedDict is not made of a list of pairs");
    if (pairs != NULL && !fa_pickle_spend_entries(r, pairs))
        return NULL;
    fa_cell *dict = fa_cell_container(FA_VALUE_DICT, g->number, r->where);
    for (int64_t i = 0; dict != NULL && pairs != NULL && i < pairs->as.entries->count; i++) {
        const fa_entries *pair =
            pairs->as.entries->item[i]->kind == FA_VALUE_LIST || pairs->as.entries->item[i]->kind == FA_VALUE_TUPLE
                ? pairs->as.entries->item[i]->as.entries
                : NULL;
        if (pair == NULL || pair->count != 2)
            fa_pickle_refuse(r, "an OrderedDict is not made of pairs of key and value");
        if (pair == NULL || pair->count != 2 || !fa_pickle_check_key(r, pair->item[0], "an OrderedDict") ||
            !fa_cell_put(dict, pair->item[0], pair->item[1], r->where)) {
            fa_cell_drop(dict);
            return NULL;
        }
    }
    return dict;
}

static fa_cell *counter(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    const fa_cell *counts = fa_pickle_arg(args, 0);
    if (counts != NULL && counts->kind != FA_VALUE_DICT)
        return fa_pickle_refuse(r, "a Counter is not made of a dict");
    if (counts != NULL && !fa_pickle_spend_entries(r, counts))
        return NULL;
    fa_cell *dict = fa_cell_container(FA_VALUE_DICT, g->number, r->where);
    for (int64_t i = 0; dict != NULL && counts != NULL && i < counts->as.entries->count; i++)
        if (!fa_pickle_check_key(r, counts->as.entries->key[i], "a Counter") ||
            !fa_cell_put(dict, counts->as.entries->key[i], counts->as.entries->item[i], r->where)) {
            fa_cell_drop(dict);
            return NULL;
        }
    return dict;
}

static fa_cell *set(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    const fa_cell *items = fa_pickle_arg(args, 0);
    if (items != NULL && items->kind != FA_VALUE_LIST && items->kind != FA_VALUE_TUPLE)
        return fa_pickle_refuse(r, "a set is not made of a list");
    if (items != NULL && !fa_pickle_spend_entries(r, items))
        return NULL;
    fa_cell *made = fa_cell_container(FA_VALUE_LIST, g->number, r->where);
    for (int64_t i = 0; made != NULL && items != NULL && i < items->as.entries->count; i++) {
        fa_cell *item = items->as.entries->item[i];
        if (!fa_pickle_check_key(r, item, "a set") || !fa_cell_put(made, item, NULL, r->where)) {
            fa_cell_drop(made);
            return NULL;
        }
    }
    return made;
}

static fa_cell *size(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    int64_t sizes[FA_MAX_DIMS];
    fa_cell *tuple = fa_pickle_arg(args, 0);
    if (dims(tuple, sizes) < 0)
        return fa_pickle_refuse(r, "a torch.Size is not made of a tuple of at most %d ints", FA_MAX_DIMS);
    fa_cell *made = fa_cell_container(FA_VALUE_TUPLE, g->number, r->where);
    for (int64_t i = 0; made != NULL && i < tuple->as.entries->count; i++)
        if (!fa_cell_append(made, tuple->as.entries->item[i], r->where)) {
            fa_cell_drop(made);
            return NULL;
        }
    return made;
}

/* (text, 'latin1'): the code points of the text are the bytes. */
static fa_cell *encode(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    const fa_cell *text = fa_pickle_arg(args, 0), *coding = fa_pickle_arg(args, 1);
    if (text == NULL || text->kind != FA_VALUE_STRING ||
        (coding != NULL && !fa_cell_is_text(coding, "latin1") && !fa_cell_is_text(coding, "latin-1")))
        return fa_pickle_refuse(r, "bytes are not written as text in latin1");
    fa_cell *bytes = fa_pickle_latin1(r, text);
    if (bytes != NULL)
        bytes->flavour = (uint8_t)g->number;
    return bytes;
}

/* () or (bytes) or (text, 'latin1') */
static fa_cell *bytearray(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    const fa_cell *from = fa_pickle_arg(args, 0);
    if (from != NULL && from->kind == FA_VALUE_STRING)
        return encode(r, g, args);
    if (from != NULL && from->kind != FA_VALUE_BYTES)
        return fa_pickle_refuse(r, "a bytearray is not made of bytes");
    if (from != NULL && !fa_pickle_spend(r, from->as.text.length))
        return NULL;
    return fa_cell_text(FA_VALUE_BYTES, g->number, from != NULL ? from->as.text.bytes : "",
                        from != NULL ? from->as.text.length : 0, r->where);
}

/* An object with two attributes at most. */
static fa_cell *plain_object(fa_pickle_reader *r, const char *module, const char *class_name, const char *first,
                             fa_cell *x, const char *second, fa_cell *y)
{
    fa_cell *object = fa_cell_object(module, class_name, r->where);
    fa_cell *attributes = object != NULL ? fa_cell_container(FA_VALUE_DICT, 0, r->where) : NULL;
    const char *const names[2] = {first, second};
    fa_cell *const values[2] = {x, y};
    bool fine = attributes != NULL;
    for (int i = 0; i < 2 && fine && values[i] != NULL; i++) {
        fa_cell *key = fa_cell_text(FA_VALUE_STRING, 0, names[i], (int64_t)strlen(names[i]), r->where);
        fine = key != NULL && fa_cell_put(attributes, key, values[i], r->where);
        fa_cell_drop(key);
    }
    fine = fine && fa_cell_set_attributes(object, attributes, r->where);
    fa_cell_drop(attributes);
    if (fine)
        return object;
    fa_cell_drop(object);
    return NULL;
}

/* torch.device("cuda", 0): an object with attributes type and index. */
static fa_cell *device(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    fa_cell *type = fa_pickle_arg(args, 0), *index = fa_pickle_arg(args, 1);
    if (type == NULL || type->kind != FA_VALUE_STRING || (index != NULL && !is_int(index)))
        return fa_pickle_refuse(r, "a torch.device is not made of a name and a number");
    return plain_object(r, g->module, g->name, "type", type, "index", index);
}

/* complex(real, imag): an object with attributes real and imag. */
static fa_cell *complex_number(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    fa_cell *real = fa_pickle_arg(args, 0), *imag = fa_pickle_arg(args, 1);
    if (real == NULL || imag == NULL || real->kind != FA_VALUE_FLOAT || imag->kind != FA_VALUE_FLOAT)
        return fa_pickle_refuse(r, "a complex number is not made of two floats");
    return plain_object(r, g->module, g->name, "real", real, "imag", imag);
}

/* torch.float32: an object of class dtype with attribute name. */
static fa_cell *dtype(fa_pickle_reader *r, const fa_pickle_global *g)
{
    fa_cell *name = fa_cell_text(FA_VALUE_STRING, 0, g->name, (int64_t)strlen(g->name), r->where);
    fa_cell *object = name != NULL ? plain_object(r, "torch", "dtype", "name", name, NULL, NULL) : NULL;
    fa_cell_drop(name);
    return object;
}

static fa_stored dtype_of(const fa_cell *cell)
{
    if (cell == NULL || cell->kind != FA_VALUE_OBJECT || strcmp(cell->as.object->class_name, "dtype") != 0)
        return FA_STORED_COUNT;
    const fa_cell *name = fa_cell_find_text(cell->as.object->attributes, "name");
    for (int i = 0; name != NULL && name->kind == FA_VALUE_STRING && i < FA_STORED_COUNT; i++)
        if (fa_cell_is_text(name, fa_stored_types[i].name))
            return (fa_stored)i;
    return FA_STORED_COUNT;
}

/* ---- Persistent ids -----------------------------------------------------------------------------------------------
 */

enum { STORAGE_CLASS = 1000 }; /* of a table's entry: STORAGE_CLASS + stored; + FA_STORED_COUNT: untyped */

bool fa_pth_read_id(fa_pickle_reader *r, const fa_cell *id, fa_pth_id *out)
{
    const fa_cell *word = fa_pickle_arg(id, 0), *key = fa_pickle_arg(id, 2), *elements = fa_pickle_arg(id, 4);
    const fa_pickle_global *class = fa_pickle_global_of(fa_pickle_arg(id, 1));
    if (id->kind != FA_VALUE_TUPLE || word == NULL || !fa_cell_is_text(word, "storage") || key == NULL ||
        !is_int(elements))
        return fa_pickle_refuse(r, "a persistent id is not ('storage', class, key, location, elements)"), false;
    if (class == NULL || class->number < STORAGE_CLASS)
        return fa_pickle_forbid(r, fa_pickle_arg(id, 1));
    if (key->kind != FA_VALUE_STRING || key->as.text.length == 0 || key->as.text.length > 200 ||
        memchr(key->as.text.bytes, 0, (size_t)key->as.text.length) != NULL)
        return fa_pickle_refuse(r, "the key of a storage is not a short string"), false;
    const fa_cell *view = fa_pickle_arg(id, 5);
    *out = (fa_pth_id){.stored = (fa_stored)(class->number - STORAGE_CLASS),
                       .key = key->as.text.bytes,
                       .elements = elements->as.number,
                       .view = view != NULL && view->kind != FA_VALUE_NONE ? view : NULL};
    const size_t each = out->stored == FA_STORED_COUNT ? 1 : fa_stored_types[out->stored].size;
    size_t bytes;
    if (out->elements < 0 || !fa_mul_size((size_t)out->elements, each, &bytes) || bytes > INT64_MAX)
        return fa_pickle_refuse(r, "the storage %s has %lld elements", out->key, (long long)out->elements), false;
    out->bytes = bytes;
    return true;
}

/* ---- Names that stand for themselves ------------------------------------------------------------------------------
 */

/* Attributes of modules: a class of layers, an activation, a member of an enumeration. */
bool fa_pth_may_be_named(const char *module, const char *name)
{
    static const struct {
        const char *module, *name; /* name NULL: every one, of the modules below it too */
    } names[] = {
        {"torch.nn", NULL},
        {"torch.functional", NULL},
        {"torch._C._nn", NULL},
        {"torch.optim", NULL},
        {"torchvision.models", NULL},
        {"torchvision.ops", NULL},
        {"torchvision.transforms", NULL},
        {"torch._C", "_VariableFunctionsClass"},
        {"torch._C", "TensorBase"},
        {"torch._C", "_TensorBase"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t n = strlen(names[i].module);
        if (strncmp(module, names[i].module, n) != 0 ||
            (module[n] != '\0' && (module[n] != '.' || names[i].name != NULL)))
            continue;
        /* Or what getattr took from it. */
        const size_t m = names[i].name != NULL ? strlen(names[i].name) : 0;
        if (m == 0 || (strncmp(name, names[i].name, m) == 0 && (name[m] == '\0' || name[m] == '.')))
            return true;
    }
    return false;
}

/* ---- The table ----------------------------------------------------------------------------------------------------
 */

#define STORAGE(module, name, stored)                                                                                  \
    {                                                                                                                  \
        module, name, NULL, NULL, STORAGE_CLASS + (stored)                                                             \
    }
#define STORAGES(module)                                                                                               \
    STORAGE(module, "FloatStorage", FA_STORED_FLOAT32), STORAGE(module, "DoubleStorage", FA_STORED_FLOAT64),           \
        STORAGE(module, "HalfStorage", FA_STORED_FLOAT16), STORAGE(module, "BFloat16Storage", FA_STORED_BFLOAT16),     \
        STORAGE(module, "LongStorage", FA_STORED_INT64), STORAGE(module, "IntStorage", FA_STORED_INT32),               \
        STORAGE(module, "ShortStorage", FA_STORED_INT16), STORAGE(module, "CharStorage", FA_STORED_INT8),              \
        STORAGE(module, "ByteStorage", FA_STORED_UINT8), STORAGE(module, "BoolStorage", FA_STORED_BOOL),               \
        STORAGE(module, "ComplexFloatStorage", FA_STORED_COMPLEX64),                                                   \
        STORAGE(module, "ComplexDoubleStorage", FA_STORED_COMPLEX128)
#define DTYPE(name)                                                                                                    \
    {                                                                                                                  \
        "torch", name, NULL, dtype, 0                                                                                  \
    }
#define REFUSED(name)                                                                                                  \
    {                                                                                                                  \
        "torch._utils", name, refuse_tensor, NULL, 0                                                                   \
    }

const fa_pickle_global fa_pth_globals[] = {
    {"collections", "OrderedDict", ordered_dict, NULL, FA_FLAVOUR_ORDERED_DICT},
    {"torch._utils", "_rebuild_tensor_v2", rebuild_tensor, NULL, 0},
    {"torch._utils", "_rebuild_tensor_v3", rebuild_tensor_v3, NULL, 0},
    {"torch._utils", "_rebuild_tensor", rebuild_tensor, NULL, 0},
    {"torch._utils", "_rebuild_parameter", rebuild_parameter, NULL, 0},
    {"torch._utils", "_rebuild_parameter_with_state", rebuild_parameter, NULL, 0},
    {"torch._tensor", "_rebuild_from_type_v2", rebuild_from_type, NULL, 0},
    {"torch.nn.parameter", "Parameter", rebuild_parameter, NULL, 0},
    {"torch", "Tensor", NULL, NULL, 0},
    {"collections", "Counter", counter, NULL, FA_FLAVOUR_COUNTER},
    {"builtins", "set", set, NULL, FA_FLAVOUR_SET},
    {"__builtin__", "set", set, NULL, FA_FLAVOUR_SET},
    {"builtins", "bytearray", bytearray, NULL, FA_FLAVOUR_BYTEARRAY},
    {"__builtin__", "bytearray", bytearray, NULL, FA_FLAVOUR_BYTEARRAY},
    {"builtins", "complex", complex_number, NULL, 0},
    {"__builtin__", "complex", complex_number, NULL, 0},
    {"_codecs", "encode", encode, NULL, FA_FLAVOUR_PLAIN},
    {"torch", "Size", size, NULL, FA_FLAVOUR_SIZE},
    {"torch", "device", device, NULL, 0},
    {"torch", "dtype", NULL, NULL, 0},
    {"functools", "partial", fa_pickle_record, NULL, 0},
    {"builtins", "getattr", fa_pickle_attribute, NULL, 0},
    {"__builtin__", "getattr", fa_pickle_attribute, NULL, 0},
    STORAGES("torch"),
    STORAGES("torch.cuda"),
    STORAGE("torch.storage", "UntypedStorage", FA_STORED_COUNT),
    DTYPE("float32"),
    DTYPE("float64"),
    DTYPE("float16"),
    DTYPE("bfloat16"),
    DTYPE("int64"),
    DTYPE("int32"),
    DTYPE("int16"),
    DTYPE("int8"),
    DTYPE("uint8"),
    DTYPE("uint16"),
    DTYPE("uint32"),
    DTYPE("uint64"),
    DTYPE("bool"),
    DTYPE("complex64"),
    DTYPE("complex128"),
    DTYPE("float8_e4m3fn"),
    DTYPE("float8_e5m2"),
    REFUSED("_rebuild_qtensor"),
    REFUSED("_rebuild_sparse_tensor"),
    REFUSED("_rebuild_meta_tensor_no_storage"),
    REFUSED("_rebuild_wrapper_subclass"),
    REFUSED("_rebuild_device_tensor_from_numpy"),
    REFUSED("_rebuild_device_tensor_from_cpu_tensor"),
};
const int fa_pth_global_count = (int)(sizeof fa_pth_globals / sizeof *fa_pth_globals);
