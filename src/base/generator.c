/* PyTorch's CPU generator: the engine, its draws (normals: generator_normal.c), and generator objects.
 *
 * Mersenne Twister MT19937: 624 words; the next word i is  s[i+397] ^ twist(high bit of s[i], low bits of s[i+1]).
 * `left` and `next` are PyTorch's counters, which its saved states show: left - 1 words from `next` on are not drawn
 * yet; a draw that finds left == 1 makes 624 new words first.
 *   uniform float32   (u32 & 0xffffff) * 2^-24, one word;  float64  (u64 & (2^53 - 1)) * 2^-53, two words
 *   uniform(lo, hi)   x * (hi - lo) + lo, and lo where that rounds up to hi
 *   randint(lo, hi)   lo + u32 % range, with u64 from a range of 2^28 on
 *   bernoulli(p)      float64 uniform < p;   exponential  -1/lambda * log1p(-float64 uniform) */
#include "base/generator_words.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { SHIFT = 397 };
static const uint64_t NEW_GENERATOR_SEED = 67280421310721;
static const uint64_t MASK53 = ((uint64_t)1 << 53) - 1;

/* ---- Engine ------------------------------------------------------------------------------------------------------ */

void fa_mt_seed(fa_mt *mt, uint64_t seed)
{
    mt->seed = seed;
    mt->left = 1;
    mt->next = 0;
    mt->cached_normal = 0;
    mt->has_cached_normal = false;
    uint32_t *s = mt->state;
    s[0] = (uint32_t)seed;
    for (uint32_t j = 1; j < FA_MT_WORDS; j++)
        s[j] = 1812433253u * (s[j - 1] ^ (s[j - 1] >> 30)) + j;
}

static inline uint32_t twist(uint32_t high, uint32_t low)
{
    uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);
    return (y >> 1) ^ (-(low & 1) & 0x9908b0dfu);
}

static void regenerate(fa_mt *mt)
{
    uint32_t *s = mt->state;
    for (int i = 0; i < FA_MT_WORDS - SHIFT; i++)
        s[i] = s[i + SHIFT] ^ twist(s[i], s[i + 1]);
    for (int i = FA_MT_WORDS - SHIFT; i < FA_MT_WORDS - 1; i++)
        s[i] = s[i + SHIFT - FA_MT_WORDS] ^ twist(s[i], s[i + 1]);
    s[FA_MT_WORDS - 1] = s[SHIFT - 1] ^ twist(s[FA_MT_WORDS - 1], s[0]);
    mt->left = FA_MT_WORDS;
    mt->next = 0;
}

static inline uint32_t temper(uint32_t y)
{
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

uint32_t fa_mt_u32(fa_mt *mt)
{
    if (--mt->left == 0)
        regenerate(mt);
    return temper(mt->state[mt->next++]);
}

uint64_t fa_mt_u64(fa_mt *mt)
{
    uint64_t high = fa_mt_u32(mt);
    return high << 32 | fa_mt_u32(mt);
}

void fa_mt_words(fa_mt *mt, uint32_t *restrict out, int64_t n)
{
    while (n > 0) {
        if (mt->left == 1) {
            regenerate(mt);
            mt->left++; /* as before the decrement that a draw makes */
        }
        int64_t count = mt->left - 1;
        if (count > n)
            count = n;
        const uint32_t *restrict s = mt->state + mt->next;
        for (int64_t i = 0; i < count; i++)
            out[i] = temper(s[i]);
        mt->left -= (int32_t)count;
        mt->next += (uint64_t)count;
        out += count;
        n -= count;
    }
}

/* u64 draws in bulk, reduced to 53 bits. */
static void words53(fa_mt *mt, uint64_t *restrict out, int64_t n)
{
    uint32_t words[2 * FA_MT_CHUNK];
    fa_mt_words(mt, words, 2 * n);
    for (int64_t i = 0; i < n; i++)
        out[i] = ((uint64_t)words[2 * i] << 32 | words[2 * i + 1]) & MASK53;
}

/* ---- State: u64 seed; i32 left, seeded; u64 next; 624 u64; f64 0, cached normal, 0; i32 cached, 0; f32 0; 4 x u8 0
 * --- */

static uint8_t *put(uint8_t *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *at++ = (uint8_t)(value >> 8 * i);
    return at;
}

static uint64_t get(const uint8_t **at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t) * (*at)++ << 8 * i;
    return value;
}

void fa_mt_save(const fa_mt *mt, uint8_t state[FA_GENERATOR_STATE_SIZE])
{
    uint64_t cached = 0;
    if (mt->has_cached_normal)
        memcpy(&cached, &mt->cached_normal, sizeof cached);
    uint8_t *at = put(state, mt->seed, 8);
    at = put(at, (uint32_t)mt->left, 4);
    at = put(at, 1, 4);
    at = put(at, mt->next, 8);
    for (int i = 0; i < FA_MT_WORDS; i++)
        at = put(at, mt->state[i], 8);
    at = put(at, 0, 8);
    at = put(at, cached, 8);
    at = put(at, 0, 8);
    at = put(at, mt->has_cached_normal, 4);
    memset(at, 0, (size_t)(state + FA_GENERATOR_STATE_SIZE - at));
}

bool fa_mt_load(fa_mt *mt, const uint8_t state[FA_GENERATOR_STATE_SIZE])
{
    fa_mt loaded;
    const uint8_t *at = state;
    loaded.seed = get(&at, 8);
    uint64_t left = get(&at, 4);
    uint64_t seeded = get(&at, 4);
    loaded.next = get(&at, 8);
    if (seeded != 1 || left < 1 || left > FA_MT_WORDS || loaded.next > FA_MT_WORDS ||
        loaded.next + left - 1 > FA_MT_WORDS)
        return false;
    loaded.left = (int32_t)left;
    for (int i = 0; i < FA_MT_WORDS; i++) {
        uint64_t word = get(&at, 8);
        if (word >> 32)
            return false;
        loaded.state[i] = (uint32_t)word;
    }
    at += 8;
    uint64_t cached = get(&at, 8);
    memcpy(&loaded.cached_normal, &cached, sizeof cached);
    at += 8;
    uint64_t has_cached = get(&at, 4);
    if (has_cached > 1)
        return false;
    loaded.has_cached_normal = has_cached == 1;
    *mt = loaded;
    return true;
}

/* ---- Draws ------------------------------------------------------------------------------------------------------- */

void fa_mt_uniform_f64(fa_mt *mt, double *out, int64_t n, double lo, double hi)
{
    uint64_t words[FA_MT_CHUNK];
    double range = hi - lo;
    for (int64_t begin = 0; begin < n; begin += FA_MT_CHUNK) {
        int64_t count = n - begin < FA_MT_CHUNK ? n - begin : FA_MT_CHUNK;
        words53(mt, words, count);
        for (int64_t i = 0; i < count; i++) {
            double v = fma((double)(int64_t)words[i] * 0x1p-53, range, lo);
            out[begin + i] = v == hi ? lo : v;
        }
    }
}

void fa_mt_randint(fa_mt *mt, int64_t *out, int64_t n, int64_t lo, int64_t hi)
{
    uint64_t range = (uint64_t)hi - (uint64_t)lo;
    if (range == 0)
        return;
    bool wide = range >= (uint64_t)1 << 28;
    for (int64_t i = 0; i < n; i++) {
        uint64_t draw = wide ? fa_mt_u64(mt) : fa_mt_u32(mt);
        out[i] = (int64_t)((uint64_t)lo + draw % range);
    }
}

int64_t fa_mt_random_int64(fa_mt *mt)
{
    return (int64_t)(fa_mt_u64(mt) & INT64_MAX);
}

void fa_mt_randperm(fa_mt *mt, int64_t *out, int64_t n)
{
    enum { WIDE_FROM = 214748364 }; /* (2^32 - 1) / 20: from here on 32 bits are too few for an even draw */
    if (n >= WIDE_FROM) {
        for (int64_t i = 0; i < n; i++) {
            int64_t z = (int64_t)(fa_mt_u64(mt) % (uint64_t)(i + 1));
            out[i] = i;
            out[i] = out[z];
            out[z] = i;
        }
        return;
    }
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    for (int64_t i = 0; i < n - 1; i++) {
        int64_t z = i + (int64_t)(fa_mt_u32(mt) % (uint32_t)(n - i));
        int64_t kept = out[i];
        out[i] = out[z];
        out[z] = kept;
    }
}

void fa_mt_bernoulli(fa_mt *mt, uint8_t *out, int64_t n, double p)
{
    /* k * 2^-53 < p, for whole k, is k < ceil(p * 2^53): the scaling is exact. */
    uint64_t limit = !(p > 0) ? 0 : p >= 1 ? (uint64_t)1 << 53 : (uint64_t)ceil(p * 0x1p53);
    uint64_t words[FA_MT_CHUNK];
    for (int64_t begin = 0; begin < n; begin += FA_MT_CHUNK) {
        int64_t count = n - begin < FA_MT_CHUNK ? n - begin : FA_MT_CHUNK;
        words53(mt, words, count);
        for (int64_t i = 0; i < count; i++)
            out[begin + i] = words[i] < limit;
    }
}

void fa_mt_exponential_f64(fa_mt *mt, double *out, int64_t n, double lambda)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = -1 / lambda * log1p(-((double)(int64_t)(fa_mt_u64(mt) & MASK53) * 0x1p-53));
}

/* ---- Generator objects ------------------------------------------------------------------------------------------- */

struct fa_generator {
    pthread_mutex_t lock;
    atomic_int refs;
    uint64_t batch;    /* that of the worker which made, seeded or restored it last; 0: another thread did */
    fa_mt mt, refused; /* the second one for draws that are an error */
};

static fa_generator default_generator = {.lock = PTHREAD_MUTEX_INITIALIZER, .refs = 1};
static pthread_once_t default_once = PTHREAD_ONCE_INIT;
static _Atomic(void (*)(void)) init_hook;
static _Thread_local uint64_t worker_batch; /* the batch that this thread fetches, 0: it is no worker */

static void seed_default(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = (uint64_t)time(NULL);
    fa_mt_seed(&default_generator.mt, seed);
}

fa_generator *fa_generator_default(void)
{
    pthread_once(&default_once, seed_default);
    return &default_generator;
}

fa_generator *fa_generator_or_default(fa_generator *generator)
{
    return generator ? generator : fa_generator_default();
}

fa_generator *fa_generator_new(void)
{
    fa_generator *generator = fa_malloc(sizeof *generator);
    if (!generator) {
        fa_fail_memory((fa_where){"", 0}, sizeof *generator);
        return NULL;
    }
    pthread_mutex_init(&generator->lock, NULL);
    atomic_init(&generator->refs, 1);
    generator->batch = worker_batch;
    fa_mt_seed(&generator->mt, NEW_GENERATOR_SEED);
    return generator;
}

fa_generator *fa_generator_retain(fa_generator *generator)
{
    if (generator && generator != &default_generator)
        atomic_fetch_add_explicit(&generator->refs, 1, memory_order_relaxed);
    return generator;
}

/* The default generator is never freed. */
void fa_generator_release(fa_generator *generator)
{
    if (!generator || generator == &default_generator ||
        atomic_fetch_sub_explicit(&generator->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&generator->lock);
    fa_mfree(generator);
}

void fa_generator_free(fa_generator *generator)
{
    fa_generator_release(generator);
}

fa_mt *fa_generator_lock_raw(fa_generator *generator)
{
    generator = fa_generator_or_default(generator);
    pthread_mutex_lock(&generator->lock);
    return &generator->mt;
}

void fa_generator_run_init_hook(void)
{
    void (*hook)(void) = atomic_load(&init_hook);
    if (hook)
        hook();
}

/* Whether the thread may draw from a generator; the rule of fa_generator_on_worker. False after raising the error. */
static bool may_draw(const fa_generator *generator)
{
    return worker_batch == 0 || generator->batch == worker_batch ||
           fa_fail(FA_STATE_ERROR, (fa_where){"", 0}, "random numbers",
                   "got a draw from %s on a loader's worker thread, needs one on the thread of the loop, in the order "
                   "of items. Hint: .draws = true in fa_dataset_new, or a generator that the callback itself seeds by "
                   "the item's number.",
                   generator == &default_generator ? "the default generator"
                                                   : "a generator that other batches draw from too");
}

bool fa_generator_may_draw_default(void)
{
    return may_draw(&default_generator);
}

fa_mt *fa_generator_lock(fa_generator *generator)
{
    generator = fa_generator_or_default(generator);
    if (generator == &default_generator && worker_batch == 0)
        fa_generator_run_init_hook();
    fa_mt *mt = fa_generator_lock_raw(generator);
    if (may_draw(generator))
        return mt;
    fa_mt_seed(&generator->refused, NEW_GENERATOR_SEED);
    return &generator->refused;
}

/* Locks the engine to give it another state. */
static fa_mt *lock_to_set(fa_generator *generator)
{
    generator = fa_generator_or_default(generator);
    if (generator == &default_generator)
        return fa_generator_lock(generator);
    fa_mt *mt = fa_generator_lock_raw(generator);
    generator->batch = worker_batch;
    return mt;
}

void fa_generator_on_worker(void)
{
    static _Atomic uint64_t batches;
    worker_batch = atomic_fetch_add_explicit(&batches, 1, memory_order_relaxed) + 1;
}

void fa_generator_unlock(fa_generator *generator)
{
    pthread_mutex_unlock(&fa_generator_or_default(generator)->lock);
}

void fa_generator_set_init_hook(void (*hook)(void))
{
    atomic_store(&init_hook, hook);
}

void fa_generator_seed(fa_generator *generator, uint64_t seed)
{
    fa_mt_seed(lock_to_set(generator), seed);
    fa_generator_unlock(generator);
}

void fa_manual_seed(uint64_t seed)
{
    fa_generator_seed(NULL, seed);
}

void fa_generator_get_state(fa_generator *generator, uint8_t state[FA_GENERATOR_STATE_SIZE])
{
    fa_mt_save(fa_generator_lock(generator), state);
    fa_generator_unlock(generator);
}

bool fa_generator_set_state(fa_generator *generator, const uint8_t state[FA_GENERATOR_STATE_SIZE])
{
    bool ok = fa_mt_load(lock_to_set(generator), state);
    fa_generator_unlock(generator);
    if (!ok)
        fa_fail(FA_VALUE_ERROR, (fa_where){"", 0}, "generator_set_state",
                "got bytes that are no state of a generator, needs the %d bytes that fa_generator_get_state wrote",
                FA_GENERATOR_STATE_SIZE);
    return ok;
}
