/* How a kernel file offers its kernels.
 *
 * Each file of cpu/kernels/ defines one list, ended by an entry without `run`, under a name made by FA_ISA:
 *
 *     const fa_cpu_kernel FA_ISA(fa_relu_kernels)[] = {
 *         {.op = FA_OP_relu, .name = "relu", .supports = supports, .run = run, .elementwise_in_place = true},
 *         {.run = NULL},
 *     };
 *
 * and stands in kernels/lists.def as one line, FA_KERNELS(relu). kernels/table.c, compiled once an ISA as they are,
 * makes fa_cpu_table_<isa> of them; cpu/isa.c searches the table of the ISA in use from its beginning, so within an op
 * the special kernel stands before the general one. */
#ifndef FA_CPU_KERNELS_TABLE_H
#define FA_CPU_KERNELS_TABLE_H

#include "base/opdef.h"

/* The lists of an ISA, ended by NULL. A build has those of its architecture; one with FA_PORTABLE_ONLY just the
 * last. */
#if defined(FA_PORTABLE_ONLY)
#elif defined(__x86_64__)
extern const fa_cpu_kernel *const fa_cpu_table_avx512[];
extern const fa_cpu_kernel *const fa_cpu_table_avx2[];
#elif defined(__aarch64__)
extern const fa_cpu_kernel *const fa_cpu_table_neon[];
#endif
extern const fa_cpu_kernel *const fa_cpu_table_portable[];

#endif
