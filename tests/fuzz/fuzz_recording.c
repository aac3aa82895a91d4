/* The reader of recordings' RUN.json: what was read is walked and freed, or there is a message that names the file. */
#include "facula.h"
#include "train/recording.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const fa_recorded_names *names)
{
    size_t bytes = 0;
    for (int64_t i = 0; i < names->count; i++)
        bytes += strlen(names->name[i]);
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fa_recording r = {.path = NULL};
    const bool read = fa_recording_read_run(&r, (const char *)data, size, "fuzzed file", FA_HERE);
    if (read != fa_ok() || (!read && strstr(fa_error(), "fuzzed file") == NULL))
        abort();
    if (read) {
        size_t bytes = walk(&r.layers) + walk(&r.lines) + walk(&r.state) + walk(&r.frozen) + strlen(r.torch) +
                       strlen(r.model) + strlen(r.optimizer) + strlen(r.criterion.name);
        for (int64_t g = 0; g < r.group_count; g++)
            bytes += walk(&r.group[g].params);
        if (bytes > size || r.layers.count != r.lines.count || r.step_count < 1 || r.group_count < 1)
            abort();
    }
    fa_recording_free_run(&r);
    fa_clear_error();
    return 0;
}
