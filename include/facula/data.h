/* Data sets, samplers and the loader: what torch.utils.data offers.
 *
 *     fa_dataset *data = fa_mnist("data/mnist", .train = true, .transform = fa_to_tensor());
 *     fa_loader *loader = fa_data_loader(data, .batch_size = 64, .shuffle = true, .num_workers = 2);
 *     fa_for_each_batch (b, loader) {
 *         fa_tensor *loss = fa_cross_entropy(fa_forward(model, b.images), b.labels);
 *         ...
 *     }
 *     fa_free(loader), fa_free(data);
 *
 * Ownership. Data sets, samplers, loaders and transforms are counted objects. A new object *floats*: nobody holds it
 * yet. The first constructor that is given it becomes its holder, further ones become holders too; when the last
 * holder ends, the object ends. So in `fa_data_loader(fa_mnist(...))` the loader alone holds the data set and
 * nothing else need be freed.
 *   - fa_free(x) on an object that floats ends it.
 *   - fa_free(x) on an object that others hold does nothing now: it ends with its last holder.
 *   - fa_free(x) on an object that has ended already does nothing. A program may thus free all that it named, in any
 *     order, each once.
 *   - fa_dataset_retain(x), and its like, makes the program itself a holder, to be ended by one more fa_free(x): for
 *     a data set that should survive the loader it was given to, and serve another.
 *   - Any other use of an object that has ended is an error with a message.
 *   - A constructor that fails returns NULL, raises an error, and leaves its arguments as they were.
 *   - A loop holds its loader while it runs, and leaves it as it was.
 *
 * Threads. A loader belongs to the thread that loops over it. Callbacks of a data set run on the loader's workers,
 * unless num_workers is 0. docs/guide/loader.md tells it all from the user's side. */
#ifndef FACULA_DATA_H
#define FACULA_DATA_H

#include "facula/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fa_dataset fa_dataset;
typedef struct fa_sampler fa_sampler;
typedef struct fa_batch_sampler fa_batch_sampler;
typedef struct fa_loader fa_loader;
typedef struct fa_sample fa_sample;

/* Names written in the program: FA_NAMES("cat", "dog"). */
typedef struct fa_names {
    const char *const *name;
    int64_t count;
} fa_names;
#define FA_NAMES(...)                                                                                                  \
    ((fa_names){(const char *const[]){__VA_ARGS__},                                                                    \
                (int64_t)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))})

/* ---- A data set of one's own ------------------------------------------------------------------------------------- */

enum { FA_MAX_KEPT = 8 };
/* Two callbacks. `length` says how many items there are; `item` fills in one of them and returns true, or raises an
 * error (fa_raise) and returns false: the loop over the loader then ends, with the item's number in the message.
 *
 *     static int64_t my_length(void *user) { return ((my_data *)user)->n; }
 *     static bool my_item(void *user, int64_t index, fa_sample *sample)
 *     {
 *         my_data *data = user;
 *         return fa_sample_put(sample, FA_FLOAT32, FA_SHAPE(3, 64, 64), data->images + index * 3 * 64 * 64) &&
 *                fa_sample_label(sample, data->labels[index]);
 *     }
 *     fa_dataset *set = fa_dataset_new(data, .length = my_length, .item = my_item);
 *
 * A data set whose numbers are tensors is a struct of them, which is copied; `item` gives rows of theirs. Where the
 * number of items stays as it is, `.count` says it instead of `length`:
 *
 *     typedef struct my_data { fa_tensor *images, *labels; } my_data;
 *
 *     static bool my_item(void *user, int64_t index, fa_sample *sample)
 *     {
 *         my_data *self = user;
 *         return fa_sample_row(sample, self->images, index) && fa_sample_row(sample, self->labels, index);
 *     }
 *     my_data self = {images, labels};
 *     fa_dataset *set = fa_dataset_new(&self, .size = sizeof self, .tensors = {&self.images, &self.labels},
 *                                      .count = fa_size(images, 0), .item = my_item);
 *
 * With num_workers > 0, `item` is called on several threads at once: it may read what is shared, and may call no fa_
 * function but fa_raise and the fa_sample_ ones (no tensors). A draw there is an error, see .draws, unless it is from a
 * generator that the callback makes or seeds itself. Transforms that draw may be given to fa_sample_image without it: they wait until their batch is asked for. */
typedef struct fa_dataset_args {
    char begin_;
    void *user; /* passed to the callbacks */
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t count; /* the number of items, or */
    int64_t (*length)(void *user);
    bool (*item)(void *user, int64_t index, fa_sample *sample);
    void (*destroy)(void *user); /* called once, when the data set ends, or could not be made; may be left out */
    /* `item` draws random numbers: items are then fetched on the calling thread, one after the other, when their batch
     * is asked for, whatever num_workers says, so that the numbers are those of a loader without workers. */
    bool draws;
    size_t size; /* bytes of *user: it is copied, and the callbacks get the copy; 0: they get `user` itself */
    /* Fields of that struct: the data set keeps the tensors that they name, beyond the scope and on all threads.
     * Tensors in memory (made by fa_randn, fa_from_memory, ...) are kept, not copied, and may be written between loops,
     * not inside one; others are computed and copied now. */
    fa_tensor **tensors[FA_MAX_KEPT];
    /* Writes what messages call an item (the name of its file), as snprintf does; may be left out. On any thread. */
    void (*name)(void *user, int64_t index, char *text, size_t size);
} fa_dataset_args;
FA_API fa_dataset *fa_dataset_new_at(const fa_dataset_args *args) FA_WARN_UNUSED;
#define fa_dataset_new(...) FA_CALL_(fa_dataset_new_at, fa_dataset_args, .count = -1, .begin_ = 0, __VA_ARGS__)

/* The fields of an item, in order; at most 8. All items have the same number of fields, of the same types and shapes;
 * a batch stacks them: [3, 64, 64] becomes [N, 3, 64, 64], a number becomes [N]. Each returns false after an error. */

/* The state of the worker that fetches the item: what the loader's .worker_init returned; NULL without one, and in
 * fa_dataset_get. */
FA_API void *fa_sample_worker(const fa_sample *sample);
/* A field copied from row-major memory. */
FA_API bool fa_sample_put_at(fa_sample *sample, fa_dtype dtype, fa_shape shape, const void *data, fa_where where);
#define fa_sample_put(sample, dtype, shape, data) fa_sample_put_at((sample), (dtype), (shape), (data), FA_HERE)
/* A field to be written by the caller: its place in the batch, row-major, not cleared; NULL after an error. */
FA_API void *fa_sample_room_at(fa_sample *sample, fa_dtype dtype, fa_shape shape, fa_where where);
#define fa_sample_room(sample, dtype, shape) fa_sample_room_at((sample), (dtype), (shape), FA_HERE)
/* tensor[row], of a tensor that the data set keeps (.tensors): without its first dimension. */
FA_API bool fa_sample_row_at(fa_sample *sample, const fa_tensor *tensor, int64_t row, fa_where where);
#define fa_sample_row(sample, tensor, row) fa_sample_row_at((sample), (tensor), (row), FA_HERE)
/* A class number (int64, as Python's int), and a number (float64, as Python's float). */
FA_API bool fa_sample_label_at(fa_sample *sample, int64_t label, fa_where where);
FA_API bool fa_sample_number_at(fa_sample *sample, double number, fa_where where);
#define fa_sample_label(sample, label) fa_sample_label_at((sample), (label), FA_HERE)
#define fa_sample_number(sample, number) fa_sample_number_at((sample), (number), FA_HERE)

/* ---- Data sets made from others ---------------------------------------------------------------------------------- */

/* TensorDataset(a, b, ...): item i is (a[i], b[i], ...). Sizes of dimension 0 must be equal. Tensors in memory (made by
 * fa_randn, fa_from_memory, ...) are kept, not copied, and may be written between loops, not inside one; others are
 * computed and copied now. */
FA_API fa_dataset *fa_tensor_dataset_at(int count, fa_tensor *const *tensors, fa_where where) FA_WARN_UNUSED;
#define fa_tensor_dataset(...)                                                                                         \
    fa_tensor_dataset_at((int)(sizeof((fa_tensor *[]){__VA_ARGS__}) / sizeof(fa_tensor *)),                            \
                         (fa_tensor *[]){__VA_ARGS__}, FA_HERE)

/* Subset(dataset, indices): item i is dataset[indices[i]], -1 the last one. The indices are copied. */
FA_API fa_dataset *fa_subset_at(fa_dataset *dataset, const int64_t *indices, int64_t n, fa_where where) FA_WARN_UNUSED;
#define fa_subset(dataset, indices, n) fa_subset_at((dataset), (indices), (n), FA_HERE)

enum { FA_MAX_PARTS = 16 };
typedef struct fa_random_split_args {
    char begin_;
    fa_dataset *dataset;
    fa_dataset **parts; /* filled in: `count` new data sets, or NULLs after an error */
    int count;
    double lengths[FA_MAX_PARTS];
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_generator *generator; /* NULL: the default generator */
} fa_random_split_args;
/* random_split: one permutation of the items, cut in order into parts of these lengths, whose sum must be the data
 * set's length. Fractions whose sum is 1 may stand instead: floor(fraction * n) each, then one more to the first ones
 * until all items are given. At most 16 parts. False after an error.
 *
 *     fa_dataset *part[2];
 *     fa_random_split(data, part, 2, {55000, 5000});
 *     fa_random_split(data, part, 2, {0.9, 0.1}, .generator = generator); */
FA_API bool fa_random_split_at(const fa_random_split_args *args);
#define fa_random_split(...) FA_CALL_(fa_random_split_at, fa_random_split_args, .begin_ = 0, __VA_ARGS__)

/* ConcatDataset([a, b, ...]): the items of a, then those of b, ... Up to 16 of them; more by fa_concat_dataset_at. */
FA_API fa_dataset *fa_concat_dataset_at(int count, fa_dataset *const *datasets, fa_where where) FA_WARN_UNUSED;
#define fa_concat_dataset(...)                                                                                         \
    fa_concat_dataset_at((int)(sizeof((fa_dataset *[]){__VA_ARGS__}) / sizeof(fa_dataset *)),                          \
                         (fa_dataset *[]){__VA_ARGS__}, FA_HERE)

/* ---- What is known of a data set --------------------------------------------------------------------------------- */

/* Number of items; -1 after an error. */
FA_API int64_t fa_dataset_length_at(fa_dataset *dataset, fa_where where);
/* dataset.classes: the name of class i is name[i]; the data set's own, as long as it lives. Count 0, without an error,
 * where classes have no names (a data set of one's own, a TensorDataset). Parts of a data set have its classes. */
FA_API fa_names fa_dataset_classes_at(fa_dataset *dataset, fa_where where);
#define fa_dataset_classes(dataset) fa_dataset_classes_at((dataset), FA_HERE)

/* dataset.class_to_idx[name]; -1 after an error, which lists the classes there are. */
FA_API int64_t fa_class_index_at(fa_dataset *dataset, const char *name, fa_where where);
#define fa_class_index(dataset, name) fa_class_index_at((dataset), (name), FA_HERE)

/* dataset.targets: int64 [n], a new tensor of the current scope, without reading an item. NULL after an error: the data
 * set has no class numbers that are known beforehand. */
FA_API fa_tensor *fa_dataset_targets_at(fa_dataset *dataset, fa_where where) FA_WARN_UNUSED;
#define fa_dataset_targets(dataset) fa_dataset_targets_at((dataset), FA_HERE)

/* What its user should know, a line each: "3 files that are no pictures were left out (first: cats/Thumbs.db)". Written
 * as fa_item_name does; 0 when there is nothing to tell. */
FA_API size_t fa_dataset_notes_at(fa_dataset *dataset, char *text, size_t size, fa_where where);
#define fa_dataset_notes(dataset, text, size) fa_dataset_notes_at((dataset), (text), (size), FA_HERE)

/* What messages call an item: its data set's .name, a file's name where items are files, else "item 7". Of a subset:
 * what the item is called where it comes from. A negative index counts from the end. Writes at most `size` bytes with
 * the 0 at the end; returns the length of the whole name, 0 after an error. */
FA_API size_t fa_item_name_at(fa_dataset *dataset, int64_t index, char *text, size_t size, fa_where where);
#define fa_item_name(dataset, index, text, size) fa_item_name_at((dataset), (index), (text), (size), FA_HERE)
FA_API fa_dataset *fa_dataset_retain(fa_dataset *dataset);
FA_API void fa_dataset_free(fa_dataset *dataset); /* fa_free */

/* ---- Samplers: the order of items -------------------------------------------------------------------------------- */

/* 0, 1, 2, ... */
FA_API fa_sampler *fa_sequential_sampler_at(fa_dataset *dataset, fa_where where) FA_WARN_UNUSED;
#define fa_sequential_sampler(dataset) fa_sequential_sampler_at((dataset), FA_HERE)

typedef struct fa_random_sampler_args {
    char begin_;
    fa_dataset *dataset;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool replacement;
    int64_t num_samples; /* items drawn in all; default: the data set's length */
    fa_generator *generator;
} fa_random_sampler_args;
/* RandomSampler: permutations, one after the other until num_samples items are drawn, or draws with replacement.
 * Without a generator, each loop seeds one of its own from the default generator (2 words). */
FA_API fa_sampler *fa_random_sampler_at(const fa_random_sampler_args *args) FA_WARN_UNUSED;
#define fa_random_sampler(...)                                                                                         \
    FA_CALL_(fa_random_sampler_at, fa_random_sampler_args, .num_samples = INT64_MIN, .begin_ = 0, __VA_ARGS__)

/* SubsetRandomSampler: the given indices (copied) in a random order, drawn from `generator` or the default one (NULL).
 */
FA_API fa_sampler *fa_subset_random_sampler_at(const int64_t *indices, int64_t n, fa_generator *generator,
                                               fa_where where) FA_WARN_UNUSED;
#define fa_subset_random_sampler(indices, n, generator)                                                                \
    fa_subset_random_sampler_at((indices), (n), (generator), FA_HERE)

typedef struct fa_weighted_random_sampler_args {
    char begin_;
    const double *weights; /* [n], copied */
    int64_t n;
    int64_t num_samples;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool replacement;
    fa_generator *generator;
} fa_weighted_random_sampler_args;
/* WeightedRandomSampler(weights, num_samples, replacement=True): items in proportion to their weights, drawn as
 * torch.multinomial draws, from `generator` or the default one, when the first batch is asked for. Weights need not add
 * up to 1. Without replacement there must be num_samples weights above 0. */
FA_API fa_sampler *fa_weighted_random_sampler_at(const fa_weighted_random_sampler_args *args) FA_WARN_UNUSED;
#define fa_weighted_random_sampler(...)                                                                                \
    FA_CALL_(fa_weighted_random_sampler_at, fa_weighted_random_sampler_args, .replacement = true, .begin_ = 0,         \
             __VA_ARGS__)

/* The given indices (copied) as they are, in each pass: `sampler=[3, 1, 2]`. With any sampler, -1 is the last item. */
FA_API fa_sampler *fa_list_sampler_at(const int64_t *indices, int64_t n, fa_where where) FA_WARN_UNUSED;
#define fa_list_sampler(indices, n) fa_list_sampler_at((indices), (n), FA_HERE)

/* A sampler of one's own: `length` says how many indices make a pass (PyTorch's __len__), `order` writes them
 * (__iter__). It is called once a pass, on the looping thread, when the first batch is asked for, and may draw; it
 * returns true, or raises an error (fa_raise) and returns false.
 *
 *     static int64_t my_length(void *user) { return ((my_order *)user)->n; }
 *     static bool my_order(void *user, int64_t *indices, int64_t n)
 *     {
 *         for (int64_t i = 0; i < n; i++)
 *             indices[i] = n - 1 - i;
 *         return true;
 *     }
 *     fa_sampler *sampler = fa_sampler_new(user, .length = my_length, .order = my_order); */
typedef struct fa_sampler_new_args {
    char begin_;
    void *user; /* passed to the callbacks */
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t (*length)(void *user);
    bool (*order)(void *user, int64_t *indices, int64_t n);
    void (*destroy)(void *user); /* called once, when the sampler ends, or could not be made; may be left out */
} fa_sampler_new_args;
FA_API fa_sampler *fa_sampler_new_at(const fa_sampler_new_args *args) FA_WARN_UNUSED;
#define fa_sampler_new(...) FA_CALL_(fa_sampler_new_at, fa_sampler_new_args, .begin_ = 0, __VA_ARGS__)

FA_API fa_sampler *fa_sampler_retain(fa_sampler *sampler);
FA_API void fa_sampler_free(fa_sampler *sampler); /* fa_free */

/* BatchSampler(sampler, batch_size, drop_last): the sampler's indices in groups, for the loader's .batch_sampler. */
FA_API fa_batch_sampler *fa_batch_sampler_at(fa_sampler *sampler, int64_t batch_size, bool drop_last,
                                             fa_where where) FA_WARN_UNUSED;
#define fa_batch_sampler(sampler, batch_size, drop_last)                                                               \
    fa_batch_sampler_at((sampler), (batch_size), (drop_last), FA_HERE)

/* A batch sampler of one's own: `length` says how many batches make a pass, `batch` writes the indices of batch k into
 * an array of batch_size and returns how many they are, at least 1, or raises an error. Batch 0 begins a pass. Called
 * on the looping thread in order; ahead of the program by as many batches as the workers prefetch, unless .draws says
 * that it draws random numbers: then when the batch is asked for. */
typedef struct fa_batch_sampler_args {
    char begin_;
    void *user;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t batch_size; /* the most indices of a batch */
    int64_t (*length)(void *user);
    int64_t (*batch)(void *user, int64_t k, int64_t *indices);
    void (*destroy)(void *user);
    bool draws;
} fa_batch_sampler_args;
FA_API fa_batch_sampler *fa_batch_sampler_new_at(const fa_batch_sampler_args *args) FA_WARN_UNUSED;
#define fa_batch_sampler_new(...) FA_CALL_(fa_batch_sampler_new_at, fa_batch_sampler_args, .begin_ = 0, __VA_ARGS__)

FA_API fa_batch_sampler *fa_batch_sampler_retain(fa_batch_sampler *sampler);
FA_API void fa_batch_sampler_free(fa_batch_sampler *sampler); /* fa_free */

/* ---- The loader -------------------------------------------------------------------------------------------------- */

/* What a loop does about an item that cannot be had: its callback, decoder or transform raised an error. */
typedef enum fa_bad_item_policy {
    FA_BAD_ITEM_STOP, /* the loop ends with the error, which names the item */
    FA_BAD_ITEM_SKIP  /* its batch comes without it; a batch of which nothing is left does not come */
} fa_bad_item_policy;

/* The items of a batch, each with its fields as it put them: what a collate callback makes a batch of. */
typedef struct fa_items fa_items;
typedef struct fa_item_field {
    fa_dtype dtype;
    fa_shape shape;
    const void *data; /* row-major; NULL after an error */
} fa_item_field;
FA_API int64_t fa_items_count(const fa_items *items);
/* The number of item i of the batch in its data set. */
FA_API int64_t fa_items_index(const fa_items *items, int64_t i);
FA_API int fa_items_fields(const fa_items *items, int64_t i);
/* Field f of item i. Errors: there is none. */
FA_API fa_item_field fa_items_field_at(const fa_items *items, int64_t i, int f, fa_where where);
#define fa_items_field(items, i, f) fa_items_field_at((items), (i), (f), FA_HERE)

typedef struct fa_data_loader_args {
    char begin_;
    fa_dataset *dataset;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t batch_size;
    bool shuffle;
    bool drop_last;          /* leave out a last batch that is not full; that it leaves none at all is an error */
    int num_workers;         /* threads that fetch batches ahead; 0: fetched on the calling thread when asked for */
    int prefetch_factor;     /* batches fetched ahead by each worker */
    fa_generator *generator; /* NULL: the default generator */
    fa_sampler *sampler;     /* an order of one's own, instead of shuffle */
    fa_batch_sampler *batch_sampler; /* batches of one's own, instead of batch_size, shuffle, sampler and drop_last */
    fa_bad_item_policy on_bad_item;
    int64_t max_bad_items; /* more than these in one loop end it; default: a tenth of the loop's items, at least 1 */
    void *user;            /* passed to the callbacks below */
    /* Makes the batch of its items, in place of stacking: puts its fields as fa_sample_put and its like do, with their
     * batch dimension; returns true, or raises an error and returns false. On any thread, several at once. */
    bool (*collate)(void *user, const fa_items *items, fa_sample *batch);
    /* Called on each worker when it starts, 0 to num_workers - 1 (without workers on the looping thread, 0): returns
     * the state that fa_sample_worker gives (a decoder, an open file), or raises an error: no loop begins then. */
    void *(*worker_init)(void *user, int worker);
    void (*worker_end)(void *user, void *state); /* on that thread, when the loader ends */
} fa_data_loader_args;
#define FA_DATA_LOADER_DEFAULTS .batch_size = 1, .prefetch_factor = 2, .max_bad_items = INT64_MIN
/* DataLoader. Making one draws nothing. Each loop draws what PyTorch's does: 2 words for the base seed, always; with
 * shuffle, 2 words of the default generator for the seed of the order. With a generator given, all draws come from it:
 * the base seed, a permutation, and one more, thrown away, when the last item has been handed out. Batches, their order
 * and all draws are the same for any num_workers. Workers start with the first loop and live as long as the loader; at
 * most num_workers * prefetch_factor batches are fetched, or being fetched, ahead of the one in use.
 *
 * Bad items. With FA_BAD_ITEM_SKIP a batch comes smaller, and the others stay as they are: b.index counts batches that
 * were left out too, and no number is drawn for what could not be read. More than max_bad_items in a loop is an error,
 * and so is a loop that had bad items and not one batch. What is no fault of an item's (memory; items of different
 * shapes; a draw on a worker) ends the loop always. */
FA_API fa_loader *fa_data_loader_at(const fa_data_loader_args *args) FA_WARN_UNUSED;
#define fa_data_loader(...)                                                                                            \
    FA_CALL_(fa_data_loader_at, fa_data_loader_args, FA_DATA_LOADER_DEFAULTS, .begin_ = 0, __VA_ARGS__)

/* Number of batches in a loop; -1 after an error. */
FA_API int64_t fa_loader_length_at(fa_loader *loader, fa_where where);
/* Items that were left out in the loop that runs, or ran last; -1 after an error. */
FA_API int64_t fa_loader_bad_items_at(fa_loader *loader, fa_where where);
#define fa_loader_bad_items(loader) fa_loader_bad_items_at((loader), FA_HERE)
/* The same in words, to be printed after a loop: "3 items were left out:" and a line for each of the first 10, with its
 * error. Writes at most `size` bytes with the 0 at the end; returns the length of the whole text, 0 when nothing was
 * left out. */
FA_API size_t fa_loader_notes_at(fa_loader *loader, char *text, size_t size, fa_where where);
#define fa_loader_notes(loader, text, size) fa_loader_notes_at((loader), (text), (size), FA_HERE)
FA_API fa_loader *fa_loader_retain(fa_loader *loader);
FA_API void fa_loader_free(fa_loader *loader); /* fa_free */

/* len(dataset), len(loader). */
#define fa_length(x) _Generic((x), fa_dataset * : fa_dataset_length_at, fa_loader * : fa_loader_length_at)((x), FA_HERE)

/* ---- Batches ----------------------------------------------------------------------------------------------------- */

/* One batch, or one item. Its tensors belong to the batch's scope: fa_keep takes one out. */
typedef struct fa_batch {
    __extension__ union {
        fa_tensor *item[8]; /* the fields */
        __extension__ struct {
            fa_tensor *images, *labels; /* names of item[0] and item[1] */
        };
    };
    int n;         /* number of fields */
    int64_t size;  /* samples in the batch */
    int64_t index; /* which batch of the loop, from 0, left out ones counted; of fa_dataset_get: the item's number */
    fa_loader *loader_;
    uint64_t loop_;
    fa_where where_;
    fa_scope_guard scope_;
} fa_batch;

/* `image, label = dataset[index]`: the fields without a batch dimension, in the current scope. A negative index counts
 * from the end. After an error all fields are NULL and n is 0. */
FA_API fa_batch fa_dataset_get_at(fa_dataset *dataset, int64_t index, fa_where where);
#define fa_dataset_get(dataset, index) fa_dataset_get_at((dataset), (index), FA_HERE)

/* fa_for_each_batch (b, loader) { ... b.images, b.labels, b.size, b.index ... }: one pass over the loader, a scope for
 * each batch. `break`, `continue` and `return` close it. The loop does not start, and stops, while the thread has an
 * error: ask fa_ok() after it. A second loop over the same loader inside the first is an error. */
#define fa_for_each_batch(batch, loader)                                                                               \
    for (fa_batch batch __attribute__((cleanup(fa_batches_end_))) = fa_batches_begin_((loader), FA_HERE);              \
         fa_batches_more_(&batch); fa_batches_next_(&batch))
FA_API fa_batch fa_batches_begin_(fa_loader *loader, fa_where where);
FA_API bool fa_batches_more_(fa_batch *batch);
FA_API void fa_batches_next_(fa_batch *batch);
FA_API void fa_batches_end_(fa_batch *batch);

#ifdef __cplusplus
}
#endif
#endif
