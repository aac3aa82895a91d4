/* What is behind a comparison with a recorded run. */
#ifndef FA_TRAIN_PARITY_H
#define FA_TRAIN_PARITY_H

#include "facula/parity.h"
#include "nn/module.h"
#include "optim/optim.h"
#include "train/recording.h"

enum { FA_PARITY_CHANNELS = 16 };

/* What can part, in the order in which things happen in a step. */
typedef enum fa_parity_kind {
    FA_PARITY_START,
    FA_PARITY_IMAGES,
    FA_PARITY_LABELS,
    FA_PARITY_OUTPUT,
    FA_PARITY_LOSS,
    FA_PARITY_GRADIENT,
    FA_PARITY_WEIGHT,
    FA_PARITY_OPTIONS
} fa_parity_kind;

/* Two tensors held against each other. */
typedef struct fa_parity_measure {
    fa_shape want_shape, got_shape;
    bool missing, shapes_differ;
    int64_t numel, beyond;   /* elements that differ by more than is allowed */
    int64_t at;              /* the element that differs most */
    double want, got;        /* its values */
    double largest, allowed; /* difference */
    double scale;            /* the largest value of the recording's */
} fa_parity_measure;

typedef struct fa_parity_finding {
    int64_t step; /* from 1; 0: none */
    fa_parity_kind kind;
    char name[256];
    fa_parity_measure measure;
    fa_text cause;
} fa_parity_finding;

struct fa_parity {
    fa_recording *recording;
    fa_module *model;
    fa_optim *optim;
    double tolerance;
    fa_forward_observer observer;
    const fa_forward_observer *previous;
    int64_t step; /* steps done */
    bool in_pass; /* a pass has begun since the last step */
    bool generator_differs;
    bool labels_tell;     /* the images differ, and only the labels can say whether they are other items */
    fa_text options;      /* what the optimizer had otherwise than PyTorch's when the pass began; empty: nothing */
    int64_t options_step; /* the first step of which that was said in the notes; 0: none */
    int64_t modules;
    int32_t *calls;  /* [modules]: in this pass */
    uint8_t **noise; /* [state tensors of the recording]: elements that Adam moved by rounding; NULL: none */
    bool noisy;
    bool has_norm; /* float32 with batch norm: PyTorch's own rounding shows in gradients and in later losses */
    double *loss;  /* [steps of the recording]: ours */
    fa_text notes;
    fa_parity_finding found;
};

/* Holds `got` [shape] against a recorded tensor. Beyond `allowed`, or NaN on one side, is a difference; elements with a
 * mark in `leave_out` (may be NULL) are passed over. Where `before` is not NULL it is the recording's earlier value of
 * the same shape, and messages show values all the same. False if anything differs. */
bool fa_parity_measure_tensor(fa_parity_measure *m, const fa_recorded *want, fa_dtype dtype, const void *got,
                              fa_shape shape, double allowed, const uint8_t *leave_out);
/* The largest |value|; of differences to `other` where it is not NULL. Infinite and NaN values are passed over. */
double fa_parity_largest(const fa_recorded *tensor, const fa_recorded *other);

/* The recording's line of a module, and the same of ours, without what differs from release to release. False if the
 * recording has none. */
bool fa_parity_lines(const fa_parity *p, int64_t module, fa_text *theirs, fa_text *ours);
/* The recorded options of a group in step k (from 1): those that a schedule changes are the step's own. */
fa_recorded_options fa_parity_recorded_options(const fa_recording *recording, int64_t group, int64_t k);
/* Appends each option of the optimizer that differs from the recorded ones of the step under way, "weight_decay 0.0005
 * in PyTorch, 0 here". */
void fa_parity_options(const fa_parity *p, fa_text *out);

/* Likely causes of a finding, in words. */
void fa_parity_cause_start(fa_parity *p, int64_t equal, int64_t different, bool first_differs);
void fa_parity_cause_images(fa_parity *p, const fa_recorded *want, fa_dtype dtype, const void *got, fa_shape shape);
/* The same once it is known whether the labels are PyTorch's. */
void fa_parity_cause_images_labels(fa_parity *p, bool same_labels);
void fa_parity_cause_output(fa_parity *p, int64_t module, const fa_recorded *want, fa_dtype dtype, const void *got);
void fa_parity_cause_loss(fa_parity *p, bool details, int64_t batch);
void fa_parity_cause_gradient(fa_parity *p, const fa_recorded *want, fa_dtype dtype, const void *got);
void fa_parity_cause_weight(fa_parity *p);

#endif
