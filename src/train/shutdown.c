/* The end of the library's work: threads stop, pooled memory goes back, and what was not freed is named. */
#include "base/memory.h"
#include "base/pool.h"
#include "data/object.h"
#include "facula.h"
#include "files/value.h"
#include "vision/picture.h"

int64_t fa_shutdown(FILE *report)
{
    fa_values_end_root();
    const struct {
        const char *kind;
        int64_t alive;
    } kinds[] = {{"modules", fa_module_live_count()},
                 {"optimizers", fa_optim_live_count()},
                 {"schedules", fa_scheduler_live_count()},
                 {"averages of weights", fa_ema_live_count()},
                 {"runs", fa_run_live_count()},
                 {"predictors", fa_predictor_live_count()},
                 {"data sets, loaders, samplers and transforms", fa_object_count()},
                 {"values", fa_value_live_count()}};
    int64_t alive = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].alive > 0 && report != NULL)
            fprintf(report, "facula: %lld %s were not freed\n", (long long)kinds[i].alive, kinds[i].kind);
        alive += kinds[i].alive;
    }
    fa_pool_stop();
    fa_picture_reader_free();
    fa_buffer_pool_trim();
    return alive;
}

int fa_exit_status(FILE *report)
{
    if (fa_ok())
        return fa_shutdown(report) > 0;
    if (report != NULL)
        fprintf(report, "%s\n", fa_error());
    fa_shutdown(NULL); /* what an error left behind is no news */
    return 1;
}
