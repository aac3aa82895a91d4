/* Transforms made of their printed form, as it stands in a checkpoint, or of the constructor calls of a Python program:
 *
 *     text = transform { transform }          more than one: Compose
 *     transform = Name "(" { item } ")"       item = [key "="] value | transform | "[" { transform } "]"
 *     value = number | word | ("(" | "[") { number } (")" | "]")
 *
 * Items are separated by commas or white space; names and words may have a prefix (transforms., InterpolationMode.) and
 * words quotes. Each name has a function that reads its keys and calls the constructor; a key that it does not know is
 * an error. Values without a key take the keys in the constructor's order. */
#include "vision/transform.h"

#include "base/error.h"
#include "base/number_text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_KEYS = 12, MAX_NUMBERS = FA_MAX_CHANNELS, MAX_WORD = 32, MAX_DEPTH = 8 };

typedef struct value {
    char key[MAX_WORD], word[MAX_WORD]; /* word: "" for numbers */
    double number[MAX_NUMBERS];
    int n;
    bool single;      /* one number without brackets */
    const char *text; /* as it stands there */
    int length;
} value;

typedef struct call {
    char name[MAX_WORD];
    const struct maker *maker;
    value value[MAX_KEYS];
    int values, places;               /* values in all, and those without a key */
    fa_transform *step[FA_MAX_STEPS]; /* floating */
    int steps;
} call;

typedef struct parser {
    const char *text, *at;
    fa_where where;
    int deepest; /* how many transforms stand around the innermost one */
} parser;

static const char *const what = "fa_transform_parse";

static bool unclear(const parser *p, const char *wanted)
{
    return fa_fail(FA_VALUE_ERROR, p->where, what, "got \"%.20s\" at character %td of the text, needs %s.", p->at,
                   p->at - p->text, wanted);
}

static void skip(parser *p, bool commas)
{
    while (isspace((unsigned char)*p->at) || (commas && *p->at == ','))
        p->at++;
}

static bool read_word(parser *p, char word[MAX_WORD], const char *wanted)
{
    size_t n = 0;
    while (isalnum((unsigned char)p->at[n]) || p->at[n] == '_')
        n++;
    if (n == 0 || n >= MAX_WORD || isdigit((unsigned char)p->at[0]))
        return unclear(p, wanted);
    memcpy(word, p->at, n);
    word[n] = 0;
    p->at += n;
    if (*p->at != '.' || !isalpha((unsigned char)p->at[1]))
        return true;
    p->at++; /* that was a prefix */
    return read_word(p, word, wanted);
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'';
}

/* A word that is a value, in quotes or not. Python's members of InterpolationMode are the words in capitals. */
static bool read_value_word(parser *p, char word[MAX_WORD])
{
    const char quote = is_quote(*p->at) ? *p->at : 0;
    p->at += quote != 0;
    if (!read_word(p, word, "a value"))
        return false;
    if (quote != 0 && *p->at != quote)
        return unclear(p, "the closing quote");
    p->at += quote != 0;
    if (isupper((unsigned char)word[1]))
        for (char *c = word; *c != 0; c++)
            *c = (char)tolower((unsigned char)*c);
    return true;
}

static bool read_number(parser *p, double *x)
{
    char *end;
    *x = fa_text_number_of(p->at, &end);
    if (end == p->at || !isfinite(*x))
        return unclear(p, "a number");
    p->at = end;
    return true;
}

static bool read_form(parser *p, value *v)
{
    if (*p->at != '(' && *p->at != '[') {
        v->single = true;
        v->n = 1;
        if (isalpha((unsigned char)*p->at) || is_quote(*p->at))
            return read_value_word(p, v->word);
        return read_number(p, &v->number[0]);
    }
    for (p->at++, skip(p, true); *p->at != ')' && *p->at != ']'; skip(p, true)) {
        if (v->n == MAX_NUMBERS)
            return unclear(p, "fewer numbers");
        if (!read_number(p, &v->number[v->n++]))
            return false;
    }
    p->at++;
    return true;
}

static bool read_value(parser *p, value *v)
{
    skip(p, false);
    v->text = p->at;
    const bool fine = read_form(p, v);
    v->length = (int)(p->at - v->text);
    return fine;
}

/* ---- Reading keys ------------------------------------------------------------------------------------------------ */

/* The value of a key; NULL when it is not there, or is None. */
static const value *find(const call *c, const char *key)
{
    for (int i = 0; i < c->values; i++)
        if (strcmp(c->value[i].key, key) == 0)
            return strcmp(c->value[i].word, "None") == 0 ? NULL : &c->value[i];
    return NULL;
}

static double number_of(const call *c, const char *key, double otherwise)
{
    const value *v = find(c, key);
    return v != NULL ? v->number[0] : otherwise;
}

static bool truth_of(const call *c, const char *key)
{
    const value *v = find(c, key);
    return v != NULL && strcmp(v->word, "True") == 0;
}

static int64_t whole(double x)
{
    return fabs(x) < 1e15 ? (int64_t)x : -1;
}

/* One number by itself: Python's way of giving a range around the usual value. */
static bool is_single(const call *c, const char *key)
{
    const value *v = find(c, key);
    return v != NULL && v->single && v->word[0] == 0;
}

/* Two numbers, or one for both; unset when the key is not there. */
static void pair_of(const call *c, const char *key, double out[2])
{
    const value *v = find(c, key);
    for (int d = 0; d < 2; d++)
        out[d] = v == NULL || v->n < 1 ? (double)INT64_MIN : v->number[v->n > 1 ? d : 0];
}

/* How far from the usual value, or the two ends themselves. */
static void spread_of(const call *c, const char *key, double *spread, double ends[2])
{
    const bool single = is_single(c, key);
    pair_of(c, key, ends);
    *spread = single ? ends[0] : 0;
    if (single)
        ends[0] = ends[1] = (double)INT64_MIN;
}

static void size_of(const call *c, int64_t out[2])
{
    double size[2];
    pair_of(c, "size", size);
    for (int d = 0; d < 2; d++)
        out[d] = size[d] == (double)INT64_MIN ? 0 : whole(size[d]);
}

/* Left, top, right, bottom of one, two or four numbers. */
static void padding_of(const call *c, int64_t *all, int64_t out[4])
{
    const value *v = find(c, "padding");
    *all = v != NULL && v->n == 1 ? whole(v->number[0]) : 0;
    for (int d = 0; d < 4; d++)
        out[d] = v == NULL || v->n < 2 ? INT64_MIN : whole(v->number[v->n == 4 ? d : d % 2]);
}

static int choice_of(const call *c, const char *key, int otherwise, const char *(*name)(int), int count)
{
    const value *v = find(c, key);
    for (int i = 0; v != NULL && i < count; i++)
        if (strcmp(v->word, name(i)) == 0)
            return i;
    return v == NULL ? otherwise : count;
}

/* One number, or one a channel. */
static double fill_of(const call *c, double fills[FA_MAX_CHANNELS], int *channels)
{
    const value *v = find(c, "fill");
    if (v == NULL || v->single)
        return number_of(c, "fill", 0);
    memcpy(fills, v->number, sizeof v->number);
    *channels = v->n;
    return 0;
}

static fa_interpolation interpolation_of(const call *c, fa_interpolation otherwise)
{
    return (fa_interpolation)choice_of(c, "interpolation", (int)otherwise, fa_interpolation_name,
                                       FA_INTERPOLATION_LANCZOS + 1);
}

static fa_padding_mode mode_of(const call *c)
{
    return (fa_padding_mode)choice_of(c, "padding_mode", 0, fa_padding_mode_name, FA_PADDING_SYMMETRIC + 1);
}

/* ---- One function a name ----------------------------------------------------------------------------------------- */

static fa_transform *make_compose(const call *c, fa_where where)
{
    return fa_compose_at(c->steps, c->step, where);
}

static fa_transform *make_random_apply(const call *c, fa_where where)
{
    return fa_random_apply_at(number_of(c, "p", 0.5), c->steps, c->step, where);
}

static fa_transform *make_to_tensor(const call *c, fa_where where)
{
    (void)c;
    return fa_to_tensor_at(where);
}

static fa_transform *make_normalize(const call *c, fa_where where)
{
    fa_normalize_args args = {.where_ = where};
    const value *mean = find(c, "mean"), *std = find(c, "std");
    const int means = mean != NULL ? mean->n : 0, stds = std != NULL ? std->n : 0;
    if (means != stds || means == 0) {
        fa_fail(FA_VALUE_ERROR, where, what, "got Normalize with %d mean%s and %d std%s, needs one of each a channel.",
                means, means == 1 ? "" : "s", stds, stds == 1 ? "" : "s");
        return NULL;
    }
    args.channels = means;
    memcpy(args.mean, mean->number, sizeof args.mean);
    memcpy(args.std, std->number, sizeof args.std);
    return fa_normalize_at(&args);
}

static fa_transform *make_resize(const call *c, fa_where where)
{
    fa_resize_args args = {.where_ = where,
                           .interpolation = interpolation_of(c, FA_INTERPOLATION_BILINEAR),
                           .max_size = whole(number_of(c, "max_size", 0)),
                           .size_hw = {INT64_MIN, INT64_MIN}};
    const value *size = find(c, "size");
    if (size != NULL && size->n > 1)
        size_of(c, args.size_hw);
    else
        args.size = whole(number_of(c, "size", 0));
    return fa_resize_at(&args);
}

static fa_transform *make_center_crop(const call *c, fa_where where)
{
    fa_center_crop_args args = {.where_ = where};
    size_of(c, args.size_hw);
    return fa_center_crop_at(&args);
}

static fa_transform *make_pad(const call *c, fa_where where)
{
    fa_pad_image_args args = {.where_ = where, .padding_mode = mode_of(c)};
    args.fill = fill_of(c, args.fills, &args.channels);
    padding_of(c, &args.padding, args.padding_ltrb);
    return fa_pad_image_at(&args);
}

static fa_transform *make_random_crop(const call *c, fa_where where)
{
    fa_random_crop_args args = {
        .where_ = where, .pad_if_needed = truth_of(c, "pad_if_needed"), .padding_mode = mode_of(c)};
    args.fill = fill_of(c, args.fills, &args.channels);
    size_of(c, args.size_hw);
    padding_of(c, &args.padding, args.padding_ltrb);
    return fa_random_crop_at(&args);
}

static fa_random_flip_args chance_of(const call *c, double otherwise, fa_where where)
{
    return (fa_random_flip_args){.where_ = where, .p = number_of(c, "p", otherwise)};
}

static fa_transform *make_horizontal_flip(const call *c, fa_where where)
{
    const fa_random_flip_args args = chance_of(c, 0.5, where);
    return fa_random_horizontal_flip_at(&args);
}

static fa_transform *make_vertical_flip(const call *c, fa_where where)
{
    const fa_random_flip_args args = chance_of(c, 0.5, where);
    return fa_random_vertical_flip_at(&args);
}

static fa_transform *make_random_grayscale(const call *c, fa_where where)
{
    const fa_random_flip_args args = chance_of(c, 0.1, where);
    return fa_random_grayscale_at(&args);
}

static fa_transform *make_grayscale(const call *c, fa_where where)
{
    return fa_grayscale_at((int)whole(number_of(c, "num_output_channels", 1)), where);
}

/* A pair of shares or ratios; the default when it is not there. torchvision prints four decimals: 0.75, 1.3333. */
static void range_of(const call *c, const char *key, double low, double high, double out[2])
{
    pair_of(c, key, out);
    for (int d = 0; d < 2; d++) {
        const double usual = d == 0 ? low : high;
        if (out[d] == (double)INT64_MIN || fabs(out[d] - usual) < 5e-5)
            out[d] = usual;
    }
}

static fa_transform *make_resized_crop(const call *c, fa_where where)
{
    fa_random_resized_crop_args args = {.where_ = where,
                                        .interpolation = interpolation_of(c, FA_INTERPOLATION_BILINEAR)};
    size_of(c, args.size_hw);
    range_of(c, "scale", 0.08, 1, args.scale);
    range_of(c, "ratio", 3.0 / 4, 4.0 / 3, args.ratio);
    return fa_random_resized_crop_at(&args);
}

static fa_transform *make_rotation(const call *c, fa_where where)
{
    fa_random_rotation_args args = {.where_ = where,
                                    .interpolation = interpolation_of(c, FA_INTERPOLATION_NEAREST),
                                    .expand = truth_of(c, "expand")};
    args.fill = fill_of(c, args.fills, &args.channels);
    spread_of(c, "degrees", &args.degrees, args.degrees_range);
    pair_of(c, "center", args.center);
    return fa_random_rotation_at(&args);
}

static fa_transform *make_affine(const call *c, fa_where where)
{
    fa_random_affine_args args = {.where_ = where, .interpolation = interpolation_of(c, FA_INTERPOLATION_NEAREST)};
    args.fill = fill_of(c, args.fills, &args.channels);
    spread_of(c, "degrees", &args.degrees, args.degrees_range);
    pair_of(c, "translate", args.translate);
    pair_of(c, "scale", args.scale);
    pair_of(c, "center", args.center);
    const value *shear = find(c, "shear");
    args.shear = number_of(c, "shear", 0);
    const bool none = shear != NULL && args.shear == 0; /* unlike None it draws its word */
    for (int d = 0; d < 2; d++) {
        args.shear_x_range[d] = shear != NULL && shear->n > 1 ? shear->number[d] : none ? 0 : (double)INT64_MIN;
        args.shear_y_range[d] = shear != NULL && shear->n > 3 ? shear->number[2 + d] : (double)INT64_MIN;
    }
    return fa_random_affine_at(&args);
}

static fa_transform *make_jitter(const call *c, fa_where where)
{
    fa_color_jitter_args args = {.where_ = where};
    spread_of(c, "brightness", &args.brightness, args.brightness_range);
    spread_of(c, "contrast", &args.contrast, args.contrast_range);
    spread_of(c, "saturation", &args.saturation, args.saturation_range);
    spread_of(c, "hue", &args.hue, args.hue_range);
    return fa_color_jitter_at(&args);
}

static fa_transform *make_erasing(const call *c, fa_where where)
{
    fa_random_erasing_args args = {.where_ = where, .p = number_of(c, "p", 0.5)};
    range_of(c, "scale", 0.02, 0.33, args.scale);
    range_of(c, "ratio", 0.3, 3.3, args.ratio);
    const value *v = find(c, "value");
    args.random = v != NULL && strcmp(v->word, "random") == 0;
    if (v != NULL && !v->single) {
        args.channels = v->n;
        memcpy(args.values, v->number, sizeof args.values);
    } else {
        args.value = v != NULL ? v->number[0] : 0;
    }
    return fa_random_erasing_at(&args);
}

static const struct maker {
    const char *name;
    fa_transform *(*make)(const call *c, fa_where where);
    const char *keys[MAX_KEYS]; /* in the order of torchvision's constructor */
    bool holds;                 /* other transforms */
} makers[] = {
    {"Compose", make_compose, {NULL}, true},
    {"RandomApply", make_random_apply, {"p"}, true},
    {"ToTensor", make_to_tensor, {NULL}, false},
    {"Normalize", make_normalize, {"mean", "std"}, false},
    {"Resize", make_resize, {"size", "interpolation", "max_size", "antialias"}, false},
    {"CenterCrop", make_center_crop, {"size"}, false},
    {"Pad", make_pad, {"padding", "fill", "padding_mode"}, false},
    {"RandomCrop", make_random_crop, {"size", "padding", "pad_if_needed", "fill", "padding_mode"}, false},
    {"RandomHorizontalFlip", make_horizontal_flip, {"p"}, false},
    {"RandomVerticalFlip", make_vertical_flip, {"p"}, false},
    {"RandomGrayscale", make_random_grayscale, {"p"}, false},
    {"Grayscale", make_grayscale, {"num_output_channels"}, false},
    {"RandomResizedCrop", make_resized_crop, {"size", "scale", "ratio", "interpolation", "antialias"}, false},
    {"RandomRotation", make_rotation, {"degrees", "interpolation", "expand", "center", "fill"}, false},
    {"RandomAffine", make_affine, {"degrees", "translate", "scale", "shear", "interpolation", "fill", "center"}, false},
    {"ColorJitter", make_jitter, {"brightness", "contrast", "saturation", "hue"}, false},
    {"RandomErasing", make_erasing, {"p", "scale", "ratio", "value", "inplace"}, false},
};

/* ---- What values may be ------------------------------------------------------------------------------------------ */

enum { ONE = 1 << 1, TWO = 1 << 2, FOUR = 1 << 4, ANY = -2 /* all but none */ };

/* torchvision printed "warn" for an antialias that was not given. */
static const char *truth_name(int i)
{
    static const char *const name[] = {"False", "True", "warn"};
    return name[i];
}

static const char *random_name(int only)
{
    (void)only;
    return "random";
}

/* A key means the same in all transforms. */
static const struct rule {
    const char *key;
    int counts;               /* bit n: n numbers may stand there */
    bool whole;               /* they must be whole */
    const char *(*word)(int); /* words that may stand there */
    int words;
    const char *wanted; /* in words */
} rules[] = {
    {"p", ONE, false, NULL, 0, "a number"},
    {"mean", ANY, false, NULL, 0, "numbers"},
    {"std", ANY, false, NULL, 0, "numbers"},
    {"size", ONE | TWO, true, NULL, 0, "1 or 2 whole numbers"},
    {"max_size", ONE, true, NULL, 0, "a whole number or None"},
    {"interpolation", 0, false, fa_interpolation_name, FA_INTERPOLATION_LANCZOS + 1,
     "nearest, bilinear, bicubic, box, hamming or lanczos"},
    {"antialias", 0, false, truth_name, 3, "True or False"},
    {"padding", ONE | TWO | FOUR, true, NULL, 0, "1, 2 or 4 whole numbers"},
    {"pad_if_needed", 0, false, truth_name, 2, "True or False"},
    {"fill", ANY, false, NULL, 0, "a number, or one a channel"},
    {"padding_mode", 0, false, fa_padding_mode_name, FA_PADDING_SYMMETRIC + 1, "constant, edge, reflect or symmetric"},
    {"num_output_channels", ONE, true, NULL, 0, "1 or 3"},
    {"scale", TWO, false, NULL, 0, "2 numbers"},
    {"ratio", TWO, false, NULL, 0, "2 numbers"},
    {"degrees", ONE | TWO, false, NULL, 0, "1 or 2 numbers"},
    {"expand", 0, false, truth_name, 2, "True or False"},
    {"center", TWO, false, NULL, 0, "2 numbers or None"},
    {"translate", TWO, false, NULL, 0, "2 numbers or None"},
    {"shear", ONE | TWO | FOUR, false, NULL, 0, "1, 2 or 4 numbers or None"},
    {"brightness", ONE | TWO, false, NULL, 0, "1 or 2 numbers"},
    {"contrast", ONE | TWO, false, NULL, 0, "1 or 2 numbers"},
    {"saturation", ONE | TWO, false, NULL, 0, "1 or 2 numbers"},
    {"hue", ONE | TWO, false, NULL, 0, "1 or 2 numbers"},
    {"value", ANY, false, random_name, 1, "a number, one a channel, or random"},
    {"inplace", 0, false, truth_name, 2, "True or False"},
};

static bool obeys(const value *v, const struct rule *rule)
{
    if (strcmp(v->word, "None") == 0)
        return true;
    for (int i = 0; v->word[0] != 0 && i < rule->words; i++)
        if (strcmp(v->word, rule->word(i)) == 0)
            return true;
    if (v->word[0] != 0 || (rule->counts >> v->n & 1) == 0)
        return false;
    for (int i = 0; i < v->n; i++)
        if (rule->whole && v->number[i] != floor(v->number[i]))
            return false;
    return true;
}

/* Each value has a key of its own that the transform has, and is what the key takes. */
static bool check_values(const parser *p, const call *c)
{
    for (int i = 0; i < c->values; i++) {
        const value *v = &c->value[i];
        const struct rule *rule = rules;
        int known = 0;
        while (known < MAX_KEYS && c->maker->keys[known] != NULL && strcmp(c->maker->keys[known], v->key) != 0)
            known++;
        if (known == MAX_KEYS || c->maker->keys[known] == NULL)
            return fa_fail(FA_VALUE_ERROR, p->where, what, "got %s(%s=...), which has no such option.", c->name,
                           v->key);
        if (find(c, v->key) != v && strcmp(v->word, "None") != 0)
            return fa_fail(FA_VALUE_ERROR, p->where, what, "got %s twice for %s, needs it once.", v->key, c->name);
        while (strcmp(rule->key, v->key) != 0)
            rule++; /* every key of a transform has a rule */
        if (!obeys(v, rule))
            return fa_fail(FA_VALUE_ERROR, p->where, what, "got %s(%s=%.*s), needs %s.", c->name, v->key,
                           v->length < 60 ? v->length : 60, v->text, rule->wanted);
    }
    return true;
}

/* ---- Calls ------------------------------------------------------------------------------------------------------- */

static fa_transform *read_transform(parser *p, int depth);

static bool add_step(parser *p, call *c, int depth)
{
    if (c->steps == FA_MAX_STEPS)
        return unclear(p, "fewer transforms");
    fa_transform *step = read_transform(p, depth + 1);
    if (step != NULL)
        c->step[c->steps++] = step;
    return step != NULL;
}

/* Python's list of transforms. */
static bool read_list(parser *p, call *c, int depth)
{
    p->at++;
    for (skip(p, true); *p->at != ']'; skip(p, true))
        if (!add_step(p, c, depth))
            return false;
    p->at++;
    return true;
}

static bool read_place(parser *p, call *c, value *v)
{
    const char *key = c->places < MAX_KEYS ? c->maker->keys[c->places] : NULL;
    if (key == NULL)
        return unclear(p, "a name or ')'");
    snprintf(v->key, sizeof v->key, "%s", key);
    c->places++;
    return read_value(p, v);
}

static bool read_item(parser *p, call *c, int depth)
{
    const char *begin = p->at;
    char word[MAX_WORD] = "";
    if (*begin == '[' && c->maker->holds)
        return read_list(p, c, depth);
    if (isalpha((unsigned char)*begin) && !read_word(p, word, "a name or ')'"))
        return false;
    if (word[0] != 0 && *p->at == '(') {
        p->at = begin;
        return add_step(p, c, depth);
    }
    if (c->values == MAX_KEYS)
        return unclear(p, "fewer keys");
    value *v = &c->value[c->values++];
    if (word[0] != 0 && *p->at == '=') {
        p->at++;
        memcpy(v->key, word, sizeof word);
        if (*p->at == '[' && c->maker->holds && strcmp(word, "transforms") == 0) {
            c->values--;
            return read_list(p, c, depth);
        }
        return read_value(p, v);
    }
    p->at = begin;
    return read_place(p, c, v);
}

static fa_transform *make_call(const parser *p, const call *c)
{
    const struct maker *maker = c->maker;
    fa_transform *made = check_values(p, c) ? maker->make(c, p->where) : NULL;
    if (made != NULL && !maker->holds && c->steps > 0) {
        fa_fail(FA_VALUE_ERROR, p->where, what, "got a transform inside %s, needs none there.", c->name);
        fa_transform_free(made);
        return NULL;
    }
    return made;
}

static fa_transform *read_transform(parser *p, int depth)
{
    call c = {.steps = 0};
    skip(p, true);
    bool fine = read_word(p, c.name, "a transform's name");
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (strcmp(makers[i].name, c.name) == 0)
            c.maker = &makers[i];
    if (fine && c.maker == NULL)
        fine = fa_fail(FA_VALUE_ERROR, p->where, what, "got %s, needs a transform that can be made of its text%s.",
                       c.name, strcmp(c.name, "Lambda") == 0 ? ": a callback cannot" : "");
    p->deepest = depth > p->deepest ? depth : p->deepest;
    if (fine && (*p->at != '(' || depth > MAX_DEPTH))
        fine = unclear(p, depth > MAX_DEPTH ? "fewer transforms inside each other" : "'('");
    if (fine)
        p->at++;
    for (skip(p, true); fine && *p->at != ')'; skip(p, true))
        fine = read_item(p, &c, depth);
    if (fine)
        p->at++;
    fa_transform *made = fine ? make_call(p, &c) : NULL;
    /* what a composition holds stays; after an error nothing does */
    for (int i = 0; i < c.steps && made == NULL; i++)
        fa_transform_free(c.step[i]);
    return made;
}

fa_transform *fa_transform_parse_at(const char *text, fa_where where)
{
    if (!fa_ok())
        return NULL;
    if (text == NULL) {
        fa_fail(FA_VALUE_ERROR, where, what, "got no text (NULL), needs a transform's.");
        return NULL;
    }
    parser p = {.text = text, .at = text, .where = where};
    call all = {.steps = 0};
    bool fine = add_step(&p, &all, -1);
    for (skip(&p, true); fine && *p.at != 0; skip(&p, true))
        fine = add_step(&p, &all, -1);
    if (fine && all.steps > 1 && p.deepest >= MAX_DEPTH) /* the Compose around them all is one more */
        fine = unclear(&p, "fewer transforms inside each other");
    fa_transform *made = !fine ? NULL : all.steps == 1 ? all.step[0] : fa_compose_at(all.steps, all.step, where);
    for (int i = 0; i < all.steps && made == NULL; i++)
        fa_transform_free(all.step[i]);
    return made;
}
