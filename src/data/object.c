/* Counted objects: one lock for all of them; they change hands a few times in a program's life. */
#include "data/object.h"

#include "base/error.h"
#include "base/memory.h"

#include <pthread.h>

/* Headers of ended objects wait in a queue until this many have ended after them. */
enum { ENDED_KEPT = 1024 };

typedef struct list {
    fa_object *first, *last;
    int64_t count;
} list;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static list live, ended;

static void append(list *to, fa_object *object)
{
    object->next = NULL;
    object->previous = to->last;
    if (to->last != NULL)
        to->last->next = object;
    else
        to->first = object;
    to->last = object;
    to->count++;
}

static void take_out(list *from, fa_object *object)
{
    if (object->previous != NULL)
        object->previous->next = object->next;
    else
        from->first = object->next;
    if (object->next != NULL)
        object->next->previous = object->previous;
    else
        from->last = object->previous;
    from->count--;
}

fa_object *fa_object_new(const fa_object_kind *class, void *body)
{
    pthread_mutex_lock(&mutex);
    fa_object *object = ended.count > ENDED_KEPT ? ended.first : NULL;
    if (object != NULL)
        take_out(&ended, object);
    else
        object = fa_malloc(sizeof *object);
    if (object != NULL) {
        *object = (fa_object){.class = class, .body = body, .floating = true};
        append(&live, object);
    }
    pthread_mutex_unlock(&mutex);
    return object;
}

bool fa_object_check(const fa_object *object, const fa_object_kind *class, const char *what, fa_where where)
{
    if (object == NULL) {
        if (fa_ok())
            fa_fail(FA_VALUE_ERROR, where, what, "got no %s (NULL), needs one.", class->noun);
        return false;
    }
    if (object->body == NULL)
        return fa_fail(FA_STATE_ERROR, where, what,
                       "got a %s that has ended with its last holder, needs a live one. Hint: fa_%s_retain keeps one "
                       "beyond the object that it was given to.",
                       class->noun, class->noun[0] == 'd' ? "dataset" : class->noun);
    return true;
}

typedef enum change { HOLD, BORROW, DROP, RETAIN, FREE } change;

static void apply(fa_object *object, change what)
{
    if (object == NULL)
        return;
    void *body = NULL;
    pthread_mutex_lock(&mutex);
    if (object->body != NULL) {
        object->holders += what == HOLD || what == BORROW ? 1 : what == DROP ? -1 : 0;
        object->users += what == RETAIN ? 1 : what == FREE && object->users > 0 ? -1 : 0;
        if (what != BORROW && what != DROP)
            object->floating = false;
        if (!object->floating && object->holders == 0 && object->users == 0) {
            body = object->body;
            object->body = NULL;
            take_out(&live, object);
            append(&ended, object);
        }
    }
    const fa_object_kind *class = object->class;
    pthread_mutex_unlock(&mutex);
    if (body != NULL)
        class->destroy(body); /* outside the lock: it drops what it holds */
}

void fa_object_hold(fa_object *object)
{
    apply(object, HOLD);
}

void fa_object_drop(fa_object *object)
{
    apply(object, DROP);
}

void fa_object_borrow(fa_object *object)
{
    apply(object, BORROW);
}

void fa_object_retain(fa_object *object)
{
    apply(object, RETAIN);
}

void fa_object_free(fa_object *object)
{
    apply(object, FREE);
}

int64_t fa_object_count(void)
{
    pthread_mutex_lock(&mutex);
    int64_t count = live.count;
    pthread_mutex_unlock(&mutex);
    return count;
}
