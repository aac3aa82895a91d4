/* The results of a direct convolution whose patch reaches into the padding, once more without it: a weight that is not
 * finite times a padding's 0 is NaN, where the convolution has no such product. Run after the whole, and only when
 * there is such a weight. Sums go over the taps that lie inside, in the order of the whole. */
#include "cpu/kernels/conv.h"
#include "cpu/kernels/tile.h"

typedef struct border {
    const fa_conv_job *job;
    const fa_conv_taps *taps;
    int64_t panels;
} border;

static bool is_inside(const fa_conv_taps *t, int64_t tap, int64_t i, int64_t j, int64_t *row, int64_t *column)
{
    *row = i * t->row_step + t->row[tap];
    *column = j * t->column_step + t->column[tap];
    return *row >= 0 && *row < t->height && *column >= 0 && *column < t->width;
}

static bool is_border(const fa_conv_taps *t, int64_t i, int64_t j)
{
    int64_t row, column;
    for (int64_t tap = 0; tap < t->count; tap++)
        if (!is_inside(t, tap, i, j, &row, &column))
            return true;
    return false;
}

/* y[columns] of output (i, j) of an image in one panel. */
static void sum(const border *b, int64_t image, int64_t i, int64_t j, int64_t group, int64_t panel, bool whole,
                float *y)
{
    const fa_conv_job *job = b->job;
    const fa_conv_taps *t = b->taps;
    const int64_t o = panel * FA_PANEL_COLUMNS, columns = fa_min64(FA_PANEL_COLUMNS, job->out_channels - o);
    const int vectors = (int)fa_blocks(columns, FV_LANES);
    const int64_t depth = t->count * job->in_channels, step = vectors * FV_LANES;
    const float *w = job->w + fa_conv_packed_size(group, depth, job->out_channels) + depth * o;
    const float *x = t->x + image * t->height * t->width * t->channels + group * job->in_channels;
    static const int64_t run = 0;
    fa_tile_call tile = {.y = {y},
                         .runs = &run,
                         .run_count = 1,
                         .run_length = job->in_channels,
                         .x_step = 1,
                         .w_step = step,
                         .columns = columns};
    for (int64_t c = 0; c < columns; c++)
        y[c] = 0;
    for (int64_t tap = 0; tap < t->count; tap++) {
        int64_t row, column;
        if (!is_inside(t, tap, i, j, &row, &column))
            continue;
        tile.x[0] = x + (row * t->width + column) * t->channels;
        tile.w = w + tap * job->in_channels * step;
        tile.flags = FA_TILE_CONTINUE;
        FA_ISA(fa_tile)(&tile, 1, vectors);
    }
    for (int64_t c = 0; c < columns && whole; c++) {
        if (job->bias)
            y[c] += job->bias[group * job->out_channels + o + c];
        if (job->relu && y[c] < 0)
            y[c] = 0;
    }
}

static void window(const border *b, int64_t image, int64_t i, int64_t j, int64_t group, int64_t panel)
{
    const fa_conv_job *job = b->job;
    const int64_t o = panel * FA_PANEL_COLUMNS, columns = fa_min64(FA_PANEL_COLUMNS, job->out_channels - o);
    const int64_t channel = group * job->out_channels + o;
    const int64_t at = image * job->y_image + i * job->y_row + j * job->y_column + channel;
    float sums[4][FA_PANEL_COLUMNS] = {{0}};
    for (int k = 0; k < 4; k++)
        sum(b, image, 2 * i + k / 2, 2 * j + k % 2, group, panel, false, sums[k]);
    for (int64_t c = 0; c < columns; c += FV_LANES) {
        const int64_t n = fa_min64(FV_LANES, columns - c);
        const fv all[4] = {fv_load(sums[0] + c), fv_load(sums[1] + c), fv_load(sums[2] + c), fv_load(sums[3] + c)};
        const fv bias = job->bias ? fv_load_n(job->bias + channel + c, n) : fv_zero();
        fi winner;
        const fv best = fa_pool_window(all, 1, bias, &winner);
        fv_store_n(job->y + at + c, best, n);
        fi_store_u8_n(job->winner + at + c, winner, n);
    }
}

static void row_task(void *context, int64_t index)
{
    const border *b = context;
    const fa_conv_job *job = b->job;
    const int64_t image = index / job->rows, i = index % job->rows;
    for (int64_t j = 0; j < job->columns; j++) {
        bool touched = false;
        if (job->winner)
            for (int k = 0; k < 4; k++)
                touched = touched || is_border(b->taps, 2 * i + k / 2, 2 * j + k % 2);
        else
            touched = is_border(b->taps, i, j);
        for (int64_t part = 0; part < job->groups * b->panels && touched; part++) {
            const int64_t group = part / b->panels, panel = part % b->panels;
            const int64_t channel = group * job->out_channels + panel * FA_PANEL_COLUMNS;
            if (job->winner)
                window(b, image, i, j, group, panel);
            else
                sum(b, image, i, j, group, panel, true,
                    job->y + image * job->y_image + i * job->y_row + j * job->y_column + channel);
        }
    }
}

void FA_ISA(fa_conv_redo_border)(const fa_conv_job *job, const fa_conv_taps *taps)
{
    border b = {.job = job, .taps = taps, .panels = fa_blocks(job->out_channels, FA_PANEL_COLUMNS)};
    fa_parallel(job->images * job->rows, row_task, &b);
}
