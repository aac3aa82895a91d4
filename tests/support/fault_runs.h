/* Whole commands whose system calls fail; see fault_runs.c. */
#ifndef FA_TESTS_FAULT_RUNS_H
#define FA_TESTS_FAULT_RUNS_H

/* The tests, each of which makes one call in so many fail. What main returns. */
int fault_runs(long one_in);

#endif
