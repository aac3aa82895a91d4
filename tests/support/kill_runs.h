/* `facula train` ended by SIGKILL at random moments, many of them inside a save, and gone on with each time. After each
 * there must be a checkpoint that loads, the best one must not have got worse, and in the end the run must be the one
 * that was never disturbed, byte for byte. */
#ifndef FA_TESTS_KILL_RUNS_H
#define FA_TESTS_KILL_RUNS_H

/* Goes on until `kills` processes were killed, at least `inside` of them inside a save. */
void kill_runs(int kills, int inside);

#endif
