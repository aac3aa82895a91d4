/* Answers of a predictor.
 *
 * Each picture becomes a buffer of floats by the transforms' chain, several at once on the pool's threads; those of one
 * form, GROUP at most, are one batch of the network. Nothing of a predictor is written here. */
#include "train/predictor.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GROUP = 32 };
static const char call[] = "fa_predict";

/* A picture on its way. */
typedef struct prepared {
    fa_buffer *floats; /* [C, H, W] */
    fa_image_form form;
    int64_t height, width; /* of the picture itself */
    char error[FA_PREDICTION_ERROR];
    fa_error_kind kind;
} prepared;

typedef struct group {
    const fa_predictor *predictor;
    const fa_predict_picture *pictures;
    prepared item[GROUP];
    fa_where where;
} group;

/* ---- Preparing --------------------------------------------------------------------------------------------------- */

static bool read_picture(const fa_predictor *p, const fa_predict_picture *picture, fa_where where, fa_picture *out)
{
    const char *name = picture->path != NULL ? picture->path : "the picture";
    if (picture->pixels != NULL) {
        const fa_pixels pixels = {picture->pixels,   picture->height, picture->width,
                                  picture->channels, picture->stride, picture->bgr};
        return fa_picture_of_pixels(&pixels, &p->rules, name, call, where, out);
    }
    if (picture->bytes != NULL)
        return fa_picture_decode(picture->bytes, picture->size, name, &p->rules, call, where, out);
    if (picture->path != NULL)
        return fa_picture_read(picture->path, &p->rules, call, where, out);
    return fa_fail(FA_VALUE_ERROR, where, call, "got a picture without path, bytes or pixels, needs one of them.");
}

static bool transform_picture(const fa_predictor *p, const fa_picture *picture, prepared *out, fa_where where)
{
    const fa_image_form form = {false, picture->channels, picture->height, picture->width, false};
    fa_chain *chain = fa_chain_get(p->transform, &form, where);
    if (chain == NULL)
        return false;
    out->form = *fa_chain_result(chain);
    out->height = picture->height;
    out->width = picture->width;
    bool fine = out->form.floats || fa_fail(FA_DTYPE_ERROR, where, call,
                                            "got transforms that end in bytes (%s), needs floats.", p->transform_text);
    if (fine && (out->floats = fa_buffer_new(chain->out_bytes)) == NULL)
        fine = fa_fail_memory(where, chain->out_bytes);
    fine = fine && fa_chain_run(chain, picture->pixels, out->floats->data, where);
    fa_chain_drop(chain);
    return fine;
}

static void give_up(prepared *item)
{
    fa_error_record record;
    fa_error_take(&record);
    item->kind = record.kind;
    const char *text = fa_message_text(&record), prefix[] = "fa_predict: ";
    bool own = strncmp(text, prefix, sizeof prefix - 1) == 0;
    snprintf(item->error, sizeof item->error, "%s", text + (own ? sizeof prefix - 1 : 0));
    fa_buffer_release(item->floats);
    item->floats = NULL;
}

static void prepare(void *context, int64_t i)
{
    group *g = context;
    prepared *item = &g->item[i];
    fa_picture picture;
    *item = (prepared){.floats = NULL};
    if (!read_picture(g->predictor, &g->pictures[i], g->where, &picture) ||
        !transform_picture(g->predictor, &picture, item, g->where))
        give_up(item);
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

static bool same_form(const fa_image_form *a, const fa_image_form *b)
{
    return a->channels == b->channels && a->height == b->height && a->width == b->width;
}

/* The prepared pictures `which` as one leaf [n, C, H, W]; takes their buffers. NULL after an error. */
static fa_leaf *gather(group *g, const int *which, int n)
{
    const fa_image_form *form = &g->item[which[0]].form;
    fa_meta meta = fa_meta_of(FA_DT_FLOAT32, 4, (int64_t[]){n, form->channels, form->height, form->width});
    if (n == 1) {
        fa_buffer *only = g->item[which[0]].floats;
        g->item[which[0]].floats = NULL;
        return fa_leaf_of_buffer(&meta, only);
    }
    fa_leaf *leaf = fa_leaf_new(&meta);
    size_t bytes;
    for (int k = 0; k < n; k++) {
        prepared *item = &g->item[which[k]];
        if (leaf != NULL && fa_form_bytes(form, &bytes))
            memcpy((char *)leaf->buffer->data + (size_t)k * bytes, item->floats->data, bytes);
        fa_buffer_release(item->floats);
        item->floats = NULL;
    }
    return leaf;
}

/* softmax(network(leaf)) as doubles in `out` [n, classes]. False after an error. */
static bool run_network(const fa_predictor *p, fa_leaf *leaf, int n, double *out, fa_where where)
{
    fa_tensor *x = fa_handle(fa_leaf_node(leaf));
    x = p->float64 ? fa_to_dtype_at(x, FA_FLOAT64, where) : x;
    fa_tensor *scores = fa_forward_at(p->model, x, where);
    if (scores == NULL)
        return false;
    const fa_shape shape = fa_shape_of(scores);
    if (shape.ndim != 2 || shape.size[1] != p->classes)
        return fa_fail(FA_SHAPE_ERROR, where, call, "got %s from the network, needs [%d, %lld]: one number a class.",
                       fa_dims_text(shape.ndim, shape.size), n, (long long)p->classes);
    fa_tensor *probabilities = p->ends_in_softmax ? scores : fa_softmax_at(scores, 1, where);
    const void *data = fa_data_at(probabilities, where);
    const int64_t count = n * p->classes;
    for (int64_t i = 0; data != NULL && i < count; i++)
        out[i] = p->float64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
    return data != NULL;
}

/* ---- Answering --------------------------------------------------------------------------------------------------- */

static void answer(const fa_predictor *p, const double *probability, fa_prediction *out)
{
    *out = (fa_prediction){.index = -1};
    for (int64_t c = 0; c < p->classes; c++) {
        int at = out->top_count < FA_TOP_CLASSES ? out->top_count++ : FA_TOP_CLASSES;
        /* NaN is no answer, and stands behind all numbers. */
        while (at > 0 && (probability[c] > out->top[at - 1].probability || isnan(out->top[at - 1].probability))) {
            if (at < FA_TOP_CLASSES)
                out->top[at] = out->top[at - 1];
            at--;
        }
        if (at < FA_TOP_CLASSES)
            out->top[at] = (fa_class_score){c, p->class_names[c], probability[c]};
    }
    out->index = out->top[0].index;
    out->name = out->top[0].name;
    out->probability = out->top[0].probability;
}

static void refuse(fa_prediction *out, const char *error)
{
    *out = (fa_prediction){.index = -1};
    snprintf(out->error, sizeof out->error, "%s", error);
}

/* Why the network did not take a picture; where the transforms left the picture's size as it came, what size it takes.
 */
static void explain(const fa_predictor *p, prepared *item, const char *name, const fa_error_record *record)
{
    const fa_image_form *form = &item->form;
    const bool fixed = p->size[0] > 0 || record->kind != FA_SHAPE_ERROR;
    const int64_t side = fixed ? 0 : fa_network_side(p->model, p->float64, form->channels);
    item->kind = record->kind;
    if (side == 0 || (side == form->height && side == form->width))
        snprintf(item->error, sizeof item->error, "%s (%s)", fa_message_text(record), name);
    else
        snprintf(
            item->error, sizeof item->error,
            "got %s of %lld x %lld pixels (width x height), which the transforms make %lld x %lld; the network needs "
            "%lld x %lld. Hint: .fit = %lld makes every picture so.",
            name, (long long)item->width, (long long)item->height, (long long)form->width, (long long)form->height,
            (long long)side, (long long)side, (long long)side);
}

/* Pictures of one form. False after an error that is not theirs. */
static bool run_batch(group *g, const int *which, int n, double *probability, fa_prediction *results,
                      float *probabilities)
{
    const fa_predictor *p = g->predictor;
    fa_leaf *leaf = gather(g, which, n);
    if (leaf == NULL)
        return false;
    bool fine = false;
    fa_no_grad
        fa_scope
            fine = run_network(p, leaf, n, probability, g->where);
    fa_leaf_release(leaf);
    if (!fine) {
        fa_error_record record;
        fa_error_take(&record);
        if (record.kind == FA_MEMORY_ERROR) {
            fa_error_put(&record);
            return false;
        }
        for (int k = 0; k < n; k++) {
            prepared *item = &g->item[which[k]];
            const char *name = g->pictures[which[k]].path != NULL ? g->pictures[which[k]].path : "the picture";
            explain(p, item, name, &record);
            refuse(&results[which[k]], item->error);
        }
        return true;
    }
    for (int k = 0; k < n; k++) {
        answer(p, probability + k * p->classes, &results[which[k]]);
        for (int64_t c = 0; probabilities != NULL && c < p->classes; c++)
            probabilities[which[k] * p->classes + c] = (float)probability[k * p->classes + c];
    }
    return true;
}

/* Up to GROUP pictures. False after an error that concerns them all. */
static bool run_group(group *g, int n, fa_prediction *results, float *probabilities)
{
    const fa_predictor *p = g->predictor;
    size_t bytes;
    fa_buffer *room = fa_mul_size((size_t)n * sizeof(double), (size_t)p->classes, &bytes) ? fa_buffer_new(bytes) : NULL;
    if (room == NULL)
        return fa_fail_memory(g->where, bytes);
    if (n == 1)
        prepare(g, 0);
    else
        fa_parallel(n, prepare, g);
    bool fine = true, done[GROUP] = {false};
    for (int first = 0; first < n; first++) {
        if (done[first])
            continue;
        if (g->item[first].floats == NULL) {
            refuse(&results[first], g->item[first].error);
            continue;
        }
        int which[GROUP], count = 0;
        for (int i = first; i < n; i++)
            if (g->item[i].floats != NULL && same_form(&g->item[i].form, &g->item[first].form)) {
                which[count++] = i;
                done[i] = true;
            }
        fine = fine && run_batch(g, which, count, room->data, results, probabilities);
        for (int k = 0; k < count && !fine; k++) {
            fa_buffer_release(g->item[which[k]].floats);
            g->item[which[k]].floats = NULL;
        }
    }
    fa_buffer_release(room);
    return fine;
}

/* One picture, whose error is raised. */
static fa_prediction predict_one(fa_predictor *p, const fa_predict_picture *picture, float *probabilities,
                                 fa_where where)
{
    fa_prediction result = {.index = -1};
    fa_begin(where);
    if (!fa_ok())
        return result;
    if (p == NULL) {
        fa_fail(FA_VALUE_ERROR, where, call, "got no predictor (NULL), needs one. Hint: did fa_predictor_open fail?");
        return result;
    }
    group g = {.predictor = p, .pictures = picture, .where = where};
    if (run_group(&g, 1, &result, probabilities) && result.index < 0)
        fa_fail(g.item[0].kind, where, call, "%s", result.error);
    return result;
}

fa_prediction fa_predict_at(const fa_predict_args *args)
{
    const fa_predict_picture picture = {.pixels = args->pixels,
                                        .height = args->height,
                                        .width = args->width,
                                        .channels = args->channels,
                                        .stride = args->stride,
                                        .bgr = args->bgr};
    return predict_one(args->predictor, &picture, args->probabilities, args->where_);
}

fa_prediction fa_predict_file_at(fa_predictor *predictor, const char *path, fa_where where)
{
    const fa_predict_picture picture = {.path = path};
    return predict_one(predictor, &picture, NULL, where);
}

fa_prediction fa_predict_bytes_at(fa_predictor *predictor, const void *bytes, size_t size, fa_where where)
{
    const fa_predict_picture picture = {.bytes = bytes, .size = size};
    return predict_one(predictor, &picture, NULL, where);
}

int64_t fa_predict_all_at(const fa_predict_all_args *args)
{
    const fa_predictor *p = args->predictor;
    fa_where where = args->where_;
    fa_begin(where);
    if (!fa_ok())
        return -1;
    if (p == NULL || args->n < 0 || (args->n > 0 && (args->pictures == NULL || args->results == NULL))) {
        fa_fail(FA_VALUE_ERROR, where, "fa_predict_all", "got %s, needs a predictor, pictures and room for results.",
                p == NULL     ? "no predictor (NULL)"
                : args->n < 0 ? "fewer than 0 pictures"
                              : "no pictures or no results");
        return -1;
    }
    if (args->probabilities != NULL)
        memset(args->probabilities, 0, (size_t)(args->n * p->classes) * sizeof(float));
    int64_t answered = 0;
    for (int64_t first = 0; first < args->n; first += GROUP) {
        const int n = (int)(args->n - first < GROUP ? args->n - first : GROUP);
        group g = {.predictor = p, .pictures = args->pictures + first, .where = where};
        fa_prediction *results = args->results + first;
        if (!run_group(&g, n, results, args->probabilities != NULL ? args->probabilities + first * p->classes : NULL))
            return -1;
        for (int i = 0; i < n; i++)
            answered += results[i].index >= 0;
    }
    return answered;
}
