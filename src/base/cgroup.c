/* The walk over this process's control groups. /proc/self/cgroup names them, a line a hierarchy. */
#define _GNU_SOURCE
#include "base/cgroup.h"

#include <stdio.h>
#include <string.h>

bool fa_cgroup_line(const char *folder, const char *name, char *line, int bytes)
{
    char path[FA_CGROUP_PATH];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool ok = fgets(line, bytes, file) != NULL;
    fclose(file);
    return ok;
}

/* From mount/group up to mount itself. */
static void walk_up(const char *mount, const char *group, bool version2, fa_cgroup_visit visit, void *context)
{
    char folder[FA_CGROUP_PATH];
    if (snprintf(folder, sizeof folder, "%s%s", mount, group) >= (int)sizeof folder)
        return;
    size_t root = strlen(mount);
    for (;;) {
        visit(context, folder, version2);
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= root || !slash)
            return;
        *slash = 0;
    }
}

/* Whether the comma-separated list has the word. */
static bool lists(const char *controllers, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = controllers; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == 0))
            return true;
    }
    return false;
}

void fa_cgroup_walk(const char *root, const char *controller, fa_cgroup_visit visit, void *context)
{
    char path[FA_CGROUP_PATH];
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path)
        return;
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    char line[FA_CGROUP_PATH];
    while (fgets(line, sizeof line, file)) { /* number:controllers:group; version 2 lists no controllers */
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = 0;
        controllers++;
        bool version2 = controllers[0] == 0;
        if (!version2 && !lists(controllers, controller))
            continue;
        for (int i = 0; i < 2; i++) {
            char mount[FA_CGROUP_PATH];
            int length;
            if (version2)
                length = snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s", root, i ? "/unified" : "");
            else /* "cpu" mostly shares its hierarchy */
                length = snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/%s%s", root, controller, i ? ",cpuacct" : "");
            if (length < (int)sizeof mount)
                walk_up(mount, group, version2, visit, context);
        }
    }
    fclose(file);
}
