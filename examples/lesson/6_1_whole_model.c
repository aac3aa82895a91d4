/* 6.1 A whole model in a file, network and weights. Nothing in the file is run when it is loaded: a class of one's own
 * is found by its name among those that the program has registered. */
#include "5_3_simple_cnn.h"

int main(void)
{
    fa_manual_seed(0);
    fa_register_class("SimpleCNN", simple_cnn);

    fa_module *model = simple_cnn();
    fa_save(model, "model_complet.pth");

    fa_module *model_charge = fa_load_module("model_complet.pth");
    fa_eval(model_charge);
    fa_print(model_charge);

    fa_free(model), fa_free(model_charge);
    return fa_exit_status(stderr);
}
