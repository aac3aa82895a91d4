/* The order in which a loop visits items, drawn as PyTorch's samplers draw it. */
#ifndef FA_DATA_SAMPLER_H
#define FA_DATA_SAMPLER_H

#include "data/dataset.h"

typedef enum fa_sampler_kind {
    FA_SAMPLE_SEQUENTIAL,
    FA_SAMPLE_PERMUTED, /* permutations of the items, one after the other */
    FA_SAMPLE_REPLACED, /* draws with replacement, 32 at a time */
    FA_SAMPLE_SUBSET,   /* one permutation of given indices */
    FA_SAMPLE_WEIGHTED, /* one draw of all by weight */
    FA_SAMPLE_LIST,     /* given indices as they are */
    FA_SAMPLE_OWN,      /* the program's callback writes a pass */
    FA_SAMPLE_OWN_BATCH /* the program's callback writes one batch after the other */
} fa_sampler_kind;

typedef struct fa_sampler_body {
    fa_sampler_kind kind;
    fa_dataset *dataset;     /* held; NULL: subset */
    int64_t num_samples;     /* INT64_MIN: the data set's length */
    fa_generator *generator; /* NULL: the default one */
    int64_t *indices;        /* [num_samples], subset and list; owned */
    double *weights;         /* [weight_count], weighted; owned */
    int64_t weight_count;
    bool replacement;            /* weighted */
    fa_sampler_new_args own;     /* callbacks of a pass */
    fa_batch_sampler_args batch; /* callbacks of a batch */
} fa_sampler_body;

struct fa_sampler {
    fa_object object;
};

extern const fa_object_kind fa_sampler_class, fa_batch_sampler_class;

/* BatchSampler: another sampler's indices in groups, or a rule of kind FA_SAMPLE_OWN_BATCH. */
typedef struct fa_batch_sampler_body {
    fa_sampler *sampler; /* held; NULL: `rule` */
    fa_sampler_body rule;
    int64_t batch_size;
    bool drop_last;
} fa_batch_sampler_body;

struct fa_batch_sampler {
    fa_object object;
};

/* One pass. Draws happen in blocks, each when the first index of it is wanted; a draw from a generator that the program
 * can see (`shared`) happens only when a batch is asked for, never ahead of it. */
typedef struct fa_order {
    fa_sampler_kind kind;
    int64_t n;     /* items to choose from */
    int64_t total; /* indices in a pass */
    int64_t given; /* handed out so far */
    const fa_sampler_body *rule;
    fa_generator *generator;
    fa_choice *choices; /* scratch, weighted */
    fa_where where;
    bool own_seed; /* blocks come from `engine`, seeded from the default generator before the first block */
    bool started, dry;
    uint64_t seed; /* of `engine`, once started */
    fa_mt before;  /* without own_seed: the generator before it drew the block */
    fa_mt engine;
    int64_t *block; /* [capacity] */
    int64_t capacity, have, next;
} fa_order;

/* Starts a pass; draws nothing. False after an error. `sampler` holds num_samples resolved by `n`. */
bool fa_order_begin(fa_order *order, const fa_sampler_body *sampler, int64_t n, fa_where where);
/* The next indices, at most `want`; fewer at the end only (or where the program says how many make a batch). -1: they
 * need a draw from a shared generator, and nobody has `asked` yet; or an error was raised. */
int64_t fa_order_pull(fa_order *order, int64_t *out, int64_t want, bool asked);
/* Someone asked beyond the last index: PyTorch's permutations draw once more and throw it away. Once a pass. */
void fa_order_run_dry(fa_order *order);
void fa_order_free(fa_order *order);
/* The next block of indices. */
void fa_order_draw(fa_order *order, fa_mt *mt);

/* Where an order stands after some of its indices; see data/loader.h. */
typedef struct fa_order_position {
    int64_t given;
    int64_t next; /* of them, in the block in use (without own_seed) */
    bool started, dry;
    uint64_t seed;   /* with own_seed */
    bool has_before; /* without, within a block */
    fa_mt before;
} fa_order_position;

/* The position after the first `given` indices, the last of which were pulled by a batch that was asked for; what was
 * pulled ahead of it does not count. */
void fa_order_tell(const fa_order *order, int64_t given, fa_order_position *position);
/* Brings an order that has just begun there. False, and the order is of no use, when it has no such position. */
bool fa_order_seek(fa_order *order, const fa_order_position *position);
/* Items that the sampler chooses from: of its own data set, else of the loader's. */
int64_t fa_sampler_items(const fa_sampler_body *sampler, fa_dataset *dataset);
/* Indices in a pass over n items; batches, of a kind that makes batches. */
int64_t fa_sampler_total(const fa_sampler_body *sampler, int64_t n);

#endif
