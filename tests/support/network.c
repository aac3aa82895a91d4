/* Small networks that are told in JSON: steps, each an op on earlier values and tensors. */
#include "network.h"

#include "facula_test.h"

#include <facula.h>
#include <math.h>
#include <string.h>

static const double eps = 1e-3;

/* One step: the values and tensors that it is of, and its attributes. */
typedef struct step {
    const cJSON *json;
    fa_tensor *v[2], *t[4];
} step;

static int64_t number(const step *s, const char *name)
{
    return (int64_t)cJSON_GetObjectItem(s->json, name)->valuedouble;
}

static int64_t size_at(const step *s, int i)
{
    return (int64_t)cJSON_GetArrayItem(cJSON_GetObjectItem(s->json, "size"), i)->valuedouble;
}

static fa_tensor *batch_norm(const step *s)
{
    return cJSON_IsTrue(cJSON_GetObjectItem(s->json, "training"))
               ? fa_batch_norm(s->v[0], NULL, NULL, .weight = s->t[0], .bias = s->t[1], .training = true, .eps = eps)
               : fa_batch_norm(s->v[0], s->t[2], s->t[3], .weight = s->t[0], .bias = s->t[1], .eps = eps);
}

static fa_tensor *layer_norm(const step *s)
{
    fa_shape shape = fa_shape_of(s->v[0]);
    shape.ndim--;
    memmove(shape.size, shape.size + 1, sizeof(int64_t) * (size_t)shape.ndim);
    return fa_layer_norm(s->v[0], shape, .weight = s->t[0], .bias = s->t[1], .eps = eps);
}

static fa_tensor *pad(const step *s)
{
    const char *mode = cJSON_GetObjectItem(s->json, "mode")->valuestring;
    return fa_pad(s->v[0], FA_SHAPE(1, 0, 0, 1),
                  .mode = strcmp(mode, "replicate") ? FA_PAD_CONSTANT : FA_PAD_REPLICATE);
}

#define STEP(name, expression)                                                                                         \
    static fa_tensor *step_##name(const step *s)                                                                       \
    {                                                                                                                  \
        fa_tensor *x = s->v[0];                                                                                        \
        (void)x;                                                                                                       \
        return expression;                                                                                             \
    }
#define STEPS(X)                                                                                                       \
    X(relu, fa_relu(x))                                                                                                \
    X(silu, fa_silu(x))                                                                                                \
    X(gelu, fa_gelu(x))                                                                                                \
    X(gelu_tanh, fa_gelu(x, .approximate = FA_GELU_TANH))                                                              \
    X(elu, fa_elu(x, .alpha = 1.25))                                                                                   \
    X(softplus, fa_softplus(x, .beta = 1.5))                                                                           \
    X(hardswish, fa_hardswish(x))                                                                                      \
    X(leaky_relu, fa_leaky_relu(x, .negative_slope = 0.125))                                                           \
    X(sigmoid, fa_sigmoid(x))                                                                                          \
    X(tanh, fa_tanh(x))                                                                                                \
    X(hardtanh, fa_hardtanh(x))                                                                                        \
    X(square, fa_mul(x, x))                                                                                            \
    X(exp_tanh, fa_exp(fa_tanh(x)))                                                                                    \
    X(sqrt_softplus, fa_sqrt(fa_add(fa_softplus(x), 0.25)))                                                            \
    X(log1p_square, fa_log1p(fa_mul(x, x)))                                                                            \
    X(divided, fa_div(x, fa_add(fa_mul(x, x), 1)))                                                                     \
    X(softmax, fa_softmax(x, 1))                                                                                       \
    X(log_softmax, fa_log_softmax(x, 1))                                                                               \
    X(clamp, fa_clamp(x, -0.75, 1.5))                                                                                  \
    X(half, fa_narrow(x, 1, 0, (fa_size(x, 1) + 1) / 2))                                                               \
    X(flip, fa_flip(x, 1))                                                                                             \
    X(centered, fa_sub(x, fa_mean(x, .dims = FA_SHAPE(1), .keepdim = true)))                                           \
    X(spread, fa_div(x, fa_add(fa_std(x, .dims = FA_SHAPE(1), .keepdim = true), 0.5)))                                 \
    X(conv2d, fa_conv2d(x, s->t[0], s->t[1], .stride = number(s, "stride"), .padding = number(s, "padding"),           \
                        .groups = number(s, "groups")))                                                                \
    X(conv_transpose2d,                                                                                                \
      fa_conv_transpose2d(x, s->t[0], s->t[1], .stride = number(s, "stride"), .padding = number(s, "padding")))        \
    X(linear, fa_linear(x, s->t[0], s->t[1]))                                                                          \
    X(batch_norm, batch_norm(s))                                                                                       \
    X(group_norm, fa_group_norm(x, number(s, "groups"), .weight = s->t[0], .bias = s->t[1], .eps = eps))               \
    X(layer_norm, layer_norm(s))                                                                                       \
    X(instance_norm, fa_instance_norm(x, .weight = s->t[0], .bias = s->t[1], .eps = eps))                              \
    X(prelu, fa_prelu(x, s->t[0]))                                                                                     \
    X(max_pool2d, fa_max_pool2d(x, 2, .stride = number(s, "stride")))                                                  \
    X(avg_pool2d, fa_avg_pool2d(x, 2, .stride = number(s, "stride")))                                                  \
    X(adaptive_avg_pool2d, fa_adaptive_avg_pool2d(x, .output_hw = {size_at(s, 0), size_at(s, 1)}))                     \
    X(adaptive_max_pool2d, fa_adaptive_max_pool2d(x, .output_hw = {size_at(s, 0), size_at(s, 1)}))                     \
    X(nearest, fa_interpolate(x, .size_hw = {size_at(s, 0), size_at(s, 1)}))                                           \
    X(bilinear, fa_interpolate(x, .size_hw = {size_at(s, 0), size_at(s, 1)}, .mode = FA_BILINEAR))                     \
    X(pad, pad(s))                                                                                                     \
    X(add, fa_add(x, s->v[1]))                                                                                         \
    X(mul, fa_mul(x, s->v[1]))                                                                                         \
    X(cat, fa_cat(FA_TENSORS(x, s->v[1]), 1))                                                                          \
    X(scale, fa_mul(x, s->t[0]))                                                                                       \
    X(flatten, fa_flatten(x, 1))                                                                                       \
    X(amax, fa_amax(x, .dims = FA_SHAPE(number(s, "dim"))))                                                            \
    X(logsumexp, fa_logsumexp(x, .dims = FA_SHAPE(number(s, "dim"))))                                                  \
    X(mean, fa_mean(x, .dims = FA_SHAPE(number(s, "dim"))))                                                            \
    X(prod, fa_prod(x, .dims = FA_SHAPE(number(s, "dim"))))                                                            \
    X(norm, fa_norm(x, .dims = FA_SHAPE(number(s, "dim"))))
STEPS(STEP)

#define ENTRY(name, expression) {#name, step_##name},
static const struct {
    const char *name;
    fa_tensor *(*run)(const step *s);
} ops[] = {STEPS(ENTRY)};

enum { MOST_TENSORS = 64, MOST_STEPS = 32 };

typedef struct tensors {
    int count;
    const char *name[MOST_TENSORS];
    fa_tensor *tensor[MOST_TENSORS];
} tensors;

static fa_tensor *find(const tensors *all, const char *name)
{
    for (int i = 0; i < all->count; i++)
        if (!strcmp(all->name[i], name))
            return all->tensor[i];
    return NULL;
}

static void read_tensors(const cJSON *json, tensors *all)
{
    for (const cJSON *t = json->child; t; t = t->next) {
        fa_shape shape = {0};
        for (const cJSON *n = cJSON_GetObjectItem(t, "shape")->child; n; n = n->next)
            shape.size[shape.ndim++] = (int64_t)n->valuedouble;
        const cJSON *data = cJSON_GetObjectItem(t, "data");
        double *values = malloc((size_t)cJSON_GetArraySize(data) * sizeof *values + 8);
        int64_t count = 0;
        for (const cJSON *n = data->child; n; n = n->next)
            values[count++] = n->valuedouble;
        assert_true(all->count < MOST_TENSORS);
        all->name[all->count] = t->string;
        all->tensor[all->count] = fa_from_memory(values, FA_FLOAT64, shape);
        fa_set_requires_grad_at(all->tensor[all->count++], cJSON_IsTrue(cJSON_GetObjectItem(t, "grad")), FA_HERE);
        free(values);
    }
}

static fa_tensor *forward(const cJSON *network, const tensors *all)
{
    fa_tensor *value[MOST_STEPS + 1] = {find(all, "x")};
    int count = 1;
    for (const cJSON *json = cJSON_GetObjectItem(network, "steps")->child; json; json = json->next) {
        step s = {.json = json};
        int k = 0;
        for (const cJSON *n = cJSON_GetObjectItem(json, "of")->child; n && k < 2; n = n->next)
            s.v[k++] = value[(int)n->valuedouble];
        k = 0;
        for (const cJSON *n = cJSON_GetObjectItem(json, "with")->child; n && k < 4; n = n->next)
            s.t[k++] = find(all, n->valuestring);
        const char *name = cJSON_GetObjectItem(json, "op")->valuestring;
        size_t op = 0;
        while (op < sizeof ops / sizeof *ops && strcmp(ops[op].name, name) != 0)
            op++;
        if (op == sizeof ops / sizeof *ops || count > MOST_STEPS)
            return fa_raise(FA_VALUE_ERROR, "no step %s", name), NULL;
        value[count++] = ops[op].run(&s);
    }
    return value[count - 1];
}

static void add_result(cJSON *results, const char *prefix, const char *name, fa_tensor *x)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const double *data = fa_data(x);
    if (data)
        cJSON_AddItemToObject(results, full, cJSON_CreateDoubleArray(data, (int)fa_numel(x)));
}

static void run(const cJSON *network, cJSON *results)
{
    tensors all = {0};
    read_tensors(cJSON_GetObjectItem(network, "tensors"), &all);
    fa_tensor *x = find(&all, "x"), *first[1], *y = fa_flatten(forward(network, &all), 1);
    if (!fa_ok())
        return;
    double weights[512];
    const int64_t width = fa_size(y, 1), batch = fa_size(x, 0);
    assert_true(width <= 512);
    for (int64_t i = 0; i < width; i++)
        weights[i] = sin((double)(i + 1));
    fa_tensor *score = fa_sum(fa_mul(y, fa_from_memory(weights, FA_FLOAT64, FA_SHAPE(width))), .dims = FA_SHAPE(1));
    if (!fa_autograd_grad(FA_TENSORS(fa_sum(score)), FA_TENSORS(x), first, .create_graph = true))
        return;
    fa_tensor *squares = fa_sum(fa_pow(fa_view(first[0], batch, -1), 2), .dims = FA_SHAPE(1));
    fa_tensor *off = fa_sub(fa_sqrt(fa_add(squares, 1e-6)), 1);
    fa_tensor *loss = fa_add(fa_mean(score), fa_mul(fa_mean(fa_mul(off, off)), 10));
    if (!fa_backward(loss))
        return;
    add_result(results, "", "loss", loss);
    add_result(results, "", "first", first[0]);
    for (int i = 0; i < all.count; i++)
        if (fa_grad(all.tensor[i]))
            add_result(results, "grad_", all.name[i], fa_grad(all.tensor[i]));
}

cJSON *network_run(const cJSON *network, char *why)
{
    cJSON *results = cJSON_CreateObject();
    fa_scope {
        run(network, results);
    }
    if (fa_ok())
        return results;
    snprintf(why, 512, "%.500s", fa_error());
    fa_clear_error();
    cJSON_Delete(results);
    return NULL;
}
