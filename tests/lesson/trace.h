/* Included before a program of examples/lesson/ when the tests build it: its calls go through trace.c, which writes
 * what they were given and gave to the file that FACULA_LESSON_TRACE names, and does nothing without it. The programs
 * themselves are as they stand. */
#ifndef FA_TESTS_LESSON_TRACE_H
#define FA_TESTS_LESSON_TRACE_H

#include "facula.h"

fa_tensor *trace_forward(fa_module *module, fa_tensor *x, fa_where where);
fa_tensor *trace_criterion(fa_module *loss, fa_tensor *input, fa_tensor *target, fa_where where);
bool trace_batches_more(fa_batch *batch);
fa_module *trace_load_module(const char *path, fa_where where);
bool trace_load_state_dict(fa_module *module, const fa_load_state_dict_args *args);

#define fa_forward_at trace_forward
#define fa_criterion_at trace_criterion
#define fa_batches_more_ trace_batches_more
#define fa_load_module_at trace_load_module
#define fa_module_load_state_dict_at trace_load_state_dict

#endif
