/* Hooks of tensors and modules: what they see, in which order, and what comes out, against PyTorch's (hooks.json,
 * made by make_hooks.py); values that are read inside; mistakes. */
#include "support/facula_test.h"

#include "support/golden.h"

#include <facula.h>
#include <math.h>
#include <string.h>

/* ---- The log of a scenario, compared event by event with PyTorch's ---- */

static const cJSON *expected; /* the next event; NULL: none is left */

static void note(const char *name, fa_tensor *value)
{
    if (!expected)
        fail_msg("%s, where PyTorch has no event any more", name);
    const char *want = cJSON_GetArrayItem(expected, 0)->valuestring;
    const cJSON *numbers = cJSON_GetArrayItem(expected, 1);
    if (strcmp(name, want) != 0)
        fail_msg("%s, where PyTorch has %s", name, want);
    if (cJSON_IsNull(numbers) != !value)
        fail_msg("%s: %s, unlike PyTorch", name, value ? "a tensor" : "NULL");
    if (value) {
        fa_tensor *wide = fa_to_dtype(value, FA_FLOAT64);
        const double *data = fa_data(wide);
        assert_non_null(data);
        assert_int_equal(fa_numel(wide), cJSON_GetArraySize(numbers));
        int64_t i = 0;
        for (const cJSON *number = numbers->child; number; number = number->next, i++)
            if (!(fabs(data[i] - number->valuedouble) <= 1e-6 * (1 + fabs(number->valuedouble))))
                fail_msg("%s[%lld]: %.9g, PyTorch %.9g", name, (long long)i, data[i], number->valuedouble);
    }
    expected = expected->next;
}

/* What a hook does: it notes the gradient, and gives back factor * gradient + term, or NULL. */
typedef struct look {
    const char *name;
    double factor, term;
    bool changes;
} look;

static fa_tensor *on_tensor(fa_tensor *gradient, void *context)
{
    const look *l = context;
    note(l->name, gradient);
    return l->changes ? fa_add(fa_mul(gradient, l->factor), l->term) : NULL;
}

static fa_tensor *before_backward(fa_module *module, fa_tensor *tensor, fa_tensor *other, void *context)
{
    const look *l = context;
    char name[32];
    assert_non_null(module);
    assert_null(other);
    snprintf(name, sizeof name, "%s out", l->name);
    note(name, tensor);
    return l->changes ? fa_mul(tensor, l->factor) : NULL;
}

static fa_tensor *after_backward(fa_module *module, fa_tensor *tensor, fa_tensor *other, void *context)
{
    const look *l = context;
    char name[32];
    assert_non_null(module);
    snprintf(name, sizeof name, "%s in", l->name);
    note(name, tensor);
    snprintf(name, sizeof name, "%s out", l->name);
    note(name, other);
    return l->changes ? fa_mul(tensor, l->factor) : NULL;
}

static int64_t hook(fa_tensor *x, look *l)
{
    int64_t id = fa_register_hook(x, on_tensor, l);
    assert_true(id > 0);
    return id;
}

static fa_tensor *leaf_of(int n, const double *values)
{
    fa_tensor *x = fa_zeros_with(FA_SHAPE(n), .dtype = FA_FLOAT64, .requires_grad = true);
    fa_no_grad {
        fa_copy_from(x, values);
    }
    return x;
}
#define LEAF(...) leaf_of((int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__})

/* ---- Scenarios of tensors ---- */

typedef struct graph {
    fa_tensor *x, *w, *b, *y, *z, *loss;
} graph;

static graph make_graph(void)
{
    static look x = {.name = "x"}, w = {.name = "w"}, b = {.name = "b"}, y = {.name = "y"}, z = {.name = "z"},
                u = {.name = "u"}, loss = {.name = "loss"}, z2 = {"z2", 10, 0, true}, z3 = {"z3", 1, 1, true};
    graph g = {.x = LEAF(1, 2), .w = LEAF(3, 4), .b = LEAF(0.5, 0.25)};
    g.y = fa_mul(g.x, g.w);
    g.z = fa_add(g.y, g.b);
    fa_tensor *product = fa_mul(g.z, g.x);
    g.loss = fa_sum(product);
    hook(g.x, &x), hook(g.w, &w), hook(g.b, &b), hook(g.y, &y), hook(g.z, &z), hook(product, &u), hook(g.loss, &loss);
    hook(g.z, &z2);
    assert_non_null(fa_retain_grad(g.z));
    hook(g.z, &z3);
    return g;
}

static void backward(void)
{
    graph g = make_graph();
    for (int i = 0; i < 2; i++)
        assert_true(fa_backward(g.loss, .retain_graph = true));
    note("grad x", fa_grad(g.x));
    note("grad w", fa_grad(g.w));
    note("grad b", fa_grad(g.b));
    note("grad z", fa_grad(g.z));
}

static void note_grads(const graph *g)
{
    note("grad x", fa_grad(g->x));
    note("grad w", fa_grad(g->w));
    note("grad z", fa_grad(g->z));
}

static void grad_x_z(void)
{
    graph g = make_graph();
    fa_tensor *grads[2];
    assert_true(fa_autograd_grad(FA_TENSORS(g.loss), FA_TENSORS(g.x, g.z), grads));
    note("result x", grads[0]);
    note("result z", grads[1]);
    note_grads(&g);
}

static void grad_z(void)
{
    graph g = make_graph();
    fa_tensor *grads[1];
    assert_true(fa_autograd_grad(FA_TENSORS(g.loss), FA_TENSORS(g.z), grads));
    note("result z", grads[0]);
    note_grads(&g);
}

static void grad_y(void)
{
    graph g = make_graph();
    fa_tensor *grads[1];
    assert_true(fa_autograd_grad(FA_TENSORS(g.loss), FA_TENSORS(g.y), grads));
    note("result y", grads[0]);
    note_grads(&g);
}

static void from_a_leaf(void)
{
    look l = {"x", 3, 0, true};
    fa_tensor *x = LEAF(1, 2);
    hook(x, &l);
    assert_true(fa_backward(x, .gradient = fa_ones_with(FA_SHAPE(2), .dtype = FA_FLOAT64)));
    note("grad x", fa_grad(x));
}

static void replaced_leaf(void)
{
    look l = {"x", 10, 0, true};
    fa_tensor *x = LEAF(1, 2);
    hook(x, &l);
    for (int i = 0; i < 2; i++)
        assert_true(fa_backward(fa_sum(fa_add(fa_mul(x, x), x))));
    note("grad x", fa_grad(x));
}

static void removed(void)
{
    look first = {.name = "first"}, second = {"second", 2, 0, true};
    fa_tensor *x = LEAF(1, 2);
    int64_t one = hook(x, &first), two = hook(x, &second);
    assert_true(fa_backward(fa_sum(x)));
    assert_true(fa_remove_hook(x, one));
    assert_false(fa_remove_hook(x, one));
    assert_true(fa_backward(fa_sum(x)));
    assert_true(fa_remove_hook(x, two));
    assert_false(fa_remove_hook(x, 0));
    assert_true(fa_backward(fa_sum(x)));
    note("grad x", fa_grad(x));
}

static void view_and_in_place(void)
{
    look before = {.name = "before"}, after = {.name = "after"};
    fa_tensor *x = LEAF(1, 2), *y = fa_mul(x, 2);
    hook(y, &before);
    fa_mul_(y, 3);
    hook(y, &after);
    assert_true(fa_backward(fa_sum(fa_slice(y, 0, 0, 1))));
    note("grad x", fa_grad(x));
}

static fa_tensor *times_context(fa_tensor *gradient, void *context)
{
    note("y", gradient);
    return fa_mul(gradient, (fa_tensor *)context);
}

static void second_order(void)
{
    look l = {.name = "slope"};
    fa_tensor *x = LEAF(1, 2), *y = fa_mul(fa_mul(x, x), x), *slope[1];
    assert_true(fa_register_hook(y, times_context, x) > 0);
    assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(y)), FA_TENSORS(x), slope, .create_graph = true));
    note("slope", slope[0]);
    hook(slope[0], &l);
    assert_true(fa_backward(fa_sum(fa_mul(slope[0], slope[0]))));
    note("grad x", fa_grad(x));
}

/* ---- Scenarios of modules ---- */

static fa_module *layer(int64_t n, int64_t m, const float *weight)
{
    fa_module *made = fa_nn_linear(n, m);
    float bias[3] = {0, 0.5f, 1};
    fa_no_grad {
        fa_copy_from(fa_find(made, "weight"), weight);
        fa_copy_from(fa_find(made, "bias"), bias);
    }
    return made;
}

static void run_modules(bool input_grad)
{
    static look model_look = {.name = "model"}, pre = {"pre", 2, 0, true}, first = {.name = "first"},
                third = {.name = "third"}, relu = {"relu", 10, 0, true}, last = {.name = "last"},
                weight = {"weight", 0.5, 0, true};
    look second = {"second", 3, 0, input_grad};
    fa_module *model = fa_nn_sequential(layer(2, 3, (float[]){1, -2, 3, 4, -5, 0.5f}), fa_nn_relu(),
                                        layer(3, 1, (float[]){2, -1, 0.5f}));
    assert_true(fa_register_full_backward_hook(model, after_backward, &model_look) > 0);
    fa_register_full_backward_pre_hook(fa_child(model, 0), before_backward, &pre);
    fa_register_full_backward_hook(fa_child(model, 0), after_backward, &first);
    fa_register_full_backward_hook(fa_child(model, 0), after_backward, &second);
    fa_register_full_backward_hook(fa_child(model, 0), after_backward, &third);
    fa_register_full_backward_hook(fa_child(model, 1), after_backward, &relu);
    fa_register_full_backward_pre_hook(fa_child(model, 2), before_backward, &last);
    fa_scope {
        fa_tensor *x = fa_tensor_of(FA_SHAPE(2, 2), 1, 2, -3, 0.5);
        fa_set_requires_grad_at(x, input_grad, FA_HERE);
        fa_tensor *y = fa_forward(model, x);
        hook(fa_find(model, "0.weight"), &weight);
        assert_true(fa_backward(fa_sum(y)));
        note("grad 0.weight", fa_grad(fa_find(model, "0.weight")));
        note("grad 0.bias", fa_grad(fa_find(model, "0.bias")));
        note("grad 2.weight", fa_grad(fa_find(model, "2.weight")));
        note("grad 2.bias", fa_grad(fa_find(model, "2.bias")));
        note("grad x", fa_grad(x));
    }
    fa_free(model);
}

static void modules(void)
{
    run_modules(true);
}

static void modules_without_input(void)
{
    run_modules(false);
}

static void shared(void)
{
    look l = {"one", 2, 0, true};
    fa_module *one = layer(2, 2, (float[]){1, 2, 3, 4});
    fa_register_full_backward_hook(one, after_backward, &l);
    fa_scope {
        fa_tensor *x = fa_tensor_of(FA_SHAPE(1, 2), 1, 2);
        fa_set_requires_grad_at(x, true, FA_HERE);
        assert_true(fa_backward(fa_sum(fa_mul(fa_forward(one, fa_forward(one, x)), x))));
        note("grad weight", fa_grad(fa_find(one, "weight")));
        note("grad x", fa_grad(x));
    }
    fa_free(one);
}

static fa_tensor *after_forward(fa_module *module, fa_tensor *tensor, fa_tensor *other, void *context)
{
    (void)module, (void)context;
    assert_int_equal(fa_numel(tensor), 2);
    note("forward", other);
    return NULL;
}

static void criterion(void)
{
    look l = {"loss", 4, 0, true};
    fa_module *loss = fa_nn_mse_loss();
    fa_register_forward_hook(loss, after_forward, NULL);
    fa_register_full_backward_hook(loss, after_backward, &l);
    fa_tensor *x = fa_tensor_of(FA_SHAPE(2), 1, 3);
    fa_set_requires_grad_at(x, true, FA_HERE);
    assert_true(fa_backward(fa_criterion(loss, x, fa_tensor_of(FA_SHAPE(2), 0, 1))));
    note("grad x", fa_grad(x));
    fa_free(loss);
}

static const struct {
    const char *title;
    void (*run)(void);
} scenarios[] = {{"backward", backward},
                 {"grad x z", grad_x_z},
                 {"grad z", grad_z},
                 {"grad y", grad_y},
                 {"from a leaf", from_a_leaf},
                 {"replaced leaf", replaced_leaf},
                 {"removed", removed},
                 {"view and in place", view_and_in_place},
                 {"second order", second_order},
                 {"modules", modules},
                 {"modules without input", modules_without_input},
                 {"shared", shared},
                 {"criterion", criterion}};

static void check_scenarios(void **state)
{
    (void)state;
    golden_file golden;
    char why[256];
    if (!golden_open(&golden, "hooks", why))
        fail_msg("%s", why);
    int count = 0;
    for (const cJSON *item = golden.index->child; item; item = item->next)
        count++;
    assert_int_equal(count, sizeof scenarios / sizeof *scenarios);
    for (int i = 0; i < count; i++) {
        const cJSON *events = cJSON_GetObjectItem(golden.index, scenarios[i].title);
        assert_non_null(events);
        print_message("%s\n", scenarios[i].title);
        expected = events->child;
        fa_scope {
            scenarios[i].run();
        }
        assert_string_equal(fa_error(), "");
        assert_null(expected);
    }
    golden_close(&golden);
}

/* ---- Reading inside a hook ---- */

static fa_tensor *read_all(fa_tensor *gradient, void *context)
{
    fa_tensor *const *forward = context;
    for (int i = 0; forward[i]; i++)
        assert_non_null(fa_data(forward[i]));
    assert_non_null(fa_data(gradient));
    fa_scope { /* what is made inside may end there */
        assert_true(isfinite(fa_item(fa_sum(fa_mul(gradient, forward[0])))));
    }
    return NULL;
}

/* Values of the forward pass that are pending still, and lie on branches which the walk has begun and not yet reached,
 * are computed by the hook: the gradients that wait there stay. */
static void reading_loses_nothing(void **state)
{
    (void)state;
    double plain[2][2];
    for (int read = 0; read < 2; read++)
        fa_scope {
            fa_tensor *x = LEAF(0.5, -1.5), *a = fa_exp(x), *b = fa_sigmoid(a), *c = fa_mul(b, a), *d = fa_tanh(c);
            fa_tensor *forward[] = {a, b, c, d, x, NULL};
            if (read) {
                assert_true(fa_register_hook(d, read_all, forward) > 0);
                assert_true(fa_register_hook(c, read_all, forward) > 0);
                assert_true(fa_register_hook(x, read_all, forward) > 0);
            }
            assert_true(fa_backward(fa_sum(fa_mul(fa_add(d, b), fa_add(c, a)))));
            memcpy(plain[read], fa_data(fa_grad(x)), sizeof plain[read]);
        }
    assert_string_equal(fa_error(), "");
    assert_all_close_f64(plain[1], plain[0], 2, 1e-15, 0);
}

/* A gradient that is kept outlives the scope of its backward. */
static fa_tensor *keep(fa_tensor *gradient, void *context)
{
    fa_tensor **kept = context;
    *kept = fa_keep(gradient);
    return NULL;
}

static void gradients_can_be_kept(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *kept = NULL;
        fa_scope {
            fa_tensor *x = LEAF(1, 2), *y = fa_mul(x, 3);
            assert_true(fa_register_hook(y, keep, &kept) > 0);
            assert_true(fa_backward(fa_sum(fa_mul(y, y))));
            assert_true(((const double *)fa_data(fa_grad(x)))[1] == 36);
        }
        assert_true(((const double *)fa_data(kept))[1] == 12);
    }
    assert_string_equal(fa_error(), "");
}

/* ---- Hooks that change hooks ---- */

typedef struct chain {
    fa_tensor *x;
    int64_t id;
    int calls, added;
} chain;

static fa_tensor *count_calls(fa_tensor *gradient, void *context)
{
    (void)gradient;
    ++*(int *)context;
    return NULL;
}

static fa_tensor *remove_itself(fa_tensor *gradient, void *context)
{
    (void)gradient;
    chain *c = context;
    c->calls++;
    assert_true(fa_remove_hook(c->x, c->id));
    assert_true(fa_register_hook(c->x, count_calls, &c->added) > 0);
    return NULL;
}

static void hooks_may_change_while_they_run(void **state)
{
    (void)state;
    fa_scope {
        chain c = {.x = LEAF(1, 2)};
        int after = 0;
        c.id = fa_register_hook(c.x, remove_itself, &c);
        fa_register_hook(c.x, count_calls, &after);
        for (int i = 0; i < 3; i++)
            assert_true(fa_backward(fa_sum(c.x)));
        assert_int_equal(c.calls, 1);
        assert_int_equal(c.added, 2); /* not in the walk that registered it */
        assert_int_equal(after, 3);
    }
    assert_string_equal(fa_error(), "");
}

/* A tensor caught inside a module leads to its input, but not from its output: no hook sees that. */
static fa_tensor *caught;
static fa_tensor *catch_inside(fa_module *module, fa_tensor *tensor, fa_tensor *other, void *context)
{
    (void)module, (void)tensor, (void)context;
    caught = other;
    return NULL;
}

static fa_tensor *count_module(fa_module *module, fa_tensor *tensor, fa_tensor *other, void *context)
{
    (void)module, (void)tensor, (void)other;
    ++*(int *)context;
    return NULL;
}

static void values_inside_are_no_gradients_of_the_module(void **state)
{
    (void)state;
    fa_module *inner = fa_nn_relu(), *model = fa_nn_sequential(inner, fa_nn_sigmoid());
    int calls = 0;
    fa_register_forward_hook(inner, catch_inside, NULL);
    fa_register_full_backward_hook(model, count_module, &calls);
    fa_scope {
        fa_tensor *x = fa_ones_with(FA_SHAPE(2), .requires_grad = true), *y = fa_forward(model, x);
        assert_true(fa_backward(fa_sum(caught), .retain_graph = true));
        assert_int_equal(calls, 0);
        assert_true(fa_backward(fa_sum(y)));
        assert_int_equal(calls, 1);
        fa_no_grad {
            assert_non_null(fa_data(fa_forward(model, x)));
        }
    }
    assert_string_equal(fa_error(), "");
    fa_free(model);
}

/* ---- Mistakes ---- */

static void check_error(fa_error_kind kind, const char *part)
{
    assert_false(fa_ok());
    assert_int_equal(fa_error_code(), kind);
    assert_contains(fa_error(), "test_hooks.c:");
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), "Hint: ");
    fa_clear_error();
}

static fa_tensor *wrong_shape(fa_tensor *gradient, void *context)
{
    (void)gradient, (void)context;
    return fa_zeros(5);
}

static fa_tensor *wrong_type(fa_tensor *gradient, void *context)
{
    (void)context;
    return fa_to_dtype(gradient, FA_FLOAT32);
}

static fa_tensor *ended(fa_tensor *gradient, void *context)
{
    (void)context;
    fa_tensor *inside = NULL;
    fa_scope {
        inside = fa_mul(gradient, 2);
    }
    return inside;
}

static fa_tensor *nested(fa_tensor *gradient, void *context)
{
    (void)gradient;
    fa_backward((fa_tensor *)context);
    return NULL;
}

static fa_tensor *fails(fa_tensor *gradient, void *context)
{
    (void)gradient, (void)context;
    fa_raise(FA_VALUE_ERROR, "no more. Hint: none");
    return NULL;
}

static void hooks_of_tensors_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        fa_gradient_function function;
        fa_error_kind kind;
        const char *part;
    } wrong[] = {{wrong_shape, FA_SHAPE_ERROR, "[5]"},
                 {wrong_type, FA_SHAPE_ERROR, "float32"},
                 {ended, FA_STATE_ERROR, "scope has ended"},
                 {nested, FA_STATE_ERROR, "outside"},
                 {fails, FA_VALUE_ERROR, "no more"}};
    fa_scope {
        fa_tensor *x = LEAF(1, 2), *loss = fa_sum(fa_mul(x, x)), *grads[1];
        for (int i = 0; i < 5; i++)
            for (int computed = 0; computed < 2; computed++) {
                fa_tensor *at = computed ? loss : x;
                int64_t id = fa_register_hook(at, wrong[i].function, loss);
                assert_true(id > 0);
                assert_false(fa_backward(loss, .retain_graph = true));
                check_error(wrong[i].kind, wrong[i].part);
                assert_false(fa_autograd_grad(FA_TENSORS(loss), FA_TENSORS(x), grads, .retain_graph = true));
                check_error(wrong[i].kind, wrong[i].part);
                assert_null(grads[0]);
                assert_true(fa_remove_hook(at, id));
                assert_null(fa_grad(x));
            }
        assert_true(fa_backward(loss)); /* nothing was used up */
        assert_true(((const double *)fa_data(fa_grad(x)))[1] == 4);
        assert_int_equal(fa_register_hook(x, NULL, NULL), 0);
        check_error(FA_VALUE_ERROR, "needs a function");
        assert_int_equal(fa_register_hook(fa_ones(2), count_calls, NULL), 0);
        check_error(FA_STATE_ERROR, "without history");
        fa_no_grad {
            assert_int_equal(fa_register_hook(fa_mul(x, 2), count_calls, NULL), 0);
        }
        check_error(FA_STATE_ERROR, "without history");
        assert_int_equal(fa_register_hook(NULL, count_calls, NULL), 0);
        check_error(FA_VALUE_ERROR, "NULL");
    }
    assert_string_equal(fa_error(), "");
}

static fa_tensor *always_ones(fa_module *module, fa_tensor *tensor, fa_tensor *other, void *context)
{
    (void)module, (void)tensor, (void)context;
    return fa_ones_like(other);
}

static void hooks_of_modules_that_are_refused(void **state)
{
    (void)state;
    int calls = 0;
    fa_module *in_place = fa_nn_relu(.inplace = true), *linear = fa_nn_linear(3, 3);
    fa_register_full_backward_hook(in_place, count_module, &calls);
    fa_register_full_backward_hook(linear, always_ones, NULL);
    fa_scope {
        fa_tensor *x = fa_ones_with(FA_SHAPE(2, 3), .requires_grad = true);
        assert_null(fa_forward(in_place, fa_mul(x, 2)));
        check_error(FA_STATE_ERROR, "in place");
        fa_tensor *y = fa_forward(linear, fa_ones(2, 3)); /* its input requires no gradient */
        assert_false(fa_backward(fa_sum(y)));
        check_error(FA_VALUE_ERROR, "needs NULL");
        assert_null(fa_grad(fa_find(linear, "weight")));
        assert_int_equal(fa_register_full_backward_hook(linear, NULL, NULL), 0);
        check_error(FA_VALUE_ERROR, "needs a function");
        assert_int_equal(calls, 0);
    }
    assert_string_equal(fa_error(), "");
    fa_free(in_place);
    fa_free(linear);
}

static int no_error(void **state)
{
    (void)state;
    fa_clear_error();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(check_scenarios, no_error),
        cmocka_unit_test_setup(reading_loses_nothing, no_error),
        cmocka_unit_test_setup(gradients_can_be_kept, no_error),
        cmocka_unit_test_setup(hooks_may_change_while_they_run, no_error),
        cmocka_unit_test_setup(values_inside_are_no_gradients_of_the_module, no_error),
        cmocka_unit_test_setup(hooks_of_tensors_that_are_refused, no_error),
        cmocka_unit_test_setup(hooks_of_modules_that_are_refused, no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
