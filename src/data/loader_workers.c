/* The loader's threads: what fills slots, on workers or on the looping thread. */
#include "base/pool.h"
#include "data/loader_body.h"

#include <signal.h>
#include <string.h>

enum { LATE_PART = 4 /* fields finished at a time */ };

/* ---- Filling a slot ---------------------------------------------------------------------------------------------- */

/* Has the program's callback make the batch, where there is one. False after an error. */
static bool make(fa_loader_body *loader, fa_loader_slot *s)
{
    if (loader->collate == NULL || s->batch.filled == 0)
        return true;
    fa_collate_begin(&s->made, 1, loader->where, NULL);
    fa_sample batch = {.batch = &s->made, .index = s->indices[0]};
    const bool said = loader->collate(loader->user, (const fa_items *)&s->batch, &batch);
    if (!fa_ok())
        return false;
    if (!said || batch.n == 0)
        return fa_fail(FA_DATA_ERROR, loader->where, "fa_data_loader", "got %s from the collate callback, needs %s.",
                       said ? "no field" : "false",
                       said ? "at least one: fa_sample_put(batch, ...)" : "true, or fa_raise to say why");
    return fa_collate_advance(&s->made, 1, batch.n, batch.index, loader->where);
}

/* On the looping thread, or ahead of it on a worker, which has no error set. */
static void fill(fa_loader_body *loader, fa_loader_slot *s, void *state, bool ahead)
{
    fa_collate *batch = &s->batch;
    fa_collate_begin(batch, s->n, loader->where, &loader->cancel);
    batch->ahead = ahead;
    batch->worker = state;
    batch->skip = loader->skip;
    s->failed_late = -1;
    s->fine = (loader->collate == NULL || fa_collate_keep_loose(batch)) &&
              fa_dataset_collect(loader->dataset->object.body, s->indices, s->n, batch) &&
              (batch->late_count > 0 || make(loader, s));
    if (!s->fine)
        fa_error_take(&s->error);
}

void fa_loader_fill(fa_loader_body *loader, fa_loader_slot *s)
{
    fill(loader, s, loader->workers[0].state, false);
}

/* ---- Late fields ------------------------------------------------------------------------------------------------- */

static bool has_late_part(const fa_loader_body *loader)
{
    return loader->late != NULL && loader->late_next < loader->late->batch.late_count;
}

/* Late field i could not be had: its item is left out, or the error of the first such field is the batch's. Under the
 * mutex. */
static void late_failed(fa_loader_slot *s, int64_t i, fa_error_record *error)
{
    if (s->batch.skip && fa_is_bad_item(&s->batch, error)) {
        fa_collate_note_bad(&s->batch, i, error->message);
        if (fa_ok())
            return;
        fa_error_take(error); /* no memory for it */
    }
    if (s->fine || i < s->failed_late) {
        s->fine = false;
        s->failed_late = i;
        s->error = *error;
    }
}

/* Finishes a few late fields; under the mutex, which is released meanwhile. */
static void finish_part(fa_loader_body *loader)
{
    fa_loader_slot *s = loader->late;
    int64_t begin = loader->late_next, left = s->batch.late_count - begin;
    int64_t end = begin + (left < LATE_PART ? left : LATE_PART);
    loader->late_next = end;
    loader->late_busy++;
    pthread_mutex_unlock(&loader->mutex);
    for (int64_t i = begin; i < end; i++) {
        if (fa_collate_finish(&s->batch, i))
            continue;
        fa_error_record error;
        fa_error_take(&error);
        fa_dataset_name_item(loader->dataset->object.body, s->indices[s->batch.late[i].place], &error);
        pthread_mutex_lock(&loader->mutex);
        late_failed(s, i, &error);
        pthread_mutex_unlock(&loader->mutex);
    }
    pthread_mutex_lock(&loader->mutex);
    loader->late_busy--;
}

void fa_loader_finish(fa_loader_body *loader, fa_loader_slot *s)
{
    if (!s->fine || s->batch.late_count == 0)
        return;
    bool fine = fa_collate_draw(&s->batch);
    if (fine) {
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
        if (!s->fine)
            return;
        fa_collate_remove_bad(&s->batch);
        fine = make(loader, s);
    }
    if (!fine) {
        s->fine = false;
        fa_error_take(&s->error);
    }
}

/* ---- Workers ----------------------------------------------------------------------------------------------------- */

/* The worker's state; false, and `error` says why, when the program's callback raised one. */
static bool begin_worker(fa_loader_worker *self)
{
    const fa_loader_body *loader = self->loader;
    if (self->begun)
        return true;
    self->state = loader->worker_init != NULL ? loader->worker_init(loader->user, self->number) : NULL;
    self->begun = fa_ok();
    if (!self->begun)
        fa_error_take(&self->error);
    return self->begun;
}

static void end_worker(fa_loader_worker *self)
{
    const fa_loader_body *loader = self->loader;
    if (self->begun && loader->worker_init != NULL && loader->worker_end != NULL)
        loader->worker_end(loader->user, self->state);
    self->begun = false;
    self->state = NULL;
}

/* Takes parts of what is late, else queued slots, until it is told to stop; under the mutex. */
static void serve(fa_loader_body *loader, void *state)
{
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
        fa_loader_slot *s = &loader->slots[loader->taken++ % loader->slot_count];
        loader->busy++;
        pthread_mutex_unlock(&loader->mutex);
        fa_budget_enter();
        fa_generator_on_worker();
        fill(loader, s, state, true);
        fa_budget_leave();
        pthread_mutex_lock(&loader->mutex);
        s->ready = true;
        loader->busy--;
        pthread_cond_signal(&loader->done);
    }
}

static void *work(void *argument)
{
    fa_loader_worker *self = argument;
    fa_loader_body *loader = self->loader;
    fa_thread_name("fa-loader");
    fa_generator_on_worker();
    const bool begun = begin_worker(self);
    pthread_mutex_lock(&loader->mutex);
    loader->initialised++;
    pthread_cond_signal(&loader->done);
    if (begun)
        serve(loader, self->state);
    pthread_mutex_unlock(&loader->mutex);
    if (begun) /* the looping thread may be looking at one that did not */
        end_worker(self);
    return NULL;
}

/* The first worker that could not begin, once all have tried; NULL: none. */
static const fa_loader_worker *failed_worker(fa_loader_body *loader)
{
    pthread_mutex_lock(&loader->mutex);
    while (loader->initialised < loader->thread_count)
        pthread_cond_wait(&loader->done, &loader->mutex);
    pthread_mutex_unlock(&loader->mutex);
    const int count = loader->thread_count > 0 ? loader->thread_count : 1;
    if (loader->thread_count == 0)
        (void)begin_worker(&loader->workers[0]);
    for (int i = 0; i < count; i++)
        if (!loader->workers[i].begun)
            return &loader->workers[i];
    return NULL;
}

bool fa_loader_start_workers(fa_loader_body *loader)
{
    if (loader->thread_count == 0 && loader->workers[0].begun)
        return true;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (loader->thread_count < loader->num_workers) {
        fa_loader_worker *next = &loader->workers[loader->thread_count];
        next->loader = loader;
        next->number = loader->thread_count;
        if (pthread_create(&next->thread, NULL, work, next) != 0)
            break;
        loader->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    const fa_loader_worker *failed = failed_worker(loader);
    if (failed == NULL)
        return true;
    fa_error_put(&failed->error);
    fa_loader_stop_workers(loader);
    return false;
}

void fa_loader_stop_workers(fa_loader_body *loader)
{
    pthread_mutex_lock(&loader->mutex);
    loader->stop = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    for (int i = 0; i < loader->thread_count; i++)
        pthread_join(loader->workers[i].thread, NULL);
    if (loader->thread_count == 0 && loader->workers != NULL)
        end_worker(&loader->workers[0]);
    loader->thread_count = loader->initialised = 0;
    loader->stop = false;
}
