/* Data sets of a struct of tensors (.size, .tensors, fa_sample_row) and of a fixed count. */
#include "support/facula_test.h"

#include "data/object.h"
#include "facula.h"

#include <string.h>

static int clean(void **state)
{
    (void)state;
    fa_clear_error();
    return fa_object_count() == 0 ? 0 : -1;
}

static void assert_refused(const char *part)
{
    assert_false(fa_ok());
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), "test_own_tensors.c");
    fa_clear_error();
}

typedef struct pairs {
    int64_t offset; /* the tensors need not stand first */
    fa_tensor *images, *labels;
    int *ended;
} pairs;

static bool pair_item(void *user, int64_t index, fa_sample *sample)
{
    pairs *self = user;
    const int64_t row = index + self->offset;
    return fa_sample_row(sample, self->images, row) && fa_sample_row(sample, self->labels, row);
}

static void pair_end(void *user)
{
    ++*((pairs *)user)->ended;
}

static fa_dataset *pair_set(fa_tensor *images, fa_tensor *labels, int64_t offset, int64_t count, int *ended)
{
    pairs self = {offset, images, labels, ended};
    return fa_dataset_new(&self, .size = sizeof self, .tensors = {&self.images, &self.labels}, .count = count,
                          .item = pair_item, .destroy = pair_end);
}

/* The tensors outlive their scope and the struct, and rows are the same for any number of workers. */
static void rows_outlive_the_scope(void **state)
{
    (void)state;
    int ended = 0;
    fa_dataset *set = NULL;
    fa_scope {
        /* One tensor in memory, one that is computed. */
        fa_tensor *images = fa_arange_with(0, 60, 1, .dtype = FA_FLOAT32);
        set = pair_set(fa_view(images, 10, 2, 3), fa_mul(fa_arange(10), 10), 2, 7, &ended);
    }
    assert_true(fa_ok());
    assert_int_equal(fa_length(set), 7);
    fa_dataset_retain(set);
    for (int workers = 0; workers < 4; workers += 3) {
        fa_loader *loader = fa_data_loader(set, .batch_size = 4, .num_workers = workers);
        int64_t seen = 0;
        fa_for_each_batch (b, loader) {
            const float *images = fa_data(b.images);
            const int64_t *labels = fa_data(b.labels);
            assert_int_equal(fa_ndim(b.images), 3);
            for (int64_t i = 0; i < b.size; i++, seen++) {
                assert_int_equal(labels[i], 10 * (seen + 2));
                for (int64_t k = 0; k < 6; k++)
                    assert_true(images[i * 6 + k] == (float)((seen + 2) * 6 + k));
            }
        }
        assert_true(fa_ok());
        assert_int_equal(seen, 7);
        fa_free(loader);
    }
    assert_int_equal(ended, 0);
    fa_free(set);
    assert_int_equal(ended, 1);
}

static bool sum_rows(void *user, const fa_items *items, fa_sample *batch)
{
    (void)user;
    const int64_t n = fa_items_count(items);
    float *sums = fa_sample_room(batch, FA_FLOAT32, FA_SHAPE(n));
    int64_t *labels = sums != NULL ? fa_sample_room(batch, FA_INT64, FA_SHAPE(n)) : NULL;
    for (int64_t i = 0; labels != NULL && i < n; i++) {
        const fa_item_field image = fa_items_field(items, i, 0);
        sums[i] = 0;
        for (int64_t k = 0; k < image.shape.size[0] * image.shape.size[1]; k++)
            sums[i] += ((const float *)image.data)[k];
        labels[i] = *(const int64_t *)fa_items_field(items, i, 1).data;
    }
    return labels != NULL;
}

/* A collate callback is given the rows, for any number of workers. */
static void rows_reach_a_collate(void **state)
{
    (void)state;
    int ended = 0;
    fa_dataset *set = NULL;
    fa_scope {
        fa_tensor *images = fa_arange_with(0, 60, 1, .dtype = FA_FLOAT32);
        set = fa_dataset_retain(pair_set(fa_view(images, 10, 2, 3), fa_arange(10), 0, 10, &ended));
    }
    for (int workers = 0; workers < 4; workers += 3) {
        fa_loader *loader = fa_data_loader(set, .batch_size = 4, .num_workers = workers, .collate = sum_rows);
        int64_t seen = 0;
        fa_for_each_batch (b, loader)
            for (int64_t i = 0; i < b.size; i++, seen++) {
                assert_true(((const float *)fa_data(b.images))[i] == (float)(36 * seen + 15));
                assert_int_equal(((const int64_t *)fa_data(b.labels))[i], seen);
            }
        assert_true(fa_ok());
        assert_int_equal(seen, 10);
        fa_free(loader);
    }
    fa_free(set);
}

/* A tensor in memory is kept, not copied: what is written between loops is seen. */
static void a_tensor_in_memory_is_kept(void **state)
{
    (void)state;
    int ended = 0;
    fa_scope {
        fa_tensor *images = fa_zeros(4, 2), *labels = fa_zeros_with(FA_SHAPE(4), .dtype = FA_INT64);
        fa_dataset *set = pair_set(images, labels, 0, 4, &ended);
        ((float *)fa_data_mut(images))[5] = 7;
        fa_batch item = fa_dataset_get(set, 2);
        assert_true(((const float *)fa_data(item.images))[1] == 7);
        fa_free(set);
    }
    assert_int_equal(ended, 1);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    int ended = 0;
    fa_scope {
        fa_tensor *images = fa_zeros(4, 2), *labels = fa_zeros(4);
        pairs self = {0, images, labels, &ended};

        fa_dataset *set = pair_set(images, labels, 1, 4, &ended); /* item 3 asks for row 4 */
        fa_batch item = fa_dataset_get(set, 3);
        assert_int_equal(item.n, 0);
        assert_refused("row 4");
        fa_free(set);

        set = fa_dataset_new(&self, .size = sizeof self, .tensors = {&self.images}, .count = 4, .item = pair_item);
        item = fa_dataset_get(set, 0);
        assert_refused("does not keep");
        fa_free(set);

        ended = 0;
        fa_tensor *elsewhere = images;
        assert_null(fa_dataset_new(&self, .size = sizeof self, .tensors = {&elsewhere}, .count = 4, .item = pair_item,
                                   .destroy = pair_end));
        assert_refused("no field of the struct");
        assert_int_equal(ended, 1);
        assert_null(fa_dataset_new(&self, .tensors = {&self.images}, .count = 4, .item = pair_item));
        assert_refused(".size = sizeof self");
        assert_null(fa_dataset_new(&self, .size = sizeof self, .item = pair_item));
        assert_refused(".count");
        assert_null(fa_dataset_new(&self, .count = 4));
        assert_refused("item callback");

        self.images = fa_sum(images);
        assert_null(
            fa_dataset_new(&self, .size = sizeof self, .tensors = {&self.images}, .count = 4, .item = pair_item));
        assert_refused("shape []");
    }
}

static int64_t four(void *user)
{
    (void)user;
    return 4;
}

static void length_or_count(void **state)
{
    (void)state;
    assert_null(fa_dataset_new(NULL, .length = four, .count = 4, .item = pair_item));
    assert_refused("one of them");
    fa_dataset *set = fa_dataset_new(NULL, .length = four, .item = pair_item);
    assert_int_equal(fa_length(set), 4);
    fa_free(set);
    set = fa_dataset_new(NULL, .count = 0, .item = pair_item);
    assert_int_equal(fa_length(set), 0);
    fa_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(rows_outlive_the_scope, clean),
        cmocka_unit_test_teardown(rows_reach_a_collate, clean),
        cmocka_unit_test_teardown(a_tensor_in_memory_is_kept, clean),
        cmocka_unit_test_teardown(mistakes_are_named, clean),
        cmocka_unit_test_teardown(length_or_count, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
