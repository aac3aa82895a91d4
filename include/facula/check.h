/* Looking at the data, and at the network that is to be trained on it, before the training.
 *
 *     fa_value *report = fa_check(train_loader, .validation = validation_loader, .model = model);
 *     if (report != NULL && fa_get_int(report, "stops") > 0)
 *         ...
 *
 * `facula check` prints such a report; docs/guide/check.md shows one. */
#ifndef FACULA_CHECK_H
#define FACULA_CHECK_H

#include "facula/files.h"
#include "facula/vision.h"

#ifdef __cplusplus
extern "C" {
#endif

struct fa_module;

typedef struct fa_check_args {
    char begin_;
    fa_loader *train; /* items are (image, label): uint8 or float32 [C, H, W] and an int64 */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_loader *validation, *test;
    struct fa_module *model; /* the network to be trained; it is put into evaluation; NULL: the data alone */
    fa_transform *transform; /* what images go through besides, if the data sets were made without it; NULL: nothing */
    /* Told now and then, on the calling thread, how many items have been looked at. */
    void (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} fa_check_args;
/* Fetches every item of the loaders' data sets once, on all threads, and tells what a training would meet. What is said
 * of sizes, equal images, mean and standard deviation is of images as the items hold them: data sets made without
 * transforms tell most. In memory are 256 images at a time, and 40 bytes an item. The default generator is left as it
 * was. Items that cannot be read are no errors here. With a .worker_init items are fetched on the calling thread, with
 * the state that it returns for worker 0; of a loader with a .collate single items are looked at. NULL after an error:
 * no loader, no memory, that of .worker_init.
 *
 * The report is a dict of plain values of the current scope:
 *
 *   "splits"     a list, a dict a loader: "name" ("train", "validation", "test"), "items"; "classes", a list of
 *                [name, number of items]; "sizes", a dict: "distinct", "least", "most", "common" ([height, width]),
 *                "common_count"; "modes", a dict of counts: how images are stored, and what is special about them;
 *                "unreadable" and "damaged", counts; "unreadable_items", a list of [name, error], "damaged_items", a
 *                list of names of files that decode in spite of damage: the first 1000; "duplicates", how many items
 *                have the pixels of an earlier one
 *   "overlaps"   a list, a dict a pair of splits with equal images: "a", "b", "items" (of b, whose pixels are in a),
 *                "examples", a list of [name in a, name in b], 10 at most
 *   "relabelled" images that stand in two classes: a list of [name, name], 10 at most
 *   "channels"; "mean", "std": lists of the training images' numbers a channel, in [0, 1] for bytes; None without
 * images "network"    a dict: "class", "parameters"; "layers": a list of dicts: "name", "class", "input", "output",
 *                "parameters". Where there is a network
 *   "checks"     a list of dicts: "group" ("data", "model", "training"), "name", "mark" ("ok", "warning", "stop",
 *                "unknown"), "text", "hint" ("", or what to do)
 *   "warnings", "stops"   how many there are of these marks: with a stop, a training would not go through
 *
 * Names of files and classes, and texts that hold them, are strings of fa_value_path: read them with fa_as_path.
 *
 * Equal images have the same size and pixels, found by a hash of 128 bits: a picture saved again without loss is equal,
 * a JPEG of it is not. */
FA_API fa_value *fa_check_at(const fa_check_args *args) FA_WARN_UNUSED;
#define fa_check(...) FA_CALL_(fa_check_at, fa_check_args, .begin_ = 0, __VA_ARGS__)

/* Before a training of hours: whether its last batch would be a single image of which a BatchNorm sees one value a
 * channel, as after a global pool; PyTorch's training ends with an error at the end of the first epoch. An error that
 * names the layer, and false, where it would. `image` is [C, H, W]; nothing is computed, the network stays as it is. */
FA_API bool fa_check_last_batch_at(struct fa_module *model, fa_shape image, int64_t items, int64_t batch_size,
                                   fa_where where);
#define fa_check_last_batch(model, image, items, batch_size)                                                           \
    fa_check_last_batch_at((model), (image), (items), (batch_size), FA_HERE)

#ifdef __cplusplus
}
#endif
#endif
