/* Reader of RUN.json: each field that is known is checked for its type, others are passed over. */
#include "train/recording.h"

#include "base/error.h"
#include "base/memory.h"
#include "files/json_reader.h"

#include <math.h>
#include <string.h>

static const char what[] = "fa_parity", FORMAT[] = "facula parity 2";
enum { MOST_STEPS = 100000, MOST_GROUPS = 10000 };

typedef struct reader {
    fa_json json;
    const char *part, *field; /* names of what is being read: of the whole, and innermost */
    char format[48];          /* of another release */
    fa_recording *into;
} reader;

typedef struct field {
    const char *name;
    bool (*read)(reader *r, void *to);
    size_t at; /* of the struct that an object is read into */
    bool may_miss;
} field;

static bool problem(reader *r, const char *text)
{
    if (r->json.problem == NULL)
        r->json.problem = text;
    return false;
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

/* A text without a zero byte inside. */
static bool read_text(reader *r, void *to)
{
    size_t length;
    if (fa_json_peek(&r->json) != '"')
        return problem(r, "expected a text");
    char *text = fa_json_string(&r->json, &length);
    if (text != NULL && strlen(text) != length) {
        fa_mfree(text);
        return problem(r, "a zero byte in a text");
    }
    *(char **)to = text;
    return text != NULL;
}

static bool read_text_or_null(reader *r, void *to)
{
    return fa_json_null(&r->json) || read_text(r, to);
}

/* A number; "nan", "inf" and "-inf" stand for what JSON has no numbers for. */
static bool read_number(reader *r, void *to)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"nan", (double)NAN}, {"inf", HUGE_VAL}, {"-inf", -HUGE_VAL}};
    double *number = to;
    char *text = NULL;
    bool known = false;
    if (fa_json_peek(&r->json) != '"')
        return fa_json_number(&r->json, number);
    if (!read_text(r, &text))
        return false;
    for (int i = 0; i < 3; i++)
        if (strcmp(text, words[i].word) == 0) {
            *number = words[i].value;
            known = true;
        }
    fa_mfree(text);
    return known || problem(r, "expected a number");
}

static bool read_real(reader *r, void *to)
{
    return fa_json_number(&r->json, to);
}

static bool read_truth(reader *r, void *to)
{
    return fa_json_truth(&r->json, to);
}

/* An option: a number, a truth (0 or 1), or null, which leaves it unset. */
static bool read_option(reader *r, void *to)
{
    bool truth;
    const char c = fa_json_peek(&r->json);
    if (c == 'n')
        return fa_json_null(&r->json) || problem(r, "expected a number");
    if (c != 't' && c != 'f')
        return fa_json_number(&r->json, to);
    if (!fa_json_truth(&r->json, &truth))
        return false;
    *(double *)to = truth;
    return true;
}

static bool read_betas(reader *r, void *to)
{
    double *beta = to;
    return fa_json_take(&r->json, '[') && fa_json_number(&r->json, &beta[0]) && fa_json_take(&r->json, ',') &&
           fa_json_number(&r->json, &beta[1]) && fa_json_take(&r->json, ']');
}

/* A whole number as text, so that readers of JSON which know doubles alone keep its digits. */
static bool read_seed(reader *r, void *to)
{
    uint64_t *seed = to;
    char *text = NULL;
    if (!read_text(r, &text))
        return false;
    bool good = text[0] != '\0';
    *seed = 0;
    for (const char *at = text; good && *at; at++)
        good = *at >= '0' && *at <= '9' && !__builtin_mul_overflow(*seed, 10, seed) &&
               !__builtin_add_overflow(*seed, (uint64_t)(*at - '0'), seed);
    fa_mfree(text);
    return good || problem(r, "expected a whole number from 0 to 2^64 - 1 in quotes");
}

static bool read_format(reader *r, void *to)
{
    (void)to;
    char *text = NULL;
    if (!read_text(r, &text))
        return false;
    const bool known = strcmp(text, FORMAT) == 0;
    if (!known)
        snprintf(r->format, sizeof r->format, "%s", text);
    fa_mfree(text);
    return known || problem(r, "another format");
}

/* ---- Lists and objects ------------------------------------------------------------------------------------------- */

/* Room for one more of `size` bytes, zeroed; NULL without memory. */
static void *add(reader *r, void **array, int64_t *count, int64_t *capacity, size_t size)
{
    if (*count == *capacity) {
        const int64_t room = 2 * *capacity + 8;
        void *grown = fa_realloc(*array, (size_t)room * size);
        if (grown == NULL) {
            problem(r, "no memory");
            return NULL;
        }
        *array = grown;
        *capacity = room;
    }
    return memset((char *)*array + (size_t)(*count)++ * size, 0, size);
}

static bool add_name(reader *r, fa_recorded_names *names)
{
    void *array = names->name;
    char **name = add(r, &array, &names->count, &names->capacity, sizeof *name);
    names->name = array;
    return name != NULL && read_text(r, name);
}

static bool read_names(reader *r, void *to)
{
    if (!fa_json_take(&r->json, '['))
        return false;
    if (fa_json_has(&r->json, ']'))
        return true;
    do {
        if (!add_name(r, to))
            return false;
    } while (fa_json_has(&r->json, ','));
    return fa_json_take(&r->json, ']');
}

/* {"name": "text", ...} */
static bool read_pairs(reader *r, fa_recorded_names *names, fa_recorded_names *texts)
{
    if (!fa_json_take(&r->json, '{'))
        return false;
    if (fa_json_has(&r->json, '}'))
        return true;
    do {
        if (!add_name(r, names) || !fa_json_take(&r->json, ':') || !add_name(r, texts))
            return false;
    } while (fa_json_has(&r->json, ','));
    return fa_json_take(&r->json, '}');
}

static bool read_layers(reader *r, void *to)
{
    fa_recording *recording = to;
    return read_pairs(r, &recording->layers, &recording->lines);
}

static bool read_shared(reader *r, void *to)
{
    fa_recording *recording = to;
    return read_pairs(r, &recording->shared, &recording->first);
}

static bool read_field(reader *r, const field *fields, size_t count, uint32_t *seen, void *into)
{
    char *name = NULL;
    if (!read_text(r, &name) || !fa_json_take(&r->json, ':')) {
        fa_mfree(name);
        return false;
    }
    size_t i = 0;
    while (i < count && strcmp(fields[i].name, name) != 0)
        i++;
    fa_mfree(name);
    if (i == count)
        return fa_json_skip(&r->json);
    const char *outer = r->field;
    r->field = fields[i].name;
    r->part = outer == NULL ? r->field : r->part;
    if (*seen & 1u << i)
        return problem(r, "it stands there twice");
    *seen |= 1u << i;
    if (!fields[i].read(r, (char *)into + fields[i].at))
        return problem(r, "expected something else");
    r->field = outer;
    return true;
}

static bool read_object(reader *r, const field *fields, size_t count, void *into)
{
    uint32_t seen = 0;
    if (!fa_json_take(&r->json, '{'))
        return false;
    if (!fa_json_has(&r->json, '}')) {
        do {
            if (!read_field(r, fields, count, &seen, into))
                return false;
        } while (fa_json_has(&r->json, ','));
        if (!fa_json_take(&r->json, '}'))
            return false;
    }
    for (size_t i = 0; i < count; i++)
        if (!fields[i].may_miss && !(seen & 1u << i)) {
            r->part = r->field == NULL ? fields[i].name : r->part;
            r->field = fields[i].name;
            return problem(r, "it is missing");
        }
    return true;
}

/* ---- What stands in the file ------------------------------------------------------------------------------------- */

#define OPTION(name, place)                                                                                            \
    {                                                                                                                  \
        name, read_option, offsetof(fa_recorded_group, options.value) + FA_RECORDED_##place * sizeof(double), true     \
    }
/* The first entry is left out where a step's options are read. */
static const field group_fields[] = {
    {"params", read_names, offsetof(fa_recorded_group, params), false},
    {"betas", read_betas, offsetof(fa_recorded_group, options.value) + FA_RECORDED_BETA1 * sizeof(double), true},
    OPTION("lr", LR),
    OPTION("momentum", MOMENTUM),
    OPTION("dampening", DAMPENING),
    OPTION("weight_decay", WEIGHT_DECAY),
    OPTION("eps", EPS),
    OPTION("alpha", ALPHA),
    OPTION("lr_decay", LR_DECAY),
    OPTION("initial_accumulator_value", INITIAL_ACCUMULATOR_VALUE),
    OPTION("nesterov", NESTEROV),
    OPTION("amsgrad", AMSGRAD),
    OPTION("centered", CENTERED),
    OPTION("maximize", MAXIMIZE)};
enum { GROUP_FIELDS = sizeof group_fields / sizeof *group_fields };
_Static_assert(sizeof group_fields / sizeof *group_fields <= 32, "a bit each");

static bool read_group(reader *r, fa_recorded_group *group, bool named)
{
    for (int i = 0; i < FA_RECORDED_OPTIONS; i++)
        group->options.value[i] = (double)NAN;
    return read_object(r, group_fields + !named, (size_t)(GROUP_FIELDS - !named), group);
}

static bool read_groups(reader *r, void *to)
{
    fa_recording *recording = to;
    if (!fa_json_take(&r->json, '['))
        return false;
    do {
        void *array = recording->group;
        fa_recorded_group *group = add(r, &array, &recording->group_count, &recording->group_capacity, sizeof *group);
        recording->group = array;
        if (recording->group_count > MOST_GROUPS)
            return problem(r, "too many groups");
        if (group == NULL || !read_group(r, group, true))
            return false;
    } while (fa_json_has(&r->json, ','));
    return fa_json_take(&r->json, ']');
}

static bool read_optimizer(reader *r, void *to)
{
    static const field fields[] = {{"name", read_text, offsetof(fa_recording, optimizer), false},
                                   {"groups", read_groups, 0, false}};
    return read_object(r, fields, 2, to);
}

static bool read_criterion(reader *r, void *to)
{
#define OF(member) offsetof(fa_recorded_criterion, member)
    static const field fields[] = {{"name", read_text, OF(name), false},
                                   {"reduction", read_text, OF(reduction), true},
                                   {"ignore_index", read_option, OF(ignore_index), true},
                                   {"label_smoothing", read_option, OF(label_smoothing), true},
                                   {"beta", read_option, OF(beta), true},
                                   {"delta", read_option, OF(delta), true}};
#undef OF
    return read_object(r, fields, sizeof fields / sizeof *fields, to);
}

static bool read_step_groups(reader *r, void *to)
{
    fa_recorded_step *step = to;
    if (!fa_json_take(&r->json, '['))
        return false;
    do {
        void *array = step->group;
        fa_recorded_options *options = add(r, &array, &step->group_count, &step->group_capacity, sizeof *options);
        fa_recorded_group group = {.params = {0}};
        step->group = array;
        if (step->group_count > MOST_GROUPS)
            return problem(r, "too many groups");
        if (options == NULL || !read_group(r, &group, false))
            return false;
        *options = group.options;
    } while (fa_json_has(&r->json, ','));
    return fa_json_take(&r->json, ']');
}

static bool read_steps(reader *r, void *to)
{
#define OF(member) offsetof(fa_recorded_step, member)
    static const field fields[] = {{"loss", read_number, OF(loss), false},
                                   {"details", read_truth, OF(details), false},
                                   {"gradient_scale", read_real, OF(gradient_scale), false},
                                   {"groups", read_step_groups, 0, false}};
#undef OF
    fa_recording *recording = to;
    if (!fa_json_take(&r->json, '['))
        return false;
    if (fa_json_has(&r->json, ']'))
        return problem(r, "there is no step in it; call recorder.step(loss, labels) after each optimizer.step()");
    do {
        void *array = recording->step;
        fa_recorded_step *step = add(r, &array, &recording->step_count, &recording->step_capacity, sizeof *step);
        recording->step = array;
        if (recording->step_count > MOST_STEPS)
            return problem(r, "too many steps");
        if (step == NULL || !read_object(r, fields, sizeof fields / sizeof *fields, step))
            return false;
        if (!isfinite(step->loss) && recording->lost_step == 0)
            recording->lost_step = recording->step_count;
    } while (fa_json_has(&r->json, ','));
    return fa_json_take(&r->json, ']');
}

static bool read_all(reader *r)
{
#define OF(member) offsetof(fa_recording, member)
    static const field fields[] = {{"format", read_format, 0, false},
                                   {"torch", read_text, OF(torch), false},
                                   {"seed", read_seed, OF(seed), false},
                                   {"model", read_text, OF(model), false},
                                   {"layers", read_layers, 0, false},
                                   {"state", read_names, OF(state), false},
                                   {"frozen", read_names, OF(frozen), false},
                                   {"shared", read_shared, 0, true},
                                   {"evaluating", read_names, OF(evaluating), false},
                                   {"criterion", read_criterion, OF(criterion), false},
                                   {"optimizer", read_optimizer, 0, false},
                                   {"scheduler", read_text_or_null, OF(scheduler), false},
                                   {"steps", read_steps, 0, false}};
#undef OF
    return read_object(r, fields, sizeof fields / sizeof *fields, r->into) && fa_json_done(&r->json);
}

static bool refuse(const reader *r, const char *path, size_t bytes, fa_where where)
{
    const bool inner = r->part != NULL && r->field != NULL && strcmp(r->part, r->field) != 0;
    if (strcmp(r->json.problem, "no memory") == 0)
        return fa_fail_memory(where, bytes);
    if (r->format[0] != '\0')
        return fa_fail(
            FA_FILE_ERROR, where, what,
            "got %s of format \"%s\", needs \"%s\". Hint: record again with python/facula_recorder.py of this "
            "release",
            path, r->format, FORMAT);
    return fa_fail(FA_FILE_ERROR, where, what,
                   "got %s, which is no recording%s%s%s%s%s%s at byte %zu: %s. Hint: python/facula_recorder.py writes "
                   "it; was it written and copied whole?",
                   path, r->part != NULL ? ", in \"" : "", inner ? r->field : "", inner ? "\" of \"" : "",
                   r->part != NULL ? r->part : "", r->part != NULL ? "\"" : "", r->part != NULL ? "," : "",
                   (size_t)(r->json.at - r->json.begin), r->json.problem);
}

bool fa_recording_read_run(fa_recording *recording, const char *text, size_t bytes, const char *path, fa_where where)
{
    size_t bad;
    reader r = {.json = fa_json_of(text, bytes), .into = recording};
    if (!fa_utf8_valid(text, bytes, &bad))
        return fa_fail(FA_FILE_ERROR, where, what, "got %s, whose byte %zu is not UTF-8, needs a recording's RUN.json",
                       path, bad);
    recording->criterion = (fa_recorded_criterion){.ignore_index = -100, .beta = 1, .delta = 1};
    if (!read_all(&r) && r.json.problem == NULL)
        problem(&r, "expected something else");
    return r.json.problem == NULL || refuse(&r, path, bytes, where);
}

static void free_names(fa_recorded_names *names)
{
    for (int64_t i = 0; i < names->count; i++)
        fa_mfree(names->name[i]);
    fa_mfree(names->name);
}

void fa_recording_free_run(fa_recording *r)
{
    fa_mfree(r->torch);
    fa_mfree(r->model);
    fa_mfree(r->optimizer);
    fa_mfree(r->scheduler);
    free_names(&r->layers);
    free_names(&r->lines);
    free_names(&r->state);
    free_names(&r->frozen);
    free_names(&r->evaluating);
    free_names(&r->shared);
    free_names(&r->first);
    fa_mfree(r->criterion.name);
    fa_mfree(r->criterion.reduction);
    for (int64_t g = 0; g < r->group_count; g++)
        free_names(&r->group[g].params);
    fa_mfree(r->group);
    for (int64_t k = 0; k < r->step_count; k++)
        fa_mfree(r->step[k].group);
    fa_mfree(r->step);
}
