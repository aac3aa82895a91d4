/* Which instruction set the CPU kernels use, and the search for a kernel. fa_cpu_isa() of facula/base.h names it. */
#ifndef FA_CPU_ISA_H
#define FA_CPU_ISA_H

#include "base/opdef.h"

/* One ISA of this build: its name, whether this machine has it, its lists of kernels (ended by NULL). */
typedef struct fa_cpu_isa_entry {
    const char *name;
    bool (*available)(void);
    const fa_cpu_kernel *const *table;
} fa_cpu_isa_entry;

/* The ISAs of this build, best first, ended by an entry without a name; the last real one runs everywhere. */
const fa_cpu_isa_entry *fa_cpu_isa_list(void);

/* The first kernel of the ISA in use that serves this call; NULL: none does, the reference kernel runs. */
const fa_cpu_kernel *fa_cpu_find(fa_op op, const fa_kernel_args *args);
/* The same in the table of a given ISA. */
const fa_cpu_kernel *fa_cpu_find_in(const fa_cpu_kernel *const *table, fa_op op, const fa_kernel_args *args);

#endif
