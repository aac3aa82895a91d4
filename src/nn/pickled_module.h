/* Whole models that PyTorch pickled. */
#ifndef FA_NN_PICKLED_MODULE_H
#define FA_NN_PICKLED_MODULE_H

#include "nn/description.h"

/* The model inside DataParallel or a compiled module; else the object itself. */
fa_value *fa_pickled_inner(fa_value *object, fa_where where);
/* The tensors of a pickled model under the keys of its state dict (an OrderedDict of the current scope). NULL after an
 * error. */
fa_value *fa_pickled_state(fa_value *object, const char *what, fa_where where);

#endif
