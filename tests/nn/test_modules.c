/* Modules against PyTorch (golden/nn.json): printed form, keys and their order, initial weights, sharing, modes; and
 * ownership, errors with the layer's path, the summary. */
#include "support/facula_test.h"
#include "support/golden.h"

#include <facula.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

static golden_file golden;

/* ---- The models of make_nn.py
 * ---------------------------------------------------------------------------------------- */

typedef struct cnn {
    fa_module base;
    fa_module *conv1, *pool, *conv2, *fc;
} cnn;

static fa_tensor *cnn_forward(fa_module *self, fa_tensor *x)
{
    cnn *net = (cnn *)self;
    x = fa_forward(net->pool, fa_relu(fa_forward(net->conv1, x)));
    x = fa_forward(net->pool, fa_relu(fa_forward(net->conv2, x)));
    return fa_forward(net->fc, fa_flatten(x, 1));
}

static fa_module *cnn_new(void)
{
    cnn *net = fa_module_new(cnn, cnn_forward, .name = "CNN");
    fa_layer(net, conv1, fa_nn_conv2d(3, 4, 3, .padding = 1));
    fa_layer(net, pool, fa_nn_max_pool2d(2, .stride = 2));
    fa_layer(net, conv2, fa_nn_conv2d(4, 6, 3, .padding = 1));
    fa_layer(net, fc, fa_nn_linear(6 * 2 * 2, 10));
    return &net->base;
}

typedef struct simple {
    fa_module base;
    fa_module *net;
} simple;

static fa_tensor *simple_forward(fa_module *self, fa_tensor *x)
{
    return fa_forward(((simple *)self)->net, x);
}

static fa_module *simple_new(void)
{
    simple *net = fa_module_new(simple, simple_forward, .name = "SimpleCNN");
    fa_layer(net, net,
             fa_nn_sequential(fa_nn_conv2d(3, 4, .kernel_size = 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                              fa_nn_flatten(), fa_nn_linear(4 * 2 * 2, 10)));
    return &net->base;
}

typedef struct head {
    fa_module base;
    fa_module *drop, *fc;
    fa_tensor *scale;
} head;

static fa_tensor *head_forward(fa_module *self, fa_tensor *x)
{
    head *net = (head *)self;
    return fa_mul(fa_forward(net->fc, fa_forward(net->drop, x)), net->scale);
}

static fa_module *head_new(void)
{
    head *net = fa_module_new(head, head_forward, .name = "Head");
    fa_layer(net, drop, fa_nn_dropout(0.25));
    fa_layer(net, fc, fa_nn_linear(5, 5));
    fa_own_parameter(net, scale, FA_SHAPE(5), .fill = 1);
    return &net->base;
}

typedef struct own {
    fa_module base;
    fa_module *first, *body, *head, *blocks, *again, *tied, *empty;
    fa_tensor *mean, *shift, *gain;
} own;

static fa_tensor *own_forward(fa_module *self, fa_tensor *x)
{
    own *net = (own *)self;
    return fa_forward(net->head, fa_forward(net->again, fa_forward(net->first, x)));
}

static fa_module *own_new(void)
{
    own *net = fa_module_new(own, own_forward, .name = "Own");
    fa_own_buffer(net, mean, FA_SHAPE(3), .fill = 0.5);
    fa_layer(net, first, fa_nn_linear(5, 5));
    fa_own_parameter(net, shift, FA_SHAPE(7), .uniform = {-1, 1});
    fa_layer(net, body, fa_nn_sequential(fa_nn_sequential(fa_nn_conv2d(1, 2, 3), fa_nn_batch_norm2d(2)), fa_nn_relu()));
    fa_layer(net, head, head_new());
    fa_layer(net, blocks, fa_nn_module_list(fa_nn_linear(5, 5), fa_nn_linear(5, 5), fa_nn_relu(), fa_nn_linear(5, 5)));
    fa_layer(net, again, net->first);
    fa_layer(net, tied, fa_nn_linear(5, 5, .bias = false));
    fa_register_parameter(net->tied, "weight", fa_find(net->first, "weight"));
    fa_own_parameter(net, gain, FA_SCALAR, .fill = 1);
    fa_layer(net, empty, fa_nn_sequential());
    return &net->base;
}

static fa_module *layers_new(void)
{
    return fa_nn_sequential(
        fa_nn_conv2d(4, 8, .kernel_hw = {3, 5}, .stride = 2, .padding_hw = {1, 0}, .dilation_hw = {1, 2}, .groups = 2,
                     .bias = false),
        fa_nn_conv2d(8, 8, 3, .padding = FA_SAME), fa_nn_conv2d(8, 2, 1), fa_nn_max_pool2d(2),
        fa_nn_max_pool2d(.kernel_hw = {3, 2}, .stride_hw = {2, 1}, .padding = 1, .dilation = 1, .ceil_mode = true),
        fa_nn_avg_pool2d(3, .stride = 2, .padding = 1), fa_nn_avg_pool2d(.kernel_hw = {2, 3}), fa_nn_batch_norm2d(2),
        fa_nn_batch_norm2d(2, .eps = 1e-3, .momentum = NAN, .affine = false),
        fa_nn_batch_norm2d(2, .eps = 0.25, .momentum = 0.01, .track_running_stats = false),
        fa_nn_batch_norm2d(2, .bias = false), fa_nn_dropout(), fa_nn_dropout(.p = 0.3), fa_nn_relu(),
        fa_nn_relu(.inplace = true), fa_nn_flatten(), fa_nn_flatten(0, 1), fa_nn_softmax(1), fa_nn_log_softmax(-1),
        fa_nn_identity(), fa_nn_linear(3, 2, .bias = false), fa_nn_cross_entropy_loss(),
        fa_nn_nll_loss(.weight = fa_tensor_of(FA_SHAPE(2), 1, 2)));
}

static fa_module *sequence_new(void)
{
    return fa_nn_sequential(fa_nn_linear(10, 5), fa_nn_conv2d(3, 4, 3),
                            fa_nn_conv2d(4, 8, .kernel_hw = {3, 5}, .groups = 2, .bias = false), fa_nn_conv2d(1, 2, 1),
                            fa_nn_batch_norm2d(3), fa_nn_linear(1, 1));
}

static const struct {
    const char *name;
    fa_module *(*make)(void);
} models[] = {
    {"cnn", cnn_new}, {"simple", simple_new}, {"own", own_new}, {"layers", layers_new}, {"sequence", sequence_new}};
enum { MODELS = sizeof models / sizeof *models };

static cJSON *expected(const char *model, const char *what)
{
    cJSON *entry = cJSON_GetObjectItem(cJSON_GetObjectItem(golden.index, "models"), model);
    cJSON *item = cJSON_GetObjectItem(entry, what);
    assert_non_null(item);
    return item;
}

static int open_golden(void **state)
{
    (void)state;
    char why[256];
    if (golden_open(&golden, "nn", why))
        return 0;
    fprintf(stderr, "%s\n", why);
    return -1;
}

static int close_golden(void **state)
{
    (void)state;
    golden_close(&golden);
    return fa_module_live_count() == 0 ? 0 : -1;
}

static int no_error(void **state)
{
    (void)state;
    fa_clear_error();
    return 0;
}

/* ---- Against PyTorch
 * --------------------------------------------------------------------------------------------------- */

static void test_printed_form(void **state)
{
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        fa_module *model = models[i].make();
        char text[8192], part[16];
        int64_t length = fa_module_format(model, text, sizeof text);
        assert_string_equal(text, expected(models[i].name, "print")->valuestring);
        assert_int_equal(length, strlen(text));
        assert_int_equal(fa_module_format(model, part, sizeof part), length);
        assert_int_equal(strlen(part), sizeof part - 1);
        assert_int_equal(fa_module_format(model, NULL, 0), length);
        fa_free(model);
        assert_string_equal(fa_error(), "");
    }
}

static void check_names(fa_tensor_list list, const cJSON *names)
{
    assert_int_equal(list.count, cJSON_GetArraySize(names));
    for (int i = 0; i < list.count; i++)
        assert_string_equal(list.name[i], cJSON_GetArrayItem(names, i)->valuestring);
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        fa_module *model = models[i].make();
        check_names(fa_state_list(model), expected(models[i].name, "keys"));
        check_names(fa_parameters(model), expected(models[i].name, "parameters"));
        check_names(fa_buffers(model), expected(models[i].name, "buffers"));
        fa_free(model);
    }
}

static void check_weights(fa_module *model, const char *name)
{
    fa_tensor_list list = fa_state_list(model);
    for (int64_t k = 0; k < list.count; k++) {
        const golden_tensor *want = golden_find(&golden, "%s.%s", name, list.name[k]);
        assert_non_null(want);
        assert_int_equal(fa_dtype_of(list.tensor[k]), want->dtype);
        assert_int_equal(fa_ndim(list.tensor[k]), want->shape.ndim);
        assert_int_equal(fa_numel(list.tensor[k]), want->numel);
        size_t bytes = (size_t)want->numel * (want->dtype == FA_INT64 ? 8 : 4);
        assert_same_bytes(fa_data(list.tensor[k]), want->data, bytes);
    }
}

static void test_initial_weights(void **state)
{
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        fa_manual_seed(0);
        fa_module *model = models[i].make();
        check_weights(model, models[i].name);
        /* Another draw comes after the weights, whether or not they have been looked at. */
        for (int looked = 1; looked >= 0; looked--) {
            fa_scope {
                const float *after = fa_data(fa_rand(3));
                for (int k = 0; k < 3; k++)
                    assert_true(after[k] ==
                                (float)cJSON_GetArrayItem(expected(models[i].name, "after"), k)->valuedouble);
            }
            fa_free(model);
            fa_manual_seed(0);
            model = looked ? models[i].make() : NULL;
        }
    }
}

static void test_weights_of_what_is_freed_are_drawn(void **state)
{
    (void)state;
    fa_manual_seed(0);
    fa_module *unused = fa_nn_linear(10, 5);
    fa_free(unused);
    fa_module *model = fa_nn_sequential(fa_nn_identity(), fa_nn_conv2d(3, 4, 3));
    const golden_tensor *want = golden_find(&golden, "sequence.1.weight");
    assert_same_bytes(fa_data(fa_find(model, "1.weight")), want->data, (size_t)want->numel * 4);
    fa_free(model);
    /* The same when a layer is replaced by one of its name. */
    fa_manual_seed(0);
    model = fa_nn_sequential(fa_nn_linear(10, 5));
    fa_module_add(model, "0", fa_nn_conv2d(3, 4, 3));
    assert_int_equal(fa_child_count(model), 1);
    assert_same_bytes(fa_data(fa_find(model, "0.weight")), want->data, (size_t)want->numel * 4);
    fa_free(model);
}

static void test_seed_comes_after_waiting_weights(void **state)
{
    (void)state;
    fa_manual_seed(0);
    fa_module *model = sequence_new();
    fa_manual_seed(5);
    check_weights(model, "sequence");
    fa_free(model);
}

static void test_older_roots_first(void **state)
{
    (void)state;
    fa_manual_seed(0);
    fa_module *a = fa_nn_linear(10, 5), *b = fa_nn_conv2d(3, 4, 3);
    const golden_tensor *second = golden_find(&golden, "sequence.1.bias"),
                        *first = golden_find(&golden, "sequence.0.bias");
    assert_same_bytes(fa_data(fa_find(b, "bias")), second->data, (size_t)second->numel * 4);
    assert_same_bytes(fa_data(fa_find(a, "bias")), first->data, (size_t)first->numel * 4);
    fa_free(b);
    fa_free(a);
}

/* ---- Sharing, modes, freezing
 * -------------------------------------------------------------------------------------------- */

/* Layers made in statements of their own and put together in another order: the tree's order counts, unless a weight
 * was looked at before. What is made and thrown away draws in its place. The numbers are PyTorch's for seed 0. */
static void test_separate_statements(void **state)
{
    (void)state;
    fa_manual_seed(0);
    fa_module *fc = fa_nn_linear(3, 2);
    fa_module *conv = fa_nn_conv2d(1, 2, 2);
    fa_module *net = fa_nn_sequential(conv, fa_nn_flatten(), fc);
    assert_true(*(const float *)fa_data(fa_find(net, "0.weight")) == -0x1.eaa8p-9F); /* conv made first, in PyTorch */
    assert_true(*(const float *)fa_data(fa_find(net, "2.weight")) == -0x1.65573cp-3F);
    fa_free(net);
    fa_manual_seed(0);
    fc = fa_nn_linear(3, 2);
    fa_data(fa_find(fc, "weight")); /* looked at: drawn now */
    conv = fa_nn_conv2d(1, 2, 2);
    net = fa_nn_sequential(conv, fa_nn_flatten(), fc);
    assert_true(*(const float *)fa_data(fa_find(net, "0.weight")) == -0x1.6b7eep-5F); /* fc made first, in PyTorch */
    assert_true(*(const float *)fa_data(fa_find(net, "2.weight")) == -0x1.1b47dp-8F);
    fa_free(net);
    fa_manual_seed(0);
    fa_free(fa_nn_linear(3, 2));
    conv = fa_nn_conv2d(1, 2, 2);
    assert_true(*(const float *)fa_data(fa_find(conv, "weight")) == -0x1.6b7eep-5F);
    fa_free(conv);
}

static void test_sharing(void **state)
{
    (void)state;
    own *net = (own *)own_new();
    assert_ptr_equal(net->again, net->first);
    assert_ptr_equal(fa_find(&net->base, "tied.weight"), fa_find(&net->base, "first.weight"));
    assert_ptr_equal(fa_find(&net->base, "again.bias"), fa_find(&net->base, "first.bias"));
    assert_ptr_equal(fa_submodule(&net->base, "body.0.1"), fa_child(fa_child(net->body, 0), 1));
    assert_string_equal(fa_class_name(fa_submodule(&net->base, "body.0.1")), "BatchNorm2d");
    assert_string_equal(fa_child_name(net->blocks, 2), "2");
    assert_null(fa_child(net->blocks, 4));

    /* One layer in two networks: both hold it. */
    fa_module *layer = fa_nn_linear(2, 2);
    fa_module *one = fa_nn_sequential(layer), *two = fa_nn_sequential(fa_nn_relu(), layer);
    fa_free(one);
    assert_int_equal(fa_parameters(two).count, 2);
    fa_retain(layer);
    fa_free(two);
    assert_int_equal(fa_parameters(layer).count, 2);
    fa_free(layer);
    fa_free(&net->base);
    assert_int_equal(fa_module_live_count(), 0);
}

static void test_lists_follow_the_tree(void **state)
{
    (void)state;
    fa_module *model = fa_nn_sequential(fa_nn_linear(2, 2));
    fa_tensor_list before = fa_parameters(model);
    assert_int_equal(before.count, 2);
    fa_module *unrelated = fa_nn_sequential(fa_nn_linear(1, 1));
    assert_ptr_equal(fa_parameters(model).tensor, before.tensor);
    assert_string_equal(before.name[1], "0.bias");
    fa_free(unrelated);
    fa_module_add(fa_child(model, 0), "more", fa_nn_linear(1, 1, .bias = false));
    fa_module_add(model, NULL, fa_nn_linear(1, 1, .bias = false));
    fa_tensor_list after = fa_parameters(model);
    assert_int_equal(after.count, 4);
    assert_string_equal(after.name[2], "0.more.weight");
    assert_string_equal(after.name[3], "1.weight");
    fa_free(model);
}

static void test_modes(void **state)
{
    (void)state;
    own *net = (own *)own_new();
    head *inner = (head *)net->head;
    assert_true(fa_is_training(inner->drop));
    assert_ptr_equal(fa_eval(&net->base), &net->base);
    assert_false(fa_is_training(&net->base) || fa_is_training(inner->drop));
    fa_train(net->head);
    assert_true(fa_is_training(inner->drop));
    assert_false(fa_is_training(net->body));
    fa_free(&net->base);

    fa_scope {
        fa_module *drop = fa_nn_dropout(0.5);
        fa_tensor *x = fa_ones(1000);
        double sum = fa_item(fa_sum(fa_forward(drop, x)));
        assert_true(sum != 1000 && sum > 800 && sum < 1200);
        fa_eval(drop);
        assert_true(fa_item(fa_sum(fa_forward(drop, x))) == 1000);
        fa_free(drop);
    }
}

static void test_freezing(void **state)
{
    (void)state;
    fa_module *model = fa_nn_sequential(fa_nn_linear(3, 2), fa_nn_linear(2, 1));
    assert_ptr_equal(fa_requires_grad_(fa_child(model, 0), false), fa_child(model, 0));
    fa_requires_grad_(fa_find(model, "1.bias"), false);
    fa_scope {
        fa_backward(fa_sum(fa_forward(model, fa_ones(4, 3))));
        assert_string_equal(fa_error(), "");
        assert_null(fa_grad(fa_find(model, "0.weight")));
        assert_null(fa_grad(fa_find(model, "1.bias")));
        assert_non_null(fa_grad(fa_find(model, "1.weight")));
        assert_true(fa_zero_grad(model));
        assert_null(fa_grad(fa_find(model, "1.weight")));
        fa_requires_grad_(model, true);
        fa_backward(fa_sum(fa_forward(model, fa_ones(4, 3))));
        assert_true(fa_item(fa_grad(fa_find(model, "1.bias"))) == 4);
        assert_non_null(fa_grad(fa_find(model, "0.weight")));
    }
    fa_free(model);
}

static void test_forward(void **state)
{
    (void)state;
    cnn *net = (cnn *)cnn_new();
    fa_scope {
        fa_tensor *x = fa_randn(2, 3, 8, 8);
        fa_tensor *y = fa_forward(&net->base, x);
        fa_tensor *h =
            fa_conv2d(x, fa_find(&net->base, "conv1.weight"), fa_find(&net->base, "conv1.bias"), .padding = 1);
        h = fa_max_pool2d(fa_relu(h), 2);
        h = fa_conv2d(h, fa_find(&net->base, "conv2.weight"), fa_find(&net->base, "conv2.bias"), .padding = 1);
        h = fa_flatten(fa_max_pool2d(fa_relu(h), 2), 1);
        h = fa_linear(h, fa_find(&net->base, "fc.weight"), fa_find(&net->base, "fc.bias"));
        assert_int_equal(fa_numel(y), 20);
        assert_same_bytes(fa_data(y), fa_data(h), 80);
        fa_module *criterion = fa_nn_cross_entropy_loss(.label_smoothing = 0.1);
        fa_tensor *labels = fa_tensor_of_as(FA_INT64, FA_SHAPE(2), 3, 9);
        assert_true(fa_item(fa_criterion(criterion, y, labels)) ==
                    fa_item(fa_cross_entropy(y, labels, .label_smoothing = 0.1)));
        fa_free(criterion);
    }
    fa_free(&net->base);
    assert_string_equal(fa_error(), "");
}

static void test_own_tensors(void **state)
{
    (void)state;
    fa_scope {
        own *net = (own *)own_new();
        fa_tensor *value = fa_tensor_of(FA_SHAPE(2), 4, 5);
        fa_tensor *copy = fa_own_parameter(net, gain, fa_tensor_of_as(FA_FLOAT32, FA_SCALAR, 2));
        assert_true(fa_item(copy) == 2 && fa_requires_grad(copy) && net->gain == copy);
        fa_register_parameter(net->head, "extra", value);
        assert_int_equal(fa_numel(fa_find(&net->base, "head.extra")), 2);
        assert_true(((const float *)fa_data(fa_find(&net->base, "head.extra")))[1] == 5);
        assert_true(((const float *)fa_data(net->mean))[2] == 0.5f && !fa_requires_grad(net->mean));
        fa_free(&net->base);
    }
    assert_string_equal(fa_error(), "");
}

/* ---- Errors
 * -------------------------------------------------------------------------------------------------------------- */

/* The error stands in this file, of this kind, holds the parts and a hint; then it is cleared. */
static void check_error(fa_error_kind kind, const char *part, const char *other)
{
    assert_false(fa_ok());
    assert_int_equal(fa_error_code(), kind);
    assert_contains(fa_error(), "test_modules.c:");
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), other);
    assert_contains(fa_error(), "Hint: ");
    fa_clear_error();
}

static void test_constructor_errors(void **state)
{
    (void)state;
    assert_null(fa_nn_conv2d(3, 8, 3, .groups = 2));
    check_error(FA_VALUE_ERROR, "fa_nn_conv2d: got in_channels 3", "groups 2");
    assert_null(fa_nn_conv2d(4, 7, 3, .groups = 2));
    check_error(FA_VALUE_ERROR, "out_channels 7", "groups 2");
    assert_null(fa_nn_conv2d(4, 8, 3, .groups = 0));
    check_error(FA_VALUE_ERROR, "groups 0", "Hint: ");
    assert_null(fa_nn_conv2d(1, 8, 3, .padding = -1));
    check_error(FA_VALUE_ERROR, "padding -1 x -1", "Hint: ");
    assert_null(fa_nn_conv2d(1, 8, 3, .stride = 0));
    check_error(FA_VALUE_ERROR, "stride 0 x 0", "Hint: ");
    assert_null(fa_nn_conv2d(1, 8, 3, .dilation_hw = {1, 0}));
    check_error(FA_VALUE_ERROR, "dilation 1 x 0", "Hint: ");
    assert_null(fa_nn_conv2d(1, 8, 3, .stride = 2, .padding = FA_SAME));
    check_error(FA_VALUE_ERROR, "FA_SAME", "Hint: ");
    assert_null(fa_nn_conv2d(1, 8));
    check_error(FA_VALUE_ERROR, "got no kernel_size", "Hint: ");
    assert_null(fa_nn_conv2d(0, 8, 3));
    check_error(FA_VALUE_ERROR, "in_channels 0", "Hint: ");
    assert_null(fa_nn_linear(10));
    check_error(FA_VALUE_ERROR, "got no out_features", "Hint: ");
    assert_null(fa_nn_max_pool2d(2, .padding = 2));
    check_error(FA_VALUE_ERROR, "padding 2", "at most half");
    assert_null(fa_nn_max_pool2d(2, .padding = -1));
    check_error(FA_VALUE_ERROR, "padding -1 x -1", "Hint: ");
    assert_null(fa_nn_max_pool2d(2, .stride = 0));
    check_error(FA_VALUE_ERROR, "stride 0 x 0", "Hint: ");
    assert_null(fa_nn_max_pool2d(0, .stride = 1));
    check_error(FA_VALUE_ERROR, "kernel_size 0", "Hint: ");
    assert_null(fa_nn_avg_pool2d(2, .divisor_override = 0));
    check_error(FA_VALUE_ERROR, "divisor_override 0", "Hint: ");
    assert_null(fa_nn_dropout(1.5));
    check_error(FA_VALUE_ERROR, "p 1.5", "Hint: ");
    assert_null(fa_nn_dropout(NAN));
    check_error(FA_VALUE_ERROR, "p nan", "Hint: ");
    assert_null(fa_nn_cross_entropy_loss(.label_smoothing = 2));
    check_error(FA_VALUE_ERROR, "label_smoothing 2", "Hint: ");
}

static void test_null_children(void **state)
{
    (void)state;
    int64_t live = fa_module_live_count();
    assert_null(fa_nn_sequential(fa_nn_linear(2, 2), fa_nn_dropout(2), fa_nn_relu()));
    check_error(FA_VALUE_ERROR, "fa_nn_dropout", "p 2");
    assert_null(fa_nn_sequential(fa_nn_linear(2, 2), NULL));
    check_error(FA_VALUE_ERROR, "Sequential", "module 1 of 2");
    assert_int_equal(fa_module_live_count(), live);

    cnn *net = fa_module_new(cnn, cnn_forward);
    fa_layer(net, conv1, fa_nn_conv2d(3, 4, 0));
    assert_null(net->conv1);
    fa_layer(net, fc, fa_nn_linear(1, 1));
    assert_null(fa_forward(&net->base, NULL));
    check_error(FA_VALUE_ERROR, "kernel_size 0", "Hint: ");
    fa_scope {
        assert_null(fa_forward(&net->base, fa_ones(1, 3, 8, 8)));
        check_error(FA_STATE_ERROR, "got NULL, needs a module", "Hint: ");
    }
    fa_free(&net->base);
    assert_null(fa_parameters(NULL).tensor);
    check_error(FA_STATE_ERROR, "fa_parameters", "Hint: ");
    assert_int_equal(fa_module_live_count(), live);
}

static void test_tree_errors(void **state)
{
    (void)state;
    fa_module *model = fa_nn_sequential(fa_nn_linear(2, 2));
    fa_module *inner = fa_child(model, 0);
    assert_null(fa_module_add(inner, "loop", model));
    check_error(FA_VALUE_ERROR, "part of", "Hint: ");
    assert_null(fa_module_add(model, "a.b", fa_nn_relu()));
    check_error(FA_VALUE_ERROR, "a.b", "dot");
    assert_null(fa_module_add(inner, "weight", fa_nn_relu()));
    check_error(FA_VALUE_ERROR, "weight", "Hint: ");
    fa_free(inner);
    assert_false(fa_ok());
    assert_contains(fa_error(), "free the root");
    fa_clear_error();
    assert_null(fa_find(model, "0.wieght"));
    check_error(FA_VALUE_ERROR, "0.wieght", "0.weight, 0.bias");
    assert_null(fa_submodule(model, "0.x"));
    check_error(FA_VALUE_ERROR, "no child \"x\"", "Hint: ");
    assert_ptr_equal(fa_to(model, FA_CPU), model);
    if (!fa_cuda_is_available()) {
        assert_ptr_equal(fa_to(model, FA_CUDA), model);
        check_error(FA_STATE_ERROR, fa_cuda_reason(), "Hint: ");
    }
    fa_scope {
        fa_register_parameter(inner, "weight", fa_ones(3, 3));
        check_error(FA_SHAPE_ERROR, "[3, 3]", "[2, 2]");
        fa_register_parameter(inner, "index", fa_tensor_of_as(FA_INT64, FA_SHAPE(1), 1));
        check_error(FA_DTYPE_ERROR, "int64", "fa_own_buffer");
    }
    fa_free(model);
}

static fa_tensor *endless_forward(fa_module *self, fa_tensor *x)
{
    return fa_forward(self, x);
}

static jmp_buf out;

static fa_tensor *jumping_forward(fa_module *self, fa_tensor *x)
{
    (void)self;
    (void)x;
    longjmp(out, 1);
}

static void test_forward_errors(void **state)
{
    (void)state;
    cnn *net = (cnn *)cnn_new();
    simple *other = (simple *)simple_new();
    cnn *endless = fa_module_new(cnn, endless_forward);
    fa_scope {
        assert_null(fa_forward(&net->base, fa_ones(2, 1, 8, 8)));
        check_error(FA_SHAPE_ERROR, "(conv1)", "[2, 1, 8, 8]");
        assert_null(fa_forward(&net->base, fa_ones(2, 3, 16, 16)));
        check_error(FA_SHAPE_ERROR, "(fc)", "24");
        assert_null(fa_forward(&other->base, fa_ones(2, 3, 16, 16)));
        check_error(FA_SHAPE_ERROR, "(net.4)", "16");
        assert_null(fa_forward(fa_child(other->net, 4), fa_ones(2, 3)));
        check_error(FA_SHAPE_ERROR, "(net.4)", "16");
        assert_null(fa_forward(&endless->base, fa_ones(1)));
        check_error(FA_STATE_ERROR, "256 modules", "Hint: ");
        assert_null(fa_forward(&net->base, NULL));
        check_error(FA_VALUE_ERROR, "NULL", "Hint: ");
        fa_module *list = fa_nn_module_list(fa_nn_relu());
        assert_null(fa_forward(list, fa_ones(1)));
        check_error(FA_STATE_ERROR, "ModuleList", "fa_child");
        fa_free(list);
        fa_module *norm = fa_nn_batch_norm2d(3);
        assert_null(fa_forward(norm, fa_ones(3, 4, 4)));
        check_error(FA_SHAPE_ERROR, "[3, 4, 4]", "4 dimensions");
        assert_null(fa_forward(norm, fa_ones(2, 4, 4, 4)));
        check_error(FA_SHAPE_ERROR, "[2, 4, 4, 4]", "3 channels");
        fa_free(norm);
        assert_non_null(fa_forward(&net->base, fa_ones(2, 3, 8, 8)));
    }
    fa_free(&net->base), fa_free(&other->base), fa_free(&endless->base);
}

static void forward_and_jump(fa_module *module)
{
    fa_scope {
        fa_forward(module, fa_ones(1));
    }
}

/* Jumps out of forward passes leave nothing behind, however many. */
static void test_jumps(void **state)
{
    (void)state;
    cnn *jumping = fa_module_new(cnn, jumping_forward);
    fa_module *deep = fa_nn_sequential(fa_nn_sequential(&jumping->base));
    volatile int jumps = 0;
    uint64_t mark = fa_scope_mark();
    if (setjmp(out) == 0 || ++jumps < 1000)
        forward_and_jump(deep);
    fa_scope_reset(mark);
    assert_int_equal(jumps, 1000);
    assert_string_equal(fa_error(), "");
    fa_raise(FA_VALUE_ERROR, "outside");
    assert_null(strstr(fa_error(), "(0"));
    fa_free(deep);
}

/* ---- Summary
 * --------------------------------------------------------------------------------------------------------------- */

static void summarize(fa_module *model, fa_shape shape, char *text, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_true(fa_summary(model, shape, file));
    rewind(file);
    text[fread(text, 1, size - 1, file)] = 0;
    fclose(file);
}

static void test_summary(void **state)
{
    (void)state;
    cnn *net = (cnn *)cnn_new();
    char text[8192];
    fa_train(&net->base);
    summarize(&net->base, FA_SHAPE(1, 3, 8, 8), text, sizeof text);
    assert_string_equal(
        text,
        "layer             output        receptive field  parameters  multiply-adds   memory\n"
        "-----------------------------------------------------------------------------------\n"
        "conv1 (Conv2d)    [1, 4, 8, 8]  3 x 3                   112          6,912  1.9 KiB\n"
        "pool (MaxPool2d)  [1, 4, 4, 4]  4 x 4                     0              0    256 B\n"
        "conv2 (Conv2d)    [1, 6, 4, 4]  8 x 8                   222          3,456  2.1 KiB\n"
        "pool (MaxPool2d)  [1, 6, 2, 2]  10 x 10                   0              0     96 B\n"
        "fc (Linear)       [1, 10]       8 x 8                   250            240  2.0 KiB\n"
        "CNN               [1, 10]       8 x 8                     0              0  1.4 KiB\n"
        "-----------------------------------------------------------------------------------\n"
        "parameters: 584, trained: 584\n"
        "multiply-adds of a forward pass: 10,608\n"
        "memory of a training step: 9.7 KiB (weights 2.3 KiB, their gradients 2.3 KiB, values between layers 5.1 KiB); "
        "Adam adds 4.6 KiB\n");
    assert_true(fa_is_training(net->conv1));
    fa_requires_grad_(net->fc, false);
    summarize(&net->base, FA_SHAPE(64, 3, 8, 8), text, sizeof text);
    assert_contains(text, "[64, 10]");
    assert_contains(text, "parameters: 584, trained: 334\n");
    assert_contains(text, "multiply-adds of a forward pass: 678,912\n");
    assert_false(fa_summary(&net->base, FA_SHAPE(1, 1, 8, 8), stdout));
    check_error(FA_SHAPE_ERROR, "(conv1)", "[1, 1, 8, 8]");
    assert_true(fa_is_training(net->conv1));
    fa_free(&net->base);

    /* Nothing is computed and nothing changes: running statistics, the generator. */
    fa_module *model = fa_nn_sequential(fa_nn_batch_norm2d(2), fa_nn_dropout());
    fa_manual_seed(3);
    uint8_t before[FA_GENERATOR_STATE_SIZE], after[FA_GENERATOR_STATE_SIZE];
    fa_generator_get_state(NULL, before);
    summarize(model, FA_SHAPE(4, 2, 8, 8), text, sizeof text);
    fa_generator_get_state(NULL, after);
    assert_same_bytes(before, after, sizeof before);
    assert_true(fa_item(fa_find(model, "0.num_batches_tracked")) == 0);
    fa_free(model);
}

/* ---- Threads
 * ----------------------------------------------------------------------------------------------------------------- */

static void *build(void *count)
{
    for (int i = 0; i < 200; i++) {
        fa_module *model = cnn_new();
        *(int64_t *)count += fa_parameters(model).count;
        if (i % 3 == 0)
            fa_data(fa_find(model, "fc.bias"));
        fa_free(model);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t thread[3];
    int64_t count[3] = {0};
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, build, &count[i]), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(count[i], 200 * 6);
    }
    assert_int_equal(fa_module_live_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_printed_form, no_error),
        cmocka_unit_test_setup(test_names, no_error),
        cmocka_unit_test_setup(test_initial_weights, no_error),
        cmocka_unit_test_setup(test_weights_of_what_is_freed_are_drawn, no_error),
        cmocka_unit_test_setup(test_seed_comes_after_waiting_weights, no_error),
        cmocka_unit_test_setup(test_older_roots_first, no_error),
        cmocka_unit_test_setup(test_separate_statements, no_error),
        cmocka_unit_test_setup(test_sharing, no_error),
        cmocka_unit_test_setup(test_lists_follow_the_tree, no_error),
        cmocka_unit_test_setup(test_modes, no_error),
        cmocka_unit_test_setup(test_freezing, no_error),
        cmocka_unit_test_setup(test_forward, no_error),
        cmocka_unit_test_setup(test_own_tensors, no_error),
        cmocka_unit_test_setup(test_constructor_errors, no_error),
        cmocka_unit_test_setup(test_null_children, no_error),
        cmocka_unit_test_setup(test_tree_errors, no_error),
        cmocka_unit_test_setup(test_forward_errors, no_error),
        cmocka_unit_test_setup(test_jumps, no_error),
        cmocka_unit_test_setup(test_summary, no_error),
        cmocka_unit_test_setup(test_threads, no_error),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
