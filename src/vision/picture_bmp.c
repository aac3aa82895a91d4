/* BMP: 1, 4, 8 bits with a palette, 16, 24 and 32 bits, with masks or without, run lengths (RLE4, RLE8), rows from the
 * bottom or from the top.
 *
 * A channel of n bits with value v becomes v * 255 / (2^n - 1), rounded down, as in Pillow. Pixels that run lengths
 * leave out have index 0. Every read is inside the bytes: holds_rows and read_runs check. */
#include "vision/picture.h"

#include <string.h>

enum { FILE_HEADER = 14, PLAIN = 0, RLE8 = 1, RLE4 = 2, MASKS = 3, MASKS_ALPHA = 6, MAX_SIDE = 0x7fffffff };

typedef struct bmp {
    fa_picture_job *job;
    uint32_t pixels_at, header, bits, compression, colours;
    bool from_top;
    uint32_t mask[4]; /* red, green, blue, alpha */
    uint8_t palette[256][3];
} bmp;

static uint32_t u16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static bool cut_short(const fa_picture_job *job)
{
    return fa_picture_refuse(job, "is cut short after %zu bytes, needs the whole file.", job->size);
}

/* ---- The header -------------------------------------------------------------------------------------------------- */

static bool read_palette(bmp *b, size_t at, uint32_t entry_bytes)
{
    const fa_picture_job *job = b->job;
    uint32_t most = 1u << b->bits, count = b->colours == 0 || b->colours > most ? most : b->colours;
    if (at > job->size)
        return cut_short(job);
    size_t there = (job->size - at) / entry_bytes;
    /* old writers leave out the colours that do not occur, and begin the pixels early */
    if (b->pixels_at > at && (b->pixels_at - at) / entry_bytes < count)
        count = (b->pixels_at - (uint32_t)at) / entry_bytes;
    if (there < count)
        return cut_short(job);
    for (uint32_t i = 0; i < count; i++)
        for (int c = 0; c < 3; c++)
            b->palette[i][c] = job->bytes[at + i * entry_bytes + 2 - (uint32_t)c];
    return true;
}

static bool read_masks(bmp *b)
{
    const fa_picture_job *job = b->job;
    static const uint32_t usual16[4] = {0x7c00, 0x3e0, 0x1f, 0}, usual32[4] = {0xff0000, 0xff00, 0xff, 0};
    memcpy(b->mask, b->bits == 16 ? usual16 : usual32, sizeof b->mask);
    if (b->compression == PLAIN)
        return true;
    int count = b->header >= 56 || b->compression == MASKS_ALPHA ? 4 : 3;
    if (job->size < (size_t)FILE_HEADER + 40 + 4 * (size_t)count)
        return cut_short(job);
    for (int c = 0; c < count; c++) {
        b->mask[c] = u32(job->bytes + FILE_HEADER + 40 + 4 * c);
        uint32_t mask = b->mask[c], ones = mask != 0 ? mask >> __builtin_ctz(mask) : 0;
        if ((ones & (ones + 1)) != 0 || (c < 3 && mask == 0))
            return fa_picture_refuse(job, "has the mask 0x%08x, needs neighbouring bits.", mask);
    }
    return true;
}

/* Whether the rows are there, which stand as they are. */
static bool holds_rows(const bmp *b, uint64_t width, uint64_t height)
{
    const uint64_t row = (width * b->bits + 31) / 32 * 4,
                   last = (width * b->bits + 7) / 8; /* the last may lack its padding */
    const size_t size = b->job->size;
    return b->pixels_at <= size && size - b->pixels_at >= last && (size - b->pixels_at - last) / row >= height - 1;
}

static bool read_header(bmp *b)
{
    fa_picture_job *job = b->job;
    const uint8_t *p = job->bytes;
    if (job->size < FILE_HEADER + 12)
        return cut_short(job);
    b->pixels_at = u32(p + 10);
    b->header = u32(p + 14);
    bool core = b->header == 12;
    if (!core && (b->header < 40 || b->header > 124))
        return fa_picture_refuse(job, "has a header of %u bytes, needs 12 or 40 to 124.", b->header);
    if (job->size < FILE_HEADER + (size_t)b->header)
        return cut_short(job);
    int64_t width = core ? (int64_t)u16(p + 18) : (int32_t)u32(p + 18);
    int64_t height = core ? (int64_t)u16(p + 20) : (int32_t)u32(p + 22);
    b->from_top = height < 0;
    height = height < 0 ? -height : height;
    b->bits = core ? u16(p + 24) : u16(p + 28);
    b->compression = core ? PLAIN : u32(p + 30);
    b->colours = core ? 0 : u32(p + 46);
    bool packed = (b->compression == RLE8 && b->bits == 8) || (b->compression == RLE4 && b->bits == 4);
    bool masks = (b->compression == MASKS || b->compression == MASKS_ALPHA) && (b->bits == 16 || b->bits == 32);
    bool plain = b->compression == PLAIN &&
                 (b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 16 || b->bits == 24 || b->bits == 32);
    if (!packed && !masks && !plain)
        return fa_picture_refuse(job, "has %u bits a pixel and compression %u, needs another kind of BMP.", b->bits,
                                 b->compression);
    if (width < 1 || height < 1 || height > MAX_SIDE)
        return fa_picture_refuse(job, "has %lld x %lld pixels, needs at least 1 x 1.", (long long)width,
                                 (long long)height);
    if (b->bits >= 16 && b->bits != 24 && !read_masks(b))
        return false;
    if (!fa_picture_limits(job, (uint64_t)width, (uint64_t)height))
        return false;
    if (!packed && !holds_rows(b, (uint64_t)width, (uint64_t)height))
        return cut_short(job);
    if (!fa_picture_room(job, (uint64_t)width, (uint64_t)height, b->mask[3] != 0 ? 4 : 3))
        return false;
    if (b->bits > 8)
        return true;
    job->traits |= 1u << FA_TRAIT_PALETTE;
    return read_palette(b, FILE_HEADER + (size_t)b->header, core ? 3 : 4);
}

/* ---- Pixels ------------------------------------------------------------------------------------------------------ */

/* Where the y-th stored row of the picture goes. */
static uint8_t *row_of(const bmp *b, int64_t y)
{
    const fa_picture_job *job = b->job;
    int64_t from_top = b->from_top ? y : job->height - 1 - y;
    return job->pixels + (size_t)(from_top * job->width) * (size_t)job->channels;
}

static void put_masked(const bmp *b, uint8_t *to, uint32_t pixel)
{
    for (int c = 0; c < b->job->channels; c++) {
        uint32_t shift = (uint32_t)__builtin_ctz(b->mask[c]), most = b->mask[c] >> shift;
        to[c] = (uint8_t)((uint64_t)((pixel & b->mask[c]) >> shift) * 255 / most);
    }
}

static bool read_rows(const bmp *b)
{
    const fa_picture_job *job = b->job;
    size_t row = ((size_t)job->width * b->bits + 31) / 32 * 4;
    for (int64_t y = 0; y < job->height; y++) {
        const uint8_t *from = job->bytes + b->pixels_at + (size_t)y * row;
        uint8_t *to = row_of(b, y);
        for (int64_t x = 0; x < job->width; x++, to += job->channels) {
            if (b->bits <= 8) {
                uint32_t per_byte = 8 / b->bits, place = (uint32_t)(x % per_byte);
                uint32_t index = from[x / per_byte] >> (8 - b->bits * (place + 1)) & ((1u << b->bits) - 1);
                memcpy(to, b->palette[index], 3);
            } else if (b->bits == 24) {
                to[0] = from[3 * x + 2];
                to[1] = from[3 * x + 1];
                to[2] = from[3 * x];
            } else {
                put_masked(b, to, b->bits == 16 ? u16(from + 2 * x) : u32(from + 4 * x));
            }
        }
    }
    return true;
}

/* Runs: (n > 0, value): n pixels; (0, 0): end of the row; (0, 1): end of the picture; (0, 2, dx, dy): a step; (0, n):
 * n pixels one by one, padded to 16 bits. RLE4 has two pixels a byte, the upper half first. */
static bool read_runs(const bmp *b)
{
    const fa_picture_job *job = b->job;
    const bool four = b->bits == 4;
    size_t at = b->pixels_at;
    int64_t x = 0, y = 0;
    for (int64_t i = 0; i < job->width * job->height; i++)
        memcpy(job->pixels + 3 * i, b->palette[0], 3);
    while (y < job->height) {
        if (at > job->size || job->size - at < 2)
            return cut_short(job);
        uint32_t count = job->bytes[at], value = job->bytes[at + 1];
        at += 2;
        if (count == 0 && value == 0) {
            x = 0;
            y++;
        } else if (count == 0 && value == 1) {
            return true;
        } else if (count == 0 && value == 2) {
            if (job->size - at < 2)
                return cut_short(job);
            x += job->bytes[at];
            y += job->bytes[at + 1];
            at += 2;
        } else {
            size_t single = count == 0 ? (four ? (value + 1) / 2 : value) : 0;
            if (job->size - at < single)
                return cut_short(job);
            uint32_t n = count == 0 ? value : count;
            for (uint32_t i = 0; i < n && x < job->width; i++, x++) {
                uint32_t byte = count == 0 ? job->bytes[at + (four ? i / 2 : i)] : value;
                uint32_t index = !four ? byte : i % 2 == 0 ? byte >> 4 : byte & 15;
                memcpy(row_of(b, y) + 3 * x, b->palette[index], 3);
            }
            at += single + (single & 1);
        }
    }
    return true;
}

bool fa_decode_bmp(fa_picture_job *job)
{
    bmp b = {.job = job};
    if (!read_header(&b))
        return false;
    return b.compression == RLE8 || b.compression == RLE4 ? read_runs(&b) : read_rows(&b);
}
