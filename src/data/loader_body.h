/* The loader's own state, shared by the files loader*.c.
 *
 * Batch k of a loop lies in slot k % slot_count. The looping thread takes indices from the sampler (so all draws happen
 * on it, in the order that a loader without workers has) and queues slots; workers take queued slots in order and fill
 * them; the looping thread waits for its next one. Fields that depend on random numbers of the default generator are
 * left open by workers: once their batch is asked for, the looping thread draws for all items in order, and it and the
 * workers finish the fields in parts.
 *
 * Invariants, numbers of batches within one loop:
 *   delivered <= taken <= queued <= delivered + slot_count
 *   slots [delivered, taken) are a worker's until `ready`, [taken, queued) wait, all others are the looping thread's;
 *   late is the slot being finished, or NULL: parts of it from late_next on are free, late_busy are being done;
 *   taken, queued, ready, busy, initialised, stop and late... are read and written under `mutex`. */
#ifndef FA_DATA_LOADER_BODY_H
#define FA_DATA_LOADER_BODY_H

#include "data/loader.h"

#include <pthread.h>

enum { FA_LOADER_NOTES = 10 };

typedef struct fa_loader_slot {
    fa_collate batch;
    fa_collate made;  /* of `batch`, by a collate callback */
    int64_t *indices; /* [batch_size] */
    int64_t n;
    bool ready, fine;
    int64_t failed_late;   /* the late field that `error` is of; -1: it came before them */
    fa_error_record error; /* when not fine */
} fa_loader_slot;

struct fa_loader_body;

/* A thread that fetches, or the looping thread where there is none. */
typedef struct fa_loader_worker {
    struct fa_loader_body *loader;
    pthread_t thread;
    int number;
    bool begun;            /* .worker_init was called, and raised no error */
    void *state;           /* what it returned */
    fa_error_record error; /* of .worker_init */
} fa_loader_worker;

typedef struct fa_loader_body {
    fa_dataset *dataset;             /* held */
    fa_sampler *sampler;             /* held; NULL: `rule` says the order */
    fa_batch_sampler *batch_sampler; /* held; its sampler or rule, batch_size and drop_last are the loader's */
    fa_sampler_body rule;            /* sequential or permuted, without a sampler */
    fa_generator *generator;
    int64_t batch_size;
    bool drop_last;
    int num_workers, prefetch_factor;
    bool skip;             /* bad items are left out */
    int64_t max_bad_items; /* as given; INT64_MIN: a tenth */
    void *user;
    bool (*collate)(void *user, const fa_items *items, fa_sample *batch);
    void *(*worker_init)(void *user, int worker);
    void (*worker_end)(void *user, void *state);

    /* the loop that is running */
    bool active;
    uint64_t loop;     /* counts loops */
    uint32_t thread;   /* of the loop */
    uint64_t scope_id; /* of its current batch */
    fa_where where;
    fa_order order;
    bool at_end; /* no more batches to queue */
    bool halted; /* no more batches to hand out */
    int64_t delivered;
    int64_t handed;              /* of them, those that had items */
    int64_t bad_items;           /* left out so far */
    int64_t bad_limit;           /* more end the loop */
    char *note[FA_LOADER_NOTES]; /* messages of the first ones; owned */
    fa_loader_position *start;   /* of the next loop; NULL: its beginning */

    fa_loader_slot *slots;
    int64_t slot_count;
    fa_loader_worker *workers; /* [num_workers], at least 1 */
    int thread_count;          /* threads that run; 0: the looping thread is worker 0 */
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    int initialised; /* threads that have called .worker_init */
    int64_t taken, queued;
    int busy;
    fa_loader_slot *late;
    int64_t late_next;
    int late_busy;
    bool stop;
    atomic_bool cancel;
} fa_loader_body;

struct fa_loader {
    fa_object object;
};

static inline const fa_sampler_body *fa_loader_rule(const fa_loader_body *loader)
{
    if (loader->batch_sampler != NULL) {
        const fa_batch_sampler_body *batches = loader->batch_sampler->object.body;
        return batches->sampler != NULL ? batches->sampler->object.body : &batches->rule;
    }
    return loader->sampler != NULL ? loader->sampler->object.body : &loader->rule;
}

/* Threads (loader_workers.c). start: those that are wanted and not there yet; fewer, down to none, when the system
 * gives no more; false after an error of .worker_init. stop: ends and joins them. */
bool fa_loader_start_workers(fa_loader_body *loader);
void fa_loader_stop_workers(fa_loader_body *loader);
/* Fills a slot on the looping thread. */
void fa_loader_fill(fa_loader_body *loader, fa_loader_slot *s);
/* Draws for the batch that is asked for, has its late fields finished, and makes it. */
void fa_loader_finish(fa_loader_body *loader, fa_loader_slot *s);

/* The loop that is to begin starts where the position says, which has served its time then (loader_position.c). False
 * after an error. */
bool fa_loader_begin_at(fa_loader_body *loader, fa_where where);

#endif
