/* Places in the arena: each block has a lifetime in steps; blocks whose lifetimes meet must not overlap. Largest first,
 * each at the lowest offset that is free during its life. Where an elementwise kernel's input dies at its step, the
 * result takes over the input's block. */
#include "plan/plan.h"

#include <stdlib.h>

static size_t aligned(size_t bytes)
{
    return (bytes + FA_ALIGNMENT - 1) / FA_ALIGNMENT * FA_ALIGNMENT;
}

static void rename_block(fa_plan *plan, int first_step, int from, int to)
{
    for (int s = first_step; s < plan->n_steps; s++) {
        fa_step *step = &plan->steps[s];
        for (int i = 0; i < FA_MAX_INPUTS; i++)
            if (step->in[i] == from)
                step->in[i] = to;
        for (int i = 0; i < FA_MAX_OUTPUTS; i++)
            if (step->out[i] == from)
                step->out[i] = to;
    }
}

static void reuse_in_place(fa_plan *plan)
{
    for (int s = 0; s < plan->n_steps; s++) {
        fa_step *step = &plan->steps[s];
        int in = step->in[0], out = step->out[0];
        if (!step->in_place_allowed || in < 0 || out < 0 || in == out)
            continue;
        fa_block *input = &plan->blocks[in], *output = &plan->blocks[out];
        bool again = false; /* the same block as another input, which the kernel reads after it wrote */
        for (int i = 1; i < FA_MAX_INPUTS; i++)
            again |= step->in[i] == in;
        if (input->kind != FA_IN_ARENA || output->kind != FA_IN_ARENA || input->last != s || again ||
            input->bytes != output->bytes)
            continue;
        input->last = output->last;
        output->first = INT32_MAX; /* no longer used */
        output->bytes = 0;
        rename_block(plan, s, out, in);
    }
}

typedef struct order {
    size_t bytes;
    int block;
} order;

static int by_size(const void *a, const void *b)
{
    const order *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->block - y->block;
}

static bool meet(const fa_block *a, const fa_block *b)
{
    return a->first <= b->last && b->first <= a->last;
}

void fa_plan_place_blocks(fa_plan *plan)
{
    reuse_in_place(plan);
    order *list = fa_malloc((size_t)(plan->n_blocks + 1) * sizeof *list);
    int n = 0;
    for (int k = 0; k < plan->n_blocks; k++)
        if (plan->blocks[k].kind == FA_IN_ARENA && plan->blocks[k].last >= 0 && plan->blocks[k].first != INT32_MAX) {
            if (list != NULL)
                list[n] = (order){plan->blocks[k].bytes, k};
            else { /* without memory for the list: one after another */
                plan->blocks[k].offset = plan->arena_bytes;
                plan->arena_bytes += aligned(plan->blocks[k].bytes);
            }
            n++;
        }
    if (list == NULL)
        return;
    qsort(list, (size_t)n, sizeof *list, by_size);
    for (int k = 0; k < n; k++) {
        fa_block *block = &plan->blocks[list[k].block];
        size_t offset = 0;
        bool moved = true;
        while (moved) {
            moved = false;
            for (int j = 0; j < k; j++) {
                const fa_block *other = &plan->blocks[list[j].block];
                if (meet(block, other) && offset < other->offset + aligned(other->bytes) &&
                    other->offset < offset + aligned(block->bytes)) {
                    offset = other->offset + aligned(other->bytes);
                    moved = true;
                }
            }
        }
        block->offset = offset;
        if (offset + aligned(block->bytes) > plan->arena_bytes)
            plan->arena_bytes = offset + aligned(block->bytes);
    }
    fa_mfree(list);
}
