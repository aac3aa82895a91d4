/* Killing runs. */
#include "support/kill_runs.h"

#include "support/command_run.h"
#include "support/facula_test.h"
#include "support/small_mnist.h"
#include "support/tempdir.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { EPOCHS = 3, KEPT = 2 };

typedef struct rig {
    tempdir folder;
    char data[600], log[600], whole[600], run[600];
    uint64_t random;
    int kills, inside, finished;
} rig;

static void command(char *line, size_t size, const rig *r, const char *folder, bool resume)
{
    /* Every step saves. */
    if (resume)
        snprintf(line, size, "'%s' train --resume '%s'", FA_FACULA, folder);
    else
        snprintf(line, size,
                 "'%s' train '%s' --out '%s' --epochs %d --held-out 32 --batch-size 32 --workers 2 --save-every 1 "
                 "--keep-last %d --save-minutes 1e-9 --schedule cosine --augment 'RandomCrop(28, padding=2), "
                 "RandomRotation(9)'",
                 FA_FACULA, r->data, folder, EPOCHS, KEPT);
}

static void sleep_for(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)(1e9 * (seconds - floor(seconds)))};
    nanosleep(&t, NULL);
}

static void expect_success(const rig *r, int status)
{
    if (status != 0)
        fail_msg("the command ended with %d: %s", status, read_file(r->log, NULL));
}

/* One run from its beginning to its end, through any number of deaths. */
static void live_through(rig *r, double longest)
{
    char line[4096];
    double best = NAN;
    bool begun = false;
    for (;;) {
        command(line, sizeof line, r, r->run, begun);
        pid_t process = start_command("", line, r->log);
        sleep_for(test_random_real(&r->random, 0, longest));
        kill(process, SIGKILL);
        int status = wait_for_command(process);
        if (status == 0) {
            check_run_folder(r->run, &best);
            break;
        }
        assert_int_equal(status, -SIGKILL);
        r->kills++;
        r->inside += has_temporary(r->run);
        bool there = check_run_folder(r->run, &best);
        assert_true(there || !begun); /* what was once there is there for ever */
        begun = there;
    }
    compare_runs(r->run, r->whole);
    r->finished++;
}

void kill_runs(int kills, int inside)
{
    if (FA_EMULATED)
        skip();
    rig r = {.folder = tempdir_new(), .random = test_seed(20261125)};
    snprintf(r.data, sizeof r.data, "%s/data", r.folder.path);
    snprintf(r.log, sizeof r.log, "%s/log", r.folder.path);
    snprintf(r.whole, sizeof r.whole, "%s/whole", r.folder.path);
    assert_int_equal(mkdir(r.data, 0777), 0);
    write_small_mnist(r.data, 32 + 200, 40);
    char line[4096];
    command(line, sizeof line, &r, r.whole, false);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    expect_success(&r, run_command("", line, r.log));
    clock_gettime(CLOCK_MONOTONIC, &after);
    double seconds = (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
    for (int i = 0; r.kills < kills || r.inside < inside || r.finished == 0; i++) {
        snprintf(r.run, sizeof r.run, "%s/run%d", r.folder.path, i);
        live_through(&r, seconds / 2);
        assert_true(i < 100 + kills);
    }
    print_message("%d kills, %d of them inside a save; %d runs came to their end\n", r.kills, r.inside, r.finished);
    tempdir_free(&r.folder);
}
