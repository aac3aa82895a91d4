/* What the arguments of the data sets have in common. */
#ifndef FA_VISION_TARGET_RULE_H
#define FA_VISION_TARGET_RULE_H

#include "vision/transform.h"

typedef struct fa_target_rule {
    fa_target_transform transform; /* NULL: nothing */
    void *user;
} fa_target_rule;

static inline int64_t fa_target_of(const fa_target_rule *rule, int64_t target)
{
    return rule->transform != NULL ? rule->transform(rule->user, target) : target;
}

/* A path and a transform that can be used; the transform may be NULL. False after an error. */
static inline bool fa_data_args_check(const char *path, const fa_transform *transform, const char *what, fa_where where)
{
    if (path == NULL)
        return fa_fail(FA_VALUE_ERROR, where, what, "got no path (NULL), needs that of the data.");
    return fa_ok() &&
           (transform == NULL || fa_object_check((const fa_object *)transform, &fa_transform_class, what, where));
}

#endif
