/* Models from their printed form. */
#ifndef FACULA_CLI_PRINTED_H
#define FACULA_CLI_PRINTED_H

#include "facula.h"

/* The model that prints as `text`: Sequential and the layers of torch.nn with one input, as PyTorch or fa_print writes
 * them. NULL after raising an error that names the first class or argument that
 * is not understood. */
fa_module *module_from_text(const char *text);

#endif
