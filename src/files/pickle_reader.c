/* The pickle machine. Opcodes as in Python's pickletools. */
#include "files/pickle_stack.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* A callable on the stack: one of the table's, or a class or function that is only known by name. */
typedef struct global {
    const fa_pickle_global *known; /* NULL: by name */
    bool made;                     /* an object was made of it */
    char *module, *name;           /* of what is known by name */
} global;

/* ---- Globals and what they make -----------------------------------------------------------------------------------
 */

static void end_global(void *data)
{
    global *g = data;
    fa_mfree(g->module);
    fa_mfree(g->name);
    fa_mfree(g);
}

static global *global_of(const fa_cell *cell)
{
    return cell->kind == FA_CELL_PRIVATE && cell->as.private.end == end_global ? cell->as.private.data : NULL;
}

const fa_pickle_global *fa_pickle_global_of(const fa_cell *cell)
{
    const global *g = cell != NULL ? global_of(cell) : NULL;
    return g != NULL ? g->known : NULL;
}

fa_cell *fa_pickle_arg(const fa_cell *tuple, int64_t i)
{
    return tuple->kind == FA_VALUE_TUPLE && i < tuple->as.entries->count ? tuple->as.entries->item[i] : NULL;
}

fa_cell *fa_pickle_latin1(fa_pickle_reader *r, const fa_cell *text)
{
    if (!fa_pickle_spend(r, text->as.text.length))
        return NULL;
    fa_cell *bytes =
        fa_cell_text(FA_VALUE_BYTES, FA_FLAVOUR_PLAIN, text->as.text.bytes, text->as.text.length, r->where);
    if (bytes == NULL)
        return NULL;
    const uint8_t *from = (const uint8_t *)text->as.text.bytes, *end = from + text->as.text.length;
    char *to = bytes->as.text.bytes;
    while (from < end) {
        if (from[0] > 0xc3) {
            fa_cell_drop(bytes);
            return fa_pickle_refuse(r, "bytes are written as text beyond latin1");
        }
        bool two = from[0] >= 0xc2;
        *to++ = (char)(two ? (from[0] & 3) << 6 | (from[1] & 0x3f) : from[0]);
        from += two ? 2 : 1;
    }
    *to = 0;
    bytes->as.text.length = to - bytes->as.text.bytes;
    return bytes;
}

const char *fa_pickle_name_of(const fa_cell *cell)
{
    const global *g = cell != NULL ? global_of(cell) : NULL;
    if (g == NULL || g->known != NULL)
        return NULL;
    for (const char *c = g->name; *c != '\0'; c++)
        if (*c < 32 || *c >= 127)
            return NULL;
    return g->name;
}

static const char *module_of(const global *g)
{
    return g->known != NULL ? g->known->module : g->module;
}

static const char *name_of(const global *g)
{
    return g->known != NULL ? g->known->name : g->name;
}

/* Whether the rules let it stand for itself, or be called for the record. */
static bool may_be_named(const fa_pickle_reader *r, const global *g)
{
    return g->known != NULL || (r->rules->may_be_named != NULL && r->rules->may_be_named(g->module, g->name));
}

static bool forbidden(fa_pickle_reader *r, const char *module, const char *name)
{
    char shown[2][121]; /* a name from a file: nothing but letters that can be printed */
    const char *words[2] = {module, name};
    for (int w = 0; w < 2; w++) {
        size_t n = strlen(words[w]) < 120 ? strlen(words[w]) : 120;
        for (size_t i = 0; i < n; i++)
            shown[w][i] = (char)(words[w][i] >= 32 && words[w][i] < 127 ? words[w][i] : '.');
        shown[w][n] = 0;
    }
    fa_fail(FA_FILE_ERROR, r->where, r->what,
            "%s asks for %s.%s: refused. Nothing in a file is executed; %s%s are read.%s", r->path, shown[0], shown[1],
            r->rules->persistent != NULL ? "tensors, plain values" : "plain values",
            r->rules->modules ? " and modules" : "",
            r->rules->persistent == NULL       ? ""
            : strncmp(module, "numpy", 5) == 0 ? " Hint: save float(x) or torch.from_numpy(x) in place of NumPy's x."
                                               : " Hint: save the state_dict instead, or only what is plain.");
    return false;
}

bool fa_pickle_forbid(fa_pickle_reader *r, const fa_cell *cell)
{
    const global *g = cell != NULL ? global_of(cell) : NULL;
    if (g == NULL)
        return fa_pickle_fail(r, "names a class that is none");
    return forbidden(r, module_of(g), name_of(g));
}

static fa_cell *global_cell(fa_pickle_reader *r, const fa_pickle_global *known, const char *module, const char *name)
{
    global *g = fa_calloc(1, sizeof *g);
    if (g != NULL && known == NULL) {
        g->module = fa_strdup(module);
        g->name = fa_strdup(name);
    }
    fa_cell *cell = NULL;
    if (g == NULL || (known == NULL && (g->module == NULL || g->name == NULL)))
        fa_fail_memory(r->where, sizeof *g);
    else
        cell = fa_cell_new(FA_CELL_PRIVATE, 0, r->where);
    if (cell == NULL) {
        if (g != NULL)
            end_global(g);
        return NULL;
    }
    g->known = known;
    cell->as.private.data = g;
    cell->as.private.end = end_global;
    return cell;
}

/* Modules of the system and of Python itself are refused as soon as they are named. */
static bool may_be_a_class(const char *module)
{
    static const char *const never[] = {
        "os",       "posix",     "nt",        "sys",      "subprocess", "builtins",   "shutil", "importlib",
        "runpy",    "socket",    "pickle",    "_pickle",  "ctypes",     "code",       "pty",    "platform",
        "operator", "_operator", "copyreg",   "copy_reg", "functools",  "itertools",  "types",  "marshal",
        "tempfile", "pathlib",   "io",        "_io",      "webbrowser", "commands",   "timeit", "pdb",
        "bdb",      "asyncio",   "threading", "signal",   "numpy",      "__builtin__"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        size_t n = strlen(never[i]);
        if (strncmp(module, never[i], n) == 0 && (module[n] == 0 || module[n] == '.'))
            return false;
    }
    return true;
}

static bool push_global(fa_pickle_reader *r, const char *module, const char *name)
{
    for (int i = 0; i < r->rules->count; i++) {
        const fa_pickle_global *g = &r->rules->globals[i];
        if (strcmp(g->module, module) == 0 && strcmp(g->name, name) == 0) {
            return fa_pickle_push(
                r, fa_pickle_remember(r, g->value != NULL ? g->value(r, g) : global_cell(r, g, module, name)));
        }
    }
    if (!r->rules->modules || !may_be_a_class(module))
        return forbidden(r, module, name);
    return fa_pickle_push(r, fa_pickle_remember(r, global_cell(r, NULL, module, name)));
}

static bool op_global(fa_pickle_reader *r)
{
    char module[FA_PICKLE_NAME], name[FA_PICKLE_NAME];
    return fa_pickle_take_line(r, module) && fa_pickle_take_line(r, name) && push_global(r, module, name);
}

static bool op_stack_global(fa_pickle_reader *r)
{
    if (!fa_pickle_needs(r, 2))
        return false;
    const fa_cell *name = fa_pickle_top(r), *module = r->stack[r->height - 2];
    if (name->kind != FA_VALUE_STRING || module->kind != FA_VALUE_STRING || name->as.text.length >= FA_PICKLE_NAME ||
        module->as.text.length >= FA_PICKLE_NAME || memchr(name->as.text.bytes, 0, (size_t)name->as.text.length) ||
        memchr(module->as.text.bytes, 0, (size_t)module->as.text.length))
        return fa_pickle_fail(r, "got a global whose name is not two short strings");
    char texts[2][FA_PICKLE_NAME];
    memcpy(texts[0], module->as.text.bytes, (size_t)module->as.text.length + 1);
    memcpy(texts[1], name->as.text.bytes, (size_t)name->as.text.length + 1);
    fa_pickle_pop_to(r, r->height - 2);
    return push_global(r, texts[0], texts[1]);
}

static fa_cell *record_of(fa_pickle_reader *r, const char *module, const char *name, fa_cell *args)
{
    fa_cell *object = fa_cell_object(module, name, r->where);
    fa_cell *attributes = object != NULL ? fa_cell_container(FA_VALUE_DICT, 0, r->where) : NULL;
    fa_cell *key = attributes != NULL ? fa_cell_text(FA_VALUE_STRING, 0, "args", 4, r->where) : NULL;
    bool fine = key != NULL && fa_cell_put(attributes, key, args, r->where) &&
                fa_cell_set_attributes(object, attributes, r->where);
    fa_cell_drop(key);
    fa_cell_drop(attributes);
    if (fine)
        return object;
    fa_cell_drop(object);
    return NULL;
}

fa_cell *fa_pickle_record(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    return record_of(r, g->module, g->name, args);
}

fa_cell *fa_pickle_attribute(fa_pickle_reader *r, const fa_pickle_global *getattr, fa_cell *args)
{
    const fa_cell *owner = fa_pickle_arg(args, 0), *name = fa_pickle_arg(args, 1);
    const global *g = owner != NULL ? global_of(owner) : NULL;
    char full[2 * FA_PICKLE_NAME];
    if (g == NULL || g->known != NULL || !may_be_named(r, g) || name == NULL || name->kind != FA_VALUE_STRING ||
        strlen(name->as.text.bytes) != (size_t)name->as.text.length)
        return forbidden(r, getattr->module, getattr->name), NULL;
    if (strlen(g->name) + (size_t)name->as.text.length + 2 > sizeof full)
        return fa_pickle_refuse(r, "got an attribute's name that is too long");
    snprintf(full, sizeof full, "%s.%s", g->name, name->as.text.bytes);
    return global_cell(r, NULL, g->module, full);
}

static bool op_reduce(fa_pickle_reader *r)
{
    if (!fa_pickle_needs(r, 2))
        return false;
    fa_cell *args = fa_pickle_top(r), *callable = r->stack[r->height - 2];
    const global *g = global_of(callable);
    if (g != NULL && !may_be_named(r, g))
        return forbidden(r, g->module, g->name);
    if (g == NULL || (g->known != NULL && g->known->call == NULL))
        return fa_pickle_fail(r, "calls something that cannot be called");
    if (args->kind != FA_VALUE_TUPLE)
        return fa_pickle_fail(r, "calls something with arguments that are no tuple");
    fa_cell *result = g->known != NULL ? g->known->call(r, g->known, args) : record_of(r, g->module, g->name, args);
    if (result == NULL)
        return false;
    bool holds = result->kind == FA_VALUE_DICT || result->kind == FA_VALUE_LIST || result->kind == FA_VALUE_TUPLE ||
                 result->kind == FA_VALUE_OBJECT || global_of(result) != NULL;
    fa_pickle_pop_to(r, r->height - 2);
    return fa_pickle_push(r, holds ? fa_pickle_remember(r, result) : result);
}

/* A record of a class that is known by name only; whether it holds a module is looked at in the end. */
static bool op_newobj(fa_pickle_reader *r)
{
    if (!fa_pickle_needs(r, 2))
        return false;
    fa_cell *args = fa_pickle_top(r);
    global *g = global_of(r->stack[r->height - 2]);
    if (g == NULL || args->kind != FA_VALUE_TUPLE)
        return fa_pickle_fail(r, "makes an object of something that is no class");
    if (g->known != NULL || args->as.entries->count != 0)
        return op_reduce(r);
    fa_cell *object = fa_cell_object(g->module, g->name, r->where);
    if (object == NULL)
        return false;
    g->made = true;
    fa_pickle_pop_to(r, r->height - 2);
    return fa_pickle_push(r, fa_pickle_remember(r, object));
}

/* An object's state: a dict becomes its attributes, anything else an attribute `state` beside `args`. */
static bool op_build(fa_pickle_reader *r)
{
    if (!fa_pickle_needs(r, 2))
        return false;
    fa_cell *state = fa_pickle_top(r), *object = r->stack[r->height - 2];
    bool fine = false;
    if (object->kind == FA_VALUE_OBJECT && object->as.object->attributes != NULL) {
        fa_cell *key = fa_cell_text(FA_VALUE_STRING, 0, "state", 5, r->where);
        fine = key != NULL && fa_cell_put(object->as.object->attributes, key, state, r->where);
        fa_cell_drop(key);
    } else if (state->kind == FA_VALUE_DICT && (object->kind == FA_VALUE_OBJECT || object->kind == FA_VALUE_DICT))
        fine = fa_cell_set_attributes(object, state, r->where);
    else
        fa_pickle_fail(r, "sets the state of something that has none, or to something that is no dict");
    if (fine)
        fa_pickle_pop_to(r, r->height - 1);
    return fine;
}

static bool op_persistent(fa_pickle_reader *r)
{
    if (!fa_pickle_needs(r, 1))
        return false;
    if (r->rules->persistent == NULL)
        return fa_pickle_fail(r, "names something outside of the pickle");
    fa_cell *found = r->rules->persistent(r, fa_pickle_top(r));
    if (found == NULL)
        return false;
    fa_pickle_pop_to(r, r->height - 1);
    return fa_pickle_push(r, found);
}

/* ---- The loop -----------------------------------------------------------------------------------------------------
 */

static bool op_with_number(fa_pickle_reader *r, int op, uint64_t *x)
{
    switch (op) {
    case 'K':
        return fa_pickle_take_number(r, 1, x) && fa_pickle_push_number(r, FA_VALUE_INT, (int64_t)*x);
    case 'M':
        return fa_pickle_take_number(r, 2, x) && fa_pickle_push_number(r, FA_VALUE_INT, (int64_t)*x);
    case 'J':
        return fa_pickle_take_number(r, 4, x) && fa_pickle_push_number(r, FA_VALUE_INT, (int32_t)(uint32_t)*x);
    case 0x8a: /* LONG1 */
        return fa_pickle_take_number(r, 1, x) && fa_pickle_push_long(r, *x);
    case 0x8b: /* LONG4 */
        return fa_pickle_take_number(r, 4, x) && fa_pickle_push_long(r, *x);
    case 'q':
        return fa_pickle_take_number(r, 1, x) && fa_pickle_put(r, *x);
    case 'r':
        return fa_pickle_take_number(r, 4, x) && fa_pickle_put(r, *x);
    case 'h':
        return fa_pickle_take_number(r, 1, x) && fa_pickle_get(r, *x);
    case 'j':
        return fa_pickle_take_number(r, 4, x) && fa_pickle_get(r, *x);
    case 0x95: /* FRAME: a length that nothing depends on */
        return fa_pickle_take_number(r, 8, x);
    case 0x80: /* PROTO */
        if (!fa_pickle_take_number(r, 1, x))
            return false;
        return (*x >= 1 && *x <= 5) || fa_pickle_fail(r, "got an unknown pickle protocol");
    default:
        if (op > 32 && op < 127)
            fa_pickle_refuse(r, "got opcode 0x%02x '%c', which is not among those of plain data", op, op);
        else
            fa_pickle_refuse(r, "got opcode 0x%02x, which is not among those of plain data", op);
        return false;
    }
}

static bool step(fa_pickle_reader *r, int op)
{
    uint64_t x = 0;
    switch (op) {
    case 'N':
        return fa_pickle_push(r, fa_cell_new(FA_VALUE_NONE, 0, r->where));
    case 0x88:
    case 0x89:
        return fa_pickle_push_number(r, FA_VALUE_BOOL, op == 0x88);
    case 'G':
        return fa_pickle_push_float(r);
    case 'X': /* BINUNICODE, SHORT_BINUNICODE, BINUNICODE8 */
        return fa_pickle_push_text(r, 4, FA_VALUE_STRING, FA_FLAVOUR_PLAIN);
    case 0x8c:
        return fa_pickle_push_text(r, 1, FA_VALUE_STRING, FA_FLAVOUR_PLAIN);
    case 0x8d:
        return fa_pickle_push_text(r, 8, FA_VALUE_STRING, FA_FLAVOUR_PLAIN);
    case 'U': /* SHORT_BINSTRING, BINSTRING: str of Python 2 */
        return fa_pickle_push_text(r, 1, FA_VALUE_STRING, FA_FLAVOUR_PYTHON2);
    case 'T':
        return fa_pickle_push_text(r, 4, FA_VALUE_STRING, FA_FLAVOUR_PYTHON2);
    case 'C': /* SHORT_BINBYTES, BINBYTES, BINBYTES8 */
        return fa_pickle_push_text(r, 1, FA_VALUE_BYTES, FA_FLAVOUR_PLAIN);
    case 'B':
        return fa_pickle_push_text(r, 4, FA_VALUE_BYTES, FA_FLAVOUR_PLAIN);
    case 0x8e:
        return fa_pickle_push_text(r, 8, FA_VALUE_BYTES, FA_FLAVOUR_PLAIN);
    case '(':
        return fa_pickle_push_mark(r);
    case ')':
        return fa_pickle_make_tuple(r, r->height);
    case 't':
        return fa_pickle_marked(r, fa_pickle_make_tuple);
    case 0x85:
    case 0x86:
    case 0x87:
        return fa_pickle_tuple_of(r, op - 0x84);
    case ']':
        return fa_pickle_push_container(r, FA_VALUE_LIST, FA_FLAVOUR_PLAIN);
    case '}':
        return fa_pickle_push_container(r, FA_VALUE_DICT, FA_FLAVOUR_PLAIN);
    case 0x8f: /* EMPTY_SET */
        return fa_pickle_push_container(r, FA_VALUE_LIST, FA_FLAVOUR_SET);
    case 'a':
        return fa_pickle_needs(r, 1) && fa_pickle_append_all(r, r->height - 1, false);
    case 'e':
        return fa_pickle_marked(r, fa_pickle_append_list);
    case 0x90: /* ADDITEMS */
        return fa_pickle_marked(r, fa_pickle_add_set);
    case 's':
        return fa_pickle_needs(r, 2) && fa_pickle_put_all(r, r->height - 2);
    case 'u':
        return fa_pickle_marked(r, fa_pickle_put_all);
    case 'c':
        return op_global(r);
    case 0x93:
        return op_stack_global(r);
    case 'R':
        return op_reduce(r);
    case 0x81:
        return op_newobj(r);
    case 'b':
        return op_build(r);
    case 'Q':
        return op_persistent(r);
    case 0x94: /* MEMOIZE: the next number */
        for (x = (uint64_t)r->cells; x < (uint64_t)r->memo_size && r->memo[x] != NULL; x++)
            ;
        r->cells = (int64_t)x;
        return fa_pickle_put(r, x);
    default:
        return op_with_number(r, op, &x);
    }
}

static bool run(fa_pickle_reader *r)
{
    for (;;) {
        r->op_at = r->at;
        if (r->at == r->length)
            return fa_pickle_fail(r, "the pickle is cut short: it ends without its stop");
        int op = r->bytes[r->at++];
        if (op == '.')
            return (r->mark_count == 0 && r->height == 1) ||
                   fa_pickle_fail(r, r->height == 0 ? "the stack is empty at the end" : "something is left at the end");
        if (!step(r, op))
            return false;
    }
}

/* ---- What comes out -----------------------------------------------------------------------------------------------
 */

/* A class or function that is itself the value becomes its name: an object without attributes. */
static bool become_name(fa_pickle_reader *r, fa_cell *cell, global *g)
{
    fa_cell *named = fa_cell_object(module_of(g), name_of(g), r->where);
    if (named == NULL)
        return false;
    cell->kind = FA_VALUE_OBJECT;
    cell->as.object = named->as.object;
    named->kind = FA_VALUE_NONE; /* its body has gone */
    fa_cell_drop(named);
    end_global(g);
    return true;
}

/* Records of classes by name must be modules: of torch.nn, or with what every module has. Names by themselves must be
 * among those of the rules, or the class of such a module. */
static bool settle_objects(fa_pickle_reader *r)
{
    for (int64_t i = 0; i < r->made_count; i++) {
        fa_cell *cell = r->made[i];
        global *g = global_of(cell);
        if (g != NULL) {
            if (!g->made && !may_be_named(r, g))
                return forbidden(r, g->module, g->name);
            if (r->rules->may_be_named != NULL && !become_name(r, cell, g))
                return false;
            continue;
        }
        if (cell->kind != FA_VALUE_OBJECT)
            continue;
        const fa_object_body *object = cell->as.object;
        bool listed = false;
        for (int k = 0; k < r->rules->count && !listed; k++)
            listed = strcmp(r->rules->globals[k].module, object->module) == 0 &&
                     strcmp(r->rules->globals[k].name, object->class_name) == 0;
        const fa_cell *attributes = object->attributes;
        bool module = attributes != NULL && (fa_cell_find_text(attributes, "_parameters") != NULL ||
                                             fa_cell_find_text(attributes, "_modules") != NULL);
        listed = listed || (attributes != NULL && r->rules->may_be_named != NULL &&
                            r->rules->may_be_named(object->module, object->class_name));
        if (!listed && !module)
            return forbidden(r, object->module, object->class_name);
    }
    return true;
}

static void finish(fa_pickle_reader *r, bool fine)
{
    fa_pickle_pop_to(r, 0);
    for (int64_t i = 0; i < r->memo_size; i++)
        fa_cell_drop(r->memo[i]);
    for (int64_t i = 0; i < r->made_count; i++)
        if (!fine && r->made[i]->kind != FA_CELL_PRIVATE)
            fa_cell_clear(r->made[i]);
    for (int64_t i = 0; i < r->made_count; i++)
        fa_cell_drop(r->made[i]);
    fa_mfree(r->stack);
    fa_mfree(r->memo);
    fa_mfree(r->made);
    fa_mfree(r->marks);
    r->stack = r->memo = r->made = NULL;
    r->marks = NULL;
    r->height = r->stack_capacity = r->memo_size = r->made_count = r->made_capacity = 0;
    r->mark_count = r->mark_capacity = r->cells = 0;
    r->spent = 0;
}

fa_cell *fa_pickle_read(fa_pickle_reader *r)
{
    r->begin = r->at;
    bool fine = run(r) && settle_objects(r);
    if (fine) {
        double most = 1e6 + 16.0 * (double)(r->at - r->begin);
        fine = fa_cell_walk(fa_pickle_top(r), most, FA_FILE_ERROR, r->what, r->path, r->where);
    }
    fa_cell *result = fine ? fa_cell_hold(fa_pickle_top(r)) : NULL;
    finish(r, fine);
    return result;
}
