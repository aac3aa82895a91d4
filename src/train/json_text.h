/* Plain values as JSON, for run.json and for comparisons. */
#ifndef FA_TRAIN_JSON_TEXT_H
#define FA_TRAIN_JSON_TEXT_H

#include "facula/files.h"
#include "nn/module.h"

/* A string in quotes; NULL gives null. */
void fa_text_json_string(fa_text *out, const char *text);
/* A number with the fewest digits that read back the same; null if it is not finite. */
void fa_text_json_number(fa_text *out, double x);
/* A value: numbers, strings, lists and tuples, dicts (keys become strings); null for what JSON does not have. */
void fa_text_json(fa_text *out, fa_value *value, fa_where where);

#endif
