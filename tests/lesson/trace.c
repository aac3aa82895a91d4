/* Writes what a program of the lesson computes, a line each, with the words of golden/make_lesson.py:
 *
 *     weights NAME CRC    parameters of a model before its first call; loaded NAME CRC: after loading
 *     inputs CRC          what a model is called with (not the layers inside), the first 10 times
 *     labels CRC          what the loss is given, the first 10 times
 *     batches CRC CRC     the fields of a loader's batch
 *     train_losses X, eval_losses X
 *     output X X ...      the first 8 numbers that a model gave, the first time */
#include "facula.h"
#include "support/run100.h"

#include <string.h>

enum { MODELS = 8, TIMES = 10, NUMBERS = 8 };

static FILE *out;
static bool opened;
static int depth, inputs, labels;
static fa_module *seen[MODELS];
static int models;

static FILE *trace(void)
{
    const char *path = getenv("FACULA_LESSON_TRACE");
    if (!opened && path != NULL)
        out = fopen(path, "w");
    opened = true;
    return out;
}

static uint32_t crc(fa_tensor *tensor)
{
    static const size_t bytes[] = {[FA_FLOAT32] = 4, [FA_FLOAT64] = 8, [FA_INT64] = 8,    [FA_INT32] = 4,
                                   [FA_UINT8] = 1,   [FA_BOOL] = 1,    [FA_BFLOAT16] = 2, [FA_FLOAT16] = 2};
    const void *data = fa_data(tensor);
    return data != NULL ? run100_crc32(0, data, (size_t)fa_numel(tensor) * bytes[fa_dtype_of(tensor)]) : 0;
}

static void write_weights(const char *word, fa_module *module)
{
    fa_tensor_list list = fa_parameters(module);
    for (int64_t i = 0; i < list.count; i++)
        fprintf(out, "%s %s %u\n", word, list.name[i], crc(list.tensor[i]));
}

fa_tensor *trace_forward(fa_module *module, fa_tensor *x, fa_where where)
{
    if (trace() == NULL || depth > 0)
        return fa_forward_at(module, x, where);
    bool first = true;
    for (int i = 0; i < models; i++)
        first = first && seen[i] != module;
    if (inputs++ < TIMES)
        fprintf(out, "inputs %u\n", crc(x));
    if (first && models < MODELS) {
        seen[models++] = module;
        write_weights("weights", module);
    }
    depth++;
    fa_tensor *y = fa_forward_at(module, x, where);
    depth--;
    if (first && y != NULL) {
        const float *data = fa_data(y);
        fprintf(out, "output");
        for (int64_t i = 0; data != NULL && i < NUMBERS && i < fa_numel(y); i++)
            fprintf(out, " %.9g", (double)data[i]);
        fprintf(out, "\n");
    }
    return y;
}

fa_tensor *trace_criterion(fa_module *loss, fa_tensor *input, fa_tensor *target, fa_where where)
{
    fa_tensor *value = fa_criterion_at(loss, input, target, where);
    if (trace() == NULL || value == NULL)
        return value;
    if (labels++ < TIMES)
        fprintf(out, "labels %u\n", crc(target));
    fprintf(out, "%s %.9g\n", fa_grad_enabled() ? "train_losses" : "eval_losses", fa_item(value));
    return value;
}

bool trace_batches_more(fa_batch *batch)
{
    bool more = fa_batches_more_(batch);
    if (more && trace() != NULL) {
        fprintf(out, "batches");
        for (int i = 0; i < batch->n; i++)
            fprintf(out, " %u", crc(batch->item[i]));
        fprintf(out, "\n");
    }
    return more;
}

fa_module *trace_load_module(const char *path, fa_where where)
{
    fa_module *module = fa_load_module_at(path, where);
    if (module != NULL && trace() != NULL)
        write_weights("loaded", module);
    return module;
}

bool trace_load_state_dict(fa_module *module, const fa_load_state_dict_args *args)
{
    bool loaded = fa_module_load_state_dict_at(module, args);
    if (loaded && trace() != NULL)
        write_weights("loaded", module);
    return loaded;
}
