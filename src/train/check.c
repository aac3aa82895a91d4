/* fa_check: a report on data and network as plain values. check_data.c looks at the items, check_equal.c compares their
 * hashes, check_network.c follows an image through the network; here it is put together and judged. */
#include "train/check.h"

#include "base/error.h"
#include "base/memory.h"
#include "data/loader_body.h"
#include "train/check_data.h"
#include "train/check_equal.h"
#include "train/predictor.h"
#include "vision/transform.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPLITS = 3, BIASED = 10 };
static const char call[] = "fa_check";

typedef struct checking {
    const fa_check_args *args;
    fa_where where;
    int64_t splits;
    fa_survey survey[SPLITS];
    fa_loader_form form[SPLITS];
    bool skips;            /* the training loader leaves bad items out */
    bool collates[SPLITS]; /* batches are of the program's own making */
    int64_t done, total, classes;
    double mean[FA_SURVEY_CHANNELS], std[FA_SURVEY_CHANNELS];
    fa_value *report;
    fa_checklist list;
} checking;

/* ---- The checklist ----------------------------------------------------------------------------------------------- */

void fa_check_put(fa_value *dict, const char *name, fa_value *x, fa_where where)
{
    if (dict != NULL && x != NULL)
        fa_dict_put_at(dict, fa_value_path_at(name, where), x, where);
}

void fa_checklist_add(fa_checklist *list, const char *group, const char *name, fa_check_mark mark, const char *format,
                      ...)
{
    static const char *const marks[] = {"ok", "warning", "stop", "unknown"};
    static const char before_hint[] = ". Hint: ";
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *hint = strstr(text, before_hint);
    if (hint != NULL) {
        *hint = '\0';
        hint += sizeof before_hint - 1;
    }
    list->warnings += mark == FA_CHECK_WARNING;
    list->stops += mark == FA_CHECK_STOP;
    fa_value *item = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, list->where);
    fa_check_put(item, "group", fa_value_string_at(group, list->where), list->where);
    fa_check_put(item, "name", fa_value_string_at(name, list->where), list->where);
    fa_check_put(item, "mark", fa_value_string_at(marks[mark], list->where), list->where);
    fa_check_put(item, "text", fa_value_path_at(text, list->where), list->where);
    fa_check_put(item, "hint", fa_value_path_at(hint != NULL ? hint : "", list->where), list->where);
    fa_list_add_at(list->items, item, list->where);
}

#define ADD(c, group, name, mark, ...) fa_checklist_add(&(c)->list, (group), (name), (mark), __VA_ARGS__)

static fa_value *new_list(fa_where where)
{
    return fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
}

static fa_value *new_dict(fa_where where)
{
    return fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
}

static fa_value *pair_of(fa_value *a, fa_value *b, fa_where where)
{
    return fa_list_of_at(2, (fa_value *[]){a, b}, where);
}

/* ---- Classes ----------------------------------------------------------------------------------------------------- */

static void class_name(const checking *c, int64_t class, char *out, size_t size)
{
    const fa_names *names = &c->survey[0].classes;
    if (class >= 0 && class < names->count)
        snprintf(out, size, "%s", names->name[class]);
    else
        snprintf(out, size, "%lld", (long long)class);
}

/* Items of each class; those out of range are left out. NULL: no memory. */
static int64_t *count_classes(const checking *c, const fa_survey *s)
{
    int64_t *count = fa_calloc((size_t)c->classes + 1, sizeof *count);
    if (count == NULL)
        fa_fail_memory(c->where, (size_t)c->classes * sizeof *count);
    for (int64_t i = 0; count != NULL && i < s->n; i++)
        if (s->item[i].label >= 0 && s->item[i].label < c->classes)
            count[s->item[i].label]++;
    return count;
}

/* The classes that the data set names, else those of the labels there are. */
static void find_classes(checking *c)
{
    c->classes = c->survey[0].classes.count;
    if (c->classes > 0)
        return;
    for (int64_t k = 0; k < c->splits; k++)
        for (int64_t i = 0; i < c->survey[k].n; i++)
            if (c->survey[k].item[i].label >= c->classes && c->survey[k].item[i].label < (1 << 20))
                c->classes = c->survey[k].item[i].label + 1;
}

static bool collates(const checking *c, const fa_survey *s)
{
    return c->collates[s - c->survey];
}

static void check_labels(checking *c, const fa_survey *s)
{
    char name[FA_NAME_BYTES];
    int64_t bad = 0, first = -1, none = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->item[i].failed)
            continue;
        none += s->item[i].label == INT64_MIN;
        if (s->item[i].label != INT64_MIN && (s->item[i].label < 0 || s->item[i].label >= c->classes)) {
            first = first < 0 ? i : first;
            bad++;
        }
    }
    if (collates(c, s) && (s->misfit[0] != '\0' || none > 0))
        ADD(c, "data", "items", FA_CHECK_UNKNOWN,
            "%s: items that are no images with labels, of which .collate makes "
            "batches",
            s->name);
    else if (s->misfit[0] != '\0')
        ADD(c, "data", "items", FA_CHECK_STOP,
            "%s: items begin with %s, where an image needs uint8 or float32 [C, H, W]", s->name, s->misfit);
    else if (none > 0)
        ADD(c, "data", "labels", FA_CHECK_STOP, "%s: %lld items have no label", s->name, (long long)none);
    if (bad == 0)
        return;
    fa_survey_name(s, first, name);
    ADD(c, "data", "labels", FA_CHECK_STOP, "%s: %lld label%s out of range: label %lld of %s is outside 0..%lld",
        s->name, (long long)bad, bad == 1 ? " is" : "s are", (long long)s->item[first].label, name,
        (long long)c->classes - 1);
}

static void check_balance(checking *c, const int64_t *count)
{
    int64_t least = 0, most = 0, empty = 0;
    char a[256], b[256];
    for (int64_t k = 0; k < c->classes; k++) {
        least = count[k] < count[least] ? k : least;
        most = count[k] > count[most] ? k : most;
        empty += count[k] == 0;
    }
    class_name(c, least, a, sizeof a);
    class_name(c, most, b, sizeof b);
    if (c->classes < 2)
        ADD(c, "data", "classes", FA_CHECK_STOP, "%lld class%s: there is nothing to tell apart", (long long)c->classes,
            c->classes == 1 ? "" : "es");
    else if (empty > 0)
        ADD(c, "data", "classes", FA_CHECK_STOP,
            "%lld class%s without a training item: %s%s. Hint: put pictures there, or take the folder away "
            "(allow_empty "
            "keeps its number)",
            (long long)empty, empty == 1 ? "" : "es", a, empty > 1 ? " and others" : "");
    else if (count[most] >= BIASED * count[least])
        ADD(c, "data", "classes", FA_CHECK_WARNING,
            "%lld classes, of very different size: %s has %lld training items, %s has %lld. Hint: look at the accuracy "
            "a "
            "class; weights in the loss, or fa_weighted_random_sampler",
            (long long)c->classes, a, (long long)count[least], b, (long long)count[most]);
    else if (count[most] == count[least])
        ADD(c, "data", "classes", FA_CHECK_OK, "%lld classes of %lld training items each", (long long)c->classes,
            (long long)count[most]);
    else
        ADD(c, "data", "classes", FA_CHECK_OK, "%lld classes, %lld to %lld training items each", (long long)c->classes,
            (long long)count[least], (long long)count[most]);
}

/* Class folders called 1, 2, 10 are the classes 0, 2, 1. */
static void check_numbered(checking *c)
{
    const fa_names *names = &c->survey[0].classes;
    long long before = -1;
    bool ascending = true;
    char text[96] = "";
    for (int64_t k = 0; k < names->count; k++) {
        char *end;
        long long number = strtoll(names->name[k], &end, 10);
        if (*end != '\0' || end == names->name[k])
            return;
        ascending &= number > before;
        before = number;
        size_t length = strlen(text);
        if (k < 6)
            snprintf(text + length, sizeof text - length, "%s%.20s", k > 0 ? ", " : "", names->name[k]);
    }
    if (!ascending)
        ADD(c, "data", "names", FA_CHECK_WARNING,
            "class names are numbers, and sorted as text: %s%s are the classes 0, 1, 2%s. Hint: read names, never "
            "class "
            "numbers, as folder names; or call them 01, 02, 10",
            text, names->count > 6 ? ", ..." : "", names->count > 3 ? ", ..." : "");
}

static void check_missing(checking *c, const fa_survey *s, const int64_t *count)
{
    char text[256], name[128];
    size_t length = 0;
    int64_t missing = 0;
    for (int64_t k = 0; k < c->classes; k++)
        if (count[k] == 0 && missing++ < 5 && length < sizeof text) {
            class_name(c, k, name, sizeof name);
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", length > 0 ? ", " : "", name);
        }
    if (missing > 0 && s->n > 0)
        ADD(c, "data", "classes", FA_CHECK_WARNING, "%s: nothing of %lld class%s: %s%s", s->name, (long long)missing,
            missing == 1 ? "" : "es", text, missing > 5 ? ", ..." : "");
}

static fa_value *classes_value(const checking *c, const int64_t *count)
{
    fa_value *list = new_list(c->where);
    for (int64_t k = 0; k < c->classes; k++) {
        char name[1024];
        class_name(c, k, name, sizeof name);
        fa_list_add_at(list, pair_of(fa_value_path_at(name, c->where), fa_value_int_at(count[k], c->where), c->where),
                       c->where);
    }
    return list;
}

/* ---- Items that cannot be read, or are special ------------------------------------------------------------------- */

static void check_readable(checking *c, const fa_survey *s)
{
    char name[FA_NAME_BYTES];
    if (s->n == 0) {
        ADD(c, "data", "items", s == &c->survey[0] ? FA_CHECK_STOP : FA_CHECK_WARNING, "%s: no items", s->name);
    } else if (s->failed == 0) {
        ADD(c, "data", "items", FA_CHECK_OK, "%s: all %lld items can be read", s->name, (long long)s->n);
    } else {
        fa_survey_name(s, s->error_item[0], name);
        const bool named = strstr(s->error[0], name) != NULL;
        ADD(c, "data", "items", c->skips ? FA_CHECK_WARNING : FA_CHECK_STOP,
            "%s: %lld of %lld items cannot be read%s: %s%s%s. Hint: mend them or take them away", s->name,
            (long long)s->failed, (long long)s->n, c->skips ? ", and are left out" : "", named ? "" : name,
            named ? "" : ": ", s->error[0]);
    }
}

static int64_t count_trait(const fa_survey *s, fa_picture_trait trait)
{
    int64_t count = 0;
    for (int64_t i = 0; i < s->n; i++)
        count += s->item[i].picture && (s->item[i].traits >> trait & 1u) != 0;
    return count;
}

static void check_traits(checking *c)
{
    static const struct {
        fa_picture_trait trait;
        const char *one, *many; /* behind "1 picture ", "2 pictures " */
        const char *rest;
    } told[] = {
        {FA_TRAIT_TURNED, "carries", "carry",
         " an EXIF rotation, which is not applied. Hint: --exif, or fa_image_folder's .picture = {.exif = true}, "
         "turns pictures upright"},
        {FA_TRAIT_TRANSPARENT, "has", "have",
         " transparency, which is dropped: the colour under it shows. Hint: fa_image_folder's .picture = {.background "
         "= "
         "\"white\"} lays pictures on a colour"},
        {FA_TRAIT_SIXTEEN_BITS, "has", "have", " 16 bits a channel, of which the upper 8 are taken"},
        {FA_TRAIT_CMYK, "is", "are", " CMYK, made RGB without a colour profile"},
        {FA_TRAIT_ANIMATED, "is", "are", " animated: the first frame is taken"},
        {FA_TRAIT_REPAIRED, "decodes", "decode", " in spite of damage (JPEG): part of the image may be wrong"},
    };
    int64_t grey = 0, pictures = 0;
    for (int64_t k = 0; k < c->splits; k++) {
        grey += count_trait(&c->survey[k], FA_TRAIT_GREY);
        for (int64_t i = 0; i < c->survey[k].n; i++)
            pictures += c->survey[k].item[i].picture;
    }
    for (size_t t = 0; t < sizeof told / sizeof *told; t++) {
        int64_t count = 0;
        for (int64_t k = 0; k < c->splits; k++)
            count += count_trait(&c->survey[k], told[t].trait);
        if (count > 0)
            ADD(c, "data", "pictures", FA_CHECK_WARNING, "%lld picture%s %s%s", (long long)count, count == 1 ? "" : "s",
                count == 1 ? told[t].one : told[t].many, told[t].rest);
    }
    if (grey > 0 && grey < pictures)
        ADD(c, "data", "pictures", FA_CHECK_OK, "%lld of %lld pictures are grey, and become three equal channels",
            (long long)grey, (long long)pictures);
}

static fa_value *modes_value(const fa_survey *s, fa_where where)
{
    static const char *const names[FA_TRAIT_COUNT] = {
        [FA_TRAIT_TURNED] = "EXIF rotation",  [FA_TRAIT_TRANSPARENT] = "alpha", [FA_TRAIT_SIXTEEN_BITS] = "16 bits",
        [FA_TRAIT_PALETTE] = "palette",       [FA_TRAIT_CMYK] = "CMYK",         [FA_TRAIT_ANIMATED] = "animated",
        [FA_TRAIT_REPAIRED] = "damaged JPEG",
    };
    fa_value *dict = new_dict(where);
    int64_t grey = 0, colour = 0, other = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const fa_surveyed *item = &s->item[i];
        const bool is_grey = item->picture ? (item->traits >> FA_TRAIT_GREY & 1u) != 0 ||
                                                 (item->channels == 1 && (item->traits >> FA_TRAIT_COLOUR & 1u) == 0)
                                           : item->channels == 1;
        grey += item->channels > 0 && is_grey;
        colour += item->channels > 0 && !is_grey && (item->picture || item->channels == 3);
        other += item->channels > 0 && !is_grey && !item->picture && item->channels != 3;
    }
    if (colour > 0)
        fa_check_put(dict, "RGB", fa_value_int_at(colour, where), where);
    if (grey > 0)
        fa_check_put(dict, "grey", fa_value_int_at(grey, where), where);
    if (other > 0)
        fa_check_put(dict, "other", fa_value_int_at(other, where), where);
    for (int t = 0; t < FA_TRAIT_COUNT; t++)
        if (names[t] != NULL && count_trait(s, (fa_picture_trait)t) > 0)
            fa_check_put(dict, names[t], fa_value_int_at(count_trait(s, (fa_picture_trait)t), where), where);
    return dict;
}

static fa_value *unreadable_value(const fa_survey *s, fa_where where)
{
    fa_value *list = new_list(where);
    for (int64_t i = 0; i < s->errors; i++) {
        char name[FA_NAME_BYTES];
        fa_survey_name(s, s->error_item[i], name);
        fa_list_add_at(list, pair_of(fa_value_path_at(name, where), fa_value_path_at(s->error[i], where), where),
                       where);
    }
    return list;
}

static fa_value *damaged_value(const fa_survey *s, fa_where where)
{
    fa_value *list = new_list(where);
    for (int64_t i = 0; i < s->n && fa_len(list) < FA_SURVEY_NAMES; i++)
        if (s->item[i].picture && (s->item[i].traits >> FA_TRAIT_REPAIRED & 1u) != 0) {
            char name[FA_NAME_BYTES];
            fa_survey_name(s, i, name);
            fa_list_add_at(list, fa_value_path_at(name, where), where);
        }
    return list;
}

/* What the data set itself has to tell, a line each. Classes without items are told by check_balance. */
static void check_notes(checking *c, const fa_survey *s)
{
    char notes[4096];
    (void)fa_dataset_note(s->data, notes, sizeof notes);
    for (char *rest = notes, *note; (note = strsep(&rest, "\n")) != NULL;)
        if (note[0] != '\0' && strncmp(note, "the class ", 10) != 0)
            ADD(c, "data", "files", FA_CHECK_WARNING, "%s: %s", s->name, note);
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------- */

typedef struct size_count {
    int32_t height, width;
    int64_t count, first; /* the first item of this size */
} size_count;

static int by_size(const void *a, const void *b)
{
    const size_count *x = a, *y = b;
    if (x->height != y->height)
        return x->height < y->height ? -1 : 1;
    if (x->width != y->width)
        return x->width < y->width ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* The sizes of a data set, each once. `out` is to be freed; returns how many, -1 after an error. */
static int64_t find_sizes(const fa_survey *s, size_count **out, fa_where where)
{
    size_count *size = fa_malloc(((size_t)s->n + 1) * sizeof *size);
    int64_t n = 0, distinct = 0;
    *out = size;
    if (size == NULL)
        return fa_fail_memory(where, (size_t)s->n * sizeof *size) ? 0 : -1;
    for (int64_t i = 0; i < s->n; i++) {
        const fa_surveyed *item = &s->item[i];
        const bool as_before = n > 0 && size[n - 1].height == item->height && size[n - 1].width == item->width;
        if (item->channels > 0 && as_before)
            size[n - 1].count++;
        else if (item->channels > 0)
            size[n++] = (size_count){item->height, item->width, 1, i};
    }
    qsort(size, (size_t)n, sizeof *size, by_size);
    for (int64_t i = 0; i < n; i++)
        if (distinct > 0 && size[distinct - 1].height == size[i].height && size[distinct - 1].width == size[i].width)
            size[distinct - 1].count += size[i].count;
        else
            size[distinct++] = size[i];
    return distinct;
}

static fa_value *size_value(int64_t height, int64_t width, fa_where where)
{
    return pair_of(fa_value_int_at(height, where), fa_value_int_at(width, where), where);
}

static const size_count *most_common(const size_count *size, int64_t n)
{
    const size_count *most = size;
    for (int64_t i = 1; i < n; i++)
        most = size[i].count > most->count ? &size[i] : most;
    return most;
}

static fa_value *sizes_value(const size_count *size, int64_t n, fa_where where)
{
    fa_value *dict = new_dict(where);
    fa_check_put(dict, "distinct", fa_value_int_at(n, where), where);
    if (n <= 0)
        return dict;
    int64_t least[2] = {size[0].height, size[0].width}, most[2] = {size[0].height, size[0].width};
    for (int64_t i = 1; i < n; i++) {
        least[0] = size[i].height < least[0] ? size[i].height : least[0];
        least[1] = size[i].width < least[1] ? size[i].width : least[1];
        most[0] = size[i].height > most[0] ? size[i].height : most[0];
        most[1] = size[i].width > most[1] ? size[i].width : most[1];
    }
    const size_count *common = most_common(size, n);
    fa_check_put(dict, "least", size_value(least[0], least[1], where), where);
    fa_check_put(dict, "most", size_value(most[0], most[1], where), where);
    fa_check_put(dict, "common", size_value(common->height, common->width, where), where);
    fa_check_put(dict, "common_count", fa_value_int_at(common->count, where), where);
    return dict;
}

/* The form of the transform's result on images of a size. False, without an error, if it refuses them. */
static bool transformed(const checking *c, int64_t height, int64_t width, fa_image_form *form, char *why, size_t room)
{
    const fa_survey *s = &c->survey[0];
    const fa_image_form image = {!s->bytes, s->channels, height, width, false};
    fa_chain chain = {.table = NULL};
    fa_error_record record;
    if (!fa_ok())
        return false; /* one of the report's own: it must not be taken for the transforms' */
    const bool fine =
        fa_chain_begin(&chain, c->args->transform, &image, c->where) && fa_chain_one_size(&chain, "fa_check", c->where);
    if (fine)
        *form = *fa_chain_result(&chain);
    fa_chain_end(&chain);
    fa_error_take(&record);
    snprintf(why, room, "%s", fa_message_text(&record));
    return fine;
}

/* Whether the images of a data set make batches. `form` becomes that of the network's input, where there is one. */
static void check_sizes(checking *c, const fa_survey *s, const size_count *size, int64_t n, fa_image_form *form)
{
    char why[1024], name[FA_NAME_BYTES];
    fa_image_form first = {0}, next = {0};
    bool same = true;
    if (n <= 0)
        return;
    for (int64_t i = 0; i < n; i++) {
        fa_survey_name(s, size[i].first, name);
        if (!transformed(c, size[i].height, size[i].width, &next, why, sizeof why)) {
            ADD(c, "data", "sizes", FA_CHECK_STOP, "%s: the transforms do not suit images of %lld x %lld (%s): %s",
                s->name, (long long)size[i].height, (long long)size[i].width, name, why);
            return;
        }
        if (i == 0)
            first = next;
        same = same && next.height == first.height && next.width == first.width;
        if (!same && collates(c, s)) {
            ADD(c, "data", "sizes", FA_CHECK_UNKNOWN, "%s: images of %lld sizes, of which .collate makes batches",
                s->name, (long long)n);
            return;
        }
        if (!same && c->form[s - c->survey].batch_size > 1) {
            ADD(c, "data", "sizes", FA_CHECK_STOP,
                "%s: images have %lld sizes%s, and a batch needs one: %lld x %lld and %lld x %lld (%s). Hint: "
                "fa_fit(64), "
                "which is Resize(64), CenterCrop(64), or another resize, first among the transforms",
                s->name, (long long)n, c->args->transform != NULL ? " still behind the transforms" : "",
                (long long)first.height, (long long)first.width, (long long)next.height, (long long)next.width, name);
            return;
        }
    }
    if (!same)
        ADD(c, "data", "sizes", FA_CHECK_OK, "%s: images of %lld sizes, each in a batch of its own", s->name,
            (long long)n);
    else if (n == 1)
        ADD(c, "data", "sizes", FA_CHECK_OK, "%s: all images are %d x %d", s->name, size[0].height, size[0].width);
    else
        ADD(c, "data", "sizes", FA_CHECK_OK, "%s: images of %lld sizes, which the transforms make %lld x %lld", s->name,
            (long long)n, (long long)first.height, (long long)first.width);
    *form = first;
}

/* ---- Mean and standard deviation --------------------------------------------------------------------------------- */

static fa_value *numbers_value(const double *x, int64_t n, fa_where where)
{
    fa_value *list = new_list(where);
    for (int64_t i = 0; i < n; i++)
        fa_list_add_at(list, fa_value_float_at(x[i], where), where);
    return list;
}

static void measure(checking *c)
{
    const fa_survey *s = &c->survey[0];
    const double scale = s->bytes ? 255 : 1;
    for (int64_t k = 0; k < s->channels && s->count > 0; k++) {
        const double mean = s->sum[k] / s->count, variance = s->square[k] / s->count - mean * mean;
        c->mean[k] = mean / scale;
        c->std[k] = sqrt(variance > 0 ? variance : 0) / scale;
    }
    fa_value *none = fa_value_none_at(c->where);
    fa_check_put(c->report, "channels", fa_value_int_at(s->channels, c->where), c->where);
    fa_check_put(c->report, "mean", s->count > 0 ? numbers_value(c->mean, s->channels, c->where) : none, c->where);
    fa_check_put(c->report, "std", s->count > 0 ? numbers_value(c->std, s->channels, c->where) : none, c->where);
}

static void add_numbers(char *text, size_t size, const double *x, int64_t n)
{
    size_t length = 0;
    for (int64_t i = 0; i < n && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%.4f", i > 0 ? ", " : "", x[i]);
}

/* What the transforms make of a constant image, in the middle of the result's channel. False: they refuse it. */
static bool through(const checking *c, int64_t side[2], uint8_t value, double out[FA_SURVEY_CHANNELS],
                    int64_t *channels)
{
    const fa_survey *s = &c->survey[0];
    const fa_image_form image = {false, s->channels, side[0], side[1], false};
    fa_chain chain = {.table = NULL};
    if (!fa_ok())
        return false;
    bool fine = s->bytes && fa_chain_begin(&chain, c->args->transform, &image, c->where) && chain.draws == 0 &&
                fa_chain_result(&chain)->floats && fa_chain_result(&chain)->channels <= FA_SURVEY_CHANNELS;
    uint8_t *in = fine ? fa_malloc(chain.in_bytes) : NULL;
    float *made = fine ? fa_malloc(chain.out_bytes) : NULL;
    fine = in != NULL && made != NULL;
    if (fine) {
        memset(in, value, chain.in_bytes);
        fine = fa_chain_run(&chain, in, made, c->where);
        const fa_image_form *form = fa_chain_result(&chain);
        *channels = form->channels;
        for (int64_t k = 0; fine && k < form->channels; k++)
            out[k] = (double)made[(k * form->height + form->height / 2) * form->width + form->width / 2];
    }
    fa_mfree(in);
    fa_mfree(made);
    fa_chain_end(&chain);
    fa_error_record record;
    fa_error_take(&record);
    return fine;
}

static void check_normalised(checking *c, const size_count *common)
{
    const fa_survey *s = &c->survey[0];
    double mean[FA_SURVEY_CHANNELS], std[FA_SURVEY_CHANNELS], black[FA_SURVEY_CHANNELS], white[FA_SURVEY_CHANNELS];
    char means[128], stds[128], got[128], got_std[128];
    int64_t channels = s->channels;
    if (s->count == 0)
        return;
    add_numbers(means, sizeof means, c->mean, s->channels < 4 ? s->channels : 4);
    add_numbers(stds, sizeof stds, c->std, s->channels < 4 ? s->channels : 4);
    memcpy(mean, c->mean, sizeof mean);
    memcpy(std, c->std, sizeof std);
    int64_t side[2] = {common->height, common->width};
    if (c->args->transform != NULL) {
        if (!through(c, side, 0, black, &channels) || !through(c, side, 255, white, &channels)) {
            ADD(c, "data", "normalised", FA_CHECK_UNKNOWN, "pixels have mean %s and standard deviation %s", means,
                stds);
            return;
        }
        for (int64_t k = 0; k < channels; k++) {
            const double from = k < s->channels ? c->mean[k] : c->mean[0],
                         wide = k < s->channels ? c->std[k] : c->std[0];
            mean[k] = black[k] + from * (white[k] - black[k]);
            std[k] = fabs(white[k] - black[k]) * wide;
        }
    }
    add_numbers(got, sizeof got, mean, channels < 4 ? channels : 4);
    add_numbers(got_std, sizeof got_std, std, channels < 4 ? channels : 4);
    bool fine = true;
    for (int64_t k = 0; k < channels; k++)
        fine &= fabs(mean[k]) <= 0.5 && std[k] >= 0.5 && std[k] <= 2;
    const bool raw = c->args->transform == NULL && s->bytes;
    if (fine && !raw)
        ADD(c, "data", "normalised", FA_CHECK_OK, "the network sees mean %s and standard deviation %s", got, got_std);
    else if (raw || c->args->transform != NULL)
        ADD(c, "data", "normalised", raw ? FA_CHECK_UNKNOWN : FA_CHECK_WARNING,
            "%s mean %s and standard deviation %s, where 0 and 1 train best. Hint: ToTensor(), Normalize(mean=[%s], "
            "std=[%s])",
            raw ? "pixels have" : "the network sees", got, got_std, means, stds);
    else
        ADD(c, "data", "normalised", FA_CHECK_WARNING,
            "the network sees mean %s and standard deviation %s, where 0 and 1 train best", got, got_std);
}

/* ---- Loaders ----------------------------------------------------------------------------------------------------- */

static void check_loaders(checking *c)
{
    static const char *const roles[SPLITS] = {"training", "validation", "test"};
    const fa_loader_form *f = &c->form[0];
    const int64_t n = f->total, b = f->batch_size, batches = f->drop_last ? n / b : (n + b - 1) / b;
    if (n > 0 && batches == 0)
        ADD(c, "training", "batch size", FA_CHECK_STOP,
            "%lld items in batches of %lld with drop_last: no batch, nothing is trained. Hint: a smaller batch size",
            (long long)n, (long long)b);
    else if (n > 0 && n < b)
        ADD(c, "training", "batch size", FA_CHECK_WARNING,
            "one batch of %lld: there are fewer items than the batch size %lld. Hint: a smaller one", (long long)n,
            (long long)b);
    else if (n > 0 && n % b != 0 && !f->drop_last)
        ADD(c, "training", "batch size", FA_CHECK_OK, "%lld batches of %lld an epoch, the last of %lld",
            (long long)batches, (long long)b, (long long)(n % b));
    else if (n > 0)
        ADD(c, "training", "batch size", FA_CHECK_OK, "%lld batches of %lld an epoch", (long long)batches,
            (long long)b);
    const fa_survey *s = &c->survey[0];
    int64_t changes = 0;
    for (int64_t i = 1; i < s->n; i++)
        changes += s->item[i].label != s->item[i - 1].label;
    bool fine = true;
    if (f->kind == FA_SAMPLE_SEQUENTIAL && n > 1) {
        fine = false;
        ADD(c, "training", "shuffle", FA_CHECK_WARNING, "the training loader does not shuffle%s. Hint: .shuffle = true",
            changes < c->classes ? ", and items stand class by class: a batch would hold one class" : "");
    }
    for (int64_t k = 1; k < c->splits; k++)
        if (c->form[k].kind != FA_SAMPLE_SEQUENTIAL && fine) {
            const char *role = strcmp(c->survey[k].name, roles[2]) == 0 ? roles[2] : roles[1];
            fine = false;
            ADD(c, "training", "shuffle", FA_CHECK_WARNING,
                "the %s loader shuffles, which draws random numbers for nothing. Hint: leave .shuffle out there", role);
        }
    if (fine && n > 1)
        ADD(c, "training", "shuffle", FA_CHECK_OK, "in training%s", c->splits > 1 ? " alone" : "");
}

static void check_splits(checking *c)
{
    if (c->splits == 1)
        ADD(c, "data", "split", FA_CHECK_UNKNOWN,
            "one set of items: how good a network is shows only on others. Hint: hold some out (fa_random_split; "
            "facula train does)");
}

/* ---- Putting it together ----------------------------------------------------------------------------------------- */

static void report_split(checking *c, fa_survey *s, fa_value *splits, fa_image_form *form)
{
    fa_where where = c->where;
    size_count *size;
    int64_t *count = count_classes(c, s), distinct = find_sizes(s, &size, where);
    if (count != NULL && distinct >= 0) {
        fa_value *dict = new_dict(where);
        fa_check_put(dict, "name", fa_value_string_at(s->name, where), where);
        fa_check_put(dict, "items", fa_value_int_at(s->n, where), where);
        fa_check_put(dict, "classes", classes_value(c, count), where);
        fa_check_put(dict, "sizes", sizes_value(size, distinct, where), where);
        fa_check_put(dict, "modes", modes_value(s, where), where);
        fa_check_put(dict, "unreadable", fa_value_int_at(s->failed, where), where);
        fa_check_put(dict, "unreadable_items", unreadable_value(s, where), where);
        fa_check_put(dict, "damaged", fa_value_int_at(count_trait(s, FA_TRAIT_REPAIRED), where), where);
        fa_check_put(dict, "damaged_items", damaged_value(s, where), where);
        fa_list_add_at(splits, dict, where);
        check_readable(c, s);
        check_notes(c, s);
        check_labels(c, s);
        if (s == &c->survey[0] && s->n > 0) {
            check_balance(c, count);
            check_numbered(c);
        } else {
            check_missing(c, s, count);
        }
        check_sizes(c, s, size, distinct, form);
        if (s == &c->survey[0] && distinct > 0)
            check_normalised(c, most_common(size, distinct));
    }
    fa_mfree(count);
    fa_mfree(size);
}

static void report(checking *c)
{
    fa_where where = c->where;
    fa_value *splits = new_list(where);
    fa_image_form form = {0}, other;
    c->report = new_dict(where);
    c->list = (fa_checklist){.items = new_list(where), .where = where};
    fa_check_put(c->report, "splits", splits, where);
    find_classes(c);
    measure(c);
    for (int64_t k = 0; k < c->splits; k++) {
        other = (fa_image_form){0};
        report_split(c, &c->survey[k], splits, k == 0 ? &form : &other);
        if (k > 0 && form.height > 0 && other.height > 0 && (other.height != form.height || other.width != form.width))
            ADD(c, "data", "sizes", FA_CHECK_WARNING,
                "%s: images are %lld x %lld%s, and those to train on %lld x %lld: few networks take both. Hint: one "
                "fa_fit(64), which is Resize(64), CenterCrop(64), for all",
                c->survey[k].name, (long long)other.height, (long long)other.width,
                c->args->transform != NULL ? " behind the transforms" : "", (long long)form.height,
                (long long)form.width);
    }
    check_traits(c);
    check_splits(c);
    fa_check_equal(c->report, splits, &c->list, c->survey, c->splits);
    ADD(c, "model", "device", FA_CHECK_OK, "CPU, %s, %d thread%s", fa_cpu_isa(), fa_get_num_threads(),
        fa_get_num_threads() == 1 ? "" : "s");
    if (c->args->model != NULL) {
        const fa_network_check network = {c->args->model,   form.channels,         form.height, form.width,
                                          c->form[0].total, c->form[0].batch_size, c->classes,  c->form[0].drop_last};
        fa_check_network(c->report, &c->list, &network);
    } else {
        ADD(c, "model", "layers", FA_CHECK_UNKNOWN, "no network was given");
    }
    check_loaders(c);
    fa_check_put(c->report, "checks", c->list.items, where);
    fa_check_put(c->report, "warnings", fa_value_int_at(c->list.warnings, where), where);
    fa_check_put(c->report, "stops", fa_value_int_at(c->list.stops, where), where);
}

static void tell(void *context, int64_t done)
{
    const checking *c = context;
    c->args->progress(c->args->user, c->done + done, c->total);
}

static bool survey_all(checking *c)
{
    static const char *const names[SPLITS] = {"train", "validation", "test"};
    fa_loader *const loaders[SPLITS] = {c->args->train, c->args->validation, c->args->test};
    const char *name[SPLITS];
    fa_loader *given[SPLITS];
    for (int k = 0; k < SPLITS; k++) {
        if (k > 0 && loaders[k] == NULL)
            continue;
        if (!fa_loader_describe(loaders[k], &c->form[c->splits], c->where))
            return false;
        name[c->splits] = names[k];
        given[c->splits++] = loaders[k];
        c->total += c->form[c->splits - 1].items;
    }
    c->skips = ((const fa_loader_body *)given[0]->object.body)->skip;
    for (int64_t k = 0; k < c->splits; k++) {
        const fa_loader_body *loader = given[k]->object.body;
        c->collates[k] = loader->collate != NULL;
        if (!fa_survey_run(&c->survey[k], name[k], loader, c->args->progress != NULL ? tell : NULL, c, c->where))
            return false;
        c->done += c->survey[k].n;
    }
    return true;
}

fa_value *fa_check_at(const fa_check_args *args)
{
    fa_begin(args->where_);
    if (!fa_ok() || (args->transform != NULL &&
                     !fa_object_check((fa_object *)args->transform, &fa_transform_class, call, args->where_)))
        return NULL;
    if (args->model != NULL && !fa_module_check(args->model, call, args->where_))
        return NULL;
    checking c = {.args = args, .where = args->where_};
    uint8_t generator[FA_GENERATOR_STATE_SIZE];
    fa_generator_get_state(NULL, generator);
    if (survey_all(&c) && fa_ok())
        report(&c);
    (void)!fa_generator_set_state(NULL, generator);
    for (int k = 0; k < SPLITS; k++)
        fa_survey_end(&c.survey[k]);
    return fa_ok() ? c.report : NULL;
}
