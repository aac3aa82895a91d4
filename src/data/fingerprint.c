/* Whether a data set is the one that it was: two numbers that follow from its items, found without reading them. */
#include "data/loader_body.h"

#include <string.h>

enum { LOOKED_AT = 4096 }; /* items, spread over the data set: a look at each of a million files takes too long */

uint64_t fa_fingerprint_add(uint64_t so_far, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    uint64_t word;
    so_far ^= bytes;
    for (; bytes > 0; bytes -= bytes < sizeof word ? bytes : sizeof word, at += sizeof word) {
        word = 0;
        memcpy(&word, at, bytes < sizeof word ? bytes : sizeof word);
        so_far = (so_far ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        so_far ^= so_far >> 29;
    }
    return so_far;
}

static void add(uint64_t *so_far, uint64_t number)
{
    *so_far = fa_fingerprint_add(*so_far, &number, sizeof number);
}

static void add_item(fa_fingerprint *print, const fa_dataset_body *own, int64_t index, bool look)
{
    int64_t target;
    if (own->kind->target != NULL && own->kind->target(own->data, index, &target))
        add(&print->items, (uint64_t)target);
    if (own->kind->trace == NULL)
        return;
    const fa_item_trace trace = own->kind->trace(own->data, index, look);
    add(&print->items, trace.name);
    add(&print->contents, trace.content);
}

fa_fingerprint fa_dataset_fingerprint(const fa_dataset_body *body)
{
    fa_fingerprint print = {1, 1};
    const int64_t n = body->kind->length(body->data), step = n / LOOKED_AT + 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t index = i;
        const fa_dataset_body *own = fa_dataset_innermost(body, &index);
        if (own != NULL)
            add_item(&print, own, index, i % step == 0);
    }
    /* What is not in the part is often what validates it. */
    int64_t first = 0;
    const fa_dataset_body *whole = fa_dataset_innermost(body, &first);
    if (whole != NULL && whole != body && whole->kind->length(whole->data) != n) {
        const fa_fingerprint all = fa_dataset_fingerprint(whole);
        add(&print.contents, all.items);
        add(&print.contents, all.contents);
    }
    return print;
}

bool fa_loader_fingerprint(fa_loader *loader, fa_fingerprint *print, fa_where where)
{
    if (!fa_object_check((fa_object *)loader, &fa_loader_class, "position of a loader", where))
        return false;
    const fa_loader_body *body = loader->object.body;
    *print = fa_dataset_fingerprint(body->dataset->object.body);
    return true;
}
