/* What people and other programs read of a run: history.csv, run.json, times.csv; and which files a run's are. */
#include "train/run.h"

#include "base/error.h"
#include "base/memory.h"
#include "files/atomic.h"
#include "files/system.h"
#include "train/json_text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* last.pth is removed first: without it the others are no run any more. */
static const char *const names[] = {"last.pth", "best_model.pth", "history.csv", "run.json", "times.csv"};
enum { NAMES = sizeof names / sizeof *names };

char *fa_run_path(const fa_run *run, const char *name, fa_where where)
{
    size_t size = strlen(run->folder) + strlen(name) + 2;
    char *path = fa_malloc(size);
    if (path == NULL)
        fa_fail_memory(where, size);
    else
        snprintf(path, size, "%s/%s", run->folder, name);
    return path;
}

/* ---- The folder -------------------------------------------------------------------------------------------------- */

/* N of "checkpoint_epoch_N.pth"; -1: another name. */
static int64_t numbered(const char *name)
{
    static const char start[] = "checkpoint_epoch_";
    if (strncmp(name, start, sizeof start - 1) != 0)
        return -1;
    const char *digits = name + sizeof start - 1;
    size_t n = strspn(digits, "0123456789");
    return n > 0 && n < 18 && digits[0] != '0' && strcmp(digits + n, ".pth") == 0 ? strtoll(digits, NULL, 10) : -1;
}

static bool is_name(const char *name)
{
    for (int i = 0; i < NAMES; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return numbered(name) > 0;
}

bool fa_run_exists(const char *folder)
{
    DIR *entries = opendir(folder);
    bool found = false;
    const struct dirent *entry;
    while (entries != NULL && !found && (entry = readdir(entries)) != NULL)
        found = is_name(entry->d_name);
    if (entries != NULL)
        closedir(entries);
    return found;
}

static bool remove_file(const fa_run *run, const char *name, fa_where where)
{
    char *path = fa_run_path(run, name, where);
    bool fine = path != NULL;
    if (fine && fa_sys_unlink(path) != 0 && errno != ENOENT)
        fine = fa_fail(FA_FILE_ERROR, where, "run", "could not remove %s: %s.", path, strerror(errno));
    fa_mfree(path);
    return fine;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

typedef struct number_list {
    int64_t *number;
    int64_t count, capacity;
} number_list;

static bool append(number_list *list, int64_t number)
{
    if (list->count == list->capacity) {
        int64_t capacity = list->capacity > 0 ? 2 * list->capacity : 16;
        int64_t *more = fa_realloc(list->number, (size_t)capacity * sizeof *more);
        if (more == NULL)
            return false;
        list->number = more;
        list->capacity = capacity;
    }
    list->number[list->count++] = number;
    return true;
}

/* The numbers of the checkpoint_epoch_N.pth, ascending. False after an error. */
static bool list_numbers(const fa_run *run, number_list *list, fa_where where)
{
    DIR *entries = opendir(run->folder);
    if (entries == NULL)
        return fa_fail(FA_FILE_ERROR, where, "run", "could not read the folder %s: %s.", run->folder, strerror(errno));
    const struct dirent *entry;
    bool fine = true;
    while (fine && (entry = readdir(entries)) != NULL)
        if (numbered(entry->d_name) > 0)
            fine = append(list, numbered(entry->d_name));
    closedir(entries);
    if (!fine)
        return fa_fail_memory(where, (size_t)list->capacity * sizeof *list->number);
    if (list->count > 0)
        qsort(list->number, (size_t)list->count, sizeof *list->number, by_size);
    return true;
}

/* Removes the first checkpoint_epoch_N.pth until at most `keep` are left. */
static bool remove_numbered(const fa_run *run, int64_t keep, fa_where where)
{
    number_list list = {NULL, 0, 0};
    bool fine = list_numbers(run, &list, where);
    for (int64_t i = 0; fine && i < list.count - keep; i++) {
        char name[64];
        snprintf(name, sizeof name, "checkpoint_epoch_%lld.pth", (long long)list.number[i]);
        fine = remove_file(run, name, where);
    }
    fa_mfree(list.number);
    return fine;
}

bool fa_run_prune(const fa_run *run, fa_where where)
{
    return run->keep_last == 0 || remove_numbered(run, run->keep_last, where);
}

bool fa_run_remove(const fa_run *run, fa_where where)
{
    bool fine = true;
    for (int i = 0; i < NAMES; i++)
        fine = fine && remove_file(run, names[i], where);
    return fine && remove_numbered(run, 0, where);
}

/* ---- history.csv and times.csv ----------------------------------------------------------------------------------- */

void fa_run_add_row(fa_text *history, int64_t epoch, const char *split, fa_measure measure, double lr)
{
    const double numbers[3] = {measure.loss, measure.accuracy, lr};
    fa_text_add(history, "%lld,%s", (long long)epoch + 1, split);
    for (int i = 0; i < 3; i++)
        if (isnan(numbers[i]))
            fa_text_add(history, ",");
        else
            fa_text_add(history, ",%.9g", numbers[i]);
    fa_text_add(history, "\n");
}

static bool write_text(const fa_run *run, const char *name, const fa_text *text, fa_where where)
{
    if (text->failed)
        return fa_fail_memory(where, text->length);
    char *path = fa_run_path(run, name, where);
    bool fine = path != NULL && fa_atomic_write_file(path, text->data, text->length, "run", where);
    fa_mfree(path);
    return fine;
}

static bool write_history(const fa_run *run, const char *extra, fa_where where)
{
    fa_text text = {0};
    fa_text_add(&text, "epoch,split,loss,accuracy,lr\n%s%s", run->history.data != NULL ? run->history.data : "",
                extra != NULL ? extra : "");
    bool fine = write_text(run, "history.csv", &text, where);
    fa_text_free(&text);
    return fine;
}

bool fa_run_time(fa_run *run, const char *split, double seconds, fa_where where)
{
    char *path = fa_run_path(run, "times.csv", where);
    if (path == NULL)
        return false;
    fa_text line = {0};
    int fd = fa_sys_open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
    if (end == 0)
        fa_text_add(&line, "epoch,split,seconds\n");
    fa_text_add(&line, "%lld,%s,%.3f\n", (long long)run->epoch, split, seconds);
    bool fine = end >= 0 && !line.failed && fa_sys_write(fd, line.data, line.length, end) == (ssize_t)line.length;
    int error = errno;
    if (fd >= 0 && fa_sys_close(fd) != 0 && fine) {
        fine = false;
        error = errno;
    }
    if (!fine)
        fa_fail(FA_FILE_ERROR, where, "run", "could not write %s: %s.", path, strerror(error));
    fa_text_free(&line);
    fa_mfree(path);
    return fine;
}

/* ---- run.json ---------------------------------------------------------------------------------------------------- */

static void add_number(fa_text *out, const char *name, double x)
{
    fa_text_add(out, ",\n  \"%s\": ", name);
    fa_text_json_number(out, x);
}

static void add_whole(fa_text *out, const char *name, int64_t x)
{
    fa_text_add(out, ",\n  \"%s\": %lld", name, (long long)x);
}

static void add_text(fa_text *out, const char *name, const char *x)
{
    fa_text_add(out, ",\n  \"%s\": ", name);
    fa_text_json_string(out, x);
}

static void describe(const fa_run *run, fa_text *out, fa_where where)
{
    fa_text_add(out, "{\n  \"state\": \"%s\"", run->state);
    add_whole(out, "epochs", run->epochs);
    add_whole(out, "epochs_done", run->epoch);
    add_whole(out, "batches_done", run->batch);
    add_whole(out, "batches_per_epoch", run->batches);
    add_number(out, "train_loss", run->last_training.loss);
    add_number(out, "train_acc", run->last_training.accuracy);
    add_number(out, "val_loss", run->last_validation.loss);
    add_number(out, "val_acc", run->last_validation.accuracy);
    if (run->best_epoch >= 0) {
        add_whole(out, "best_epoch", run->best_epoch + 1);
        add_number(out, "best_val_loss", run->best.loss);
        add_number(out, "best_val_acc", run->best.accuracy);
    }
    add_text(out, "optimizer", run->optim->kind->name);
    add_text(out, "optimizer_options", run->optim_text);
    add_text(out, "scheduler", run->scheduler != NULL ? run->scheduler->kind->name : NULL);
    add_text(out, "network", run->network);
    fa_text_add(out, ",\n  \"class_names\": [");
    for (int64_t i = 0; i < run->class_count; i++) {
        fa_text_add(out, "%s", i > 0 ? ", " : "");
        fa_text_json_string(out, run->class_names[i]);
    }
    fa_text_add(out, "]");
    add_text(out, "transforms", run->transforms);
    fa_text_add(out, ",\n  \"options\": ");
    fa_text_json(out, run->options, where);
    add_text(out, "isa", fa_cpu_isa());
    add_text(out, "facula", fa_version());
    fa_text_add(out, "\n}\n");
}

bool fa_run_record(fa_run *run, const char *extra, fa_where where)
{
    fa_text text = {0};
    describe(run, &text, where);
    bool fine = write_history(run, extra, where) && write_text(run, "run.json", &text, where);
    fa_text_free(&text);
    return fine;
}
