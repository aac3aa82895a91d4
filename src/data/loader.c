/* The loader: batches in order, fetched by the calling thread or ahead of it by workers. loader_body.h says how they
 * work together. */
#include "data/loader_body.h"
#include "tensor/thread.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_WORKERS = 256, MAX_PREFETCH = 1024 };

/* Slots and workers, at the first loop. False after an error. */
static bool prepare_slots(fa_loader_body *loader)
{
    if (loader->slots == NULL) {
        size_t workers = (size_t)(loader->num_workers > 0 ? loader->num_workers : 1);
        size_t count = loader->num_workers > 0 ? workers * (size_t)loader->prefetch_factor : 1;
        size_t indices, bytes;
        if (!fa_mul_size(count * sizeof(int64_t), (size_t)loader->batch_size, &indices) ||
            !fa_add_size(indices, count * sizeof(fa_loader_slot), &bytes) ||
            !fa_add_size(bytes, workers * sizeof(fa_loader_worker), &bytes))
            return fa_fail_memory(loader->where, SIZE_MAX);
        fa_loader_slot *slots = fa_calloc(count, sizeof *slots);
        int64_t *all = fa_malloc(indices);
        fa_loader_worker *threads = fa_calloc(workers, sizeof *threads);
        if (slots == NULL || all == NULL || threads == NULL) {
            fa_mfree(slots);
            fa_mfree(all);
            fa_mfree(threads);
            return fa_fail_memory(loader->where, bytes);
        }
        for (size_t i = 0; i < count; i++)
            slots[i].indices = all + i * (size_t)loader->batch_size;
        threads[0].loader = loader;
        loader->slots = slots;
        loader->slot_count = (int64_t)count;
        loader->workers = threads;
    }
    return fa_loader_start_workers(loader);
}

/* ---- A loop ------------------------------------------------------------------------------------------------------ */

static void release(fa_loader_slot *s)
{
    fa_collate_release(&s->batch);
    fa_collate_release(&s->made);
}

/* Ends the loop: what is queued is dropped, what is being fetched is waited for. */
static void end_loop(fa_loader_body *loader)
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
        release(&loader->slots[i]);
    loader->active = false;
}

/* Queues batches while there is room. Only the next batch to be delivered may draw from a generator that the program
 * can see. */
static void queue_batches(fa_loader_body *loader, bool asked)
{
    while (!loader->at_end && loader->queued < loader->delivered + loader->slot_count) {
        fa_loader_slot *s = &loader->slots[loader->queued % loader->slot_count];
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
static fa_loader_slot *next_slot(fa_loader_body *loader)
{
    queue_batches(loader, true);
    if (loader->delivered == loader->queued) {
        fa_order_run_dry(&loader->order);
        return NULL;
    }
    fa_loader_slot *s = &loader->slots[loader->delivered % loader->slot_count];
    if (s->n < loader->batch_size)
        fa_order_run_dry(&loader->order);
    if (loader->thread_count == 0) {
        loader->taken++;
        fa_loader_fill(loader, s);
        return s;
    }
    pthread_mutex_lock(&loader->mutex);
    while (!s->ready)
        pthread_cond_wait(&loader->done, &loader->mutex);
    pthread_mutex_unlock(&loader->mutex);
    fa_loader_finish(loader, s);
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
static bool in_another_loop(const fa_loader_body *loader, const fa_thread *thread)
{
    return loader->active && (loader->thread != thread->id || scope_is_open(thread, loader->scope_id));
}

/* Ends a loop that was left by a jump, and its hold. */
static void end_abandoned_loop(fa_loader *loader, const fa_thread *thread)
{
    fa_loader_body *body = loader->object.body;
    if (!body->active || in_another_loop(body, thread))
        return;
    end_loop(body);
    fa_object_drop(&loader->object);
}

static void forget_bad_items(fa_loader_body *loader)
{
    for (int i = 0; i < FA_LOADER_NOTES; i++) {
        fa_mfree(loader->note[i]);
        loader->note[i] = NULL;
    }
    loader->bad_items = 0;
}

/* How many bad items a loop may have. */
static int64_t bad_limit(const fa_loader_body *loader)
{
    if (loader->max_bad_items != INT64_MIN)
        return loader->max_bad_items;
    int64_t items = loader->order.total;
    size_t most;
    if (loader->order.kind == FA_SAMPLE_OWN_BATCH)
        items = fa_mul_size((size_t)items, (size_t)loader->batch_size, &most) && most < INT64_MAX ? (int64_t)most
                                                                                                  : INT64_MAX;
    return items >= 10 ? items / 10 : 1;
}

static bool begin_loop(fa_loader_body *loader, const fa_thread *thread, fa_where where)
{
    if (loader->active)
        return fa_fail(FA_STATE_ERROR, where, "fa_for_each_batch",
                       "got a loader that is in a loop already (%s:%d), needs one that is free. Hint: make a second "
                       "loader over the same data set.",
                       loader->where.file, loader->where.line);
    fa_dataset_body *set = loader->dataset->object.body;
    const fa_sampler_body *rule = fa_loader_rule(loader);
    loader->where = where;
    if (!prepare_slots(loader) || !fa_dataset_prepare(set) ||
        !fa_order_begin(&loader->order, rule, fa_sampler_items(rule, loader->dataset), where))
        return false;
    const int64_t items = loader->order.total;
    if (loader->drop_last && rule->kind != FA_SAMPLE_OWN_BATCH && items > 0 && items < loader->batch_size)
        return fa_fail(FA_VALUE_ERROR, where, "fa_for_each_batch",
                       "got %lld items for batches of %lld with drop_last, needs one whole batch at least: there is "
                       "nothing to loop over. Hint: a smaller batch_size, or drop_last = false.",
                       (long long)items, (long long)loader->batch_size);
    loader->at_end = loader->halted = false;
    loader->delivered = loader->handed = 0;
    forget_bad_items(loader);
    loader->bad_limit = bad_limit(loader);
    if (loader->start == NULL) {
        fa_generator *generator = fa_generator_or_default(loader->generator);
        (void)fa_mt_random_int64(fa_generator_lock(generator)); /* the base seed, which nothing here uses */
        fa_generator_unlock(generator);
    } else if (!fa_loader_begin_at(loader, where)) {
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
    fa_loader_body *body = loader->object.body;
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
static fa_loader_body *running(const fa_batch *batch)
{
    fa_loader_body *loader = batch->loader_ != NULL ? batch->loader_->object.body : NULL;
    return loader != NULL && loader->active && loader->loop == batch->loop_ ? loader : NULL;
}

/* A bad item's message inside another one, which has the loop's place already; where no memory was left, "". */
static const char *inner_text(const char *message, fa_where where)
{
    char place[512];
    int length = snprintf(place, sizeof place, "%s:%d: ", where.file, where.line);
    if (message == NULL)
        return "";
    const bool same = length > 0 && length < (int)sizeof place && strncmp(message, place, (size_t)length) == 0;
    return message + (same ? length : 0);
}

/* Counts the batch's bad items, and keeps what is told of them. False after an error: there are too many. */
static bool count_bad_items(fa_loader_body *loader, fa_collate *batch, fa_where where)
{
    for (int64_t i = 0; i < batch->bad_count; i++) {
        fa_bad_item *bad = &batch->bad[i];
        if (loader->bad_items == loader->bad_limit)
            return fa_fail(FA_DATA_ERROR, where, "fa_data_loader",
                           "got more than %lld bad items in a loop, needs at most as many (.max_bad_items). The last: "
                           "%s",
                           (long long)loader->bad_limit, inner_text(bad->message, where));
        if (loader->bad_items < FA_LOADER_NOTES) {
            loader->note[loader->bad_items] = bad->message;
            bad->message = NULL;
        }
        loader->bad_items++;
    }
    return true;
}

/* At the end of a loop: a data set without one good item is an error. */
static bool check_end(const fa_loader_body *loader, fa_where where)
{
    if (loader->handed == 0 && loader->bad_items > 0)
        fa_fail(FA_DATA_ERROR, where, "fa_data_loader",
                "got %lld bad items and not one batch, needs items that can be read. The first: %s",
                (long long)loader->bad_items, inner_text(loader->note[0], where));
    return false;
}

/* Hands out the next batch that has items; false at the end, and after an error. */
static bool deliver(fa_loader_body *loader, fa_batch *batch)
{
    for (;;) {
        fa_loader_slot *s = next_slot(loader);
        fa_begin(batch->where_);
        if (s == NULL)
            return check_end(loader, batch->where_);
        bool fine = s->fine;
        if (!fine)
            fa_error_put(&s->error);
        fine = fine && count_bad_items(loader, &s->batch, batch->where_);
        const int64_t size = s->batch.filled;
        if (fine && size > 0)
            fine = loader->collate != NULL ? fa_collate_tensors(&s->made, false, batch)
                                           : fa_collate_tensors(&s->batch, true, batch);
        batch->size = size;
        release(s);
        batch->index = loader->delivered++;
        if (!fine)
            return false;
        queue_batches(loader, false);
        if (size > 0) {
            loader->handed++;
            return true;
        }
    }
}

bool fa_batches_more_(fa_batch *batch)
{
    fa_loader_body *loader = running(batch);
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
    fa_loader_body *loader = running(batch);
    if (loader != NULL)
        end_loop(loader);
    fa_object_drop((fa_object *)batch->loader_);
    batch->loader_ = NULL;
}

/* ---- The object -------------------------------------------------------------------------------------------------- */

static void destroy_loader(void *body)
{
    fa_loader_body *loader = body;
    end_loop(loader);
    fa_loader_stop_workers(loader);
    forget_bad_items(loader);
    pthread_mutex_destroy(&loader->mutex);
    pthread_cond_destroy(&loader->work);
    pthread_cond_destroy(&loader->done);
    if (loader->slots != NULL)
        fa_mfree(loader->slots[0].indices);
    fa_mfree(loader->slots);
    fa_mfree(loader->workers);
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
    if (args->on_bad_item != FA_BAD_ITEM_STOP && args->on_bad_item != FA_BAD_ITEM_SKIP)
        return fa_fail(FA_VALUE_ERROR, args->where_, call, "got on_bad_item %d, needs one of fa_bad_item_policy.",
                       (int)args->on_bad_item);
    if (args->max_bad_items != INT64_MIN && (args->max_bad_items < 0 || args->on_bad_item == FA_BAD_ITEM_STOP))
        return fa_fail(FA_VALUE_ERROR, args->where_, call, "got max_bad_items %lld%s.", (long long)args->max_bad_items,
                       args->max_bad_items < 0 ? ", needs 0 or more"
                                               : " without .on_bad_item = FA_BAD_ITEM_SKIP, needs both or none");
    if (args->worker_end != NULL && args->worker_init == NULL)
        return fa_fail(FA_VALUE_ERROR, args->where_, call,
                       "got worker_end without worker_init, needs the callback that makes the state.");
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
    fa_loader_body *loader = fine ? fa_calloc(1, sizeof *loader) : NULL;
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
    loader->skip = args->on_bad_item == FA_BAD_ITEM_SKIP;
    loader->max_bad_items = args->max_bad_items;
    loader->user = args->user;
    loader->collate = args->collate;
    loader->worker_init = args->worker_init;
    loader->worker_end = args->worker_end;
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->done, NULL);
    return (fa_loader *)object;
}

int64_t fa_loader_length_at(fa_loader *loader, fa_where where)
{
    if (!fa_object_check((fa_object *)loader, &fa_loader_class, "fa_length", where))
        return -1;
    const fa_loader_body *body = loader->object.body;
    const fa_sampler_body *rule = fa_loader_rule(body);
    int64_t total = fa_sampler_total(rule, fa_sampler_items(rule, body->dataset));
    if (rule->kind == FA_SAMPLE_OWN_BATCH)
        return total;
    return body->drop_last ? total / body->batch_size : total / body->batch_size + (total % body->batch_size != 0);
}

static fa_loader_body *use_loader(fa_loader *loader, const char *what, fa_where where)
{
    return fa_object_check((fa_object *)loader, &fa_loader_class, what, where) ? loader->object.body : NULL;
}

int64_t fa_loader_bad_items_at(fa_loader *loader, fa_where where)
{
    const fa_loader_body *body = use_loader(loader, "fa_loader_bad_items", where);
    return body != NULL ? body->bad_items : -1;
}

/* Appends to a text of which `size` bytes are kept, and counts it all. */
static void FA_PRINTF_(4, 5) add(char *text, size_t size, size_t *length, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const bool room = *length < size;
    int more = vsnprintf(room ? text + *length : NULL, room ? size - *length : 0, format, args);
    va_end(args);
    *length += more > 0 ? (size_t)more : 0;
}

size_t fa_loader_notes_at(fa_loader *loader, char *text, size_t size, fa_where where)
{
    if (size > 0)
        text[0] = 0;
    const fa_loader_body *body = use_loader(loader, "fa_loader_notes", where);
    if (body == NULL || body->bad_items == 0)
        return 0;
    size_t length = 0;
    add(text, size, &length, "%lld item%s left out:\n", (long long)body->bad_items,
        body->bad_items == 1 ? " was" : "s were");
    for (int i = 0; i < FA_LOADER_NOTES && i < body->bad_items; i++)
        add(text, size, &length, "  %s\n", body->note[i] != NULL ? body->note[i] : "(no memory for its message)");
    if (body->bad_items > FA_LOADER_NOTES)
        add(text, size, &length, "  and %lld more\n", (long long)body->bad_items - FA_LOADER_NOTES);
    return length;
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
