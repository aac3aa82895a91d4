/* Pictures from files and from memory: JPEG, PNG, WebP, BMP, PNM (PPM, PGM, PBM).
 *
 * A picture's kind is told by its content, never by its name. Pixels are those of Pillow's
 * Image.open(path).convert("RGB"), which is torchvision's loader:
 *   grey                       one value three times
 *   palette                    its colours
 *   alpha, transparent colour  dropped: what lies under it shows; .background lays the picture on a colour instead
 *   16 bits a channel          the high byte (Pillow makes grey pictures of 16 bits white; this is not followed)
 *   CMYK, YCCK (JPEG)          inverted as Adobe writes them, then r = 255 - min(255, c + k) in Pillow's arithmetic
 *   animated                   the first picture
 *   EXIF orientation           not applied; .exif = true turns the picture upright
 * docs/guide/pictures.md has the whole table. Nothing is said when a picture is special; fa_picture_notes tells. */
#ifndef FACULA_PICTURES_H
#define FACULA_PICTURES_H

#include "facula/data.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fa_transform fa_transform;

/* How pictures are read; all zero is the default. Data sets take it as .picture = {...}. */
typedef struct fa_picture_options {
    const char *mode;       /* "RGB" (NULL too): 3 channels; "L": 1 channel, grey = 0.299 r + 0.587 g + 0.114 b */
    const char *background; /* NULL: alpha is dropped; "white", "black" or "#rrggbb": the picture is laid on it */
    bool exif;              /* turned as its EXIF orientation says */
    int64_t max_pixels;     /* larger pictures are refused before memory is taken; 0: 178,956,970, as Pillow */
} fa_picture_options;

typedef struct fa_read_picture_args {
    char begin_;
    const char *path;
    struct fa_keyword_only *kw_;
    fa_where where_;
    const char *mode, *background;
    bool exif;
    int64_t max_pixels;
} fa_read_picture_args;
/* numpy.asarray(Image.open(path).convert("RGB")): uint8 [H, W, 3], or [H, W, 1] with .mode = "L". A new tensor of the
 * current scope, in the form that fa_transform_apply takes. Errors (FA_FILE_ERROR, naming the file): missing, empty,
 * not a picture, of a kind that is not read, damaged, cut short, too many pixels.
 *
 *     fa_tensor *x = fa_transform_apply(fa_to_tensor(), fa_read_picture("cat.jpg"));
 *     fa_tensor *x = fa_read_picture("scan.png", .mode = "L", .background = "white"); */
FA_API fa_tensor *fa_read_picture_at(const fa_read_picture_args *args) FA_WARN_UNUSED;
#define fa_read_picture(...) FA_CALL_(fa_read_picture_at, fa_read_picture_args, .begin_ = 0, __VA_ARGS__)

typedef struct fa_decode_picture_args {
    char begin_;
    const void *bytes;
    size_t size;
    struct fa_keyword_only *kw_;
    fa_where where_;
    const char *name; /* what messages call it; default "the picture" */
    const char *mode, *background;
    bool exif;
    int64_t max_pixels;
} fa_decode_picture_args;
/* The same of a whole file in memory: fa_decode_picture(bytes, size). */
FA_API fa_tensor *fa_decode_picture_at(const fa_decode_picture_args *args) FA_WARN_UNUSED;
#define fa_decode_picture(...) FA_CALL_(fa_decode_picture_at, fa_decode_picture_args, .begin_ = 0, __VA_ARGS__)

typedef struct fa_sample_picture_args {
    char begin_;
    fa_sample *sample;
    const char *path;
    fa_transform *transform;
    struct fa_keyword_only *kw_;
    fa_where where_;
    const void *bytes; /* the file's content, when it is in memory; `path` is then what messages call it */
    size_t size;
    const char *mode, *background;
    bool exif;
    int64_t max_pixels;
} fa_sample_picture_args;
/* In a data set's item callback: puts transform(picture) as the sample's next field; the transform may be NULL: uint8
 * [C, H, W] then. Pixels are decoded into memory that the worker uses again. False after an error.
 *
 *     return fa_sample_picture(sample, path, transform) && fa_sample_label(sample, label); */
FA_API bool fa_sample_picture_at(const fa_sample_picture_args *args);
#define fa_sample_picture(...) FA_CALL_(fa_sample_picture_at, fa_sample_picture_args, .begin_ = 0, __VA_ARGS__)

/* What was special about the pictures read so far in this process, a line each: "12 pictures carry an EXIF rotation
 * that was not applied (.exif = true, --exif apply it)". Writes at most `size` bytes with the 0 at the end, and returns
 * the length of the whole text; 0 when there is nothing to tell. fa_picture_notes_reset begins anew. */
FA_API size_t fa_picture_notes(char *text, size_t size);
FA_API void fa_picture_notes_reset(void);

#ifdef __cplusplus
}
#endif
#endif
