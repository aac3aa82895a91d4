/* Plans by structure. Keys are compared in full; the hash only finds the candidate. At most 64 plans are kept, the one
 * that was not used for longest goes first. */
#include "plan/plan.h"

#include <pthread.h>
#include <string.h>

enum { CACHE_SIZE = 64 };

static pthread_mutex_t cache_mutex = PTHREAD_MUTEX_INITIALIZER;
static fa_plan *cache[CACHE_SIZE];
static int cached;
static uint64_t clock_now;
static int64_t built;

static fa_plan *find(const fa_run *run)
{
    for (int i = 0; i < cached; i++) {
        fa_plan *plan = cache[i];
        if (plan->hash == run->hash && plan->key_words == run->key_words &&
            memcmp(plan->key, run->key, (size_t)run->key_words * sizeof *run->key) == 0)
            return plan;
    }
    return NULL;
}

/* Makes room for one: the slot's index, or -1 when all are being executed. */
static int free_slot(void)
{
    if (cached < CACHE_SIZE)
        return cached++;
    int oldest = -1;
    for (int i = 0; i < cached; i++)
        if (cache[i]->users == 0 && (oldest < 0 || cache[i]->last_used < cache[oldest]->last_used))
            oldest = i;
    if (oldest >= 0)
        fa_plan_free(cache[oldest]);
    return oldest;
}

fa_plan *fa_plan_acquire(const fa_run *run)
{
    pthread_mutex_lock(&cache_mutex);
    fa_plan *plan = find(run);
    if (plan == NULL && (plan = fa_plan_build(run)) != NULL) {
        built++;
        int slot = free_slot();
        if (slot >= 0)
            cache[slot] = plan;
        else
            plan->last_used = UINT64_MAX; /* not in the cache: goes when it is given back */
    }
    if (plan != NULL) {
        plan->users++;
        if (plan->last_used != UINT64_MAX)
            plan->last_used = ++clock_now;
    }
    pthread_mutex_unlock(&cache_mutex);
    return plan;
}

void fa_plan_release(fa_plan *plan)
{
    pthread_mutex_lock(&cache_mutex);
    bool drop = --plan->users == 0 && plan->last_used == UINT64_MAX;
    pthread_mutex_unlock(&cache_mutex);
    if (drop)
        fa_plan_free(plan);
}

int64_t fa_plan_count_built(void)
{
    pthread_mutex_lock(&cache_mutex);
    int64_t count = built;
    pthread_mutex_unlock(&cache_mutex);
    return count;
}

int64_t fa_plan_count_cached(void)
{
    pthread_mutex_lock(&cache_mutex);
    int64_t count = cached;
    pthread_mutex_unlock(&cache_mutex);
    return count;
}
