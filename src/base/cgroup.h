/* Limits of this process's control groups, of version 1 and 2. */
#ifndef FA_BASE_CGROUP_H
#define FA_BASE_CGROUP_H

#include <stdbool.h>

enum { FA_CGROUP_PATH = 1024 };

/* Calls visit(context, folder, version2) for the group of this process that has the controller ("cpu", "memory"), and
 * for each group above it up to the mount: a limit of any of them holds. In a container the named folder may be the
 * host's and missing here, while the container's own lies at the root: the walk finds it there. `root` is put before
 * /proc and /sys ("" or a test's folder). */
typedef void (*fa_cgroup_visit)(void *context, const char *folder, bool version2);
void fa_cgroup_walk(const char *root, const char *controller, fa_cgroup_visit visit, void *context);

/* The first line of folder/name; false if there is no such file. */
bool fa_cgroup_line(const char *folder, const char *name, char *line, int bytes);

#endif
