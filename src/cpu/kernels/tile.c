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
