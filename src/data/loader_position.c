/* Positions of orders: told, and found again by drawing one block of indices a second time; and of loaders. */
#include "data/loader_body.h"

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

/* ---- Of loaders -------------------------------------------------------------------------------------------------- */

static fa_loader_form form_of(const fa_loader_body *loader)
{
    const fa_sampler_body *rule = fa_loader_rule(loader);
    int64_t items = fa_sampler_items(rule, loader->dataset);
    return (fa_loader_form){.items = items,
                            .total = fa_sampler_total(rule, items),
                            .batch_size = loader->batch_size,
                            .kind = rule->kind,
                            .drop_last = loader->drop_last,
                            .generator = loader->generator != NULL,
                            .sampler_generator = loader->sampler != NULL && rule->generator != NULL};
}

static void copy_generator(fa_mt *to, fa_generator *generator)
{
    generator = fa_generator_or_default(generator);
    *to = *fa_generator_lock(generator);
    fa_generator_unlock(generator);
}

static void set_generator(fa_generator *generator, const fa_mt *from)
{
    generator = fa_generator_or_default(generator);
    *fa_generator_lock(generator) = *from;
    fa_generator_unlock(generator);
}

static void set_generators(const fa_loader_body *loader, const fa_loader_position *position)
{
    set_generator(NULL, &position->standard);
    if (position->form.generator)
        set_generator(loader->generator, &position->generator);
    if (position->form.sampler_generator)
        set_generator(fa_loader_rule(loader)->generator, &position->sampler_generator);
}

/* False after raising an error: a position of another loader. */
static bool check_form(const fa_loader_body *loader, const fa_loader_position *position, fa_where where)
{
    fa_loader_form form = form_of(loader);
    char text[256];
    const char *difference = fa_loader_form_difference(&form, &position->form, text, sizeof text);
    return difference == NULL || fa_fail(FA_STATE_ERROR, where, "position of a loader",
                                         "got a loader that cannot go on where the saved one stood: %s.", difference);
}

bool fa_loader_begin_at(fa_loader_body *loader, fa_where where)
{
    fa_loader_position *start = loader->start;
    if (!check_form(loader, start, where))
        return false;
    if (!fa_order_seek(&loader->order, &start->order))
        return fa_fail(FA_STATE_ERROR, where, "position of a loader", "got a position that the order does not have.");
    loader->delivered = start->batches;
    set_generators(loader, start);
    fa_mfree(start);
    loader->start = NULL;
    return true;
}

static fa_loader_body *use_loader(fa_loader *loader, const char *what, fa_where where)
{
    return fa_object_check((fa_object *)loader, &fa_loader_class, what, where) ? loader->object.body : NULL;
}

bool fa_loader_describe(fa_loader *loader, fa_loader_form *form, fa_where where)
{
    const fa_loader_body *body = use_loader(loader, "position of a loader", where);
    if (body != NULL)
        *form = form_of(body);
    return body != NULL;
}

bool fa_loader_tell(fa_loader *loader, fa_loader_position *position, fa_where where)
{
    const fa_loader_body *body = use_loader(loader, "position of a loader", where);
    if (body == NULL)
        return false;
    position->form = form_of(body);
    position->batches = body->active ? body->delivered : -1;
    if (body->active) {
        int64_t given = body->delivered * body->batch_size, total = position->form.total;
        fa_order_tell(&body->order, given < total ? given : total, &position->order);
    }
    copy_generator(&position->standard, NULL);
    if (position->form.generator)
        copy_generator(&position->generator, body->generator);
    if (position->form.sampler_generator)
        copy_generator(&position->sampler_generator, fa_loader_rule(body)->generator);
    return true;
}

bool fa_loader_seek(fa_loader *loader, const fa_loader_position *position, fa_where where)
{
    fa_loader_body *body = use_loader(loader, "position of a loader", where);
    if (body == NULL)
        return false;
    if (position->batches < 0) {
        if (!check_form(body, position, where))
            return false;
        set_generators(body, position);
        return true;
    }
    if (body->start == NULL && (body->start = fa_malloc(sizeof *body->start)) == NULL)
        return fa_fail_memory(where, sizeof *body->start);
    *body->start = *position;
    return true;
}

void fa_loader_halt(fa_loader *loader)
{
    fa_loader_body *body = loader != NULL ? loader->object.body : NULL;
    if (body != NULL)
        body->halted = true;
}
