/* Data sets whose images lie in memory, all of one form: MNIST, CIFAR, arrays of the program's. */
#ifndef FA_VISION_MEMORY_IMAGES_H
#define FA_VISION_MEMORY_IMAGES_H

#include "vision/target_rule.h"
#include "vision/transform.h"

typedef struct fa_memory_images {
    fa_buffer *pixels; /* [n] images of this form, one reference */
    fa_buffer *labels; /* int64 [n], one reference */
    fa_image_form form;
    int64_t n;
    fa_names classes;    /* static, or those of `owned` */
    fa_class_list owned; /* may be empty */
} fa_memory_images;

/* A data set that takes all of `images` over, after an error too. */
fa_dataset *fa_memory_images_make(fa_memory_images *images, fa_transform *transform, const fa_target_rule *target,
                                  const char *what, fa_where where);
void fa_memory_images_end(fa_memory_images *images);

#endif
