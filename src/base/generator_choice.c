/* Choices among weighted categories, as torch.multinomial makes them on the CPU.
 *
 * With replacement, several: the cumulative sums c[i] of the weights, each divided by the last; for each choice a
 * float64 uniform u, and the first i with c[i] >= u, or the last one. Without replacement, or one alone: q[i]
 * exponential, and the categories of the largest w[i] / q[i], largest first. Sums, q and quotients are rounded to the
 * weights' type. */
#include "base/generator.h"

#include <stdlib.h>

static double rounded(double x, bool single)
{
    return single ? (double)(float)x : x;
}

static void choose_again(fa_mt *mt, int64_t *out, int64_t k, const double *weights, int64_t n, bool single,
                         fa_choice *scratch)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum = single ? (double)((float)sum + (float)weights[i]) : sum + weights[i];
        scratch[i].key = sum;
    }
    for (int64_t i = 0; i < n; i++)
        scratch[i].key = single ? (double)((float)scratch[i].key / (float)sum) : scratch[i].key / sum;
    for (int64_t c = 0; c < k; c++) {
        double u;
        fa_mt_uniform_f64(mt, &u, 1, 0, 1);
        int64_t low = 0, high = n - 1;
        while (low < high) {
            int64_t middle = low + (high - low) / 2;
            if (scratch[middle].key < u)
                low = middle + 1;
            else
                high = middle;
        }
        out[c] = low;
    }
}

/* Largest key first, of equal ones the first category. */
static int compare(const void *a, const void *b)
{
    const fa_choice *x = a, *y = b;
    if (x->key != y->key)
        return x->key > y->key ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

void fa_mt_multinomial(fa_mt *mt, int64_t *out, int64_t k, const double *weights, int64_t n, bool single,
                       bool replacement, fa_choice *scratch)
{
    if (k > 1 && replacement) {
        choose_again(mt, out, k, weights, n, single, scratch);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        double q;
        fa_mt_exponential_f64(mt, &q, 1, 1);
        q = rounded(q, single);
        scratch[i] = (fa_choice){single ? (double)((float)weights[i] / (float)q) : weights[i] / q, i};
    }
    qsort(scratch, (size_t)n, sizeof *scratch, compare);
    for (int64_t c = 0; c < k; c++)
        out[c] = scratch[c].index;
}
