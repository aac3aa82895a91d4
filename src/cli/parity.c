/* facula parity RUN.json: the recorded PyTorch run once more, step by step, and where the two part. */
#include "cli.h"
#include "printed.h"

#include <stdlib.h>

int command_parity(int argc, char **argv)
{
    int64_t threads = 0;
    const option_spec options[] = {
        {"threads", OPTION_INT, &threads, 0, 1024, "N", "threads that compute; 0: as many as there are processors"}};
    const char *path;
    int status =
        read_options(argc, argv, options, 1,
                     "usage: facula parity [options] RUN.json\n\n"
                     "Runs the steps that python/facula_recorder.py recorded of a PyTorch script, and says where "
                     "the two part.\nExit status: 0 they agree, 1 they do not, or the recording cannot be run.",
                     &path, 1);
    if (status != 0)
        return status < 0 ? 0 : status;
    if (path == NULL) {
        fprintf(stderr, "facula: parity: which recording? For example: facula parity RUN.json\n");
        return EXIT_USAGE;
    }
    if (threads > 0)
        fa_set_num_threads((int)threads);
    int64_t seed = -1, length = fa_parity_model_text(path, NULL, 0, &seed, FA_HERE);
    char *text = length >= 0 ? malloc((size_t)length + 1) : NULL;
    bool agrees = false;
    fa_module *model = NULL;
    if (text != NULL && fa_parity_model_text(path, text, (size_t)length + 1, &seed, FA_HERE) == length) {
        const network *own = network_that_prints(text);
        fa_manual_seed((uint64_t)seed); /* after the models that were made to be printed: they draw too */
        model = own != NULL ? make_network(own, &own->form) : module_from_text(text);
    }
    bool ok = model != NULL && fa_parity_replay(path, model, stdout, &agrees);
    free(text);
    if (!ok)
        fail_with_error();
    fa_free(model);
    return ok && agrees ? 0 : 1;
}
