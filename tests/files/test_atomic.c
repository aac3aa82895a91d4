/* Whole files: what is written, what is left when a step fails, and what becomes of leftovers. */
#include "support/facula_test.h"

#include "support/tempdir.h"

#include "facula/base.h"
#include "files/atomic.h"
#include "files/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static tempdir folder;

static int make_folder(void **state)
{
    (void)state;
    folder = tempdir_new();
    fa_clear_error();
    fa_system_fail(FA_SYS_OPEN, 0, 0);
    fa_system_limit_writes(0);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    fa_system_fail(FA_SYS_OPEN, 0, 0);
    fa_system_limit_writes(0);
    fa_clear_error();
    tempdir_free(&folder);
    return 0;
}

static int entries(void)
{
    DIR *all = opendir(folder.path);
    assert_non_null(all);
    int n = 0;
    const struct dirent *entry;
    while ((entry = readdir(all)) != NULL)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(all);
    return n;
}

static void assert_file(const char *path, const char *content, size_t bytes)
{
    size_t size;
    char *got = read_file(path, &size);
    assert_int_equal(size, bytes);
    assert_same_bytes(got, content, bytes);
    free(got);
}

/* 1 MB in pieces of all sizes. */
enum { LARGE = 1 << 20 };
static char large[LARGE];

static bool write_large(const char *path)
{
    fa_atomic_file file;
    if (!fa_atomic_open(&file, path, "save", FA_HERE))
        return false;
    uint64_t state = 1;
    for (size_t at = 0; at < LARGE;) {
        size_t piece = (size_t)test_random_int(&state, 0, at % 3 == 0 ? 100000 : 300);
        piece = piece < LARGE - at ? piece : LARGE - at;
        fa_atomic_write(&file, large + at, piece);
        at += piece;
    }
    return fa_atomic_commit(&file);
}

static void test_writes(void **state)
{
    (void)state;
    uint64_t random = 5;
    for (int i = 0; i < LARGE; i++)
        large[i] = (char)test_random(&random);
    const char *path = tempdir_file(&folder, "a.pth");
    assert_true(write_large(path));
    assert_file(path, large, LARGE);
    assert_true(fa_atomic_write_file(path, "new", 3, "save", FA_HERE));
    assert_file(path, "new", 3);
    assert_true(fa_atomic_write_file(path, "", 0, "save", FA_HERE));
    assert_file(path, "", 0);
    fa_system_limit_writes(1000); /* short writes are gone on with */
    assert_true(write_large(path));
    assert_file(path, large, LARGE);
    assert_int_equal(entries(), 1);
}

static void test_bare_name(void **state)
{
    (void)state;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder.path), 0);
    bool good = fa_atomic_write_file("b.pth", "x", 1, "save", FA_HERE);
    assert_int_equal(chdir(before), 0);
    assert_true(good);
    assert_file(tempdir_file(&folder, "b.pth"), "x", 1);
}

/* Each call of each kind fails once, until none is left to fail. */
static void test_every_call_fails(void **state)
{
    (void)state;
    static const struct {
        fa_system_call call;
        int error;
        const char *part;
    } kinds[] = {{FA_SYS_OPEN, EACCES, "ermission"}, {FA_SYS_WRITE, ENOSPC, "the disk is full"},
                 {FA_SYS_WRITE, EIO, "nput/output"}, {FA_SYS_WRITE, EDQUOT, "quota"},
                 {FA_SYS_FSYNC, EIO, "nput/output"}, {FA_SYS_RENAME, EROFS, "read-only"},
                 {FA_SYS_CLOSE, EIO, "power cut"}};
    const char *path = tempdir_file(&folder, "a.pth");
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        int failures = 0;
        for (long n = 1;; n++) {
            fa_system_fail(FA_SYS_OPEN, 0, 0);
            assert_true(fa_atomic_write_file(path, "old", 3, "save", FA_HERE));
            fa_system_fail(kinds[k].call, n, kinds[k].error);
            bool good = write_large(path);
            if (fa_system_calls(kinds[k].call) < n) {
                assert_true(good);
                break;
            }
            assert_int_equal(entries(), 1);
            if (good) { /* a folder that may not be read is not flushed */
                assert_int_equal(kinds[k].call, FA_SYS_OPEN);
                continue;
            }
            failures++;
            assert_int_equal(fa_error_code(), FA_FILE_ERROR);
            assert_contains(fa_error(), "a.pth");
            assert_contains(fa_error(), kinds[k].part);
            if (strstr(fa_error(), "is written, but") != NULL)
                assert_file(path, large, LARGE);
            else
                assert_file(path, "old", 3);
            fa_clear_error();
        }
        assert_true(failures >= (kinds[k].call == FA_SYS_WRITE ? 10 : 1));
    }
}

/* The temporary file goes even when the first attempt at removing it fails. */
static void test_unlink_fails(void **state)
{
    (void)state;
    const char *path = tempdir_file(&folder, "a.pth");
    fa_system_fail(FA_SYS_UNLINK, 1, EIO);
    fa_atomic_file file;
    assert_true(fa_atomic_open(&file, path, "save", FA_HERE));
    fa_atomic_abandon(&file);
    assert_int_equal(entries(), 0);
    assert_true(fa_ok());
}

/* A child whose files may not grow beyond 100 KB lives, says why, and leaves the old file. */
static void test_file_size_limit(void **state)
{
    (void)state;
    const char *path = tempdir_file(&folder, "a.pth");
    assert_true(fa_atomic_write_file(path, "old", 3, "save", FA_HERE));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = {100000, 100000};
        setrlimit(RLIMIT_FSIZE, &limit);
        bool good = write_large(path);
        _exit(good ? 1 : strstr(fa_error(), "ulimit") == NULL ? 2 : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_file(path, "old", 3);
    assert_int_equal(entries(), 1);
}

static void assert_refused(const char *path, const char *part)
{
    fa_clear_error();
    assert_false(fa_atomic_write_file(path, "x", 1, "save", FA_HERE));
    assert_int_equal(fa_error_code(), FA_FILE_ERROR);
    assert_contains(fa_error(), part);
    fa_clear_error();
}

static void test_what_is_no_file(void **state)
{
    (void)state;
    assert_refused("", "empty path");
    assert_refused(tempdir_file(&folder, "none/a.pth"), "its folder does not exist");
    assert_refused(folder.path, "is a folder");
    assert_refused(tempdir_file(&folder, ""), "names no file");
    assert_refused("/dev/null", "a device");
    assert_int_equal(mkfifo(tempdir_file(&folder, "pipe"), 0666), 0);
    assert_refused(tempdir_file(&folder, "pipe"), "a pipe");
    if (geteuid() != 0) {
        write_file(tempdir_file(&folder, "locked"), "old", 3);
        assert_int_equal(chmod(tempdir_file(&folder, "locked"), 0444), 0);
        assert_refused(tempdir_file(&folder, "locked"), "chmod");
        assert_int_equal(chmod(folder.path, 0555), 0);
        assert_refused(tempdir_file(&folder, "new"), "ermission");
        assert_int_equal(chmod(folder.path, 0755), 0);
    }
}

static void test_modes_and_links(void **state)
{
    (void)state;
    const char *path = tempdir_file(&folder, "a.pth"), *link = tempdir_file(&folder, "best.pth");
    struct stat status;
    mode_t mask = umask(027);
    assert_true(fa_atomic_write_file(path, "old", 3, "save", FA_HERE));
    umask(mask);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(symlink("a.pth", link), 0);
    assert_true(fa_atomic_write_file(link, "new", 3, "save", FA_HERE));
    assert_file(path, "new", 3);
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0604);
    const char *loop = tempdir_file(&folder, "loop");
    assert_int_equal(symlink("loop", loop), 0);
    assert_refused(loop, "leads through more than");
    const char *dangling = tempdir_file(&folder, "dangling"), *beyond = tempdir_file(&folder, "beyond");
    assert_int_equal(symlink(beyond, dangling), 0);
    assert_true(fa_atomic_write_file(dangling, "new", 3, "save", FA_HERE));
    assert_file(beyond, "new", 3);
}

/* Leftovers of this file alone go, and none of a writer that lives. */
static void test_leftovers(void **state)
{
    (void)state;
    const char *path = tempdir_file(&folder, "a");
    write_file(tempdir_file(&folder, ".a.0123456789abcdef.tmp"), "half", 4);
    write_file(tempdir_file(&folder, ".a.b.0123456789abcdef.tmp"), "half", 4);
    write_file(tempdir_file(&folder, ".a.0123456789abcdeg.tmp"), "mine", 4);
    write_file(tempdir_file(&folder, ".a.tmp"), "mine", 4);
    fa_atomic_file living;
    assert_true(fa_atomic_open(&living, path, "save", FA_HERE));
    assert_int_equal(entries(), 4); /* one went, one came */
    fa_atomic_write(&living, "first", 5);
    assert_true(fa_atomic_write_file(path, "second", 6, "save", FA_HERE));
    assert_file(path, "second", 6);
    assert_int_equal(entries(), 5);
    assert_true(fa_atomic_commit(&living));
    assert_file(path, "first", 5);
    assert_int_equal(entries(), 4);
}

/* The longest names that the system takes. */
static void test_long_name(void **state)
{
    (void)state;
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    const char *path = tempdir_file(&folder, name);
    assert_true(fa_atomic_write_file(path, "x", 1, "save", FA_HERE));
    assert_file(path, "x", 1);
    assert_int_equal(entries(), 1);
}

/* A killed writer leaves the old file, and the next save sweeps up after it. */
static void test_killed(void **state)
{
    (void)state;
    const char *path = tempdir_file(&folder, "a.pth");
    int seen = 0;
    uint64_t random = test_seed(7);
    for (int i = 0; i < 20; i++) {
        assert_true(fa_atomic_write_file(path, "old", 3, "save", FA_HERE));
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            fa_system_limit_writes(64);
            for (;;)
                write_large(path);
        }
        usleep((useconds_t)test_random_int(&random, 500, 30000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        seen += entries() > 1;
        size_t size;
        char *got = read_file(path, &size);
        assert_true(size == 3 || size == LARGE);
        assert_same_bytes(got, size == 3 ? "old" : large, size);
        free(got);
    }
    assert_true(seen > 0);
    assert_true(fa_atomic_write_file(path, "new", 3, "save", FA_HERE));
    assert_int_equal(entries(), 1);
}

static void test_folders(void **state)
{
    (void)state;
    const char *deep = tempdir_file(&folder, "x/y/z");
    assert_true(fa_make_folders(deep, "save", FA_HERE));
    assert_true(fa_make_folders(deep, "save", FA_HERE));
    assert_true(fa_atomic_write_file(tempdir_file(&folder, "x/y/z/a"), "x", 1, "save", FA_HERE));
    assert_false(fa_make_folders(tempdir_file(&folder, "x/y/z/a/b"), "save", FA_HERE));
    assert_contains(fa_error(), "a file is called so");
    fa_clear_error();
    fa_system_fail_from(FA_SYS_MKDIR, 1, EROFS);
    assert_false(fa_make_folders(tempdir_file(&folder, "q"), "save", FA_HERE));
    assert_contains(fa_error(), "read-only");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_writes),          TEST(test_bare_name),       TEST(test_every_call_fails), TEST(test_unlink_fails),
        TEST(test_file_size_limit), TEST(test_what_is_no_file), TEST(test_modes_and_links),  TEST(test_leftovers),
        TEST(test_long_name),       TEST(test_killed),          TEST(test_folders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
