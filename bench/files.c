/* Loads and saves a file of tensors, as often as it is asked to, for bench/files.py: a line on standard input, `load
 * FILE`, `map FILE`, `save FILE` or `write FILE`, and a line of JSON on standard output for it: the seconds, and of
 * what was loaded the sum of all values. `save` and `write` put what was loaded last into FILE: by fa_save, or as one
 * block of as many bytes that is written and flushed, which is what the disk can do. */
#include <facula.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double sum_of(fa_value *state)
{
    double sum = 0;
    for (int64_t i = 0; i < fa_len(state); i++)
        fa_scope {
            sum += fa_item(fa_sum(fa_as_tensor(fa_value_at(state, i))));
        }
    return sum;
}

/* The file's bytes as one block; NULL after a message. */
static char *read_block(const char *path, size_t *bytes)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *block = fd >= 0 && fstat(fd, &status) == 0 ? malloc((size_t)status.st_size + 1) : NULL;
    *bytes = block != NULL ? (size_t)status.st_size : 0;
    size_t done = 0;
    for (ssize_t got = 1; block != NULL && done < *bytes && got > 0; done += got > 0 ? (size_t)got : 0)
        got = read(fd, block + done, *bytes - done);
    if (fd >= 0)
        close(fd);
    if (block != NULL && done == *bytes)
        return block;
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    free(block);
    return NULL;
}

static bool write_block(const char *path, const char *block, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    size_t done = 0;
    for (ssize_t put = 1; fd >= 0 && done < bytes && put > 0; done += put > 0 ? (size_t)put : 0)
        put = write(fd, block + done, bytes - done);
    bool fine = fd >= 0 && done == bytes && fsync(fd) == 0;
    fine = fd >= 0 && close(fd) == 0 && fine;
    if (!fine)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return fine;
}

int main(void)
{
    char line[4200], loaded[4200] = "";
    bool fine = true;
    while (fine && fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *path = strchr(line, ' ');
        if (path == NULL)
            return 2;
        *path++ = '\0';
        double begin = 0, end = 0, sum = 0;
        fa_scope {
            if (strcmp(line, "load") == 0 || strcmp(line, "map") == 0) {
                begin = now();
                fa_value *state = fa_load(path, .mmap = line[0] == 'm');
                sum = state != NULL ? sum_of(state) : 0;
                end = now();
                snprintf(loaded, sizeof loaded, "%s", path);
            } else if (strcmp(line, "save") == 0) {
                fa_value *state = fa_load(loaded);
                unlink(path);
                begin = now();
                fine = state != NULL && fa_save(state, path);
                end = now();
            } else {
                size_t bytes;
                char *block = read_block(loaded, &bytes);
                unlink(path);
                begin = now();
                fine = block != NULL && write_block(path, block, bytes);
                end = now();
                free(block);
            }
        }
        fine = fine && fa_ok();
        if (fine)
            printf("{\"seconds\": %.9f, \"sum\": %.17g}\n", end - begin, sum);
        fflush(stdout);
    }
    if (!fa_ok())
        fprintf(stderr, "%s\n", fa_error());
    return fine && fa_shutdown(stderr) == 0 ? 0 : 1;
}
