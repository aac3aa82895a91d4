/* Layers one by one, and the initialisers of torch.nn.init, against PyTorch (golden/nn_layers.json): printed form,
 * keys, first weights and draws, and what a layer gives in training. */
#include "support/facula_test.h"

#include "support/golden.h"

#include "facula.h"

#include <math.h>
#include <string.h>

static golden_file golden;

#define MADE(name, expression)                                                                                         \
    static fa_module *make_##name(void)                                                                                \
    {                                                                                                                  \
        return expression;                                                                                             \
    }
MADE(relu6, fa_nn_relu6())
MADE(relu6_inplace, fa_nn_relu6(.inplace = true))
MADE(leaky_relu, fa_nn_leaky_relu())
MADE(leaky_relu_inplace, fa_nn_leaky_relu(0.2, .inplace = true))
MADE(prelu, fa_nn_prelu())
MADE(prelu_channels, fa_nn_prelu(3, .init = 0.1))
MADE(elu, fa_nn_elu())
MADE(elu_inplace, fa_nn_elu(0.5, .inplace = true))
MADE(sigmoid, fa_nn_sigmoid())
MADE(tanh, fa_nn_tanh())
MADE(gelu, fa_nn_gelu())
MADE(silu, fa_nn_silu())
MADE(silu_inplace, fa_nn_silu(.inplace = true))
MADE(hardswish, fa_nn_hardswish())
MADE(hardswish_inplace, fa_nn_hardswish(.inplace = true))
MADE(hardsigmoid, fa_nn_hardsigmoid())
MADE(hardsigmoid_inplace, fa_nn_hardsigmoid(.inplace = true))
MADE(softplus, fa_nn_softplus())
MADE(softplus_beta, fa_nn_softplus(2.0, 1.5))
MADE(hardtanh, fa_nn_hardtanh())
MADE(hardtanh_inplace, fa_nn_hardtanh(-2.0, 0.5, .inplace = true))
MADE(conv_transpose2d, fa_nn_conv_transpose2d(4, 2, 3))
MADE(conv_transpose2d_all,
     fa_nn_conv_transpose2d(4, 6, .kernel_hw = {3, 5}, .stride = 2, .padding_hw = {1, 2}, .output_padding = 1,
                            .groups = 2, .bias = false, .dilation_hw = {2, 1}))
MADE(conv2d_reflect, fa_nn_conv2d(2, 3, 3, .padding_hw = {2, 1}, .padding_mode = FA_PAD_REFLECT))
MADE(conv2d_replicate, fa_nn_conv2d(2, 3, .kernel_hw = {2, 4}, .padding = FA_SAME, .dilation_hw = {1, 2},
                                    .padding_mode = FA_PAD_REPLICATE))
MADE(conv2d_circular, fa_nn_conv2d(2, 4, 3, .stride = 2, .padding = 1, .groups = 2, .padding_mode = FA_PAD_CIRCULAR))
MADE(adaptive_avg_pool2d, fa_nn_adaptive_avg_pool2d(1))
MADE(dropout_inplace, fa_nn_dropout(0.3, .inplace = true))
MADE(dropout2d, fa_nn_dropout2d())
MADE(dropout2d_inplace, fa_nn_dropout2d(0.2, .inplace = true))
MADE(group_norm, fa_nn_group_norm(2, 4))
MADE(group_norm_plain, fa_nn_group_norm(1, 4, .eps = 1e-3, .affine = false))
MADE(group_norm_no_bias, fa_nn_group_norm(4, 4, .bias = false))
MADE(layer_norm, fa_nn_layer_norm(FA_SHAPE(5)))
MADE(layer_norm_plain, fa_nn_layer_norm(FA_SHAPE(3, 5), .elementwise_affine = false))
MADE(layer_norm_no_bias, fa_nn_layer_norm(FA_SHAPE(5), .eps = 0.25, .bias = false))
MADE(instance_norm2d, fa_nn_instance_norm2d(3))
MADE(instance_norm2d_affine, fa_nn_instance_norm2d(3, .eps = 1e-2, .momentum = 0.2, .affine = true))
MADE(batch_norm1d, fa_nn_batch_norm1d(3))
MADE(batch_norm1d_length, fa_nn_batch_norm1d(3, .momentum = NAN))
MADE(upsample, fa_nn_upsample(.scale_factor = 2))
MADE(upsample_size, fa_nn_upsample(.size = 7))
MADE(upsample_pair, fa_nn_upsample(.size_hw = {3, 4}, .mode = FA_BILINEAR, .align_corners = true))
MADE(upsample_factors, fa_nn_upsample(.scale_factor_hw = {2, 3.5}, .mode = FA_BILINEAR))
MADE(sequential_named, fa_nn_sequential_named({"conv", fa_nn_conv2d(1, 2, 3)}, {"act", fa_nn_relu()}))
MADE(module_dict, fa_nn_module_dict({"a", fa_nn_linear(2, 1)}, {"b", fa_nn_relu()}, {"c", fa_nn_relu()}))

#define LAYER(name)                                                                                                    \
    {                                                                                                                  \
#name, make_##name                                                                                             \
    }
static const struct {
    const char *name;
    fa_module *(*make)(void);
} layers[] = {LAYER(relu6),
              LAYER(relu6_inplace),
              LAYER(leaky_relu),
              LAYER(leaky_relu_inplace),
              LAYER(prelu),
              LAYER(prelu_channels),
              LAYER(elu),
              LAYER(elu_inplace),
              LAYER(sigmoid),
              LAYER(tanh),
              LAYER(gelu),
              LAYER(silu),
              LAYER(silu_inplace),
              LAYER(hardswish),
              LAYER(hardswish_inplace),
              LAYER(hardsigmoid),
              LAYER(hardsigmoid_inplace),
              LAYER(softplus),
              LAYER(softplus_beta),
              LAYER(hardtanh),
              LAYER(hardtanh_inplace),
              LAYER(conv_transpose2d),
              LAYER(conv_transpose2d_all),
              LAYER(conv2d_reflect),
              LAYER(conv2d_replicate),
              LAYER(conv2d_circular),
              LAYER(adaptive_avg_pool2d),
              LAYER(dropout_inplace),
              LAYER(dropout2d),
              LAYER(dropout2d_inplace),
              LAYER(group_norm),
              LAYER(group_norm_plain),
              LAYER(group_norm_no_bias),
              LAYER(layer_norm),
              LAYER(layer_norm_plain),
              LAYER(layer_norm_no_bias),
              LAYER(instance_norm2d),
              LAYER(instance_norm2d_affine),
              LAYER(batch_norm1d),
              LAYER(batch_norm1d_length),
              LAYER(upsample),
              LAYER(upsample_size),
              LAYER(upsample_pair),
              LAYER(upsample_factors),
              LAYER(sequential_named),
              LAYER(module_dict)};
enum { LAYERS = sizeof layers / sizeof *layers };

static size_t bytes_of(const golden_tensor *t)
{
    return (size_t)t->numel * (t->dtype == FA_FLOAT32 ? 4 : 8);
}

static void test_layers(void **state)
{
    (void)state;
    for (int i = 0; i < LAYERS; i++)
        fa_scope {
            const char *name = layers[i].name;
            const cJSON *want = cJSON_GetObjectItem(cJSON_GetObjectItem(golden.index, "layers"), name);
            assert_non_null(want);
            fa_manual_seed(0);
            fa_module *layer = layers[i].make();
            if (layer == NULL)
                fail_msg("%s: %s", name, fa_error());
            char text[1024];
            fa_module_format(layer, text, sizeof text);
            assert_string_equal(text, cJSON_GetObjectItem(want, "print")->valuestring);
            fa_tensor_list state_dict = fa_state_dict(layer);
            const cJSON *keys = cJSON_GetObjectItem(want, "keys");
            assert_int_equal(state_dict.count, cJSON_GetArraySize(keys));
            for (int k = 0; k < state_dict.count; k++) {
                assert_string_equal(state_dict.name[k], cJSON_GetArrayItem(keys, k)->valuestring);
                const golden_tensor *value = golden_find(&golden, "%s.%s", name, state_dict.name[k]);
                assert_same_bytes(fa_data(state_dict.tensor[k]), value->data, bytes_of(value));
            }
            const golden_tensor *x = golden_find(&golden, "%s.x", name), *y = golden_find(&golden, "%s.y", name);
            if (x != NULL) {
                fa_manual_seed(1);
                fa_tensor *out = fa_forward(layer, fa_from_memory(x->data, x->dtype, x->shape));
                const float *got = fa_data(out);
                if (got == NULL)
                    fail_msg("%s: %s", name, fa_error());
                assert_int_equal(fa_numel(out), y->numel);
                assert_all_close_f32(got, y->data, fa_numel(out), 1e-5, 1e-5);
            }
            fa_free(layer);
        }
    assert_true(fa_ok());
}

/* ---- torch.nn.init -------------------------------------------------------------------------------------------------
 */

static void initialise(const char *name, fa_tensor *t)
{
    if (strcmp(name, "uniform") == 0)
        fa_init_uniform_(t);
    else if (strcmp(name, "uniform_ab") == 0)
        fa_init_uniform_(t, .a = -2.5, .b = 0.3);
    else if (strcmp(name, "normal") == 0 || strcmp(name, "normal_f64") == 0)
        fa_init_normal_(t);
    else if (strcmp(name, "normal_few") == 0)
        fa_init_normal_(t, .mean = 1.5, .std = 0.2);
    else if (strcmp(name, "constant") == 0)
        fa_init_constant_(t, 0.3);
    else if (strcmp(name, "ones") == 0)
        fa_init_ones_(t);
    else if (strcmp(name, "zeros") == 0)
        fa_init_zeros_(t);
    else if (strcmp(name, "eye") == 0)
        fa_init_eye_(t);
    else if (strcmp(name, "dirac") == 0)
        fa_init_dirac_(t);
    else if (strcmp(name, "dirac_groups") == 0)
        fa_init_dirac_(t, .groups = 3);
    else if (strcmp(name, "xavier_uniform") == 0)
        fa_init_xavier_uniform_(t);
    else if (strcmp(name, "xavier_normal") == 0)
        fa_init_xavier_normal_(t, .gain = 2.0);
    else if (strcmp(name, "kaiming_uniform") == 0)
        fa_init_kaiming_uniform_(t);
    else if (strcmp(name, "kaiming_uniform_slope") == 0)
        fa_init_kaiming_uniform_(t, .a = sqrt(5));
    else if (strcmp(name, "kaiming_normal") == 0)
        fa_init_kaiming_normal_(t, .mode = FA_FAN_OUT, .nonlinearity = FA_GAIN_RELU);
    else if (strcmp(name, "kaiming_normal_tanh") == 0)
        fa_init_kaiming_normal_(t, .nonlinearity = FA_GAIN_TANH);
    else if (strcmp(name, "trunc_normal") == 0)
        fa_init_trunc_normal_(t);
    else if (strcmp(name, "trunc_normal_std") == 0)
        fa_init_trunc_normal_(t, .std = 0.02);
    else if (strcmp(name, "trunc_normal_tail") == 0)
        fa_init_trunc_normal_(t, .mean = 0.5, .std = 2.0, .a = 1.0, .b = 1.5);
    else if (strcmp(name, "orthogonal") == 0)
        fa_init_orthogonal_(t);
    else if (strcmp(name, "orthogonal_tall") == 0)
        fa_init_orthogonal_(t, .gain = 1.5);
    else if (strcmp(name, "uniform_f64") == 0)
        fa_init_uniform_(t, .a = -1, .b = 3);
    else
        fail_msg("no call for %s", name);
}

static void test_initialisers(void **state)
{
    (void)state;
    const cJSON *entry;
    int count = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden.index, "init"))
    {
        const char *name = entry->string;
        const golden_tensor *want = golden_find(&golden, "init.%s", name);
        fa_scope {
            fa_tensor *t = fa_full(want->shape, 7, .dtype = want->dtype);
            fa_manual_seed(2);
            initialise(name, t);
            if (!fa_ok())
                fail_msg("%s: %s", name, fa_error());
            if (strncmp(name, "orthogonal", 10) == 0) /* the property, not the bits */
                assert_all_close_f32(fa_data(t), want->data, fa_numel(t), 1e-5, 1e-5);
            else
                assert_same_bytes(fa_data(t), want->data, bytes_of(want));
            const float *then = fa_data(fa_rand(2));
            const cJSON *numbers = cJSON_GetObjectItem(entry, "then");
            for (int i = 0; i < 2; i++)
                assert_true(then[i] == (float)cJSON_GetArrayItem(numbers, i)->valuedouble);
        }
        count++;
    }
    assert_int_equal(count, 23);
}

/* ---- Hooks and walks -----------------------------------------------------------------------------------------------
 */

static int calls;

static fa_tensor *double_output(fa_module *module, fa_tensor *x, fa_tensor *output, void *context)
{
    (void)module;
    (void)x;
    *(int *)context += 1;
    return fa_mul(output, 2);
}

static fa_tensor *see_gradient(fa_module *module, fa_tensor *gradient, fa_tensor *other, void *context)
{
    (void)module;
    (void)other;
    *(double *)context = fa_item(fa_sum(gradient));
    return NULL;
}

static void count_module(fa_module *module, void *context)
{
    (void)module;
    ++*(int *)context;
}

static void test_hooks(void **state)
{
    (void)state;
    fa_module *net = fa_nn_sequential(fa_nn_linear(2, 3), fa_nn_relu());
    double seen = 0;
    fa_scope {
        fa_tensor *x = fa_ones(4, 2);
        double plain = fa_item(fa_sum(fa_forward(net, x)));
        int64_t id = fa_register_forward_hook(fa_submodule(net, "0"), double_output, &calls);
        assert_true(id != 0);
        assert_true(fabs(fa_item(fa_sum(fa_forward(net, x))) - 2 * plain) < 1e-5);
        assert_int_equal(calls, 1);
        int64_t back = fa_register_backward_hook(fa_submodule(net, "1"), see_gradient, &seen);
        fa_backward(fa_sum(fa_forward(net, x)));
        assert_true(seen == 12);
        assert_true(fa_remove_hook(fa_submodule(net, "0"), id));
        assert_false(fa_remove_hook(fa_submodule(net, "0"), id));
        assert_true(fa_remove_hook(fa_submodule(net, "1"), back));
        assert_true(fa_item(fa_sum(fa_forward(net, x))) == plain);
        int modules = 0;
        fa_apply(net, count_module, &modules);
        assert_int_equal(modules, 3);
        assert_int_equal(fa_named_modules(net).count, 3);
    }
    assert_true(fa_ok());
    fa_free(net);
}

static int open_golden(void **state)
{
    (void)state;
    static char why[256];
    if (golden_open(&golden, "nn_layers", why))
        return 0;
    print_error("%s\n", why);
    return 1;
}

static int close_golden(void **state)
{
    (void)state;
    golden_close(&golden);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layers), cmocka_unit_test(test_initialisers),
                                       cmocka_unit_test(test_hooks)};
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
