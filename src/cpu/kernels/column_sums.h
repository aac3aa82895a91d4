/* Sums over rows, one a column, in double: what batch norm and reductions share. Rows are cut into pieces by their
 * number alone; a piece adds its rows in order, the pieces are added in order. */
#ifndef FA_CPU_KERNELS_COLUMN_SUMS_H
#define FA_CPU_KERNELS_COLUMN_SUMS_H

#include "cpu/kernels/wide.h"

typedef struct fa_pieces {
    int64_t rows, piece, count; /* rows in all, in a piece; number of pieces */
} fa_pieces;

/* At least 128 rows a piece, at most 64 pieces. */
FA_INLINE fa_pieces fa_pieces_of(int64_t rows)
{
    const int64_t piece = fa_max64(128, fa_blocks(rows, 64));
    return (fa_pieces){rows, piece, fa_blocks(rows, piece)};
}

/* sums[j] += x[i*step + j] for i < rows, j < columns. */
FA_INLINE void fa_add_columns(double *sums, const float *x, int64_t step, int64_t rows, int64_t columns)
{
    enum { GROUP = 16 }; /* rows that stay in the first cache while their columns are added */
    for (int64_t first = 0; first < rows; first += GROUP) {
        const int64_t end = fa_min64(rows, first + GROUP);
        int64_t j = 0;
        for (; j + 2 * FV_LANES <= columns; j += 2 * FV_LANES) {
            dv sum[4];
            FA_UNROLL
            for (int k = 0; k < 4; k++)
                sum[k] = dv_load(sums + j + k * DV_LANES);
            for (int64_t i = first; i < end; i++) {
                const fv a = fv_load(x + i * step + j), b = fv_load(x + i * step + j + FV_LANES);
                sum[0] += dv_low(a);
                sum[1] += dv_high(a);
                sum[2] += dv_low(b);
                sum[3] += dv_high(b);
            }
            FA_UNROLL
            for (int k = 0; k < 4; k++)
                dv_store(sums + j + k * DV_LANES, sum[k]);
        }
        for (; j < columns; j += FV_LANES) {
            const int64_t n = fa_min64(FV_LANES, columns - j);
            double lane[FV_LANES] = {0};
            memcpy(lane, sums + j, (size_t)n * sizeof *lane);
            dv low = dv_load(lane), high = dv_load(lane + DV_LANES);
            for (int64_t i = first; i < end; i++) {
                const fv a = fv_load_some(x + i * step + j, n);
                low += dv_low(a);
                high += dv_high(a);
            }
            dv_store(lane, low);
            dv_store(lane + DV_LANES, high);
            memcpy(sums + j, lane, (size_t)n * sizeof *lane);
        }
    }
}

#endif
