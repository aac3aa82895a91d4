/* The report of a comparison, as text. */
#include "train/parity.h"

#include "base/number_text.h"

#include <math.h>
#include <string.h>

/* fprintf of numbers with a full stop, whatever locale the program has set. */
static FA_PRINTF_(2, 3) void print_numbers(FILE *file, const char *format, ...)
{
    char line[1024]; /* two losses of 309 digits fit */
    va_list args;
    va_start(args, format);
    fa_text_print_list(line, sizeof line, format, args);
    va_end(args);
    fputs(line, file);
}

/* Without the sign that printf gives some NaN. */
static double plain(double value)
{
    return isnan(value) ? (double)NAN : value;
}

static void write_header(const fa_parity *p, FILE *file)
{
    int64_t details = 0;
    while (fa_recording_details(p->recording, details + 1))
        details++;
    fprintf(file, "recording: %s: PyTorch %s, %lld step%s, details of the first %lld\n", p->recording->path,
            p->recording->torch, (long long)p->recording->step_count, p->recording->step_count == 1 ? "" : "s",
            (long long)details);
    if (p->notes.length)
        fprintf(file, "%s", p->notes.data);
}

static void write_losses(const fa_parity *p, FILE *file)
{
    fprintf(file, "\n%6s  %12s  %12s  %s\n", "step", "PyTorch", "here", "difference");
    for (int64_t k = 0; k < p->step; k++) {
        const double want = plain(p->recording->step[k].loss), got = plain(p->loss[k]);
        print_numbers(file, "%6lld  %12.6f  %12.6f  %.1e%s\n", (long long)k + 1, want, got,
                      want == got ? 0 : fabs(plain(got - want)), p->found.step == k + 1 ? "   <-" : "");
    }
}

/* "[2, 0, 1]" of element `at` in a shape. */
static void write_index(FILE *file, const fa_shape *shape, int64_t at)
{
    int64_t index[8];
    for (int d = shape->ndim - 1; d >= 0; d--) {
        index[d] = at % shape->size[d];
        at /= shape->size[d];
    }
    fprintf(file, "[");
    for (int d = 0; d < shape->ndim; d++)
        fprintf(file, "%s%lld", d ? ", " : "", (long long)index[d]);
    fprintf(file, "]");
}

/* `text` broken into lines of up to 100 characters, each behind four blanks. */
static void write_wrapped(FILE *file, const char *text)
{
    while (*text) {
        size_t length = strlen(text);
        if (length > 100) {
            length = 100;
            while (length > 50 && text[length] != ' ')
                length--;
        }
        fprintf(file, "    %.*s\n", (int)length, text);
        text += length;
        text += strspn(text, " ");
    }
}

static void write_place(const fa_parity *p, FILE *file)
{
    const fa_parity_finding *f = &p->found;
    const char *shape =
        f->measure.want_shape.ndim ? fa_dims_text(f->measure.want_shape.ndim, f->measure.want_shape.size) : "";
    const char *name = f->name[0] ? f->name : "the model";
    fprintf(file, "\nThey part in step %lld, at ", (long long)f->step);
    switch (f->kind) {
    case FA_PARITY_START:
        fprintf(file, "the initial weight %s %s", name, shape);
        break;
    case FA_PARITY_OUTPUT:
        fprintf(file, "the output of %s %s", name, shape);
        break;
    case FA_PARITY_GRADIENT:
        fprintf(file, "the gradient of %s %s", name, shape);
        break;
    case FA_PARITY_WEIGHT:
        fprintf(file, "%s %s after the step", name, shape);
        break;
    default:
        fprintf(file, "%s%s%s", name, *shape ? " " : "", shape);
    }
    fprintf(file, ".\n");
}

static void write_values(const fa_parity_measure *m, FILE *file)
{
    if (m->shapes_differ) {
        fprintf(file, "    PyTorch's shape is %s, ", fa_dims_text(m->want_shape.ndim, m->want_shape.size));
        fprintf(file, "here it is %s\n", fa_dims_text(m->got_shape.ndim, m->got_shape.size));
        return;
    }
    if (m->missing || m->numel == 0)
        return;
    fprintf(file, "    ");
    if (m->want_shape.ndim > 0) {
        fprintf(file, "at ");
        write_index(file, &m->want_shape, m->at);
        fprintf(file, ": ");
    }
    print_numbers(file, "PyTorch %.9g, here %.9g\n", plain(m->want), plain(m->got));
    if (!isfinite(m->want))
        return;
    print_numbers(file, "    largest difference %.3g, %.2g of the largest value; allowed %.2g", m->largest,
                  m->scale > 0 ? m->largest / m->scale : INFINITY, m->allowed);
    if (m->numel > 1)
        fprintf(file, "; %lld of %lld elements beyond that", (long long)m->beyond, (long long)m->numel);
    fprintf(file, "\n");
}

static void write_agreement(const fa_parity *p, FILE *file)
{
    const long long steps = (long long)p->step, lost = (long long)p->recording->lost_step;
    fprintf(file, "\nThey agree in all that was recorded of %lld step%s.\n", steps, steps == 1 ? "" : "s");
    if (lost && lost <= steps)
        fprintf(
            file,
            "PyTorch's loss is infinite or NaN from step %lld on, and so is the one here: from there on only batches "
            "were compared.\n",
            lost);
    if (p->noisy)
        fprintf(file,
                "Left out: weights whose gradient is rounding alone, which %s moves by whole steps. What comes after "
                "them was compared loosely.\n",
                p->recording->optimizer);
}

bool fa_parity_report(const fa_parity *p, FILE *file)
{
    if (!p || !file)
        return false;
    write_header(p, file);
    if (p->step > 0)
        write_losses(p, file);
    if (p->found.step) {
        write_place(p, file);
        write_values(&p->found.measure, file);
        if (p->found.cause.length) {
            fprintf(file, "Likely cause:\n");
            write_wrapped(file, p->found.cause.data);
        }
    } else if (p->step > 0) {
        write_agreement(p, file);
    } else {
        fprintf(file, "\nNo step was compared.\n");
    }
    const long long more = (long long)(p->recording->step_count - p->step);
    if (p->step > 0 && more > 0)
        fprintf(file, "The recording has %lld more step%s, which this run did not reach.\n", more,
                more == 1 ? "" : "s");
    return fflush(file) == 0 && !ferror(file);
}
