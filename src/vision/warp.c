/* Images moved by an affine matrix, as Pillow's Image.transform: the pixel at (x, y) of the result is that of the image
 * at matrix (x + 0.5, y + 0.5, 1), and stays what it was when that lies outside.
 *
 * Without interpolation in 16.16 fixed point, steps added up, as Pillow does it, so that the same pixels are chosen. */
#include "vision/transform.h"

#include <math.h>

typedef struct result {
    uint8_t *pixels;
    int64_t height, width;
} result;

/* ---- Without interpolation --------------------------------------------------------------------------------------- */

static int64_t to_fixed(double x)
{
    return (int64_t)floor(x * 65536.0 + 0.5);
}

/* Inlined with constant channels where they are 3 or 1. */
static inline __attribute__((always_inline)) void nearest_of(const uint8_t *in, const fa_image_form *form,
                                                             const double m[6], int64_t channels, result to)
{
    const int64_t height = form->height, width = form->width;
    uint8_t *out = to.pixels;
    int64_t row_x = to_fixed(m[2] + m[0] * 0.5 + m[1] * 0.5), row_y = to_fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
    const int64_t dx = to_fixed(m[0]), dy = to_fixed(m[3]), down_x = to_fixed(m[1]), down_y = to_fixed(m[4]);
    for (int64_t i = 0; i < to.height; i++, row_x += down_x, row_y += down_y) {
        int64_t x = row_x, y = row_y;
        for (int64_t j = 0; j < to.width; j++, x += dx, y += dy, out += channels) {
            int64_t column = x >> 16, row = y >> 16;
            if (column >= 0 && column < width && row >= 0 && row < height)
                memcpy(out, in + (row * width + column) * channels, (size_t)channels);
        }
    }
}

static void nearest(const uint8_t *in, const fa_image_form *form, const double m[6], result to)
{
    if (form->channels == 3)
        nearest_of(in, form, m, 3, to);
    else if (form->channels == 1)
        nearest_of(in, form, m, 1, to);
    else
        nearest_of(in, form, m, form->channels, to);
}

/* The same in doubles, added up: without a turn, and where places are too far away for 16.16 bits. */
static void nearest_exact(const uint8_t *in, const fa_image_form *form, const double m[6], result to)
{
    const int64_t height = form->height, width = form->width, channels = form->channels;
    uint8_t *out = to.pixels;
    double row_x = m[2] + m[0] * 0.5 + m[1] * 0.5, row_y = m[5] + m[3] * 0.5 + m[4] * 0.5;
    for (int64_t i = 0; i < to.height; i++, row_x += m[1], row_y += m[4]) {
        double x = row_x, y = row_y;
        for (int64_t j = 0; j < to.width; j++, x += m[0], y += m[3], out += channels)
            if (x >= 0 && y >= 0 && x < (double)width && y < (double)height)
                memcpy(out, in + ((int64_t)y * width + (int64_t)x) * channels, (size_t)channels);
    }
}

static bool fits_fixed(result to, const double m[6])
{
    for (int corner = 0; corner < 4; corner++) {
        double px = corner & 1 ? (double)to.width : 0, py = corner & 2 ? (double)to.height : 0;
        if (!(fabs(m[0] * px + m[1] * py + m[2]) < 32768 && fabs(m[3] * px + m[4] * py + m[5]) < 32768))
            return false;
    }
    return true;
}

/* ---- With it ----------------------------------------------------------------------------------------------------- */

static double mix(double a, double b, double t)
{
    return a + (b - a) * t;
}

static double cubic(const double v[4], double t)
{
    double p1 = v[2] - v[0], p2 = 2 * (v[0] - v[1]) + v[2] - v[3], p3 = v[1] - v[0] + v[3] - v[2];
    return v[1] + t * (p1 + t * (p2 + t * p3));
}

static int64_t clamped(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

static int64_t rounded_down(double x)
{
    int64_t whole = (int64_t)x;
    return whole - (x < (double)whole);
}

static uint8_t to_byte(double x)
{
    return (uint8_t)(x <= 0 ? 0 : x >= 255 ? 255 : x);
}

/* The pixels of `taps` rows and columns around (x, y), those beyond the edge repeated: where they begin, as offsets. */
static inline __attribute__((always_inline)) void places(int64_t at[], int64_t first, int taps, int64_t n, int64_t step)
{
    for (int i = 0; i < taps; i++)
        at[i] = clamped(first + i, n) * step;
}

static inline __attribute__((always_inline)) void bicubic_pixel(const uint8_t *in, const int64_t rows[4],
                                                                const int64_t columns[4], int64_t channels, double dx,
                                                                double dy, uint8_t *out)
{
    for (int64_t c = 0; c < channels; c++) {
        double across[4];
        for (int i = 0; i < 4; i++) {
            const uint8_t *row = in + rows[i] + c;
            across[i] = cubic((double[]){row[columns[0]], row[columns[1]], row[columns[2]], row[columns[3]]}, dx);
        }
        out[c] = to_byte(cubic(across, dy));
    }
}

static inline __attribute__((always_inline)) void bilinear_pixel(const uint8_t *in, const int64_t rows[2],
                                                                 const int64_t columns[2], int64_t channels, double dx,
                                                                 double dy, uint8_t *out)
{
    for (int64_t c = 0; c < channels; c++) {
        const uint8_t *upper = in + rows[0] + c, *lower = in + rows[1] + c;
        double above = mix(upper[columns[0]], upper[columns[1]], dx);
        double below = mix(lower[columns[0]], lower[columns[1]], dx);
        out[c] = (uint8_t)mix(above, below, dy); /* between its four pixels */
    }
}

/* Inlined with constant taps, and with constant channels where they are 3 or 1. */
static inline __attribute__((always_inline)) void smooth(const uint8_t *in, const fa_image_form *form,
                                                         const double m[6], int taps, int64_t channels, result to)
{
    const int64_t height = form->height, width = form->width;
    uint8_t *out = to.pixels;
    for (int64_t i = 0; i < to.height; i++)
        for (int64_t j = 0; j < to.width; j++, out += channels) {
            double px = (double)j + 0.5, py = (double)i + 0.5;
            double x = m[0] * px + m[1] * py + m[2], y = m[3] * px + m[4] * py + m[5];
            if (!(x >= 0 && x < (double)width && y >= 0 && y < (double)height))
                continue;
            x -= 0.5;
            y -= 0.5;
            int64_t column = rounded_down(x), row = rounded_down(y), rows[4], columns[4];
            double dx = x - (double)column, dy = y - (double)row;
            places(rows, row - (taps / 2 - 1), taps, height, width * channels);
            places(columns, column - (taps / 2 - 1), taps, width, channels);
            if (taps == 4)
                bicubic_pixel(in, rows, columns, channels, dx, dy, out);
            else
                bilinear_pixel(in, rows, columns, channels, dx, dy, out);
        }
}

static void bilinear(const uint8_t *in, const fa_image_form *form, const double m[6], result to)
{
    if (form->channels == 3)
        smooth(in, form, m, 2, 3, to);
    else if (form->channels == 1)
        smooth(in, form, m, 2, 1, to);
    else
        smooth(in, form, m, 2, form->channels, to);
}

static void bicubic(const uint8_t *in, const fa_image_form *form, const double m[6], result to)
{
    if (form->channels == 3)
        smooth(in, form, m, 4, 3, to);
    else if (form->channels == 1)
        smooth(in, form, m, 4, 1, to);
    else
        smooth(in, form, m, 4, form->channels, to);
}

void fa_warp(const uint8_t *in, const fa_image_form *form, const double matrix[6], int interpolation, uint8_t *out,
             int64_t out_height, int64_t out_width)
{
    const result to = {out, out_height, out_width};
    if (interpolation == FA_INTERPOLATION_BICUBIC)
        bicubic(in, form, matrix, to);
    else if (interpolation == FA_INTERPOLATION_BILINEAR)
        bilinear(in, form, matrix, to);
    else if ((matrix[1] == 0 && matrix[3] == 0) || !fits_fixed(to, matrix))
        nearest_exact(in, form, matrix, to);
    else
        nearest(in, form, matrix, to);
}
