/* The table of one ISA: its lists of kernels in the order of lists.def. */
#include "cpu/kernels_table.h"
#include "cpu/simd.h"

#define FA_KERNELS(name) extern const fa_cpu_kernel FA_ISA(fa_##name##_kernels)[];
#include "cpu/kernels/lists.def"
#undef FA_KERNELS

const fa_cpu_kernel *const FA_ISA(fa_cpu_table)[] = {
#define FA_KERNELS(name) FA_ISA(fa_##name##_kernels),
#include "cpu/kernels/lists.def"
#undef FA_KERNELS
    NULL,
};
