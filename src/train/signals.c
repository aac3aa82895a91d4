/* Signals noted for runs. */
#include "train/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static const int signals[2] = {SIGINT, SIGTERM};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int users;
static bool installed[2];
static struct sigaction before[2];
static atomic_int noted; /* any thread may be the one that is interrupted */

/* Notes the first signal; from then on both do what they do by default. */
static void note(int number)
{
    atomic_store(&noted, number);
    struct sigaction plain;
    memset(&plain, 0, sizeof plain);
    plain.sa_handler = SIG_DFL;
    for (int i = 0; i < 2; i++)
        if (installed[i])
            sigaction(signals[i], &plain, NULL);
}

void fa_signals_begin(void)
{
    pthread_mutex_lock(&mutex);
    if (users++ == 0) {
        atomic_store(&noted, 0);
        for (int i = 0; i < 2; i++)
            installed[i] = sigaction(signals[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN;
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = note;
        action.sa_flags = SA_RESTART;
        for (int i = 0; i < 2; i++)
            sigaddset(&action.sa_mask, signals[i]);
        for (int i = 0; i < 2; i++)
            if (installed[i])
                sigaction(signals[i], &action, NULL);
    }
    pthread_mutex_unlock(&mutex);
}

void fa_signals_end(void)
{
    pthread_mutex_lock(&mutex);
    if (--users == 0)
        for (int i = 0; i < 2; i++)
            if (installed[i])
                sigaction(signals[i], &before[i], NULL);
    pthread_mutex_unlock(&mutex);
}

int fa_signals_noted(void)
{
    return atomic_load(&noted);
}
