/* Counted objects of the user's program: data sets, samplers, loaders, transforms. The rules are in facula/data.h.
 *
 * A handle (fa_object) is a small header; what it stands for (`body`) ends with the last holder. The header outlives
 * the body, so that a stale handle is recognised: `fa_free` on it does nothing, any other use is an error. Headers are
 * used again only after many others have ended since.
 *
 * Invariants: `holders` counts constructors and running loops, `users` counts calls of retain by the program;
 * `floating` until a constructor holds the object or the program retains it; a body exists while floating || holders >
 * 0 || users > 0. */
#ifndef FA_DATA_OBJECT_H
#define FA_DATA_OBJECT_H

#include "facula/base.h"

typedef struct fa_object_kind {
    const char *noun; /* "data set" */
    void (*destroy)(void *body);
} fa_object_kind;

typedef struct fa_object {
    const fa_object_kind *class;
    void *body; /* NULL once it has ended */
    int64_t holders, users;
    bool floating;
    struct fa_object *next, *previous; /* of the live ones, or of the ended ones */
} fa_object;

/* A floating object. NULL when there is no memory (raises nothing; the body is the caller's still). */
fa_object *fa_object_new(const fa_object_kind *class, void *body);
/* Whether the object can be used; false after raising an error (silent for NULL while an error is set). */
bool fa_object_check(const fa_object *object, const fa_object_kind *class, const char *what, fa_where where);
/* After fa_object_check: a constructor becomes a holder; a loop does for a while, which leaves what floats floating.
 * Either is ended by drop. NULL is fine. */
void fa_object_hold(fa_object *object);
void fa_object_borrow(fa_object *object);
void fa_object_drop(fa_object *object);
/* The program's retain and fa_free. */
void fa_object_retain(fa_object *object);
void fa_object_free(fa_object *object);
/* Objects that have not ended. */
int64_t fa_object_count(void);

#endif
