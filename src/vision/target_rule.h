/* What becomes of class numbers in a data set's items. */
#ifndef FA_VISION_TARGET_RULE_H
#define FA_VISION_TARGET_RULE_H

#include "facula/vision.h"

typedef struct fa_target_rule {
    fa_target_transform transform; /* NULL: nothing */
    void *user;
} fa_target_rule;

static inline int64_t fa_target_of(const fa_target_rule *rule, int64_t target)
{
    return rule->transform != NULL ? rule->transform(rule->user, target) : target;
}

#endif
