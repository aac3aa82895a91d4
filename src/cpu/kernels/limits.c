/* What a machine can do at most: multiply-adds in registers, without a load. For reports. */
#include "cpu/limits.h"

#include "cpu/kernels/common.h"

enum { CHAINS = 12 };

/* ints[0] rounds of CHAINS multiply-adds a lane. out[0]: operations done, a double; out[1]: the sum, a float, so that
 * it is computed. */
static void run(const fa_kernel_args *args)
{
    fv sum[CHAINS];
    const fv factor = fv_set1(0.999f), step = fv_set1(0.001f);
    FA_UNROLL
    for (int i = 0; i < CHAINS; i++)
        sum[i] = fv_set1((float)i);
    for (int64_t k = args->ints[0]; k > 0; k--) {
        FA_UNROLL
        for (int i = 0; i < CHAINS; i++)
            sum[i] = fv_fma(sum[i], factor, step);
    }
    fv all = sum[0];
    FA_UNROLL
    for (int i = 1; i < CHAINS; i++)
        all += sum[i];
    *(double *)args->out[0] = 2.0 * CHAINS * FV_LANES * (double)args->ints[0];
    *(float *)args->out[1] = fv_sum(all);
}

static bool supports(const fa_kernel_args *args)
{
    (void)args;
    return true;
}

const fa_cpu_kernel FA_ISA(fa_limits_kernels)[] = {
    {.op = FA_CPU_LIMITS, .name = "multiply-adds " FA_ISA_NAME, .supports = supports, .run = run},
    {.run = NULL},
};
