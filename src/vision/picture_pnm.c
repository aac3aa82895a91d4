/* PNM: P1 and P4 (bits, 1 is black), P2 and P5 (grey), P3 and P6 (RGB), as text and as bytes.
 *
 * Values 0 ... maxval, of one byte or, above 255, of two (the high one first), become round(value / maxval * 255), half
 * to even, as in Pillow. Of several pictures in a file the first is read. */
#include "vision/picture.h"

#include <math.h>

typedef struct text {
    const fa_picture_job *job;
    size_t at;
} text;

static bool cut_short(const fa_picture_job *job)
{
    return fa_picture_refuse(job, "is cut short after %zu bytes, needs the whole file.", job->size);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Past white space and comments. */
static void skip_space(text *t)
{
    const uint8_t *p = t->job->bytes;
    while (t->at < t->job->size && (is_space(p[t->at]) || p[t->at] == '#')) {
        if (p[t->at] == '#')
            while (t->at < t->job->size && p[t->at] != '\n' && p[t->at] != '\r')
                t->at++;
        else
            t->at++;
    }
}

/* The next number of at most `digits` digits. */
static bool read_number(text *t, int digits, uint32_t *out)
{
    const uint8_t *p = t->job->bytes;
    skip_space(t);
    uint32_t value = 0;
    int n = 0;
    for (; t->at < t->job->size && p[t->at] >= '0' && p[t->at] <= '9' && n < digits && n < 9; n++)
        value = value * 10 + (p[t->at++] - '0');
    *out = value;
    const bool ends = t->at >= t->job->size || is_space(p[t->at]) || p[t->at] == '#' || digits == 1;
    if (n > 0 && ends)
        return true;
    if (t->at >= t->job->size)
        return cut_short(t->job);
    return fa_picture_refuse(t->job, "has byte 0x%02x at %zu, needs a number.", p[t->at], t->at);
}

static uint8_t scale(uint32_t value, uint32_t most)
{
    return (uint8_t)nearbyint((double)value / most * 255);
}

static bool too_large(const fa_picture_job *job, uint32_t value, uint32_t most)
{
    return fa_picture_refuse(job, "has the value %u, needs at most its maxval %u.", value, most);
}

static bool read_text(text *t, fa_picture_job *job, int kind, uint32_t most)
{
    size_t count = (size_t)(job->width * job->height) * (size_t)job->channels;
    for (size_t i = 0; i < count; i++) {
        uint32_t value;
        if (!read_number(t, kind == 1 ? 1 : 9, &value))
            return false;
        if (value > most)
            return too_large(job, value, most);
        job->pixels[i] = kind == 1 ? (value != 0 ? 0 : 255) : scale(value, most);
    }
    return true;
}

static bool read_bits(const text *t, fa_picture_job *job)
{
    size_t row = ((size_t)job->width + 7) / 8;
    for (int64_t y = 0; y < job->height; y++)
        for (int64_t x = 0; x < job->width; x++) {
            uint8_t byte = job->bytes[t->at + (size_t)y * row + (size_t)(x / 8)];
            job->pixels[y * job->width + x] = byte >> (7 - x % 8) & 1 ? 0 : 255;
        }
    return true;
}

static bool read_bytes(const text *t, fa_picture_job *job, uint32_t most)
{
    size_t count = (size_t)(job->width * job->height) * (size_t)job->channels, wide = most > 255 ? 2 : 1;
    const uint8_t *p = job->bytes + t->at;
    if (wide == 2)
        job->traits |= 1u << FA_TRAIT_SIXTEEN_BITS;
    uint8_t scaled[256] = {0};
    for (uint32_t v = 0; v <= most && v < 256; v++)
        scaled[v] = scale(v, most);
    for (size_t i = 0; i < count; i++) {
        uint32_t value = wide == 2 ? (uint32_t)p[2 * i] << 8 | p[2 * i + 1] : p[i];
        if (value > most)
            return too_large(job, value, most);
        job->pixels[i] = wide == 2 ? scale(value, most) : scaled[value];
    }
    return true;
}

/* Bytes that the pixels take at least, behind one of white space: as text a digit each, and between two numbers
 * another.
 */
static uint64_t least_bytes(int kind, uint64_t width, uint64_t height, uint32_t most)
{
    const uint64_t count = width * height * (kind == 3 || kind == 6 ? 3 : 1);
    if (kind <= 3)
        return kind == 1 ? count : 2 * count - 1;
    return kind == 4 ? (width + 7) / 8 * height : count * (most > 255 ? 2 : 1);
}

bool fa_decode_pnm(fa_picture_job *job)
{
    text t = {.job = job, .at = 2};
    int kind = job->bytes[1] - '0';
    uint32_t width, height, most = 1;
    if (t.at < job->size && !is_space(job->bytes[t.at]) && job->bytes[t.at] != '#')
        return fa_picture_refuse(job, "has byte 0x%02x after its first two, needs white space.", job->bytes[t.at]);
    if (!read_number(&t, 9, &width) || !read_number(&t, 9, &height) ||
        (kind != 1 && kind != 4 && !read_number(&t, 9, &most)))
        return false;
    if (most < 1 || most > 65535)
        return fa_picture_refuse(job, "has the maxval %u, needs 1 to 65535.", most);
    const int channels = kind == 3 || kind == 6 ? 3 : 1;
    if (!fa_picture_limits(job, width, height))
        return false;
    if (kind > 3 && t.at < job->size && !is_space(job->bytes[t.at]))
        return fa_picture_refuse(job, "has byte 0x%02x after its header, needs white space.", job->bytes[t.at]);
    if (t.at >= job->size || least_bytes(kind, width, height, most) > job->size - t.at - 1)
        return cut_short(job);
    if (!fa_picture_room(job, width, height, channels))
        return false;
    if (kind <= 3)
        return read_text(&t, job, kind, most);
    t.at++; /* one character of white space, then the pixels */
    return kind == 4 ? read_bits(&t, job) : read_bytes(&t, job, most);
}
