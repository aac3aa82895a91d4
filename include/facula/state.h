/* State dicts, and whole models: what training leaves behind, in PyTorch's layout both ways.
 *
 *     fa_save(fa_state_dict(model), "weights.pth");                     the weights alone
 *     fa_load_state_dict(model, fa_load("weights.pth"));
 *
 *     fa_save(model, "model.pth");                                      network and weights
 *     fa_module *model = fa_load_module("model.pth");
 *
 * A state dict is a value (facula/files.h) of the current scope; its tensors are the live ones, not copies. Loading
 * copies into the tensors that are there: checked as a whole first, so that after an error nothing has changed. */
#ifndef FACULA_STATE_H
#define FACULA_STATE_H

#include "facula/files.h"
#include "facula/optim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- State dicts --------------------------------------------------------------------------------------------------
 */

/* x.state_dict(), NULL after an error:
 *   a module      OrderedDict of every key in PyTorch's order, with `_metadata`
 *   an optimizer  {"state": {0: {"step": ..., "exp_avg": ...}, ...}, "param_groups": [...]}
 *   a schedule    its numbers under PyTorch's names
 *   an average    that of AveragedModel: "n_averaged", "module.conv.weight", ...
 *   a generator   its state, a tensor of FA_GENERATOR_STATE_SIZE bytes (uint8); (fa_generator *)NULL: the default one
 */
FA_API fa_value *fa_module_state_dict_at(fa_module *module, fa_where where);
FA_API fa_value *fa_optim_state_dict_at(fa_optim *optim, fa_where where);
FA_API fa_value *fa_scheduler_state_dict_at(fa_scheduler *scheduler, fa_where where);
FA_API fa_value *fa_ema_state_dict_at(fa_ema *ema, fa_where where);
FA_API fa_value *fa_generator_state_dict_at(fa_generator *generator, fa_where where);
#define fa_state_dict(x)                                                                                               \
    _Generic((x), fa_module *                                                                                          \
             : fa_module_state_dict_at, fa_optim *                                                                     \
             : fa_optim_state_dict_at, fa_scheduler *                                                                  \
             : fa_scheduler_state_dict_at, fa_ema *                                                                    \
             : fa_ema_state_dict_at, fa_generator *                                                                    \
             : fa_generator_state_dict_at)((x), FA_HERE)

typedef struct fa_load_state_dict_args {
    char begin_;
    fa_value *state;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool strict;          /* modules and averages: every key here must be in the file, and every key there here */
    bool skip_mismatched; /* modules and averages: leave a tensor as it is whose size in the file is another */
} fa_load_state_dict_args;
/* x.load_state_dict(state). False after an error, and then nothing has changed; the message lists the
 * missing, unexpected and mis-sized keys, of long lists the first 14, and fa_load_report() all of them. Otherwise that
 * tells what was done beyond copying.
 *
 * A module takes what PyTorch's users save: the state dict; a checkpoint with it under `model_state_dict`, `state_dict`
 * or `model`; names with `module.` (DataParallel) or `_orig_mod.` (compile) in them; a whole pickled model. Numbers
 * are converted to the parameter's type. A missing num_batches_tracked is no error. With .strict = false, a state of
 * which no key fits is still one.
 *
 * An optimizer takes the options of the file (the learning rate too), as in PyTorch. It must be of the same kind, with
 * the same number of groups and parameters in each. The load of a schedule undoes what making it did to the rates and
 * momenta: they become those of the optimizer's state, if that was loaded and no schedule has stepped since and no rate
 * was set, else the rates that the schedule left. So the order of loading does not matter. */
FA_API bool fa_module_load_state_dict_at(fa_module *module, const fa_load_state_dict_args *args);
FA_API bool fa_optim_load_state_dict_at(fa_optim *optim, const fa_load_state_dict_args *args);
FA_API bool fa_scheduler_load_state_dict_at(fa_scheduler *scheduler, const fa_load_state_dict_args *args);
FA_API bool fa_ema_load_state_dict_at(fa_ema *ema, const fa_load_state_dict_args *args);
FA_API bool fa_generator_load_state_dict_at(fa_generator *generator, const fa_load_state_dict_args *args);
/* fa_load_state_dict(model, fa_load("weights.pth"), .strict = false) */
#define fa_load_state_dict(x, ...)                                                                                     \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_                                                                                                 \
        _Generic((x), fa_module *                                                                                      \
                 : fa_module_load_state_dict_at, fa_optim *                                                            \
                 : fa_optim_load_state_dict_at, fa_scheduler *                                                         \
                 : fa_scheduler_load_state_dict_at, fa_ema *                                                           \
                 : fa_ema_load_state_dict_at, fa_generator *                                                           \
                 : fa_generator_load_state_dict_at)(                                                                   \
            (x),                                                                                                       \
            &(fa_load_state_dict_args){.where_ = {__FILE__, __LINE__}, .strict = true, .begin_ = 0, __VA_ARGS__});     \
        FA_END_CALL_                                                                                                   \
    })

/* The state dict of a module in what was saved: the value itself; of a checkpoint what stands under `model_state_dict`,
 * `state_dict` or `model`; of a whole pickled model, of whatever class, its weights under their names. The tensors are
 * those of the value. NULL after an error. */
FA_API fa_value *fa_find_state_dict_at(fa_value *value, fa_where where);
#define fa_find_state_dict(value) fa_find_state_dict_at((value), FA_HERE)

/* What the calling thread's latest fa_load_state_dict, fa_find_state_dict or fa_load_module did that its user may want
 * to know, a line each: "used entry 'state_dict'", "removed 'module.' from 62 keys", keys left out by strict = false,
 * parameters without saved state; after a state dict that did not fit, all of its keys that did not. "" when there is nothing to tell. Valid until the thread's next load. */
FA_API const char *fa_load_report(void);

/* ---- Whole models --------------------------------------------------------------------------------------------------
 */

/* fa_save(model, path) (facula/files.h) writes {"architecture": the printed form, "state_dict": ..., "training": ...,
 * and what does not print}: a dict of plain data, which torch.load reads too. */

/* The network of a file, with its weights: what fa_save(model, path) wrote, or torch.save(model, path). Layers of
 * PyTorch are made from their class and options, nothing in the file is run; classes of a program's own through
 * fa_register_class. Modes (training or not), frozen parameters and shared tensors come back. Draws no random numbers.
 * NULL after an error. */
FA_API fa_module *fa_load_module_at(const char *path, fa_where where) FA_WARN_UNUSED;
#define fa_load_module(path) fa_load_module_at((path), FA_HERE)
/* The same of a value that fa_load gave. */
FA_API fa_module *fa_module_of_value_at(fa_value *value, fa_where where) FA_WARN_UNUSED;
#define fa_module_of_value(value) fa_module_of_value_at((value), FA_HERE)

/* A network from the text that PyTorch prints for it, today's releases or older ones; new weights, as its layers draw
 * them. What does not print takes its default. NULL after an error, which names the line. */
FA_API fa_module *fa_module_from_text_at(const char *text, fa_where where) FA_WARN_UNUSED;
#define fa_module_from_text(text) fa_module_from_text_at((text), FA_HERE)

/* How a network of the program's own is made, when a file or text asks for a class of this name:
 * fa_register_class("SimpleCNN", simple_cnn), or with a context that the constructor is given,
 * fa_register_class("CNN", cnn, &options). The module must print as the text says, its weights are then loaded into it.
 * The name is copied; registering it again replaces the constructor, NULL takes it away. For the whole process. False
 * after an error. */
typedef fa_module *(*fa_plain_constructor)(void);
typedef fa_module *(*fa_class_constructor)(void *context);
FA_API bool fa_register_plain_class_at(const char *class_name, fa_plain_constructor constructor, fa_where where);
FA_API bool fa_register_class_at(const char *class_name, fa_class_constructor constructor, void *context,
                                 fa_where where);
#define fa_register_class(...) FA_PICK_3_(__VA_ARGS__, FA_REGISTER_3_, FA_REGISTER_2_, , 0)(__VA_ARGS__)
#define FA_REGISTER_2_(class_name, constructor) fa_register_plain_class_at((class_name), (constructor), FA_HERE)
#define FA_REGISTER_3_(class_name, constructor, context)                                                               \
    fa_register_class_at((class_name), (constructor), (context), FA_HERE)

#ifdef __cplusplus
}
#endif
#endif
