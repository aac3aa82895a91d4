/* Whether there is memory for a plan, asked before it takes any: the system grants more than it has and ends the
 * process when the pages are touched. */
#include "plan/plan.h"

#include "base/error.h"

enum { UNASKED = 64 << 20 /* plans below it are not held against the system: that costs reading files of /proc */ };

static uint64_t available(uint64_t held)
{
    const uint64_t bytes = fa_available_memory("");
    return bytes < UINT64_MAX - held ? bytes + held : UINT64_MAX;
}

/* Images of a step: the first dimension of the largest result of a layer; 0: no layer. */
static int64_t batch_size(const fa_run *run)
{
    int64_t images = 0, largest = 0;
    for (int r = 0; r < run->n_nodes; r++) {
        const fa_node *node = run->nodes[r];
        if ((node->op != FA_OP_conv2d && node->op != FA_OP_linear) || node->meta.ndim < 2)
            continue;
        const int64_t elements = fa_meta_numel(&node->meta);
        if (elements > largest) {
            largest = elements;
            images = node->meta.shape[0];
        }
    }
    return images;
}

/* Whether the block's size follows the batch's: a step reads or writes it as a value with as many rows. Of scratch it
 * is not known, so that it counts as fixed, which makes the batch that is named smaller. */
static bool follows_batch(const fa_plan *plan, int k, int64_t images)
{
    const fa_block *block = &plan->blocks[k];
    for (int s = block->first; s <= block->last && s < plan->n_steps; s++) {
        const fa_step *step = &plan->steps[s];
        for (int i = 0; i < FA_MAX_INPUTS; i++)
            if (step->in[i] == k && step->in_meta[i].shape[0] == images)
                return true;
        for (int i = 0; i < FA_MAX_OUTPUTS; i++)
            if (step->out[i] == k && step->out_meta[i].shape[0] == images)
                return true;
    }
    return false;
}

/* Bytes that the plan would need with `batch` images: its blocks cut to size and placed again. */
static uint64_t needed_with(const fa_plan *plan, fa_block *blocks, const bool *follows, int64_t images, int64_t batch)
{
    uint64_t kept = 0;
    for (int k = 0; k < plan->n_blocks; k++) {
        blocks[k] = plan->blocks[k];
        if (follows[k])
            blocks[k].bytes = (size_t)((double)blocks[k].bytes / (double)images * (double)batch) + 1;
        if (blocks[k].kind == FA_IN_SURVIVOR)
            kept += blocks[k].bytes;
    }
    fa_plan cut = {.blocks = blocks, .n_blocks = plan->n_blocks};
    fa_plan_place_blocks(&cut);
    return cut.arena_bytes + kept;
}

/* The largest batch that fits; 0: none, or nothing tells. */
static int64_t fitting_batch(const fa_plan *plan, int64_t images, uint64_t has)
{
    if (images == 0)
        return 0;
    fa_block *blocks = fa_malloc((size_t)(plan->n_blocks + 1) * sizeof *blocks);
    bool *follows = fa_malloc((size_t)(plan->n_blocks + 1) * sizeof *follows);
    int64_t fits = 0, too_many = images;
    if (blocks != NULL && follows != NULL) {
        for (int k = 0; k < plan->n_blocks; k++)
            follows[k] = follows_batch(plan, k, images);
        while (too_many - fits > 1) {
            const int64_t batch = fits + (too_many - fits) / 2;
            if (needed_with(plan, blocks, follows, images, batch) <= has)
                fits = batch;
            else
                too_many = batch;
        }
    }
    fa_mfree(blocks);
    fa_mfree(follows);
    return fits;
}

bool fa_plan_fits(const fa_plan *plan, const fa_run *run, size_t held)
{
    uint64_t needed = 0, given_up = 0;
    if (plan->arena_bytes > held) {
        needed = plan->arena_bytes;
        given_up = held;
    }
    for (int r = 0; r < run->n_nodes; r++)
        if (plan->survivors[r] >= 0)
            needed += plan->blocks[plan->survivors[r]].bytes;
    if (needed < UNASKED || needed <= available(given_up))
        return true;
    fa_buffer_pool_trim();
    const uint64_t has = available(given_up);
    if (needed <= has)
        return true;
    const double mib = 1.0 / (1 << 20);
    const int64_t images = batch_size(run);
    const int64_t fitting = fitting_batch(plan, images, has);
    if (fitting > 0)
        return fa_fail(FA_MEMORY_ERROR, fa_current_where(), NULL,
                       "got a batch of %lld, whose step needs %.0f MiB beside weights and data, needs one within the "
                       "%.0f MiB that this machine or container has left. Hint: a batch of %lld fits.",
                       (long long)images, (double)needed * mib, (double)has * mib, (long long)fitting);
    return fa_fail(FA_MEMORY_ERROR, fa_current_where(), NULL,
                   "got a step that needs %.0f MiB beside weights and data, needs one within the %.0f MiB that this "
                   "machine or container has left. Hint: smaller images or a smaller network.",
                   (double)needed * mib, (double)has * mib);
}
