/* Samplers: sequential, random (permutations or replacement), subset random, weighted, lists, and the program's own. */
#include "data/sampler.h"

#include <math.h>
#include <string.h>

enum { REPLACED_BLOCK = 32 };

int64_t fa_sampler_items(const fa_sampler_body *sampler, fa_dataset *dataset)
{
    const fa_dataset_body *set = (sampler->dataset != NULL ? sampler->dataset : dataset)->object.body;
    return set->kind->length(set->data);
}

int64_t fa_sampler_total(const fa_sampler_body *sampler, int64_t n)
{
    if (sampler->kind == FA_SAMPLE_OWN)
        return sampler->own.length(sampler->own.user);
    if (sampler->kind == FA_SAMPLE_OWN_BATCH)
        return sampler->batch.length(sampler->batch.user);
    return sampler->num_samples == INT64_MIN ? n : sampler->num_samples;
}

/* Whether the sampler chooses among the items, so that there must be some. */
static bool needs_items(fa_sampler_kind kind)
{
    return kind == FA_SAMPLE_SEQUENTIAL || kind == FA_SAMPLE_PERMUTED || kind == FA_SAMPLE_REPLACED;
}

/* Indices drawn at once. */
static int64_t block_size(const fa_order *order)
{
    switch (order->kind) {
    case FA_SAMPLE_PERMUTED:
        return order->n;
    case FA_SAMPLE_REPLACED:
        return REPLACED_BLOCK;
    case FA_SAMPLE_SUBSET:
    case FA_SAMPLE_WEIGHTED:
    case FA_SAMPLE_OWN:
        return order->total;
    default:
        return 0;
    }
}

static void *new_array(int64_t count, size_t size, fa_where where)
{
    size_t bytes;
    void *array = fa_mul_size((size_t)count, size, &bytes) ? fa_malloc(bytes) : NULL;
    if (array == NULL)
        fa_fail_memory(where, fa_mul_size((size_t)count, size, &bytes) ? bytes : SIZE_MAX);
    return array;
}

bool fa_order_begin(fa_order *order, const fa_sampler_body *sampler, int64_t n, fa_where where)
{
    int64_t total = fa_sampler_total(sampler, n);
    if (n < 0 || (n == 0 && total > 0 && needs_items(sampler->kind)))
        return fa_fail(FA_VALUE_ERROR, where, "data set", "got length %lld, needs at least %d.", (long long)n, n == 0);
    if (total < 0)
        return fa_fail(FA_VALUE_ERROR, where, "sampler", "got length %lld, needs 0 or more.", (long long)total);
    order->kind = sampler->kind;
    order->n = n;
    order->total = total;
    order->rule = sampler;
    order->generator = sampler->generator;
    order->where = where;
    order->own_seed =
        sampler->generator == NULL && (sampler->kind == FA_SAMPLE_PERMUTED || sampler->kind == FA_SAMPLE_REPLACED);
    order->given = order->have = order->next = 0;
    order->started = order->dry = false;
    if (order->kind == FA_SAMPLE_WEIGHTED && order->choices == NULL &&
        (order->choices = new_array(sampler->weight_count, sizeof *order->choices, where)) == NULL)
        return false;
    int64_t need = block_size(order);
    if (need <= order->capacity)
        return true;
    int64_t *block = new_array(need, sizeof *block, where);
    if (block == NULL)
        return false;
    fa_mfree(order->block);
    order->block = block;
    order->capacity = need;
    return true;
}

void fa_order_draw(fa_order *order, fa_mt *mt)
{
    order->have = block_size(order);
    switch (order->kind) {
    case FA_SAMPLE_REPLACED: {
        int64_t left = order->total - order->given;
        order->have = left < REPLACED_BLOCK ? left : REPLACED_BLOCK;
        fa_mt_randint(mt, order->block, order->have, 0, order->n);
        break;
    }
    case FA_SAMPLE_WEIGHTED:
        fa_mt_multinomial(mt, order->block, order->total, order->rule->weights, order->rule->weight_count, false,
                          order->rule->replacement, order->choices);
        break;
    default:
        fa_mt_randperm(mt, order->block, order->have);
        break;
    }
    order->next = 0;
}

/* The program's callback; it may draw. */
static bool ask_for_pass(fa_order *order)
{
    const fa_sampler_new_args *own = &order->rule->own;
    order->have = order->total;
    order->next = 0;
    if (own->order(own->user, order->block, order->total) && fa_ok())
        return true;
    return fa_ok() ? fa_fail(FA_DATA_ERROR, order->where, "sampler",
                             "got false from the order callback. Hint: fa_raise in the callback says why.")
                   : false;
}

/* False after an error. */
static bool draw_block(fa_order *order)
{
    if (order->kind == FA_SAMPLE_OWN) {
        if (!ask_for_pass(order))
            return false;
    } else if (order->own_seed) {
        if (!order->started) {
            fa_generator *source = fa_generator_default();
            order->seed = (uint64_t)fa_mt_random_int64(fa_generator_lock(source));
            fa_generator_unlock(source);
            fa_mt_seed(&order->engine, order->seed);
        }
        fa_order_draw(order, &order->engine);
    } else {
        fa_generator *source = fa_generator_or_default(order->generator);
        fa_mt *mt = fa_generator_lock(source);
        order->before = *mt;
        fa_order_draw(order, mt);
        fa_generator_unlock(source);
    }
    order->started = true;
    return true;
}

/* Whether `want` more indices can be had without a draw that the program could see. */
static bool can_run_ahead(const fa_order *order, int64_t want)
{
    if (block_size(order) == 0)
        return order->kind != FA_SAMPLE_OWN_BATCH || !order->rule->batch.draws;
    if (order->own_seed && order->started)
        return true;
    int64_t left = order->total - order->given;
    return order->started && order->have - order->next >= (left < want ? left : want);
}

/* One batch of the program's own; `want` is the most that there is room for. */
static int64_t ask_for_batch(fa_order *order, int64_t *out, int64_t want)
{
    if (order->given == order->total)
        return 0;
    const fa_batch_sampler_args *batch = &order->rule->batch;
    int64_t n = batch->batch(batch->user, order->given, out);
    if (!fa_ok())
        return -1;
    if (n < 1 || n > want) {
        fa_fail(FA_DATA_ERROR, order->where, "batch sampler",
                "got %lld indices for batch %lld, needs 1 to %lld, the batch sampler's batch_size.", (long long)n,
                (long long)order->given, (long long)want);
        return -1;
    }
    order->given++;
    return n;
}

int64_t fa_order_pull(fa_order *order, int64_t *out, int64_t want, bool asked)
{
    if (!asked && !can_run_ahead(order, want))
        return -1;
    if (order->kind == FA_SAMPLE_OWN_BATCH)
        return ask_for_batch(order, out, want);
    int64_t left = order->total - order->given;
    int64_t count = left < want ? left : want;
    if (order->kind == FA_SAMPLE_SEQUENTIAL || order->kind == FA_SAMPLE_LIST) {
        for (int64_t i = 0; i < count; i++)
            out[i] = order->kind == FA_SAMPLE_LIST ? order->rule->indices[order->given + i] : order->given + i;
        order->given += count;
        return count;
    }
    for (int64_t done = 0; done < count;) {
        if (order->next == order->have && !draw_block(order))
            return -1;
        int64_t part = order->have - order->next < count - done ? order->have - order->next : count - done;
        for (int64_t i = 0; i < part; i++) {
            int64_t drawn = order->block[order->next + i];
            out[done + i] = order->kind == FA_SAMPLE_SUBSET ? order->rule->indices[drawn] : drawn;
        }
        order->next += part;
        order->given += part;
        done += part;
    }
    return count;
}

void fa_order_run_dry(fa_order *order)
{
    if (!order->dry && order->kind == FA_SAMPLE_PERMUTED && !order->own_seed && order->n > 0 &&
        order->total % order->n == 0)
        (void)draw_block(order);
    order->dry = true;
}

void fa_order_free(fa_order *order)
{
    fa_mfree(order->block);
    fa_mfree(order->choices);
    order->block = NULL;
    order->choices = NULL;
    order->capacity = 0;
}

/* ---- Objects ----------------------------------------------------------------------------------------------------- */

static void destroy_sampler(void *body)
{
    fa_sampler_body *sampler = body;
    fa_object_drop((fa_object *)sampler->dataset);
    if (sampler->generator != NULL)
        fa_generator_release(sampler->generator);
    if (sampler->kind == FA_SAMPLE_OWN && sampler->own.destroy != NULL)
        sampler->own.destroy(sampler->own.user);
    fa_mfree(sampler->indices);
    fa_mfree(sampler->weights);
    fa_mfree(sampler);
}

const fa_object_kind fa_sampler_class = {"sampler", destroy_sampler};

/* Copies the description; holds the data set, retains the generator, owns indices and weights (also after an error). */
static fa_sampler *make(const fa_sampler_body *description, fa_where where)
{
    fa_sampler_body *body = fa_malloc(sizeof *body);
    fa_object *object = body != NULL ? fa_object_new(&fa_sampler_class, body) : NULL;
    if (object == NULL) {
        fa_mfree(body);
        fa_mfree(description->indices);
        fa_mfree(description->weights);
        fa_fail_memory(where, sizeof *body);
        return NULL;
    }
    *body = *description;
    fa_object_hold((fa_object *)body->dataset);
    if (body->generator != NULL)
        fa_generator_retain(body->generator);
    return (fa_sampler *)object;
}

fa_sampler *fa_sequential_sampler_at(fa_dataset *dataset, fa_where where)
{
    if (fa_dataset_use(dataset, "fa_sequential_sampler", where) == NULL)
        return NULL;
    return make(&(fa_sampler_body){.kind = FA_SAMPLE_SEQUENTIAL, .dataset = dataset, .num_samples = INT64_MIN}, where);
}

fa_sampler *fa_random_sampler_at(const fa_random_sampler_args *args)
{
    static const char *const call = "fa_random_sampler";
    fa_dataset_body *set = fa_dataset_use(args->dataset, call, args->where_);
    if (set == NULL)
        return NULL;
    fa_sampler_body description = {.kind = args->replacement ? FA_SAMPLE_REPLACED : FA_SAMPLE_PERMUTED,
                                   .dataset = args->dataset,
                                   .num_samples = args->num_samples,
                                   .generator = args->generator};
    int64_t total = fa_sampler_total(&description, set->kind->length(set->data));
    if (total <= 0 || set->kind->length(set->data) <= 0) {
        fa_fail(FA_VALUE_ERROR, args->where_, call, "got %lld samples of %lld items, needs at least 1 of each.",
                (long long)total, (long long)set->kind->length(set->data));
        return NULL;
    }
    return make(&description, args->where_);
}

/* A copy of the program's list; NULL after an error. */
static int64_t *copy_indices(const int64_t *indices, int64_t n, const char *call, fa_where where)
{
    if (n < 0 || (n > 0 && indices == NULL)) {
        fa_fail(FA_VALUE_ERROR, where, call, "got %lld indices, needs a list of 0 or more.", (long long)n);
        return NULL;
    }
    int64_t *copy = new_array(n, sizeof *copy, where);
    if (copy != NULL && n > 0)
        memcpy(copy, indices, (size_t)n * sizeof *copy);
    return copy;
}

fa_sampler *fa_subset_random_sampler_at(const int64_t *indices, int64_t n, fa_generator *generator, fa_where where)
{
    int64_t *copy = copy_indices(indices, n, "fa_subset_random_sampler", where);
    if (copy == NULL)
        return NULL;
    return make(&(fa_sampler_body){.kind = FA_SAMPLE_SUBSET, .num_samples = n, .generator = generator, .indices = copy},
                where);
}

fa_sampler *fa_list_sampler_at(const int64_t *indices, int64_t n, fa_where where)
{
    int64_t *copy = copy_indices(indices, n, "fa_list_sampler", where);
    if (copy == NULL)
        return NULL;
    return make(&(fa_sampler_body){.kind = FA_SAMPLE_LIST, .num_samples = n, .indices = copy}, where);
}

static bool check_weights(const fa_weighted_random_sampler_args *args)
{
    static const char *const call = "fa_weighted_random_sampler";
    if (args->weights == NULL || args->n < 1 || args->num_samples < 1)
        return fa_fail(FA_VALUE_ERROR, args->where_, call,
                       "got %lld weights and num_samples %lld, needs at least 1 of each.", (long long)args->n,
                       (long long)args->num_samples);
    int64_t positive = 0;
    for (int64_t i = 0; i < args->n; i++) {
        if (!(args->weights[i] >= 0) || isinf(args->weights[i]))
            return fa_fail(FA_VALUE_ERROR, args->where_, call,
                           "got weight %g for item %lld, needs finite numbers of 0 or more.", args->weights[i],
                           (long long)i);
        positive += args->weights[i] > 0;
    }
    int64_t least = args->replacement ? 1 : args->num_samples;
    if (positive < least)
        return fa_fail(FA_VALUE_ERROR, args->where_, call,
                       "got %lld weights above 0, needs at least %lld. Hint: an item of weight 0 is never drawn%s.",
                       (long long)positive, (long long)least,
                       args->replacement ? "" : ", and without replacement no item twice");
    return true;
}

fa_sampler *fa_weighted_random_sampler_at(const fa_weighted_random_sampler_args *args)
{
    double *copy = check_weights(args) ? new_array(args->n, sizeof *copy, args->where_) : NULL;
    if (copy == NULL)
        return NULL;
    memcpy(copy, args->weights, (size_t)args->n * sizeof *copy);
    return make(&(fa_sampler_body){.kind = FA_SAMPLE_WEIGHTED,
                                   .num_samples = args->num_samples,
                                   .generator = args->generator,
                                   .weights = copy,
                                   .weight_count = args->n,
                                   .replacement = args->replacement},
                args->where_);
}

fa_sampler *fa_sampler_new_at(const fa_sampler_new_args *args)
{
    fa_sampler *made = NULL;
    if (args->length == NULL || args->order == NULL)
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_sampler_new", "got no %s callback, needs .length and .order.",
                args->length == NULL ? "length" : "order");
    else
        made = make(&(fa_sampler_body){.kind = FA_SAMPLE_OWN, .own = *args}, args->where_);
    if (made == NULL && args->destroy != NULL)
        args->destroy(args->user);
    return made;
}

fa_sampler *fa_sampler_retain(fa_sampler *sampler)
{
    fa_object_retain((fa_object *)sampler);
    return sampler;
}

void fa_sampler_free(fa_sampler *sampler)
{
    fa_object_free((fa_object *)sampler);
}

/* ---- Batch samplers ---------------------------------------------------------------------------------------------- */

static void destroy_batch_sampler(void *body)
{
    fa_batch_sampler_body *sampler = body;
    fa_object_drop((fa_object *)sampler->sampler);
    if (sampler->sampler == NULL && sampler->rule.batch.destroy != NULL)
        sampler->rule.batch.destroy(sampler->rule.batch.user);
    fa_mfree(sampler);
}

const fa_object_kind fa_batch_sampler_class = {"batch sampler", destroy_batch_sampler};

static fa_batch_sampler *make_batches(const fa_batch_sampler_body *description, fa_where where)
{
    fa_batch_sampler_body *body = fa_malloc(sizeof *body);
    fa_object *object = body != NULL ? fa_object_new(&fa_batch_sampler_class, body) : NULL;
    if (object == NULL) {
        fa_mfree(body);
        fa_fail_memory(where, sizeof *body);
        return NULL;
    }
    *body = *description;
    fa_object_hold((fa_object *)body->sampler);
    return (fa_batch_sampler *)object;
}

static bool check_batch_size(int64_t batch_size, const char *call, fa_where where)
{
    return batch_size >= 1 ||
           fa_fail(FA_VALUE_ERROR, where, call, "got batch_size %lld, needs at least 1.", (long long)batch_size);
}

fa_batch_sampler *fa_batch_sampler_at(fa_sampler *sampler, int64_t batch_size, bool drop_last, fa_where where)
{
    static const char *const call = "fa_batch_sampler";
    if (!fa_object_check((fa_object *)sampler, &fa_sampler_class, call, where) ||
        !check_batch_size(batch_size, call, where))
        return NULL;
    return make_batches(&(fa_batch_sampler_body){.sampler = sampler, .batch_size = batch_size, .drop_last = drop_last},
                        where);
}

fa_batch_sampler *fa_batch_sampler_new_at(const fa_batch_sampler_args *args)
{
    static const char *const call = "fa_batch_sampler_new";
    fa_batch_sampler *made = NULL;
    if (args->length == NULL || args->batch == NULL)
        fa_fail(FA_VALUE_ERROR, args->where_, call, "got no %s callback, needs .length and .batch.",
                args->length == NULL ? "length" : "batch");
    else if (check_batch_size(args->batch_size, call, args->where_))
        made = make_batches(
            &(fa_batch_sampler_body){.rule = {.kind = FA_SAMPLE_OWN_BATCH, .num_samples = INT64_MIN, .batch = *args},
                                     .batch_size = args->batch_size},
            args->where_);
    if (made == NULL && args->destroy != NULL)
        args->destroy(args->user);
    return made;
}

fa_batch_sampler *fa_batch_sampler_retain(fa_batch_sampler *sampler)
{
    fa_object_retain((fa_object *)sampler);
    return sampler;
}

void fa_batch_sampler_free(fa_batch_sampler *sampler)
{
    fa_object_free((fa_object *)sampler);
}
