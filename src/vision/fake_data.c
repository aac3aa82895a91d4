/* FakeData: images of noise, each drawn from a generator of its own that its number seeds. */
#include "base/generator.h"
#include "data/dataset.h"
#include "vision/target_rule.h"
#include "vision/transform.h"

#include <stdio.h>
#include <string.h>

typedef struct fake_data {
    int64_t size, num_classes, random_offset;
    int64_t channels, height, width;
    fa_class_list classes;
    fa_transform *transform; /* held; may be NULL */
    fa_target_rule target;
} fake_data;

static int64_t fake_length(void *data)
{
    return ((fake_data *)data)->size;
}

/* torch.randn(C, H, W) as ToPILImage makes bytes of it: 255 x, towards zero, its low 8 bits. */
static void draw_image(const fake_data *set, fa_mt *mt, float *noise, uint8_t *pixels)
{
    int64_t area = set->height * set->width;
    fa_mt_normal_f32(mt, noise, set->channels * area, 0, 1);
    for (int64_t c = 0; c < set->channels; c++)
        for (int64_t i = 0; i < area; i++)
            pixels[i * set->channels + c] = (uint8_t)(int32_t)(noise[c * area + i] * 255.0f);
}

static bool put_item(fake_data *set, int64_t index, fa_collate *batch)
{
    size_t count = (size_t)(set->channels * set->height * set->width);
    fa_buffer *room = fa_buffer_new(count * (sizeof(float) + 1));
    if (room == NULL)
        return fa_fail_memory(batch->where, count * (sizeof(float) + 1));
    float *noise = room->data;
    uint8_t *pixels = (uint8_t *)(noise + count);
    fa_sample sample = {.batch = batch, .index = index};
    fa_mt mt;
    int64_t class;
    fa_mt_seed(&mt, (uint64_t)(index + set->random_offset));
    draw_image(set, &mt, noise, pixels);
    fa_mt_randint(&mt, &class, 1, 0, set->num_classes);
    bool fine =
        fa_sample_image_at(&sample, pixels, set->height, set->width, set->channels, set->transform, batch->where) &&
        fa_sample_label_at(&sample, fa_target_of(&set->target, class), batch->where) &&
        fa_collate_advance(batch, 1, sample.n, index, batch->where);
    fa_buffer_release(room);
    return fine;
}

static bool fake_fetch(void *data, const int64_t *indices, int64_t n, fa_collate *batch)
{
    for (int64_t i = 0; i < n; i++)
        if (fa_collate_cancelled(batch) || !put_item(data, indices[i], batch))
            return false;
    return true;
}

static void fake_destroy(void *data)
{
    fake_data *set = data;
    fa_class_list_end(&set->classes);
    fa_object_drop((fa_object *)set->transform);
    fa_mfree(set);
}

static fa_names fake_classes(void *data)
{
    return fa_class_list_names(&((fake_data *)data)->classes);
}

static const fa_dataset_kind fake_kind = {
    .length = fake_length, .fetch = fake_fetch, .destroy = fake_destroy, .classes = fake_classes};

static bool check_args(const fa_fake_data_args *args, const char *what)
{
    const int64_t *size = args->image_size;
    size_t bytes;
    if (args->size < 0 || args->num_classes < 1 || args->num_classes > 1000000)
        return fa_fail(FA_VALUE_ERROR, args->where_, what,
                       "got size %lld and num_classes %lld, needs 0 or more items and 1 to 1000000 classes.",
                       (long long)args->size, (long long)args->num_classes);
    if ((size[0] != 1 && size[0] != 3) || size[1] < 1 || size[2] < 1 ||
        !fa_mul_size((size_t)size[0] * sizeof(float) * 2, (size_t)size[1], &bytes) ||
        !fa_mul_size(bytes, (size_t)size[2], &bytes) || bytes > INT64_MAX)
        return fa_fail(FA_VALUE_ERROR, args->where_, what, "got image_size %s, needs {1 or 3 channels, height, width}.",
                       fa_dims_text(3, size));
    return fa_data_args_check("", args->transform, what, args->where_);
}

fa_dataset *fa_fake_data_at(const fa_fake_data_args *args)
{
    static const char *const call = "fa_fake_data";
    if (!check_args(args, call))
        return NULL;
    fake_data *set = fa_calloc(1, sizeof *set);
    if (set == NULL) {
        fa_fail_memory(args->where_, sizeof *set);
        return NULL;
    }
    *set = (fake_data){.size = args->size,
                       .num_classes = args->num_classes,
                       .random_offset = args->random_offset,
                       .channels = args->image_size[0],
                       .height = args->image_size[1],
                       .width = args->image_size[2],
                       .target = {args->target_transform, args->target_user}};
    if (!fa_class_list_numbers(&set->classes, args->num_classes, args->where_)) {
        fake_destroy(set);
        return NULL;
    }
    set->transform = args->transform;
    fa_object_hold((fa_object *)set->transform);
    return fa_dataset_make(&fake_kind, set, false, args->where_);
}
