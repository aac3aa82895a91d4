/* facula predict MODEL PICTURE...: what a checkpoint says is in pictures. */
#include "cli.h"
#include "files.h"
#include "values.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64, NAME_MOST = 56 };
static const double SHOWN = 0.0005; /* what is less would be 0.0 % */

typedef struct prediction_run {
    fa_predictor *predictor;
    file_list files;
    int64_t top, failed;
    bool json;
    int name_width, class_width;
} prediction_run;

/* ---- For programs ------------------------------------------------------------------------------------------------ */

static char *clean_utf8(const char *text, line *room)
{
    room->length = 0;
    line_add_utf8(room, text, strlen(text));
    line_add(room, "%s", "");
    return room->text;
}

static void print_json_item(cJSON *item)
{
    char *text = item != NULL ? cJSON_PrintUnformatted(item) : NULL;
    if (text == NULL) {
        fprintf(stderr, "facula: error: no memory\n");
        exit(1);
    }
    fputs(text, stdout);
    cJSON_free(text);
    cJSON_Delete(item);
}

static void print_json_string(const char *text)
{
    line l = {0};
    print_json_item(cJSON_CreateString(clean_utf8(text, &l)));
    line_free(&l);
}

static void print_json_head(const prediction_run *r)
{
    printf("{\"model\": ");
    print_json_string(fa_predictor_path(r->predictor));
    printf(",\n \"transforms\": ");
    print_json_string(fa_predictor_transforms(r->predictor));
    printf(",\n \"mode\": ");
    print_json_string(fa_predictor_mode(r->predictor));
    printf(",\n \"classes\": [");
    for (int64_t i = 0; i < fa_predictor_class_count(r->predictor); i++) {
        fputs(i > 0 ? ", " : "", stdout);
        print_json_string(fa_predictor_class_name(r->predictor, i));
    }
    printf("],\n \"pictures\": [");
}

static void print_json(const prediction_run *r, const char *path, const fa_prediction *p, bool first)
{
    line l = {0};
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "path", clean_utf8(path, &l));
    if (p->index < 0) {
        cJSON_AddStringToObject(item, "error", clean_utf8(p->error, &l));
    } else {
        cJSON_AddStringToObject(item, "class", clean_utf8(p->name, &l));
        cJSON_AddNumberToObject(item, "index", (double)p->index);
        cJSON_AddNumberToObject(item, "probability", p->probability);
        cJSON *top = cJSON_AddArrayToObject(item, "top");
        for (int k = 0; k < p->top_count && k < r->top; k++) {
            cJSON *score = cJSON_CreateObject();
            cJSON_AddStringToObject(score, "class", clean_utf8(p->top[k].name, &l));
            cJSON_AddNumberToObject(score, "index", (double)p->top[k].index);
            cJSON_AddNumberToObject(score, "probability", p->top[k].probability);
            cJSON_AddItemToArray(top, score);
        }
    }
    line_free(&l);
    printf("%s\n  ", first ? "" : ",");
    print_json_item(item);
}

/* ---- For people -------------------------------------------------------------------------------------------------- */

static void print_cell(const char *text, int width)
{
    line l = {0};
    line_add_clean(&l, text, strlen(text));
    printf("%s%*s", l.length > 0 ? l.text : "", width > line_columns(&l) ? width - line_columns(&l) : 0, "");
    line_free(&l);
}

static int columns_of(const char *text)
{
    line l = {0};
    line_add_clean(&l, text, strlen(text));
    int columns = line_columns(&l);
    line_free(&l);
    return columns;
}

static void measure(prediction_run *r)
{
    r->name_width = 7;
    r->class_width = 5;
    for (size_t i = 0; i < r->files.count; i++) {
        int columns = columns_of(r->files.path[i]);
        r->name_width = columns > r->name_width && columns <= NAME_MOST ? columns : r->name_width;
    }
    for (int64_t i = 0; i < fa_predictor_class_count(r->predictor); i++) {
        int columns = columns_of(fa_predictor_class_name(r->predictor, i));
        r->class_width = columns > r->class_width ? columns : r->class_width;
    }
}

/* torchvision's form, which has a line a step, on one line. */
static void print_transforms(const char *text)
{
    for (char before = '('; *text != '\0';) {
        text += strspn(text, " ");
        const size_t length = strcspn(text, "\n");
        printf("%s%.*s", before == '(' || text[0] == ')' ? "" : ", ", (int)length, text);
        before = length > 0 ? text[length - 1] : before;
        text += length + (text[length] == '\n');
    }
}

static void print_head(const prediction_run *r)
{
    printf("model: ");
    print_cell(fa_predictor_path(r->predictor), 0);
    printf(", %lld classes\npictures: %s; ", (long long)fa_predictor_class_count(r->predictor),
           strcmp(fa_predictor_mode(r->predictor), "L") == 0 ? "grey" : "colour");
    print_transforms(fa_predictor_transforms(r->predictor));
    printf("\n\n%-*s  %-*s  probability", r->name_width, "picture", r->class_width, "class");
    printf(r->top > 1 ? "  next\n" : "\n");
}

static void print_row(const prediction_run *r, const char *path, const fa_prediction *p)
{
    if (p->index < 0) {
        line l = {0};
        const char *fit = strstr(p->error, ".fit = "); /* the option's name here */
        line_add_clean(&l, p->error, fit != NULL ? (size_t)(fit - p->error) : strlen(p->error));
        if (fit != NULL) {
            line_add(&l, "--fit ");
            line_add_clean(&l, fit + strlen(".fit = "), strlen(fit + strlen(".fit = ")));
        }
        fflush(stdout);
        fprintf(stderr, "facula: error: %s\n", l.text);
        line_free(&l);
        return;
    }
    print_cell(path, r->name_width);
    printf("  ");
    print_cell(p->name, r->class_width);
    printf("  %9.1f %%", 100 * p->probability);
    for (int k = 1; k < p->top_count && k < r->top && p->top[k].probability >= SHOWN; k++) {
        printf(k == 1 ? "  " : ", ");
        print_cell(p->top[k].name, 0);
        printf(" %.1f %%", 100 * p->top[k].probability);
    }
    printf("\n");
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

/* False after an error that is no picture's. */
static bool predict(prediction_run *r)
{
    static fa_prediction results[CHUNK];
    for (size_t first = 0; first < r->files.count; first += CHUNK) {
        size_t n = r->files.count - first < CHUNK ? r->files.count - first : CHUNK;
        fa_predict_picture pictures[CHUNK] = {{0}};
        for (size_t i = 0; i < n; i++)
            pictures[i].path = r->files.path[first + i];
        int64_t answered = fa_predict_all(r->predictor, pictures, (int64_t)n, results);
        if (answered < 0)
            return false;
        r->failed += (int64_t)n - answered;
        for (size_t i = 0; i < n; i++)
            if (r->json)
                print_json(r, pictures[i].path, &results[i], first + i == 0);
            else
                print_row(r, pictures[i].path, &results[i]);
    }
    return true;
}

/* What was special about the pictures, beside the answers. */
static void tell_pictures(void)
{
    char notes[4096];
    fflush(stdout);
    if (fa_picture_notes(notes, sizeof notes) > 0)
        for (char *rest = notes, *note; (note = strsep(&rest, "\n")) != NULL;)
            fprintf(stderr, "facula: note: %s\n", note);
}

static int answer(prediction_run *r)
{
    if (r->json) {
        print_json_head(r);
    } else {
        measure(r);
        print_head(r);
    }
    bool good = predict(r);
    if (r->json)
        printf("\n ],\n \"failed\": %lld}\n", (long long)r->failed);
    if (!good)
        return fail_with_error();
    tell_pictures();
    if (r->failed > 0) {
        fprintf(stderr, "facula: %lld of %zu pictures got no answer\n", (long long)r->failed, r->files.count);
    }
    return r->failed > 0 ? 1 : 0;
}

/* ---- The command ------------------------------------------------------------------------------------------------- */

typedef struct predict_options {
    const char *classes, *transforms, *background, *mode;
    int64_t fit, threads;
    bool exif;
} predict_options;

static int open_model(prediction_run *r, const predict_options *o, const char *model)
{
    char *text = strdup(o->classes != NULL ? o->classes : "");
    const char **names = calloc(strlen(o->classes != NULL ? o->classes : "") + 1, sizeof *names);
    if (text == NULL || names == NULL) {
        fprintf(stderr, "facula: error: no memory\n");
        exit(1);
    }
    int64_t count = 0;
    for (char *rest = text, *name; o->classes != NULL && (name = strsep(&rest, ",")) != NULL;)
        names[count++] = name;
    fa_transform *transform = o->transforms != NULL ? fa_transform_parse(o->transforms) : NULL;
    if (fa_ok())
        r->predictor = fa_predictor_open(model, .transform = transform, .class_names = {names, count}, .fit = o->fit,
                                         .mode = o->mode, .background = o->background, .exif = o->exif);
    fa_free(transform);
    free(names);
    free(text);
    if (r->predictor != NULL)
        return 0;
    const char *missing = strstr(fa_error(), "Hint: .transform")     ? "--transforms \"ToTensor()\""
                          : strstr(fa_error(), "Hint: .class_names") ? "--classes cat,dog"
                                                                     : NULL;
    fail_with_error();
    if (missing != NULL)
        fprintf(stderr, "facula: on this line: %s\n", missing);
    return 1;
}

static int predict_files(prediction_run *r, const predict_options *o, const char *const *operands)
{
    if (operands[0] == NULL || operands[1] == NULL) {
        fprintf(stderr, "facula: predict: %s As in: facula predict runs/mnist-001 digit.png\n",
                operands[0] == NULL ? "which model?" : "which pictures?");
        return EXIT_USAGE;
    }
    if (o->threads > 0)
        fa_set_num_threads((int)o->threads);
    bool listed = true;
    int status = open_model(r, o, operands[0]);
    for (int i = 1; status == 0 && operands[i] != NULL; i++)
        listed &= list_pictures(&r->files, operands[i]);
    if (status == 0 && r->files.count > 0)
        status = answer(r);
    return status == 0 && !listed ? 1 : status;
}

int command_predict(int argc, char **argv)
{
    prediction_run r = {.top = 3};
    predict_options o = {.threads = -1};
    const option_spec options[] = {
        {"top", OPTION_INT, &r.top, 1, FA_TOP_CLASSES, "N", "how many classes are shown for a picture"},
        {"fit", OPTION_INT, &o.fit, 0, 1e5, "N",
         "first make every picture N x N: short side resized, middle cut out; 0: not"},
        {"transforms", OPTION_TEXT, &o.transforms, 0, 0, "STEPS", "instead of the model's own: \"ToTensor()\""},
        {"classes", OPTION_TEXT, &o.classes, 0, 0, "NAMES", "of a model that does not name them: cat,dog"},
        {"mode", OPTION_TEXT, &o.mode, 0, 0, "MODE", "RGB or L (grey), instead of what the network takes"},
        {"background", OPTION_TEXT, &o.background, 0, 0, "COLOUR",
         "what transparent pictures are laid on: white, black, #rrggbb"},
        {"exif", OPTION_FLAG, &o.exif, 0, 0, NULL,
         "turn photographs as their EXIF orientation says; so it is anyway where the training did so"},
        {"threads", OPTION_INT, &o.threads, 1, 256, "N", "for decoding and for the kernels"},
        {"json", OPTION_FLAG, &r.json, 0, 0, NULL, "for programs: one object, one entry a picture"},
    };
    const char **operands = calloc((size_t)argc + 1, sizeof *operands);
    if (operands == NULL) {
        fprintf(stderr, "facula: error: no memory\n");
        return 1;
    }
    int status =
        read_options(argc, argv, options, sizeof options / sizeof *options,
                     "usage: facula predict MODEL PICTURE... [options]\n\nSays what is in pictures. MODEL is a "
                     "run's folder or a .pth file, a PICTURE is a file or a folder of them.\nThe exit status "
                     "is 1 if one of them got no answer.",
                     operands, argc);
    if (status == 0)
        status = predict_files(&r, &o, operands);
    fa_free(r.predictor);
    file_list_free(&r.files);
    free(operands);
    return status < 0 ? 0 : status;
}
