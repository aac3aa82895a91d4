/* Convolution of one channel with 3x3 taps side by side (a first layer on grey pictures): nine products an output are
 * too few for the general tile's set-up, so the weights of one or two vectors of channels stay in registers and the
 * row's outputs go by. Sums are the general tile's, in its order. */
#include "cpu/simd.h"

#include "cpu/kernels/common.h"
#include "cpu/kernels/conv_nine.h"
#include "cpu/kernels/tile.h"

#if defined(FA_CPU_ISA_avx512) || defined(FA_CPU_ISA_neon)
enum { NINE_VECTORS = 2 };
#else
enum { NINE_VECTORS = 1 };
#endif

FA_INLINE void nine_outputs(const fa_nine_call *call, const int V, const int64_t from)
{
    fv w[9 * NINE_VECTORS], bias[NINE_VECTORS];
    const int64_t tail = call->columns - from - (V - 1) * FV_LANES, step = call->y_step, count = call->count;
    FA_UNROLL
    for (int k = 0; k < 9; k++)
        FA_UNROLL
    for (int v = 0; v < V; v++)
        w[k * V + v] = fv_load(call->w + k * call->w_step + from + v * FV_LANES);
    FA_UNROLL
    for (int v = 0; v < V; v++)
        bias[v] = call->bias ? fv_load_n(call->bias + from + v * FV_LANES, v < V - 1 ? FV_LANES : tail) : fv_zero();
    const float *x0 = call->x[0], *x1 = call->x[1], *x2 = call->x[2];
    float *y = call->y + from;
    const bool relu = call->relu, with_bias = call->bias != NULL, whole = tail >= FV_LANES;
    for (int64_t j = 0; j < count; j++, y += step) {
        fv acc[NINE_VECTORS];
        FA_UNROLL
        for (int v = 0; v < V; v++)
            acc[v] = fv_zero();
        FA_UNROLL
        for (int k = 0; k < 9; k++) {
            const fv value = fv_set1((k < 3 ? x0 : k < 6 ? x1 : x2)[j + k % 3]);
            FA_UNROLL
            for (int v = 0; v < V; v++)
                acc[v] = fv_fma(value, w[k * V + v], acc[v]);
        }
        FA_UNROLL
        for (int v = 0; v < V; v++) {
            if (with_bias)
                acc[v] += bias[v];
            if (relu)
                acc[v] = fv_relu(acc[v]);
            if (v < V - 1 || whole)
                fv_store(y + v * FV_LANES, acc[v]);
            else
                fv_store_n(y + v * FV_LANES, acc[v], tail);
        }
    }
}

FA_INLINE void nine_windows(const fa_nine_call *call, const int V, const int64_t from)
{
    fv w[9 * NINE_VECTORS], bias[NINE_VECTORS];
    const int64_t tail = call->columns - from - (V - 1) * FV_LANES, step = call->y_step, count = call->count;
    FA_UNROLL
    for (int k = 0; k < 9; k++)
        FA_UNROLL
    for (int v = 0; v < V; v++)
        w[k * V + v] = fv_load(call->w + k * call->w_step + from + v * FV_LANES);
    FA_UNROLL
    for (int v = 0; v < V; v++)
        bias[v] = call->bias ? fv_load_n(call->bias + from + v * FV_LANES, v < V - 1 ? FV_LANES : tail) : fv_zero();
    const float *x0 = call->x[0], *x1 = call->x[1], *x2 = call->x[2], *x3 = call->x[3];
    float *y = call->y + from;
    uint8_t *place = call->winner + from;
    for (int64_t j = 0; j < 2 * count; j += 2, y += step, place += step) {
        fv acc[4 * NINE_VECTORS];
        FA_UNROLL
        for (int i = 0; i < 4 * V; i++)
            acc[i] = fv_zero();
        FA_UNROLL
        for (int k = 0; k < 9; k++) {
            FA_UNROLL
            for (int i = 0; i < 4; i++) {
                const int row = k / 3 + i / 2;
                const fv value = fv_set1((row == 0 ? x0 : row == 1 ? x1 : row == 2 ? x2 : x3)[j + k % 3 + i % 2]);
                FA_UNROLL
                for (int v = 0; v < V; v++)
                    acc[i * V + v] = fv_fma(value, w[k * V + v], acc[i * V + v]);
            }
        }
        FA_UNROLL
        for (int v = 0; v < V; v++) {
            fi winner;
            const fv best = fa_pool_window(acc + v, V, bias[v], &winner);
            fv_store_n(y + v * FV_LANES, best, v < V - 1 ? FV_LANES : tail);
            fi_store_u8_n(place + v * FV_LANES, winner, v < V - 1 ? FV_LANES : tail);
        }
    }
}

static __attribute__((noinline)) void outputs_1(const fa_nine_call *call, int64_t from)
{
    nine_outputs(call, 1, from);
}
static __attribute__((noinline)) void outputs_n(const fa_nine_call *call, int64_t from)
{
    nine_outputs(call, NINE_VECTORS, from);
}
static __attribute__((noinline)) void windows_1(const fa_nine_call *call, int64_t from)
{
    nine_windows(call, 1, from);
}
static __attribute__((noinline)) void windows_n(const fa_nine_call *call, int64_t from)
{
    nine_windows(call, NINE_VECTORS, from);
}

void FA_ISA(fa_conv_nine)(const fa_nine_call *call)
{
    for (int64_t from = 0; from < call->columns;) {
        const bool many = call->columns - from > (NINE_VECTORS - 1) * FV_LANES;
        if (call->winner)
            (many ? windows_n : windows_1)(call, from);
        else
            (many ? outputs_n : outputs_1)(call, from);
        from += (many ? NINE_VECTORS : 1) * FV_LANES;
    }
}
