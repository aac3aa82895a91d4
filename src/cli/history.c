#include "history.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static bool cannot(const char *what, const char *path)
{
    fprintf(stderr, "facula: error: %s could not be %s: %s\n", path, what, strerror(errno));
    return false;
}

/* The folder and those above it. */
static bool make_folder(const char *path)
{
    char part[4096];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        fprintf(stderr, "facula: --out: got a path of %zu characters, needs 1 to %zu\n", length, sizeof part - 1);
        return false;
    }
    for (size_t i = 1; i <= length; i++)
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(part, path, i);
            part[i] = '\0';
            if (mkdir(part, 0777) != 0 && errno != EEXIST)
                return cannot("made", part);
        }
    return true;
}

static bool choose_folder(history *h, const char *out, const char *name)
{
    if (out != NULL) {
        if (strlen(out) >= sizeof h->folder) {
            fprintf(stderr, "facula: --out: the path is too long\n");
            return false;
        }
        strcpy(h->folder, out);
        return make_folder(out);
    }
    if (!make_folder("runs"))
        return false;
    for (int i = 1; i < 100000; i++) {
        snprintf(h->folder, sizeof h->folder, "runs/%.200s-%03d", name, i);
        if (mkdir(h->folder, 0777) == 0)
            return true;
        if (errno != EEXIST)
            return cannot("made", h->folder);
    }
    fprintf(stderr, "facula: error: no free name for a run under runs/; give one with --out\n");
    return false;
}

bool history_open(history *h, const char *out, const char *name)
{
    if (!choose_folder(h, out, name))
        return false;
    snprintf(h->path, sizeof h->path, "%s/history.csv", h->folder);
    h->file = fopen(h->path, "wx");
    if (h->file == NULL && errno == EEXIST) {
        fprintf(stderr, "facula: error: %s exists: this folder holds a run already; give another one with --out\n",
                h->path);
        return false;
    }
    if (h->file == NULL)
        return cannot("made", h->path);
    if (fprintf(h->file, "epoch,split,loss,accuracy,seconds\n") < 0 || fflush(h->file) != 0)
        return cannot("written", h->path);
    return true;
}

bool history_row(history *h, int epoch, const char *split, const metrics *m, double seconds)
{
    if (fprintf(h->file, "%d,%s,%.9g,%.6g,%.3f\n", epoch, split, mean_loss(m), accuracy(m), seconds) < 0 ||
        fflush(h->file) != 0)
        return cannot("written", h->path);
    return true;
}

bool history_close(history *h)
{
    if (h->file == NULL)
        return true;
    int failed = fclose(h->file);
    h->file = NULL;
    return failed == 0 || cannot("written", h->path);
}
