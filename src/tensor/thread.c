/* Threads' own state: made at first use, reused when the thread has ended (so that its handles' generations go on). */
#include "tensor/thread.h"

#include "base/mapped.h"
#include "base/memory.h"

#include <pthread.h>
#include <string.h>

static pthread_mutex_t threads_mutex = PTHREAD_MUTEX_INITIALIZER;
static fa_thread *all_threads;
static uint32_t thread_count;
static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static _Thread_local fa_thread *current;

static void thread_exit(void *pointer)
{
    fa_thread *thread = pointer;
    current = thread;
    while (thread->scope != &thread->root)
        fa_scope_close(thread, thread->scope);
    fa_scope_close(thread, &thread->root);
    fa_plan_executor.thread_exit(thread);
    current = NULL;
    pthread_mutex_lock(&threads_mutex);
    thread->exited = true;
    pthread_mutex_unlock(&threads_mutex);
}

static void make_key(void)
{
    pthread_key_create(&exit_key, thread_exit);
}

static void thread_reset(fa_thread *thread)
{
    thread->scope = &thread->root;
    thread->root = (fa_scope_frame){.id = ++thread->next_scope_id, .first_slot = UINT32_MAX};
    thread->no_grad = thread->carries = false;
    thread->root_bytes = 0;
    thread->root_oldest = 0;
    thread->exited = false;
}

fa_thread *fa_thread_get(void)
{
    if (current != NULL)
        return current;
    pthread_once(&exit_once, make_key);
    pthread_mutex_lock(&threads_mutex);
    fa_thread *thread = all_threads;
    while (thread != NULL && !thread->exited)
        thread = thread->next;
    if (thread == NULL && thread_count < 4095) {
        thread = fa_calloc(1, sizeof *thread);
        if (thread != NULL) {
            thread->id = ++thread_count;
            thread->free_slot = UINT32_MAX;
            thread->next = all_threads;
            all_threads = thread;
        }
    }
    if (thread != NULL)
        thread_reset(thread);
    pthread_mutex_unlock(&threads_mutex);
    if (thread == NULL) {
        fa_fail_memory((fa_where){"", 0}, sizeof *thread);
        return NULL;
    }
    current = thread;
    pthread_setspecific(exit_key, thread);
    return thread;
}

fa_node *fa_thread_node(fa_thread *thread, int64_t index)
{
    return &thread->node_chunks[index / FA_NODES_PER_CHUNK][index % FA_NODES_PER_CHUNK];
}

void fa_begin(fa_where where)
{
    fa_thread *thread = fa_thread_get();
    if (thread != NULL)
        thread->where = where;
    fa_mapped_check(where);
}

fa_where fa_current_where(void)
{
    fa_thread *thread = fa_thread_get();
    return thread != NULL ? thread->where : (fa_where){"", 0};
}

fa_grad_guard fa_grad_begin_(bool enabled)
{
    fa_thread *thread = fa_thread_get();
    fa_grad_guard guard = {true};
    if (thread != NULL) {
        guard.previous_ = !thread->no_grad;
        thread->no_grad = !enabled;
    }
    return guard;
}

void fa_grad_end_(fa_grad_guard *guard)
{
    fa_thread *thread = fa_thread_get();
    if (thread != NULL)
        thread->no_grad = !guard->previous_;
}

bool fa_grad_enabled(void)
{
    fa_thread *thread = fa_thread_get();
    return thread == NULL || !thread->no_grad;
}
