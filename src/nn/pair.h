/* Pairs (height, width) and counts among the arguments of layers. */
#ifndef FA_NN_PAIR_H
#define FA_NN_PAIR_H

#include "nn/module.h"

/* A pair as PyTorch keeps it: two numbers, and whether two were given (it prints so). */
typedef struct fa_pair {
    int64_t at[2];
    bool given;
} fa_pair;

/* Both `number` where hw was not set. */
fa_pair fa_pair_of(int64_t number, const int64_t hw[2]);
/* "name=3", "name=(3, 5)"; FA_NONE is None. */
void fa_add_pair(fa_text *text, const char *name, const fa_pair *p, bool always_two);
/* Whether both are `least` or more; raises an error if not. */
bool fa_check_pair(const fa_pair *p, int64_t least, const char *what, const char *name, fa_where where);
/* Whether a required number is 1 or more; `hint` shows the call. */
bool fa_check_count(int64_t value, const char *what, const char *name, const char *hint, fa_where where);

#endif
