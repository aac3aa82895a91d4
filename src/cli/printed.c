/* Reader of printed models: "Sequential(\n  (0): Conv2d(1, 8, kernel_size=(3, 3), stride=(1, 1))\n ...)". */
#include "printed.h"

#include "cli.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ARGUMENTS = 24, MOST_CHILDREN = 512, MOST_DEPTH = 64 };

typedef struct argument {
    char name[32], text[64]; /* name "": by position */
} argument;

typedef struct layer {
    char class[64];
    argument given[MOST_ARGUMENTS];
    int count;
} layer;

static fa_module *refuse(const char *what, const char *text)
{
    fa_raise(
        FA_VALUE_ERROR,
        "parity: cannot build the model from its printed form: %s \"%.60s\". Hint: compare your own program instead, "
        "with fa_parity_new (docs/guide/parity.md)",
        what, text);
    return NULL;
}

/* ---- Arguments ---- */

/* One argument up to a comma or the closing bracket on its own level; false if there is none that fits. */
static bool read_argument(const char **at, argument *out)
{
    const char *start = *at, *end = start, *equals = NULL;
    for (int depth = 0; *end && (depth > 0 || (*end != ',' && *end != ')')); end++) {
        depth += (*end == '(' || *end == '[') - (*end == ')' || *end == ']');
        if (*end == '=' && depth == 0 && !equals)
            equals = end;
    }
    const char *value = equals ? equals + 1 : start;
    if (!*end || end == value || (size_t)(end - value) >= sizeof out->text ||
        (equals && (size_t)(equals - start) >= sizeof out->name))
        return false;
    snprintf(out->name, sizeof out->name, "%.*s", equals ? (int)(equals - start) : 0, start);
    snprintf(out->text, sizeof out->text, "%.*s", (int)(end - value), value);
    *at = end;
    return true;
}

/* "Class(" and the arguments behind it, until a child's line or the closing bracket. */
static bool read_head(const char **at, layer *out)
{
    const size_t length = strspn(*at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");
    *out = (layer){.count = 0};
    if (length == 0 || length >= sizeof out->class || (*at)[length] != '(')
        return false;
    memcpy(out->class, *at, length);
    *at += length + 1;
    while (**at != ')' && **at != '\n') {
        if (out->count == MOST_ARGUMENTS || !read_argument(at, &out->given[out->count]))
            return false;
        out->count++;
        if (**at == ',')
            *at += 1 + strspn(*at + 1, " ");
    }
    return true;
}

/* The text of an argument by name, or of the one at `place` (-1: none); NULL if it was not given. */
static const char *find(const layer *l, const char *name, int place)
{
    for (int i = 0; i < l->count; i++)
        if (strcmp(l->given[i].name, name) == 0 || (i == place && !l->given[i].name[0]))
            return l->given[i].text;
    return NULL;
}

static double number(const layer *l, const char *name, int place, double otherwise)
{
    const char *text = find(l, name, place);
    char *end;
    double value = text ? strtod(text, &end) : otherwise;
    if (text && (end == text || *end))
        refuse("an argument is", text);
    return value;
}

static int64_t whole(const layer *l, const char *name, int place, int64_t otherwise)
{
    return (int64_t)number(l, name, place, (double)otherwise);
}

static bool truth(const layer *l, const char *name, bool otherwise)
{
    const char *text = find(l, name, -1);
    return text ? strcmp(text, "True") == 0 : otherwise;
}

/* "3", "(3, 5)" or "None" (FA_NONE). */
static void pair(const layer *l, const char *name, int place, int64_t otherwise, int64_t out[2])
{
    const char *text = find(l, name, place);
    out[0] = out[1] = otherwise;
    if (!text)
        return;
    const char *at = text + (*text == '(');
    for (int i = 0; i < 2; i++) {
        char *end = (char *)(uintptr_t)at;
        if (strncmp(at, "None", 4) == 0) {
            out[i] = FA_NONE;
            end += 4;
        } else {
            out[i] = strtoll(at, &end, 10);
        }
        if (end == at)
            refuse("an argument is", text);
        if (*text != '(')
            out[1] = out[0];
        if (*text != '(' || *end != ',')
            return;
        at = end + 1 + strspn(end + 1, " ");
    }
}

/* ---- Layers ---- */

static fa_module *make_conv2d(const layer *l)
{
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    const char *word = find(l, "padding", -1), *mode = find(l, "padding_mode", -1);
    pair(l, "kernel_size", 2, 1, kernel);
    pair(l, "stride", 3, 1, stride);
    pair(l, "dilation", -1, 1, dilation);
    if (word && strcmp(word, "same") == 0)
        padding[0] = padding[1] = FA_SAME;
    else if (word && strcmp(word, "valid") == 0)
        padding[0] = padding[1] = 0;
    else
        pair(l, "padding", -1, 0, padding);
    fa_pad_mode pad = FA_PAD_CONSTANT;
    if (mode)
        pad = strstr(mode, "reflect")     ? FA_PAD_REFLECT
              : strstr(mode, "replicate") ? FA_PAD_REPLICATE
              : strstr(mode, "circular")  ? FA_PAD_CIRCULAR
                                          : FA_PAD_CONSTANT;
    return fa_nn_conv2d(whole(l, "in_channels", 0, 0), whole(l, "out_channels", 1, 0),
                        .kernel_hw = {kernel[0], kernel[1]}, .stride_hw = {stride[0], stride[1]},
                        .padding_hw = {padding[0], padding[1]}, .dilation_hw = {dilation[0], dilation[1]},
                        .groups = whole(l, "groups", -1, 1), .bias = truth(l, "bias", true), .padding_mode = pad);
}

/* Numbers that print as numbers, and pairs that print as pairs. */
static fa_module *make_pool(const layer *l, bool max)
{
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    pair(l, "kernel_size", 0, 1, kernel);
    pair(l, "stride", -1, FA_NONE, stride);
    pair(l, "padding", -1, 0, padding);
    pair(l, "dilation", -1, 1, dilation);
    if (stride[0] == FA_NONE)
        memcpy(stride, kernel, sizeof stride);
    fa_nn_pool2d_args args = {.where_ = FA_HERE,
                              .kernel_size = kernel[0],
                              .stride = stride[0],
                              .padding = padding[0],
                              .dilation = dilation[0],
                              .kernel_hw = {FA_PAIR_UNSET_},
                              .stride_hw = {FA_PAIR_UNSET_},
                              .padding_hw = {FA_PAIR_UNSET_},
                              .dilation_hw = {FA_PAIR_UNSET_},
                              .ceil_mode = truth(l, "ceil_mode", false),
                              .count_include_pad = true,
                              .divisor_override = FA_NONE};
    const struct {
        const char *name;
        int place;
        const int64_t *value;
        int64_t *into;
    } pairs[] = {{"kernel_size", 0, kernel, args.kernel_hw},
                 {"stride", -1, stride, args.stride_hw},
                 {"padding", -1, padding, args.padding_hw},
                 {"dilation", -1, dilation, args.dilation_hw}};
    for (int i = 0; i < 4; i++) {
        const char *text = find(l, pairs[i].name, pairs[i].place);
        if (text && *text == '(')
            memcpy(pairs[i].into, pairs[i].value, sizeof kernel);
    }
    return max ? fa_nn_max_pool2d_at(&args) : fa_nn_avg_pool2d_at(&args);
}

static fa_module *make_norm(const layer *l, bool images)
{
    const int64_t features = whole(l, "num_features", 0, 0);
    const double eps = number(l, "eps", -1, 1e-5), momentum = number(l, "momentum", -1, 0.1);
    const bool affine = truth(l, "affine", true), bias = truth(l, "bias", true),
               tracked = truth(l, "track_running_stats", true);
    if (images)
        return fa_nn_batch_norm2d(features, .eps = eps, .momentum = momentum, .affine = affine, .bias = bias,
                                  .track_running_stats = tracked);
    return fa_nn_batch_norm1d(features, .eps = eps, .momentum = momentum, .affine = affine, .bias = bias,
                              .track_running_stats = tracked);
}

static fa_module *make_adaptive_pool(const layer *l)
{
    int64_t size[2];
    const char *text = find(l, "output_size", 0);
    pair(l, "output_size", 0, 1, size);
    if (text && *text != '(')
        return fa_nn_adaptive_avg_pool2d(size[0]);
    return fa_nn_adaptive_avg_pool2d(.output_hw = {size[0], size[1]});
}

static fa_module *make_layer(const layer *l)
{
    const char *c = l->class;
    const bool inplace = truth(l, "inplace", false);
    if (strcmp(c, "Conv2d") == 0)
        return make_conv2d(l);
    if (strcmp(c, "Linear") == 0)
        return fa_nn_linear(whole(l, "in_features", 0, 0), whole(l, "out_features", 1, 0),
                            .bias = truth(l, "bias", true));
    if (strcmp(c, "MaxPool2d") == 0 || strcmp(c, "AvgPool2d") == 0)
        return make_pool(l, c[0] == 'M');
    if (strcmp(c, "BatchNorm2d") == 0 || strcmp(c, "BatchNorm1d") == 0)
        return make_norm(l, strcmp(c, "BatchNorm2d") == 0);
    if (strcmp(c, "AdaptiveAvgPool2d") == 0)
        return make_adaptive_pool(l);
    if (strcmp(c, "Dropout") == 0)
        return fa_nn_dropout(number(l, "p", 0, 0.5), .inplace = inplace);
    if (strcmp(c, "Dropout2d") == 0)
        return fa_nn_dropout2d(number(l, "p", 0, 0.5), .inplace = inplace);
    if (strcmp(c, "Flatten") == 0)
        return fa_nn_flatten((int)whole(l, "start_dim", 0, 1), (int)whole(l, "end_dim", 1, -1));
    if (strcmp(c, "GroupNorm") == 0)
        return fa_nn_group_norm(whole(l, "num_groups", 0, 0), whole(l, "num_channels", 1, 0),
                                .eps = number(l, "eps", -1, 1e-5), .affine = truth(l, "affine", true));
    if (strcmp(c, "LeakyReLU") == 0)
        return fa_nn_leaky_relu(number(l, "negative_slope", 0, 0.01), .inplace = inplace);
    if (strcmp(c, "ReLU") == 0)
        return fa_nn_relu(.inplace = inplace);
    if (strcmp(c, "ReLU6") == 0)
        return fa_nn_relu6(.inplace = inplace);
    if (strcmp(c, "SiLU") == 0)
        return fa_nn_silu(.inplace = inplace);
    if (strcmp(c, "Sigmoid") == 0)
        return fa_nn_sigmoid();
    if (strcmp(c, "Tanh") == 0)
        return fa_nn_tanh();
    if (strcmp(c, "Softmax") == 0)
        return fa_nn_softmax((int)whole(l, "dim", 0, 1));
    if (strcmp(c, "LogSoftmax") == 0)
        return fa_nn_log_softmax((int)whole(l, "dim", 0, 1));
    if (strcmp(c, "Identity") == 0)
        return fa_nn_identity();
    return refuse("there is no class", c);
}

/* ---- The tree ---- */

static fa_module *read_module(const char **at, int depth);

/* "\n  (name): Module" lines behind "Sequential(", until the closing bracket. */
static fa_module *read_children(const char **at, int depth)
{
    fa_module *sequence = fa_nn_sequential_at(0, NULL, FA_HERE);
    for (int i = 0; sequence && **at == '\n'; i++) {
        *at += 1 + strspn(*at + 1, " ");
        if (**at == ')')
            break;
        char name[64];
        const char *end = **at == '(' ? strchr(*at, ')') : NULL;
        fa_module *child = NULL;
        if (i == MOST_CHILDREN || !end || end[1] != ':' || end[2] != ' ' || (size_t)(end - *at) >= sizeof name) {
            refuse("not a layer's line:", *at);
        } else {
            snprintf(name, sizeof name, "%.*s", (int)(end - *at - 1), *at + 1);
            *at = end + 3;
            child = read_module(at, depth + 1);
        }
        if (!child || !fa_module_add(sequence, name, child)) {
            fa_free(sequence);
            return NULL;
        }
    }
    return sequence;
}

static fa_module *read_module(const char **at, int depth)
{
    layer l;
    const char *start = *at;
    if (depth == MOST_DEPTH || !read_head(at, &l))
        return refuse("not a layer:", start);
    fa_module *module = strcmp(l.class, "Sequential") == 0 ? read_children(at, depth) : make_layer(&l);
    if (module && (**at != ')' || !fa_ok())) {
        refuse("it does not end after", start);
        fa_free(module);
        return NULL;
    }
    *at += module != NULL;
    return module;
}

fa_module *module_from_text(const char *text)
{
    const char *at = text;
    fa_module *module = read_module(&at, 0);
    if (module && *at) {
        refuse("text behind its end:", at);
        fa_free(module);
        return NULL;
    }
    return module;
}
