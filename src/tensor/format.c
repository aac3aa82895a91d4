/* A tensor's text, as str(tensor) gives it in PyTorch with its print options as they are at start.
 *
 * Shown are all elements, or, of more than 1000, in each dimension longer than 6 the first and last three. The form
 * follows from F, the shown elements that are finite and not 0:
 *   scientific  %.4e   if max|F| / min|F| > 1000, max|F| > 1e8 or min|F| < 1e-4
 *   whole       %.0f.  if every element of F is an integer
 *   else        %.4f
 * and the width from the longest text in F (1 if F is empty). Integers and booleans are as wide as the longest shown.
 */
#include "tensor/format.h"

#include "base/half.h"
#include "base/number_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LINE_WIDTH = 80, EDGE_ITEMS = 3, SUMMARY_ABOVE = 1000, ELEMENT_BYTES = 64 };

static const char PREFIX[] = "tensor(";
enum { INDENT = sizeof PREFIX - 1 };

typedef struct writer {
    char *text;
    size_t size;
    int64_t at, line_start;
} writer;

typedef struct formatter {
    const fa_meta *meta;
    const void *data;
    int64_t stride[FA_MAX_DIMS];
    bool summary, scientific, whole;
    double smallest, largest; /* of |F|; smallest is infinite while F is empty */
    int width;
} formatter;

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static void put(writer *w, const char *bytes, int64_t count)
{
    for (int64_t i = 0; i < count; i++, w->at++) {
        if ((size_t)w->at + 1 < w->size)
            w->text[w->at] = bytes[i];
        if (bytes[i] == '\n')
            w->line_start = w->at + 1;
    }
}

static void put_text(writer *w, const char *text)
{
    put(w, text, (int64_t)strlen(text));
}

static void put_repeated(writer *w, char c, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        put(w, &c, 1);
}

/* ---- Elements ---------------------------------------------------------------------------------------------------- */

static bool is_floating(const formatter *f)
{
    return f->meta->dtype == FA_DT_FLOAT32 || f->meta->dtype == FA_DT_FLOAT64 || fa_is_storage_only(f->meta->dtype);
}

static double float_at(const formatter *f, int64_t i)
{
    switch (f->meta->dtype) {
    case FA_DT_FLOAT32:
        return (double)((const float *)f->data)[i];
    case FA_DT_BFLOAT16:
        return (double)fa_bfloat16_to_float(((const uint16_t *)f->data)[i]);
    case FA_DT_FLOAT16:
        return (double)fa_float16_to_float(((const uint16_t *)f->data)[i]);
    default:
        return ((const double *)f->data)[i];
    }
}

static int64_t integer_at(const formatter *f, int64_t i)
{
    switch (f->meta->dtype) {
    case FA_DT_INT64:
        return ((const int64_t *)f->data)[i];
    case FA_DT_INT32:
        return ((const int32_t *)f->data)[i];
    default:
        return ((const uint8_t *)f->data)[i];
    }
}

static int float_text(const formatter *f, double x, char text[ELEMENT_BYTES])
{
    if (isnan(x))
        return snprintf(text, ELEMENT_BYTES, "nan");
    if (isinf(x))
        return snprintf(text, ELEMENT_BYTES, x < 0 ? "-inf" : "inf");
    const char *format = f->scientific ? "%.4e" : f->whole ? "%.0f." : "%.4f";
    return fa_text_print(text, ELEMENT_BYTES, format, x);
}

/* The text of element i, not padded; returns its length. */
static int element_text(const formatter *f, int64_t i, char text[ELEMENT_BYTES])
{
    if (is_floating(f))
        return float_text(f, float_at(f, i), text);
    if (f->meta->dtype == FA_DT_BOOL)
        return snprintf(text, ELEMENT_BYTES, integer_at(f, i) ? "True" : "False");
    return snprintf(text, ELEMENT_BYTES, "%" PRId64, integer_at(f, i));
}

static void put_element(writer *w, const formatter *f, int64_t i)
{
    char text[ELEMENT_BYTES];
    int length = element_text(f, i, text);
    put_repeated(w, ' ', f->width - length);
    put(w, text, length);
}

/* ---- Which elements are shown, and in what form -------------------------------------------------------------------
 */

static bool is_cut(const formatter *f, int dim)
{
    return f->summary && f->meta->shape[dim] > 2 * EDGE_ITEMS;
}

/* Items of a dimension in the text; where it is cut, item EDGE_ITEMS is the mark. */
static int64_t items_of(const formatter *f, int dim)
{
    return is_cut(f, dim) ? 2 * EDGE_ITEMS + 1 : f->meta->shape[dim];
}

/* Index of an item in its dimension, -1 for the mark. */
static int64_t index_of(const formatter *f, int dim, int64_t item)
{
    if (!is_cut(f, dim) || item < EDGE_ITEMS)
        return item;
    return item == EDGE_ITEMS ? -1 : f->meta->shape[dim] - (2 * EDGE_ITEMS + 1) + item;
}

static void see_range(formatter *f, int64_t i)
{
    double x = is_floating(f) ? float_at(f, i) : 0;
    if (x == 0 || !isfinite(x))
        return;
    f->smallest = fmin(f->smallest, fabs(x));
    f->largest = fmax(f->largest, fabs(x));
    f->whole = f->whole && x == floor(x);
}

static void see_width(formatter *f, int64_t i)
{
    if (is_floating(f) && (float_at(f, i) == 0 || !isfinite(float_at(f, i))))
        return;
    char text[ELEMENT_BYTES];
    int length = element_text(f, i, text);
    if (length > f->width)
        f->width = length;
}

static void for_each_shown(formatter *f, int dim, int64_t at, void (*see)(formatter *f, int64_t i))
{
    if (dim == f->meta->ndim) {
        see(f, at);
        return;
    }
    int64_t items = items_of(f, dim);
    for (int64_t item = 0; item < items; item++) {
        int64_t index = index_of(f, dim, item);
        if (index >= 0)
            for_each_shown(f, dim + 1, at + index * f->stride[dim], see);
    }
}

static void choose_form(formatter *f)
{
    f->width = 1;
    f->whole = true;
    f->scientific = false;
    f->smallest = INFINITY;
    f->largest = 0;
    for_each_shown(f, 0, 0, see_range);
    if (f->largest > 0)
        f->scientific = f->largest / f->smallest > 1000 || f->largest > 1e8 || f->smallest < 1e-4;
    for_each_shown(f, 0, 0, see_width);
}

/* ---- Layout ------------------------------------------------------------------------------------------------------ */

static void put_vector(writer *w, const formatter *f, int64_t at, int64_t indent)
{
    int dim = f->meta->ndim - 1;
    int64_t in_line = (LINE_WIDTH - indent) / (f->width + 2);
    if (in_line < 1)
        in_line = 1;
    put(w, "[", 1);
    int64_t items = items_of(f, dim);
    for (int64_t item = 0; item < items; item++) {
        if (item && item % in_line == 0) {
            put_text(w, ",\n");
            put_repeated(w, ' ', indent + 1);
        } else if (item) {
            put_text(w, ", ");
        }
        int64_t index = index_of(f, dim, item);
        if (index < 0)
            put_text(w, " ...");
        else
            put_element(w, f, at + index);
    }
    put(w, "]", 1);
}

static void put_part(writer *w, const formatter *f, int dim, int64_t at, int64_t indent)
{
    if (f->meta->ndim == 0) {
        put_element(w, f, at);
        return;
    }
    if (dim == f->meta->ndim - 1) {
        put_vector(w, f, at, indent);
        return;
    }
    put(w, "[", 1);
    int64_t items = items_of(f, dim);
    for (int64_t item = 0; item < items; item++) {
        if (item) {
            put(w, ",", 1);
            put_repeated(w, '\n', f->meta->ndim - dim - 1);
            put_repeated(w, ' ', indent + 1);
        }
        int64_t index = index_of(f, dim, item);
        if (index < 0)
            put_text(w, "...");
        else
            put_part(w, f, dim + 1, at + index * f->stride[dim], indent + 1);
    }
    put(w, "]", 1);
}

/* `last` is the length of the last line with the ", " or ")" that follows it. */
static void put_suffix(writer *w, int64_t *last, const char *text)
{
    int64_t length = (int64_t)strlen(text);
    if (*last + length + 2 > LINE_WIDTH) {
        put_text(w, ",\n");
        put_repeated(w, ' ', INDENT);
        *last = INDENT + length;
    } else {
        put_text(w, ", ");
        *last += length + 2;
    }
    put(w, text, length);
}

static void put_size(writer *w, int64_t *last, const fa_meta *meta)
{
    char text[FA_MAX_DIMS * 24 + 16] = "size=(";
    size_t at = strlen(text);
    for (int d = 0; d < meta->ndim; d++)
        at += (size_t)snprintf(text + at, sizeof text - at, d ? ", %" PRId64 : "%" PRId64, meta->shape[d]);
    snprintf(text + at, sizeof text - at, ")");
    put_suffix(w, last, text);
}

static void put_suffixes(writer *w, const fa_meta *meta, bool empty, const fa_format_suffix *suffix)
{
    static const char *const dtype_suffix[FA_DT_COUNT] = {
        "dtype=torch.float32", "dtype=torch.float64", "dtype=torch.int64",    "dtype=torch.int32",
        "dtype=torch.uint8",   "dtype=torch.bool",    "dtype=torch.bfloat16", "dtype=torch.float16"};
    int dtype = meta->dtype;
    int64_t last = w->at - w->line_start + 2;
    if (empty && meta->ndim != 1)
        put_size(w, &last, meta);
    bool implied = dtype == FA_DT_FLOAT32 || (!empty && (dtype == FA_DT_INT64 || dtype == FA_DT_BOOL));
    if (!implied)
        put_suffix(w, &last, dtype_suffix[dtype]);
    if (suffix && suffix->grad_fn) {
        char text[128];
        snprintf(text, sizeof text, "grad_fn=<%s>", suffix->grad_fn);
        put_suffix(w, &last, text);
    } else if (suffix && suffix->requires_grad) {
        put_suffix(w, &last, "requires_grad=True");
    }
}

int64_t fa_format_tensor(char *text, size_t size, const fa_meta *meta, const void *data, const fa_format_suffix *suffix)
{
    writer w = {text, size, 0, 0};
    formatter f = {.meta = meta, .data = data};
    int64_t numel = 1;
    for (int d = meta->ndim - 1; d >= 0; d--) {
        f.stride[d] = numel;
        numel *= meta->shape[d];
    }
    if (suffix && suffix->parameter)
        put_text(&w, "Parameter containing:\n");
    put_text(&w, PREFIX);
    if (numel == 0) {
        put_text(&w, "[]");
    } else {
        f.summary = numel > SUMMARY_ABOVE;
        choose_form(&f);
        put_part(&w, &f, 0, 0, INDENT);
    }
    put_suffixes(&w, meta, numel == 0, suffix);
    put_text(&w, ")");
    if (size)
        text[(size_t)w.at < size ? (size_t)w.at : size - 1] = 0;
    return w.at;
}
