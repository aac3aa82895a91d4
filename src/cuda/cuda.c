/* The CUDA back end's place in a build without it: it answers that there is none, and why. */
#include "facula/base.h"

bool fa_cuda_is_available(void)
{
    return false;
}

const char *fa_cuda_reason(void)
{
    return "this build of Facula has no CUDA back end";
}
