/* The instances of the register tile: for each number of vectors the largest number of rows, and 4, 2 and 1. Each is a
 * function of its own, so that the compiler gives its sums registers. */
#include "cpu/kernels/tile.h"

#define FA_INSTANCES(V, P)                                                                                             \
    static __attribute__((noinline)) void largest_##V(const fa_tile_call *call)                                        \
    {                                                                                                                  \
        fa_tile_run(call, P, V);                                                                                       \
    }                                                                                                                  \
    static __attribute__((noinline)) void four_##V(const fa_tile_call *call)                                           \
    {                                                                                                                  \
        fa_tile_run(call, 4, V);                                                                                       \
    }                                                                                                                  \
    static __attribute__((noinline)) void two_##V(const fa_tile_call *call)                                            \
    {                                                                                                                  \
        fa_tile_run(call, 2, V);                                                                                       \
    }                                                                                                                  \
    static __attribute__((noinline)) void one_##V(const fa_tile_call *call)                                            \
    {                                                                                                                  \
        fa_tile_run(call, 1, V);                                                                                       \
    }
FA_TILES(FA_INSTANCES)

#define FA_ROWS_INSTANCE(name, P, V, turned)                                                                           \
    static __attribute__((noinline)) void name(const fa_rows_call *call)                                               \
    {                                                                                                                  \
        int64_t r = 0;                                                                                                 \
        for (; r + (P) <= call->rows; r += (P))                                                                        \
            fa_rows_block(call, r, P, V, turned);                                                                      \
        for (; r + 4 <= call->rows; r += 4)                                                                            \
            fa_rows_block(call, r, 4, V, turned);                                                                      \
        for (; r + 2 <= call->rows; r += 2)                                                                            \
            fa_rows_block(call, r, 2, V, turned);                                                                      \
        for (; r < call->rows; r++)                                                                                    \
            fa_rows_block(call, r, 1, V, turned);                                                                      \
    }
#define FA_ROWS_INSTANCES(V, P)                                                                                        \
    FA_ROWS_INSTANCE(rows_##V, P, V, false)                                                                            \
    FA_ROWS_INSTANCE(turned_rows_##V, P, V, true)
FA_ROWS_TILES(FA_ROWS_INSTANCES)

#define FA_POOL_INSTANCES(V, P)                                                                                        \
    static __attribute__((noinline)) void pooled_largest_##V(const fa_tile_call *call)                                 \
    {                                                                                                                  \
        fa_tile_run_pooled(call, P, V);                                                                                \
    }                                                                                                                  \
    static __attribute__((noinline)) void pooled_four_##V(const fa_tile_call *call)                                    \
    {                                                                                                                  \
        fa_tile_run_pooled(call, 4, V);                                                                                \
    }
FA_POOL_TILES(FA_POOL_INSTANCES)

typedef void (*instance)(const fa_tile_call *call);

void FA_ISA(fa_tile)(const fa_tile_call *call, int rows, int vectors)
{
#define FA_ROW(V, P) [V] = {one_##V, two_##V, four_##V, largest_##V},
    static const instance table[FA_PANEL + 1][4] = {FA_TILES(FA_ROW)};
    table[vectors][rows == 1 ? 0 : rows == 2 ? 1 : rows == 4 ? 2 : 3](call);
}

void FA_ISA(fa_tile_pooled)(const fa_tile_call *call, int rows, int vectors)
{
#define FA_POOL_ROW(V, P) [V] = {pooled_four_##V, pooled_largest_##V},
    static const instance table[FA_PANEL + 1][2] = {FA_POOL_TILES(FA_POOL_ROW)};
    table[vectors][rows == 4 ? 0 : 1](call);
}

void FA_ISA(fa_tile_rows_run)(const fa_rows_call *call, int vectors)
{
#define FA_MANY(V, P) [V] = {rows_##V, turned_rows_##V},
    static void (*const table[FA_PANEL + 1][2])(const fa_rows_call *call) = {FA_ROWS_TILES(FA_MANY)};
    table[vectors][call->turned](call);
}
