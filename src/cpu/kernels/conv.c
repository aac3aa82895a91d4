/* Direct convolution on channels-last images: tiles of positions times a panel of output channels, no copy but the
 * zero-padded one. A position is a pointer, so tiles run over the flattened positions of all images. */
#include "cpu/kernels/conv.h"

#include "cpu/kernels/conv_nine.h"
#include "cpu/kernels/tile.h"

enum { MIN_TASKS = 32, POSITIONS = 216, POSITIONS_LEAST = 36, PANEL_FLOATS = 160 * 1024 };

typedef struct conv_context {
    fa_conv_job job;
    int64_t panels, positions, chunk, chunks; /* positions of a task: outputs, or pool windows */
    int64_t depth;
} conv_context;

/* Walks the lattice in row-major order. */
typedef struct position {
    int64_t image, row, column;
} position;

static position position_at(const fa_conv_job *job, int64_t index)
{
    const int64_t plane = job->rows * job->columns;
    return (position){index / plane, index % plane / job->columns, index % job->columns};
}

static inline void step(const fa_conv_job *job, position *at)
{
    if (++at->column < job->columns)
        return;
    at->column = 0;
    if (++at->row < job->rows)
        return;
    at->row = 0;
    at->image++;
}

static inline int64_t y_offset(const fa_conv_job *job, const position *at)
{
    return at->image * job->y_image + at->row * job->y_row + at->column * job->y_column;
}

static void plain_tiles(const fa_conv_job *job, fa_tile_call *tile, int vectors, const float *x, float *y,
                        int64_t begin, int64_t end)
{
    position at = position_at(job, begin);
    for (int64_t p = begin; p < end;) {
        const int rows = fa_tile_take(vectors, end - p);
        for (int i = 0; i < rows; i++) {
            tile->x[i] = x + at.image * job->x_image + at.row * job->x_row + at.column * job->x_column;
            tile->y[i] = y + y_offset(job, &at);
            step(job, &at);
        }
        FA_ISA(fa_tile)(tile, rows, vectors);
        p += rows;
    }
}

static void pooled_tiles(const fa_conv_job *job, fa_tile_call *tile, int vectors, const float *x, float *y,
                         uint8_t *winner, int64_t begin, int64_t end)
{
    position at = position_at(job, begin);
    for (int64_t p = begin; p < end;) {
        const int windows = fa_pool_tile_take(vectors, 4 * (end - p)) / 4;
        for (int i = 0; i < windows; i++) {
            const float *corner = x + at.image * job->x_image + 2 * at.row * job->x_row + 2 * at.column * job->x_column;
            tile->x[4 * i] = corner;
            tile->x[4 * i + 1] = corner + job->x_column;
            tile->x[4 * i + 2] = corner + job->x_row;
            tile->x[4 * i + 3] = corner + job->x_row + job->x_column;
            tile->y[i] = y + y_offset(job, &at);
            tile->winner[i] = winner + y_offset(job, &at);
            step(job, &at);
        }
        FA_ISA(fa_tile_pooled)(tile, 4 * windows, vectors);
        p += windows;
    }
}

/* Whether the nine taps are three runs of three under outputs one float apart; in a pool, rows one row apart too. */
static bool is_nine(const conv_context *c)
{
    const fa_conv_job *job = &c->job;
    return c->depth == 9 && job->run_count == 3 && job->x_column == 1 && job->in_channels == 1 &&
           (!job->winner || (job->runs[1] - job->runs[0] == job->x_row && job->runs[2] - job->runs[1] == job->x_row));
}

static void nine_rows(const fa_conv_job *job, const fa_tile_call *tile, const float *x, float *y, uint8_t *winner,
                      int64_t begin, int64_t end)
{
    position at = position_at(job, begin);
    fa_nine_call call = {.y_step = job->y_column,
                         .w = tile->w,
                         .w_step = tile->w_step,
                         .bias = tile->bias,
                         .columns = tile->columns,
                         .relu = job->relu};
    for (int64_t p = begin; p < end; p += call.count) {
        const int64_t scale = winner ? 2 : 1;
        const float *corner =
            x + at.image * job->x_image + scale * at.row * job->x_row + scale * at.column * job->x_column;
        for (int r = 0; r < 3; r++)
            call.x[r] = corner + job->runs[r];
        call.x[3] = call.x[2] + job->x_row;
        call.y = y + y_offset(job, &at);
        call.winner = winner ? winner + y_offset(job, &at) : NULL;
        call.count = fa_min64(end - p, job->columns - at.column);
        FA_ISA(fa_conv_nine)(&call);
        at.column += call.count - 1;
        step(job, &at);
    }
}

static void conv_task(void *context, int64_t index)
{
    const conv_context *c = context;
    const fa_conv_job *job = &c->job;
    const int64_t chunk = index % c->chunks, panel = index / c->chunks % c->panels;
    const int64_t group = index / c->chunks / c->panels;
    const int64_t begin = chunk * c->chunk, end = fa_min64(c->positions, begin + c->chunk);
    const int64_t o = panel * FA_PANEL_COLUMNS, columns = fa_min64(FA_PANEL_COLUMNS, job->out_channels - o);
    const int vectors = (int)fa_blocks(columns, FV_LANES);
    const int64_t channel = group * job->out_channels + o;
    const float *x = job->x + group * job->in_channels;
    const float *w = job->w + fa_conv_packed_size(group, c->depth, job->out_channels) + c->depth * o;
    const float *bias = job->bias ? job->bias + channel : NULL;
    fa_tile_call tile = {.run_length = job->run_length,
                         .x_step = 1,
                         .w_step = vectors * FV_LANES,
                         .runs = job->runs,
                         .run_count = job->run_count,
                         .w = w,
                         .bias = bias,
                         .columns = columns};
    if (is_nine(c)) {
        nine_rows(job, &tile, x, job->y + channel, job->winner ? job->winner + channel : NULL, begin, end);
        return;
    }
    if (job->winner) {
        pooled_tiles(job, &tile, vectors, x, job->y + channel, job->winner + channel, begin, end);
        return;
    }
    /* Weights that exceed the cache are used in parts; the chains of sums go on through y, so the bits are the same. */
    const int64_t run_floats = fa_max64(1, job->run_length * tile.w_step);
    const int64_t part = fa_max64(1, fa_min64(job->run_count, PANEL_FLOATS / run_floats));
    int64_t run = 0;
    do {
        const int64_t runs = fa_min64(part, job->run_count - run);
        const bool last = run + runs == job->run_count;
        tile.runs = job->runs + run;
        tile.run_count = runs;
        tile.w = w + run * run_floats;
        tile.bias = last ? bias : NULL;
        tile.flags = (run > 0 ? FA_TILE_CONTINUE : 0) | (last && job->relu ? FA_TILE_RELU : 0);
        plain_tiles(job, &tile, vectors, x, job->y + channel, begin, end);
        run += runs;
    } while (run < job->run_count);
}

void FA_ISA(fa_conv_run)(const fa_conv_job *job)
{
    conv_context c = {.job = *job};
    c.positions = job->images * job->rows * job->columns;
    c.panels = fa_blocks(job->out_channels, FA_PANEL_COLUMNS);
    c.depth = job->run_count * job->run_length;
    if (c.positions == 0 || c.panels == 0)
        return;
    const int64_t outputs = c.panels * job->groups, window = job->winner ? 4 : 1;
    c.chunk = POSITIONS / window;
    if (outputs * fa_blocks(c.positions, c.chunk) < MIN_TASKS) {
        const int64_t even = fa_blocks(c.positions * outputs, MIN_TASKS);
        c.chunk = fa_min64(c.chunk, fa_round_up(even, POSITIONS_LEAST / window));
    }
    c.chunks = fa_blocks(c.positions, c.chunk);
    fa_run_tasks(c.chunks * outputs, conv_task, &c,
                 2.0 * (double)(c.positions * window) * (double)(job->out_channels * job->groups) * (double)c.depth);
}

/* ---- The zero-padded copy ---------------------------------------------------------------------------------------- */

static void copy_or_clear(float *to, const float *from, int64_t n)
{
    if (from)
        memcpy(to, from, (size_t)n * sizeof(float));
    else
        memset(to, 0, (size_t)n * sizeof(float));
}

enum { PAD_FLOATS = 16 * 1024 };

static int64_t pad_rows(const fa_conv_padding *p)
{
    return fa_max64(1, PAD_FLOATS / fa_max64(1, p->padded_width * p->channels));
}

static void pad_task(void *context, int64_t index)
{
    const fa_conv_padding *p = context;
    const int64_t rows = pad_rows(p), end = fa_min64(p->images * p->padded_height, (index + 1) * rows);
    const int64_t left = fa_min64(p->padded_width, fa_max64(0, p->before[1]));
    const int64_t from = fa_max64(0, -p->before[1]);
    const int64_t inside = fa_max64(0, fa_min64(p->padded_width - left, p->width - from));
    const int64_t right = p->padded_width - left - inside;
    for (int64_t r = index * rows; r < end; r++) {
        const int64_t image = r / p->padded_height, row = r % p->padded_height - p->before[0];
        float *to = p->padded + r * p->padded_width * p->channels;
        if (row < 0 || row >= p->height || inside == 0) {
            copy_or_clear(to, NULL, p->padded_width * p->channels);
            continue;
        }
        const float *x = p->x + ((image * p->height + row) * p->width + from) * p->channels;
        copy_or_clear(to, NULL, left * p->channels);
        copy_or_clear(to + left * p->channels, x, inside * p->channels);
        copy_or_clear(to + (left + inside) * p->channels, NULL, right * p->channels);
    }
}

void FA_ISA(fa_conv_pad)(const fa_conv_padding *padding)
{
    fa_conv_padding p = *padding;
    const int64_t rows = p.images * p.padded_height;
    fa_run_tasks(fa_blocks(rows, pad_rows(&p)), pad_task, &p, (double)rows * (double)(p.padded_width * p.channels));
}

bool FA_ISA(fa_conv_padding_is_small)(const fa_conv_padding *p, int64_t out)
{
    const int64_t limit = 16 * (p->height * p->width * p->channels + out) + (1 << 20);
    int64_t plane, floats;
    if (__builtin_mul_overflow(p->padded_height, p->padded_width, &plane) ||
        __builtin_mul_overflow(plane, fa_max64(1, p->channels), &floats))
        return false;
    return floats <= limit;
}
