/* 6.2 The weights alone, the better way: the program makes the network, the file fills it. */
#include "5_3_simple_cnn.h"

int main(void)
{
    fa_manual_seed(0);
    fa_module *model = simple_cnn();
    fa_save(fa_state_dict(model), "model_weights.pth");

    fa_module *loaded = simple_cnn(); /* with new weights, */
    fa_load_state_dict(loaded, fa_load("model_weights.pth"));
    fa_eval(loaded);
    fa_print(fa_find(loaded, "net.0.bias")); /* which are now those of the file */

    fa_free(model), fa_free(loaded);
    return fa_exit_status(stderr);
}
