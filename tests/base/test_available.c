/* How much memory there is by a folder that stands for the root: the machine's, cut by the control groups'. */
#include "support/facula_test.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

static void write_file(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static uint64_t memory_in(int files, const char *const (*file)[2])
{
    snprintf(root, sizeof root, "/tmp/facula_memory_XXXXXX");
    assert_non_null(mkdtemp(root));
    for (int i = 0; i < files; i++)
        write_file(file[i][0], file[i][1]);
    const uint64_t bytes = fa_available_memory(root);
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
    return bytes;
}
#define MEMORY_IN(...)                                                                                                 \
    memory_in((int)(sizeof((const char *const[][2]){__VA_ARGS__}) / sizeof(char *[2])),                                \
              (const char *const[][2]){__VA_ARGS__})

static void test_machine(void **unused)
{
    (void)unused;
    assert_int_equal(MEMORY_IN({"/proc/meminfo", "MemTotal: 900 kB\nMemFree: 10 kB\nMemAvailable:     500 kB\n"}),
                     500 * 1024);
    assert_int_equal(MEMORY_IN({"/proc/meminfo", "MemAvailable:     500 kB\nSwapTotal: 90 kB\nSwapFree: 30 kB\n"}),
                     530 * 1024);
    assert_true(fa_available_memory("/nowhere/at/all") == UINT64_MAX);
    const uint64_t here = fa_available_memory("");
    assert_true(here > 1 << 20 && here < (uint64_t)1 << 50);
}

static void test_groups(void **unused)
{
    (void)unused;
    assert_int_equal(MEMORY_IN({"/proc/meminfo", "MemAvailable: 5000 kB\n"}, {"/proc/self/cgroup", "0::/a/b\n"},
                               {"/sys/fs/cgroup/a/b/memory.max", "1000000\n"},
                               {"/sys/fs/cgroup/a/b/memory.current", "300000\n"},
                               {"/sys/fs/cgroup/a/b/memory.stat", "anon 1\nfile 2\ninactive_file 100000\n"}),
                     800000);
    /* the smallest on the way up; no limit; more used than allowed */
    assert_int_equal(MEMORY_IN({"/proc/self/cgroup", "0::/a/b\n"}, {"/sys/fs/cgroup/a/b/memory.max", "max\n"},
                               {"/sys/fs/cgroup/a/b/memory.current", "300000\n"},
                               {"/sys/fs/cgroup/a/memory.max", "900000\n"},
                               {"/sys/fs/cgroup/a/memory.current", "400000\n"}),
                     500000);
    assert_int_equal(MEMORY_IN({"/proc/meminfo", "MemAvailable: 7 kB\n"}, {"/proc/self/cgroup", "0::/\n"},
                               {"/sys/fs/cgroup/memory.max", "max\n"}),
                     7 * 1024);
    assert_int_equal(MEMORY_IN({"/proc/self/cgroup", "0::/x\n"}, {"/sys/fs/cgroup/memory.max", "100\n"},
                               {"/sys/fs/cgroup/memory.current", "300\n"}),
                     0);
    /* version 1 */
    assert_int_equal(MEMORY_IN({"/proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/d\n"},
                               {"/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "1000\n"},
                               {"/sys/fs/cgroup/memory/m/memory.usage_in_bytes", "900\n"},
                               {"/sys/fs/cgroup/memory/m/memory.stat", "inactive_file 1\ntotal_inactive_file 200\n"}),
                     300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_machine), cmocka_unit_test(test_groups)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
