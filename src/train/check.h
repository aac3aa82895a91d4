/* What the parts of fa_check share: the checklist that they write into. */
#ifndef FA_TRAIN_CHECK_H
#define FA_TRAIN_CHECK_H

#include "facula/check.h"
#include "nn/module.h"

typedef enum fa_check_mark {
    FA_CHECK_OK,      /* looked at, and fine */
    FA_CHECK_WARNING, /* a run goes through, and may not be what is wanted */
    FA_CHECK_STOP,    /* a run would stop */
    FA_CHECK_UNKNOWN  /* not looked at */
} fa_check_mark;

typedef struct fa_checklist {
    fa_value *items; /* a list of dicts: group, name, mark, text, hint */
    int64_t warnings, stops;
    fa_where where;
} fa_checklist;

/* Adds an item; its group is one of the lesson's list: "data", "model", "training". What stands behind "Hint: " in the
 * text is the hint. */
void fa_checklist_add(fa_checklist *list, const char *group, const char *name, fa_check_mark mark, const char *format,
                      ...) FA_PRINTF_(5, 6);
/* Puts "name": x into a dict; errors stick. */
void fa_check_put(fa_value *dict, const char *name, fa_value *x, fa_where where);

/* A network, and the images that it is to be trained on. */
typedef struct fa_network_check {
    fa_module *model;
    int64_t channels, height, width; /* of an image; 0: images differ, or are not known */
    int64_t items;                   /* to train on */
    int64_t batch_size, classes;
    bool drop_last;
} fa_network_check;
/* Checks layers, outputs, batches and loss; adds "network" and "layers" to the report. */
void fa_check_network(fa_value *report, fa_checklist *list, const fa_network_check *network);

#endif
