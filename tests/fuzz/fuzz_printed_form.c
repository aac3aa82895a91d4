/* The parser of printed networks, and what is made of them: a network that prints as something that makes the same
 * again, or an error. */
#include "facula.h"
#include "nn/description.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static fa_module *make(const char *text, size_t length)
{
    static const double most = 1e6; /* numbers in weights, for the fuzzer's memory */
    fa_description *root = fa_parse_printed(text, length, "fuzz", FA_HERE);
    fa_module *module = root != NULL ? fa_description_make(root, most, "fuzz", FA_HERE) : NULL;
    fa_description_free(root);
    if ((module == NULL) != !fa_ok())
        abort();
    return module;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* In memory of its own, without a zero byte behind it. */
    char *text = malloc(size + (size == 0));
    if (text == NULL)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    fa_module *module = make(text, size);
    free(text);
    if (module != NULL) {
        char *printed = fa_module_text(module, FA_HERE);
        fa_module *again = printed != NULL ? make(printed, strlen(printed)) : NULL;
        char *second = again != NULL ? fa_module_text(again, FA_HERE) : NULL;
        if (second == NULL || strcmp(printed, second) != 0)
            abort();
        fa_mfree(printed);
        fa_mfree(second);
        fa_free(module);
        fa_free(again);
    }
    if (fa_module_live_count() != 0)
        abort();
    fa_clear_error();
    return 0;
}
