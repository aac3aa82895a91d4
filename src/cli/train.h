/* The options of `facula train`, from the command line or, with --resume, from the run itself. */
#ifndef FACULA_CLI_TRAIN_H
#define FACULA_CLI_TRAIN_H

#include "cli.h"

typedef struct train_options {
    /* what the run is: kept by a resumed one */
    const char *data, *optimizer, *schedule;
    const char *network;             /* NULL: one that suits the images */
    const char *transform, *augment; /* as torchvision prints them; augment: "none" */
    int64_t batch_size, seed;
    bool exif;        /* photographs are turned as their EXIF orientation says */
    int64_t held_out; /* -1: as many as suit the data */
    double lr;
    int64_t schedule_epochs; /* that the schedule was made for */
    /* how it is carried out: may change */
    int64_t epochs, threads, workers, keep_last, save_every;
    double save_minutes;
    const char *on_bad_image; /* "stop" or "skip" */
    const char *out, *resume, *download;
    bool force;
    char place[4096];                    /* of the data, from the root: a resumed run may start in another folder */
    char *transform_text, *augment_text; /* what those on the line print as; NULL: not there */
    fa_value *saved;                     /* options of the run that is resumed, retained; the texts above are its */
} train_options;

/* 0; -1 after --help; else an exit status, with a message on stderr. End with end_train_options. */
int read_train_options(int argc, char **argv, train_options *o);
void end_train_options(train_options *o);
/* What fa_run_open keeps as options. In the current scope. */
fa_value *value_of_train_options(const train_options *o);
/* A path as a shell takes it, in quotes where that is needed. */
void quote_path(char *out, size_t size, const char *path);

/* Brings the transforms on the line to their printed form. 0, or an exit status with a message on stderr. */
int print_transforms(train_options *o);
/* Puts in front of what pictures of files go through, unless it sets their size: short side resized to `side`, the
 * middle cut out. False after an error. */
bool fit_pictures(train_options *o, int64_t side);
/* What the images to train on, and all others, go through. NULL after an error. */
fa_transform *training_transform(const train_options *o);
fa_transform *evaluation_transform(const train_options *o);
/* A line for people. */
void show_transforms(const train_options *o);

#endif
