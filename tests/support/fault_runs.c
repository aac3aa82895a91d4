/* Every system call that a whole `facula train` makes on its run's folder made to fail, and a disk that is full from
 * some write on. Each time: exit status 1, one error message, a checkpoint that loads, the best one no worse, no
 * temporary file; and the run can be gone on with to the same end, byte for byte. */
#include "support/facula_test.h"

#include "support/command_run.h"
#include "support/fault_runs.h"
#include "support/small_mnist.h"
#include "support/tempdir.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct rig {
    tempdir folder;
    char data[600], log[600], count[600], half[600], whole[600], at_once[600], run[600];
} rig;

static rig r;
static long step;

static void begin_line(char *line, size_t size, const char *folder, int epochs)
{
    snprintf(line, size,
             "'%s' train '%s' --out '%s' --epochs %d --held-out 16 --batch-size 32 --workers 0 --save-every 1 "
             "--keep-last 1 --optimizer sgd",
             FA_FACULA, r.data, folder, epochs);
}

static void resume_line(char *line, size_t size, const char *folder, int epochs)
{
    snprintf(line, size, "'%s' train --resume '%s' --epochs %d", FA_FACULA, folder, epochs);
}

static int count_of(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        n++;
    return n;
}

/* Runs a line whose n-th call fails; false when it made fewer calls than that. */
static bool run_with_fault(const char *line, const char *kinds, long n, int error, bool stays)
{
    char environment[4096];
    snprintf(environment, sizeof environment,
             "export LD_PRELOAD='%s' FAULT_FOLDER='%s' FAULT_KINDS=%s FAULT_AT=%ld FAULT_ERROR=%d FAULT_STAYS=%d "
             "FAULT_COUNT='%s';",
             FA_FAULT_SHIM, r.run, kinds, n, error, stays, r.count);
    int status = run_command(environment, line, r.log);
    char *count = read_file(r.count, NULL), *log = read_file(r.log, NULL);
    bool reached = strtol(count, NULL, 10) >= n;
    if (reached ? status != 1 || count_of(log, "facula: error:") != 1 : status != 0)
        fail_msg("call %ld of \"%s\" failed with %d: status %d\n%s", n, kinds, error, status, log);
    if (reached && strstr(log, r.run) == NULL)
        fail_msg("call %ld of \"%s\" failed with %d: the message does not name the file\n%s", n, kinds, error, log);
    free(count);
    free(log);
    return reached;
}

static void go_on_to_the_end(const char *whole)
{
    char line[4096];
    resume_line(line, sizeof line, r.run, 2);
    int status = run_command("", line, r.log);
    if (status != 0)
        fail_msg("status %d: %s", status, read_file(r.log, NULL));
    compare_runs(r.run, whole);
}

/* A run of one epoch gone on with to two, with a fault and then, after each, without. How many calls there were. */
static long each_call_of_resume(const char *kinds, int error, bool stays)
{
    char line[4096];
    double best_of_half = NAN;
    check_run_folder(r.half, &best_of_half);
    assert_false(isnan(best_of_half));
    long n = 1;
    for (;; n += step) {
        copy_folder(r.half, r.run);
        resume_line(line, sizeof line, r.run, 2);
        bool reached = run_with_fault(line, kinds, n, error, stays);
        double best = best_of_half;
        assert_true(check_run_folder(r.run, &best));
        assert_false(has_temporary(r.run));
        if (!reached)
            break;
        go_on_to_the_end(r.whole);
    }
    compare_runs(r.run, r.whole);
    return n - 1;
}

static void test_each_call(void **state)
{
    (void)state;
    long calls = each_call_of_resume("owfrmc", EIO, false);
    print_message("%ld calls, one in %ld made to fail\n", calls, step);
    assert_true(calls > 50);
}

static void test_full_disk(void **state)
{
    (void)state;
    long calls = each_call_of_resume("w", ENOSPC, true);
    print_message("%ld writes, the disk full from one in %ld of them on\n", calls, step);
    assert_true(calls > 10);
}

/* From the very beginning: before the first save there is nothing, after it something that loads. */
static void test_first_run(void **state)
{
    (void)state;
    char line[4096];
    bool was_there = false;
    for (long n = 1;; n += step) {
        copy_folder("/nonexistent", r.run);
        rmdir(r.run);
        begin_line(line, sizeof line, r.run, 2);
        bool reached = run_with_fault(line, "owfrmc", n, EIO, false);
        double best = NAN;
        bool there = check_run_folder(r.run, &best);
        assert_true(there || !was_there);
        assert_false(has_temporary(r.run));
        was_there = there;
        if (!reached)
            break;
        if (there)
            go_on_to_the_end(r.at_once);
    }
    assert_true(was_there);
    compare_runs(r.run, r.at_once);
}

/* A limit on the size of files is an error, no signal. */
static void test_file_size_limit(void **state)
{
    (void)state;
    char line[4096];
    copy_folder(r.half, r.run);
    resume_line(line, sizeof line, r.run, 2);
    assert_int_equal(run_command("ulimit -f 1000;", line, r.log), 1);
    char *log = read_file(r.log, NULL);
    assert_contains(log, "ulimit");
    assert_contains(log, "--resume");
    free(log);
    double best = NAN;
    assert_true(check_run_folder(r.run, &best));
    go_on_to_the_end(r.whole);
}

static int begin(void **state)
{
    (void)state;
    tempdirs_in_memory();
    r.folder = tempdir_new();
    snprintf(r.data, sizeof r.data, "%s/data", r.folder.path);
    snprintf(r.log, sizeof r.log, "%s/log", r.folder.path);
    snprintf(r.count, sizeof r.count, "%s/count", r.folder.path);
    snprintf(r.half, sizeof r.half, "%s/half", r.folder.path);
    snprintf(r.whole, sizeof r.whole, "%s/whole", r.folder.path);
    snprintf(r.at_once, sizeof r.at_once, "%s/at once", r.folder.path);
    snprintf(r.run, sizeof r.run, "%s/run", r.folder.path);
    mkdir(r.data, 0777);
    write_small_mnist(r.data, 16 + 96, 20);
    char line[4096];
    begin_line(line, sizeof line, r.half, 1);
    assert_int_equal(run_command("", line, r.log), 0);
    copy_folder(r.half, r.whole);
    resume_line(line, sizeof line, r.whole, 2);
    assert_int_equal(run_command("", line, r.log), 0);
    begin_line(line, sizeof line, r.at_once, 2);
    assert_int_equal(run_command("", line, r.log), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tempdir_free(&r.folder);
    return 0;
}

int fault_runs(long one_in)
{
    if (FA_EMULATED || FA_SANITIZED)
        return 0; /* the command could not be started, or not with a library in front */
    step = one_in;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_call), cmocka_unit_test(test_full_disk),
                                       cmocka_unit_test(test_first_run), cmocka_unit_test(test_file_size_limit)};
    return cmocka_run_group_tests(tests, begin, end);
}
