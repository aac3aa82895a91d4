/* Layers one by one against PyTorch (golden/nn_layers.json): printed form, keys, initial weights, what they give; the
 * functions of torch.nn.init; containers by name, walks over modules, hooks. */
#include "support/facula_test.h"
#include "support/golden.h"

#include <facula.h>
#include <math.h>
#include <string.h>

static golden_file golden;

static int open_golden(void **state)
{
    (void)state;
    char why[256];
    if (golden_open(&golden, "nn_layers", why))
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

/* ---- Layers --------------------------------------------------------------------------------------------------------
 */

#define LAYER(name, expression)                                                                                        \
    static fa_module *make_##name(void)                                                                                \
    {                                                                                                                  \
        return expression;                                                                                             \
    }

LAYER(relu6, fa_nn_relu6())
LAYER(relu6_inplace, fa_nn_relu6(.inplace = true))
LAYER(leaky_relu, fa_nn_leaky_relu())
LAYER(leaky_relu_inplace, fa_nn_leaky_relu(0.2, .inplace = true))
LAYER(prelu, fa_nn_prelu())
LAYER(prelu_channels, fa_nn_prelu(3, .init = 0.1))
LAYER(elu, fa_nn_elu())
LAYER(elu_inplace, fa_nn_elu(0.5, .inplace = true))
LAYER(sigmoid, fa_nn_sigmoid())
LAYER(tanh, fa_nn_tanh())
LAYER(gelu, fa_nn_gelu())
LAYER(gelu_tanh, fa_nn_gelu(FA_GELU_TANH))
LAYER(silu, fa_nn_silu())
LAYER(silu_inplace, fa_nn_silu(.inplace = true))
LAYER(hardswish, fa_nn_hardswish())
LAYER(hardswish_inplace, fa_nn_hardswish(.inplace = true))
LAYER(hardsigmoid, fa_nn_hardsigmoid())
LAYER(hardsigmoid_inplace, fa_nn_hardsigmoid(.inplace = true))
LAYER(softplus, fa_nn_softplus())
LAYER(softplus_beta, fa_nn_softplus(2, 1.5))
LAYER(hardtanh, fa_nn_hardtanh())
LAYER(hardtanh_inplace, fa_nn_hardtanh(-2, 0.5, .inplace = true))
LAYER(conv_transpose2d, fa_nn_conv_transpose2d(4, 2, 3))
LAYER(conv_transpose2d_all,
      fa_nn_conv_transpose2d(4, 6, .kernel_hw = {3, 5}, .stride = 2, .padding_hw = {1, 2}, .output_padding = 1,
                             .groups = 2, .bias = false, .dilation_hw = {2, 1}))
LAYER(conv2d_reflect, fa_nn_conv2d(2, 3, 3, .padding_hw = {2, 1}, .padding_mode = FA_PAD_REFLECT))
LAYER(conv2d_replicate, fa_nn_conv2d(2, 3, .kernel_hw = {2, 4}, .padding = FA_SAME, .dilation_hw = {1, 2},
                                     .padding_mode = FA_PAD_REPLICATE))
LAYER(conv2d_circular, fa_nn_conv2d(2, 4, 3, .stride = 2, .padding = 1, .groups = 2, .padding_mode = FA_PAD_CIRCULAR))
LAYER(adaptive_avg_pool2d, fa_nn_adaptive_avg_pool2d(1))
LAYER(adaptive_avg_pool2d_pair, fa_nn_adaptive_avg_pool2d(.output_hw = {2, FA_NONE}))
LAYER(adaptive_max_pool2d, fa_nn_adaptive_max_pool2d(.output_hw = {FA_NONE, 3}))
LAYER(dropout_inplace, fa_nn_dropout(0.3, .inplace = true))
LAYER(dropout2d, fa_nn_dropout2d())
LAYER(dropout2d_inplace, fa_nn_dropout2d(0.2, .inplace = true))
LAYER(group_norm, fa_nn_group_norm(2, 4))
LAYER(group_norm_plain, fa_nn_group_norm(1, 4, .eps = 1e-3, .affine = false))
LAYER(group_norm_no_bias, fa_nn_group_norm(4, 4, .bias = false))
LAYER(layer_norm, fa_nn_layer_norm(FA_SHAPE(5)))
LAYER(layer_norm_plain, fa_nn_layer_norm(FA_SHAPE(3, 5), .elementwise_affine = false))
LAYER(layer_norm_no_bias, fa_nn_layer_norm(FA_SHAPE(5), .eps = 0.25, .bias = false))
LAYER(instance_norm2d, fa_nn_instance_norm2d(3))
LAYER(instance_norm2d_affine, fa_nn_instance_norm2d(3, .eps = 1e-2, .momentum = 0.2, .affine = true))
LAYER(batch_norm1d, fa_nn_batch_norm1d(3))
LAYER(batch_norm1d_length, fa_nn_batch_norm1d(3, .momentum = NAN))
LAYER(upsample, fa_nn_upsample(.scale_factor = 2))
LAYER(upsample_size, fa_nn_upsample(7))
LAYER(upsample_pair, fa_nn_upsample(.size_hw = {3, 4}, .mode = FA_BILINEAR, .align_corners = true))
LAYER(upsample_factors, fa_nn_upsample(.scale_factor_hw = {2, 3.5}, .mode = FA_BILINEAR))
LAYER(instance_norm2d_tracking, fa_nn_instance_norm2d(3, .affine = true, .track_running_stats = true, .bias = false))
LAYER(instance_norm2d_momentum, fa_nn_instance_norm2d(3, .momentum = NAN, .track_running_stats = true))
LAYER(upsample_line, fa_nn_upsample(.scale_factor = 1.5, .mode = FA_LINEAR))
LAYER(sequential_named, fa_nn_sequential_named({"conv", fa_nn_conv2d(1, 2, 3)}, {"act", fa_nn_relu()}))
LAYER(module_dict, fa_nn_module_dict({"a", fa_nn_linear(2, 1)}, {"b", fa_nn_relu()}, {"c", fa_nn_relu()}))
LAYER(module_dict_empty, fa_nn_module_dict())

#define ENTRY(name)                                                                                                    \
    {                                                                                                                  \
#name, make_##name                                                                                             \
    }
static const struct {
    const char *name;
    fa_module *(*make)(void);
} layers[] = {
    ENTRY(relu6),
    ENTRY(relu6_inplace),
    ENTRY(leaky_relu),
    ENTRY(leaky_relu_inplace),
    ENTRY(prelu),
    ENTRY(prelu_channels),
    ENTRY(elu),
    ENTRY(elu_inplace),
    ENTRY(sigmoid),
    ENTRY(tanh),
    ENTRY(gelu),
    ENTRY(gelu_tanh),
    ENTRY(silu),
    ENTRY(silu_inplace),
    ENTRY(hardswish),
    ENTRY(hardswish_inplace),
    ENTRY(hardsigmoid),
    ENTRY(hardsigmoid_inplace),
    ENTRY(softplus),
    ENTRY(softplus_beta),
    ENTRY(hardtanh),
    ENTRY(hardtanh_inplace),
    ENTRY(conv_transpose2d),
    ENTRY(conv_transpose2d_all),
    ENTRY(conv2d_reflect),
    ENTRY(conv2d_replicate),
    ENTRY(conv2d_circular),
    ENTRY(adaptive_avg_pool2d),
    ENTRY(adaptive_avg_pool2d_pair),
    ENTRY(adaptive_max_pool2d),
    ENTRY(dropout_inplace),
    ENTRY(dropout2d),
    ENTRY(dropout2d_inplace),
    ENTRY(group_norm),
    ENTRY(group_norm_plain),
    ENTRY(group_norm_no_bias),
    ENTRY(layer_norm),
    ENTRY(layer_norm_plain),
    ENTRY(layer_norm_no_bias),
    ENTRY(instance_norm2d),
    ENTRY(instance_norm2d_affine),
    ENTRY(batch_norm1d),
    ENTRY(batch_norm1d_length),
    ENTRY(upsample),
    ENTRY(upsample_size),
    ENTRY(upsample_pair),
    ENTRY(upsample_factors),
    ENTRY(instance_norm2d_tracking),
    ENTRY(instance_norm2d_momentum),
    ENTRY(upsample_line),
    ENTRY(sequential_named),
    ENTRY(module_dict),
    ENTRY(module_dict_empty),
};
enum { LAYERS = sizeof layers / sizeof *layers };

static void check_output(fa_module *layer, const char *name)
{
    const golden_tensor *x = golden_find(&golden, "%s.x", name), *y = golden_find(&golden, "%s.y", name);
    if (!x)
        return;
    fa_scope {
        fa_manual_seed(1);
        fa_tensor *in = fa_from_memory(x->data, x->dtype, x->shape), *out = fa_forward(layer, in);
        assert_string_equal(fa_error(), "");
        assert_int_equal(out == in, strstr(name, "inplace") != NULL);
        assert_int_equal(fa_numel(out), y->numel);
        for (int d = 0; d < y->shape.ndim; d++)
            assert_int_equal(fa_size(out, d), y->shape.size[d]);
        assert_all_close_f32(fa_data(out), y->data, y->numel, 1e-5, 1e-5);
    }
}

static void test_layers(void **state)
{
    (void)state;
    const cJSON *all = cJSON_GetObjectItem(golden.index, "layers");
    assert_int_equal(cJSON_GetArraySize(all), LAYERS);
    for (int i = 0; i < LAYERS; i++) {
        const char *name = layers[i].name;
        const cJSON *want = cJSON_GetObjectItem(all, name), *keys = cJSON_GetObjectItem(want, "keys");
        assert_non_null(want);
        fa_manual_seed(0);
        fa_module *layer = layers[i].make();
        assert_string_equal(fa_error(), "");
        char text[2048];
        fa_module_format(layer, text, sizeof text);
        assert_string_equal(text, cJSON_GetObjectItem(want, "print")->valuestring);
        fa_tensor_list list = fa_state_list(layer);
        assert_int_equal(list.count, cJSON_GetArraySize(keys));
        for (int64_t k = 0; k < list.count; k++) {
            assert_string_equal(list.name[k], cJSON_GetArrayItem(keys, (int)k)->valuestring);
            const golden_tensor *weight = golden_find(&golden, "%s.%s", name, list.name[k]);
            assert_int_equal(fa_numel(list.tensor[k]), weight->numel);
            assert_int_equal(fa_ndim(list.tensor[k]), weight->shape.ndim);
            assert_same_bytes(fa_data(list.tensor[k]), weight->data,
                              (size_t)weight->numel * (weight->dtype == FA_INT64 ? 8 : 4));
        }
        check_output(layer, name);
        fa_free(layer);
    }
}

/* What ends a network runs in evaluation too, and leaves its input alone where it is to do nothing. */
static void test_evaluation(void **state)
{
    (void)state;
    fa_module *drop = fa_nn_dropout2d(0.5), *norm = fa_nn_batch_norm1d(3);
    fa_eval(drop);
    fa_eval(norm);
    fa_scope {
        fa_tensor *x = fa_randn(4, 3);
        assert_ptr_equal(fa_forward(drop, x), x);
        fa_tensor *y = fa_forward(norm, x);
        assert_all_close_f32(fa_data(y), fa_data(x), 12, 1e-4, 1e-5);
    }
    assert_true(fa_item(fa_find(norm, "num_batches_tracked")) == 0);
    fa_free(drop);
    fa_free(norm);
}

static void assert_golden(fa_tensor *got, const char *name)
{
    const golden_tensor *want = golden_find(&golden, "second.%s", name);
    assert_string_equal(fa_error(), "");
    assert_non_null(want);
    assert_int_equal(fa_ndim(got), want->shape.ndim);
    for (int d = 0; d < want->shape.ndim; d++)
        assert_int_equal(fa_size(got, d), want->shape.size[d]);
    assert_int_equal(fa_dtype_of(got), want->dtype);
    if (want->dtype == FA_FLOAT32)
        assert_all_close_f32(fa_data(got), want->data, want->numel, 1e-5, 1e-6);
    else
        assert_same_bytes(fa_data(got), want->data, (size_t)want->numel * 8);
}

/* Running statistics after a step and in evaluation; the places that pools give; a size that is asked for. */
static void test_second_results(void **state)
{
    (void)state;
    const golden_tensor *stored = golden_find(&golden, "second.x");
    fa_module *norm = fa_nn_instance_norm2d(3, .track_running_stats = true);
    fa_module *pool = fa_nn_max_pool2d(2, .stride = 1, .return_indices = true);
    fa_module *adaptive = fa_nn_adaptive_max_pool2d(.output_hw = {3, 2}, .return_indices = true);
    fa_manual_seed(0);
    fa_module *back = fa_nn_conv_transpose2d(3, 2, 3, .stride = 2, .padding = 1);
    fa_scope {
        fa_tensor *x = fa_from_memory(stored->data, stored->dtype, stored->shape);
        fa_forward(norm, x);
        assert_golden(fa_find(norm, "running_mean"), "running_mean");
        assert_golden(fa_find(norm, "running_var"), "running_var");
        assert_true(fa_item(fa_find(norm, "num_batches_tracked")) == 0);
        fa_eval(norm);
        assert_golden(fa_forward(norm, x), "evaluated");
        assert_null(fa_pool_indices(pool));
        assert_contains(fa_error(), "fa_forward it first");
        fa_clear_error();
        assert_golden(fa_forward(pool, x), "max_pool2d");
        assert_golden(fa_pool_indices(pool), "max_pool2d_indices");
        assert_golden(fa_forward(adaptive, x), "adaptive");
        assert_golden(fa_pool_indices(adaptive), "adaptive_indices");
        assert_golden(fa_forward_to_size(back, x, 10, 7), "to_size");
        assert_int_equal(fa_size(fa_forward(back, x), 2), 9); /* the next one has its own size again */
        assert_null(fa_forward_to_size(pool, x, 10, 7));
        assert_contains(fa_error(), "MaxPool2d, needs a ConvTranspose2d");
        fa_clear_error();
        assert_null(fa_pool_indices(norm));
        fa_clear_error();
    }
    assert_null(fa_pool_indices(pool)); /* they ended with their scope */
    assert_false(fa_ok());
    fa_clear_error();
    fa_free(norm);
    fa_free(pool);
    fa_free(adaptive);
    fa_free(back);
}

/* ---- torch.nn.init -------------------------------------------------------------------------------------------------
 */

static fa_tensor *full(fa_dtype dtype, fa_shape shape)
{
    return fa_full(shape, 7, .dtype = dtype);
}

#define INIT(name, ...)                                                                                                \
    {                                                                                                                  \
#name, FA_FLOAT32, FA_SHAPE(__VA_ARGS__), init_##name                                                          \
    }
#define DEFINE_INIT(name, call)                                                                                        \
    static fa_tensor *init_##name(fa_tensor *t)                                                                        \
    {                                                                                                                  \
        return call;                                                                                                   \
    }
DEFINE_INIT(uniform, fa_init_uniform_(t))
DEFINE_INIT(uniform_ab, fa_init_uniform_(t, -2.5, 0.3))
DEFINE_INIT(normal, fa_init_normal_(t))
DEFINE_INIT(normal_few, fa_init_normal_(t, 1.5, 0.2))
DEFINE_INIT(constant, fa_init_constant_(t, 0.3))
DEFINE_INIT(ones, fa_init_ones_(t))
DEFINE_INIT(zeros, fa_init_zeros_(t))
DEFINE_INIT(eye, fa_init_eye_(t))
DEFINE_INIT(dirac, fa_init_dirac_(t))
DEFINE_INIT(dirac_groups, fa_init_dirac_(t, 3))
DEFINE_INIT(xavier_uniform, fa_init_xavier_uniform_(t))
DEFINE_INIT(xavier_normal, fa_init_xavier_normal_(t, 2))
DEFINE_INIT(kaiming_uniform, fa_init_kaiming_uniform_(t))
DEFINE_INIT(kaiming_uniform_slope, fa_init_kaiming_uniform_(t, sqrt(5.0)))
DEFINE_INIT(kaiming_normal, fa_init_kaiming_normal_(t, .mode = FA_FAN_OUT, .nonlinearity = FA_GAIN_RELU))
DEFINE_INIT(kaiming_normal_tanh, fa_init_kaiming_normal_(t, .nonlinearity = FA_GAIN_TANH))
DEFINE_INIT(trunc_normal, fa_init_trunc_normal_(t))
DEFINE_INIT(trunc_normal_std, fa_init_trunc_normal_(t, .std = 0.02))
DEFINE_INIT(trunc_normal_tail, fa_init_trunc_normal_(t, 0.5, 2, 1, 1.5))
DEFINE_INIT(orthogonal, fa_init_orthogonal_(t))
DEFINE_INIT(orthogonal_tall, fa_init_orthogonal_(t, 1.5))
DEFINE_INIT(normal_f64, fa_init_normal_(t))
DEFINE_INIT(trunc_normal_f64, fa_init_trunc_normal_(t, .std = 1.5))
DEFINE_INIT(trunc_normal_tail_f64, fa_init_trunc_normal_(t, 0.5, 2, 1, 1.5))
DEFINE_INIT(uniform_f64, fa_init_uniform_(t, -1, 3))

static void test_init(void **state)
{
    (void)state;
    const struct {
        const char *name;
        fa_dtype dtype;
        fa_shape shape;
        fa_tensor *(*call)(fa_tensor *t);
    } inits[] = {INIT(uniform, 3, 20),
                 INIT(uniform_ab, 3, 2),
                 INIT(normal, 5, 7),
                 INIT(normal_few, 3),
                 INIT(constant, 2, 2),
                 INIT(ones, 2, 2),
                 INIT(zeros, 2, 2),
                 INIT(eye, 3, 4),
                 INIT(dirac, 4, 3, 3, 2),
                 INIT(dirac_groups, 6, 2, 3, 3),
                 INIT(xavier_uniform, 8, 5),
                 INIT(xavier_normal, 4, 3, 3, 3),
                 INIT(kaiming_uniform, 4, 3, 3, 3),
                 INIT(kaiming_uniform_slope, 8, 5),
                 INIT(kaiming_normal, 4, 3, 3, 3),
                 INIT(kaiming_normal_tanh, 8, 5),
                 INIT(trunc_normal, 6, 9),
                 INIT(trunc_normal_std, 6, 9),
                 INIT(trunc_normal_tail, 40),
                 INIT(orthogonal, 5, 9),
                 INIT(orthogonal_tall, 9, 2, 2, 1),
                 {"normal_f64", FA_FLOAT64, FA_SHAPE(17), init_normal_f64},
                 {"trunc_normal_f64", FA_FLOAT64, FA_SHAPE(6, 9), init_trunc_normal_f64},
                 {"trunc_normal_tail_f64", FA_FLOAT64, FA_SHAPE(40), init_trunc_normal_tail_f64},
                 {"uniform_f64", FA_FLOAT64, FA_SHAPE(5), init_uniform_f64}};
    const cJSON *all = cJSON_GetObjectItem(golden.index, "init");
    assert_int_equal(cJSON_GetArraySize(all), sizeof inits / sizeof *inits);
    for (size_t i = 0; i < sizeof inits / sizeof *inits; i++)
        fa_scope {
            fa_tensor *t = full(inits[i].dtype, inits[i].shape);
            fa_manual_seed(2);
            assert_ptr_equal(inits[i].call(t), t);
            const golden_tensor *want = golden_find(&golden, "init.%s", inits[i].name);
            /* Orthogonal matrices are unique, but worked out in another way. */
            if (strncmp(inits[i].name, "orthogonal", 10) == 0)
                assert_all_close_f32(fa_data(t), want->data, want->numel, 1e-5, 1e-5);
            else
                assert_same_bytes(fa_data(t), want->data, (size_t)want->numel * (inits[i].dtype == FA_FLOAT64 ? 8 : 4));
            const cJSON *then = cJSON_GetObjectItem(cJSON_GetObjectItem(all, inits[i].name), "then");
            const float *after = fa_data(fa_rand(2));
            for (int k = 0; k < 2; k++)
                assert_true(after[k] == (float)cJSON_GetArrayItem(then, k)->valuedouble);
        }
    assert_true(fa_init_calculate_gain(FA_GAIN_SELU, 0) == 0.75);
    assert_true(fa_init_calculate_gain(FA_GAIN_LINEAR, 0) == 1);
}

/* A network's weights are drawn when it is made, whatever writes to one of them first. */
static void test_init_of_parameters(void **state)
{
    (void)state;
    fa_manual_seed(0);
    fa_module *plain = fa_nn_sequential(fa_nn_linear(3, 4), fa_nn_linear(4, 2));
    float second[8];
    memcpy(second, fa_data(fa_find(plain, "1.weight")), sizeof second);
    fa_free(plain);
    fa_manual_seed(0);
    fa_module *model = fa_nn_sequential(fa_nn_linear(3, 4), fa_nn_linear(4, 2));
    fa_tensor *first = fa_find(model, "0.weight");
    fa_init_zeros_(first);
    assert_true(((const float *)fa_data(first))[5] == 0);
    assert_same_bytes(fa_data(fa_find(model, "1.weight")), second, sizeof second);
    assert_true(fa_requires_grad(first));
    /* What is pending reads the value before. */
    fa_scope {
        fa_tensor *x = fa_ones(1, 3), *y = fa_forward(model, x);
        fa_init_ones_(first);
        fa_tensor *again = fa_forward(model, x);
        assert_true(fa_data(y) && fa_data(again));
        assert_true(((const float *)fa_data(y))[0] != ((const float *)fa_data(again))[0]);
    }
    /* A part of a weight takes plain draws, as the message says. */
    fa_scope {
        assert_null(fa_init_normal_(fa_slice(first, 0, 0, 2)));
        assert_contains(fa_error(), "or a view, needs a tensor in memory");
        fa_clear_error();
        fa_no_grad {
            fa_fill_(fa_slice(first, 0, 0, 2), 7);
        }
        assert_true(((const float *)fa_data(first))[5] == 7 && ((const float *)fa_data(first))[6] == 1);
    }
    fa_free(model);
    fa_module *nothing = fa_nn_linear(0, 2);
    assert_false(signbit(((const float *)fa_data(fa_find(nothing, "bias")))[1]));
    fa_free(nothing);
}

/* ---- Walks ----------------------------------------------------------------------------------------------------------
 */

static void note(fa_module *module, void *context)
{
    strcat(context, fa_class_name(module));
    strcat(context, " ");
}

static void test_walks(void **state)
{
    (void)state;
    fa_module *shared = fa_nn_relu();
    fa_module *model = fa_nn_sequential_named({"body", fa_nn_sequential(fa_nn_linear(1, 2), shared)}, {"act", shared},
                                              {"head", fa_nn_linear(2, 1)});
    fa_module_list list = fa_named_modules(model);
    static const char *const names[] = {"", "body", "body.0", "body.1", "head"};
    assert_int_equal(list.count, 5);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(list.name[i], names[i]);
        if (i > 0)
            assert_ptr_equal(list.module[i], fa_submodule(model, names[i]));
    }
    assert_ptr_equal(list.module[0], model);
    assert_ptr_equal(fa_named_modules(model).module, list.module);
    fa_module_add(model, "more", fa_nn_identity());
    assert_int_equal(fa_named_modules(model).count, 6);
    char text[256] = "";
    assert_ptr_equal(fa_apply(model, note, text), model);
    assert_string_equal(text, "Linear ReLU Sequential ReLU Linear Identity Sequential ");
    fa_free(model);
    assert_null(fa_apply(NULL, note, text));
    assert_contains(fa_error(), "fa_apply");
    fa_clear_error();
    assert_null(fa_nn_module_dict({NULL, fa_nn_relu()}, {"b", fa_nn_relu()}));
    assert_contains(fa_error(), "ModuleDict");
    fa_clear_error();
}

/* ---- Hooks
 * ----------------------------------------------------------------------------------------------------------- */

typedef struct seen {
    int calls;
    int64_t id; /* to remove; 0: none */
    double first, other;
    fa_module *module;
} seen;

static fa_tensor *look(fa_module *module, fa_tensor *tensor, fa_tensor *other, void *context)
{
    seen *s = context;
    s->calls++;
    s->module = module;
    s->first = (double)((const float *)fa_data(tensor))[0];
    s->other = other ? (double)((const float *)fa_data(other))[0] : 0;
    if (s->id)
        assert_true(fa_remove_hook(module, s->id));
    return NULL;
}

static fa_tensor *twice(fa_module *module, fa_tensor *tensor, fa_tensor *other, void *context)
{
    (void)module;
    (*(int *)context)++;
    return fa_mul(other ? other : tensor, 2);
}

static fa_tensor *refuse(fa_module *module, fa_tensor *tensor, fa_tensor *other, void *context)
{
    (void)module, (void)tensor, (void)other, (void)context;
    fa_raise(FA_VALUE_ERROR, "no more");
    return NULL;
}

static void test_forward_hooks(void **state)
{
    (void)state;
    fa_module *layer = fa_nn_relu(), *model = fa_nn_sequential(layer);
    seen s = {0};
    int before = 0, after = 0;
    int64_t look_id = fa_register_forward_hook(layer, look, &s);
    assert_true(look_id > 0);
    fa_scope {
        fa_tensor *x = fa_full(FA_SHAPE(2), 3);
        assert_true(fa_item(fa_forward(model, fa_sum(x))) == 6);
        assert_int_equal(s.calls, 1);
        assert_ptr_equal(s.module, layer);
        assert_true(s.first == 6 && s.other == 6);
        int64_t pre = fa_register_forward_pre_hook(layer, twice, &before);
        int64_t post = fa_register_forward_hook(layer, twice, &after);
        assert_true(fa_item(fa_forward(model, fa_sum(x))) == 24);
        assert_true(s.first == 12 && s.other == 12); /* after `before`, ahead of `after` */
        assert_true(fa_remove_hook(layer, pre));
        assert_false(fa_remove_hook(layer, pre));
        assert_false(fa_remove_hook(model, post));
        s.id = look_id; /* removes itself while it runs */
        assert_true(fa_item(fa_forward(model, fa_sum(x))) == 12);
        assert_true(fa_item(fa_forward(model, fa_sum(x))) == 12);
        assert_int_equal(s.calls, 3);
        assert_true(fa_remove_hook(layer, post));
        assert_true(fa_item(fa_forward(model, fa_sum(x))) == 6);
        assert_int_equal(before, 1);
        assert_int_equal(after, 3);
        fa_register_forward_hook(layer, refuse, NULL);
        assert_null(fa_forward(model, x));
        assert_contains(fa_error(), "no more");
        fa_clear_error();
    }
    assert_int_equal(fa_register_forward_hook(layer, NULL, NULL), 0);
    fa_clear_error();
    fa_free(model);
}

static fa_tensor *wrong_shape(fa_module *module, fa_tensor *tensor, fa_tensor *other, void *context)
{
    (void)module, (void)tensor, (void)other, (void)context;
    return fa_zeros(5);
}

static void test_backward_hooks(void **state)
{
    (void)state;
    fa_module *model = fa_nn_sequential(fa_nn_linear(1, 1, .bias = false), fa_nn_relu());
    fa_module *layer = fa_child(model, 0);
    fa_tensor *weight = fa_find(model, "0.weight");
    fa_init_ones_(weight);
    seen s = {0};
    int doubled = 0;
    int64_t id = fa_register_full_backward_pre_hook(layer, look, &s);
    for (int round = 0; round < 3; round++)
        fa_scope {
            fa_module_zero_grad_at(model, FA_HERE);
            if (round == 1)
                fa_register_full_backward_pre_hook(layer, twice, &doubled);
            if (round == 2)
                assert_true(fa_remove_hook(layer, id));
            fa_tensor *loss = fa_mul(fa_sum(fa_forward(model, fa_full(FA_SHAPE(1, 1), 5))), 3);
            assert_true(fa_backward(loss));
            assert_true(fa_item(fa_grad(weight)) == (round == 0 ? 15 : 30));
            assert_int_equal(s.calls, round == 0 ? 1 : 2);
            assert_true(s.first == 3);
        }
    assert_int_equal(doubled, 2);
    fa_scope {
        /* Without gradients there is nothing to see. */
        fa_no_grad
            fa_data(fa_forward(model, fa_ones(1, 1)));
        assert_int_equal(doubled, 2);
    }
    fa_register_full_backward_pre_hook(layer, wrong_shape, NULL);
    fa_scope {
        assert_false(fa_backward(fa_sum(fa_forward(model, fa_ones(1, 1)))));
        assert_contains(fa_error(), "backward hook");
        fa_clear_error();
    }
    /* A module that is gone has no hooks. */
    fa_scope {
        fa_tensor *x = fa_full(FA_SHAPE(1, 1), 2, .requires_grad = true);
        fa_module *gone = fa_nn_relu();
        fa_register_full_backward_pre_hook(gone, twice, &doubled);
        fa_tensor *y = fa_sum(fa_forward(gone, x));
        fa_free(gone);
        assert_true(fa_backward(y));
        assert_true(fa_item(fa_grad(x)) == 1);
    }
    fa_free(model);
}

/* ---- What autograd prints, and gradients of gradients
 * ---------------------------------------------------------------- */

static void test_grad_names(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_randn_with(FA_SHAPE(2, 4, 6, 6), .requires_grad = true);
        const struct {
            fa_tensor *y;
            const char *name;
        } cases[] = {{fa_relu6(x), "HardtanhBackward0"},
                     {fa_silu(x), "SiluBackward0"},
                     {fa_prelu(x, fa_ones(4)), "PreluKernelBackward0"},
                     {fa_adaptive_avg_pool2d(x, 1), "MeanBackward1"},
                     {fa_adaptive_avg_pool2d(x, 2), "AdaptiveAvgPool2DBackward0"},
                     {fa_layer_norm(x, FA_SHAPE(6)), "NativeLayerNormBackward0"},
                     {fa_group_norm(x, 2), "NativeGroupNormBackward0"},
                     {fa_instance_norm(x), "ViewBackward0"},
                     {fa_interpolate(x, .scale_factor = 2), "UpsampleNearest2DBackward0"},
                     {fa_interpolate(x, 3, .mode = FA_NEAREST_EXACT), "UpsampleNearestExact2DBackward0"},
                     {fa_conv_transpose2d(x, fa_randn(4, 2, 3, 3), NULL), "ConvolutionBackward0"},
                     {fa_conv_transpose2d(x, fa_randn(4, 2, 3, 3), fa_zeros(2)), "ConvolutionBackward0"},
                     {fa_batch_norm(fa_flatten(x, 2), NULL, NULL, .training = true), "NativeBatchNormBackward0"},
                     {fa_batch_norm(fa_select(fa_select(x, 3, 0), 2, 0), NULL, NULL, .training = true),
                      "NativeBatchNormBackward0"}};
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            char text[8192], name[64];
            fa_tensor_format(cases[i].y, text, sizeof text);
            snprintf(name, sizeof name, "grad_fn=<%s>", cases[i].name);
            assert_contains(text, name);
        }
    }
}

/* d/dx of (dy/dx)^2 for a sum y, against differences. */
static void check_second(fa_tensor *(*function)(fa_tensor *x))
{
    const double at[] = {-1.7, -0.4, 0.3, 2.1}, step = 1e-5;
    double slope[3][4];
    fa_scope {
        for (int k = 0; k < 3; k++) {
            double moved[4];
            for (int i = 0; i < 4; i++)
                moved[i] = at[i] + (k - 1) * step;
            fa_tensor *x = fa_from_memory(moved, FA_FLOAT64, FA_SHAPE(4));
            fa_requires_grad_(x, true);
            fa_tensor *g = NULL;
            assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(function(x))), FA_TENSORS(x), &g, .create_graph = true));
            memcpy(slope[k], fa_data(g), sizeof slope[k]);
            if (k != 1)
                continue;
            assert_true(fa_backward(fa_sum(fa_mul(g, g))));
            memcpy(moved, fa_data(fa_grad(x)), sizeof moved);
            for (int i = 0; i < 4; i++)
                slope[1][i] = moved[i];
        }
    }
    for (int i = 0; i < 4; i++) {
        const double numeric = (slope[2][i] * slope[2][i] - slope[0][i] * slope[0][i]) / (2 * step);
        assert_true(fabs(slope[1][i] - numeric) < 1e-6 * (1 + fabs(numeric)));
    }
}

static fa_tensor *by_sigmoid(fa_tensor *x)
{
    return fa_sigmoid(x);
}

static fa_tensor *by_tanh(fa_tensor *x)
{
    return fa_tanh(x);
}

static fa_tensor *by_leaky_relu(fa_tensor *x)
{
    return fa_leaky_relu(fa_mul(x, x), 0.2);
}

static void test_gradients_of_gradients(void **state)
{
    (void)state;
    check_second(by_sigmoid);
    check_second(by_tanh);
    check_second(by_leaky_relu);
    assert_string_equal(fa_error(), "");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, no_error)
    const struct CMUnitTest tests[] = {
        TEST(test_layers),
        TEST(test_evaluation),
        TEST(test_second_results),
        TEST(test_init),
        TEST(test_init_of_parameters),
        TEST(test_walks),
        TEST(test_forward_hooks),
        TEST(test_backward_hooks),
        TEST(test_grad_names),
        TEST(test_gradients_of_gradients),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
