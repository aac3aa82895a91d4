/* How many CPUs this process may use: the affinity mask, cut by the quota of its control group.
 *
 * /proc/self/cgroup names the group; a quota of any group on the way up to the root holds. In a container the named
 * folder may be the host's and missing here, while the container's own lies at the root: the walk finds it there. */
#define _GNU_SOURCE
#include "base/pool.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 1024 };

static int affinity_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* a machine with more CPUs than cpu_set_t has bits */
    return online < 1 ? 1 : (int)online;
}

/* The first line of root/folder/name; false if there is no such file. */
static bool read_line(const char *folder, const char *name, char *line, int bytes)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool ok = fgets(line, bytes, file) != NULL;
    fclose(file);
    return ok;
}

/* CPUs that the group's own quota allows, 0 for no quota. */
static double group_quota(const char *folder, bool version2)
{
    char line[128];
    double quota, period;
    if (version2) {
        if (!read_line(folder, "cpu.max", line, sizeof line) || sscanf(line, "%lf %lf", &quota, &period) != 2)
            return 0;
    } else {
        if (!read_line(folder, "cpu.cfs_quota_us", line, sizeof line) || sscanf(line, "%lf", &quota) != 1 ||
            !read_line(folder, "cpu.cfs_period_us", line, sizeof line) || sscanf(line, "%lf", &period) != 1)
            return 0;
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

/* The smallest quota from mount/group up to mount itself, 0 for none. */
static double smallest_quota(const char *mount, const char *group, bool version2)
{
    char folder[PATH_BYTES];
    if (snprintf(folder, sizeof folder, "%s%s", mount, group) >= (int)sizeof folder)
        return 0;
    size_t root = strlen(mount);
    double smallest = 0;
    for (;;) {
        double quota = group_quota(folder, version2);
        if (quota > 0 && (smallest == 0 || quota < smallest))
            smallest = quota;
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= root || !slash)
            return smallest;
        *slash = 0;
    }
}

/* Whether the comma-separated list has the word "cpu". */
static bool lists_cpu(const char *controllers)
{
    for (const char *at = controllers; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, "cpu", 3) == 0 && (at[3] == ',' || at[3] == 0))
            return true;
    }
    return false;
}

int fa_cgroup_cpus(const char *root)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path)
        return 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    double smallest = 0;
    char line[PATH_BYTES];
    while (fgets(line, sizeof line, file)) { /* number:controllers:group; version 2 lists no controllers */
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = 0;
        controllers++;
        bool version2 = controllers[0] == 0;
        if (!version2 && !lists_cpu(controllers))
            continue;
        static const char *const mounts[2][2] = {{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"},
                                                 {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}};
        for (int i = 0; i < 2; i++) {
            char mount[PATH_BYTES];
            if (snprintf(mount, sizeof mount, "%s%s", root, mounts[version2][i]) >= (int)sizeof mount)
                continue;
            double quota = smallest_quota(mount, group, version2);
            if (quota > 0 && (smallest == 0 || quota < smallest))
                smallest = quota;
        }
    }
    fclose(file);
    if (smallest == 0)
        return 0;
    return smallest < 1 ? 1 : smallest > FA_MAX_THREADS ? FA_MAX_THREADS : (int)smallest;
}

int fa_available_cpus(void)
{
    int cpus = affinity_cpus();
    int quota = fa_cgroup_cpus("");
    if (quota > 0 && quota < cpus)
        cpus = quota;
    return cpus < 1 ? 1 : cpus;
}
