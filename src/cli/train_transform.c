/* --transform and --augment of `facula train`: texts of transforms, as a Python program has them or as torchvision
 * prints them.
 *
 * A run keeps both as printed; validation, the test and whoever uses the network later take --transform alone. */
#include "data.h"
#include "train.h"

#include <stdlib.h>
#include <string.h>

static bool is_none(const char *text)
{
    return strcmp(text, "none") == 0;
}

static int refuse(const char *option, const char *text)
{
    fprintf(stderr, "facula: --%s \"%s\": %s\n", option, text, error_text());
    return EXIT_USAGE;
}

/* The text that a transform prints as; NULL after an error. The caller frees it; the transform ends. */
static char *text_of(fa_transform *transform)
{
    size_t size = transform != NULL ? fa_transform_text(transform, NULL, 0) + 1 : 0;
    char *out = size > 0 ? malloc(size) : NULL;
    if (out != NULL)
        fa_transform_text(transform, out, size);
    else if (transform != NULL)
        fa_raise(FA_MEMORY_ERROR, "no memory for a text of %zu bytes", size);
    fa_free(transform);
    return out;
}

static char *printed(const char *text)
{
    return text_of(fa_transform_parse(text));
}

static bool draws(const char *text)
{
    return strstr(text, "Random") != NULL || strstr(text, "ColorJitter") != NULL;
}

int print_transforms(train_options *o)
{
    if ((o->transform_text = printed(o->transform)) == NULL)
        return refuse("transform", o->transform);
    if (!is_none(o->augment) && (o->augment_text = printed(o->augment)) == NULL)
        return refuse("augment", o->augment);
    if (draws(o->transform_text)) {
        fprintf(stderr,
                "facula: --transform \"%s\": got random steps, needs what every image goes through, those of the "
                "validation too. Hint: --augment takes random steps, for the training images alone\n",
                o->transform);
        return EXIT_USAGE;
    }
    o->transform = o->transform_text;
    o->augment = o->augment_text != NULL ? o->augment_text : "none";
    return 0;
}

/* Whether the random steps are the whole list, --transform left out. */
static bool stands_alone(const train_options *o)
{
    return strstr(o->augment, "ToTensor()") != NULL;
}

/* The text with the rule in front of it, in place of *owned; NULL after an error. One Compose, not one in another: what
 * stands in the given one stands behind the rule. */
static const char *fitted(const char *given, char **owned, int64_t side)
{
    static const char compose[] = "Compose(\n";
    bool whole = strncmp(given, compose, sizeof compose - 1) == 0;
    const char *rest = whole ? given + sizeof compose - 1 : given;
    size_t size = strlen(rest) + 128;
    char *all = malloc(size);
    if (all == NULL)
        return fa_raise(FA_MEMORY_ERROR, "no memory for a text of %zu bytes", size), NULL;
    snprintf(all, size, "%sResize(%lld)\nCenterCrop(%lld)\n%s%s", compose, (long long)side, (long long)side, rest,
             whole ? "" : "\n)");
    char *text = printed(all);
    free(all);
    if (text != NULL) {
        free(*owned);
        *owned = text;
    }
    return text;
}

bool fit_pictures(train_options *o, int64_t side)
{
    const char *text = data_sets_size(o->transform) ? o->transform : fitted(o->transform, &o->transform_text, side);
    if (text == NULL)
        return false;
    o->transform = text;
    if (stands_alone(o) && !data_sets_size(o->augment)) {
        if ((text = fitted(o->augment, &o->augment_text, side)) == NULL)
            return false;
        o->augment = text;
    }
    return true;
}

fa_transform *evaluation_transform(const train_options *o)
{
    return fa_transform_parse(o->transform);
}

fa_transform *training_transform(const train_options *o)
{
    if (is_none(o->augment))
        return evaluation_transform(o);
    fa_transform *augment = fa_transform_parse(o->augment);
    return stands_alone(o) ? augment : fa_compose(augment, fa_transform_parse(o->transform));
}

/* On one line, without the Compose around it. */
static void show(const char *text)
{
    static const char compose[] = "Compose(";
    size_t length = strlen(text);
    bool whole = strncmp(text, compose, sizeof compose - 1) == 0;
    if (whole) {
        text += sizeof compose - 1;
        length -= sizeof compose;
    }
    bool begun = false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\n') {
            putchar(text[i]);
            begun = true;
            continue;
        }
        while (i + 1 < length && (text[i + 1] == ' ' || text[i + 1] == '\n'))
            i++;
        if (begun && i + 1 < length)
            fputs(text[i + 1] == ')' || text[i - 1] == '(' ? "" : ", ", stdout);
    }
}

void show_transforms(const train_options *o)
{
    printf("images: ");
    show(o->transform);
    if (!is_none(o->augment)) {
        printf("; to train on: ");
        show(o->augment);
        if (!stands_alone(o)) {
            printf(", ");
            show(o->transform);
        }
    }
    printf("\n");
}
