/* facula bench, in its two files. */
#ifndef FACULA_CLI_BENCH_H
#define FACULA_CLI_BENCH_H

#include "cli.h"

typedef struct loader_bench {
    const char *data_set; /* "mnist" or "jpeg" */
    const char *data;     /* its folder */
    int64_t batch, workers;
    bool json;
} loader_bench;

/* Measures a first epoch and prints it; the exit status (bench_loader.c). */
int bench_loader(const loader_bench *b);

/* bench.c */
double seconds_now(void);
double peak_memory_mib(void);

#endif
