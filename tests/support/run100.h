/* The network `mnist` of golden/train100.json, small or whole, and its data. */
#ifndef FA_TESTS_RUN100_H
#define FA_TESTS_RUN100_H

#include "facula.h"
#include "support/facula_test.h"
#include "support/golden.h"

enum { RUN100_ITEMS = 6400, RUN100_BATCH = 64, RUN100_STEPS = 100 };

typedef struct run100_size {
    int64_t channels[2], flat, hidden;
} run100_size;
extern const run100_size run100_mnist;

/* Two convolutions with relu and 2x2 max-pooling, two linear layers; with batch norm (and then without bias in the
 * convolutions), and with dropout of a quarter in front of the last. */
fa_module *run100_net(const run100_size *size, bool norm, bool dropout);
/* fa_sgd(0.05, momentum 0.9), fa_adam(1e-3), fa_adamw(1e-3): "SGD", "Adam", "AdamW". */
fa_optim *run100_optim(const char *name, fa_tensor_list parameters);
/* The first 6,400 images and labels, and their numbers as a third field. */
fa_dataset *run100_items(void);
/* The same with RandomCrop(28, padding=2), RandomHorizontalFlip and ToTensor. */
fa_dataset *run100_augmented(void);
/* One of the runs of golden/train100.json. */
typedef struct run100 {
    const cJSON *facts;
    fa_dtype dtype;
    int threads, workers; /* threads 0: as many as there are */
    int64_t steps;        /* the loop is left after so many; 0: all of them */
} run100;
/* Trains, checks what must be exact (initial weights, order of items, the first batches, the generator at the end), and
 * returns each loss. */
void run100_train(const run100 *run, double *losses);
/* A cmocka test of each run of the file, whose state is the run's facts. FA_RUN in the environment names one of them.
 * Returns how many failed. */
int run100_tests(const golden_file *file, const char *group, CMUnitTestFunction test);

/* CRC-32 as zlib's, of more bytes. */
uint32_t run100_crc32(uint32_t crc, const void *data, size_t size);

#endif
