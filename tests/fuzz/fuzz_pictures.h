/* Bytes as a picture of one format, read as RGB and as grey laid on a colour and turned; all pixels are read. */
#ifndef FA_FUZZ_PICTURES_H
#define FA_FUZZ_PICTURES_H

#include "facula.h"
#include "vision/picture.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever the bytes are: a picture within the limit, or an error with a message that names it. `format`: others are
 * left to their own targets. */
static inline void fuzz_picture(const uint8_t *data, size_t size, const char *format)
{
    enum { MOST = 1 << 18 };
    static const fa_picture_options options[2] = {
        {.max_pixels = MOST}, {.max_pixels = MOST, .mode = "L", .background = "#204060", .exif = true}};
    for (int i = 0; i < 2; i++) {
        fa_picture_rules rules;
        fa_picture picture;
        if (!fa_picture_rules_parse(&options[i], "fuzz", FA_HERE, &rules))
            abort();
        bool fine = fa_picture_decode(data, size, "fuzzed picture", &rules, "fuzz", FA_HERE, &picture);
        if (fine != fa_ok() || (!fine && strstr(fa_error(), "fuzzed picture") == NULL))
            abort();
        if (fine) {
            if (picture.height < 1 || picture.width < 1 || picture.height * picture.width > MOST ||
                picture.channels != rules.channels || strcmp(picture.format, format) != 0)
                abort();
            volatile unsigned sum = 0; /* so that the reads stay */
            for (int64_t k = 0; k < picture.height * picture.width * picture.channels; k++)
                sum = sum + picture.pixels[k];
        }
        fa_clear_error();
    }
}

#endif
