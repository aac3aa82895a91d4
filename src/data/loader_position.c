/* Positions of orders: told, and found again by drawing one block of indices a second time. */
#include "data/loader.h"

#include <stdio.h>

void fa_order_tell(const fa_order *order, int64_t given, fa_order_position *position)
{
    *position = (fa_order_position){.given = given, .started = order->started, .dry = order->dry};
    if (!order->started || given == order->total)
        return;
    if (order->own_seed) {
        position->seed = order->seed;
    } else {
        /* What was pulled ahead came from this same block: another one would have been a visible draw. */
        position->next = order->next - (order->given - given);
        position->has_before = true;
        position->before = order->before;
    }
}

/* Blocks of the order's own engine up to the one that holds index `given`. */
static void seek_with_engine(fa_order *order, int64_t given)
{
    fa_mt_seed(&order->engine, order->seed);
    order->given = 0;
    for (;;) {
        fa_order_draw(order, &order->engine);
        if (given - order->given <= order->have)
            break;
        order->given += order->have;
    }
    order->next = given - order->given;
    order->given = given;
}

bool fa_order_seek(fa_order *order, const fa_order_position *position)
{
    if (position->given < 0 || position->given > order->total)
        return false;
    order->started = position->started;
    order->dry = position->dry;
    order->given = position->given;
    if (!position->started || position->given == order->total || order->kind == FA_SAMPLE_SEQUENTIAL)
        return true;
    if (order->own_seed) {
        order->seed = position->seed;
        seek_with_engine(order, position->given);
        return true;
    }
    if (order->kind == FA_SAMPLE_OWN || order->kind == FA_SAMPLE_OWN_BATCH)
        return false; /* the program's callbacks know no positions */
    if (!position->has_before || position->next < 0 || position->next > position->given)
        return false;
    fa_mt mt = order->before = position->before;
    order->given -= position->next;
    fa_order_draw(order, &mt);
    order->next = position->next;
    order->given = position->given;
    return order->next <= order->have;
}

const char *fa_loader_form_difference(const fa_loader_form *now, const fa_loader_form *then, char *text, size_t size)
{
    const struct {
        const char *what;
        int64_t now, then;
    } numbers[] = {{"items in the data set", now->items, then->items},
                   {"items in a loop", now->total, then->total},
                   {"batch_size", now->batch_size, then->batch_size},
                   {"drop_last", now->drop_last, then->drop_last},
                   {"kind of order (shuffle, sampler)", now->kind, then->kind},
                   {"generators of the loader's own", now->generator, then->generator},
                   {"generators of the sampler's own", now->sampler_generator, then->sampler_generator}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].now != numbers[i].then) {
            snprintf(text, size, "%s: got %lld, needs %lld", numbers[i].what, (long long)numbers[i].now,
                     (long long)numbers[i].then);
            return text;
        }
    return NULL;
}
