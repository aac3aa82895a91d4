/* Facula: PyTorch's way of training image networks, in C.
 *
 * One include for the whole library. The manual is in the headers below, one a concern. */
#ifndef FACULA_H
#define FACULA_H

#include "facula/base.h"
#include "facula/check.h"
#include "facula/data.h"
#include "facula/files.h"
#include "facula/functional.h"
#include "facula/nn.h"
#include "facula/optim.h"
#include "facula/parity.h"
#include "facula/predict.h"
#include "facula/profile.h"
#include "facula/state.h"
#include "facula/tensor.h"
#include "facula/train.h"
#include "facula/vision.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Releases a long-lived object: a module, optimizer, schedule, data set, loader, sampler, transform, generator, run,
 * predictor or value. What only it held goes with it. NULL is fine. Tensors are never freed by hand: they end with
 * their scope. */
#define fa_free(x)                                                                                                     \
    _Generic((x), fa_module *                                                                                          \
             : fa_module_free, fa_optim *                                                                              \
             : fa_optim_free, fa_scheduler *                                                                           \
             : fa_scheduler_free, fa_ema *                                                                             \
             : fa_ema_free, fa_parity *                                                                                \
             : fa_parity_free, fa_run *                                                                                \
             : fa_run_free, fa_predictor *                                                                             \
             : fa_predictor_free, fa_dataset *                                                                         \
             : fa_dataset_free, fa_loader *                                                                            \
             : fa_loader_free, fa_batch_sampler *                                                                      \
             : fa_batch_sampler_free, fa_sampler *                                                                     \
             : fa_sampler_free, fa_transform *                                                                         \
             : fa_transform_free, fa_value *                                                                           \
             : fa_value_free, fa_generator *                                                                           \
             : fa_generator_free)(x)

/* print(x) of a tensor, a module or a shape, to standard output. */
#define fa_print(x)                                                                                                    \
    _Generic((x), fa_tensor * : fa_tensor_print, fa_module * : fa_module_print, fa_shape : fa_shape_print)((x), stdout)

/* Ends the library's threads, gives pooled memory back, and returns how many long-lived objects have not been freed;
 * names their kinds on `report` if there are any (NULL: in silence). Everything starts again when it is used. */
FA_API int64_t fa_shutdown(FILE *report);

/* What main() returns: 0; 1 after an error, whose message is written on `report` (NULL: in silence), or when something
 * was not freed. Ends the library's work as fa_shutdown does.
 *
 *     return fa_exit_status(stderr); */
FA_API int fa_exit_status(FILE *report);

#ifdef __cplusplus
}
#endif
#endif
