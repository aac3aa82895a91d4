/* Descriptions of networks: made into modules, and compared with what a constructor made. */
#include "nn/description.h"

#include "base/error.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

/* ---- Registered constructors --------------------------------------------------------------------------------------
 */

/* A constructor of one of the two kinds. */
typedef struct constructor_of {
    fa_plain_constructor plain;
    fa_class_constructor with_context;
    void *context;
} constructor_of;

typedef struct registered {
    char *class_name;
    constructor_of constructor;
    struct registered *next;
} registered;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static registered *first_registered;

static bool exists(constructor_of c)
{
    return c.plain != NULL || c.with_context != NULL;
}

static bool register_class(const char *class_name, constructor_of constructor, fa_where where)
{
    static const char what[] = "fa_register_class";
    if (class_name == NULL || class_name[0] == '\0')
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got no class name, needs the one that the network prints. Hint: fa_class_name(model)");
    if (fa_class_find(class_name) != NULL)
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got %s, which is a layer of the library, needs a name of its own. Hint: .name of fa_module_new",
                       class_name);
    pthread_mutex_lock(&mutex);
    registered **at = &first_registered;
    while (*at != NULL && strcmp((*at)->class_name, class_name) != 0)
        at = &(*at)->next;
    registered *entry = *at;
    bool fine = true;
    if (entry != NULL && !exists(constructor)) {
        *at = entry->next;
        fa_mfree(entry->class_name);
        fa_mfree(entry);
    } else if (exists(constructor)) {
        if (entry == NULL) {
            entry = fa_calloc(1, sizeof *entry);
            char *name = fa_strdup(class_name);
            fine = entry != NULL && name != NULL;
            if (fine) {
                entry->class_name = name;
                *at = entry;
            } else {
                fa_mfree(entry);
                fa_mfree(name);
            }
        }
        if (fine)
            entry->constructor = constructor;
    }
    pthread_mutex_unlock(&mutex);
    return fine || fa_fail_memory(where, sizeof *entry);
}

bool fa_register_class_at(const char *class_name, fa_class_constructor constructor, void *context, fa_where where)
{
    return register_class(class_name, (constructor_of){.with_context = constructor, .context = context}, where);
}

bool fa_register_plain_class_at(const char *class_name, fa_plain_constructor constructor, fa_where where)
{
    return register_class(class_name, (constructor_of){.plain = constructor}, where);
}

static constructor_of constructor_of_class(const char *class_name)
{
    constructor_of found = {NULL, NULL, NULL};
    pthread_mutex_lock(&mutex);
    for (const registered *entry = first_registered; entry != NULL && !exists(found); entry = entry->next)
        if (strcmp(entry->class_name, class_name) == 0)
            found = entry->constructor;
    pthread_mutex_unlock(&mutex);
    return found;
}

/* ---- Paths --------------------------------------------------------------------------------------------------------
 */

/* The path of a module that is being looked at, for messages: cut where it does not fit. */
typedef struct path {
    char text[200];
    size_t length;
} path;

static size_t path_enter(path *p, const char *name)
{
    const size_t before = p->length, room = sizeof p->text - p->length;
    if (name != NULL && room > 1) {
        const int n = snprintf(p->text + p->length, room, "%s%.100s", p->length > 0 ? "." : "", name);
        p->length = n < 0 ? before : (size_t)n >= room ? sizeof p->text - 1 : before + (size_t)n;
    }
    return before;
}

static void path_leave(path *p, size_t before)
{
    p->length = before;
    p->text[before] = '\0';
}

/* ---- Making -------------------------------------------------------------------------------------------------------
 */

typedef struct maker {
    path path;
    double left, most;
    const char *what;
    fa_where where;
} maker;

static fa_module *make(maker *m, const fa_description *node);

static fa_module *make_registered(maker *m, const fa_description *node, constructor_of constructor)
{
    fa_module *module = constructor.plain != NULL ? constructor.plain() : constructor.with_context(constructor.context);
    if (module == NULL || module->impl_ == NULL) {
        if (fa_ok())
            fa_fail(FA_VALUE_ERROR, m->where, m->what,
                    "got NULL from the constructor registered for %s, needs a module. Hint: return &net->base",
                    node->class_name);
        return NULL;
    }
    if (fa_ok() && fa_description_matches(node, module, m->path.text, m->what, m->where))
        return module;
    fa_module_drop(module);
    return NULL;
}

/* False after an error. */
static bool make_children(maker *m, fa_module *module, const fa_description *node)
{
    for (const fa_description *child = node->child; child != NULL; child = child->next) {
        const int64_t before = fa_child_count(module);
        fa_module *made = make(m, child);
        if (made == NULL || fa_module_add_at(module, child->name, made, m->where) == NULL)
            return false;
        if (fa_child_count(module) == before)
            return fa_fail(FA_VALUE_ERROR, m->where, m->what, "got the name \"%s\" twice in the %s at \"%s\".",
                           child->name, node->class_name, m->path.text);
    }
    return true;
}

static fa_module *make_standard(maker *m, const fa_description *node, const fa_class *class)
{
    fa_option_value option[FA_DESCRIPTION_OPTIONS];
    if (!fa_class_resolve(class, node, option, m->path.text, m->what, m->where))
        return NULL;
    const bool container = strcmp(class->module, "container") == 0;
    if (!container && node->child != NULL) {
        fa_fail(FA_VALUE_ERROR, m->where, m->what, "got modules inside the %s at \"%s\", which has none.", class->name,
                m->path.text);
        return NULL;
    }
    m->left -= class->elements != NULL ? class->elements(option) : 0;
    if (!(m->left >= 0)) {
        fa_fail(FA_VALUE_ERROR, m->where, m->what,
                "got layers up to \"%s\" that need more than %.0f numbers, which is all that there are.", m->path.text,
                m->most);
        return NULL;
    }
    fa_module *module = class->make(option, m->where);
    if (module == NULL || !container || make_children(m, module, node))
        return module;
    fa_module_drop(module);
    return NULL;
}

static fa_module *make(maker *m, const fa_description *node)
{
    const constructor_of constructor = constructor_of_class(node->class_name);
    const fa_class *class = fa_class_find(node->class_name);
    const size_t before = path_enter(&m->path, node->name);
    fa_module *module = NULL;
    if (exists(constructor))
        module = make_registered(m, node, constructor);
    else if (class != NULL)
        module = make_standard(m, node, class);
    else
        fa_fail(FA_VALUE_ERROR, m->where, m->what,
                "got the class %.100s%s%s%s, which is no layer of this library, needs a constructor for it. Hint: "
                "fa_register_class(\"%.100s\", make_it); or load the weights alone into a model made by the "
                "program: fa_load_state_dict(model, fa_load(path))",
                node->class_name, node->name != NULL ? " at \"" : "", m->path.text, node->name != NULL ? "\"" : "",
                node->class_name);
    path_leave(&m->path, before);
    return module;
}

fa_module *fa_description_make(const fa_description *root, double most, const char *what, fa_where where)
{
    maker m = {.left = most, .most = most, .what = what, .where = where};
    return make(&m, root);
}

fa_module *fa_module_from_text_at(const char *text, fa_where where)
{
    static const char what[] = "fa_module_from_text";
    static const double most = 0x1p32; /* 16 GB of weights */
    fa_begin(where);
    if (text == NULL) {
        fa_fail(FA_VALUE_ERROR, where, what, "got no text, needs what PyTorch prints for a network: print(model)");
        return NULL;
    }
    fa_description *root = fa_parse_printed(text, strlen(text), what, where);
    fa_module *module = root != NULL ? fa_description_make(root, most, what, where) : NULL;
    fa_description_free(root);
    return module;
}

/* ---- Comparing ----------------------------------------------------------------------------------------------------
 */

typedef struct comparison {
    path path;
    const char *class_name; /* whose constructor it was */
    const char *what;
    fa_where where;
} comparison;

/* `detail`: what differs; the lines are shown where there are any. */
static bool differ(const comparison *c, const fa_description *a, const fa_description *b, const char *detail)
{
    char line[160] = "";
    if (a != NULL && a->line > 0)
        snprintf(line, sizeof line, "line %lld, `%.*s`: ", (long long)a->line,
                 a->text_length < 100 ? a->text_length : 100, a->text);
    return fa_fail(FA_VALUE_ERROR, c->where, c->what,
                   "got %sa network unlike the one that the constructor registered for %s made%s%.*s%s: at \"%s\" %s.",
                   line, c->class_name, b != NULL && b->line > 0 ? ", `" : "",
                   b != NULL && b->line > 0 ? (b->text_length < 100 ? b->text_length : 100) : 0,
                   b != NULL && b->line > 0 ? b->text : "", b != NULL && b->line > 0 ? "`" : "", c->path.text, detail);
}

static double number_at(const fa_option_value *o, int i)
{
    const int kind = o->kind == FA_OPTION_TUPLE ? o->item_kind[i] : o->kind;
    return kind == FA_OPTION_NONE || kind == FA_OPTION_ABSENT ? -INFINITY
                                                              : o->as.at[o->kind == FA_OPTION_TUPLE ? i : 0];
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* 2 and (2, 2) mean the same, 1 and 1.0 too. */
static bool same_value(const fa_option_value *a, const fa_option_value *b)
{
    if (a->kind == FA_OPTION_WORD || b->kind == FA_OPTION_WORD)
        return a->kind == b->kind && strcmp(a->as.word, b->as.word) == 0;
    const bool tuples = a->kind == FA_OPTION_TUPLE && b->kind == FA_OPTION_TUPLE;
    const int count = a->kind == FA_OPTION_TUPLE ? a->count : b->kind == FA_OPTION_TUPLE ? b->count : 1;
    if (tuples && a->count != b->count)
        return false;
    for (int i = 0; i < count; i++)
        if (!same_number(number_at(a, i), number_at(b, i)))
            return false;
    return true;
}

static void value_text(const fa_option_value *o, char *out, size_t size)
{
    fa_text text = {0};
    const int count = o->kind == FA_OPTION_TUPLE ? o->count : 1;
    if (o->kind == FA_OPTION_WORD)
        fa_text_add(&text, "%s", o->as.word);
    else if (o->kind == FA_OPTION_TUPLE)
        fa_text_add(&text, "(");
    for (int i = 0; o->kind != FA_OPTION_WORD && i < count; i++) {
        const double number = number_at(o, i);
        fa_text_add(&text, "%s", i > 0 ? ", " : "");
        if (number == -INFINITY)
            fa_text_add(&text, "None");
        else if (o->kind == FA_OPTION_BOOL)
            fa_text_add(&text, number != 0 ? "True" : "False");
        else
            fa_text_add(&text, "%g", number);
    }
    snprintf(out, size, "%s%s", text.data != NULL ? text.data : "", o->kind == FA_OPTION_TUPLE ? ")" : "");
    fa_text_free(&text);
}

static bool same_options(comparison *c, const fa_description *a, const fa_description *b)
{
    const fa_class *class = fa_class_find(a->class_name);
    fa_option_value left[FA_DESCRIPTION_OPTIONS], right[FA_DESCRIPTION_OPTIONS];
    char detail[200], name[32], one[64], other[64];
    bool printed;
    if (class == NULL) {
        /* A class of the program's: what it prints about itself, where it was printed. */
        const bool same = a->line == 0 || b->line == 0 ||
                          (a->text_length == b->text_length && memcmp(a->text, b->text, (size_t)a->text_length) == 0);
        return same || a->child != NULL || b->child != NULL || differ(c, a, b, "the options differ");
    }
    if (!fa_class_resolve(class, a, left, c->path.text, c->what, c->where) ||
        !fa_class_resolve(class, b, right, c->path.text, c->what, c->where))
        return false;
    for (int i = 0; fa_class_parameter(class, i, name, &printed); i++)
        if (printed && !same_value(&left[i], &right[i])) {
            value_text(&left[i], one, sizeof one);
            value_text(&right[i], other, sizeof other);
            snprintf(detail, sizeof detail, "%s of %s is %s, and %s was made", name, class->name, one, other);
            return differ(c, a, b, detail);
        }
    return true;
}

static bool compare(comparison *c, const fa_description *a, const fa_description *b)
{
    char detail[300];
    if (strcmp(a->class_name, b->class_name) != 0) {
        snprintf(detail, sizeof detail, "is a %.100s, and a %.100s was made", a->class_name, b->class_name);
        return differ(c, a, b, detail);
    }
    if (!same_options(c, a, b))
        return false;
    const fa_description *left = a->child, *right = b->child;
    for (; left != NULL && right != NULL; left = left->next, right = right->next) {
        if (strcmp(left->name, right->name) != 0) {
            snprintf(detail, sizeof detail, "comes \"%.100s\", and \"%.100s\" was made", left->name, right->name);
            return differ(c, left, right, detail);
        }
        const size_t before = path_enter(&c->path, left->name);
        if (!compare(c, left, right))
            return false;
        path_leave(&c->path, before);
    }
    if (left == NULL && right == NULL)
        return true;
    snprintf(detail, sizeof detail, left != NULL ? "is \"%.100s\", which was not made" : "\"%.100s\" was made besides",
             left != NULL ? left->name : right->name);
    return differ(c, left != NULL ? left : a, right, detail);
}

char *fa_module_text(const fa_module *module, fa_where where)
{
    const int64_t length = fa_module_format(module, NULL, 0);
    char *text = fa_malloc((size_t)length + 1);
    if (text == NULL) {
        fa_fail_memory(where, (size_t)length + 1);
        return NULL;
    }
    fa_module_format(module, text, (size_t)length + 1);
    return text;
}

bool fa_description_matches(const fa_description *root, const fa_module *made, const char *at, const char *what,
                            fa_where where)
{
    char *text = fa_module_text(made, where);
    fa_description *other = text != NULL ? fa_parse_printed(text, strlen(text), what, where) : NULL;
    comparison c = {.class_name = root->class_name, .what = what, .where = where};
    path_enter(&c.path, at[0] != '\0' ? at : NULL);
    const bool same = other != NULL && compare(&c, root, other);
    fa_description_free(other);
    fa_mfree(text);
    return same;
}
