/* What a difference probably comes from, told from the recording, from the module's printed form, and from how the two
 * tensors are related. */
#include "train/parity.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const fa_json *run_of(const fa_parity *p)
{
    return &p->recording->run;
}

static const fa_json_value *member(const fa_parity *p, const char *key)
{
    return fa_json_get(run_of(p), &run_of(p)->value[0], key);
}

/* ---- Weights ------------------------------------------------------------------------------------------------------
 */

void fa_parity_cause_start(fa_parity *p, int64_t equal, int64_t different, bool first_differs)
{
    fa_text *out = &p->found.cause;
    const fa_parity_measure *m = &p->found.measure;
    const int64_t seed = (int64_t)fa_json_number(run_of(p), &run_of(p)->value[0], "seed", -1);
    if (m->missing)
        fa_text_add(
            out, "The program's model has no tensor of this name. Names come from the fields of fa_layer and from the "
                 "places in a Sequential: they must be PyTorch's.");
    else if (m->shapes_differ)
        fa_text_add(out, "The layer has other sizes than PyTorch's: look at its arguments.");
    else if (equal && !first_differs)
        fa_text_add(out,
                    "%lld tensors before it are the same, so the seed is right: from here on something else was drawn. "
                    "Layers made in another order, one of another size, a layer that PyTorch's model does not have, or "
                    "weights that the script sets itself (nn.init).",
                    (long long)equal);
    else
        fa_text_add(out,
                    "The first of them differs already: another seed (PyTorch's was %lld: fa_manual_seed(%lld) just "
                    "before the model is made), or something was drawn between the seed and the model.",
                    (long long)seed, (long long)seed);
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
    else
        fa_text_add(out,
                    ": a Normalize is missing or has other numbers: fa_normalize({%.4g}, {%.4g}) is what the "
                    "recording's batch has beyond this one.",
                    fit[0].shift, fit[0].scale);
    return true;
}

/* How many rows of `got` are a row of this recorded batch, in any place. */
static int64_t shared_rows(const fa_recorded *want, const fa_recorded *in, fa_dtype dtype, const void *got)
{
    const int64_t rows = want->shape.size[0], other = in->shape.ndim ? in->shape.size[0] : 0;
    if (dtype != want->dtype || dtype != in->dtype || rows == 0 || other == 0 ||
        in->numel / other != want->numel / rows)
        return 0;
    const size_t bytes = (size_t)(want->numel / rows) * (dtype == FA_FLOAT64 || dtype == FA_INT64   ? 8
                                                         : dtype == FA_FLOAT32 || dtype == FA_INT32 ? 4
                                                                                                    : 1);
    int64_t found = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < other; k++)
            if (memcmp((const char *)got + (size_t)i * bytes, (const char *)in->data + (size_t)k * bytes, bytes) == 0) {
                found++;
                break;
            }
    return found;
}

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
    const int64_t rows = want->shape.size[0], same = shared_rows(want, want, dtype, got);
    if (same == rows) {
        fa_text_add(out, "They are the same %lld items in another order: look at shuffle and the sampler.",
                    (long long)rows);
        return;
    }
    int64_t elsewhere = 0;
    for (int64_t k = 1; k <= p->recording->step_count && elsewhere == 0; k++) {
        const fa_recorded *batch = fa_recording_find(p->recording, "%d/images", (int)k);
        if (batch && batch != want && shared_rows(want, batch, dtype, got) > 0)
            elsewhere = k;
    }
    if (same || elsewhere) {
        fa_text_add(out,
                    "The items are PyTorch's, and so are their pixels, but in another order (%lld of %lld are in this "
                    "batch",
                    (long long)same, (long long)rows);
        if (elsewhere)
            fa_text_add(out, ", others in that of step %lld", (long long)elsewhere);
        fa_text_add(out,
                    "). The order is drawn when the loop begins: something drew more or fewer numbers before it, or "
                    "shuffle, the seed or a generator is another.");
        return;
    }
    if (explain_by_lines(out, want, dtype, got))
        return;
    fa_text_add(out,
                "Other items, or other pixels: look at the order (shuffle, seed, draws before the loop) and at the "
                "transforms (crops and flips draw, too; interpolation).%s",
                p->generator_differs ? " The generator stands elsewhere than PyTorch's did at this pass."
                                     : " The generator stands where PyTorch's did at this pass, so the draws were as "
                                       "many.");
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
    const char *line = fa_json_text(run_of(p), member(p, "layers"), list.name[module], NULL);
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
                               "pass began: layers that draw run in another order.");
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
    const fa_json_value *criterion = member(p, "criterion");
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
    fa_text_add(out, " PyTorch's was %s", fa_json_text(run_of(p), criterion, "name", "not recorded"));
    const char *reduction = fa_json_text(run_of(p), criterion, "reduction", NULL);
    const double smoothing = fa_json_number(run_of(p), criterion, "label_smoothing", 0);
    if (reduction)
        fa_text_add(out, ", reduction %s", reduction);
    if (smoothing != 0)
        fa_text_add(out, ", label_smoothing %g", smoothing);
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
}

/* ---- The optimizer ------------------------------------------------------------------------------------------------
 */

/* Appends ", NAME there, here" if the recorded option is another. */
static int compare_option(const fa_parity *p, const fa_json_value *group, const char *key, double ours, fa_text *out)
{
    const double theirs = fa_json_number(run_of(p), group, key, NAN);
    if (isnan(theirs) || fabs(theirs - ours) <= 1e-12 * fmax(fabs(theirs), fabs(ours)))
        return 0;
    fa_text_add(out, "%s%s %.10g in PyTorch, %.10g here", out->length ? "; " : "", key, theirs, ours);
    return 1;
}

int fa_parity_options(const fa_parity *p, fa_text *out)
{
    const fa_json_value *optimizer = member(p, "optimizer");
    const char *name = fa_json_text(run_of(p), optimizer, "name", "");
    if (!p->optim)
        return 0;
    if (strcmp(name, p->optim->kind->name) != 0) {
        fa_text_add(out, "PyTorch's optimizer is %s, this one %s", name, p->optim->kind->name);
        return 1;
    }
    int count = 0;
    int64_t g = 0;
    const fa_json_value *groups = fa_json_get(run_of(p), optimizer, "groups");
    const fa_json_value *rates =
        p->step < p->recording->step_count ? fa_json_get(run_of(p), p->recording->step[p->step], "lr") : NULL;
    const fa_json_value *rate = fa_json_first(run_of(p), rates);
    for (const fa_json_value *group = fa_json_first(run_of(p), groups); group && g < p->optim->group_count && g < 16;
         group = fa_json_next(run_of(p), group), g++) {
        const fa_optim_options *o = &p->optim->group[g]->now;
        const struct {
            const char *key;
            double ours;
        } options[] = {{"momentum", o->momentum},
                       {"dampening", o->dampening},
                       {"weight_decay", o->weight_decay},
                       {"eps", o->eps},
                       {"alpha", o->alpha},
                       {"lr_decay", o->lr_decay},
                       {"initial_accumulator_value", o->initial_accumulator_value},
                       {"nesterov", o->nesterov},
                       {"amsgrad", o->amsgrad},
                       {"centered", o->centered},
                       {"maximize", o->maximize}};
        if (rate && rate->kind == FA_JSON_NUMBER && fabs(rate->number - p->lr[g]) > 1e-12 * fabs(rate->number)) {
            fa_text_add(out, "%slearning rate %.10g in PyTorch, %.10g here", out->length ? "; " : "", rate->number,
                        p->lr[g]);
            count++;
        }
        rate = rate ? fa_json_next(run_of(p), rate) : NULL;
        for (size_t i = 0; i < sizeof options / sizeof *options; i++)
            count += compare_option(p, group, options[i].key, options[i].ours, out);
        const fa_json_value *betas = fa_json_get(run_of(p), group, "betas"), *beta = fa_json_first(run_of(p), betas);
        for (int b = 0; beta && b < 2; b++, beta = fa_json_next(run_of(p), beta))
            if (beta->kind == FA_JSON_NUMBER && beta->number != o->betas[b]) {
                fa_text_add(out, "%sbetas[%d] %.10g in PyTorch, %.10g here", out->length ? "; " : "", b, beta->number,
                            o->betas[b]);
                count++;
            }
    }
    const int64_t theirs = groups ? groups->count : 0;
    if (theirs != p->optim->group_count) {
        fa_text_add(out, "%s%lld parameter groups in PyTorch, %lld here", out->length ? "; " : "", (long long)theirs,
                    (long long)p->optim->group_count);
        count++;
    }
    return count;
}

void fa_parity_cause_weight(fa_parity *p)
{
    fa_text *out = &p->found.cause, options = {0};
    const char *name = fa_json_text(run_of(p), member(p, "optimizer"), "name", "not recorded");
    const char *scheduler = fa_json_text(run_of(p), &run_of(p)->value[0], "scheduler", NULL);
    const bool buffer = !fa_recording_find(p->recording, "%d/grad/%s", (int)p->found.step, p->found.name);
    if (buffer)
        fa_text_add(out, "It is a buffer, which a layer's forward pass changes: look at its momentum, at how often the "
                         "model ran in training, and at the batch's size.");
    else if (fa_parity_options(p, &options) > 0)
        fa_text_add(out, "The gradients agree, and the optimizer is another: %s.", options.data);
    else
        fa_text_add(out,
                    "The gradients agree, so it is the optimizer's step: PyTorch's is %s%s%s. Look at its options "
                    "(learning rate, momentum, weight_decay), at a second fa_step, at what changes weights by "
                    "itself%s.",
                    name, scheduler ? " with " : "", scheduler ? scheduler : "",
                    p->optim ? "" : "; give the optimizer to fa_parity_new (.optim) to have them compared");
    fa_text_free(&options);
}
