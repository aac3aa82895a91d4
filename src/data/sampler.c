/* Samplers: sequential, random (permutations or replacement), subset random. */
#include "data/sampler.h"

#include <string.h>

enum { REPLACED_BLOCK = 32 };

int64_t fa_sampler_items(const fa_sampler_body *sampler, fa_dataset *dataset)
{
    const fa_dataset_body *set = (sampler->dataset != NULL ? sampler->dataset : dataset)->object.body;
    return set->kind->length(set->data);
}

int64_t fa_sampler_total(const fa_sampler_body *sampler, int64_t n)
{
    return sampler->num_samples == INT64_MIN ? n : sampler->num_samples;
}

bool fa_order_begin(fa_order *order, const fa_sampler_body *sampler, int64_t n, fa_where where)
{
    if (n < 0 || (n == 0 && fa_sampler_total(sampler, n) > 0 && sampler->kind != FA_SAMPLE_SUBSET))
        return fa_fail(FA_VALUE_ERROR, where, "data set", "got length %lld, needs at least %d.", (long long)n, n == 0);
    order->kind = sampler->kind;
    order->n = sampler->kind == FA_SAMPLE_SUBSET ? sampler->num_samples : n;
    order->total = fa_sampler_total(sampler, n);
    order->indices = sampler->indices;
    order->generator = sampler->generator;
    order->own_seed =
        sampler->generator == NULL && (sampler->kind == FA_SAMPLE_PERMUTED || sampler->kind == FA_SAMPLE_REPLACED);
    order->given = order->have = order->next = 0;
    order->started = order->dry = false;
    int64_t need = order->kind == FA_SAMPLE_REPLACED ? REPLACED_BLOCK : order->n;
    if (order->kind == FA_SAMPLE_SEQUENTIAL || need <= order->capacity)
        return true;
    size_t bytes;
    int64_t *block = fa_mul_size((size_t)need, sizeof *block, &bytes) ? fa_malloc(bytes) : NULL;
    if (block == NULL)
        return fa_fail_memory(where, (size_t)need * sizeof *block);
    fa_mfree(order->block);
    order->block = block;
    order->capacity = need;
    return true;
}

void fa_order_draw(fa_order *order, fa_mt *mt)
{
    if (order->kind == FA_SAMPLE_REPLACED) {
        int64_t left = order->total - order->given;
        order->have = left < REPLACED_BLOCK ? left : REPLACED_BLOCK;
        fa_mt_randint(mt, order->block, order->have, 0, order->n);
    } else {
        order->have = order->n;
        fa_mt_randperm(mt, order->block, order->n);
    }
    order->next = 0;
}

static void draw_block(fa_order *order)
{
    if (order->own_seed) {
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
}

/* Whether `want` more indices can be had without a draw that the program could see. */
static bool can_run_ahead(const fa_order *order, int64_t want)
{
    if (order->kind == FA_SAMPLE_SEQUENTIAL || (order->own_seed && order->started))
        return true;
    int64_t left = order->total - order->given;
    return order->started && order->have - order->next >= (left < want ? left : want);
}

int64_t fa_order_pull(fa_order *order, int64_t *out, int64_t want, bool asked)
{
    if (!asked && !can_run_ahead(order, want))
        return -1;
    int64_t left = order->total - order->given;
    int64_t count = left < want ? left : want;
    if (order->kind == FA_SAMPLE_SEQUENTIAL) {
        for (int64_t i = 0; i < count; i++)
            out[i] = order->given + i;
        order->given += count;
        return count;
    }
    for (int64_t done = 0; done < count;) {
        if (order->next == order->have)
            draw_block(order);
        int64_t part = order->have - order->next < count - done ? order->have - order->next : count - done;
        for (int64_t i = 0; i < part; i++) {
            int64_t drawn = order->block[order->next + i];
            out[done + i] = order->kind == FA_SAMPLE_SUBSET ? order->indices[drawn] : drawn;
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
        draw_block(order);
    order->dry = true;
}

void fa_order_free(fa_order *order)
{
    fa_mfree(order->block);
    order->block = NULL;
    order->capacity = 0;
}

/* ---- Objects ----------------------------------------------------------------------------------------------------- */

static void destroy_sampler(void *body)
{
    fa_sampler_body *sampler = body;
    fa_object_drop((fa_object *)sampler->dataset);
    if (sampler->generator != NULL)
        fa_generator_release(sampler->generator);
    fa_mfree(sampler->indices);
    fa_mfree(sampler);
}

const fa_object_kind fa_sampler_class = {"sampler", destroy_sampler};

/* Copies the description; holds the data set, retains the generator, owns the indices (also after an error). */
static fa_sampler *make(const fa_sampler_body *description, fa_where where)
{
    fa_sampler_body *body = fa_malloc(sizeof *body);
    fa_object *object = body != NULL ? fa_object_new(&fa_sampler_class, body) : NULL;
    if (object == NULL) {
        fa_mfree(body);
        fa_mfree(description->indices);
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

fa_sampler *fa_subset_random_sampler_at(const int64_t *indices, int64_t n, fa_generator *generator, fa_where where)
{
    if (n < 0 || (n > 0 && indices == NULL)) {
        fa_fail(FA_VALUE_ERROR, where, "fa_subset_random_sampler", "got %lld indices, needs a list of 0 or more.",
                (long long)n);
        return NULL;
    }
    size_t bytes;
    int64_t *copy = fa_mul_size((size_t)n, sizeof *copy, &bytes) ? fa_malloc(bytes) : NULL;
    if (copy == NULL) {
        fa_fail_memory(where, (size_t)n * sizeof *copy);
        return NULL;
    }
    if (n > 0)
        memcpy(copy, indices, bytes);
    return make(&(fa_sampler_body){.kind = FA_SAMPLE_SUBSET, .num_samples = n, .generator = generator, .indices = copy},
                where);
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
