/* How many CPUs this process may use: the affinity mask, cut by the quota of its control groups. */
#define _GNU_SOURCE
#include "base/cgroup.h"
#include "base/pool.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int affinity_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* a machine with more CPUs than cpu_set_t has bits */
    return online < 1 ? 1 : (int)online;
}

/* CPUs that the group's own quota allows, 0 for no quota. */
static double group_quota(const char *folder, bool version2)
{
    char line[128];
    double quota, period;
    if (version2) {
        if (!fa_cgroup_line(folder, "cpu.max", line, sizeof line) || sscanf(line, "%lf %lf", &quota, &period) != 2)
            return 0;
    } else {
        if (!fa_cgroup_line(folder, "cpu.cfs_quota_us", line, sizeof line) || sscanf(line, "%lf", &quota) != 1 ||
            !fa_cgroup_line(folder, "cpu.cfs_period_us", line, sizeof line) || sscanf(line, "%lf", &period) != 1)
            return 0;
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

static void take_smallest(void *context, const char *folder, bool version2)
{
    double *smallest = context;
    const double quota = group_quota(folder, version2);
    if (quota > 0 && (*smallest == 0 || quota < *smallest))
        *smallest = quota;
}

int fa_cgroup_cpus(const char *root)
{
    double smallest = 0;
    fa_cgroup_walk(root, "cpu", take_smallest, &smallest);
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
