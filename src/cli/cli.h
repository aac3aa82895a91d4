/* The `facula` command: one function a subcommand, an option table for each. */
#ifndef FACULA_CLI_H
#define FACULA_CLI_H

#include "facula.h"

/* Exit statuses: 0 done, 1 failed, 2 a wrong command line. */
enum { EXIT_USAGE = 2 };

typedef enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_INT, OPTION_NUMBER } option_kind;

typedef struct option_spec {
    const char *name; /* without dashes */
    option_kind kind;
    void *value;          /* bool, const char *, int64_t or double, with its default */
    double least, most;   /* bounds of numbers, inclusive */
    const char *argument; /* "N" in the help */
    const char *help;
} option_spec;

/* Reads options and positional arguments (up to `positionals`, into `operands`, unset ones NULL). Prints one clear line
 * on stderr and returns EXIT_USAGE for a wrong line; -1 after --help; 0 otherwise. `usage` heads the help. */
int read_options(int argc, char **argv, const option_spec *options, int n_options, const char *usage,
                 const char **operands, int positionals);

/* Whether the last line that was read had this option. */
bool option_given(const char *name);

/* What a network takes and gives: images [N, channels, height, width], a score for each class. */
typedef struct image_form {
    int64_t channels, height, width, classes;
} image_form;

typedef struct network {
    const char *name;
    image_form form; /* of the benchmark */
    int64_t batch;
    int halvings; /* of height and width, each of which needs two pixels */
    fa_module *(*make)(const image_form *form);
} network;
/* A network by name; NULL (with the names on stderr) if there is none. */
const network *find_network(const char *name);
/* One that suits images of this form, when nothing else is said. */
const network *network_for(const image_form *form);
/* The network for images of this form; NULL after an error: they are too small. */
fa_module *make_network(const network *net, const image_form *form);
/* The network whose model prints as `text`; NULL if none does. */
const network *network_that_prints(const char *text);

int command_train(int argc, char **argv);
int command_check(int argc, char **argv);
int command_predict(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_parity(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_convert(int argc, char **argv);

/* The library's message without the place in this program that it begins with. */
const char *error_text(void);
/* The same of one that was kept, for a note: up to the end of the text, or of the line. */
const char *kept_error_text(const char *message);
/* "facula: error: ..." with the library's message on stderr; returns 1. */
int fail_with_error(void);

#endif
