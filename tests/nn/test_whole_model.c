/* Whole models: printed forms of today's and older releases made into networks, hostile text, registered classes,
 * fa_save(model, path) and fa_load_module, and what torch.save(model) wrote (golden/pth). */
#include "support/file_test.h"

#include <cJSON.h>
#include <math.h>
#include <string.h>

static const char *printed(const fa_module *model)
{
    static char text[2][16384];
    static int turn;
    turn ^= 1;
    fa_module_format(model, text[turn], sizeof text[turn]);
    return text[turn];
}

static void assert_same_print(const fa_module *a, const fa_module *b)
{
    assert_string_equal(printed(a), printed(b));
}

static void assert_same_weights(fa_module *a, fa_module *b)
{
    fa_tensor_list left = fa_state_list(a);
    for (int64_t i = 0; i < left.count; i++) {
        fa_tensor *one = left.tensor[i], *other = fa_find(b, left.name[i]);
        assert_non_null(other);
        const size_t bytes = (size_t)fa_numel(one) * (fa_dtype_of(one) == FA_INT64 ? 8 : 4);
        assert_same_bytes(fa_data(one), fa_data(other), bytes);
        assert_int_equal(fa_requires_grad(one), fa_requires_grad(other));
        left = fa_state_list(a);
    }
    const int64_t count = left.count;
    assert_int_equal(count, fa_state_list(b).count);
}

/* ---- Printed forms ------------------------------------------------------------------------------------------------
 */

static fa_module *layers(void)
{
    return fa_nn_sequential(
        fa_nn_conv2d(4, 8, .kernel_hw = {3, 5}, .stride = 2, .padding_hw = {1, 0}, .dilation_hw = {1, 2}, .groups = 2,
                     .bias = false),
        fa_nn_conv2d(8, 8, 3, .padding = FA_SAME), fa_nn_conv2d(8, 2, 1),
        fa_nn_conv_transpose2d(2, 4, 3, .stride = 2, .output_padding = 1), fa_nn_max_pool2d(2),
        fa_nn_max_pool2d(.kernel_hw = {3, 2}, .stride_hw = {2, 1}, .padding = 1, .dilation = 1, .ceil_mode = true),
        fa_nn_avg_pool2d(3, .stride = 2, .padding = 1), fa_nn_adaptive_avg_pool2d(1), fa_nn_adaptive_max_pool2d(3),
        fa_nn_upsample(.scale_factor = 2), fa_nn_batch_norm2d(2), fa_nn_batch_norm1d(7),
        fa_nn_batch_norm2d(2, .eps = 1e-3, .momentum = NAN, .affine = false),
        fa_nn_batch_norm2d(2, .eps = 0.25, .momentum = 0.01, .track_running_stats = false),
        fa_nn_batch_norm2d(2, .bias = false), fa_nn_instance_norm2d(3), fa_nn_group_norm(2, 4),
        fa_nn_layer_norm(FA_SHAPE(8)), fa_nn_dropout(), fa_nn_dropout2d(.p = 0.3), fa_nn_relu(),
        fa_nn_relu(.inplace = true), fa_nn_relu6(), fa_nn_silu(), fa_nn_hardswish(), fa_nn_hardsigmoid(),
        fa_nn_sigmoid(), fa_nn_tanh(), fa_nn_leaky_relu(0.2), fa_nn_elu(), fa_nn_gelu(), fa_nn_softplus(),
        fa_nn_hardtanh(), fa_nn_prelu(), fa_nn_flatten(), fa_nn_flatten(0, 1), fa_nn_softmax(1), fa_nn_log_softmax(-1),
        fa_nn_identity(), fa_nn_linear(3, 2, .bias = false), fa_nn_sequential(),
        fa_nn_module_list(fa_nn_relu(), fa_nn_relu()),
        fa_nn_module_dict({"one", fa_nn_relu()}, {"two", fa_nn_linear(1, 1)}), fa_nn_cross_entropy_loss(),
        fa_nn_mse_loss(), fa_nn_kl_div_loss());
}

/* Every layer prints as what is made of its print; weights are drawn as its layers draw them. */
static void test_printed_form_there_and_back(void **state)
{
    (void)state;
    fa_manual_seed(3);
    fa_module *model = layers();
    assert_fine();
    fa_tensor *first = fa_find(model, "0.weight");
    const float drawn = ((const float *)fa_data(first))[0];
    fa_manual_seed(3);
    fa_module *again = fa_module_from_text(printed(model));
    assert_fine();
    assert_same_print(model, again);
    assert_true(((const float *)fa_data(fa_find(again, "0.weight")))[0] == drawn);
    assert_same_weights(model, again);
    fa_free(model);
    fa_free(again);
}

/* What releases wrote, and what today's writes for the same network. */
static const struct {
    const char *release, *text, *today;
} forms[] = {
    {"today, equal children", /* PyTorch 2 gathers runs */
     "ModuleList(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n  (1-3): 3 x ReLU()\n)",
     "ModuleList(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n  (1-3): 3 x ReLU()\n)"},
    {"today, a run of blocks",
     "ModuleList(\n  (0-1): 2 x Sequential(\n    (0): Linear(in_features=2, out_features=3, bias=True)\n    (1): "
     "Tanh()\n  )\n)",
     "ModuleList(\n  (0-1): 2 x Sequential(\n    (0): Linear(in_features=2, out_features=3, bias=True)\n    (1): "
     "Tanh()\n  )\n)"},
    {"one layer alone", "ReLU()", "ReLU()"},
    {"2.10: norms before they had bias",
     "BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
     "BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"},
    {"0.4: no bias of Linear, no track_running_stats",
     "Sequential(\n  (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))\n"
     "  (1): BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True)\n  (2): ReLU(inplace)\n"
     "  (3): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)\n"
     "  (4): Dropout(p=0.5)\n  (5): Linear(in_features=16, out_features=3)\n)",
     "Sequential(\n  (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))\n"
     "  (1): BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)\n"
     "  (2): ReLU(inplace=True)\n"
     "  (3): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)\n"
     "  (4): Dropout(p=0.5, inplace=False)\n  (5): Linear(in_features=16, out_features=3, bias=True)\n)"},
    {"0.3 and before: blanks, arrows, size=",
     "Sequential (\n  (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))\n  (1): ReLU (inplace)\n"
     "  (2): MaxPool2d (size=(2, 2), stride=(2, 2), dilation=(1, 1))\n  (3): Dropout (p = 0.25)\n"
     "  (4): Linear (400 -> 120)\n)",
     "Sequential(\n  (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))\n  (1): ReLU(inplace=True)\n"
     "  (2): MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=0, dilation=(1, 1), ceil_mode=False)\n"
     "  (3): Dropout(p=0.25, inplace=False)\n  (4): Linear(in_features=400, out_features=120, bias=True)\n)"},
    {"0.4: LayerNorm with torch.Size", "LayerNorm(torch.Size([8]), eps=1e-05, elementwise_affine=True)",
     "LayerNorm((8,), eps=1e-05, elementwise_affine=True, bias=True)"},
    {"lines of Windows, blanks around", "\r\n\n  Sequential(\r\n    (0): Tanh()\r\n  )\r\n\n",
     "Sequential(\n  (0): Tanh()\n)"},
};

static void test_forms_of_releases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        fa_module *model = fa_module_from_text(forms[i].text);
        if (model == NULL)
            print_error("%s\n", forms[i].release);
        assert_fine();
        assert_string_equal(printed(model), forms[i].today);
        fa_free(model);
    }
}

static const struct {
    const char *text, *part;
} refused[] = {
    {"", "there is no network in it"},
    {" \n\n", "there is no network in it"},
    {"hello", "line 1, `hello`"},
    {"Sequential(", "a bracket that is not closed"},
    {"Sequential(\n  (0): ReLU()", "a bracket that is not closed"},
    {"Sequential(\n  (0): ReLU()\n)\nReLU()", "line 4, `ReLU()`"},
    {"Sequential(\n(0): ReLU()\n)", "line 2"},
    {"Sequential(\n  (0): ReLU(\n)", "line 3"},
    {"Sequential(\n  (0): ReLU()\n  (0): Tanh()\n)", "\"0\" twice"},
    {"Conv2d(1, 4", "does not end with a bracket"},
    {"9Conv(1)", "does not begin with a class"},
    {"Conv2d(1)", "without out_channels"},
    {"Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), colour=3)", "colour"},
    {"Conv2d(1, 4, kernel_size=(3, 3, 3), stride=(1, 1))", "kernel_size in no form"},
    {"Conv2d(1, 4, kernel_size=99999999999, stride=(1, 1))", "cannot be read"},
    {"Linear(in_features=1e300, out_features=3, bias=True)", "in_features in no form"},
    {"Linear(in_features=nan, out_features=3, bias=True)", "in_features in no form"},
    {"Linear(in_features=2147483647, out_features=2147483647, bias=True)", "more than"},
    {"Linear(in_features=2, out_features=3, bias=True, 5, 6, 7)", "given twice"},
    {"Linear(2, 3, True, 4)", "4 options without a name"},
    {"Conv2d(1, 4, in_channels=3, kernel_size=3)", "given twice"},
    {"Linear(in_features=-2, out_features=3, bias=True)", "in_features"},
    {"Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), groups=2)", "groups"},
    {"Linear(\n  (0): ReLU()\n)", "Linear"},
    {"Sequential(\n  (0): FancyBlock(3)\n)", "FancyBlock at \"0\""},
    {"ModuleList(\n  (0-9999): 10000 x Sequential(\n    (0-9999): 10000 x ReLU()\n  )\n)", "10000 modules"},
    {"ModuleList(\n  (0-9999): 10000 x ReLU()\n)", "10000 modules"},
    {"ModuleList(\n  (0-99999999999999999999): 3 x ReLU()\n)", "line 2"},
    {"ModuleList(\n  (3-1): 3 x ReLU()\n)", "line 2"},
    {"ModuleList(\n  (0-2): 2 x ReLU()\n)", "line 2"},
};

/* Runs are of numbers: children of a list under other names are printed one by one, so that they can be read back. */
static void test_named_children_of_a_list(void **state)
{
    (void)state;
    static const char text[] = "ModuleList(\n  (a): ReLU()\n  (b): ReLU()\n  (2): Tanh()\n  (3): Tanh()\n)";
    static const char runs[] = "ModuleList(\n  (a): ReLU()\n  (b): ReLU()\n  (2-3): 2 x Tanh()\n)";
    fa_module *model = fa_module_from_text(text);
    assert_fine();
    assert_string_equal(printed(model), runs);
    fa_module *again = fa_module_from_text(runs);
    assert_fine();
    assert_same_print(model, again);
    fa_free(model);
    fa_free(again);
}

static void test_refused_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        fa_module *model = fa_module_from_text(refused[i].text);
        if (model != NULL)
            print_error("taken: %s\n", refused[i].text);
        assert_null(model);
        const char *text = error_text();
        if (strstr(text, refused[i].part) == NULL)
            print_error("of %s:\n", refused[i].text);
        assert_contains(text, refused[i].part);
        assert_int_equal(fa_module_live_count(), 0);
    }
    assert_null(fa_module_from_text(NULL));
    assert_contains(error_text(), "no text");
}

static void test_depth_and_length(void **state)
{
    (void)state;
    char *text = malloc((size_t)4 << 20), *at = text;
    assert_non_null(text);
    at += sprintf(at, "Sequential(\n");
    for (int i = 1; i < 300; i++)
        at += sprintf(at, "%*s(0): Sequential(\n", 2 * i, "");
    assert_null(fa_module_from_text(text));
    assert_contains(error_text(), "nests too deep");
    memset(text, ' ', (size_t)2 << 20);
    text[(size_t)2 << 20] = '\0';
    assert_null(fa_module_from_text(text));
    assert_contains(error_text(), "needs at most");
    free(text);
}

/* ---- Registered classes -------------------------------------------------------------------------------------------
 */

typedef struct tiny {
    fa_module base;
    fa_module *conv, *fc;
    fa_tensor *scale, *offset;
} tiny;

static fa_tensor *tiny_forward(fa_module *self, fa_tensor *x)
{
    tiny *net = (tiny *)self;
    x = fa_max_pool2d(fa_relu(fa_forward(net->conv, x)), 2);
    return fa_add(fa_mul(fa_forward(net->fc, fa_flatten(x, 1)), net->scale), net->offset);
}

/* With *(int *)context classes; 3 where there is no context. */
static fa_module *tiny_new(void *context)
{
    const int classes = context != NULL ? *(const int *)context : 3;
    tiny *net = fa_module_new(tiny, tiny_forward, .name = "TinyNet");
    fa_layer(net, conv, fa_nn_conv2d(1, 2, 3, .padding = 1));
    fa_layer(net, fc, fa_nn_linear(8, classes));
    fa_own_parameter(net, scale, FA_SHAPE(1), .fill = 1);
    fa_own_buffer(net, offset, FA_SHAPE(1));
    return &net->base;
}

static fa_module *none_new(void *context)
{
    (void)context;
    return NULL;
}

static fa_module *plain_tiny_new(void)
{
    return tiny_new(NULL);
}

static void test_registered_class(void **state)
{
    (void)state;
    const char *path = tempdir_file(&folder, "tiny.pth");
    fa_module *model = tiny_new(NULL);
    assert_true(fa_save(model, path));
    char text[1000];
    fa_module_format(model, text, sizeof text);
    assert_null(fa_load_module(path));
    assert_contains(error_text(), "fa_register_class(\"TinyNet\"");
    assert_null(fa_load_module(golden_pth("user_class")));
    assert_contains(error_text(), "TinyNet");

    assert_true(fa_register_class("TinyNet", plain_tiny_new));
    fa_module *plain = fa_load_module(path);
    assert_fine();
    assert_same_weights(model, plain);
    fa_free(plain);
    assert_true(fa_register_class("TinyNet", (fa_plain_constructor)NULL));
    assert_null(fa_load_module(path));
    assert_contains(error_text(), "fa_register_class(\"TinyNet\"");

    assert_true(fa_register_class("TinyNet", tiny_new, NULL));
    fa_module *again = fa_load_module(path), *torch = fa_load_module(golden_pth("user_class"));
    fa_module *new = fa_module_from_text(text);
    assert_fine();
    assert_same_print(model, again);
    assert_same_print(model, torch);
    assert_same_print(model, new);
    assert_same_weights(model, again);
    assert_true(fa_item(fa_find(torch, "scale")) == 2 && fa_item(fa_find(torch, "offset")) == 0.5);
    fa_free(again);
    fa_free(torch);
    fa_free(new);

    int classes = 4; /* the last registration counts */
    assert_true(fa_register_class("TinyNet", tiny_new, &classes));
    assert_null(fa_load_module(path));
    const char *message = error_text();
    assert_contains(message, "out_features of Linear is 3, and 4 was made");
    assert_contains(message, "\"fc\"");
    assert_true(fa_register_class("TinyNet", none_new, NULL));
    assert_null(fa_load_module(path));
    assert_contains(error_text(), "NULL from the constructor registered for TinyNet");
    assert_true(fa_register_class("TinyNet", NULL, NULL));
    assert_null(fa_load_module(path));
    assert_contains(error_text(), "fa_register_class(\"TinyNet\"");
    fa_free(model);

    assert_false(fa_register_class("Conv2d", tiny_new, NULL));
    assert_contains(error_text(), "a layer of the library");
    assert_false(fa_register_class("", tiny_new, NULL));
    error_text();
    assert_false(fa_register_class(NULL, tiny_new, NULL));
    error_text();
}

/* A network whose making draws numbers at once. */
static fa_module *drawing_new(void *context)
{
    fa_module *model = tiny_new(context);
    fa_no_grad
        fa_init_normal_(fa_find(model, "conv.weight"));
    return model;
}

static fa_module *renamed_new(void *context)
{
    (void)context;
    tiny *net = fa_module_new(tiny, tiny_forward, .name = "TinyNet");
    fa_layer(net, fc, fa_nn_conv2d(1, 2, 3, .padding = 1));
    fa_layer(net, conv, fa_nn_linear(8, 3));
    return &net->base;
}

static fa_module *longer_new(void *context)
{
    fa_module *model = tiny_new(context);
    fa_module_add(model, "more", fa_nn_relu());
    return model;
}

static void test_what_registered_constructors_do(void **state)
{
    (void)state;
    const char *path = tempdir_file(&folder, "tiny.pth");
    fa_module *model = tiny_new(NULL);
    assert_true(fa_save(model, path));
    fa_free(model);
    assert_true(fa_register_class("TinyNet", drawing_new, NULL));
    fa_manual_seed(5);
    const double next = fa_item(fa_rand(1));
    fa_manual_seed(5);
    model = fa_load_module(path);
    assert_fine();
    assert_true(fa_item(fa_rand(1)) == next);
    fa_free(model);
    assert_true(fa_register_class("TinyNet", renamed_new, NULL));
    assert_null(fa_load_module(path));
    assert_contains(error_text(), "comes \"conv\", and \"fc\" was made");
    assert_true(fa_register_class("TinyNet", longer_new, NULL));
    assert_null(fa_load_module(path));
    assert_contains(error_text(), "\"more\" was made besides");
    assert_true(fa_register_class("TinyNet", NULL, NULL));
}

/* ---- Pickled modules, made by hand --------------------------------------------------------------------------------
 */

static fa_value *object(const char *module, const char *class_name, fa_value *modules, fa_value *parameters)
{
    fa_value *x = fa_value_object_at(module, class_name, FA_HERE);
    fa_set_attributes_at(x, fa_dict("training", (bool)true, "_parameters", parameters, "_modules", modules), FA_HERE);
    return x;
}

static fa_value *empty(void)
{
    return fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, FA_HERE);
}

typedef struct normed {
    fa_module base;
    fa_module *bn;
} normed;

static fa_module *normed_new(void *context)
{
    (void)context;
    normed *net = fa_module_new(normed, tiny_forward, .name = "Normed");
    fa_layer(net, bn, fa_nn_batch_norm2d(2, .affine = false, .track_running_stats = false));
    return &net->base;
}

static void test_objects(void **state)
{
    (void)state;
    fa_scope {
        /* Without weights and biases to look at, a norm is the one that says affine=False. */
        fa_value *bn = object("torch.nn.modules.batchnorm", "BatchNorm2d", empty(), empty());
        fa_dict_put(fa_attributes(bn), "num_features", 2);
        fa_dict_put(fa_attributes(bn), "affine", (bool)false);
        fa_dict_put(fa_attributes(bn), "track_running_stats", (bool)false);
        assert_true(fa_register_class("Normed", normed_new, NULL));
        fa_module *model = fa_module_of_value(object("net", "Normed", fa_dict("bn", bn), empty()));
        assert_fine();
        assert_string_equal(fa_class_name(model), "Normed");
        fa_free(model);
        /* The same as releases printed it whose norms had no bias of their own. */
        model = fa_module_from_text(
            "Normed(\n  (bn): BatchNorm2d(2, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)\n)");
        assert_fine();
        fa_free(model);
        assert_true(fa_register_class("Normed", NULL, NULL));
        /* A class of somebody's that is called as a layer is. */
        assert_null(fa_module_of_value(object("mine", "ReLU", empty(), empty())));
        assert_contains(error_text(), "mine.ReLU");
        assert_null(fa_module_of_value(object("torch.nn.modules.linear", "Linear", empty(), empty())));
        assert_contains(error_text(), "without in_features");
        fa_value *linear = object("torch.nn.modules.linear", "Linear", empty(), empty());
        fa_dict_put(fa_attributes(linear), "in_features", fa_list(1, "two"));
        fa_dict_put(fa_attributes(linear), "out_features", 3);
        assert_null(fa_module_of_value(linear));
        assert_contains(error_text(), "in_features in no form");
        fa_dict_put(fa_attributes(linear), "in_features", INT64_MAX);
        assert_null(fa_module_of_value(linear));
        assert_contains(error_text(), "in_features in no form");
        fa_dict_put(fa_attributes(linear), "in_features", 2000000000);
        assert_null(fa_module_of_value(linear));
        assert_contains(error_text(), "which is all that there are");
        assert_null(
            fa_module_of_value(object("torch.nn.modules.container", "Sequential", fa_dict("0", fa_list(1)), empty())));
        assert_contains(error_text(), "needs modules under names");
        fa_value *deep = object("torch.nn.modules.container", "Sequential", empty(), empty());
        for (int i = 0; i < 150; i++)
            deep = object("torch.nn.modules.container", "Sequential", fa_dict("0", deep), empty());
        assert_null(fa_module_of_value(deep));
        assert_contains(error_text(), "deep inside one another");
        fa_module *linear_here = fa_nn_linear(1, 1);
        assert_false(fa_load_state_dict(linear_here, deep));
        assert_contains(error_text(), "inside one another");
        fa_free(linear_here);
    }
}

/* ---- Files --------------------------------------------------------------------------------------------------------
 */

static void test_saved_and_loaded(void **state)
{
    (void)state;
    const char *path = tempdir_file(&folder, "model.pth");
    fa_module *model = layers();
    fa_eval(fa_submodule(model, "10"));
    fa_requires_grad_(fa_find(model, "1.weight"), false);
    assert_true(fa_save(model, path));
    fa_manual_seed(5);
    const double next = fa_item(fa_rand(1));
    fa_manual_seed(5);
    fa_module *again = fa_load_module(path);
    assert_fine();
    assert_true(fa_item(fa_rand(1)) == next); /* nothing was drawn */
    assert_same_print(model, again);
    assert_same_weights(model, again);
    assert_string_equal(fa_load_report(), "");
    assert_true(fa_is_training(again) && !fa_is_training(fa_submodule(again, "10")));
    /* The file is plain data. */
    fa_scope {
        fa_value *file = fa_load(path);
        assert_string_equal(fa_get_string(file, "architecture"), printed(model));
        assert_int_equal(fa_len(fa_get(file, "state_dict")), fa_state_list(model).count);
        assert_true(fa_get_bool(file, "training"));
        fa_module *third = fa_module_of_value(file);
        assert_same_print(model, third);
        fa_free(third);
    }
    fa_eval(again);
    assert_true(fa_save(again, path));
    fa_module *evaluated = fa_load_module(path);
    assert_false(fa_is_training(evaluated) || fa_is_training(fa_submodule(evaluated, "0")));
    fa_free(evaluated);
    fa_free(model);
    fa_free(again);
    assert_fine();
}

/* Options that PyTorch does not print come back too: the networks compute the same. */
static void test_what_does_not_print(void **state)
{
    (void)state;
    const char *path = tempdir_file(&folder, "quiet.pth");
    fa_module *model =
        fa_nn_sequential(fa_nn_avg_pool2d(2, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false),
                         fa_nn_upsample(.scale_factor = 2, .mode = FA_BILINEAR, .align_corners = true),
                         fa_nn_avg_pool2d(2, .divisor_override = 3));
    fa_module *loss[] = {
        fa_nn_cross_entropy_loss(.label_smoothing = 0.125, .ignore_index = 1, .reduction = FA_REDUCE_SUM,
                                 .weight = fa_tensor_of(FA_SHAPE(3), 1, 2, 4)),
        fa_nn_smooth_l1_loss(.beta = 0.5),
        fa_nn_huber_loss(.delta = 2, .reduction = FA_REDUCE_SUM),
        fa_nn_bce_with_logits_loss(.pos_weight = fa_tensor_of(FA_SHAPE(3), 3, 2, 1)),
        fa_nn_kl_div_loss(.reduction = FA_REDUCE_BATCHMEAN, .log_target = true),
    };
    assert_true(fa_save(model, path));
    fa_module *again = fa_load_module(path);
    assert_fine();
    fa_scope {
        fa_tensor *x = fa_rand(1, 2, 5, 5), *a = fa_forward(model, x), *b = fa_forward(again, x);
        assert_int_equal(fa_numel(a), fa_numel(b));
        assert_same_bytes(fa_data(a), fa_data(b), (size_t)fa_numel(a) * 4);
    }
    for (size_t i = 0; i < sizeof loss / sizeof *loss; i++)
        fa_scope {
            assert_true(fa_save(loss[i], path));
            fa_module *other = fa_load_module(path);
            assert_fine();
            static const int64_t labels[] = {0, 1, 2, 2};
            fa_tensor *x = fa_rand(4, 3);
            fa_tensor *y = i == 0 ? fa_from_memory(labels, FA_INT64, FA_SHAPE(4)) : fa_rand(4, 3);
            const double a = fa_item(fa_criterion(loss[i], x, y)), b = fa_item(fa_criterion(other, x, y));
            assert_true(a == b);
            fa_free(other);
            fa_free(loss[i]);
        }
    fa_free(model);
    fa_free(again);
    assert_fine();
}

/* Weights that two layers had in common, they have in common again. */
static void test_tied_weights(void **state)
{
    (void)state;
    const char *path = tempdir_file(&folder, "tied.pth");
    fa_module *model = fa_nn_sequential(fa_nn_linear(4, 4), fa_nn_relu(), fa_nn_linear(4, 4));
    fa_register_parameter(fa_submodule(model, "2"), "weight", fa_find(model, "0.weight"));
    assert_true(fa_save(model, path));
    fa_module *again = fa_load_module(path);
    assert_fine();
    assert_same_weights(model, again);
    assert_int_equal(fa_parameters(again).count, 3);
    fa_no_grad
        fa_fill_(fa_find(again, "0.weight"), 2);
    assert_true(((const float *)fa_data(fa_find(again, "2.weight")))[15] == 2);
    fa_free(model);
    fa_free(again);
    assert_fine();
}

static void test_pickled_by_pytorch(void **state)
{
    (void)state;
    static const char text[] =
        "Sequential(\n  (conv): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        "  (bn): BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)\n"
        "  (relu): ReLU()\n"
        "  (pool): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)\n"
        "  (flat): Flatten(start_dim=1, end_dim=-1)\n  (drop): Dropout(p=0.5, inplace=False)\n"
        "  (fc): Linear(in_features=16, out_features=3, bias=True)\n)";
    static const float want[] = {0x1.b9c58c0000000p-2F, 0x1.bee7a40000000p-2F, -0x1.fd5d740000000p-2F};
    fa_module *model = fa_load_module(golden_pth("whole_model"));
    assert_fine();
    assert_string_equal(printed(model), text);
    assert_false(fa_is_training(model) || fa_is_training(fa_submodule(model, "drop")));
    assert_true(fa_requires_grad(fa_find(model, "fc.weight")));
    fa_scope {
        float x[16];
        for (int i = 0; i < 16; i++)
            x[i] = (float)(i - 8) / 8;
        fa_tensor *y = fa_forward(model, fa_from_memory(x, FA_FLOAT32, FA_SHAPE(1, 1, 4, 4)));
        assert_all_close_f32(fa_data(y), want, 3, 1e-6, 1e-6);
    }
    fa_free(model);
}

/* Every layer that is rebuilt, as PyTorch pickled and printed it; each weight where it belongs. */
static void test_layers_pickled_by_pytorch(void **state)
{
    (void)state;
    char *json = read_file(golden_pth("pth.json"), NULL);
    cJSON *entries = cJSON_Parse(json);
    free(json);
    static const char *const names[] = {"whole_layers.pth", "legacy_whole_layers.pth", "whole_model.pth"};
    for (int i = 0; i < 3; i++) {
        const cJSON *entry = cJSON_GetObjectItemCaseSensitive(entries, names[i]);
        fa_module *model = fa_load_module(golden_pth(names[i]));
        assert_fine();
        assert_string_equal(printed(model), cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "structure")));
        fa_scope {
            fa_value *weights = fa_find_state_dict(fa_load(golden_pth(names[i])));
            assert_contains(fa_load_report(), "the weights of the pickled model of class Sequential");
            assert_int_equal(fa_len(weights),
                             cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(entry, "state_dict")));
            assert_int_equal(fa_len(weights), fa_state_list(model).count);
            for (int64_t k = 0; k < fa_len(weights); k++) {
                fa_tensor *got = fa_find(model, fa_as_string(fa_key_at(weights, k)));
                fa_tensor *want = fa_as_tensor(fa_value_at(weights, k));
                assert_same_bytes(fa_data(got), fa_data(want),
                                  (size_t)fa_numel(want) * (fa_dtype_of(want) == FA_INT64 ? 8 : 4));
            }
            assert_fine();
        }
        fa_free(model);
    }
    cJSON_Delete(entries);
}

/* A class of torchvision's: named, and its weights can be taken. */
static void test_torchvision(void **state)
{
    (void)state;
    assert_null(fa_load_module(golden_pth("whole_resnet.pth")));
    const char *message = error_text();
    assert_contains(message, "the class ResNet");
    assert_contains(message, "fa_load_state_dict(model, fa_load(path))");
    fa_module *stem = fa_nn_module_dict({"conv1", fa_nn_conv2d(3, 4, 7, .stride = 2, .padding = 3, .bias = false)},
                                        {"bn1", fa_nn_batch_norm2d(4)});
    fa_scope {
        fa_value *file = fa_load(golden_pth("whole_resnet.pth"));
        assert_true(fa_load_state_dict(stem, file, .strict = false));
        assert_contains(fa_load_report(), "the weights of the pickled model of class ResNet");
        fa_value *weights = fa_find_state_dict(fa_dict("epoch", 1, "model", file));
        assert_contains(fa_load_report(), "used entry 'model'");
        assert_int_equal(fa_len(weights), 6 + 4 * 12 + 2);
        fa_tensor *want = fa_as_tensor(fa_get(weights, "conv1.weight"));
        assert_same_bytes(fa_data(fa_find(stem, "conv1.weight")), fa_data(want), (size_t)fa_numel(want) * 4);
        assert_fine();
        /* No model: no weights. */
        assert_null(fa_find_state_dict(fa_get(fa_attributes(file), "_norm_layer")));
        assert_contains(error_text(), "in which there are no weights");
        assert_null(fa_find_state_dict(fa_get(weights, "bn1.weight")));
        assert_contains(error_text(), "needs a dict");
        assert_null(fa_find_state_dict(NULL));
        error_text();
        /* A class is no module, also where it stands among the modules. */
        assert_null(fa_load_module(golden_pth("hostile_named_module.pth")));
        assert_contains(error_text(), "the name torch.nn.functional.relu");
    }
    fa_free(stem);
}

static void test_files_that_hold_no_model(void **state)
{
    (void)state;
    const char *path = tempdir_file(&folder, "other.pth");
    assert_null(fa_load_module(golden_pth("state_dict")));
    assert_contains(error_text(), "fa_load_state_dict(model, fa_load(path))");
    assert_null(fa_load_module(tempdir_file(&folder, "absent.pth")));
    assert_contains(error_text(), "absent.pth");
    /* The text may ask for no more numbers than the file has. */
    fa_scope {
        fa_value *file =
            fa_dict("architecture", "Linear(in_features=100000, out_features=100000, bias=True)", "state_dict",
                    fa_dict("weight", fa_ones(1), "bias", fa_ones(1)), "training", (bool)true);
        assert_null(fa_module_of_value(file));
        assert_contains(error_text(), "which is all that there are");
        /* Weights of another network. */
        fa_dict_put(file, "architecture", "Linear(in_features=2, out_features=3, bias=True)");
        assert_null(fa_module_of_value(file));
        assert_contains(error_text(), "weight: [1] in the file, [3, 2] here");
        fa_dict_put(file, "architecture", "Linear(");
        assert_null(fa_module_of_value(file));
        assert_contains(error_text(), "not closed");
        fa_dict_put(file, "architecture", "Linear(in_features=1, out_features=1, bias=True)");
        fa_dict_put(file, "state_dict", fa_dict("weight", fa_ones(1, 1), "bias", fa_ones(1)));
        fa_dict_put(file, "unprinted", fa_dict("absent", "inplace=True"));
        assert_null(fa_module_of_value(file));
        error_text();
        fa_dict_put(file, "unprinted", fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, FA_HERE));
        fa_dict_put(file, "modes", fa_dict("absent", (bool)true));
        assert_null(fa_module_of_value(file));
        error_text();
        fa_dict_put(file, "modes", fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, FA_HERE));
        fa_dict_put(file, "frozen", fa_list("absent"));
        assert_null(fa_module_of_value(file));
        error_text();
        fa_dict_put(file, "frozen", fa_list("bias"));
        fa_module *model = fa_module_of_value(file);
        assert_fine();
        assert_false(fa_requires_grad(fa_find(model, "bias")));
        fa_free(model);
        assert_null(fa_module_of_value(NULL));
        error_text();
    }
    assert_false(fa_save((fa_module *)NULL, path));
    error_text();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_printed_form_there_and_back, nothing_left),
        cmocka_unit_test_teardown(test_forms_of_releases, nothing_left),
        cmocka_unit_test_teardown(test_named_children_of_a_list, nothing_left),
        cmocka_unit_test_teardown(test_refused_texts, nothing_left),
        cmocka_unit_test_teardown(test_depth_and_length, nothing_left),
        cmocka_unit_test_teardown(test_registered_class, nothing_left),
        cmocka_unit_test_teardown(test_what_registered_constructors_do, nothing_left),
        cmocka_unit_test_teardown(test_objects, nothing_left),
        cmocka_unit_test_teardown(test_saved_and_loaded, nothing_left),
        cmocka_unit_test_teardown(test_what_does_not_print, nothing_left),
        cmocka_unit_test_teardown(test_tied_weights, nothing_left),
        cmocka_unit_test_teardown(test_pickled_by_pytorch, nothing_left),
        cmocka_unit_test_teardown(test_layers_pickled_by_pytorch, nothing_left),
        cmocka_unit_test_teardown(test_torchvision, nothing_left),
        cmocka_unit_test_teardown(test_files_that_hold_no_model, nothing_left),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
