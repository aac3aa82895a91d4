/* Runs of the command, and what they leave behind. */
#include "support/command_run.h"

#include "facula.h"
#include "support/facula_test.h"
#include "support/tempdir.h"

#include <dirent.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t start_command(const char *before, const char *command, const char *log)
{
    char line[8192];
    snprintf(line, sizeof line, "%s exec %s >'%s' 2>&1", before, command, log);
    fflush(NULL);
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    return process;
}

int wait_for_command(pid_t process)
{
    int status;
    assert_int_equal(waitpid(process, &status, 0), process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int run_command(const char *before, const char *command, const char *log)
{
    return wait_for_command(start_command(before, command, log));
}

typedef bool (*visit_function)(const char *folder, const char *name, void *context);

/* Whether `visit` said yes to one of the folder's entries; it is asked no more then. */
static bool visit_entries(const char *folder, visit_function visit, void *context)
{
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return false;
    bool found = false;
    const struct dirent *entry;
    while (!found && (entry = readdir(entries)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            found = visit(folder, entry->d_name, context);
    closedir(entries);
    return found;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static bool is_temporary(const char *folder, const char *name, void *context)
{
    (void)folder;
    (void)context;
    return name[0] == '.' && ends_with(name, ".tmp");
}

bool has_temporary(const char *folder)
{
    return visit_entries(folder, is_temporary, NULL);
}

static bool load_one(const char *folder, const char *name, void *context)
{
    double *best = context;
    if (!ends_with(name, ".pth"))
        return false;
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    fa_scope {
        fa_value *checkpoint = fa_load(path);
        if (checkpoint == NULL)
            fail_msg("%s", fa_error());
        assert_true(fa_has(checkpoint, "model_state_dict") && fa_has(checkpoint, "optimizer_state_dict"));
        if (strcmp(name, "best_model.pth") == 0)
            *best = fa_get_float(checkpoint, "val_loss");
    }
    assert_true(fa_ok());
    return false;
}

bool check_run_folder(const char *folder, double *best)
{
    double now = NAN;
    char path[2048];
    visit_entries(folder, load_one, &now);
    if (!isnan(*best) && !(now <= *best))
        fail_msg("%s: the best validation loss was %g and is %g", folder, *best, now);
    *best = now;
    snprintf(path, sizeof path, "%s/last.pth", folder);
    return access(path, F_OK) == 0;
}

static bool compare_one(const char *folder, const char *name, void *context)
{
    const char *other = context;
    if (strcmp(name, "times.csv") == 0)
        return false;
    char path[2048];
    size_t n_want, n_got;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *want = read_file(path, &n_want);
    snprintf(path, sizeof path, "%s/%s", other, name);
    char *got = read_file(path, &n_got);
    if (n_got != n_want || memcmp(got, want, n_got) != 0)
        fail_msg("%s differs from that in %s", path, folder);
    free(want);
    free(got);
    return false;
}

/* times.csv aside: a run that was killed between its last checkpoint and its times never gets any. */
static bool count_one(const char *folder, const char *name, void *context)
{
    (void)folder;
    *(int *)context += strcmp(name, "times.csv") != 0;
    return false;
}

void compare_runs(const char *got, const char *want)
{
    int n_got = 0, n_want = 0;
    visit_entries(want, compare_one, (void *)got);
    visit_entries(got, count_one, &n_got);
    visit_entries(want, count_one, &n_want);
    assert_int_equal(n_got, n_want);
}

static bool remove_one(const char *folder, const char *name, void *context)
{
    (void)context;
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
    return false;
}

static bool copy_one(const char *folder, const char *name, void *context)
{
    char path[2048];
    size_t size;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *bytes = read_file(path, &size);
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    write_file(path, bytes, size);
    free(bytes);
    return false;
}

void copy_folder(const char *from, const char *to)
{
    mkdir(to, 0777);
    visit_entries(to, remove_one, NULL);
    visit_entries(from, copy_one, (void *)to);
}
