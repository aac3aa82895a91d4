/* Equal images are found by sorting their hashes. */
#include "train/check_equal.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPLITS = 3, EXAMPLES = 10 };

typedef struct entry {
    uint64_t hash[2];
    int64_t index, label;
    int split;
} entry;

typedef struct example {
    int64_t a, b; /* items */
    int split_a, split_b;
} example;

typedef struct examples {
    int64_t total; /* items of b that have an equal one in a */
    int count;
    example first[EXAMPLES]; /* those with the least items of b */
} examples;

typedef struct equals {
    examples overlap[SPLITS][SPLITS], relabelled;
    int64_t duplicates[SPLITS];
} equals;

static int by_hash(const void *left, const void *right)
{
    const entry *a = left, *b = right;
    for (int k = 0; k < 2; k++)
        if (a->hash[k] != b->hash[k])
            return a->hash[k] < b->hash[k] ? -1 : 1;
    if (a->split != b->split)
        return a->split - b->split;
    return a->index < b->index ? -1 : a->index > b->index;
}

static void keep(examples *list, example e)
{
    list->total++;
    int at = list->count < EXAMPLES ? list->count++ : EXAMPLES;
    while (at > 0 && (e.split_b < list->first[at - 1].split_b ||
                      (e.split_b == list->first[at - 1].split_b && e.b < list->first[at - 1].b))) {
        if (at < EXAMPLES)
            list->first[at] = list->first[at - 1];
        at--;
    }
    if (at < EXAMPLES)
        list->first[at] = e;
}

/* A run of equal images, those of a split together, in the order of items. */
static void take_group(equals *found, const entry *e, int64_t n)
{
    const entry *first[SPLITS] = {NULL}, *other = NULL;
    for (int64_t i = 0; i < n; i++) {
        if (first[e[i].split] == NULL)
            first[e[i].split] = &e[i];
        else
            found->duplicates[e[i].split]++;
        for (int s = 0; s < e[i].split; s++)
            if (first[s] != NULL)
                keep(&found->overlap[s][e[i].split], (example){first[s]->index, e[i].index, s, e[i].split});
        if (e[i].label != e[0].label && other == NULL)
            other = &e[i];
    }
    if (other != NULL)
        keep(&found->relabelled, (example){e[0].index, other->index, e[0].split, other->split});
}

static bool find(equals *found, const fa_survey *survey, int64_t splits, fa_where where)
{
    size_t total = 0, count = 0;
    for (int64_t k = 0; k < splits; k++)
        total += (size_t)survey[k].n;
    entry *all = fa_malloc((total + 1) * sizeof *all);
    if (all == NULL)
        return fa_fail_memory(where, total * sizeof *all);
    for (int64_t k = 0; k < splits; k++)
        for (int64_t i = 0; i < survey[k].n; i++) {
            const fa_surveyed *item = &survey[k].item[i];
            if (item->channels > 0)
                all[count++] = (entry){{item->hash[0], item->hash[1]}, i, item->label, (int)k};
        }
    qsort(all, count, sizeof *all, by_hash);
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && memcmp(all[end].hash, all[begin].hash, sizeof all[end].hash) == 0;)
            end++;
        if (end > begin + 1)
            take_group(found, all + begin, (int64_t)(end - begin));
    }
    fa_mfree(all);
    return true;
}

static fa_value *examples_value(const examples *list, const fa_survey *survey, fa_where where)
{
    fa_value *values = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    for (int i = 0; i < list->count; i++) {
        char a[FA_NAME_BYTES], b[FA_NAME_BYTES];
        fa_survey_name(&survey[list->first[i].split_a], list->first[i].a, a);
        fa_survey_name(&survey[list->first[i].split_b], list->first[i].b, b);
        fa_value *pair[2] = {fa_value_path_at(a, where), fa_value_path_at(b, where)};
        fa_list_add_at(values, fa_list_of_at(2, pair, where), where);
    }
    return values;
}

static void report_overlap(fa_value *overlaps, fa_checklist *list, const examples *found, const fa_survey *survey,
                           int a, int b)
{
    fa_where where = list->where;
    fa_value *dict = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    fa_check_put(dict, "a", fa_value_string_at(survey[a].name, where), where);
    fa_check_put(dict, "b", fa_value_string_at(survey[b].name, where), where);
    fa_check_put(dict, "items", fa_value_int_at(found->total, where), where);
    fa_check_put(dict, "examples", examples_value(found, survey, where), where);
    fa_list_add_at(overlaps, dict, where);
    char first[FA_NAME_BYTES], second[FA_NAME_BYTES];
    fa_survey_name(&survey[a], found->first[0].a, first);
    fa_survey_name(&survey[b], found->first[0].b, second);
    fa_checklist_add(
        list, "data", "split", FA_CHECK_WARNING,
        "%lld of %lld %s images (%.1f %%) are in %s too: %s is %s. Hint: its accuracy says less; take them "
        "out of one",
        (long long)found->total, (long long)survey[b].n, survey[b].name,
        100 * (double)found->total / (double)survey[b].n, survey[a].name, second, first);
}

void fa_check_equal(fa_value *report, fa_value *splits, fa_checklist *list, const fa_survey *survey, int64_t n)
{
    fa_where where = list->where;
    equals *found = fa_calloc(1, sizeof *found);
    if (found == NULL) {
        fa_fail_memory(where, sizeof *found);
        return;
    }
    fa_value *overlaps = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    if (find(found, survey, n, where)) {
        int64_t pairs = 0;
        for (int b = 1; b < n; b++)
            for (int a = 0; a < b; a++)
                if (found->overlap[a][b].total > 0) {
                    report_overlap(overlaps, list, &found->overlap[a][b], survey, a, b);
                    pairs++;
                }
        if (pairs == 0 && n > 1)
            fa_checklist_add(list, "data", "split", FA_CHECK_OK, "no image of one part is in another (by its pixels)");
        for (int k = 0; k < n; k++) {
            fa_check_put(fa_value_at(splits, k), "duplicates", fa_value_int_at(found->duplicates[k], where), where);
            if (found->duplicates[k] > 0)
                fa_checklist_add(list, "data", "duplicates", FA_CHECK_WARNING,
                                 "%s: %lld of %lld images %s the pixels of an earlier one", survey[k].name,
                                 (long long)found->duplicates[k], (long long)survey[k].n,
                                 found->duplicates[k] == 1 ? "has" : "have");
        }
        fa_value *relabelled = examples_value(&found->relabelled, survey, where);
        if (found->relabelled.total > 0) {
            const example *e = &found->relabelled.first[0];
            char first[FA_NAME_BYTES], second[FA_NAME_BYTES];
            fa_survey_name(&survey[e->split_a], e->a, first);
            fa_survey_name(&survey[e->split_b], e->b, second);
            fa_checklist_add(list, "data", "labels", FA_CHECK_WARNING, "%lld image%s in two classes: %s is %s",
                             (long long)found->relabelled.total, found->relabelled.total == 1 ? " stands" : "s stand",
                             second, first);
        }
        fa_check_put(report, "relabelled", relabelled, where);
    }
    fa_check_put(report, "overlaps", overlaps, where);
    fa_mfree(found);
}
