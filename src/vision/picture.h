/* Pictures in files: JPEG, PNG, WebP, BMP, PNM, told by content, as bytes [H, W, C].
 *
 * A reader is a thread's own memory for it: the file's bytes and pixels. It grows to what the
 * pictures need and is used again, so that after the first ones nothing is allocated here (libjpeg and libpng allocate
 * for themselves). It ends with its thread.
 *
 * A decoder (picture_<format>.c) reads the header, calls fa_picture_room, which refuses sizes beyond the limit before
 * any memory is taken, and fills the pixels in one of four forms: grey, grey and alpha, RGB, RGBA. What is asked for is
 * made of that in picture.c. */
#ifndef FA_VISION_PICTURE_H
#define FA_VISION_PICTURE_H

#include "base/error.h"
#include "facula/pictures.h"

/* Parsed fa_picture_options. */
typedef struct fa_picture_rules {
    int channels;          /* of the result: 1 or 3 */
    bool lay_on;           /* transparent pictures are laid on `background`; else alpha is dropped */
    uint8_t background[3]; /* RGB */
    bool exif;             /* turned as the EXIF orientation says */
    int64_t max_pixels;
} fa_picture_rules;

/* What was special about a picture, for counts and notes. */
typedef enum fa_picture_trait {
    FA_TRAIT_TURNED,       /* an EXIF orientation that is not upright and was not applied */
    FA_TRAIT_TRANSPARENT,  /* alpha was dropped, or laid on the background */
    FA_TRAIT_SIXTEEN_BITS, /* only the high bytes were taken */
    FA_TRAIT_PALETTE,
    FA_TRAIT_CMYK,
    FA_TRAIT_GREY,     /* one channel repeated three times */
    FA_TRAIT_COLOUR,   /* three channels made one */
    FA_TRAIT_ANIMATED, /* the first frame */
    FA_TRAIT_REPAIRED, /* the JPEG decoder passed over damage, as Pillow does */
    FA_TRAIT_COUNT
} fa_picture_trait;

typedef struct fa_picture {
    const char *format; /* "JPEG" */
    int64_t channels, height, width;
    const uint8_t *pixels; /* [height, width, channels], the reader's until its next picture */
    int orientation;       /* of EXIF, 1 to 8; 1 is upright */
    unsigned traits;       /* 1 << fa_picture_trait */
} fa_picture;

/* Checks and parses options (NULL: the defaults). False after an error. */
bool fa_picture_rules_parse(const fa_picture_options *options, const char *what, fa_where where, fa_picture_rules *out);

/* Reads a picture into the calling thread's reader. `name` (the path, or what the caller calls the bytes) stands in
 * messages. False after an error (FA_FILE_ERROR). Counts the traits of what was read. */
bool fa_picture_read(const char *path, const fa_picture_rules *rules, const char *what, fa_where where,
                     fa_picture *out);
bool fa_picture_decode(const void *bytes, size_t size, const char *name, const fa_picture_rules *rules,
                       const char *what, fa_where where, fa_picture *out);

/* Traits of the picture that the calling thread read last, and then none until it reads another. False: none. */
bool fa_picture_latest(unsigned *traits);

/* Pixels of a program's own: rows from the top, `stride` bytes apart (0: width * channels; negative: bottom up), of 1
 * (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) bytes a pixel; `bgr`: colours the other way round. */
typedef struct fa_pixels {
    const uint8_t *data;
    int64_t height, width, channels, stride;
    bool bgr;
} fa_pixels;
/* What reading a file with these pixels would give: the program's own memory where nothing is to be changed, else the
 * calling thread's reader's. False after an error. */
bool fa_picture_of_pixels(const fa_pixels *pixels, const fa_picture_rules *rules, const char *name, const char *what,
                          fa_where where, fa_picture *out);

/* fa_sample_picture of a file, its options parsed. */
bool fa_sample_picture_of(fa_sample *sample, const char *path, const fa_picture_rules *rules, fa_transform *transform,
                          const char *what, fa_where where);

/* The memory of the calling thread's reader goes back; for the end of the library's work. */
void fa_picture_reader_free(void);

/* ---- Between picture.c and the decoders -------------------------------------------------------------------------- */

typedef struct fa_block {
    uint8_t *data;
    size_t capacity;
} fa_block;

typedef struct fa_picture_reader {
    fa_block file, pixels, rows, made, turned;
} fa_picture_reader;

typedef struct fa_picture_job {
    const uint8_t *bytes;
    size_t size;
    const fa_picture_rules *rules;
    fa_picture_reader *reader;
    const char *name, *what, *format;
    fa_where where;
    /* filled in by the decoder */
    size_t decoder_bytes; /* memory that it takes besides the pixels, where that is much */
    int64_t width, height;
    int channels; /* 1, 2, 3, 4 */
    uint8_t *pixels;
    int orientation;
    unsigned traits;
} fa_picture_job;

/* Raises FA_FILE_ERROR "got NAME, a FORMAT picture that ...": `format` is the rest. Returns false. */
bool fa_picture_refuse(const fa_picture_job *job, const char *format, ...) FA_PRINTF_(2, 3);
/* At least `bytes` of memory, not kept from before. NULL: no memory. */
uint8_t *fa_block_room(fa_block *block, size_t bytes);
/* False after an error: sizes below 1 or beyond the limit. */
bool fa_picture_limits(const fa_picture_job *job, uint64_t width, uint64_t height);
/* Sets sizes and makes room for pixels; false after an error: sizes below 1 or beyond the limit, no memory. A decoder
 * that can tell from the file's size that the pixels are not there says so before. */
bool fa_picture_room(fa_picture_job *job, uint64_t width, uint64_t height, int channels);
/* The orientation in a block of EXIF (a TIFF header and what follows); 1 when there is none. */
int fa_exif_orientation(const uint8_t *tiff, size_t size);

bool fa_decode_jpeg(fa_picture_job *job);
bool fa_decode_png(fa_picture_job *job);
bool fa_decode_webp(fa_picture_job *job);
bool fa_decode_bmp(fa_picture_job *job);
bool fa_decode_pnm(fa_picture_job *job);

#endif
