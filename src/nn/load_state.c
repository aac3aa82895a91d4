/* Loading a state dict into tensors: finding it in what was saved, matching names, checking everything, then copying.
 */
#include "nn/state.h"

#include "base/error.h"
#include "base/half.h"
#include "nn/module.h"
#include "nn/pickled_module.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 14 /* keys of one kind in a message; the report has all */ };

/* ---- Elements of files --------------------------------------------------------------------------------------------
 */

bool fa_view_converts(const fa_tensor_view *view)
{
    return fa_stored_types[view->stored].dtype >= 0;
}

const char *fa_view_text(const fa_tensor_view *view)
{
    return fa_dims_text(view->ndim, view->size);
}

/* Element i of packed elements, as a double: exact for all but whole numbers beyond 2^53. */
static double number_at(const void *data, fa_stored stored, int64_t i)
{
    switch (stored) {
    case FA_STORED_FLOAT32:
        return (double)((const float *)data)[i];
    case FA_STORED_FLOAT64:
        return ((const double *)data)[i];
    case FA_STORED_INT64:
        return (double)((const int64_t *)data)[i];
    case FA_STORED_INT32:
        return ((const int32_t *)data)[i];
    case FA_STORED_UINT8:
    case FA_STORED_BOOL:
        return ((const uint8_t *)data)[i];
    case FA_STORED_BFLOAT16:
        return (double)fa_bfloat16_to_float(((const uint16_t *)data)[i]);
    case FA_STORED_FLOAT16:
        return (double)fa_float16_to_float(((const uint16_t *)data)[i]);
    case FA_STORED_INT16:
        return ((const int16_t *)data)[i];
    case FA_STORED_INT8:
        return ((const int8_t *)data)[i];
    case FA_STORED_UINT16:
        return ((const uint16_t *)data)[i];
    case FA_STORED_UINT32:
        return ((const uint32_t *)data)[i];
    case FA_STORED_UINT64:
        return (double)((const uint64_t *)data)[i];
    default:
        return 0;
    }
}

/* Towards zero; beyond the ends the end. */
static int64_t whole_of(double number, int64_t least, int64_t most)
{
    if (!(number > (double)least))
        return number <= (double)least ? least : 0;
    return number >= (double)most ? most : (int64_t)number;
}

static void put_number(void *to, int dtype, int64_t i, double number)
{
    switch (dtype) {
    case FA_DT_FLOAT32:
        ((float *)to)[i] = (float)number;
        break;
    case FA_DT_FLOAT64:
        ((double *)to)[i] = number;
        break;
    case FA_DT_INT64:
        ((int64_t *)to)[i] = whole_of(number, INT64_MIN, INT64_MAX);
        break;
    case FA_DT_INT32:
        ((int32_t *)to)[i] = (int32_t)whole_of(number, INT32_MIN, INT32_MAX);
        break;
    case FA_DT_UINT8:
        ((uint8_t *)to)[i] = (uint8_t)whole_of(number, 0, UINT8_MAX);
        break;
    case FA_DT_BOOL:
        ((uint8_t *)to)[i] = number != 0;
        break;
    case FA_DT_BFLOAT16:
        ((uint16_t *)to)[i] = fa_bfloat16_from_float((float)number);
        break;
    default:
        ((uint16_t *)to)[i] = fa_float16_from_float((float)number);
    }
}

bool fa_view_convert(void *to, int dtype, const fa_tensor_view *view, fa_where where)
{
    if ((int)view->stored == dtype) {
        fa_view_copy(to, view);
        return true;
    }
    const size_t bytes = (size_t)view->elements * fa_stored_types[view->stored].size;
    void *packed = view->contiguous ? NULL : fa_malloc(bytes + 1);
    if (packed == NULL && !view->contiguous)
        return fa_fail_memory(where, bytes);
    if (packed != NULL)
        fa_view_copy(packed, view);
    const void *data = packed != NULL ? packed : view->data;
    for (int64_t i = 0; i < view->elements; i++)
        put_number(to, dtype, i, number_at(data, view->stored, i));
    fa_mfree(packed);
    return true;
}

/* ---- Finding the state --------------------------------------------------------------------------------------------
 */

/* The dict of tensors in a checkpoint or a pickled model. NULL after an error. */
static fa_value *find_state(fa_value *value, const char *what, fa_where where)
{
    static const char *const wrappers[] = {"model_state_dict", "state_dict", "model"};
    for (int depth = 0; depth < 4; depth++) {
        if (fa_kind_of(value) == FA_VALUE_OBJECT) {
            fa_report_add("used the weights of the pickled model of class %.100s", fa_object_class(value));
            fa_value *weights = fa_pickled_state(value, what, where);
            if (weights != NULL && fa_len(weights) == 0) {
                fa_fail(FA_VALUE_ERROR, where, what, "got %s, in which there are no weights, needs a model.",
                        fa_value_text(value));
                return NULL;
            }
            return weights;
        }
        if (fa_kind_of(value) != FA_VALUE_DICT)
            break;
        fa_value *inner = NULL;
        for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers && inner == NULL; i++) {
            inner = fa_state_entry(value, wrappers[i], where);
            const fa_value_kind kind = fa_kind_of(inner);
            if (kind != FA_VALUE_DICT && kind != FA_VALUE_OBJECT)
                inner = NULL;
            else
                fa_report_add("used entry '%s'", wrappers[i]);
        }
        if (inner == NULL)
            break;
        value = inner;
    }
    if (fa_kind_of(value) == FA_VALUE_DICT && fa_state_entry(value, "param_groups", where) != NULL) {
        fa_fail(FA_VALUE_ERROR, where, what,
                "got the state dict of an optimizer (it has param_groups), needs that of a module. Hint: "
                "fa_get(checkpoint, \"model_state_dict\")");
        return NULL;
    }
    return fa_value_check(value, FA_VALUE_DICT, what, where) ? value : NULL;
}

fa_value *fa_find_state_dict_at(fa_value *value, fa_where where)
{
    static const char what[] = "fa_find_state_dict";
    fa_report_clear();
    fa_begin(where);
    if (!fa_ok())
        return NULL;
    if (value == NULL) {
        fa_fail(FA_VALUE_ERROR, where, what, "got no value (NULL), needs what fa_load gives.");
        return NULL;
    }
    fa_value *state = find_state(value, what, where);
    if (state == NULL)
        fa_report_clear();
    return state;
}

/* ---- Matching names -----------------------------------------------------------------------------------------------
 */

typedef struct incoming {
    const char *key;
    fa_value *value;
    fa_tensor_view view;
    int64_t target; /* -1: none */
    bool cut;       /* a zero byte is in the key, which fits nothing */
} incoming;

typedef struct loader {
    fa_state_target *target;
    const fa_state_target **sorted; /* by key */
    int64_t *from;                  /* of each target: the incoming entry; -1: none */
    int64_t count;
    incoming *entry;
    int64_t entries, matched;
    bool told; /* what does not fit is in the report */
    int64_t stripped_module, stripped_compiled;
    const fa_load_state_dict_args *args;
    const char *what, *noun;
} loader;

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const fa_state_target *const *)a)->key, (*(const fa_state_target *const *)b)->key);
}

static int64_t find_target(const loader *l, const char *key)
{
    const fa_state_target wanted = {.key = key}, *pointer = &wanted;
    const fa_state_target **found = bsearch(&pointer, l->sorted, (size_t)l->count, sizeof *l->sorted, by_key);
    return found != NULL ? *found - l->target : -1;
}

/* `key` without its parts that are `word`, into `out`; how many there were. */
static int without(char *out, const char *key, const char *word)
{
    int removed = 0;
    const size_t length = strlen(word);
    char *end = out;
    while (*key != '\0') {
        const size_t part = strcspn(key, ".");
        const bool last = key[part] == '\0';
        if (part == length && !last && memcmp(key, word, length) == 0) {
            removed++;
        } else {
            memmove(end, key, part + !last);
            end += part + !last;
        }
        key += part + !last;
    }
    *end = '\0';
    return removed;
}

/* The target of a key, its wrappers' parts left out where that is what makes it fit. */
static int64_t match(loader *l, const char *key, char *scratch)
{
    int64_t found = find_target(l, key);
    if (found >= 0)
        return found;
    const bool compiled = without(scratch, key, "_orig_mod") > 0;
    if (compiled && (found = find_target(l, scratch)) >= 0) {
        l->stripped_compiled++;
        return found;
    }
    const bool parallel = without(scratch, scratch, "module") > 0;
    if (parallel && (found = find_target(l, scratch)) >= 0) {
        l->stripped_module++;
        l->stripped_compiled += compiled;
    }
    return found;
}

/* False after an error. */
static bool read_entries(loader *l, fa_value *state)
{
    const int64_t count = fa_len(state);
    fa_where where = l->args->where_;
    l->entry = fa_calloc((size_t)count + 1, sizeof *l->entry);
    l->from = fa_calloc((size_t)l->count + 1, sizeof *l->from);
    l->sorted = fa_calloc((size_t)l->count + 1, sizeof *l->sorted);
    if (l->entry == NULL || l->from == NULL || l->sorted == NULL)
        return fa_fail_memory(where, (size_t)count * sizeof *l->entry);
    for (int64_t i = 0; i < l->count; i++) {
        l->sorted[i] = &l->target[i];
        l->from[i] = -1;
    }
    qsort(l->sorted, (size_t)l->count, sizeof *l->sorted, by_key);
    size_t longest = 0;
    for (int64_t i = 0; i < count; i++) {
        fa_value *key = fa_key_at(state, i);
        if (fa_kind_of(key) != FA_VALUE_STRING)
            return fa_fail(FA_VALUE_ERROR, where, l->what,
                           "got a dict with the key %s, needs a state dict: tensors under names.", fa_value_text(key));
        const char *text = fa_as_string_at(key, where);
        if (text == NULL)
            return false;
        l->entry[l->entries++] = (incoming){
            .key = text, .value = fa_value_at(state, i), .target = -1, .cut = strlen(text) != (size_t)fa_len(key)};
        longest = strlen(text) > longest ? strlen(text) : longest;
    }
    char *scratch = fa_malloc(longest + 1);
    if (scratch == NULL)
        return fa_fail_memory(where, longest + 1);
    for (int64_t i = 0; i < l->entries; i++) {
        incoming *e = &l->entry[i];
        if (fa_kind_of(e->value) != FA_VALUE_TENSOR || e->cut)
            continue;
        e->target = match(l, e->key, scratch);
        if (e->target >= 0 && l->from[e->target] >= 0)
            e->target = -1; /* two keys for one tensor */
        if (e->target >= 0) {
            l->from[e->target] = i;
            l->matched++;
        }
    }
    fa_mfree(scratch);
    return true;
}

/* ---- Checking -----------------------------------------------------------------------------------------------------
 */

/* A single number may come as a vector of one, as old releases wrote it. */
static bool same_size(const fa_tensor_view *view, const fa_meta *meta)
{
    if (meta->ndim == 0 && view->ndim == 1 && view->size[0] == 1)
        return true;
    return view->ndim == meta->ndim && memcmp(view->size, meta->shape, (size_t)meta->ndim * sizeof *view->size) == 0;
}

typedef struct table {
    fa_text text, all; /* for the message, and whole */
    int64_t rows;
} table;

/* A key as it may be shown: cut, and without what would make a terminal do something. */
static const char *shown_key(char out[151], const char *key)
{
    size_t n = 0;
    for (; n < 150 && key[n] != '\0'; n++)
        out[n] = (unsigned char)key[n] < ' ' || key[n] == 0x7f ? '?' : key[n];
    out[n] = '\0';
    return out;
}

/* A row of a kind of which `number` were there before. */
static void add_row(table *t, int64_t number, const char *kind, const char *key, const char *detail)
{
    char shown[151];
    shown_key(shown, key);
    if (number < SHOWN)
        fa_text_add(&t->text, "\n  %-11s %s%s", kind, shown, detail);
    fa_text_add(&t->all, "\n  %-11s %s%s", kind, shown, detail);
}

static void add_rest(table *t, int64_t number, const char *kind)
{
    if (number > SHOWN)
        fa_text_add(&t->text, "\n  %-11s ... and %lld more, all of them in fa_load_report()", kind,
                    (long long)(number - SHOWN));
    t->rows += number;
}

static int64_t missing_rows(loader *l, table *t)
{
    int64_t number = 0;
    char detail[100];
    for (int64_t i = 0; i < l->count; i++)
        if (l->from[i] < 0 && !l->target[i].optional) {
            snprintf(detail, sizeof detail, " %s", fa_shape_text(&l->target[i].leaf->meta));
            add_row(t, number++, "missing", l->target[i].key, detail);
        }
    add_rest(t, number, "missing");
    return number;
}

static int64_t unexpected_rows(loader *l, table *t)
{
    int64_t number = 0;
    for (int64_t i = 0; i < l->entries; i++)
        if (l->entry[i].target < 0)
            add_row(t, number++, "unexpected", l->entry[i].key, "");
    add_rest(t, number, "unexpected");
    return number;
}

/* Sizes and types that do not fit; with skip_mismatched their tensors are left out instead. */
static int64_t mismatched_rows(loader *l, table *t)
{
    int64_t number = 0;
    char detail[300];
    for (int64_t i = 0; i < l->count; i++) {
        if (l->from[i] < 0)
            continue;
        const incoming *e = &l->entry[l->from[i]];
        const fa_meta *meta = &l->target[i].leaf->meta;
        if (!fa_view_converts(&e->view))
            snprintf(detail, sizeof detail, ": %s in the file, which cannot become %s",
                     fa_stored_types[e->view.stored].name, fa_dtype_name(meta->dtype));
        else if (!same_size(&e->view, meta))
            snprintf(detail, sizeof detail, ": %s in the file, %s here", fa_view_text(&e->view), fa_shape_text(meta));
        else
            continue;
        add_row(t, number++, "mismatched", l->target[i].key, detail);
        if (l->args->skip_mismatched) {
            l->from[i] = -1;
            l->matched--;
        }
    }
    add_rest(t, number, "mismatched");
    return number;
}

static const char *first_keys(const loader *l, char *out, size_t size, bool of_file)
{
    const int64_t count = of_file ? l->entries : l->count;
    size_t length = 0;
    char shown[151];
    out[0] = '\0';
    for (int64_t i = 0; i < count && i < 3 && length < size; i++)
        length += (size_t)snprintf(out + length, size - length, "%s%.60s", i > 0 ? ", " : "",
                                   shown_key(shown, of_file ? l->entry[i].key : l->target[i].key));
    return out;
}

static const char *text_of(const fa_text *text)
{
    return text->data != NULL ? text->data : "";
}

/* The name of an entry that is itself a dict with tensors; NULL: there is none. */
static const char *inner_state(const loader *l)
{
    for (int64_t i = 0; i < l->entries; i++) {
        fa_value *entry = l->entry[i].value;
        if (fa_kind_of(entry) == FA_VALUE_DICT && fa_len(entry) > 0 &&
            fa_kind_of(fa_value_at(entry, 0)) == FA_VALUE_TENSOR)
            return l->entry[i].key;
    }
    return NULL;
}

static void refuse_table(loader *l, const table *missing, const table *unexpected, const table *mismatched)
{
    const bool strict = l->args->strict;
    char hint[400], shown[151];
    const char *inner = l->matched == 0 ? inner_state(l) : NULL;
    if (inner != NULL)
        snprintf(hint, sizeof hint, "the entry \"%s\" holds tensors: fa_get(value, \"%s\")", shown_key(shown, inner),
                 shown);
    else
        snprintf(
            hint, sizeof hint, "%s",
            missing->rows + unexpected->rows > 0 && strict
                ? ".strict = false passes over missing and unexpected ones, .skip_mismatched = true over the others"
                : ".skip_mismatched = true leaves them as they are");
    fa_fail(FA_VALUE_ERROR, l->args->where_, l->what,
            "got a state dict that does not fit %s: %lld missing, %lld unexpected, %lld mismatched%s%s%s\nHint: %s",
            l->noun, (long long)missing->rows, (long long)unexpected->rows, (long long)mismatched->rows,
            text_of(&mismatched->text), strict ? text_of(&missing->text) : "", strict ? text_of(&unexpected->text) : "",
            hint);
    fa_report_clear();
    fa_report_add("%lld missing, %lld unexpected, %lld mismatched%s%s%s", (long long)missing->rows,
                  (long long)unexpected->rows, (long long)mismatched->rows, text_of(&mismatched->all),
                  text_of(&missing->all), text_of(&unexpected->all));
    l->told = true;
}

/* Whether everything fits as far as it must. False after an error. */
static bool check(loader *l)
{
    table mismatched = {0}, missing = {0}, unexpected = {0};
    for (int64_t i = 0; i < l->entries; i++)
        if (l->entry[i].target >= 0 && !fa_value_view(l->entry[i].value, &l->entry[i].view, l->args->where_))
            return false;
    const bool strict = l->args->strict, skip = l->args->skip_mismatched;
    missing_rows(l, &missing);
    mismatched_rows(l, &mismatched);
    unexpected_rows(l, &unexpected);
    const bool fits = (!strict || missing.rows + unexpected.rows == 0) && (skip || mismatched.rows == 0);
    const bool none = l->matched == 0 && l->count > 0 && (!strict || skip);
    char theirs[200], ours[200];
    if (none)
        fa_fail(
            FA_VALUE_ERROR, l->args->where_, l->what,
            "got a state dict of %lld keys (%s, ...), of which none fits one of the %lld of %s (%s, ...). Hint: is it "
            "the file of another network?",
            (long long)l->entries, first_keys(l, theirs, sizeof theirs, true), (long long)l->count, l->noun,
            first_keys(l, ours, sizeof ours, false));
    else if (!fits)
        refuse_table(l, &missing, &unexpected, &mismatched);
    else if (missing.rows + unexpected.rows + mismatched.rows > 0)
        fa_report_add("left out: %lld missing, %lld unexpected, %lld mismatched%s%s%s", (long long)missing.rows,
                      (long long)unexpected.rows, (long long)mismatched.rows, text_of(&mismatched.all),
                      text_of(&missing.all), text_of(&unexpected.all));
    table *const tables[] = {&mismatched, &missing, &unexpected};
    for (int i = 0; i < 3; i++) {
        fa_text_free(&tables[i]->text);
        fa_text_free(&tables[i]->all);
    }
    return fits && !none;
}

/* ---- Copying ------------------------------------------------------------------------------------------------------
 */

/* Whether what is read is one of the tensors that are written. */
static bool is_target(const loader *l, const fa_tensor_view *view)
{
    for (int64_t i = 0; i < l->count; i++)
        if (l->from[i] >= 0 && l->target[i].leaf->buffer->data == view->data)
            return true;
    return false;
}

static size_t bytes_of(const fa_leaf *leaf)
{
    return (size_t)(fa_meta_numel(&leaf->meta) * fa_dtype_size(leaf->meta.dtype));
}

/* Everything that can fail is done before the first byte is written. */
static bool copy(loader *l)
{
    fa_where where = l->args->where_;
    int64_t rounded = 0, widened = 0;
    void **ready = fa_calloc((size_t)l->count + 1, sizeof *ready);
    if (ready == NULL)
        return fa_fail_memory(where, (size_t)l->count * sizeof *ready);
    bool fine = true;
    for (int64_t i = 0; fine && i < l->count; i++) /* what was recorded from the old values runs now */
        fine = l->from[i] < 0 || fa_leaf_data_mut(l->target[i].leaf, where) != NULL;
    for (int64_t i = 0; fine && i < l->count; i++) {
        if (l->from[i] < 0)
            continue;
        const fa_tensor_view *view = &l->entry[l->from[i]].view;
        const fa_leaf *leaf = l->target[i].leaf;
        const bool same_type = (int)view->stored == leaf->meta.dtype;
        rounded += view->stored == FA_STORED_FLOAT64 && leaf->meta.dtype == FA_DT_FLOAT32;
        widened += !same_type && view->stored != FA_STORED_FLOAT64;
        if (same_type && !is_target(l, view))
            continue;
        ready[i] = fa_malloc(bytes_of(leaf) + 1);
        fine = ready[i] != NULL ? fa_view_convert(ready[i], leaf->meta.dtype, view, where)
                                : fa_fail_memory(where, bytes_of(leaf));
    }
    for (int64_t i = 0; i < l->count; i++) {
        if (fine && l->from[i] >= 0 && ready[i] != NULL)
            memcpy(l->target[i].leaf->buffer->data, ready[i], bytes_of(l->target[i].leaf));
        else if (fine && l->from[i] >= 0)
            fa_view_copy(l->target[i].leaf->buffer->data, &l->entry[l->from[i]].view);
        fa_mfree(ready[i]);
    }
    fa_mfree(ready);
    if (fine && rounded > 0)
        fa_report_add("rounded %lld tensors of float64 to float32", (long long)rounded);
    if (fine && widened > 0)
        fa_report_add("converted %lld tensors of other types to the parameters' own", (long long)widened);
    return fine;
}

bool fa_state_load(fa_state_target *target, int64_t count, const char *noun, const fa_load_state_dict_args *args,
                   const char *what)
{
    loader l = {.target = target, .count = count, .args = args, .what = what, .noun = noun};
    if (args->state == NULL)
        return fa_ok() ? fa_fail(FA_VALUE_ERROR, args->where_, what, "got no state (NULL), needs a state dict.")
                       : false;
    bool fine = false;
    fa_scope_guard scope = fa_scope_begin_at(args->where_);
    fa_value *state = find_state(args->state, what, args->where_);
    if (state != NULL && read_entries(&l, state) && check(&l)) {
        if (l.stripped_compiled > 0)
            fa_report_add("removed '_orig_mod.' from %lld keys", (long long)l.stripped_compiled);
        if (l.stripped_module > 0)
            fa_report_add("removed 'module.' from %lld keys", (long long)l.stripped_module);
        fine = copy(&l);
    }
    fa_mfree(l.entry);
    fa_mfree(l.from);
    fa_mfree(l.sorted);
    fa_scope_end_(&scope);
    if (!fine && !l.told)
        fa_report_clear();
    return fine;
}
