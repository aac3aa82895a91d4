/* A report of fa_check for people, in as many columns as the terminal has, and as JSON. */
#include "check.h"

#include "values.h"

#include <cjson/cJSON.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { FEWEST_COLUMNS = 40, MOST_CLASSES = 20, SHOWN_CLASSES = 16, SHOWN_ITEMS = 10, SHOWN_PAIRS = 3, NAME_MOST = 36 };

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void *no_null(void *block)
{
    if (block == NULL) {
        fprintf(stderr, "facula: error: no memory\n");
        exit(1);
    }
    return block;
}

static cJSON *json_of(fa_value *value)
{
    const fa_value_kind kind = fa_kind_of(value);
    char text[32];
    if (kind == FA_VALUE_INT) {
        snprintf(text, sizeof text, "%lld", (long long)fa_as_int(value));
        return no_null(cJSON_CreateRaw(text));
    }
    if (kind == FA_VALUE_FLOAT)
        return no_null(cJSON_CreateNumber(fa_as_float(value)));
    if (kind == FA_VALUE_STRING) {
        line l = {0};
        line_add_utf8(&l, fa_as_path(value), strlen(fa_as_path(value)));
        cJSON *item = no_null(cJSON_CreateString(l.length > 0 ? l.text : ""));
        line_free(&l);
        return item;
    }
    if (kind != FA_VALUE_LIST && kind != FA_VALUE_DICT)
        return no_null(cJSON_CreateNull());
    cJSON *item = no_null(kind == FA_VALUE_LIST ? cJSON_CreateArray() : cJSON_CreateObject());
    for (int64_t i = 0; i < fa_len(value); i++)
        if (kind == FA_VALUE_LIST)
            cJSON_AddItemToArray(item, json_of(fa_value_at(value, i)));
        else
            cJSON_AddItemToObject(item, fa_as_string(fa_key_at(value, i)), json_of(fa_value_at(value, i)));
    return item;
}

void print_report_json(fa_value *report)
{
    cJSON *item = json_of(report);
    char *text = no_null(cJSON_Print(item));
    printf("%s\n", text);
    cJSON_free(text);
    cJSON_Delete(item);
}

/* ---- The page ---------------------------------------------------------------------------------------------------- */

typedef struct page {
    fa_value *report, *splits;
    int columns;
    bool utf8, colour;
} page;

static const char *const plain = "\033[0m", *const bold = "\033[1m", *const dim = "\033[2m", *const red = "\033[31m",
                         *const green = "\033[32m", *const yellow = "\033[33m";

static const char *style(const page *p, const char *code)
{
    return p->colour ? code : "";
}

static int terminal_columns(void)
{
    struct winsize size;
    const char *given = getenv("COLUMNS");
    int columns = given != NULL ? atoi(given) : 0;
    if (columns <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        columns = size.ws_col;
    return columns <= 0 ? 80 : columns < FEWEST_COLUMNS ? FEWEST_COLUMNS : columns;
}

/* Text in lines that fit, the first after `used` columns, the others indented as far. */
static void print_wrapped(const page *p, const char *text, int used)
{
    line l = {0};
    line_add_clean(&l, text, strlen(text));
    int column = used;
    for (const char *at = l.length > 0 ? l.text : ""; *at != '\0';) {
        line word = {0};
        const size_t length = strcspn(at, " ");
        line_add(&word, "%.*s", (int)length, at);
        const int width = line_columns(&word);
        if (column > used && column + 1 + width > p->columns) {
            printf("\n%*s", used, "");
            column = used;
        }
        if (column > used) {
            putchar(' ');
            column++;
        }
        fputs(word.length > 0 ? word.text : "", stdout);
        column += width;
        line_free(&word);
        at += length + strspn(at + length, " ");
    }
    putchar('\n');
    line_free(&l);
}

static void print_clean(const char *text, int width, bool right)
{
    line l = {0};
    line_add_clean(&l, text, strlen(text));
    const int space = width > line_columns(&l) ? width - line_columns(&l) : 0;
    printf("%*s%s%*s", right ? space : 0, "", l.length > 0 ? l.text : "", right ? 0 : space, "");
    line_free(&l);
}

static void print_title(const page *p, const char *title)
{
    printf("\n%s%s%s\n", style(p, bold), title, style(p, plain));
}

/* ---- The table of parts ------------------------------------------------------------------------------------------ */

static const char *count_text(int64_t count, char text[32])
{
    line l = {0};
    line_add_count(&l, count);
    snprintf(text, 32, "%s", l.text);
    line_free(&l);
    return text;
}

/* A row: a name, and a cell for each part. */
static void print_row(const page *p, const char *name, int name_width, const char *const *cell, const int *width)
{
    int64_t last = fa_len(p->splits) - 1;
    while (last >= 0 && cell[last][0] == '\0')
        last--;
    printf("  ");
    print_clean(name, last >= 0 ? name_width : 0, false);
    for (int64_t k = 0; k <= last; k++) {
        printf("  ");
        print_clean(cell[k], width[k], true);
    }
    putchar('\n');
}

/* "28", "20..500" */
static void range_text(long long least, long long most, char *text, size_t room)
{
    if (least == most)
        snprintf(text, room, "%lld", least);
    else
        snprintf(text, room, "%lld..%lld", least, most);
}

/* Height x width: "32 x 32", "32..500 x 32..400". */
static void size_text(fa_value *sizes, char *text, size_t room)
{
    text[0] = '\0';
    if (fa_get_int(sizes, "distinct") == 0)
        return;
    char side[2][48];
    for (int k = 0; k < 2; k++)
        range_text(fa_as_int(fa_get(fa_get(sizes, "least"), k)), fa_as_int(fa_get(fa_get(sizes, "most"), k)), side[k],
                   sizeof side[k]);
    snprintf(text, room, "%s x %s", side[0], side[1]);
}

enum { MOST_PARTS = 3 };

static void print_classes(const page *p, int name_width, const int *width)
{
    fa_value *classes = fa_get(fa_value_at(p->splits, 0), "classes");
    const int64_t n = fa_len(classes), shown = n > MOST_CLASSES ? SHOWN_CLASSES : n;
    for (int64_t c = 0; c < shown; c++) {
        const char *cell[MOST_PARTS];
        char text[MOST_PARTS][32];
        for (int64_t k = 0; k < fa_len(p->splits); k++)
            cell[k] =
                count_text(fa_as_int(fa_get(fa_get(fa_get(fa_value_at(p->splits, k), "classes"), c), 1)), text[k]);
        print_row(p, fa_as_path(fa_get(fa_get(classes, c), 0)), name_width, cell, width);
    }
    if (shown < n)
        printf("  %s... and %lld more classes%s\n", style(p, dim), (long long)(n - shown), style(p, plain));
}

static void print_modes(const page *p, int name_width, const int *width)
{
    static const char *const modes[] = {"RGB",     "grey", "other",    "alpha",         "palette",
                                        "16 bits", "CMYK", "animated", "EXIF rotation", "damaged JPEG"};
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
        const char *cell[MOST_PARTS];
        char text[MOST_PARTS][32];
        bool any = false;
        for (int64_t k = 0; k < fa_len(p->splits); k++) {
            fa_value *counts = fa_get(fa_value_at(p->splits, k), "modes");
            const bool has = fa_has(counts, modes[m]);
            cell[k] = has ? count_text(fa_get_int(counts, modes[m]), text[k]) : "";
            any |= has;
        }
        if (any)
            print_row(p, modes[m], name_width, cell, width);
    }
}

static void print_parts(const page *p)
{
    const char *name[MOST_PARTS], *items[MOST_PARTS], *sizes[MOST_PARTS], *unreadable[MOST_PARTS];
    char text[MOST_PARTS][3][100];
    int width[MOST_PARTS], name_width = 13;
    bool bad = false;
    fa_value *classes = fa_get(fa_value_at(p->splits, 0), "classes");
    for (int64_t c = 0; c < fa_len(classes) && c < MOST_CLASSES; c++) {
        line l = {0};
        const char *class = fa_as_path(fa_get(fa_get(classes, c), 0));
        line_add_clean(&l, class, strlen(class));
        const int columns = line_columns(&l);
        name_width = columns > name_width ? columns < NAME_MOST ? columns : NAME_MOST : name_width;
        line_free(&l);
    }
    for (int64_t k = 0; k < fa_len(p->splits); k++) {
        fa_value *split = fa_value_at(p->splits, k);
        name[k] = fa_get_string(split, "name");
        items[k] = count_text(fa_get_int(split, "items"), text[k][0]);
        size_text(fa_get(split, "sizes"), text[k][1], sizeof text[k][1]);
        sizes[k] = text[k][1];
        unreadable[k] = count_text(fa_get_int(split, "unreadable"), text[k][2]);
        bad |= fa_get_int(split, "unreadable") > 0;
        width[k] = 10;
        width[k] = (int)strlen(sizes[k]) > width[k] ? (int)strlen(sizes[k]) : width[k];
    }
    print_title(p, "Items");
    print_row(p, "", name_width, name, width);
    print_row(p, "all", name_width, items, width);
    print_classes(p, name_width, width);
    print_title(p, "Images");
    print_row(p, "size", name_width, sizes, width);
    print_modes(p, name_width, width);
    if (bad)
        print_row(p, "unreadable", name_width, unreadable, width);
}

/* ---- Numbers and lists ------------------------------------------------------------------------------------------- */

static void add_numbers(line *l, fa_value *list)
{
    for (int64_t i = 0; i < fa_len(list); i++)
        line_add(l, "%s%.4f", i > 0 ? ", " : "", fa_as_float(fa_get(list, i)));
}

static void print_statistics(const page *p)
{
    fa_value *mean = fa_get(p->report, "mean"), *std = fa_get(p->report, "std");
    if (fa_kind_of(mean) != FA_VALUE_LIST || fa_len(mean) == 0 || fa_len(mean) > 4)
        return;
    line m = {0}, s = {0};
    add_numbers(&m, mean);
    add_numbers(&s, std);
    print_title(p, "Mean and standard deviation of the training pixels, from 0 to 1");
    printf("  Normalize(mean=[%s], std=[%s])\n", m.text, s.text);
    printf("  fa_normalize({%s}, {%s})\n", m.text, s.text);
    line_free(&m);
    line_free(&s);
}

static void print_unreadable(const page *p)
{
    bool begun = false;
    for (int64_t k = 0; k < fa_len(p->splits); k++) {
        fa_value *split = fa_value_at(p->splits, k), *items = fa_get(split, "unreadable_items"),
                 *damaged = fa_get(split, "damaged_items");
        const int64_t n = fa_get_int(split, "unreadable"), m = fa_get_int(split, "damaged");
        if (n + m == 0)
            continue;
        if (!begun)
            print_title(p, "Files to look at");
        begun = true;
        for (int64_t i = 0; i < fa_len(items) && i < SHOWN_ITEMS; i++) {
            const char *name = fa_as_path(fa_get(fa_get(items, i), 0)),
                       *error = fa_as_path(fa_get(fa_get(items, i), 1));
            line l = {0};
            line_add(&l, "%s%s%s", strstr(error, name) != NULL ? "" : name, strstr(error, name) != NULL ? "" : ": ",
                     error);
            printf("  ");
            print_wrapped(p, l.text, 2);
            line_free(&l);
        }
        for (int64_t i = 0; i < fa_len(damaged) && i < SHOWN_ITEMS; i++) {
            printf("  ");
            print_clean(fa_as_path(fa_get(damaged, i)), 0, false);
            printf(" decodes in spite of damage\n");
        }
        if (n > SHOWN_ITEMS || m > SHOWN_ITEMS)
            printf("  %s... and %lld more of %s (--json lists them)%s\n", style(p, dim),
                   (long long)((n > SHOWN_ITEMS ? n - SHOWN_ITEMS : 0) + (m > SHOWN_ITEMS ? m - SHOWN_ITEMS : 0)),
                   fa_get_string(split, "name"), style(p, plain));
    }
}

static void print_pairs(const page *p, fa_value *pairs, int64_t total)
{
    for (int64_t i = 0; i < fa_len(pairs) && i < SHOWN_PAIRS; i++) {
        printf("  ");
        print_clean(fa_as_path(fa_get(fa_get(pairs, i), 1)), 0, false);
        printf(" is ");
        print_clean(fa_as_path(fa_get(fa_get(pairs, i), 0)), 0, false);
        putchar('\n');
    }
    if (total > SHOWN_PAIRS)
        printf("  %s... and %lld more (--json lists %d)%s\n", style(p, dim), (long long)(total - SHOWN_PAIRS), 10,
               style(p, plain));
}

static void print_equal(const page *p)
{
    fa_value *overlaps = fa_get(p->report, "overlaps");
    for (int64_t i = 0; i < fa_len(overlaps); i++) {
        fa_value *overlap = fa_value_at(overlaps, i);
        char title[64];
        snprintf(title, sizeof title, "In %s and in %s", fa_get_string(overlap, "a"), fa_get_string(overlap, "b"));
        print_title(p, title);
        print_pairs(p, fa_get(overlap, "examples"), fa_get_int(overlap, "items"));
    }
    fa_value *relabelled = fa_get(p->report, "relabelled");
    if (fa_len(relabelled) > 0) {
        print_title(p, "In two classes");
        print_pairs(p, relabelled, fa_len(relabelled));
    }
}

/* ---- The network ------------------------------------------------------------------------------------------------- */

/* "32 x 28 x 28": a shape without its batch; "" where the layer has not run. */
static void add_image_shape(line *l, fa_value *shape)
{
    for (int64_t d = 1; fa_kind_of(shape) == FA_VALUE_LIST && d < fa_len(shape); d++)
        line_add(l, "%s%lld", d > 1 ? " x " : "", (long long)fa_as_int(fa_get(shape, d)));
}

static void print_layers(const page *p)
{
    enum { COLUMNS = 5 };
    if (!fa_has(p->report, "layers"))
        return;
    fa_value *layers = fa_get(p->report, "layers");
    const int64_t n = fa_len(layers);
    int width[COLUMNS] = {5, 5, 5, 6, 10};
    line(*cell)[COLUMNS] = no_null(calloc((size_t)n + 1, sizeof *cell));
    static const char *const head[COLUMNS] = {"layer", "class", "takes", "gives", "parameters"};
    for (int64_t i = 0; i < n; i++) {
        fa_value *layer = fa_value_at(layers, i);
        const char *name = fa_get_string(layer, "name"), *class = fa_get_string(layer, "class");
        line_add_clean(&cell[i][0], name, strlen(name));
        line_add_clean(&cell[i][1], class, strlen(class));
        add_image_shape(&cell[i][2], fa_get(layer, "input"));
        add_image_shape(&cell[i][3], fa_get(layer, "output"));
        if (fa_get_int(layer, "parameters") > 0)
            line_add_count(&cell[i][4], fa_get_int(layer, "parameters"));
        for (int c = 0; c < COLUMNS; c++)
            width[c] = line_columns(&cell[i][c]) > width[c] ? line_columns(&cell[i][c]) : width[c];
    }
    print_title(p, "Layers");
    for (int64_t i = -1; i < n; i++) {
        const bool failed =
            i >= 0 && i == n - 1 && fa_kind_of(fa_get(fa_value_at(layers, i), "output")) != FA_VALUE_LIST;
        printf("%s  ", i < 0 ? style(p, dim) : failed ? style(p, red) : "");
        const int last = i < 0 || cell[i][4].length > 0 ? 4 : 3;
        for (int c = 0; c <= last; c++) {
            const char *text = i < 0 ? head[c] : cell[i][c].length > 0 ? cell[i][c].text : failed && c == 3 ? "?" : "";
            print_clean(text, c == 3 && last == 3 ? 0 : width[c], c == 4);
            fputs(c < last ? "  " : "", stdout);
        }
        printf("%s\n", i < 0 || failed ? style(p, plain) : "");
    }
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < COLUMNS; c++)
            line_free(&cell[i][c]);
    free(cell);
}

/* ---- The checklist ----------------------------------------------------------------------------------------------- */

static void print_mark(const page *p, const char *mark)
{
    const bool ok = strcmp(mark, "ok") == 0, warning = strcmp(mark, "warning") == 0, stop = strcmp(mark, "stop") == 0;
    const char *text = ok ? (p->utf8 ? "✓" : "+") : warning ? "!" : stop ? (p->utf8 ? "✗" : "X") : "?";
    printf("  %s%s%s ", style(p, ok ? green : warning ? yellow : stop ? red : dim), text, style(p, plain));
}

static void print_group(const page *p, const char *group, const char *title)
{
    fa_value *checks = fa_get(p->report, "checks");
    print_title(p, title);
    for (int64_t i = 0; i < fa_len(checks); i++) {
        fa_value *item = fa_value_at(checks, i);
        if (strcmp(fa_get_string(item, "group"), group) != 0)
            continue;
        line l = {0};
        line_add(&l, "%s: %s", fa_get_string(item, "name"), fa_as_path(fa_get(item, "text")));
        print_mark(p, fa_get_string(item, "mark"));
        print_wrapped(p, l.text, 4);
        line_free(&l);
        if (fa_as_path(fa_get(item, "hint"))[0] != '\0') {
            printf("    %s%s%s ", style(p, dim), p->utf8 ? "→" : "->", style(p, plain));
            print_wrapped(p, fa_as_path(fa_get(item, "hint")), p->utf8 ? 6 : 7);
        }
    }
}

static void print_end(const page *p)
{
    const long long stops = fa_get_int(p->report, "stops"), warnings = fa_get_int(p->report, "warnings");
    printf("\n");
    if (stops > 0)
        printf("%s%lld thing%s would stop a training%s", style(p, red), stops, stops == 1 ? "" : "s", style(p, plain));
    else
        printf("%sNothing would stop a training%s", style(p, green), style(p, plain));
    if (warnings > 0)
        printf("; %lld to look at (!)", warnings);
    printf(".\n");
}

void print_report(fa_value *report)
{
    const char *no_colour = getenv("NO_COLOR");
    setlocale(LC_CTYPE, "");
    const page p = {.report = report,
                    .splits = fa_get(report, "splits"),
                    .columns = terminal_columns(),
                    .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
                    .colour = isatty(STDOUT_FILENO) && (no_colour == NULL || no_colour[0] == '\0')};
    setlocale(LC_CTYPE, "C");
    printf("%s", style(&p, bold));
    print_clean(fa_as_path(fa_get(report, "data")), 0, false);
    printf("%s: %s\n", style(&p, plain), fa_get_string(report, "kind"));
    print_parts(&p);
    print_statistics(&p);
    print_unreadable(&p);
    print_equal(&p);
    print_layers(&p);
    print_group(&p, "data", "Data");
    print_group(&p, "model", "Model");
    print_group(&p, "training", "Training");
    print_end(&p);
}
