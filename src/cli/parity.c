/* facula parity RUN.json: the recorded PyTorch run once more, step by step, and where the two part. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

enum { AGREE, PART, NOT_COMPARED = EXIT_USAGE };

/* A model that cannot be made from its text: what is in the way, and what to do instead of the library's own hint,
 * which is for programs. */
static void fail_without_model(void)
{
    const char *message = fa_error();
    const char *begin = strstr(message, ": "), *hint = strstr(message, " Hint: ");
    begin = begin ? begin + 2 : message;
    fprintf(stderr,
            "facula: error: %.*s Hint: a network with a forward function of its own is compared by its port, with "
            "fa_parity_new (docs/guide/parity.md)\n",
            hint ? (int)(hint - begin) : (int)strlen(begin), begin);
}

int command_parity(int argc, char **argv)
{
    int64_t threads = 0;
    const option_spec options[] = {
        {"threads", OPTION_INT, &threads, 0, 1024, "N", "threads that compute; 0: as many as there are processors"}};
    const char *path;
    int status = read_options(argc, argv, options, 1,
                              "usage: facula parity [options] RUN.json\n\n"
                              "Runs the steps that python/facula_recorder.py recorded of a PyTorch script, and says "
                              "where the two part.\nExit status: 0 they agree, 1 they part, 2 they could not be "
                              "compared.",
                              &path, 1);
    if (status != 0)
        return status < 0 ? AGREE : NOT_COMPARED;
    if (path == NULL) {
        fprintf(stderr, "facula: parity: which recording? For example: facula parity RUN.json\n");
        return NOT_COMPARED;
    }
    if (threads > 0)
        fa_set_num_threads((int)threads);
    uint64_t seed = 0;
    const int64_t length = fa_parity_model_text(path, NULL, 0, &seed, FA_HERE);
    char *text = length >= 0 ? malloc((size_t)length + 1) : NULL;
    bool agrees = false;
    if (text == NULL || fa_parity_model_text(path, text, (size_t)length + 1, &seed, FA_HERE) != length) {
        if (length >= 0 && text == NULL)
            fa_raise(FA_STATE_ERROR, "no memory for %lld bytes", (long long)length);
        free(text);
        fail_with_error();
        return NOT_COMPARED;
    }
    const network *own = network_that_prints(text);
    fa_manual_seed(seed); /* after the models that were made to be printed: they draw too */
    fa_module *model = own != NULL ? make_network(own, &own->form) : fa_module_from_text(text);
    free(text);
    if (model == NULL) {
        fail_without_model();
        return NOT_COMPARED;
    }
    const bool compared = fa_parity_replay(path, model, stdout, &agrees);
    if (!compared)
        fail_with_error();
    fa_free(model);
    return !compared ? NOT_COMPARED : agrees ? AGREE : PART;
}
