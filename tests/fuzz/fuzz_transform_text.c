/* Texts of transforms: what can be parsed prints as a text that parses and prints the same. */
#include "facula.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2048], first[8192], second[8192];
    if (size >= sizeof text)
        return -1;
    memcpy(text, data, size);
    text[size] = 0;
    fa_transform *transform = fa_transform_parse(text);
    if ((transform == NULL) != !fa_ok())
        abort();
    if (transform != NULL && fa_transform_text(transform, first, sizeof first) < sizeof first) {
        fa_transform *again = fa_transform_parse(first);
        if (again == NULL || fa_transform_text(again, second, sizeof second) >= sizeof second ||
            strcmp(first, second) != 0)
            abort();
        fa_transform_free(again);
    }
    fa_transform_free(transform);
    fa_clear_error();
    return 0;
}
