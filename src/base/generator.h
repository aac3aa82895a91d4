/* PyTorch's CPU generator: MT19937 and the draws made from it, number for number (AVX2 results of PyTorch 2.15). */
#ifndef FA_BASE_GENERATOR_H
#define FA_BASE_GENERATOR_H

#include "facula/base.h"

enum { FA_MT_WORDS = 624 };

typedef struct fa_mt {
    uint64_t seed;
    int32_t left;
    uint64_t next;
    uint32_t state[FA_MT_WORDS];
    double cached_normal;
    bool has_cached_normal;
} fa_mt;

void fa_mt_seed(fa_mt *mt, uint64_t seed);
uint32_t fa_mt_u32(fa_mt *mt);
uint64_t fa_mt_u64(fa_mt *mt); /* two words, the first is the high half */
void fa_mt_save(const fa_mt *mt, uint8_t state[FA_GENERATOR_STATE_SIZE]);
bool fa_mt_load(fa_mt *mt, const uint8_t state[FA_GENERATOR_STATE_SIZE]); /* false: not such a state; mt unchanged */

/* Draws in the order of memory. The float versions are PyTorch's float32, the double ones its float64. */
void fa_mt_uniform_f32(fa_mt *mt, float *out, int64_t n, double lo, double hi);
void fa_mt_uniform_f64(fa_mt *mt, double *out, int64_t n, double lo, double hi);
void fa_mt_normal_f32(fa_mt *mt, float *out, int64_t n, double mean, double std);
void fa_mt_normal_f64(fa_mt *mt, double *out, int64_t n, double mean, double std);
void fa_mt_randint(fa_mt *mt, int64_t *out, int64_t n, int64_t lo, int64_t hi);
int64_t fa_mt_random_int64(fa_mt *mt); /* random_() of an int64: a sampler's seed */
void fa_mt_randperm(fa_mt *mt, int64_t *out, int64_t n);
void fa_mt_bernoulli(fa_mt *mt, uint8_t *out, int64_t n, double p); /* bernoulli_(p): double uniforms < p */
void fa_mt_exponential_f64(fa_mt *mt, double *out, int64_t n, double lambda);
/* trunc_normal_ of nn.init. `scratch`: room for n more. */
void fa_mt_trunc_normal_f32(fa_mt *mt, float *out, int64_t n, double mean, double std, double a, double b,
                            float *scratch);
void fa_mt_trunc_normal_f64(fa_mt *mt, double *out, int64_t n, double mean, double std, double a, double b,
                            double *scratch);

/* k choices among n categories, in proportion to weights that are finite, not negative, and have a positive sum;
 * without replacement at least k of them are positive. `single`: as for float32 weights. `scratch`: n. */
typedef struct fa_choice {
    double key;
    int64_t index;
} fa_choice;
void fa_mt_multinomial(fa_mt *mt, int64_t *out, int64_t k, const double *weights, int64_t n, bool single,
                       bool replacement, fa_choice *scratch);

/* A generator object: an engine behind a lock, counted. */
struct fa_generator;
fa_generator *fa_generator_default(void);
fa_generator *fa_generator_or_default(fa_generator *generator); /* NULL gives the default one */
fa_generator *fa_generator_retain(fa_generator *generator);
void fa_generator_release(fa_generator *generator);
/* Locks the engine for a draw. With the default generator, initial weights that wait are drawn first (fa_init_hook). */
fa_mt *fa_generator_lock(fa_generator *generator);
void fa_generator_unlock(fa_generator *generator);

/* Called on a worker when it begins a batch. From then on it may draw from generators alone that it made, seeded or
 * restored for this batch: nobody could say in which order draws from others would happen, and they are an error, whose
 * numbers mean nothing. */
void fa_generator_on_worker(void);
/* False after raising that error: the calling thread may not draw from the default generator. */
bool fa_generator_may_draw_default(void);

/* Set by tensor/: draws what constructors have recorded and not drawn yet. Called before the default generator is
 * drawn from, seeded, saved or restored; it draws through fa_generator_lock_raw. */
void fa_generator_set_init_hook(void (*hook)(void));
fa_mt *fa_generator_lock_raw(fa_generator *generator);
/* Runs the hook, if any: before a look at a parameter. */
void fa_generator_run_init_hook(void);

#endif
