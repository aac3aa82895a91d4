/* Where a loop over a loader stands, taken and given back: what a checkpoint in the middle of an epoch needs.
 *
 * A position holds no indices. The block of indices in use (a permutation, or 32 draws) is drawn again from the state
 * that the generator had before it was drawn; what has happened to the generator since does not matter. */
#ifndef FA_DATA_LOADER_H
#define FA_DATA_LOADER_H

#include "data/sampler.h"

/* Which loader it was: a position fits no other. */
typedef struct fa_loader_form {
    int64_t items; /* to choose from */
    int64_t total; /* in a loop */
    int64_t batch_size;
    int64_t kind; /* fa_sampler_kind */
    bool drop_last;
    bool generator; /* the loader has one of its own, which draws the base seed, and without a sampler the order */
    bool sampler_generator; /* the order is drawn from a generator of the sampler's own */
} fa_loader_form;

typedef struct fa_loader_position {
    fa_loader_form form;
    int64_t batches;                    /* handed out; -1: no loop was running */
    fa_order_position order;            /* after them */
    fa_mt standard;                     /* the default generator */
    fa_mt generator, sampler_generator; /* where `form` says that there are such */
} fa_loader_position;

/* What the loader is like; false after an error. */
bool fa_loader_describe(fa_loader *loader, fa_loader_form *form, fa_where where);
/* Of its data set; false after an error. */
bool fa_loader_fingerprint(fa_loader *loader, fa_fingerprint *print, fa_where where);
/* Inside a loop of the calling thread: the state after the batch that was handed out last; outside: the generators
 * alone. A few kilobytes are copied. False after an error. */
bool fa_loader_tell(fa_loader *loader, fa_loader_position *position, fa_where where);
/* The next loop begins there: it draws nothing for what was handed out before, fetches none of it, and sets the
 * generators as they were. A position outside loops sets them now. The position must be of the loader's form: that is
 * checked when the loop begins. False after an error. */
bool fa_loader_seek(fa_loader *loader, const fa_loader_position *position, fa_where where);
/* The loop that is running hands out no more batches. */
void fa_loader_halt(fa_loader *loader);

/* "got ..., needs ..." of the first difference between what a loader is and what it was; NULL if there is none.
 * `text` is where it is written. */
const char *fa_loader_form_difference(const fa_loader_form *now, const fa_loader_form *then, char *text, size_t size);

#endif
