/* Runs that are stopped and gone on with in another process, compared byte for byte with one that was not. */
#ifndef FA_TESTS_RESUME_RUNS_H
#define FA_TESTS_RESUME_RUNS_H

#include <stdint.h>

/* Each of some kinds of runs, stopped in each of some ways; one stop of each is drawn. */
void resume_setups(uint64_t seed);
/* Runs with everything drawn: optimizer, schedule, order, augmentation, workers, threads, where it is stopped. */
void resume_random(uint64_t seed, int runs);
/* A run that gets more epochs. */
void resume_more_epochs(void);

#endif
