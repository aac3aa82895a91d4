/* Resizing bytes, bit for bit as Pillow does it: along one axis, rounded to bytes, then along the other.
 *
 * One axis, n pixels to m: scale = n / m, spread = max(scale, 1). The pixel at `place` of the result has its center at
 * c = (place + 0.5) scale, and weights f((i + 0.5 - c) / spread) for the pixels i from trunc(c - r + 0.5) to
 * trunc(c + r + 0.5), r = spread * radius of f, divided by their sum, then rounded to 22 bits behind the point. Without
 * interpolation: the pixel at trunc of a place that is added up step by step. */
#include "vision/transform.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

enum { BITS = 22, HALF = 1 << (BITS - 1) };

typedef struct filter {
    const char *name;
    double radius;
    double (*at)(double x);
} filter;

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* The coefficients are floats in Pillow. */
static double hamming(double x)
{
    x = fabs(x);
    if (x == 0)
        return 1;
    if (x >= 1)
        return 0;
    x *= M_PI;
    return sin(x) / x * (0.54F + 0.46F * cos(x));
}

/* Keys' cubic with a = -0.5. */
static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double sinc(double x)
{
    if (x == 0)
        return 1;
    x *= M_PI;
    return sin(x) / x;
}

static double lanczos(double x)
{
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const filter filters[] = {
    [FA_INTERPOLATION_NEAREST] = {"nearest", 0, NULL},    [FA_INTERPOLATION_BILINEAR] = {"bilinear", 1, triangle},
    [FA_INTERPOLATION_BICUBIC] = {"bicubic", 2, cubic},   [FA_INTERPOLATION_BOX] = {"box", 0.5, box},
    [FA_INTERPOLATION_HAMMING] = {"hamming", 1, hamming}, [FA_INTERPOLATION_LANCZOS] = {"lanczos", 3, lanczos}};

const char *fa_interpolation_name(int interpolation)
{
    return filters[interpolation].name;
}

/* ---- Weights ----------------------------------------------------------------------------------------------------- */

/* Of one axis: pixel j of the result is sum of weight[j * most + k] * in[first[j] + k], k < count[j]. */
typedef struct weights {
    int64_t n, most;
    int32_t *first, *count, *weight;
    double *exact; /* [most], of one pixel */
    fa_buffer *memory;
} weights;

static bool make_weights(weights *w, const filter *f, int64_t from, int64_t to, fa_where where)
{
    double scale = (double)from / (double)to, spread = scale < 1 ? 1 : scale, radius = f->radius * spread;
    w->n = to;
    w->most = (int64_t)ceil(radius) * 2 + 1;
    size_t cells, bytes;
    if (!fa_mul_size((size_t)w->most + 2, (size_t)to, &cells) || !fa_mul_size(cells, sizeof(int32_t), &bytes) ||
        !fa_add_size(bytes, (size_t)w->most * sizeof(double), &bytes) || (w->memory = fa_buffer_new(bytes)) == NULL)
        return fa_fail_memory(where, (size_t)to * sizeof(int32_t) * ((size_t)w->most + 2));
    w->exact = w->memory->data;
    w->first = (void *)(w->exact + w->most);
    w->count = w->first + to;
    w->weight = w->count + to;
    for (int64_t j = 0; j < to; j++) {
        double center = ((double)j + 0.5) * scale, sum = 0;
        int64_t first = (int64_t)(center - radius + 0.5), end = (int64_t)(center + radius + 0.5);
        first = first < 0 ? 0 : first;
        end = end > from ? from : end;
        for (int64_t i = first; i < end; i++)
            sum += w->exact[i - first] = f->at(((double)i - center + 0.5) * (1.0 / spread));
        for (int64_t k = 0; k < w->most; k++) {
            double x = k < end - first ? (sum != 0 ? w->exact[k] / sum : w->exact[k]) : 0;
            w->weight[j * w->most + k] = (int32_t)(x * (1 << BITS) + (x < 0 ? -0.5 : 0.5));
        }
        w->first[j] = (int32_t)first;
        w->count[j] = (int32_t)(end - first);
    }
    return true;
}

static inline uint8_t clip(int32_t sum)
{
    int32_t value = sum >> BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* ---- The two passes ---------------------------------------------------------------------------------------------- */

static inline __attribute__((always_inline)) void along_row(const weights *w, const uint8_t *in, int64_t channels,
                                                            uint8_t *out)
{
    for (int64_t j = 0; j < w->n; j++, out += channels) {
        const int32_t *weight = w->weight + j * w->most;
        const uint8_t *from = in + w->first[j] * channels;
        for (int64_t c = 0; c < channels; c++) {
            int32_t sum = HALF;
            for (int32_t k = 0; k < w->count[j]; k++)
                sum += weight[k] * from[k * channels + c];
            out[c] = clip(sum);
        }
    }
}

static void along_rows(const weights *w, const uint8_t *in, int64_t rows, int64_t width, int64_t channels, uint8_t *out)
{
    for (int64_t y = 0; y < rows; y++, in += width * channels, out += w->n * channels)
        if (channels == 3)
            along_row(w, in, 3, out);
        else if (channels == 1)
            along_row(w, in, 1, out);
        else
            along_row(w, in, channels, out);
}

static void along_columns(const weights *w, const uint8_t *in, int64_t row, int32_t *sums, uint8_t *out)
{
    for (int64_t j = 0; j < w->n; j++, out += row) {
        for (int64_t i = 0; i < row; i++)
            sums[i] = HALF;
        for (int32_t k = 0; k < w->count[j]; k++) {
            const int32_t weight = w->weight[j * w->most + k];
            const uint8_t *from = in + (w->first[j] + k) * row;
            for (int64_t i = 0; i < row; i++)
                sums[i] += weight * from[i];
        }
        for (int64_t i = 0; i < row; i++)
            out[i] = clip(sums[i]);
    }
}

/* ---- Without interpolation --------------------------------------------------------------------------------------- */

static void nearest(const uint8_t *in, int64_t height, int64_t width, int64_t channels, uint8_t *out,
                    int64_t out_height, int64_t out_width)
{
    const double step_y = (double)height / (double)out_height, step_x = (double)width / (double)out_width;
    double y = step_y * 0.5;
    for (int64_t i = 0; i < out_height; i++, y += step_y) {
        int64_t row = (int64_t)y < height ? (int64_t)y : height - 1;
        double x = step_x * 0.5;
        for (int64_t j = 0; j < out_width; j++, x += step_x, out += channels) {
            int64_t column = (int64_t)x < width ? (int64_t)x : width - 1;
            memcpy(out, in + (row * width + column) * channels, (size_t)channels);
        }
    }
}

typedef struct shape {
    int64_t height, width, channels;
} shape;

/* The rows go first, unless the height shrinks, and by more than twice what the width does: Pillow's rule. */
static bool both_ways(const weights *x, const weights *y, shape from, const uint8_t *in, uint8_t *out, fa_where where)
{
    const bool rows = x->memory != NULL, columns = y->memory != NULL;
    if (!columns) {
        along_rows(x, in, from.height, from.width, from.channels, out);
        return true;
    }
    const bool columns_first = rows && y->n < from.height && from.height - y->n > 2 * (from.width - x->n);
    const size_t narrow = (size_t)((rows ? x->n : from.width) * from.channels),
                 wide = (size_t)(from.width * from.channels);
    const size_t made = !rows ? 0 : columns_first ? (size_t)y->n * wide : (size_t)from.height * narrow;
    const size_t at = (made + FA_ALIGNMENT - 1) / FA_ALIGNMENT * FA_ALIGNMENT;
    const size_t bytes = at + (columns_first ? wide : narrow) * sizeof(int32_t);
    fa_buffer *memory = fa_buffer_new(bytes);
    if (memory == NULL)
        return fa_fail_memory(where, bytes);
    uint8_t *between = memory->data;
    int32_t *sums = (int32_t *)(between + at);
    if (columns_first) {
        along_columns(y, in, (int64_t)wide, sums, between);
        along_rows(x, between, y->n, from.width, from.channels, out);
    } else {
        if (rows)
            along_rows(x, in, from.height, from.width, from.channels, between);
        along_columns(y, rows ? between : in, (int64_t)narrow, sums, out);
    }
    fa_buffer_release(memory);
    return true;
}

bool fa_resample(const uint8_t *in, int64_t height, int64_t width, int64_t channels, uint8_t *out, int64_t out_height,
                 int64_t out_width, int interpolation, fa_where where)
{
    if (height == out_height && width == out_width) {
        memcpy(out, in, (size_t)(height * width * channels));
        return true;
    }
    if (interpolation == FA_INTERPOLATION_NEAREST) {
        nearest(in, height, width, channels, out, out_height, out_width);
        return true;
    }
    weights x = {.memory = NULL}, y = {.memory = NULL};
    const filter *f = &filters[interpolation];
    bool fine = (width == out_width || make_weights(&x, f, width, out_width, where)) &&
                (height == out_height || make_weights(&y, f, height, out_height, where)) &&
                both_ways(&x, &y, (shape){height, width, channels}, in, out, where);
    fa_buffer_release(x.memory);
    fa_buffer_release(y.memory);
    return fine;
}
