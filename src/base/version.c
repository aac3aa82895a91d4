/* The version, from the numbers in facula/base.h. */
#include "facula/base.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *fa_version(void)
{
    return TEXT(FA_VERSION_MAJOR) "." TEXT(FA_VERSION_MINOR) "." TEXT(FA_VERSION_PATCH);
}
