/* Command lines: getopt_long over the command's own table, which also makes the help. */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 32, FIRST_VALUE = 256 };

static const char *given[MAX_OPTIONS]; /* options of the last line that was read */
static int n_given;

bool option_given(const char *name)
{
    for (int i = 0; i < n_given; i++)
        if (strcmp(given[i], name) == 0)
            return true;
    return false;
}

/* A paragraph beside the options' names. */
static void print_words(const char *text)
{
    enum { LEFT = 24, WIDTH = 104 };
    size_t column = LEFT;
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (column > LEFT && column + 1 + length > WIDTH) {
            printf("\n%*s", LEFT, "");
            column = LEFT;
        }
        printf(" %.*s", (int)length, text);
        column += 1 + length;
        text += length + strspn(text + length, " ");
    }
    printf("\n");
}

static void print_help(const option_spec *options, int n, const char *usage)
{
    printf("%s\n\nOptions:\n", usage);
    for (int i = 0; i < n; i++) {
        char left[40];
        snprintf(left, sizeof left, "--%s%s%s", options[i].name, options[i].argument != NULL ? " " : "",
                 options[i].argument != NULL ? options[i].argument : "");
        char right[1024], otherwise[256] = "";
        if (options[i].kind == OPTION_INT && *(int64_t *)options[i].value >= 0)
            snprintf(otherwise, sizeof otherwise, " [%lld]", (long long)*(int64_t *)options[i].value);
        else if (options[i].kind == OPTION_NUMBER)
            snprintf(otherwise, sizeof otherwise, " [%g]", *(double *)options[i].value);
        else if (options[i].kind == OPTION_TEXT && *(const char **)options[i].value != NULL)
            snprintf(otherwise, sizeof otherwise, " [%s]", *(const char **)options[i].value);
        snprintf(right, sizeof right, "%s%s", options[i].help, otherwise);
        printf("  %-22s", left);
        print_words(right);
    }
    printf("  %-22s this help\n", "--help");
}

static bool read_value(const option_spec *option, const char *text)
{
    char *end;
    errno = 0;
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->value = true;
        return true;
    case OPTION_TEXT:
        *(const char **)option->value = text;
        return true;
    case OPTION_INT: {
        long long value = strtoll(text, &end, 10);
        if (end == text || *end != '\0' || errno != 0) {
            fprintf(stderr, "facula: --%s: got \"%s\", needs a whole number\n", option->name, text);
            return false;
        }
        if ((double)value < option->least || (double)value > option->most) {
            fprintf(stderr, "facula: --%s: got %lld, needs %.0f to %.0f\n", option->name, value, option->least,
                    option->most);
            return false;
        }
        *(int64_t *)option->value = value;
        return true;
    }
    default: {
        double value = strtod(text, &end);
        if (end == text || *end != '\0' || !isfinite(value)) {
            fprintf(stderr, "facula: --%s: got \"%s\", needs a number\n", option->name, text);
            return false;
        }
        if (value < option->least || value > option->most) {
            fprintf(stderr, "facula: --%s: got %g, needs %g to %g\n", option->name, value, option->least, option->most);
            return false;
        }
        *(double *)option->value = value;
        return true;
    }
    }
}

int read_options(int argc, char **argv, const option_spec *options, int n_options, const char *usage,
                 const char **operands, int positionals)
{
    struct option table[MAX_OPTIONS + 2] = {{0}};
    for (int i = 0; i < n_options; i++)
        table[i] = (struct option){options[i].name, options[i].kind == OPTION_FLAG ? no_argument : required_argument,
                                   NULL, FIRST_VALUE + i};
    table[n_options] = (struct option){"help", no_argument, NULL, 'h'};
    for (int i = 0; i < positionals; i++)
        operands[i] = NULL;
    n_given = 0;
    optind = 1;
    for (;;) {
        int at = optind, code = getopt_long(argc, argv, ":h", table, NULL);
        if (code == -1)
            break;
        if (code == 'h') {
            print_help(options, n_options, usage);
            return -1;
        }
        if (code == '?' || code == ':') {
            const char *word = argv[code == ':' || optind > at ? optind - 1 : at];
            fprintf(stderr, "facula: %s: %s; `facula %s --help` lists the options\n", word,
                    code == ':' ? "needs a value" : "no such option, or one that takes no value", argv[0]);
            return EXIT_USAGE;
        }
        const option_spec *option = &options[code - FIRST_VALUE];
        if (!read_value(option, optarg))
            return EXIT_USAGE;
        if (!option_given(option->name))
            given[n_given++] = option->name;
    }
    for (int i = optind; i < argc; i++) {
        if (i - optind >= positionals) {
            fprintf(stderr, "facula: %s: one argument too many; `facula %s --help` shows what is taken\n", argv[i],
                    argv[0]);
            return EXIT_USAGE;
        }
        operands[i - optind] = argv[i];
    }
    return 0;
}

/* Without a C function's name, which is of no use to who typed the command. */
static const char *without_function(const char *message)
{
    size_t name = strspn(message, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return strncmp(message, "fa_", 3) == 0 && strncmp(message + name, ": ", 2) == 0 ? message + name + 2 : message;
}

const char *error_text(void)
{
    /* Nor is the place in this program's own source. */
    const char *message = fa_error();
    fa_where where = fa_error_where();
    char prefix[512];
    int length = snprintf(prefix, sizeof prefix, "%s:%d: ", where.file, where.line);
    bool there = length > 0 && (size_t)length < sizeof prefix && strncmp(message, prefix, (size_t)length) == 0;
    return without_function(there ? message + length : message);
}

const char *kept_error_text(const char *message)
{
    const size_t file = strcspn(message, ":\n"), line = message[file] == ':' ? file + 1 : file;
    const size_t end = line + strspn(message + line, "0123456789");
    const bool there = end > line && strncmp(message + end, ": ", 2) == 0;
    return without_function(there ? message + end + 2 : message);
}

int fail_with_error(void)
{
    fprintf(stderr, "facula: error: %s\n", error_text());
    return 1;
}
