/* Reading pictures: a thread's reader, files, the format by its first bytes, limits, and what is made of a decoder's
 * pixels.
 *
 * RGB to grey (Pillow's): (19595 r + 38470 g + 7471 b + 32768) >> 16. On a background, t = v a + b (255 - a) + 128,
 * (t + (t >> 8)) >> 8. */
#include "vision/picture.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DEFAULT_MAX_PIXELS = 178956970,
    KEPT_BYTES = 32 << 20, /* a block above this is not kept for pictures that need a quarter of it */
    UNASKED = 64 << 20,    /* pictures below it are not held against the system: that costs reading files of /proc */
};
static const int64_t most_pixels = (int64_t)1 << 40;
static const size_t most_file_bytes = (size_t)1 << 30;

/* ---- A thread's reader ------------------------------------------------------------------------------------------- */

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static _Thread_local fa_picture_reader *current;

static void free_reader(void *pointer)
{
    fa_picture_reader *reader = pointer;
    if (reader == NULL)
        return;
    fa_mfree(reader->file.data);
    fa_mfree(reader->pixels.data);
    fa_mfree(reader->rows.data);
    fa_mfree(reader->made.data);
    fa_mfree(reader->turned.data);
    fa_mfree(reader);
    current = NULL;
}

static void make_key(void)
{
    pthread_key_create(&exit_key, free_reader);
}

static fa_picture_reader *get_reader(fa_where where)
{
    if (current == NULL) {
        pthread_once(&exit_once, make_key);
        current = fa_calloc(1, sizeof *current);
        if (current == NULL)
            fa_fail_memory(where, sizeof *current);
        else
            pthread_setspecific(exit_key, current);
    }
    return current;
}

void fa_picture_reader_free(void)
{
    if (current != NULL)
        pthread_setspecific(exit_key, NULL);
    free_reader(current);
}

uint8_t *fa_block_room(fa_block *block, size_t bytes)
{
    bool wasteful = block->capacity > KEPT_BYTES && bytes < block->capacity / 4;
    if (block->data == NULL || bytes > block->capacity || wasteful) {
        fa_mfree(block->data);
        block->data = fa_malloc(bytes > 0 ? bytes : 1);
        block->capacity = block->data != NULL ? bytes : 0;
    }
    return block->data;
}

/* ---- For the decoders -------------------------------------------------------------------------------------------- */

bool fa_picture_refuse(const fa_picture_job *job, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return fa_fail(FA_FILE_ERROR, job->where, job->what, "got %s, a %s picture that %s", job->name, job->format, text);
}

bool fa_picture_limits(const fa_picture_job *job, uint64_t width, uint64_t height)
{
    if (width < 1 || height < 1)
        return fa_picture_refuse(job, "has %llu x %llu pixels, needs at least 1 x 1.", (unsigned long long)width,
                                 (unsigned long long)height);
    uint64_t pixels;
    return (!__builtin_mul_overflow(width, height, &pixels) && pixels <= (uint64_t)job->rules->max_pixels) ||
           fa_picture_refuse(job, "has %llu x %llu pixels, needs at most %lld in all. Hint: .max_pixels allows more.",
                             (unsigned long long)width, (unsigned long long)height, (long long)job->rules->max_pixels);
}

/* The system grants more memory than there is, and ends the process when it is touched. */
static bool check_memory(const fa_picture_job *job, size_t bytes)
{
    const size_t taken = job->decoder_bytes + (bytes > job->reader->pixels.capacity ? bytes : 0);
    if (taken < UNASKED)
        return true;
    const uint64_t left = fa_available_memory("");
    return taken <= left || fa_picture_refuse(job,
                                              "has %lld x %lld pixels, for which reading takes %zu MB, needs at most "
                                              "the %llu MB that are left.",
                                              (long long)job->width, (long long)job->height, taken / 1000000,
                                              (unsigned long long)left / 1000000);
}

bool fa_picture_room(fa_picture_job *job, uint64_t width, uint64_t height, int channels)
{
    if (!fa_picture_limits(job, width, height))
        return false;
    size_t bytes = (size_t)(width * height) * (size_t)channels; /* max_pixels is far below SIZE_MAX / 4 */
    job->width = (int64_t)width;
    job->height = (int64_t)height;
    job->channels = channels;
    if (!check_memory(job, bytes))
        return false;
    job->pixels = fa_block_room(&job->reader->pixels, bytes);
    return job->pixels != NULL || fa_fail_memory(job->where, bytes);
}

/* ---- Notes ------------------------------------------------------------------------------------------------------- */

static atomic_llong counts[FA_TRAIT_COUNT];

static _Thread_local struct {
    bool there;
    unsigned traits;
} latest;

bool fa_picture_latest(unsigned *traits)
{
    bool there = latest.there;
    *traits = latest.traits;
    latest.there = false;
    return there;
}

static void count_traits(unsigned traits)
{
    latest.there = true;
    latest.traits = traits;
    for (int i = 0; traits != 0; i++, traits >>= 1)
        if (traits & 1)
            atomic_fetch_add_explicit(&counts[i], 1, memory_order_relaxed);
}

size_t fa_picture_notes(char *text, size_t size)
{
    static const char *const note[FA_TRAIT_COUNT][2] = {
        [FA_TRAIT_TURNED] = {"carries an EXIF rotation that was not applied (.exif = true, --exif apply it)",
                             "carry an EXIF rotation that was not applied (.exif = true, --exif apply it)"},
        [FA_TRAIT_TRANSPARENT] = {"has transparency, which was dropped unless a background was given (.background)",
                                  "have transparency, which was dropped unless a background was given (.background)"},
        [FA_TRAIT_SIXTEEN_BITS] = {"has 16 bits a channel, of which the upper 8 were taken",
                                   "have 16 bits a channel, of which the upper 8 were taken"},
        [FA_TRAIT_PALETTE] = {"has a palette, whose colours were taken", "have a palette, whose colours were taken"},
        [FA_TRAIT_CMYK] = {"is CMYK, made RGB without a colour profile", "are CMYK, made RGB without a colour profile"},
        [FA_TRAIT_GREY] = {"is grey, made RGB", "are grey, made RGB"},
        [FA_TRAIT_COLOUR] = {"is in colour, made grey", "are in colour, made grey"},
        [FA_TRAIT_ANIMATED] = {"is animated, of which the first frame was taken",
                               "are animated, of which the first frame was taken"},
        [FA_TRAIT_REPAIRED] = {"is a damaged JPEG that could be read", "are damaged JPEGs that could be read"},
    };
    size_t length = 0;
    if (size > 0)
        text[0] = 0;
    for (int i = 0; i < FA_TRAIT_COUNT; i++) {
        long long n = atomic_load_explicit(&counts[i], memory_order_relaxed);
        if (n == 0)
            continue;
        size_t at = length < size ? length : size;
        int more = snprintf(size > 0 ? text + at : NULL, size - at, "%s%lld picture%s %s", length > 0 ? "\n" : "", n,
                            n == 1 ? "" : "s", note[i][n != 1]);
        length += more > 0 ? (size_t)more : 0;
    }
    return length;
}

void fa_picture_notes_reset(void)
{
    for (int i = 0; i < FA_TRAIT_COUNT; i++)
        atomic_store_explicit(&counts[i], 0, memory_order_relaxed);
}

/* ---- Options ----------------------------------------------------------------------------------------------------- */

static bool parse_background(const char *text, uint8_t rgb[3])
{
    if (strcasecmp(text, "white") == 0 || strcasecmp(text, "black") == 0) {
        memset(rgb, strcasecmp(text, "white") == 0 ? 255 : 0, 3);
        return true;
    }
    if (text[0] != '#' || strlen(text) != 7 || strspn(text + 1, "0123456789abcdefABCDEF") != 6)
        return false;
    unsigned long value = strtoul(text + 1, NULL, 16);
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(value >> (16 - 8 * c));
    return true;
}

bool fa_picture_rules_parse(const fa_picture_options *options, const char *what, fa_where where, fa_picture_rules *out)
{
    static const fa_picture_options none = {.mode = NULL};
    if (options == NULL)
        options = &none;
    *out = (fa_picture_rules){.channels = 3, .exif = options->exif, .max_pixels = DEFAULT_MAX_PIXELS};
    if (options->mode != NULL && strcmp(options->mode, "L") == 0)
        out->channels = 1;
    else if (options->mode != NULL && strcmp(options->mode, "RGB") != 0)
        return fa_fail(FA_VALUE_ERROR, where, what, "got mode \"%s\", needs \"RGB\" or \"L\" (grey).", options->mode);
    if (options->background != NULL) {
        out->lay_on = true;
        if (!parse_background(options->background, out->background))
            return fa_fail(FA_VALUE_ERROR, where, what,
                           "got background \"%s\", needs \"white\", \"black\" or six digits as in \"#ff8000\".",
                           options->background);
    }
    if (options->max_pixels < 0 || options->max_pixels > most_pixels)
        return fa_fail(FA_VALUE_ERROR, where, what, "got max_pixels %lld, needs 1 to %lld, or 0 for the default.",
                       (long long)options->max_pixels, (long long)most_pixels);
    if (options->max_pixels > 0)
        out->max_pixels = options->max_pixels;
    return true;
}

/* ---- What is made of the pixels ---------------------------------------------------------------------------------- */

static uint8_t grey_of(const uint8_t *rgb)
{
    return (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

static uint8_t blend(unsigned value, unsigned under, unsigned alpha)
{
    unsigned t = value * alpha + under * (255 - alpha) + 128;
    return (uint8_t)((t + (t >> 8)) >> 8);
}

/* `to` may be `from` when it has no more channels. */
static void convert(uint8_t *to, const uint8_t *from, size_t pixels, int channels, const fa_picture_rules *rules)
{
    bool alpha = channels == 2 || channels == 4, colour = channels >= 3;
    for (size_t i = 0; i < pixels; i++, from += channels, to += rules->channels) {
        uint8_t rgb[3] = {from[0], colour ? from[1] : from[0], colour ? from[2] : from[0]};
        if (alpha && rules->lay_on)
            for (int c = 0; c < 3; c++)
                rgb[c] = blend(rgb[c], rules->background[c], from[channels - 1]);
        if (rules->channels == 3)
            memcpy(to, rgb, 3);
        else
            to[0] = colour || (alpha && rules->lay_on) ? grey_of(rgb) : rgb[0];
    }
}

/* The pixel at (y, x) of the upright picture is that at (y, x) of the stored one with, in this order, its axes swapped
 * and the stored axes reversed. */
static void turn(uint8_t *to, const uint8_t *from, const fa_picture_job *job, int channels)
{
    bool swap = job->orientation >= 5;
    bool flip_x = job->orientation == 2 || job->orientation == 3 || job->orientation == 7 || job->orientation == 8;
    bool flip_y = job->orientation == 3 || job->orientation == 4 || job->orientation == 6 || job->orientation == 7;
    int64_t height = swap ? job->width : job->height, width = swap ? job->height : job->width;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++, to += channels) {
            int64_t sy = swap ? x : y, sx = swap ? y : x;
            sy = flip_y ? job->height - 1 - sy : sy;
            sx = flip_x ? job->width - 1 - sx : sx;
            memcpy(to, from + (size_t)(sy * job->width + sx) * (size_t)channels, (size_t)channels);
        }
}

static bool finish(fa_picture_job *job, fa_picture *out)
{
    int wanted = job->rules->channels;
    size_t pixels = (size_t)(job->height * job->width);
    if (job->channels == 2 || job->channels == 4)
        job->traits |= 1u << FA_TRAIT_TRANSPARENT;
    if (job->channels < 3 && wanted == 3)
        job->traits |= 1u << FA_TRAIT_GREY;
    if (job->channels >= 3 && wanted == 1)
        job->traits |= 1u << FA_TRAIT_COLOUR;
    if (job->channels != wanted) {
        uint8_t *made =
            job->channels > wanted ? job->pixels : fa_block_room(&job->reader->made, pixels * (size_t)wanted);
        if (made == NULL)
            return fa_fail_memory(job->where, pixels * (size_t)wanted);
        convert(made, job->pixels, pixels, job->channels, job->rules);
        job->pixels = made;
    }
    *out = (fa_picture){job->format, wanted, job->height, job->width, job->pixels, job->orientation, job->traits};
    if (job->orientation == 1)
        return true;
    if (!job->rules->exif) {
        out->traits |= 1u << FA_TRAIT_TURNED;
        return true;
    }
    uint8_t *turned = fa_block_room(&job->reader->turned, pixels * (size_t)wanted);
    if (turned == NULL)
        return fa_fail_memory(job->where, pixels * (size_t)wanted);
    turn(turned, job->pixels, job, wanted);
    out->pixels = turned;
    if (job->orientation >= 5) {
        out->height = job->width;
        out->width = job->height;
    }
    return true;
}

/* ---- Formats ----------------------------------------------------------------------------------------------------- */

typedef struct format {
    const char *name, *magic;
    size_t at, bytes;
    bool (*decode)(fa_picture_job *job); /* NULL: known and not read */
} format;

static const format formats[] = {
    {"JPEG", "\xff\xd8\xff", 0, 3, fa_decode_jpeg},
    {"PNG", "\x89PNG\r\n\x1a\n", 0, 8, fa_decode_png},
    {"WebP", "WEBPVP8", 8, 7, fa_decode_webp},
    {"BMP", "BM", 0, 2, fa_decode_bmp},
    {"PNM", "P1", 0, 2, fa_decode_pnm},
    {"PNM", "P2", 0, 2, fa_decode_pnm},
    {"PNM", "P3", 0, 2, fa_decode_pnm},
    {"PNM", "P4", 0, 2, fa_decode_pnm},
    {"PNM", "P5", 0, 2, fa_decode_pnm},
    {"PNM", "P6", 0, 2, fa_decode_pnm},
    {"GIF", "GIF8", 0, 4, NULL},
    {"TIFF", "II*\0", 0, 4, NULL},
    {"TIFF", "MM\0*", 0, 4, NULL},
    {"AVIF", "ftypavif", 4, 8, NULL},
    {"HEIC", "ftyphei", 4, 7, NULL},
    {"JPEG 2000", "\0\0\0\x0cjP  ", 0, 8, NULL},
    {"PSD", "8BPS", 0, 4, NULL},
    {"SVG", "<svg", 0, 4, NULL},
};

/* The first bytes for a message: letters as they are, others as dots. */
static const char *shown(const uint8_t *bytes, size_t count, char text[9])
{
    size_t n = count < 8 ? count : 8;
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(bytes[i] >= 32 && bytes[i] < 127 ? bytes[i] : '.');
    text[n] = 0;
    return text;
}

static bool decode(fa_picture_job *job, fa_picture *out)
{
    char text[9];
    if (job->size == 0)
        return fa_fail(FA_FILE_ERROR, job->where, job->what, "got %s, which is empty, needs a picture.", job->name);
    const format *found = NULL;
    for (size_t i = 0; i < sizeof formats / sizeof *formats && found == NULL; i++)
        if (job->size >= formats[i].at + formats[i].bytes &&
            memcmp(job->bytes + formats[i].at, formats[i].magic, formats[i].bytes) == 0)
            found = &formats[i];
    if (found == NULL)
        return fa_fail(FA_FILE_ERROR, job->where, job->what,
                       "got %s, which is no picture (%zu bytes, starts with '%s'), needs JPEG, PNG, WebP, BMP or PNM.",
                       job->name, job->size, shown(job->bytes, job->size, text));
    if (found->decode == NULL)
        return fa_fail(FA_FILE_ERROR, job->where, job->what,
                       "got %s, which is %s, needs JPEG, PNG, WebP, BMP or PNM. Hint: convert it first.", job->name,
                       found->name);
    job->format = found->name;
    job->orientation = 1;
    return found->decode(job) && finish(job, out);
}

bool fa_picture_decode(const void *bytes, size_t size, const char *name, const fa_picture_rules *rules,
                       const char *what, fa_where where, fa_picture *out)
{
    fa_picture_job job = {.bytes = bytes,
                          .size = size,
                          .rules = rules,
                          .reader = get_reader(where),
                          .name = name,
                          .what = what,
                          .where = where};
    if (job.reader == NULL || !decode(&job, out))
        return false;
    count_traits(out->traits);
    return true;
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static bool read_file(int file, const char *path, fa_block *block, size_t *size, const char *what, fa_where where)
{
    struct stat status;
    if (fstat(file, &status) != 0)
        return fa_fail(FA_FILE_ERROR, where, what, "could not read %s: %s.", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return fa_fail(FA_FILE_ERROR, where, what, "got %s, which is no regular file, needs a picture.", path);
    if (status.st_size > (off_t)most_file_bytes)
        return fa_fail(FA_FILE_ERROR, where, what, "got %s, a file of %lld bytes, needs a picture of at most %zu.",
                       path, (long long)status.st_size, most_file_bytes);
    size_t bytes = (size_t)status.st_size, done = 0;
    if (fa_block_room(block, bytes) == NULL)
        return fa_fail_memory(where, bytes);
    while (done < bytes) {
        ssize_t got = read(file, block->data + done, bytes - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fa_fail(FA_FILE_ERROR, where, what, "could not read %s: %s.", path, strerror(errno));
        if (got == 0)
            break; /* cut short meanwhile: the decoder says what is missing */
        done += (size_t)got;
    }
    *size = done;
    return true;
}

static bool read_uncounted(const char *path, const fa_picture_rules *rules, const char *what, fa_where where,
                           fa_picture *out)
{
    fa_picture_reader *reader = get_reader(where);
    if (reader == NULL)
        return false;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe of that name is refused, not waited for */
    if (file < 0)
        return fa_fail(FA_FILE_ERROR, where, what, "could not open %s: %s.", path, strerror(errno));
    size_t size = 0;
    bool fine = read_file(file, path, &reader->file, &size, what, where);
    close(file);
    fa_picture_job job = {.bytes = reader->file.data,
                          .size = size,
                          .rules = rules,
                          .reader = reader,
                          .name = path,
                          .what = what,
                          .where = where};
    return fine && decode(&job, out);
}

bool fa_picture_read(const char *path, const fa_picture_rules *rules, const char *what, fa_where where, fa_picture *out)
{
    if (!read_uncounted(path, rules, what, where, out))
        return false;
    count_traits(out->traits);
    return true;
}

/* ---- Pixels in memory -------------------------------------------------------------------------------------------- */

static bool check_pixels(const fa_pixels *p, const char *name, const char *what, fa_where where, size_t *row,
                         size_t *made)
{
    if (p->data == NULL)
        return fa_fail(FA_VALUE_ERROR, where, what, "got no pixels (NULL) of %s, needs an image.", name);
    if (p->height < 1 || p->width < 1 || p->channels < 1 || p->channels > 4)
        return fa_fail(
            FA_VALUE_ERROR, where, what,
            "got %s of height %lld, width %lld and %lld channels, needs at least 1 x 1 pixels of 1 (grey), 2 "
            "(grey and alpha), 3 (RGB) or 4 (RGB and alpha) channels.",
            name, (long long)p->height, (long long)p->width, (long long)p->channels);
    size_t all;
    if (!fa_mul_size((size_t)p->width, (size_t)p->channels, row) || !fa_mul_size(*row, (size_t)p->height, &all) ||
        !fa_mul_size(all, 3, made) || all > PTRDIFF_MAX)
        return fa_fail_memory(where, SIZE_MAX);
    size_t stride = p->stride < 0 ? 0 - (size_t)p->stride : (size_t)p->stride;
    if (stride != 0 && stride < *row)
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got %s with a stride of %lld bytes, needs at least %zu: %lld pixels of %lld bytes stand in a "
                       "row. Hint: leave it out where rows follow one another.",
                       name, (long long)p->stride, *row, (long long)p->width, (long long)p->channels);
    return true;
}

/* A row with its colours in order. */
static void swap_row(uint8_t *to, const uint8_t *from, int64_t width, int64_t channels)
{
    for (int64_t x = 0; x < width; x++, to += channels, from += channels) {
        to[0] = from[2];
        to[1] = from[1];
        to[2] = from[0];
        if (channels == 4)
            to[3] = from[3];
    }
}

bool fa_picture_of_pixels(const fa_pixels *pixels, const fa_picture_rules *rules, const char *name, const char *what,
                          fa_where where, fa_picture *out)
{
    size_t row = 0, made = 0;
    if (!check_pixels(pixels, name, what, where, &row, &made))
        return false;
    bool swap = pixels->bgr && pixels->channels >= 3;
    ptrdiff_t stride = pixels->stride != 0 ? (ptrdiff_t)pixels->stride : (ptrdiff_t)row;
    *out = (fa_picture){"pixels", rules->channels, pixels->height, pixels->width, pixels->data, 1, 0};
    if (pixels->channels == rules->channels && !swap && stride == (ptrdiff_t)row)
        return true;
    fa_picture_reader *reader = get_reader(where);
    uint8_t *to = reader != NULL ? fa_block_room(&reader->made, made) : NULL;
    uint8_t *turned = to != NULL ? fa_block_room(&reader->rows, row) : NULL;
    if (turned == NULL)
        return reader != NULL && fa_fail_memory(where, made);
    out->pixels = to;
    for (int64_t y = 0; y < pixels->height; y++) {
        const uint8_t *from = pixels->data + y * stride;
        if (swap)
            swap_row(turned, from, pixels->width, pixels->channels);
        convert(to, swap ? turned : from, (size_t)pixels->width, (int)pixels->channels, rules);
        to += (size_t)pixels->width * (size_t)rules->channels;
    }
    return true;
}
