/* Runs of `facula train` on a small data set, for tests of what a whole command leaves behind. */
#ifndef FA_TESTS_COMMAND_RUN_H
#define FA_TESTS_COMMAND_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The library that makes system calls fail (shim/faults.c). */
#ifndef FA_FAULT_SHIM
#define FA_FAULT_SHIM ""
#endif

/* Starts a command line by the shell, its output and errors in the file `log`; `before` ("export A=1; ulimit -f 100;")
 * is done first. The process is the command itself. */
pid_t start_command(const char *before, const char *command, const char *log);
/* Waits for it: the exit status, or -signal. */
int wait_for_command(pid_t process);
/* Both. */
int run_command(const char *before, const char *command, const char *log);

/* Whether the folder holds temporary files of a writer. */
bool has_temporary(const char *folder);
/* Whether the run's files that are there can all be loaded; the test fails if one cannot. `best` is the validation loss
 * of best_model.pth (NaN: there is none) as it was before: it must still be there and no worse. Becomes that of now. */
bool check_run_folder(const char *folder, double *best);
/* The test fails unless both runs have the same files with the same bytes, times.csv aside. */
void compare_runs(const char *got, const char *want);
/* Copies all files of a folder into another one, which is emptied first. */
void copy_folder(const char *from, const char *to);

#endif
