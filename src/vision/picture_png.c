/* PNG by libpng: grey, RGB, palette (with transparent entries), alpha, 1 to 16 bits, interlaced.
 *
 * Of 16 bits the upper 8 are taken; 1, 2 and 4 bits of grey become 0 ... 255. A transparent colour (tRNS) is alpha only
 * where the picture is laid on a background; dropped alpha needs none made. Errors of libpng leave by longjmp; what
 * must be freed lies in the two structures that destroy_read frees. */
#include "vision/picture.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

enum {
    MAX_CHUNK_BYTES = 8 << 20,
    MAX_CHUNKS = 1000,
    MOST_PACKED = 1032 /* deflate never packs better than 1032 : 1 */
};

typedef struct source {
    fa_picture_job *job;
    size_t at;
    bool truncated, failed; /* failed: an error is raised already */
    char message[160];
} source;

static void on_error(png_structp png, png_const_charp message)
{
    source *s = png_get_error_ptr(png);
    snprintf(s->message, sizeof s->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static void read_bytes(png_structp png, png_bytep to, size_t bytes)
{
    source *s = png_get_io_ptr(png);
    if (bytes > s->job->size - s->at) {
        s->truncated = true;
        png_error(png, "cut short");
    }
    memcpy(to, s->job->bytes + s->at, bytes);
    s->at += bytes;
}

static void leave(png_structp png, source *s)
{
    s->failed = true;
    png_error(png, "refused");
}

/* Asks libpng for 8 bits a channel, and returns the number of channels. */
static int choose_form(png_structp png, png_infop info, fa_picture_job *job)
{
    int colour = png_get_color_type(png, info), bits = png_get_bit_depth(png, info);
    bool transparent = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
    if (bits == 16) {
        job->traits |= 1u << FA_TRAIT_SIXTEEN_BITS;
        png_set_strip_16(png);
    }
    if (transparent)
        job->traits |= 1u << FA_TRAIT_TRANSPARENT;
    if (colour == PNG_COLOR_TYPE_PALETTE) {
        job->traits |= 1u << FA_TRAIT_PALETTE;
        png_set_palette_to_rgb(png);
    } else if (bits < 8) {
        png_set_expand_gray_1_2_4_to_8(png);
    }
    bool alpha = (colour & PNG_COLOR_MASK_ALPHA) != 0;
    if (transparent && job->rules->lay_on) {
        png_set_tRNS_to_alpha(png);
        alpha = true;
    } else if (transparent && colour == PNG_COLOR_TYPE_PALETTE) {
        png_set_strip_alpha(png); /* the palette's own alpha comes with its colours */
    }
    return (colour & PNG_COLOR_MASK_COLOR ? 3 : 1) + alpha;
}

/* Chunks before the pixels end within the file: libpng takes the memory that one asks for before it reads it, whatever
 * png_set_chunk_malloc_max says. */
static void check_chunks(png_structp png, source *s)
{
    const fa_picture_job *job = s->job;
    enum { SIGNATURE = 8, AROUND = 12 /* length, name, checksum */ };
    for (size_t at = SIGNATURE; job->size - at >= AROUND;) {
        const uint8_t *chunk = job->bytes + at;
        const size_t length = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
        if (memcmp(chunk + 4, "IDAT", 4) == 0)
            return;
        if (length > job->size - at - AROUND) {
            s->truncated = true;
            png_error(png, "cut short");
        }
        at += length + AROUND;
    }
}

static void decode(png_structp png, png_infop info, source *s)
{
    fa_picture_job *job = s->job;
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff); /* the sizes are checked below */
    png_set_chunk_malloc_max(png, job->size < MAX_CHUNK_BYTES ? job->size : MAX_CHUNK_BYTES); /* none is larger */
    png_set_chunk_cache_max(png, MAX_CHUNKS);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    check_chunks(png, s);
    png_read_info(png, info);
    const uint64_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    if (!fa_picture_limits(job, width, height))
        leave(png, s);
    const uint64_t packed = width * height / 8 * png_get_bit_depth(png, info) * png_get_channels(png, info);
    if (packed / MOST_PACKED > job->size) {
        s->truncated = true;
        png_error(png, "cut short");
    }
    int channels = choose_form(png, info, job);
    int passes = png_set_interlace_handling(png);
    if (!fa_picture_room(job, width, height, channels))
        leave(png, s);
    png_read_update_info(png, info); /* makes room for a row, so only now */
    size_t row = (size_t)job->width * (size_t)channels;
    if (png_get_rowbytes(png, info) != row)
        png_error(png, "rows of an unknown form");
    if (passes > 1) /* passes write some pixels of a row each */
        memset(job->pixels, 0, row * (size_t)job->height);
    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < job->height; y++)
            png_read_row(png, job->pixels + (size_t)y * row, NULL);
    png_read_end(png, info);
    png_bytep exif = NULL;
    png_uint_32 bytes = 0;
    if (png_get_eXIf_1(png, info, &bytes, &exif) != 0 && exif != NULL)
        job->orientation = fa_exif_orientation(exif, bytes);
}

bool fa_decode_png(fa_picture_job *job)
{
    source s = {.job = job};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
    png_infop info = png != NULL ? png_create_info_struct(png) : NULL;
    if (info == NULL) {
        png_destroy_read_struct(&png, NULL, NULL);
        return fa_fail_memory(job->where, 1024);
    }
    png_set_read_fn(png, &s, read_bytes);
    if (setjmp(png_jmpbuf(png)) == 0) {
        decode(png, info, &s);
        png_destroy_read_struct(&png, &info, NULL);
        return true;
    }
    png_destroy_read_struct(&png, &info, NULL);
    if (s.failed)
        return false;
    if (s.truncated)
        return fa_picture_refuse(job, "is cut short after %zu bytes, needs the whole file.", job->size);
    return fa_picture_refuse(job, "is damaged (%s), needs the file as it was written.", s.message);
}
