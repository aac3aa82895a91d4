/* Is a port right? A program held against a recording of the PyTorch run that it was ported from.
 *
 * python/facula_recorder.py, called in two lines of the PyTorch script, writes RUN.json and RUN.safetensors. Three
 * lines in the C program then compare what it computes with what PyTorch did:
 *
 *     fa_parity *parity = fa_parity_new("RUN.json", model, .optim = optim);       before the first step
 *     fa_for_each_batch (b, loader) {
 *         fa_tensor *loss = fa_cross_entropy(fa_forward(model, b.images), b.labels);
 *         fa_zero_grad(optim);
 *         fa_backward(loss);
 *         fa_step(optim);
 *         if (!fa_parity_step(parity, loss, b.labels))                              after each step
 *             break;
 *     }
 *     fa_parity_report(parity, stdout);
 *     fa_free(parity);
 *
 * The report has both losses side by side, and names the first step, and in it the first tensor, where the two part:
 * an initial weight, the batch, a layer's output, a gradient, or a weight after the step; with both values and a likely
 * cause. docs/guide/parity.md shows it. */
#ifndef FACULA_PARITY_H
#define FACULA_PARITY_H

#include "facula/optim.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fa_parity fa_parity;

typedef struct fa_parity_args {
    char begin_;
    const char *path;
    fa_module *model;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_optim *optim;  /* its options are compared too; may be left out */
    double tolerance; /* of outputs, gradients and updates, as a share of the tensor's largest value */
} fa_parity_args;
/* Opens a recording and compares the model's weights of now with PyTorch's initial ones. Until it is freed, training
 * passes of `model` on this thread are compared as they run: call fa_forward(model, images) on the whole model, one
 * pass a step, and free it before the model. Layers go by their names, which must be PyTorch's. Values of recorded
 * details are computed where the layers end, with the same bits as without.
 *
 * What counts as equal: initial weights and batches within 1e-6 of the tensor's largest value; outputs within
 * `tolerance` (1e-4) of theirs, gradients and the weights' updates also of a tenth of the step's largest; losses within
 * `tolerance` in the first 10 steps, and 100 times that later, since rounding grows from step to step. With batch norm
 * in float32 all of later steps is held to 100 times the tolerance, and gradients and updates to ten times what the
 * rest is; what is next to nothing (below) is 1e-3. All optimizers but SGD divide a gradient by its own size, and make
 * as much of its error: their updates are held to 10 times the tolerance, and weights whose gradient is next to nothing
 * beside the step's largest one (1e-5) are left out; once one of these has moved, later steps are held to 100 times the
 * tolerance.
 *
 * NULL after an error: a file that is missing or damaged, no model. */
FA_API fa_parity *fa_parity_new_at(const fa_parity_args *args) FA_WARN_UNUSED;
#define fa_parity_new(...) FA_CALL_(fa_parity_new_at, fa_parity_args, .tolerance = 1e-4, .begin_ = 0, __VA_ARGS__)

/* After the optimizer's step, before gradients are dropped: compares loss, labels, gradients and weights. `labels` may
 * be NULL. True while the recording has further steps; false at its end, and after an error. */
FA_API bool fa_parity_step_at(fa_parity *parity, fa_tensor *loss, fa_tensor *labels, fa_where where);
#define fa_parity_step(parity, loss, labels) fa_parity_step_at((parity), (loss), (labels), FA_HERE)

/* Whether all that was compared so far agrees, and something was. */
FA_API bool fa_parity_agrees(const fa_parity *parity);
/* Writes the report. It may be called at any time, also while the thread has an error (a layer that refused its input):
 * the report then says what was found until there. False if it could not be written. */
FA_API bool fa_parity_report(const fa_parity *parity, FILE *file);
FA_API void fa_parity_free(fa_parity *parity); /* fa_free */

/* What `facula parity` does: runs the recorded steps on `model` with the recorded initial weights, batches, draws,
 * loss, optimizer and learning rates, and writes the report to `file` (NULL: none). The report also says whether the
 * recorded seed gives the recorded weights: `model` is expected as fa_manual_seed(seed) and its constructors left it.
 * False after an error, such as a loss or optimizer that the library does not have; *agrees says what was found. An
 * error that comes after a difference is a part of the report, and then the result is true. */
FA_API bool fa_parity_replay_at(const char *path, fa_module *model, FILE *file, bool *agrees, fa_where where);
#define fa_parity_replay(path, model, file, agrees) fa_parity_replay_at((path), (model), (file), (agrees), FA_HERE)

/* Of a recording: the model's printed form, written to `text` as snprintf does, and the seed. Returns the
 * length of the text, -1 after an error. */
FA_API int64_t fa_parity_model_text(const char *path, char *text, size_t size, uint64_t *seed, fa_where where);

#ifdef __cplusplus
}
#endif
#endif
