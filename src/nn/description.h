/* A network as a description: classes, names, options. It is read from PyTorch's printed form (printed_form.c) or from
 * pickled objects (pickled_module.c), compared with another, and made into modules (classes.c).
 *
 * Descriptions come from untrusted files: their sizes are bounded here, and what a description would allocate as
 * weights is bounded by whoever has it made. */
#ifndef FA_NN_DESCRIPTION_H
#define FA_NN_DESCRIPTION_H

#include "facula/state.h"
#include "files/value.h"
#include "nn/module.h"

enum {
    FA_DESCRIPTION_BYTES = 1 << 20, /* of printed text */
    FA_DESCRIPTION_NODES = 10000,
    FA_DESCRIPTION_DEPTH = 100,
    FA_DESCRIPTION_OPTIONS = 16 /* of one module */
};

typedef enum fa_option_kind {
    FA_OPTION_ABSENT,
    FA_OPTION_NONE,
    FA_OPTION_BOOL,
    FA_OPTION_INT, /* within +-(2^31 - 1), so that products of two fit */
    FA_OPTION_REAL,
    FA_OPTION_WORD,
    FA_OPTION_TUPLE /* of INT, REAL, NONE */
} fa_option_kind;

/* What an option is set to. The number of a BOOL, INT or REAL is at[0]; an INT's is whole. */
typedef struct fa_option_value {
    uint8_t kind, count; /* count: of a tuple */
    uint8_t item_kind[FA_MAX_DIMS];
    union {
        double at[FA_MAX_DIMS]; /* every int in range is exact */
        char word[FA_MAX_DIMS * sizeof(double)];
    } as;
} fa_option_value;

typedef struct fa_option {
    char name[32]; /* "": given by its place */
    fa_option_value value;
} fa_option;

typedef struct fa_description {
    char *name; /* in its parent; NULL: the root */
    char *class_name;
    fa_option *option;
    int option_count;
    bool unreadable;                       /* its options are in another form */
    bool borrowed_class, borrowed_options; /* they belong to a twin (a run of equal children) */
    int64_t line;                          /* in the text, from 1; 0: not from a text */
    const char *text;
    int text_length;                     /* that line, without the blanks around it */
    int training;                        /* pickled: its mode; -1: not said */
    struct fa_description *child, *next; /* the first child; the next sibling */
} fa_description;

/* Counts what has been made, and where it came from. */
typedef struct fa_description_budget {
    int64_t nodes;
    const char *what;
    fa_where where;
} fa_description_budget;

/* A node counted against the budget; strings are copied, `length` bytes of each. NULL after an error. */
fa_description *fa_description_new(fa_description_budget *budget, const char *name, size_t name_length,
                                   const char *class_name, size_t class_length);
void fa_description_free(fa_description *root);

/* The description of a printed form, `length` bytes that must outlive it. NULL after an error. */
fa_description *fa_parse_printed(const char *text, size_t length, const char *what, fa_where where);
/* Options between brackets, "3, 32, kernel_size=(3, 3)", after those that the node has. False, without an error, when
 * they are in no form that is known. */
bool fa_parse_options(fa_description *node, const char *text, size_t length);

/* The description of a pickled module and all in it. NULL after an error. */
fa_description *fa_describe_object(fa_value *object, const char *what, fa_where where);

/* ---- Classes ---- */

typedef struct fa_class {
    const char *name;
    const char *module; /* in PyTorch, below torch.nn.modules: "conv"; "": several */
    /* PyTorch's parameters in order: "in_channels, out_channels, kernel_size, stride=1, ~ceil_mode=False"; those with ~
     * are not printed. */
    const char *signature;
    /* Makes it; elements of its weights have been counted. */
    fa_module *(*make)(const fa_option_value *option, fa_where where);
    double (*elements)(const fa_option_value *option); /* of weights and buffers; NULL: none */
} fa_class;
/* NULL: no layer of this library. */
const fa_class *fa_class_find(const char *name);
/* The options of a node in the order of its class's signature, defaults filled in. False after an error. */
bool fa_class_resolve(const fa_class *class, const fa_description *node, fa_option_value out[FA_DESCRIPTION_OPTIONS],
                      const char *path, const char *what, fa_where where);
/* Name of parameter i of a signature, into `name`; whether it is printed. False: there is none. */
bool fa_class_parameter(const fa_class *class, int i, char name[32], bool *printed);

/* The network of a description, its weights not drawn yet. `most`: how many elements of weights and buffers it may
 * have. NULL after an error. */
fa_module *fa_description_make(const fa_description *root, double most, const char *what, fa_where where);

/* Whether `made` prints as `root` says. False after raising an error that shows the first difference. */
bool fa_description_matches(const fa_description *root, const fa_module *made, const char *path, const char *what,
                            fa_where where);
/* The printed form in memory of its own; NULL after an error. */
char *fa_module_text(const fa_module *module, fa_where where);

#endif
