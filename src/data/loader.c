/* The loader: batches in order, fetched by the calling thread or ahead of it by workers.
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
 *   taken, queued, ready, busy, stop and late... are read and written under `mutex`. */
#include "data/loader.h"
#include "base/pool.h"
#include "tensor/thread.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

enum { MAX_WORKERS = 256, MAX_PREFETCH = 1024, LATE_PART = 4 /* fields finished at a time */ };

typedef struct slot {
    fa_collate batch;
    int64_t *indices; /* [batch_size] */
    int64_t n;
    bool ready, fine;
    fa_error_record error; /* when not fine */
} slot;

typedef struct loader_body {
    fa_dataset *dataset;             /* held */
    fa_sampler *sampler;             /* held; NULL: `rule` says the order */
    fa_batch_sampler *batch_sampler; /* held; its sampler or rule, batch_size and drop_last are the loader's */
    fa_sampler_body rule;            /* sequential or permuted, without a sampler */
    fa_generator *generator;
    int64_t batch_size;
    bool drop_last;
    int num_workers, prefetch_factor;

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
    fa_loader_position *start; /* of the next loop; NULL: its beginning */

    slot *slots;
    int64_t slot_count;
    pthread_t *threads;
    int thread_count;
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    int64_t taken, queued;
    int busy;
    slot *late;
    int64_t late_next;
    int late_busy;
    bool stop;
    atomic_bool cancel;
} loader_body;

struct fa_loader {
    fa_object object;
};

/* ---- Filling a slot ---------------------------------------------------------------------------------------------- */

/* On the looping thread, or ahead of it on a worker, which has no error set. */
static void fill(loader_body *loader, slot *s, bool ahead)
{
    fa_collate_begin(&s->batch, s->n, loader->where, &loader->cancel);
    s->batch.ahead = ahead;
    s->fine = fa_dataset_fetch(loader->dataset->object.body, s->indices, s->n, &s->batch);
    if (!s->fine)
        fa_error_take(&s->error);
}

static bool has_late_part(const loader_body *loader)
{
    return loader->late != NULL && loader->late_next < loader->late->batch.late_count;
}

/* Finishes a few late fields; under the mutex, which is released meanwhile. */
static void finish_part(loader_body *loader)
{
    slot *s = loader->late;
    int64_t begin = loader->late_next, left = s->batch.late_count - begin;
    int64_t end = begin + (left < LATE_PART ? left : LATE_PART);
    loader->late_next = end;
    loader->late_busy++;
    pthread_mutex_unlock(&loader->mutex);
    fa_error_record error = {.kind = FA_NO_ERROR};
    bool fine = fa_collate_finish(&s->batch, begin, end);
    if (!fine)
        fa_error_take(&error);
    pthread_mutex_lock(&loader->mutex);
    loader->late_busy--;
    if (!fine && s->fine) {
        s->fine = false;
        s->error = error;
    }
}

/* Draws for the batch that is asked for, and has its late fields finished. */
static void finish(loader_body *loader, slot *s)
{
    if (!s->fine || s->batch.late_count == 0)
        return;
    if (!fa_collate_draw(&s->batch)) {
        s->fine = false;
        fa_error_take(&s->error);
        return;
    }
    pthread_mutex_lock(&loader->mutex);
    loader->late = s;
    loader->late_next = 0;
    pthread_cond_broadcast(&loader->work);
    while (has_late_part(loader))
        finish_part(loader);
    while (loader->late_busy > 0)
        pthread_cond_wait(&loader->done, &loader->mutex);
    loader->late = NULL;
    pthread_mutex_unlock(&loader->mutex);
}

static void *worker(void *argument)
{
    loader_body *loader = argument;
    fa_thread_name("fa-loader");
    fa_generator_refuse_default(true);
    pthread_mutex_lock(&loader->mutex);
    for (;;) {
        while (!loader->stop && loader->taken == loader->queued && !has_late_part(loader))
            pthread_cond_wait(&loader->work, &loader->mutex);
        if (loader->stop)
            break;
        if (has_late_part(loader)) {
            finish_part(loader);
            pthread_cond_signal(&loader->done);
            continue;
        }
        slot *s = &loader->slots[loader->taken++ % loader->slot_count];
        loader->busy++;
        pthread_mutex_unlock(&loader->mutex);
        fa_budget_enter();
        fill(loader, s, true);
        fa_budget_leave();
        pthread_mutex_lock(&loader->mutex);
        s->ready = true;
        loader->busy--;
        pthread_cond_signal(&loader->done);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

/* Starts the workers that are wanted and not there yet; fewer, down to none, when the system gives no more. */
static void start_workers(loader_body *loader)
{
    if (loader->thread_count == loader->num_workers)
        return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (loader->thread_count < loader->num_workers &&
           pthread_create(&loader->threads[loader->thread_count], NULL, worker, loader) == 0)
        loader->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Slots and worker threads, at the first loop. False after an error. */
static bool prepare_slots(loader_body *loader)
{
    if (loader->slots == NULL) {
        size_t workers = (size_t)loader->num_workers;
        size_t count = workers > 0 ? workers * (size_t)loader->prefetch_factor : 1;
        size_t indices, bytes;
        if (!fa_mul_size(count * sizeof(int64_t), (size_t)loader->batch_size, &indices) ||
            !fa_add_size(indices, count * sizeof(slot), &bytes) ||
            !fa_add_size(bytes, workers * sizeof(pthread_t), &bytes))
            return fa_fail_memory(loader->where, SIZE_MAX);
        slot *slots = fa_calloc(count, sizeof *slots);
        int64_t *all = fa_malloc(indices);
        pthread_t *threads = workers > 0 ? fa_malloc(workers * sizeof *threads) : NULL;
        if (slots == NULL || all == NULL || (workers > 0 && threads == NULL)) {
            fa_mfree(slots);
            fa_mfree(all);
            fa_mfree(threads);
            return fa_fail_memory(loader->where, bytes);
        }
        for (size_t i = 0; i < count; i++)
            slots[i].indices = all + i * (size_t)loader->batch_size;
        loader->slots = slots;
        loader->slot_count = (int64_t)count;
        loader->threads = threads;
    }
    start_workers(loader);
    return true;
}

/* ---- A loop ------------------------------------------------------------------------------------------------------ */

static const fa_sampler_body *rule_of(const loader_body *loader)
{
    if (loader->batch_sampler != NULL) {
        const fa_batch_sampler_body *batches = loader->batch_sampler->object.body;
        return batches->sampler != NULL ? batches->sampler->object.body : &batches->rule;
    }
    return loader->sampler != NULL ? loader->sampler->object.body : &loader->rule;
}

/* Ends the loop: what is queued is dropped, what is being fetched is waited for. */
static void end_loop(loader_body *loader)
{
    if (!loader->active)
        return;
    atomic_store(&loader->cancel, true);
    pthread_mutex_lock(&loader->mutex);
    loader->queued = loader->taken;
    while (loader->busy > 0)
        pthread_cond_wait(&loader->done, &loader->mutex);
    pthread_mutex_unlock(&loader->mutex);
    atomic_store(&loader->cancel, false);
    for (int64_t i = 0; i < loader->slot_count; i++)
        fa_collate_release(&loader->slots[i].batch);
    loader->active = false;
}

/* Queues batches while there is room. Only the next batch to be delivered may draw from a generator that the program
 * can see. */
static void queue_batches(loader_body *loader, bool asked)
{
    while (!loader->at_end && loader->queued < loader->delivered + loader->slot_count) {
        slot *s = &loader->slots[loader->queued % loader->slot_count];
        int64_t n =
            fa_order_pull(&loader->order, s->indices, loader->batch_size, asked && loader->queued == loader->delivered);
        if (n < 0)
            return;
        if (n == 0 || (loader->drop_last && n < loader->batch_size)) {
            loader->at_end = true;
            return;
        }
        s->n = n;
        s->ready = false;
        pthread_mutex_lock(&loader->mutex);
        loader->queued++;
        pthread_cond_signal(&loader->work);
        pthread_mutex_unlock(&loader->mutex);
    }
}

/* The next batch, filled; NULL at the end. */
static slot *next_slot(loader_body *loader)
{
    queue_batches(loader, true);
    if (loader->delivered == loader->queued) {
        fa_order_run_dry(&loader->order);
        return NULL;
    }
    slot *s = &loader->slots[loader->delivered % loader->slot_count];
    if (s->n < loader->batch_size)
        fa_order_run_dry(&loader->order);
    if (loader->thread_count == 0) {
        loader->taken++;
        fill(loader, s, false);
        return s;
    }
    pthread_mutex_lock(&loader->mutex);
    while (!s->ready)
        pthread_cond_wait(&loader->done, &loader->mutex);
    pthread_mutex_unlock(&loader->mutex);
    finish(loader, s);
    return s;
}

static bool scope_is_open(const fa_thread *thread, uint64_t id)
{
    for (const fa_scope_frame *frame = thread->scope; frame != NULL; frame = frame->parent)
        if (frame->id == id)
            return true;
    return false;
}

/* Whether an earlier loop over the loader is still running; one that was left by a jump out of its scope is not. */
static bool in_another_loop(const loader_body *loader, const fa_thread *thread)
{
    return loader->active && (loader->thread != thread->id || scope_is_open(thread, loader->scope_id));
}

/* Ends a loop that was left by a jump, and its hold. */
static void end_abandoned_loop(fa_loader *loader, const fa_thread *thread)
{
    loader_body *body = loader->object.body;
    if (!body->active || in_another_loop(body, thread))
        return;
    end_loop(body);
    fa_object_drop(&loader->object);
}

static fa_loader_form form_of(const loader_body *loader)
{
    const fa_sampler_body *rule = rule_of(loader);
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

static void set_generators(const loader_body *loader, const fa_loader_position *position)
{
    set_generator(NULL, &position->standard);
    if (position->form.generator)
        set_generator(loader->generator, &position->generator);
    if (position->form.sampler_generator)
        set_generator(rule_of(loader)->generator, &position->sampler_generator);
}

/* False after raising an error: a position of another loader. */
static bool check_form(const loader_body *loader, const fa_loader_position *position, fa_where where)
{
    fa_loader_form form = form_of(loader);
    char text[256];
    const char *difference = fa_loader_form_difference(&form, &position->form, text, sizeof text);
    return difference == NULL || fa_fail(FA_STATE_ERROR, where, "position of a loader",
                                         "got a loader that cannot go on where the saved one stood: %s.", difference);
}

/* The loop begins at loader->start, which has served its time then. False after an error. */
static bool begin_at(loader_body *loader, fa_where where)
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

static bool begin_loop(loader_body *loader, const fa_thread *thread, fa_where where)
{
    if (loader->active)
        return fa_fail(FA_STATE_ERROR, where, "fa_for_each_batch",
                       "got a loader that is in a loop already (%s:%d), needs one that is free. Hint: make a second "
                       "loader over the same data set.",
                       loader->where.file, loader->where.line);
    fa_dataset_body *set = loader->dataset->object.body;
    const fa_sampler_body *rule = rule_of(loader);
    loader->where = where;
    if (!prepare_slots(loader) || !fa_dataset_prepare(set) ||
        !fa_order_begin(&loader->order, rule, fa_sampler_items(rule, loader->dataset), where))
        return false;
    loader->at_end = loader->halted = false;
    loader->delivered = 0;
    if (loader->start == NULL) {
        fa_generator *generator = fa_generator_or_default(loader->generator);
        (void)fa_mt_random_int64(fa_generator_lock(generator)); /* the base seed, which nothing here uses */
        fa_generator_unlock(generator);
    } else if (!begin_at(loader, where)) {
        return false;
    }
    loader->active = true;
    loader->loop++;
    loader->thread = thread->id;
    loader->scope_id = 0;
    pthread_mutex_lock(&loader->mutex);
    loader->taken = loader->queued = loader->delivered;
    pthread_mutex_unlock(&loader->mutex);
    return true;
}

fa_batch fa_batches_begin_(fa_loader *loader, fa_where where)
{
    fa_batch batch = {.index = -1, .where_ = where};
    if (!fa_ok() || !fa_object_check((fa_object *)loader, &fa_loader_class, "fa_for_each_batch", where))
        return batch;
    fa_thread *thread = fa_thread_get();
    if (thread == NULL)
        return batch;
    loader_body *body = loader->object.body;
    fa_object_borrow(&loader->object);
    end_abandoned_loop(loader, thread);
    if (!begin_loop(body, thread, where)) {
        fa_object_drop(&loader->object);
        return batch;
    }
    batch.loader_ = loader;
    batch.loop_ = body->loop;
    return batch;
}

/* The body while the batch's loop is the one that runs. */
static loader_body *running(const fa_batch *batch)
{
    loader_body *loader = batch->loader_ != NULL ? batch->loader_->object.body : NULL;
    return loader != NULL && loader->active && loader->loop == batch->loop_ ? loader : NULL;
}

static bool deliver(loader_body *loader, fa_batch *batch)
{
    slot *s = next_slot(loader);
    if (s == NULL)
        return false;
    fa_begin(batch->where_);
    bool fine = s->fine;
    if (fine)
        fine = fa_collate_tensors(&s->batch, true, batch);
    else
        fa_error_put(&s->error);
    fa_collate_release(&s->batch);
    batch->index = loader->delivered++;
    if (fine)
        queue_batches(loader, false);
    return fine;
}

bool fa_batches_more_(fa_batch *batch)
{
    loader_body *loader = running(batch);
    if (loader == NULL || loader->halted || !fa_ok())
        return false;
    batch->scope_ = fa_scope_begin_at(batch->where_);
    loader->scope_id = batch->scope_.id_;
    if (batch->scope_.id_ != 0 && deliver(loader, batch))
        return true;
    memset(batch->item, 0, sizeof batch->item);
    batch->n = 0;
    batch->size = 0;
    return false;
}

void fa_batches_next_(fa_batch *batch)
{
    fa_scope_end_(&batch->scope_);
    memset(batch->item, 0, sizeof batch->item);
}

void fa_batches_end_(fa_batch *batch)
{
    if (batch->scope_.id_ != 0)
        fa_scope_end_(&batch->scope_);
    loader_body *loader = running(batch);
    if (loader != NULL)
        end_loop(loader);
    fa_object_drop((fa_object *)batch->loader_);
    batch->loader_ = NULL;
}

/* ---- Positions (data/loader.h) ----------------------------------------------------------------------------------- */

static loader_body *use_loader(fa_loader *loader, const char *what, fa_where where)
{
    return fa_object_check((fa_object *)loader, &fa_loader_class, what, where) ? loader->object.body : NULL;
}

bool fa_loader_describe(fa_loader *loader, fa_loader_form *form, fa_where where)
{
    const loader_body *body = use_loader(loader, "position of a loader", where);
    if (body != NULL)
        *form = form_of(body);
    return body != NULL;
}

bool fa_loader_tell(fa_loader *loader, fa_loader_position *position, fa_where where)
{
    const loader_body *body = use_loader(loader, "position of a loader", where);
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
        copy_generator(&position->sampler_generator, rule_of(body)->generator);
    return true;
}

bool fa_loader_seek(fa_loader *loader, const fa_loader_position *position, fa_where where)
{
    loader_body *body = use_loader(loader, "position of a loader", where);
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
    loader_body *body = loader != NULL ? loader->object.body : NULL;
    if (body != NULL)
        body->halted = true;
}

/* ---- The object -------------------------------------------------------------------------------------------------- */

static void destroy_loader(void *body)
{
    loader_body *loader = body;
    end_loop(loader);
    pthread_mutex_lock(&loader->mutex);
    loader->stop = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    for (int i = 0; i < loader->thread_count; i++)
        pthread_join(loader->threads[i], NULL);
    pthread_mutex_destroy(&loader->mutex);
    pthread_cond_destroy(&loader->work);
    pthread_cond_destroy(&loader->done);
    if (loader->slots != NULL)
        fa_mfree(loader->slots[0].indices);
    fa_mfree(loader->slots);
    fa_mfree(loader->threads);
    fa_order_free(&loader->order);
    fa_mfree(loader->start);
    if (loader->generator != NULL)
        fa_generator_release(loader->generator);
    fa_object_drop((fa_object *)loader->sampler);
    fa_object_drop((fa_object *)loader->batch_sampler);
    fa_object_drop((fa_object *)loader->dataset);
    fa_mfree(loader);
}

const fa_object_kind fa_loader_class = {"loader", destroy_loader};

static bool check_args(const fa_data_loader_args *args, int64_t length)
{
    static const char *const call = "fa_data_loader";
    if (args->batch_size < 1)
        return fa_fail(FA_VALUE_ERROR, args->where_, call,
                       "got batch_size %lld, needs at least 1. Hint: 32 and 64 are usual.",
                       (long long)args->batch_size);
    if (args->num_workers < 0 || args->num_workers > MAX_WORKERS)
        return fa_fail(FA_VALUE_ERROR, args->where_, call,
                       "got num_workers %d, needs 0 to %d. Hint: 0 fetches on the calling thread.", args->num_workers,
                       MAX_WORKERS);
    if (args->prefetch_factor < 1 || args->prefetch_factor > MAX_PREFETCH)
        return fa_fail(FA_VALUE_ERROR, args->where_, call, "got prefetch_factor %d, needs 1 to %d.",
                       args->prefetch_factor, MAX_PREFETCH);
    if (args->sampler != NULL && args->shuffle)
        return fa_fail(FA_VALUE_ERROR, args->where_, call,
                       "got a sampler and shuffle, needs one of them. Hint: the sampler says the order.");
    if (args->batch_sampler != NULL &&
        (args->sampler != NULL || args->shuffle || args->drop_last || args->batch_size != 1))
        return fa_fail(
            FA_VALUE_ERROR, args->where_, call,
            "got a batch_sampler and %s, needs one of them. Hint: the batch sampler says what makes a batch.",
            args->sampler != NULL ? "a sampler"
            : args->shuffle       ? "shuffle"
            : args->drop_last     ? "drop_last"
                                  : "batch_size");
    if (args->shuffle && length <= 0)
        return fa_fail(
            FA_VALUE_ERROR, args->where_, call,
            "got a data set of %lld items to shuffle, needs at least 1. Hint: is it the right folder or part?",
            (long long)length);
    return true;
}

fa_loader *fa_data_loader_at(const fa_data_loader_args *args)
{
    fa_object *given[3] = {(fa_object *)args->dataset, (fa_object *)args->sampler, (fa_object *)args->batch_sampler};
    fa_dataset_body *set = fa_dataset_use(args->dataset, "fa_data_loader", args->where_);
    bool fine =
        set != NULL &&
        (args->sampler == NULL || fa_object_check(given[1], &fa_sampler_class, "fa_data_loader", args->where_)) &&
        (args->batch_sampler == NULL ||
         fa_object_check(given[2], &fa_batch_sampler_class, "fa_data_loader", args->where_)) &&
        check_args(args, set->kind->length(set->data));
    loader_body *loader = fine ? fa_calloc(1, sizeof *loader) : NULL;
    fa_object *object = loader != NULL ? fa_object_new(&fa_loader_class, loader) : NULL;
    if (object == NULL) {
        if (fine)
            fa_fail_memory(args->where_, sizeof *loader);
        fa_mfree(loader);
        return NULL;
    }
    fa_object_hold(given[0]);
    fa_object_hold(given[1]);
    fa_object_hold(given[2]);
    loader->dataset = args->dataset;
    loader->sampler = args->sampler;
    loader->batch_sampler = args->batch_sampler;
    loader->generator = args->generator != NULL ? fa_generator_retain(args->generator) : NULL;
    loader->rule = (fa_sampler_body){.kind = args->shuffle ? FA_SAMPLE_PERMUTED : FA_SAMPLE_SEQUENTIAL,
                                     .num_samples = INT64_MIN,
                                     .generator = args->generator};
    const fa_batch_sampler_body *batches = given[2] != NULL ? given[2]->body : NULL;
    loader->batch_size = batches != NULL ? batches->batch_size : args->batch_size;
    loader->drop_last = batches != NULL ? batches->drop_last : args->drop_last;
    loader->num_workers = set->draws ? 0 : args->num_workers;
    loader->prefetch_factor = args->prefetch_factor;
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->done, NULL);
    return (fa_loader *)object;
}

int64_t fa_loader_length_at(fa_loader *loader, fa_where where)
{
    if (!fa_object_check((fa_object *)loader, &fa_loader_class, "fa_length", where))
        return -1;
    const loader_body *body = loader->object.body;
    const fa_sampler_body *rule = rule_of(body);
    int64_t total = fa_sampler_total(rule, fa_sampler_items(rule, body->dataset));
    if (rule->kind == FA_SAMPLE_OWN_BATCH)
        return total;
    return body->drop_last ? total / body->batch_size : total / body->batch_size + (total % body->batch_size != 0);
}

fa_loader *fa_loader_retain(fa_loader *loader)
{
    fa_object_retain((fa_object *)loader);
    return loader;
}

void fa_loader_free(fa_loader *loader)
{
    fa_thread *thread = loader != NULL && loader->object.body != NULL ? fa_thread_get() : NULL;
    if (thread != NULL)
        end_abandoned_loop(loader, thread);
    fa_object_free((fa_object *)loader);
}
