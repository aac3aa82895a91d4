/* What a difference probably comes from, told from the recording, from the module's printed form, and from how the two
 * tensors are related. */
#include "train/parity.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Weights ------------------------------------------------------------------------------------------------------
 */

static bool has_name(const fa_tensor_list *list, const char *name)
{
    for (int64_t i = 0; i < list->count; i++)
        if (strcmp(list->name[i], name) == 0)
            return true;
    return false;
}

/* Whether the layers that both models have stand in another order; says which. */
static bool explain_by_order(fa_parity *p)
{
    const fa_recorded_names *theirs = &p->recording->state;
    const fa_tensor_list ours = fa_state_list_at(p->model, fa_current_where());
    int64_t k = 0;
    for (int64_t i = 0; i < theirs->count; i++) {
        if (!has_name(&ours, theirs->name[i]))
            continue;
        while (k < ours.count && !fa_recorded_has(theirs, ours.name[k]))
            k++;
        if (k < ours.count && strcmp(ours.name[k], theirs->name[i]) != 0) {
            fa_text_add(&p->found.cause,
                        "The layers are registered in another order: PyTorch's model has %s where this one has %s. "
                        "Initial weights are drawn in that order, so fa_layer and fa_module_add must be called in the "
                        "order of PyTorch's __init__.",
                        theirs->name[i], ours.name[k]);
            return true;
        }
        k++;
    }
    return false;
}

void fa_parity_cause_start(fa_parity *p, int64_t equal, int64_t different, bool first_differs)
{
    fa_text *out = &p->found.cause;
    const fa_parity_measure *m = &p->found.measure;
    const unsigned long long seed = p->recording->seed;
    if (m->missing)
        fa_text_add(
            out, "The program's model has no tensor of this name. Names come from the fields of fa_layer and from the "
                 "places in a Sequential: they must be PyTorch's.");
    else if (m->shapes_differ)
        fa_text_add(out, "The layer has other sizes than PyTorch's: look at its arguments.");
    else if (explain_by_order(p))
        ;
    else if (equal && !first_differs)
        fa_text_add(out,
                    "%lld tensors before it are the same, so the seed is right: from here on something else was drawn. "
                    "Layers made in another order, one of another size, a layer that PyTorch's model does not have, or "
                    "weights that the script sets itself (nn.init).",
                    (long long)equal);
    else
        fa_text_add(out,
                    "The first of them differs already: another seed (PyTorch's was %llu: fa_manual_seed(%llu) just "
                    "before the model is made), or something was drawn between the seed and the model.",
                    seed, seed);
    fa_text_add(out, " %lld of %lld tensors differ.", (long long)different, (long long)(equal + different));
}

/* ---- Batches ------------------------------------------------------------------------------------------------------
 */

/* got = scale * want + shift as closely as can be over some elements; whether that explains them. */
typedef struct line_fit {
    double scale, shift;
    bool good;
} line_fit;

static line_fit fit_line(const fa_recorded *want, fa_dtype dtype, const void *got, int64_t channel, int64_t channels,
                         int64_t plane)
{
    double n = 0, sw = 0, sg = 0, sww = 0, swg = 0;
    for (int pass = 0; pass < 2; pass++) {
        /* Sums about the means of the first pass. */
        const double mw = n > 0 ? sw / n : 0, mg = n > 0 ? sg / n : 0;
        for (int64_t i = 0; i < want->numel; i++) {
            if (i / plane % channels != channel)
                continue;
            double w = fa_recorded_element(want->dtype, want->data, i), g = fa_recorded_element(dtype, got, i);
            if (pass == 0) {
                n++;
                sw += w;
                sg += g;
            } else {
                sww += (w - mw) * (w - mw);
                swg += (w - mw) * (g - mg);
            }
        }
    }
    if (!(n > 2) || !(sww > 0))
        return (line_fit){0};
    line_fit fit = {.scale = swg / sww};
    fit.shift = sg / n - fit.scale * sw / n;
    double off = 0, most = 0;
    for (int64_t i = 0; i < want->numel; i++) {
        if (i / plane % channels != channel)
            continue;
        double w = fa_recorded_element(want->dtype, want->data, i), g = fa_recorded_element(dtype, got, i);
        off = fmax(off, fabs(g - fit.scale * w - fit.shift));
        most = fmax(most, fabs(g));
    }
    fit.good = off <= 1e-4 * most && fit.scale != 0;
    return fit;
}

/* Whether pictures are mapped channel by channel, as Normalize and ToTensor do; says so. */
static bool explain_by_lines(fa_text *out, const fa_recorded *want, fa_dtype dtype, const void *got)
{
    const bool pictures =
        want->shape.ndim == 4 && want->shape.size[1] >= 1 && want->shape.size[1] <= FA_PARITY_CHANNELS;
    const int64_t channels = pictures ? want->shape.size[1] : 1;
    const int64_t plane = pictures ? want->shape.size[2] * want->shape.size[3] : want->numel;
    line_fit fit[FA_PARITY_CHANNELS] = {{0}};
    for (int64_t c = 0; c < channels; c++) {
        fit[c] = fit_line(want, dtype, got, c, channels, plane);
        if (!fit[c].good)
            return false;
    }
    fa_text_add(out, "PyTorch's numbers are (ours - %.4g", fit[0].shift);
    for (int64_t c = 1; c < channels; c++)
        fa_text_add(out, ", %.4g", fit[c].shift);
    fa_text_add(out, ") / %.4g", fit[0].scale);
    for (int64_t c = 1; c < channels; c++)
        fa_text_add(out, ", %.4g", fit[c].scale);
    if (fabs(fit[0].scale - 255) < 0.1 && fabs(fit[0].shift) < 1e-3)
        fa_text_add(out, ": the pixels were not divided by 255 (fa_to_tensor does it).");
    else {
        fa_text_add(out, ": a Normalize is missing or has other numbers: fa_normalize({");
        for (int64_t c = 0; c < channels; c++)
            fa_text_add(out, c ? ", %.4g" : "%.4g", fit[c].shift);
        fa_text_add(out, "}, {");
        for (int64_t c = 0; c < channels; c++)
            fa_text_add(out, c ? ", %.4g" : "%.4g", fit[c].scale);
        fa_text_add(out, "}) is what the recording's batch has beyond this one.");
    }
    return true;
}

static size_t row_bytes(const fa_recorded *batch)
{
    const size_t size = batch->dtype == FA_FLOAT64 || batch->dtype == FA_INT64   ? 8
                        : batch->dtype == FA_FLOAT32 || batch->dtype == FA_INT32 ? 4
                                                                                 : 1;
    return (size_t)(batch->numel / batch->shape.size[0]) * size;
}

/* How many rows of `got`, which is like `want`, are a row of a recorded batch: at the same place, and at any. */
typedef struct shared {
    int64_t in_place, anywhere;
} shared;

static shared shared_rows(const fa_recorded *want, const fa_recorded *in, fa_dtype dtype, const void *got)
{
    shared found = {0};
    const int64_t rows = want->shape.size[0], other = in->shape.ndim ? in->shape.size[0] : 0;
    if (dtype != want->dtype || dtype != in->dtype || rows == 0 || other == 0 ||
        in->numel / other != want->numel / rows)
        return found;
    const size_t bytes = row_bytes(want);
    for (int64_t i = 0; i < rows; i++) {
        const char *row = (const char *)got + (size_t)i * bytes;
        const bool in_place = i < other && memcmp(row, (const char *)in->data + (size_t)i * bytes, bytes) == 0;
        bool anywhere = in_place;
        for (int64_t k = 0; k < other && !anywhere; k++)
            anywhere = memcmp(row, (const char *)in->data + (size_t)k * bytes, bytes) == 0;
        found.in_place += in_place;
        found.anywhere += anywhere;
    }
    return found;
}

/* How many pictures of `got` are the recorded ones at their places, mirrored left to right. */
static int64_t mirrored_rows(const fa_recorded *want, fa_dtype dtype, const void *got)
{
    if (want->shape.ndim != 4 || dtype != want->dtype)
        return 0;
    const int64_t width = want->shape.size[3], rows = want->shape.size[0], each = want->numel / rows;
    int64_t found = 0;
    for (int64_t r = 0; r < rows; r++) {
        bool mirrored = true, turned = false;
        for (int64_t i = r * each; i < (r + 1) * each && mirrored; i++) {
            const int64_t other = i - i % width + (width - 1 - i % width);
            const double there = fa_recorded_element(want->dtype, want->data, other);
            mirrored = fa_recorded_element(dtype, got, i) == there;
            turned |= fa_recorded_element(want->dtype, want->data, i) != there;
        }
        found += mirrored && turned;
    }
    return found;
}

static const char *generator_words(const fa_parity *p)
{
    return p->generator_differs ? " The generator stands elsewhere than PyTorch's did at this pass."
                                : " The generator stands where PyTorch's did at this pass, so the draws were as many.";
}

static const char transform_words[] =
    "a random transform (flip, crop) is missing on one side, has other options, or drew other numbers; or pictures are "
    "decoded or resized otherwise.";

void fa_parity_cause_images(fa_parity *p, const fa_recorded *want, fa_dtype dtype, const void *got, fa_shape shape)
{
    fa_text *out = &p->found.cause;
    if (p->found.measure.shapes_differ) {
        bool channels_last = shape.ndim == 4 && want->shape.ndim == 4 && shape.size[3] == want->shape.size[1] &&
                             shape.size[1] == want->shape.size[2];
        fa_text_add(out, channels_last
                             ? "The channels stand last here: ToTensor (fa_to_tensor) puts them first."
                             : "Another batch size, image size or number of channels: look at the loader and the "
                               "transforms (Resize, crops, a Flatten).");
        return;
    }
    if (want->shape.ndim < 1 || want->numel == 0)
        return;
    const long long rows = want->shape.size[0];
    const shared same = shared_rows(want, want, dtype, got);
    if (same.anywhere == rows) {
        fa_text_add(out, "They are the same %lld items in another order: look at shuffle and the sampler.", rows);
        return;
    }
    int64_t elsewhere = 0;
    for (int64_t k = 1; k <= p->recording->step_count && elsewhere == 0; k++) {
        const fa_recorded *batch = fa_recording_find(p->recording, "%d/images", (int)k);
        if (batch && batch != want && shared_rows(want, batch, dtype, got).anywhere > 0)
            elsewhere = k;
    }
    if (same.anywhere > same.in_place || elsewhere) {
        fa_text_add(out,
                    "The items are PyTorch's, and so are their pixels, but in another order (%lld of %lld are in this "
                    "batch",
                    (long long)same.anywhere, rows);
        if (elsewhere)
            fa_text_add(out, ", others in that of step %lld", (long long)elsewhere);
        fa_text_add(out,
                    "). The order is drawn when the loop begins: something drew more or fewer numbers before it, or "
                    "shuffle, the seed or a generator is another.");
        return;
    }
    const int64_t mirrored = mirrored_rows(want, dtype, got);
    if (mirrored > 0 && mirrored + same.in_place == rows) {
        fa_text_add(out,
                    "The items are the same, and %lld of %lld are mirrored: RandomHorizontalFlip is missing on one "
                    "side, or drew other numbers.%s",
                    (long long)mirrored, rows, generator_words(p));
        return;
    }
    if (same.in_place > 0) {
        fa_text_add(out, "%lld of %lld items are the same, the others have other pixels at the same places: %s%s",
                    (long long)same.in_place, rows, transform_words, generator_words(p));
        return;
    }
    if (explain_by_lines(out, want, dtype, got))
        return;
    p->labels_tell = true;
    fa_text_add(out,
                "Other items, or other pixels: look at the order (shuffle, seed, draws before the loop) and at the "
                "transforms (crops and flips draw, too; interpolation).%s",
                generator_words(p));
}

void fa_parity_cause_images_labels(fa_parity *p, bool same_labels)
{
    fa_text *out = &p->found.cause;
    if (!p->labels_tell)
        return;
    p->labels_tell = false;
    fa_text_free(out);
    if (same_labels)
        fa_text_add(out, "The labels are the same, so these are the same items with other pixels: %s%s",
                    transform_words, generator_words(p));
    else
        fa_text_add(out,
                    "The labels differ too, so these are other items: another order (shuffle, the seed, draws before "
                    "the loop), or another data set.%s",
                    generator_words(p));
}

/* ---- Outputs ------------------------------------------------------------------------------------------------------
 */

/* Takes a part out of a text. */
static void drop(fa_text *text, const char *part)
{
    char *at = text->data ? strstr(text->data, part) : NULL;
    if (!at)
        return;
    memmove(at, at + strlen(part), strlen(at + strlen(part)) + 1);
    text->length -= strlen(part);
}

bool fa_parity_lines(const fa_parity *p, int64_t module, fa_text *theirs, fa_text *ours)
{
    fa_module_list list = fa_named_modules_at(p->model, fa_current_where());
    if (module >= list.count)
        return false;
    const char *line = NULL;
    for (int64_t i = 0; i < p->recording->layers.count && !line; i++)
        if (strcmp(p->recording->layers.name[i], list.name[module]) == 0)
            line = p->recording->lines.name[i];
    if (!line || !strchr(line, '('))
        return false; /* a container: its class may have any name */
    char text[1024];
    fa_module_format(list.module[module], text, sizeof text);
    fa_text_add(theirs, "%s", line);
    fa_text_add(ours, "%s", text);
    /* Norms print their bias since 2.15. */
    if (strstr(line, "Norm")) {
        drop(theirs, ", bias=True");
        drop(ours, ", bias=True");
    }
    return !theirs->failed && !ours->failed;
}

void fa_parity_cause_output(fa_parity *p, int64_t module, const fa_recorded *want, fa_dtype dtype, const void *got)
{
    fa_text *out = &p->found.cause, theirs = {0}, ours = {0};
    const char *line = "";
    if (fa_parity_lines(p, module, &theirs, &ours)) {
        line = theirs.data;
        if (strcmp(theirs.data, ours.data) != 0) {
            fa_text_add(out, "The layer is written differently: in PyTorch %s, here %s.", theirs.data, ours.data);
            goto end;
        }
    }
    if (strncmp(line, "Dropout", 7) == 0) {
        fa_text_add(out, p->generator_differs
                             ? "Dropout drew another mask: when this pass began the generator stood elsewhere than "
                               "PyTorch's. Something drew more or fewer numbers before (another seed, a loader that "
                               "shuffles, random transforms)."
                             : "Dropout drew another mask, although the generator stood where PyTorch's did when this "
                               "pass began: layers that draw run in another order, or PyTorch's input lay in another "
                               "order of memory (channels_last, or computed from a permuted view), in which it draws.");
        goto end;
    }
    line_fit fit = got ? fit_line(want, dtype, got, 0, 1, want->numel ? want->numel : 1) : (line_fit){0};
    if (fit.good)
        fa_text_add(out, "Every value is %.6g times PyTorch's, plus %.3g. ", fit.scale, fit.shift);
    fa_text_add(out,
                "All layers before it agree%s. Look at what happens to its input in the forward function (an "
                "activation missing or put twice, a reshape or permute)%s.",
                *line ? ", and its arguments print the same" : "",
                strstr(line, "BatchNorm") ? ", and whether it is in training (fa_train)" : "");
end:
    fa_text_free(&theirs);
    fa_text_free(&ours);
}

/* ---- Loss, gradients ----------------------------------------------------------------------------------------------
 */

void fa_parity_cause_loss(fa_parity *p, bool details, int64_t batch)
{
    fa_text *out = &p->found.cause;
    const fa_parity_measure *m = &p->found.measure;
    if (!details) {
        fa_text_add(out,
                    "The recording has no details of this step, and what it has agrees until here. Record them: "
                    "Recorder(..., details=%lld). A difference that grows slowly over the steps may be rounding alone.",
                    (long long)p->found.step);
        return;
    }
    const double ratio = m->got / m->want;
    const fa_recorded_criterion *criterion = &p->recording->criterion;
    if (batch > 1 && fabs(ratio - (double)batch) < 1e-3 * (double)batch)
        fa_text_add(out,
                    "It is %lld times PyTorch's, the number of items: the sum was taken instead of the mean "
                    "(.reduction).",
                    (long long)batch);
    else if (batch > 1 && fabs(ratio * (double)batch - 1) < 1e-3)
        fa_text_add(out,
                    "PyTorch's is %lld times ours, the number of items: it takes the sum (.reduction = "
                    "FA_REDUCE_SUM).",
                    (long long)batch);
    else
        fa_text_add(out, "The model's output and the labels agree: it is another loss, or has other options (label "
                         "smoothing, class weights, a softmax in front of cross entropy).");
    fa_text_add(out, " PyTorch's was %s", criterion->name);
    if (criterion->reduction)
        fa_text_add(out, ", reduction %s", criterion->reduction);
    if (criterion->label_smoothing != 0)
        fa_text_add(out, ", label_smoothing %g", criterion->label_smoothing);
    if (criterion->ignore_index != -100)
        fa_text_add(out, ", ignore_index %g", criterion->ignore_index);
    if (fa_recording_find(p->recording, "criterion/weight"))
        fa_text_add(out, ", with class weights (weight=)");
    if (fa_recording_find(p->recording, "criterion/pos_weight"))
        fa_text_add(out, ", with pos_weight");
    fa_text_add(out, ".");
}

void fa_parity_cause_gradient(fa_parity *p, const fa_recorded *want, fa_dtype dtype, const void *got)
{
    fa_text *out = &p->found.cause;
    if (p->found.measure.missing) {
        fa_text_add(out, "There is no gradient here: the parameter is frozen, was not used, or gradients were dropped "
                         "before fa_parity_step. Call it right after fa_step.");
        return;
    }
    if (p->found.measure.shapes_differ)
        return;
    line_fit fit = fit_line(want, dtype, got, 0, 1, want->numel ? want->numel : 1);
    if (fit.good && fabs(fit.shift) < 1e-6 * p->found.measure.scale)
        fa_text_add(out,
                    "Every element is %.6g times PyTorch's: gradients are clipped or scaled on one side alone, or "
                    "added up over several passes.",
                    fit.scale);
    else
        fa_text_add(out, "The loss agrees, so look at what lies between it and this parameter: a detach or no_grad, a "
                         "gradient that was not dropped before (fa_zero_grad), clipping.");
    const double scale = p->recording->step[p->found.step - 1].gradient_scale;
    if (scale != 1)
        fa_text_add(out, " PyTorch's script multiplied all by %.6g (clip_grad_norm_).", scale);
}

/* ---- The optimizer ------------------------------------------------------------------------------------------------
 */

static const char *const option_names[FA_RECORDED_OPTIONS] = {[FA_RECORDED_LR] = "learning rate",
                                                              [FA_RECORDED_MOMENTUM] = "momentum",
                                                              [FA_RECORDED_DAMPENING] = "dampening",
                                                              [FA_RECORDED_WEIGHT_DECAY] = "weight_decay",
                                                              [FA_RECORDED_BETA1] = "betas[0]",
                                                              [FA_RECORDED_BETA2] = "betas[1]",
                                                              [FA_RECORDED_EPS] = "eps",
                                                              [FA_RECORDED_ALPHA] = "alpha",
                                                              [FA_RECORDED_LR_DECAY] = "lr_decay",
                                                              [FA_RECORDED_INITIAL_ACCUMULATOR_VALUE] =
                                                                  "initial_accumulator_value",
                                                              [FA_RECORDED_NESTEROV] = "nesterov",
                                                              [FA_RECORDED_AMSGRAD] = "amsgrad",
                                                              [FA_RECORDED_CENTERED] = "centered",
                                                              [FA_RECORDED_MAXIMIZE] = "maximize"};

fa_recorded_options fa_parity_recorded_options(const fa_recording *recording, int64_t group, int64_t k)
{
    fa_recorded_options options = recording->group[group].options;
    const fa_recorded_step *step = k >= 1 && k <= recording->step_count ? &recording->step[k - 1] : NULL;
    for (int i = 0; step && group < step->group_count && i < FA_RECORDED_OPTIONS; i++)
        if (!isnan(step->group[group].value[i]))
            options.value[i] = step->group[group].value[i];
    return options;
}

void fa_parity_options(const fa_parity *p, fa_text *out)
{
    const fa_recording *recording = p->recording;
    if (strcmp(recording->optimizer, p->optim->kind->name) != 0) {
        fa_text_add(out, "PyTorch's optimizer is %s, this one %s", recording->optimizer, p->optim->kind->name);
        return;
    }
    const int64_t groups = p->optim->group_count;
    for (int64_t g = 0; g < groups && g < recording->group_count; g++) {
        const fa_optim_options *o = &p->optim->group[g]->now;
        const fa_recorded_options theirs = fa_parity_recorded_options(recording, g, p->step + 1);
        const double ours[FA_RECORDED_OPTIONS] = {[FA_RECORDED_LR] = o->lr,
                                                  [FA_RECORDED_MOMENTUM] = o->momentum,
                                                  [FA_RECORDED_DAMPENING] = o->dampening,
                                                  [FA_RECORDED_WEIGHT_DECAY] = o->weight_decay,
                                                  [FA_RECORDED_BETA1] = o->betas[0],
                                                  [FA_RECORDED_BETA2] = o->betas[1],
                                                  [FA_RECORDED_EPS] = o->eps,
                                                  [FA_RECORDED_ALPHA] = o->alpha,
                                                  [FA_RECORDED_LR_DECAY] = o->lr_decay,
                                                  [FA_RECORDED_INITIAL_ACCUMULATOR_VALUE] =
                                                      o->initial_accumulator_value,
                                                  [FA_RECORDED_NESTEROV] = o->nesterov,
                                                  [FA_RECORDED_AMSGRAD] = o->amsgrad,
                                                  [FA_RECORDED_CENTERED] = o->centered,
                                                  [FA_RECORDED_MAXIMIZE] = o->maximize};
        for (int i = 0; i < FA_RECORDED_OPTIONS; i++) {
            const double want = theirs.value[i], got = ours[i];
            if (isnan(want) || fabs(want - got) <= 1e-12 * fmax(fabs(want), fabs(got)))
                continue;
            fa_text_add(out, "%s", out->length ? "; " : "");
            if (groups > 1)
                fa_text_add(out, "group %lld: ", (long long)g);
            fa_text_add(out, "%s %.10g in PyTorch, %.10g here", option_names[i], want, got);
        }
    }
    if (recording->group_count != groups)
        fa_text_add(out, "%s%lld parameter groups in PyTorch, %lld here", out->length ? "; " : "",
                    (long long)recording->group_count, (long long)groups);
}

void fa_parity_cause_weight(fa_parity *p)
{
    fa_text *out = &p->found.cause;
    const char *scheduler = p->recording->scheduler;
    if (fa_recorded_has(&p->recording->frozen, p->found.name))
        fa_text_add(out, "PyTorch's is frozen (requires_grad=False), and this one moves: fa_requires_grad_(layer, "
                         "false), or leave it out of the optimizer.");
    else if (!fa_recording_find(p->recording, "%d/grad/%s", (int)p->found.step, p->found.name))
        fa_text_add(out, "It is a buffer, which a layer's forward pass changes: look at its momentum, at how often the "
                         "model ran in training, and at the batch's size.");
    else if (p->options.length)
        fa_text_add(out, "The gradients agree, and the optimizer is another: %s.", p->options.data);
    else
        fa_text_add(out,
                    "The gradients agree, so it is the optimizer's step: PyTorch's is %s%s%s. Look at its options "
                    "(learning rate, momentum, weight_decay), at a second fa_step, at what changes weights by "
                    "itself%s.",
                    p->recording->optimizer, scheduler ? " with " : "", scheduler ? scheduler : "",
                    p->optim ? "" : "; give the optimizer to fa_parity_new (.optim) to have them compared");
}
