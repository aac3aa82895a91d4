/* Images moved by an affine matrix, as Pillow's Image.transform: the pixel at (x, y) of the result is that of the image
 * at matrix (x + 0.5, y + 0.5, 1), or the fill when it lies outside.
 *
 * Without interpolation in 16.16 fixed point, steps added up, as Pillow does it, so that the same pixels are chosen. */
#include "vision/transform.h"

#include <math.h>

/* ---- Without interpolation --------------------------------------------------------------------------------------- */

static int64_t to_fixed(double x)
{
    return (int64_t)floor(x * 65536.0 + 0.5);
}

static void nearest(const uint8_t *in, const fa_image_form *form, const double m[6], uint8_t *out)
{
    const int64_t height = form->height, width = form->width, channels = form->channels;
    int64_t row_x = to_fixed(m[2] + m[0] * 0.5 + m[1] * 0.5), row_y = to_fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
    const int64_t dx = to_fixed(m[0]), dy = to_fixed(m[3]), down_x = to_fixed(m[1]), down_y = to_fixed(m[4]);
    for (int64_t i = 0; i < height; i++, row_x += down_x, row_y += down_y) {
        int64_t x = row_x, y = row_y;
        for (int64_t j = 0; j < width; j++, x += dx, y += dy, out += channels) {
            int64_t column = x >> 16, row = y >> 16;
            if (column >= 0 && column < width && row >= 0 && row < height)
                memcpy(out, in + (row * width + column) * channels, (size_t)channels);
        }
    }
}

/* The same in doubles, added up: without a turn, and where places are too far away for 16.16 bits. */
static void nearest_exact(const uint8_t *in, const fa_image_form *form, const double m[6], uint8_t *out)
{
    const int64_t height = form->height, width = form->width, channels = form->channels;
    double row_x = m[2] + m[0] * 0.5 + m[1] * 0.5, row_y = m[5] + m[3] * 0.5 + m[4] * 0.5;
    for (int64_t i = 0; i < height; i++, row_x += m[1], row_y += m[4]) {
        double x = row_x, y = row_y;
        for (int64_t j = 0; j < width; j++, x += m[0], y += m[3], out += channels)
            if (x >= 0 && y >= 0 && x < (double)width && y < (double)height)
                memcpy(out, in + ((int64_t)y * width + (int64_t)x) * channels, (size_t)channels);
    }
}

static bool fits_fixed(const fa_image_form *form, const double m[6])
{
    for (int corner = 0; corner < 4; corner++) {
        double px = corner & 1 ? (double)form->width : 0, py = corner & 2 ? (double)form->height : 0;
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

static uint8_t to_byte(double x)
{
    return (uint8_t)(x <= 0 ? 0 : x >= 255 ? 255 : x);
}

/* The pixels of four rows and columns around (x, y), those beyond the edge repeated. */
static uint8_t bicubic_at(const uint8_t *in, const fa_image_form *form, int64_t x, int64_t y, int64_t c, double dx,
                          double dy)
{
    double rows[4];
    for (int64_t i = 0; i < 4; i++) {
        const uint8_t *row = in + clamped(y - 1 + i, form->height) * form->width * form->channels + c;
        double v[4];
        for (int64_t j = 0; j < 4; j++)
            v[j] = row[clamped(x - 1 + j, form->width) * form->channels];
        rows[i] = cubic(v, dx);
    }
    return to_byte(cubic(rows, dy));
}

static uint8_t bilinear_at(const uint8_t *in, const fa_image_form *form, int64_t x, int64_t y, int64_t c, double dx,
                           double dy)
{
    const int64_t left = clamped(x, form->width) * form->channels + c;
    const int64_t right = clamped(x + 1, form->width) * form->channels + c;
    const uint8_t *upper = in + clamped(y, form->height) * form->width * form->channels;
    const uint8_t *lower = in + clamped(y + 1, form->height) * form->width * form->channels;
    return to_byte(mix(mix(upper[left], upper[right], dx), mix(lower[left], lower[right], dx), dy));
}

static void smooth(const uint8_t *in, const fa_image_form *form, const double m[6], bool bicubic, uint8_t *out)
{
    for (int64_t i = 0; i < form->height; i++)
        for (int64_t j = 0; j < form->width; j++, out += form->channels) {
            double px = (double)j + 0.5, py = (double)i + 0.5;
            double x = m[0] * px + m[1] * py + m[2], y = m[3] * px + m[4] * py + m[5];
            if (!(x >= 0 && x < (double)form->width && y >= 0 && y < (double)form->height))
                continue;
            x -= 0.5;
            y -= 0.5;
            int64_t column = (int64_t)floor(x), row = (int64_t)floor(y);
            double dx = x - (double)column, dy = y - (double)row;
            for (int64_t c = 0; c < form->channels; c++)
                out[c] = bicubic ? bicubic_at(in, form, column, row, c, dx, dy)
                                 : bilinear_at(in, form, column, row, c, dx, dy);
        }
}

void fa_warp(const uint8_t *in, const fa_image_form *form, const double matrix[6], int interpolation, uint8_t fill,
             uint8_t *out)
{
    memset(out, fill, (size_t)(form->height * form->width * form->channels));
    if (interpolation != FA_INTERPOLATION_NEAREST)
        smooth(in, form, matrix, interpolation == FA_INTERPOLATION_BICUBIC, out);
    else if ((matrix[1] == 0 && matrix[3] == 0) || !fits_fixed(form, matrix))
        nearest_exact(in, form, matrix, out);
    else
        nearest(in, form, matrix, out);
}
