/* The register tile under matrix product and convolution: P rows times V vectors of columns,
 *
 *     acc[i][v] += x_i[k] * w[k][v]      for the runs of k that the call lists, in order
 *
 * Rows are pointers: rows of a matrix, positions of an image, or elements of an image's patch. Each sum is one chain of
 * fv_fma over k, so its bits depend on the list of runs alone, not on P, V or the tile's place. */
#ifndef FA_CPU_KERNELS_TILE_H
#define FA_CPU_KERNELS_TILE_H

#include "cpu/simd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Vectors of a panel of columns, and rows of the largest tile for a panel of 1, 2, 3, 4 vectors: what the registers
 * hold. A pooled tile holds whole windows of 4 positions. */
#if defined(FA_CPU_ISA_avx512)
#define FA_TILES(TILE) TILE(1, 9) TILE(2, 9) TILE(3, 6) TILE(4, 6)
#define FA_ROWS_TILES(TILE) TILE(1, 12) TILE(2, 12) TILE(3, 8) TILE(4, 6)
#define FA_POOL_TILES(TILE) TILE(1, 8) TILE(2, 8) TILE(3, 4) TILE(4, 4)
enum { FA_PANEL = 4 };
#elif defined(FA_CPU_ISA_avx2)
#define FA_TILES(TILE) TILE(1, 9) TILE(2, 6)
#define FA_ROWS_TILES(TILE) TILE(1, 12) TILE(2, 6)
#define FA_POOL_TILES(TILE) TILE(1, 8) TILE(2, 4)
enum { FA_PANEL = 2 };
#elif defined(FA_CPU_ISA_neon)
#define FA_TILES(TILE) TILE(1, 9) TILE(2, 9) TILE(3, 6) TILE(4, 6)
#define FA_ROWS_TILES(TILE) TILE(1, 12) TILE(2, 12) TILE(3, 8) TILE(4, 6)
#define FA_POOL_TILES(TILE) TILE(1, 8) TILE(2, 8) TILE(3, 4) TILE(4, 4)
enum { FA_PANEL = 4 };
#else
#define FA_TILES(TILE) TILE(1, 9) TILE(2, 4)
#define FA_ROWS_TILES(TILE) TILE(1, 8) TILE(2, 4)
#define FA_POOL_TILES(TILE) TILE(1, 8) TILE(2, 4)
enum { FA_PANEL = 2 };
#endif
enum { FA_TILE_ROWS = 9, FA_ROWS_MOST = 12, FA_PANEL_COLUMNS = FA_PANEL * FV_LANES };

/* What happens to the sums. */
enum {
    FA_TILE_CONTINUE = 1, /* the chain goes on from what y holds */
    FA_TILE_ADD = 2,      /* what y holds is added at the end */
    FA_TILE_RELU = 4
};

typedef struct fa_tile_call {
    const float *x[FA_TILE_ROWS];
    float *y[FA_TILE_ROWS];            /* pooled: one a window */
    uint8_t *winner[FA_TILE_ROWS / 4]; /* pooled alone */
    const int64_t *runs;               /* [run_count]: offset of each run from x_i */
    int64_t run_count, run_length;
    int64_t x_step, w_step; /* from k to k + 1 */
    const float *w;         /* all runs one after the other */
    const float *bias;      /* [columns], or NULL; added before relu */
    int64_t columns;        /* valid ones, (V - 1) * FV_LANES < columns <= V * FV_LANES */
    int flags;
} fa_tile_call;

FA_INLINE void fa_tile_sums(const fa_tile_call *call, const int P, const int V, fv acc[])
{
    const float *x[FA_TILE_ROWS];
    FA_UNROLL
    for (int i = 0; i < P; i++)
        x[i] = call->x[i];
    const float *w = call->w;
    const int64_t x_step = call->x_step, w_step = call->w_step;
    for (int64_t r = 0; r < call->run_count; r++) {
        int64_t at = call->runs[r];
        for (int64_t k = call->run_length; k > 0; k--) {
            fv weight[FA_PANEL];
            FA_UNROLL
            for (int v = 0; v < V; v++)
                weight[v] = fv_load(w + v * FV_LANES);
            FA_UNROLL
            for (int i = 0; i < P; i++) {
                fv value = fv_set1(x[i][at]);
                FA_UNROLL
                for (int v = 0; v < V; v++)
                    acc[i * V + v] = fv_fma(value, weight[v], acc[i * V + v]);
            }
            at += x_step;
            w += w_step;
        }
    }
}

FA_INLINE void fa_tile_run(const fa_tile_call *call, const int P, const int V)
{
    fv acc[FA_TILE_ROWS * FA_PANEL];
    const int flags = call->flags;
    const int64_t tail = call->columns - (V - 1) * FV_LANES;
    if (flags & FA_TILE_CONTINUE) {
        FA_UNROLL
        for (int i = 0; i < P; i++)
            FA_UNROLL
        for (int v = 0; v < V; v++)
            acc[i * V + v] =
                v < V - 1 ? fv_load(call->y[i] + v * FV_LANES) : fv_load_n(call->y[i] + v * FV_LANES, tail);
    } else {
        FA_UNROLL
        for (int i = 0; i < P; i++)
            FA_UNROLL
        for (int v = 0; v < V; v++)
            acc[i * V + v] = fv_zero();
    }
    fa_tile_sums(call, P, V, acc);
    if (flags & FA_TILE_ADD) {
        FA_UNROLL
        for (int i = 0; i < P; i++)
            FA_UNROLL
        for (int v = 0; v < V; v++)
            acc[i * V + v] =
                (v < V - 1 ? fv_load(call->y[i] + v * FV_LANES) : fv_load_n(call->y[i] + v * FV_LANES, tail)) +
                acc[i * V + v];
    }
    if (call->bias) {
        FA_UNROLL
        for (int v = 0; v < V; v++) {
            fv bias = v < V - 1 ? fv_load(call->bias + v * FV_LANES) : fv_load_n(call->bias + v * FV_LANES, tail);
            FA_UNROLL
            for (int i = 0; i < P; i++)
                acc[i * V + v] += bias;
        }
    }
    if (flags & FA_TILE_RELU) {
        FA_UNROLL
        for (int i = 0; i < P; i++)
            FA_UNROLL
        for (int v = 0; v < V; v++)
            acc[i * V + v] = fv_relu(acc[i * V + v]);
    }
    FA_UNROLL
    for (int i = 0; i < P; i++)
        FA_UNROLL
    for (int v = 0; v < V; v++) {
        if (v < V - 1)
            fv_store(call->y[i] + v * FV_LANES, acc[i * V + v]);
        else
            fv_store_n(call->y[i] + v * FV_LANES, acc[i * V + v], tail);
    }
}

/* Four sums sums[0], sums[stride], ... are a pool window: its largest value after bias and relu, and which of the four
 * it was (255: relu cut all). The first maximum wins; a NaN wins over numbers and over earlier NaN. */
FA_INLINE fv fa_pool_window(const fv *sums, const int stride, fv bias, fi *winner)
{
    fv best = sums[0] + bias;
    fi place = fi_set1(0);
    FA_UNROLL
    for (int i = 1; i < 4; i++) {
        fv value = sums[i * stride] + bias;
        fm better = fm_or(fv_gt(value, best), fv_isnan(value));
        best = fv_select(better, value, best);
        place = fi_select(better, fi_set1(i), place);
    }
    fm cut = fv_ge(fv_zero(), best);
    *winner = fi_select(cut, fi_set1(255), place);
    return fv_select(cut, fv_zero(), best);
}

/* Rows 4j .. 4j+3 are a pool window. */
FA_INLINE void fa_tile_run_pooled(const fa_tile_call *call, const int P, const int V)
{
    fv acc[FA_TILE_ROWS * FA_PANEL];
    const int64_t tail = call->columns - (V - 1) * FV_LANES;
    FA_UNROLL
    for (int i = 0; i < P; i++)
        FA_UNROLL
    for (int v = 0; v < V; v++)
        acc[i * V + v] = fv_zero();
    fa_tile_sums(call, P, V, acc);
    FA_UNROLL
    for (int v = 0; v < V; v++) {
        fv bias = fv_zero();
        if (call->bias)
            bias = v < V - 1 ? fv_load(call->bias + v * FV_LANES) : fv_load_n(call->bias + v * FV_LANES, tail);
        FA_UNROLL
        for (int j = 0; j < P / 4; j++) {
            fi winner;
            const fv best = fa_pool_window(acc + 4 * j * V + v, V, bias, &winner);
            if (v < V - 1) {
                fv_store(call->y[j] + v * FV_LANES, best);
                fi_store_u8(call->winner[j] + v * FV_LANES, winner);
            } else {
                fv_store_n(call->y[j] + v * FV_LANES, best, tail);
                fi_store_u8_n(call->winner[j] + v * FV_LANES, winner, tail);
            }
        }
    }
}

/* Largest tile of a panel of `vectors` vectors. */
FA_INLINE int fa_tile_rows(int vectors)
{
#define FA_TILE_ROWS_(V, P) [V] = P,
    static const int8_t rows[FA_PANEL + 1] = {FA_TILES(FA_TILE_ROWS_)};
#undef FA_TILE_ROWS_
    return rows[vectors];
}
FA_INLINE int fa_pool_tile_rows(int vectors)
{
#define FA_TILE_ROWS_(V, P) [V] = P,
    static const int8_t rows[FA_PANEL + 1] = {FA_POOL_TILES(FA_TILE_ROWS_)};
#undef FA_TILE_ROWS_
    return rows[vectors];
}
/* How many of `rows` rows the next tile takes: sizes are the largest, 4, 2 and 1. */
FA_INLINE int fa_tile_take(int vectors, int64_t rows)
{
    int largest = fa_tile_rows(vectors);
    return rows >= largest ? largest : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
}
/* The same in whole windows. */
FA_INLINE int fa_pool_tile_take(int vectors, int64_t rows)
{
    int largest = fa_pool_tile_rows(vectors);
    return rows >= largest ? largest : 4;
}

/* y[i][j] = sum over k < depth of x[i][k] * w[k][j] for many rows, each one chain of fv_fma; whole vectors of columns.
 * Either k runs through memory and rows are x_step apart, or, turned, rows do and k is x_step apart. */
typedef struct fa_rows_call {
    int64_t rows, depth, x_step, w_step, y_step;
    const float *x, *w;
    float *y;
    bool turned;
    bool add; /* to what y holds */
} fa_rows_call;

/* P rows from row r on. Their addresses are few sums of few registers. */
FA_INLINE void fa_rows_block(const fa_rows_call *call, const int64_t r, const int P, const int V, const bool turned)
{
    fv acc[FA_ROWS_MOST * FA_PANEL];
    const int64_t row_step = turned ? 1 : call->x_step, k_step = turned ? call->x_step : 1, w_step = call->w_step;
    const bool add = call->add;
    const float *w = call->w, *x[FA_ROWS_MOST / 4];
    FA_UNROLL
    for (int i = 0; i < P; i += 4)
        x[i / 4] = call->x + (r + i) * row_step;
    FA_UNROLL
    for (int i = 0; i < P * V; i++)
        acc[i] = fv_zero();
    for (int i = 0; i < P && add; i++)
        FA_UNROLL
    for (int v = 0; v < V; v++)
        fa_prefetch_write(call->y + (r + i) * call->y_step + v * FV_LANES);
    for (int64_t k = 0; k < call->depth; k++) {
        fv weight[FA_PANEL];
        FA_UNROLL
        for (int v = 0; v < V; v++)
            weight[v] = fv_load(w + v * FV_LANES);
        FA_UNROLL
        for (int i = 0; i < P; i++) {
            const fv value = fv_set1(x[i / 4][i % 4 * row_step]);
            FA_UNROLL
            for (int v = 0; v < V; v++)
                acc[i * V + v] = fv_fma(value, weight[v], acc[i * V + v]);
        }
        FA_UNROLL
        for (int i = 0; i < P; i += 4)
            x[i / 4] += k_step;
        w += w_step;
    }
    if (add) {
        FA_UNROLL
        for (int i = 0; i < P; i++)
            FA_UNROLL
        for (int v = 0; v < V; v++)
            acc[i * V + v] = fv_load(call->y + (r + i) * call->y_step + v * FV_LANES) + acc[i * V + v];
    }
    FA_UNROLL
    for (int i = 0; i < P; i++)
        FA_UNROLL
    for (int v = 0; v < V; v++)
        fv_store(call->y + (r + i) * call->y_step + v * FV_LANES, acc[i * V + v]);
}

/* Runs a tile of `rows` rows and `vectors` vectors; rows is one of the sizes above. */
void FA_ISA(fa_tile)(const fa_tile_call *call, int rows, int vectors);
void FA_ISA(fa_tile_pooled)(const fa_tile_call *call, int rows, int vectors);
void FA_ISA(fa_tile_rows_run)(const fa_rows_call *call, int vectors);

#endif
