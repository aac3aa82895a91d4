/* The cases of number_cases.h. Each seeds the default generator, and ends with a word drawn from it, so that the number
 * of draws shows. `pick` and `given` are the same arithmetic in make_numbers.py. */
#include "support/number_cases.h"

#include "support/facula_test.h"

#include "base/generator.h"

#include <facula.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct run {
    uint64_t seed;
    unsigned char *bytes;
    size_t size, capacity;
} run;

/* ---- What a case gives, and its sizes ---------------------------------------------------------------------------- */

static void give(run *r, const void *bytes, size_t size)
{
    if (r->size + size > r->capacity) {
        r->capacity = 2 * (r->size + size);
        r->bytes = realloc(r->bytes, r->capacity);
        assert_non_null(r->bytes);
    }
    if (size > 0)
        memcpy(r->bytes + r->size, bytes, size);
    r->size += size;
}

static void give_tensor(run *r, fa_tensor *x)
{
    static const size_t size[] = {
        [FA_FLOAT32] = 4, [FA_FLOAT64] = 8, [FA_INT64] = 8, [FA_INT32] = 4, [FA_UINT8] = 1, [FA_BOOL] = 1};
    const void *data = fa_data(x);
    if (!fa_ok())
        fail_msg("%s", fa_error());
    give(r, data, (size_t)fa_numel(x) * size[fa_dtype_of(x)]);
}

static void give_word(run *r, fa_generator *generator)
{
    int64_t word = fa_mt_random_int64(fa_generator_lock(generator));
    fa_generator_unlock(generator);
    give(r, &word, sizeof word);
}

static uint64_t mix(uint64_t seed, uint64_t k)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + k * 0xbf58476d1ce4e5b9u;
    x ^= x >> 31;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 29;
}

/* A number from lo to hi - 1. */
static int64_t pick(const run *r, uint64_t k, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(mix(r->seed, k) % (uint64_t)(hi - lo));
}

/* n numbers between -2 and 2, exact in float32. */
static void given(const run *r, uint64_t k, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(mix(r->seed, 1000 * (k + 1) + (uint64_t)i) >> 48) / 16384.0f - 2.0f;
}

static fa_tensor *given_tensor(const run *r, uint64_t k, fa_shape shape)
{
    float values[256];
    int64_t n = 1;
    for (int d = 0; d < shape.ndim; d++)
        n *= shape.size[d];
    given(r, k, values, n);
    return fa_from_memory(values, FA_FLOAT32, shape);
}

/* ---- Draws ------------------------------------------------------------------------------------------------------- */

static void integers(run *r)
{
    const int64_t high[] = {1,
                            2,
                            pick(r, 0, 3, 100000),
                            ((int64_t)1 << 28) - 1,
                            (int64_t)1 << 28,
                            ((int64_t)1 << 31) + pick(r, 1, 0, 1000),
                            (int64_t)1 << 40,
                            INT64_MAX};
    for (size_t i = 0; i < sizeof high / sizeof *high; i++)
        give_tensor(r, fa_randint(0, high[i], FA_SHAPE(13)));
    give_tensor(r, fa_randint(-5, 1 + pick(r, 2, 0, 50), FA_SHAPE(7)));
}

static void uniforms(run *r)
{
    const int64_t n[] = {1, 7, 15, 16, 17, pick(r, 0, 18, 3000)};
    for (size_t i = 0; i < sizeof n / sizeof *n; i++) {
        give_tensor(r, fa_rand(n[i]));
        give_tensor(r, fa_rand_with(FA_SHAPE(n[i]), .dtype = FA_FLOAT64));
        double lo = (double)pick(r, 10 + i, -100, 100) / 7, hi = lo + (double)pick(r, 20 + i, 1, 100) / 3;
        give_tensor(r, fa_uniform_(fa_empty(n[i]), lo, hi));
        give_tensor(r, fa_uniform_(fa_empty_with(FA_SHAPE(n[i]), .dtype = FA_FLOAT64), lo, hi));
    }
}

static void normals(run *r)
{
    for (int64_t n = 1; n < 36; n++)
        give_tensor(r, fa_randn(n));
    const int64_t many = pick(r, 0, 36, 3000);
    const double mean = (double)pick(r, 1, -100, 100) / 7, std = (double)pick(r, 2, 0, 100) / 9;
    give_tensor(r, fa_randn(many));
    give_tensor(r, fa_normal_(fa_empty(5), mean, std));
    give_tensor(r, fa_normal_(fa_empty(many), mean, std));
}

static void normals_float64(run *r)
{
    for (int64_t n = 1; n < 36; n += 3)
        give_tensor(r, fa_randn_with(FA_SHAPE(n), .dtype = FA_FLOAT64));
    const double mean = (double)pick(r, 1, -100, 100) / 7, std = (double)pick(r, 2, 0, 100) / 9;
    give_tensor(r, fa_normal_(fa_empty_with(FA_SHAPE(11), .dtype = FA_FLOAT64), mean, std));
    give_tensor(r, fa_normal_(fa_empty_with(FA_SHAPE(pick(r, 0, 36, 900)), .dtype = FA_FLOAT64), mean, std));
}

/* A normal that waits in the generator, among other draws. */
static void cached_normals(run *r)
{
    give_tensor(r, fa_randn(3));
    give_tensor(r, fa_rand(2));
    give_tensor(r, fa_randn(20));
    give_tensor(r, fa_randperm(5));
    give_tensor(r, fa_randn_with(FA_SHAPE(2), .dtype = FA_FLOAT64));
    give_tensor(r, fa_randn(1));
}

/* Views whose elements do not lie in order. */
static void views(run *r)
{
    const int64_t a = pick(r, 0, 2, 7), b = pick(r, 1, 2, 7), c = pick(r, 2, 3, 7);
    fa_tensor *x = fa_zeros(a, b, c), *y = fa_zeros(b, c), *z = fa_zeros_with(FA_SHAPE(a, c), .dtype = FA_FLOAT64);
    fa_normal_(fa_slice_step(fa_permute(x, 2, 0, 1), 1, 0, a, 2), 1, 3);
    give_tensor(r, x);
    fa_uniform_(fa_permute(x, 1, 2, 0), -1, 2);
    give_tensor(r, x);
    fa_bernoulli_(fa_slice_step(fa_permute(x, 1, 0, 2), 2, 1, c, 2), 0.4);
    give_tensor(r, x);
    fa_normal_(fa_transpose(y, 0, 1));
    fa_exponential_(fa_slice(fa_transpose(y, 0, 1), 0, 1, c), 1.5);
    give_tensor(r, y);
    fa_normal_(fa_transpose(z, 0, 1), 2, 0.5);
    give_tensor(r, z);
}

static void permutations(run *r)
{
    const int64_t n[] = {0, 1, 2, 10, pick(r, 0, 11, 5000)};
    for (size_t i = 0; i < sizeof n / sizeof *n; i++)
        give_tensor(r, fa_randperm(n[i]));
}

static void bernoullis(run *r)
{
    const double p = (double)pick(r, 0, 0, 1001) / 1000;
    give_tensor(r, fa_bernoulli_(fa_empty(33), p));
    give_tensor(r, fa_bernoulli_(fa_empty_with(FA_SHAPE(33), .dtype = FA_FLOAT64), p));
    give_tensor(r, fa_bernoulli_(fa_empty_with(FA_SHAPE(33), .dtype = FA_UINT8), p));
    fa_tensor *chances = fa_rand(4, 10);
    give_tensor(r, fa_bernoulli(chances));
    give_tensor(r, fa_bernoulli(fa_to_dtype(chances, FA_FLOAT64)));
}

static void exponentials(run *r)
{
    const double lambda = (double)pick(r, 0, 1, 1000) / 100;
    give_tensor(r, fa_exponential_(fa_empty(40), lambda));
    give_tensor(r, fa_exponential_(fa_empty_with(FA_SHAPE(20), .dtype = FA_FLOAT64), lambda));
}

static void multinomials(run *r)
{
    const int64_t n = pick(r, 0, 2, 60), k = pick(r, 1, 1, n + 1);
    for (int dtype = 0; dtype < 2; dtype++) {
        fa_tensor *w = fa_to_dtype(fa_rand(2, n), dtype ? FA_FLOAT64 : FA_FLOAT32);
        give_tensor(r, fa_multinomial(w, k));
        give_tensor(r, fa_multinomial(w, 40, .replacement = true));
        give_tensor(r, fa_multinomial(fa_select(w, 0, 1), 1, .replacement = true));
    }
}

static void dropouts(run *r)
{
    const double p = (double)pick(r, 0, 0, 101) / 100;
    fa_tensor *x = given_tensor(r, 0, FA_SHAPE(2, 3, 4, 5));
    give_tensor(r, fa_dropout(x, .p = p));
    give_tensor(r, fa_dropout(x, .p = 0.5));
    give_tensor(r, fa_dropout2d(x, .p = p));
    give_tensor(r, fa_dropout(x, p, false));
}

/* New tensors like views, and dropout of views: drawn in the order of memory. */
static void likes(run *r)
{
    const int64_t a = pick(r, 0, 2, 5), b = pick(r, 1, 3, 6), c = pick(r, 2, 2, 7);
    fa_tensor *x = given_tensor(r, 0, FA_SHAPE(a, b, c));
    fa_tensor *views[] = {fa_permute(x, 2, 0, 1), fa_slice(fa_permute(x, 1, 0, 2), 0, 1, b), fa_slice(x, 1, 1, b),
                          fa_expand(fa_slice(x, 0, 0, 1), a, b, c), fa_transpose(fa_expand(x, 2, a, b, c), 0, 3)};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        fa_tensor *view = views[i];
        give_tensor(r, fa_rand_like(view));
        give_tensor(r, fa_randn_like(view));
        give_tensor(r, fa_randn_like(view, .dtype = FA_FLOAT64));
        give_tensor(r, fa_randint_like(view, -9, 50));
        give_tensor(r, fa_randint_like(view, 0, 7, .dtype = FA_INT64));
        give_tensor(r, fa_dropout(view, (double)pick(r, 3 + i, 1, 100) / 100));
        give_tensor(r, fa_dropout2d(view, 0.5, true));
    }
}

/* ---- Initial weights --------------------------------------------------------------------------------------------- */

static void give_parameters(run *r, fa_module *model)
{
    fa_tensor_list list = fa_parameters(model);
    for (int64_t i = 0; i < list.count; i++)
        give_tensor(r, list.tensor[i]);
    list = fa_buffers(model);
    for (int64_t i = 0; i < list.count; i++)
        give_tensor(r, list.tensor[i]);
}

static void layers(run *r)
{
    const int64_t c = 2 * pick(r, 0, 1, 9), d = 2 * pick(r, 1, 1, 9), k = pick(r, 2, 1, 6);
    fa_module *model = fa_nn_sequential(
        fa_nn_conv2d(3, c, k), fa_nn_batch_norm2d(c),
        fa_nn_sequential(fa_nn_conv2d(c, d, 3, .groups = 2, .bias = false), fa_nn_group_norm(2, d), fa_nn_prelu(d)),
        fa_nn_conv_transpose2d(d, c, 2, .groups = 2),
        fa_nn_conv2d(c, c, .kernel_hw = {1, 3}, .groups = c, .padding_mode = FA_PAD_REFLECT),
        fa_nn_instance_norm2d(c, .affine = true), fa_nn_flatten(), fa_nn_linear(c, d), fa_nn_layer_norm(FA_SHAPE(d)),
        fa_nn_batch_norm1d(d), fa_nn_dropout(), fa_nn_linear(d, pick(r, 3, 1, 40), .bias = false),
        fa_nn_conv_transpose2d(d, 3, 3, .bias = false));
    if (model == NULL)
        fail_msg("%s", fa_error());
    give_parameters(r, model);
    fa_free(model);
}

static void initialisers(run *r)
{
    const int64_t a = 2 * pick(r, 0, 1, 9), b = pick(r, 1, 1, 9);
    fa_tensor *w = fa_empty(a, b, 3, 3), *m = fa_empty(a, b);
    const double gain = (double)pick(r, 2, 1, 30) / 10;
    give_tensor(r, fa_init_uniform_(w, -gain, gain));
    give_tensor(r, fa_init_normal_(w, 1, gain));
    give_tensor(r, fa_init_constant_(m, gain));
    give_tensor(r, fa_init_ones_(m));
    give_tensor(r, fa_init_zeros_(m));
    give_tensor(r, fa_init_eye_(m));
    give_tensor(r, fa_init_dirac_(w));
    give_tensor(r, fa_init_dirac_(w, .groups = 2));
    give_tensor(r, fa_init_xavier_uniform_(w, gain));
    give_tensor(r, fa_init_xavier_normal_(m, gain));
    give_tensor(r, fa_init_kaiming_uniform_(w));
    give_tensor(r, fa_init_kaiming_uniform_(m, 0.25, .mode = FA_FAN_OUT));
    give_tensor(r, fa_init_kaiming_normal_(w, .mode = FA_FAN_OUT, .nonlinearity = FA_GAIN_RELU));
    give_tensor(r, fa_init_kaiming_normal_(m, .nonlinearity = FA_GAIN_TANH));
    give_tensor(r, fa_init_kaiming_normal_(w, .nonlinearity = FA_GAIN_SELU));
    give_tensor(r, fa_init_kaiming_uniform_(w, .nonlinearity = FA_GAIN_LINEAR));
}

static void truncated_normals(run *r)
{
    fa_tensor *w = fa_empty(pick(r, 0, 1, 12), pick(r, 1, 1, 40));
    give_tensor(r, fa_init_trunc_normal_(w));
    give_tensor(r, fa_init_trunc_normal_(w, 0, 0.02));
    give_tensor(r, fa_init_trunc_normal_(w, 0.5, 1, -1, 1));
    give_tensor(r, fa_init_trunc_normal_(w, 0, 1, 1.5, 2));
    give_tensor(r, fa_init_trunc_normal_(w, 0, 2, -0.25, 0.25));
}

/* The draws alone, and the property; the bits are those of one LAPACK. */
static void orthogonal(run *r)
{
    const int64_t rows = pick(r, 0, 1, 12), columns = pick(r, 1, 1, 12), small = rows < columns ? rows : columns;
    fa_tensor *w = fa_init_orthogonal_(fa_empty(rows, columns), 2);
    fa_tensor *square = rows < columns ? fa_matmul(w, fa_t(w)) : fa_matmul(fa_t(w), w);
    const float *values = fa_data(square);
    for (int64_t i = 0; i < small * small; i++) {
        float want = i % (small + 1) == 0 ? 4.0f : 0.0f;
        assert_true(fabsf(values[i] - want) < 1e-5f);
    }
}

/* ---- Data -------------------------------------------------------------------------------------------------------- */

typedef struct numbers {
    int64_t n;
    fa_transform *transform; /* of 9 x 7 pictures with 3 channels; NULL: numbers alone */
} numbers;

static int64_t numbers_length(void *user)
{
    return ((numbers *)user)->n;
}

static bool numbers_item(void *user, int64_t i, fa_sample *sample)
{
    const numbers *set = user;
    uint8_t pixels[9 * 7 * 3];
    if (!fa_sample_label(sample, i))
        return false;
    if (set->transform == NULL)
        return true;
    for (int64_t k = 0; k < (int64_t)sizeof pixels; k++)
        pixels[k] = (uint8_t)((k * 37 + (k * k / 7) * 11 + i * 101) % 256);
    return fa_sample_image(sample, pixels, 9, 7, 3, set->transform);
}

static fa_dataset *numbers_dataset(numbers *set)
{
    return fa_dataset_new(set, .length = numbers_length, .item = numbers_item);
}

static void random_splits(run *r)
{
    numbers set = {.n = pick(r, 0, 10, 200)};
    fa_dataset *data = fa_dataset_retain(numbers_dataset(&set)), *part[3];
    for (int fractions = 0; fractions < 2; fractions++) {
        bool fine = fractions ? fa_random_split(data, part, 3, {0.5, 0.3, 0.2})
                              : fa_random_split(data, part, 2, {(double)(set.n - 7), 7});
        assert_true(fine);
        for (int p = 0; p < (fractions ? 3 : 2); p++) {
            fa_loader *all = fa_data_loader(part[p], .batch_size = 1000);
            fa_for_each_batch (b, all)
                give_tensor(r, b.item[0]);
            fa_free(all);
        }
    }
    fa_free(data), fa_free(data);
}

/* One pass; with each batch, a word that is drawn in the loop's body. */
static void pass(run *r, fa_loader *loader, fa_generator *generator)
{
    fa_for_each_batch (b, loader) {
        for (int f = 0; f < b.n; f++)
            give_tensor(r, b.item[f]);
        give_word(r, generator);
    }
    if (!fa_ok())
        fail_msg("%s", fa_error());
}

/* Three epochs, with and without a validation loader, with and without a generator. */
static void loaders(run *r)
{
    numbers set = {.n = pick(r, 0, 1, 90)}, other = {.n = pick(r, 1, 1, 30)};
    const int64_t size = pick(r, 2, 1, 20);
    const bool drop = pick(r, 3, 0, 2) != 0 && set.n >= size; /* a loop over nothing is an error here */
    for (int own = 0; own < 2; own++)
        for (int validate = 0; validate < 2; validate++) {
            fa_generator *g = own ? fa_generator_new() : NULL;
            if (own)
                fa_generator_seed(g, r->seed + 1);
            fa_loader *loader =
                fa_data_loader(numbers_dataset(&set), .batch_size = size, .shuffle = true, .drop_last = drop,
                               .generator = g, .num_workers = (int)pick(r, 4 + (uint64_t)own, 0, 4));
            fa_loader *check =
                fa_data_loader(numbers_dataset(&other), .batch_size = 7, .num_workers = (int)pick(r, 6, 0, 3));
            for (int epoch = 0; epoch < 3; epoch++) {
                pass(r, loader, g);
                if (validate)
                    pass(r, check, NULL);
            }
            give_word(r, g);
            fa_free(loader), fa_free(check);
            if (own)
                fa_free(g);
        }
}

static bool odd_first(void *user, int64_t *indices, int64_t n)
{
    (void)user;
    for (int64_t i = 0; i < n; i++)
        indices[i] = i < n / 2 ? 2 * i + 1 : 2 * (i - n / 2);
    give_word(user, NULL);
    return true;
}

static int64_t forty(void *user)
{
    (void)user;
    return 40;
}

static int64_t five(void *user)
{
    (void)user;
    return 5;
}

static int64_t growing(void *user, int64_t k, int64_t *indices)
{
    (void)user;
    for (int64_t i = 0; i <= k; i++)
        indices[i] = 5 * k + i;
    return k + 1;
}

static int64_t growing_and_drawing(void *user, int64_t k, int64_t *indices)
{
    give_word(user, NULL);
    return growing(user, k, indices);
}

static void samplers(run *r)
{
    numbers set = {.n = 40};
    double weights[40];
    int64_t chosen[15];
    for (int i = 0; i < 40; i++)
        weights[i] = (double)pick(r, 100 + (uint64_t)i, 1, 1000) / 64;
    for (int i = 0; i < 15; i++)
        chosen[i] = pick(r, 200 + (uint64_t)i, 0, 40);
    const int64_t k = pick(r, 0, 6, 41), many = pick(r, 1, 6, 150); /* a batch of 6 at least */
    const int workers = (int)pick(r, 2, 0, 3);
    fa_dataset *data = fa_dataset_retain(numbers_dataset(&set));
    for (int own = 0; own < 2; own++) {
        fa_generator *g = own ? fa_generator_new() : NULL;
        if (own)
            fa_generator_seed(g, r->seed + 2);
        fa_sampler *each[] = {
            fa_sequential_sampler(data),
            fa_random_sampler(data, .num_samples = many, .generator = g),
            fa_random_sampler(data, .replacement = true, .num_samples = many, .generator = g),
            fa_subset_random_sampler(chosen, 15, g),
            fa_weighted_random_sampler(weights, 40, many, .generator = g),
            fa_weighted_random_sampler(weights, 40, k, .replacement = false, .generator = g),
            fa_list_sampler(chosen, 15),
            fa_sampler_new(r, .length = forty, .order = odd_first),
        };
        for (size_t s = 0; s < sizeof each / sizeof *each; s++) {
            /* given to the loader itself, or in a batch sampler, by turns */
            fa_loader *loader =
                s % 2 == 0
                    ? fa_data_loader(data, .batch_size = 6, .sampler = each[s], .num_workers = workers)
                    : fa_data_loader(data, .batch_sampler = fa_batch_sampler(each[s], 6, own), .num_workers = workers);
            if (loader == NULL)
                fail_msg("%s", fa_error());
            pass(r, loader, g);
            pass(r, loader, NULL);
            fa_free(loader);
        }
        if (own)
            give_word(r, g), fa_free(g);
    }
    for (int draws = 0; draws < 2; draws++) {
        fa_loader *loader = fa_data_loader(
            data,
            .batch_sampler = fa_batch_sampler_new(r, .length = five, .batch_size = 5, .draws = draws != 0,
                                                  .batch = draws ? growing_and_drawing : growing),
            .num_workers = workers);
        assert_int_equal(fa_length(loader), 5);
        pass(r, loader, NULL);
        fa_free(loader);
    }
    fa_free(data), fa_free(data);
}

static void augmentation(run *r)
{
    numbers set = {.n = pick(r, 0, 1, 30)}, plain = {.n = 5};
    const int64_t height = pick(r, 1, 1, 12), width = pick(r, 2, 1, 12), padding = pick(r, 3, 0, 4);
    fa_transform *crop =
        fa_random_crop(.size_hw = {height, width}, .padding = padding, .pad_if_needed = true,
                       .fill = (double)pick(r, 4, 0, 256), .padding_mode = (fa_padding_mode)pick(r, 5, 0, 4));
    set.transform = fa_compose(crop, fa_random_horizontal_flip((double)pick(r, 6, 0, 101) / 100),
                               fa_random_vertical_flip((double)pick(r, 7, 0, 101) / 100), fa_to_tensor(),
                               fa_normalize({0.5, 0.25, 0.125}, {0.5, 0.3, 2}));
    if (set.transform == NULL)
        fail_msg("%s", fa_error());
    plain.transform = fa_to_tensor();
    const int workers = (int)pick(r, 8, 0, 4);
    fa_loader *loader =
        fa_data_loader(numbers_dataset(&set), .batch_size = pick(r, 9, 1, 12), .shuffle = true, .num_workers = workers);
    fa_loader *check = fa_data_loader(numbers_dataset(&plain), .batch_size = 2, .num_workers = workers);
    for (int epoch = 0; epoch < 2; epoch++) {
        fa_for_each_batch (b, loader) {
            give_tensor(r, b.item[0]);
            give_tensor(r, b.item[1]);
            give_tensor(r, fa_dropout(fa_ones(30), .p = 0.3));
        }
        pass(r, check, NULL);
    }
    fa_free(loader), fa_free(check), fa_free(set.transform), fa_free(plain.transform);
}

/* ---- States ------------------------------------------------------------------------------------------------------ */

static void states(run *r)
{
    uint8_t state[FA_GENERATOR_STATE_SIZE];
    for (int i = 0; i < 3; i++) {
        fa_get_rng_state(state);
        give(r, state, sizeof state);
        fa_generator *other = fa_generator_new();
        assert_true(fa_generator_set_state(other, state));
        give_tensor(r, fa_randn_with(FA_SHAPE(3), .generator = other));
        give_tensor(r, fa_rand_with(FA_SHAPE(700), .generator = other));
        fa_generator_get_state(other, state);
        give(r, state, sizeof state);
        fa_generator_free(other);
        fa_rand(pick(r, 20 + (uint64_t)i, 1, 900));
        fa_generator_get_state(NULL, state);
        give(r, state, sizeof state);
        assert_true(fa_set_rng_state(state));
        give_tensor(r, fa_randn(pick(r, (uint64_t)i, 1, 16)));
        give_tensor(r, fa_rand(pick(r, 10 + (uint64_t)i, 1, 900)));
    }
}

/* ---- Optimizers -------------------------------------------------------------------------------------------------- */

enum { PARAMETERS = 3, STEPS = 6 };
static const int64_t shapes[PARAMETERS][2] = {{1, 5}, {4, 8}, {3, 11}};

/* Given parameters, and gradients for each step: what the optimizer makes of them. */
static void trajectory(run *r, fa_tensor *const *parameter, fa_optim *optim)
{
    if (optim == NULL)
        fail_msg("%s", fa_error());
    for (uint64_t step = 0; step < STEPS; step++) {
        fa_scope {
            fa_zero_grad(optim);
            for (uint64_t i = 0; i < PARAMETERS; i++)
                if (step != 2 || i != 1) /* a parameter without a gradient once */
                    fa_backward(fa_sum(
                        fa_mul(parameter[i], given_tensor(r, 10 * step + i, FA_SHAPE(shapes[i][0], shapes[i][1])))));
            fa_step(optim);
        }
        for (int i = 0; i < PARAMETERS; i++)
            give_tensor(r, parameter[i]);
    }
    fa_free(optim);
}

static void make_parameters(run *r, fa_tensor **parameter)
{
    for (uint64_t i = 0; i < PARAMETERS; i++) {
        float values[64];
        given(r, 200 + i, values, shapes[i][0] * shapes[i][1]);
        parameter[i] = fa_zeros_with(FA_SHAPE(shapes[i][0], shapes[i][1]), .requires_grad = true);
        fa_no_grad {
            fa_copy_from(parameter[i], values);
        }
    }
}

#define LIST(parameter) ((fa_tensor_list){.tensor = (parameter), .count = PARAMETERS})

static void sgd(run *r)
{
    const double lr = (double)pick(r, 0, 1, 500) / 1000, momentum = (double)pick(r, 1, 1, 100) / 100;
    const double dampening = (double)pick(r, 2, 1, 100) / 100, decay = (double)pick(r, 3, 1, 100) / 1000;
    for (int way = 0; way < 8; way++) {
        fa_tensor *p[PARAMETERS];
        make_parameters(r, p);
        trajectory(r, p,
                   fa_sgd(LIST(p), lr, .momentum = way == 0 || way == 4 ? 0 : momentum,
                          .dampening = way == 2 || way == 5 ? dampening : 0, .nesterov = way == 3 || way == 7,
                          .weight_decay = way >= 4 ? decay : 0, .maximize = way >= 6));
    }
}

static void adam(run *r)
{
    const double lr = (double)pick(r, 0, 1, 50) / 1000, decay = (double)pick(r, 3, 1, 100) / 1000;
    for (int way = 0; way < 4; way++) {
        fa_tensor *p[PARAMETERS];
        make_parameters(r, p);
        trajectory(
            r, p,
            fa_adam(LIST(p), lr, .weight_decay = way == 1 ? decay : 0, .amsgrad = way == 2, .maximize = way == 3));
    }
}

static void adamw(run *r)
{
    const double lr = (double)pick(r, 0, 1, 50) / 1000, decay = (double)pick(r, 3, 1, 100) / 1000;
    for (int way = 0; way < 3; way++) {
        fa_tensor *p[PARAMETERS];
        make_parameters(r, p);
        trajectory(
            r, p, way == 0 ? fa_adamw(LIST(p), lr) : fa_adamw(LIST(p), lr, .weight_decay = decay, .amsgrad = way == 2));
    }
}

static void rmsprop(run *r)
{
    const double lr = (double)pick(r, 0, 1, 20) / 1000, decay = (double)pick(r, 3, 1, 100) / 1000;
    for (int way = 0; way < 4; way++) {
        fa_tensor *p[PARAMETERS];
        make_parameters(r, p);
        trajectory(r, p,
                   fa_rmsprop(LIST(p), lr, .weight_decay = way == 1 ? decay : 0, .momentum = way >= 2 ? 0.9 : 0,
                              .centered = way == 3));
    }
}

static void adagrad(run *r)
{
    const double lr = (double)pick(r, 0, 1, 50) / 1000, decay = (double)pick(r, 3, 1, 100) / 1000;
    for (int way = 0; way < 3; way++) {
        fa_tensor *p[PARAMETERS];
        make_parameters(r, p);
        trajectory(r, p,
                   fa_adagrad(LIST(p), lr, .lr_decay = way == 1 ? 0.1 : 0, .weight_decay = way == 1 ? decay : 0,
                              .initial_accumulator_value = way == 2 ? 0.1 : 0));
    }
}

/* ---- Clipping ---------------------------------------------------------------------------------------------------- */

static void give_gradients(run *r, fa_tensor *const *p)
{
    for (int i = 0; i < PARAMETERS; i++)
        give_tensor(r, fa_grad(p[i]));
}

static void make_gradients(run *r, fa_tensor **p)
{
    make_parameters(r, p);
    for (uint64_t i = 0; i < PARAMETERS; i++)
        fa_backward(fa_sum(fa_mul(p[i], given_tensor(r, i, FA_SHAPE(shapes[i][0], shapes[i][1])))));
}

static void clip_norms(run *r)
{
    const double norms[] = {1, 2, INFINITY, 3, 0.5}, largest = (double)pick(r, 0, 1, 200) / 10;
    for (size_t k = 0; k < sizeof norms / sizeof *norms; k++) {
        fa_tensor *p[PARAMETERS];
        make_gradients(r, p);
        give_tensor(r, fa_clip_grad_norm_(LIST(p), largest, .norm_type = norms[k], .error_if_nonfinite = k % 2 == 0));
        give_gradients(r, p);
    }
}

static void clip_values(run *r)
{
    fa_tensor *p[PARAMETERS];
    make_gradients(r, p);
    assert_true(fa_clip_grad_value_(LIST(p), (double)pick(r, 0, 1, 200) / 100));
    give_gradients(r, p);
}

/* ---- All --------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*go)(run *r);
    bool near;
} cases[] = {
    {"integers", integers, false},
    {"uniforms", uniforms, false},
    {"normals", normals, false},
    {"normals_float64", normals_float64, false},
    {"cached_normals", cached_normals, false},
    {"views", views, false},
    {"permutations", permutations, false},
    {"bernoullis", bernoullis, false},
    {"exponentials", exponentials, false},
    {"multinomials", multinomials, false},
    {"dropouts", dropouts, false},
    {"likes", likes, false},
    {"layers", layers, false},
    {"initialisers", initialisers, false},
    {"truncated_normals", truncated_normals, false},
    {"orthogonal", orthogonal, false},
    {"random_splits", random_splits, false},
    {"loaders", loaders, false},
    {"samplers", samplers, false},
    {"augmentation", augmentation, false},
    {"states", states, false},
    {"sgd", sgd, false},
    {"adam", adam, true},
    {"adamw", adamw, true},
    {"rmsprop", rmsprop, true},
    {"adagrad", adagrad, true},
    {"clip_norms", clip_norms, true},
    {"clip_values", clip_values, false},
};

int count_number_cases(void)
{
    return (int)(sizeof cases / sizeof *cases);
}

void run_number_cases(uint64_t seed, take_numbers take, void *context)
{
    run r = {.seed = seed};
    for (int i = 0; i < count_number_cases(); i++) {
        fa_manual_seed(seed);
        r.size = 0;
        fa_scope {
            cases[i].go(&r);
        }
        if (!fa_ok())
            fail_msg("%s: %s", cases[i].name, fa_error());
        if (!cases[i].near)
            give_word(&r, NULL);
        take(context, cases[i].name, !cases[i].near, r.bytes, r.size);
    }
    free(r.bytes);
}
