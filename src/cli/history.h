/* history.csv of a run: one row a split and epoch, written as the run goes on. */
#ifndef FACULA_CLI_HISTORY_H
#define FACULA_CLI_HISTORY_H

#include <stdbool.h>
#include <stdio.h>

/* A loss and an accuracy over samples, not over batches: sum(batch mean x batch size) / samples. */
typedef struct metrics {
    double loss_sum;
    long long correct, samples;
} metrics;

static inline double mean_loss(const metrics *m)
{
    return m->loss_sum / (double)m->samples;
}
static inline double accuracy(const metrics *m) /* percent */
{
    return 100.0 * (double)m->correct / (double)m->samples;
}

typedef struct history {
    FILE *file;
    char folder[4000], path[4096];
} history;

/* Makes the run's folder (`out`, or the next free runs/NAME-NNN when NULL) and starts history.csv in it. False, with a
 * line on stderr, when that cannot be done or `out` holds a run already. */
bool history_open(history *h, const char *out, const char *name);
/* One row: "epoch,split,loss,accuracy,seconds". False, with a line on stderr, when it cannot be written. */
bool history_row(history *h, int epoch, const char *split, const metrics *m, double seconds);
bool history_close(history *h);

#endif
