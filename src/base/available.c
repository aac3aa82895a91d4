/* How much memory this process can still take before the kernel ends it: what the machine has free, swap too, cut by
 * the limits of its control groups. Pages of files that were read are counted as free. */
#define _GNU_SOURCE
#include "base/cgroup.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number behind `word` at the beginning of a line of folder/name; 0 if there is none. */
static uint64_t number_after(const char *folder, const char *name, const char *word)
{
    char path[FA_CGROUP_PATH], line[256];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    uint64_t number = 0;
    const size_t length = strlen(word);
    while (number == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, word, length) == 0)
            number = strtoull(line + length, NULL, 10);
    fclose(file);
    return number;
}

static bool read_number(const char *folder, const char *name, uint64_t *number)
{
    char line[64], *end;
    if (!fa_cgroup_line(folder, name, line, sizeof line))
        return false;
    *number = strtoull(line, &end, 10);
    return end != line; /* "max" is no number */
}

static void take_smallest(void *context, const char *folder, bool version2)
{
    uint64_t *smallest = context, limit, used;
    if (!read_number(folder, version2 ? "memory.max" : "memory.limit_in_bytes", &limit) ||
        !read_number(folder, version2 ? "memory.current" : "memory.usage_in_bytes", &used))
        return;
    const uint64_t files = number_after(folder, "memory.stat", version2 ? "inactive_file " : "total_inactive_file ");
    used = used > files ? used - files : 0;
    const uint64_t left = limit > used ? limit - used : 0;
    if (left < *smallest)
        *smallest = left;
}

static uint64_t memory_for_tests;

void fa_set_available_memory(uint64_t bytes)
{
    memory_for_tests = bytes;
}

uint64_t fa_available_memory(const char *root)
{
    if (memory_for_tests > 0 && root[0] == '\0')
        return memory_for_tests;
    char proc[FA_CGROUP_PATH];
    uint64_t available = UINT64_MAX;
    if (snprintf(proc, sizeof proc, "%s/proc", root) < (int)sizeof proc) {
        const uint64_t kib = number_after(proc, "meminfo", "MemAvailable:");
        if (kib > 0)
            available = (kib + number_after(proc, "meminfo", "SwapFree:")) * 1024;
    }
    fa_cgroup_walk(root, "memory", take_smallest, &available);
    return available;
}
