/* The orientation in EXIF: a TIFF header ("II*\0" or "MM\0*", then where the first directory lies), a directory of
 * entries of 12 bytes (tag, type, count, value), of which tag 0x0112 with type 3 (16 bits) is wanted. */
#include "vision/picture.h"

#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3 };

static unsigned word(const uint8_t *p, bool little)
{
    return little ? p[0] | (unsigned)p[1] << 8 : p[1] | (unsigned)p[0] << 8;
}

int fa_exif_orientation(const uint8_t *tiff, size_t size)
{
    if (size >= 6 && memcmp(tiff, "Exif\0\0", 6) == 0) {
        tiff += 6;
        size -= 6;
    }
    bool little = size >= 8 && memcmp(tiff, "II*\0", 4) == 0;
    if (!little && !(size >= 8 && memcmp(tiff, "MM\0*", 4) == 0))
        return 1;
    size_t low = word(tiff + (little ? 4 : 6), little), high = word(tiff + (little ? 6 : 4), little);
    size_t at = high << 16 | low;
    if (at > size - 2)
        return 1;
    size_t entries = word(tiff + at, little);
    for (at += 2; entries > 0 && at + 12 <= size; entries--, at += 12)
        if (word(tiff + at, little) == TAG_ORIENTATION && word(tiff + at + 2, little) == TYPE_SHORT) {
            unsigned value = word(tiff + at + 8, little);
            return value >= 1 && value <= 8 ? (int)value : 1;
        }
    return 1;
}
