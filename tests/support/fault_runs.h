/* Whole commands whose system calls fail; see fault_runs.c. */
#ifndef FA_TESTS_FAULT_RUNS_H
#define FA_TESTS_FAULT_RUNS_H

/* Makes, and removes, what the others need. */
void fault_begin(void);
void fault_end(void);
/* A run gone on with: each step-th call fails, in a process of its own. */
void fault_each_call(long step);
/* The same with a disk that is full from each step-th write on. */
void fault_full_disk(long step);
/* A run from its very beginning: before the first save there is nothing, after it something that loads. */
void fault_first_run(long step);
/* A limit on the size of files is an error, no signal. */
void fault_file_size_limit(void);

#endif
