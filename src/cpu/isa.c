/* Run-time choice of the instruction set: the best that the machine has, or a lesser one named by FACULA_ISA. */
#include "cpu/isa.h"

#include "cpu/kernels_table.h"
#include "facula/base.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#if defined(FA_PORTABLE_ONLY)
#elif defined(__x86_64__)
/* The compiler's run time asks cpuid, and xgetbv for the registers that the system saves. */
static bool has_avx512(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
}

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#elif defined(__aarch64__)
static bool has_neon(void)
{
#if defined(__linux__)
    const unsigned long asimd = 1ul << 1;
    return (getauxval(AT_HWCAP) & asimd) != 0;
#else
    return true;
#endif
}
#endif

static bool has_portable(void)
{
    return true;
}

static const fa_cpu_isa_entry isas[] = {
#if defined(FA_PORTABLE_ONLY)
#elif defined(__x86_64__)
    {"avx512", has_avx512, fa_cpu_table_avx512},
    {"avx2", has_avx2, fa_cpu_table_avx2},
#elif defined(__aarch64__)
    {"neon", has_neon, fa_cpu_table_neon},
#endif
    {"portable", has_portable, fa_cpu_table_portable},
    {NULL, NULL, NULL},
};

const fa_cpu_isa_entry *fa_cpu_isa_list(void)
{
    return isas;
}

/* Threads that race here find the same entry. */
static const fa_cpu_isa_entry *isa_in_use(void)
{
    static _Atomic(const fa_cpu_isa_entry *) chosen;
    const fa_cpu_isa_entry *found = atomic_load_explicit(&chosen, memory_order_acquire);
    if (found)
        return found;
    const char *wanted = getenv("FACULA_ISA");
    for (const fa_cpu_isa_entry *isa = isas; isa->name; isa++) {
        if (!isa->available())
            continue;
        if (!found)
            found = isa;
        if (wanted && strcmp(wanted, isa->name) == 0)
            found = isa;
    }
    atomic_store_explicit(&chosen, found, memory_order_release);
    return found;
}

const char *fa_cpu_isa(void)
{
    return isa_in_use()->name;
}

const fa_cpu_kernel *fa_cpu_find_in(const fa_cpu_kernel *const *table, fa_op op, const fa_kernel_args *args)
{
    for (; *table; table++)
        for (const fa_cpu_kernel *kernel = *table; kernel->run; kernel++)
            if (kernel->op == op && (args->fuse & ~kernel->fuse) == 0 && kernel->supports(args))
                return kernel;
    return NULL;
}

const fa_cpu_kernel *fa_cpu_find(fa_op op, const fa_kernel_args *args)
{
    return fa_cpu_find_in(isa_in_use()->table, op, args);
}
