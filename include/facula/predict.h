/* Predicting: a checkpoint that says what is in a picture.
 *
 *     fa_predictor *classifier = fa_predictor_open("runs/animals");
 *     fa_prediction p = fa_predict_file(classifier, "cat.jpg");
 *     fa_prediction q = fa_predict(classifier, frame, 480, 640, 3, .bgr = true);
 *     if (fa_ok())
 *         printf("%s %.1f %%\n", p.name, 100 * p.probability);
 *     fa_free(classifier);
 *
 * A predictor is a network in evaluation with its weights, the transforms that its pictures go through, and the names
 * of its classes, all from one file. Once made it never changes: any number of threads may use one at the same time,
 * each with an error of its own (fa_ok, fa_clear_error). From the second picture of a size on, pictures in memory are
 * answered without allocating. The numbers are the same bits for one picture or many, and for any number of threads. */
#ifndef FACULA_PREDICT_H
#define FACULA_PREDICT_H

#include "facula/train.h"
#include "facula/vision.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fa_predictor fa_predictor;

typedef struct fa_predictor_open_args {
    char begin_;
    const char *path; /* a checkpoint, or a run's folder: its best_model.pth, or last.pth where there is none */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_module *model; /* takes the weights, instead of a network made from the checkpoint's text; put into eval */
    fa_transform *transform; /* instead of the checkpoint's */
    fa_names class_names;    /* instead of the checkpoint's */
    int64_t fit;             /* fa_fit(n) before the transforms: pictures of any size become n x n; 0: not */
    const char *mode;        /* "RGB" or "L" (grey); NULL: what the network takes */
    const char
        *background; /* as of fa_picture_options: what transparent pictures are laid on; NULL: alpha is dropped */
    bool exif;       /* as of fa_picture_options; also where the checkpoint says that its pictures were read so */
    int64_t max_pixels;
} fa_predictor_open_args;
/* Of a file that fa_run_open (`facula train`) wrote, nothing else is needed. What another file lacks must be given: of
 * a whole model (fa_save(model, path), torch.save(model, path)) transforms and class names; of weights alone the model
 * too.
 *
 * NULL after an error: a file that cannot be read; no network, no transforms or no class names in it, and none given; a
 * network whose class is the program's own and not registered (fa_register_class); weights that do not fit; transforms
 * that draw random numbers, or that end in bytes; a network that gives more or fewer numbers than there are names. */
FA_API fa_predictor *fa_predictor_open_at(const fa_predictor_open_args *args) FA_WARN_UNUSED;
#define fa_predictor_open(...) FA_CALL_(fa_predictor_open_at, fa_predictor_open_args, .begin_ = 0, __VA_ARGS__)

FA_API int64_t fa_predictor_class_count(const fa_predictor *predictor);
FA_API const char *fa_predictor_class_name(const fa_predictor *predictor, int64_t index); /* NULL: no such class */
FA_API const char *fa_predictor_transforms(const fa_predictor *predictor);                /* their text */
FA_API const char *fa_predictor_mode(const fa_predictor *predictor);                      /* "RGB" or "L" */
FA_API const char *fa_predictor_path(const fa_predictor *predictor);                      /* the file that was read */
/* fa_free. Nobody may be using it. */
FA_API void fa_predictor_free(fa_predictor *predictor);
/* Those that have not been freed yet. */
FA_API int64_t fa_predictor_live_count(void);

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

enum { FA_TOP_CLASSES = 5, FA_PREDICTION_ERROR = 400 };

typedef struct fa_class_score {
    int64_t index;
    const char *name; /* the predictor's, as long as it lives */
    double probability;
} fa_class_score;

typedef struct fa_prediction {
    int64_t index; /* of the class; -1 after an error */
    const char *name;
    double probability; /* softmax of the network's scores */
    int top_count;
    fa_class_score top[FA_TOP_CLASSES]; /* the likeliest, best first; equal ones in order of their index */
    char error[FA_PREDICTION_ERROR];    /* of fa_predict_all: why there is no answer; "" else */
} fa_prediction;

/* A picture: a file; or a file's content in memory; or pixels in memory. */
typedef struct fa_predict_picture {
    const char *path; /* with bytes or pixels: what messages call it */
    const void *bytes;
    size_t size;
    const uint8_t *pixels; /* the first pixel of the top row */
    int64_t height, width;
    int64_t channels; /* bytes a pixel: 1 grey; 2 grey, alpha; 3 red, green, blue; 4 red, green, blue, alpha */
    int64_t stride;   /* bytes from one row to the next, negative where rows stand bottom up; 0: width * channels */
    bool bgr;         /* colours stand as blue, green, red (and alpha) */
} fa_predict_picture;

typedef struct fa_predict_args {
    char begin_;
    fa_predictor *predictor;
    const uint8_t *pixels;
    int64_t height, width, channels;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t stride;
    bool bgr;
    float *probabilities; /* all of them: room for fa_predictor_class_count(predictor); NULL: not wanted */
} fa_predict_args;
/* Pixels in memory: a frame of a camera, a decoded picture. They are read, not kept. Grey becomes three equal channels
 * for a network that takes colours, colours become grey (0.299 r + 0.587 g + 0.114 b) for one that takes grey, alpha is
 * dropped or laid on the .background that the predictor was opened with: what reading a file does. */
FA_API fa_prediction fa_predict_at(const fa_predict_args *args) FA_WARN_UNUSED;
#define fa_predict(...) FA_CALL_(fa_predict_at, fa_predict_args, .begin_ = 0, __VA_ARGS__)

/* A file, and the content of one. */
FA_API fa_prediction fa_predict_file_at(fa_predictor *predictor, const char *path, fa_where where) FA_WARN_UNUSED;
FA_API fa_prediction fa_predict_bytes_at(fa_predictor *predictor, const void *bytes, size_t size,
                                         fa_where where) FA_WARN_UNUSED;
#define fa_predict_file(predictor, path) fa_predict_file_at((predictor), (path), FA_HERE)
#define fa_predict_bytes(predictor, bytes, size) fa_predict_bytes_at((predictor), (bytes), (size), FA_HERE)

typedef struct fa_predict_all_args {
    char begin_;
    fa_predictor *predictor;
    const fa_predict_picture *pictures; /* [n] */
    int64_t n;
    fa_prediction *results; /* [n] */
    struct fa_keyword_only *kw_;
    fa_where where_;
    float *probabilities; /* [n, classes], zeros where there is no answer; NULL: not wanted */
} fa_predict_all_args;
/* Several pictures, decoded on all threads and run together. Returns how many were answered: a picture that cannot be
 * read or does not fit raises nothing and holds no other up, its result has index -1 and says why. -1 after an error
 * that concerns them all (no memory, arguments). */
FA_API int64_t fa_predict_all_at(const fa_predict_all_args *args) FA_WARN_UNUSED;
#define fa_predict_all(...) FA_CALL_(fa_predict_all_at, fa_predict_all_args, .begin_ = 0, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
#endif
