/* Equal images, within data sets and between them. */
#ifndef FA_TRAIN_CHECK_EQUAL_H
#define FA_TRAIN_CHECK_EQUAL_H

#include "train/check.h"
#include "train/check_data.h"

/* Adds "duplicates" to each split of the list, "overlaps" and "relabelled" to the report, and what they mean to the
 * checks. */
void fa_check_equal(fa_value *report, fa_value *splits, fa_checklist *list, const fa_survey *survey, int64_t n);

#endif
