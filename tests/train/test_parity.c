/* Programs held against recordings of PyTorch runs (golden/parity*.json): right ports agree, and each planted mistake
 * is found where it is. Damaged recordings are refused. */
#include "support/facula_test.h"

#include "facula.h"
#include "support/tempdir.h"
#include "train/json.h"

#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char report[65536];

/* The report as text. */
static void take_report(const fa_parity *parity)
{
    FILE *file = fmemopen(report, sizeof report, "w");
    assert_non_null(file);
    assert_true(fa_parity_report(parity, file));
    fclose(file);
}

/* ---- The port of examples/parity.py, with mistakes ---- */

typedef struct mistake {
    const char *name;
    uint64_t seed;
    bool drawn_between, other_order, no_normalize, no_shuffle, shift_labels, sum, smoothing, no_weight_decay,
        no_momentum, other_lr, keep_gradients, clipped, tanh, no_padding, replicate, kernel_5, step_twice;
    const char *part[3]; /* of the report */
} mistake;

static fa_module *conv(const mistake *m)
{
    if (m->kernel_5)
        return fa_nn_conv2d(1, 4, 5, .stride = 2, .padding = 2);
    if (m->no_padding)
        return fa_nn_conv2d(1, 4, 3, .stride = 2);
    return fa_nn_conv2d(1, 4, 3, .stride = 2, .padding = 1,
                        .padding_mode = m->replicate ? FA_PAD_REPLICATE : FA_PAD_CONSTANT);
}

static fa_module *build(const mistake *m)
{
    fa_manual_seed(m->seed);
    if (m->drawn_between)
        fa_scope
            assert_non_null(fa_data(fa_rand(1)));
    fa_module *first = conv(m), *last = fa_nn_linear(196, 10);
    if (m->other_order) {
        /* The last layer's weights are drawn before the first one's. */
        fa_free(last);
        fa_manual_seed(m->seed);
        last = fa_retain(fa_nn_linear(196, 10));
        fa_scope
            assert_non_null(fa_data(fa_find(last, "weight")));
        fa_free(last);
        fa_free(first);
        first = conv(m);
    }
    return fa_nn_sequential(first, m->tanh ? fa_nn_tanh() : fa_nn_relu(), fa_nn_max_pool2d(2), fa_nn_flatten(), last);
}

static fa_loader *first_64(const mistake *m)
{
    int64_t indices[64];
    for (int64_t i = 0; i < 64; i++)
        indices[i] = i;
    fa_transform *transform =
        m->no_normalize ? fa_to_tensor() : fa_compose(fa_to_tensor(), fa_normalize({0.1307}, {0.3081}));
    return fa_data_loader(fa_subset(fa_mnist(source_path("data/mnist"), .transform = transform), indices, 64),
                          .batch_size = 4, .shuffle = !m->no_shuffle);
}

/* docs/guide/parity.md shows this very text. */
static void assert_page_shows(const char *text)
{
    char *page = read_file(source_path("docs/guide/parity.md"), NULL);
    if (!strstr(page, text))
        fail_msg("docs/guide/parity.md does not show:\n%s", text);
    free(page);
}

static void train(const mistake *m, const char *recording)
{
    fa_module *model = build(m);
    fa_optim *optim = fa_sgd(fa_parameters(model), m->other_lr ? 0.1 : 0.05, .momentum = m->no_momentum ? 0 : 0.9,
                             .weight_decay = m->no_weight_decay ? 0 : 5e-4);
    fa_loader *loader = first_64(m);
    fa_parity *parity = fa_parity_new(source_path(recording), model, .optim = optim);
    assert_string_equal(fa_error(), "");
    int64_t steps = 0;
    fa_for_each_batch (b, loader) {
        fa_tensor *labels = m->shift_labels ? fa_sub(fa_full(FA_SHAPE(4), 9, .dtype = FA_INT64), b.labels) : b.labels;
        fa_tensor *loss =
            fa_cross_entropy(fa_forward(model, b.images), labels, .reduction = m->sum ? FA_REDUCE_SUM : FA_REDUCE_MEAN,
                             .label_smoothing = m->smoothing ? 0.1 : 0);
        if (!m->keep_gradients)
            fa_zero_grad(optim);
        fa_backward(loss);
        if (m->clipped)
            fa_clip_grad_norm_(fa_parameters(model), 0.1);
        fa_step(optim);
        if (m->step_twice)
            fa_step(optim);
        steps++;
        if (!fa_parity_step(parity, loss, labels))
            break;
    }
    take_report(parity);
    const bool agrees = fa_parity_agrees(parity);
    if (m->part[0]) {
        assert_false(agrees);
        for (int i = 0; i < 3 && m->part[i]; i++)
            assert_contains(report, m->part[i]);
        if (m->no_normalize)
            assert_page_shows(strstr(report, "They part"));
        fa_clear_error(); /* a layer may have refused what a mistake led to */
    } else {
        assert_string_equal(fa_error(), "");
        assert_true(agrees);
        assert_int_equal(steps, 8);
        assert_page_shows(strstr(report, "  step  "));
    }
    fa_free(parity);
    fa_free(loader);
    fa_free(optim);
    fa_free(model);
}

static const mistake mistakes[] = {
    {"none", .part = {NULL}},
    {"other seed", .seed = 1,
     .part = {"They part in step 1, at the initial weight 0.weight [4, 1, 3, 3].", "another seed (PyTorch's was 0",
              "4 of 4 tensors differ"}},
    {"a draw before the model", .drawn_between = true, .part = {"the initial weight 0.weight", "between the seed and"}},
    {"drawn in another order", .other_order = true, .part = {"the initial weight 0.weight"}},
    {"another kernel", .kernel_5 = true,
     .part = {"the initial weight 0.weight [4, 1, 3, 3]", "here it is [4, 1, 5, 5]", "other sizes"}},
    {"no Normalize", .no_normalize = true,
     .part = {"They part in step 1, at the images [4, 1, 28, 28].", "a Normalize is missing",
              "fa_normalize({0.1307}, {0.3081})"}},
    {"no shuffle", .no_shuffle = true, .part = {"at the images", "in another order", "shuffle"}},
    {"other labels", .shift_labels = true, .part = {"They part in step 1, at the labels [4].", "images are the same"}},
    {"padding forgotten", .no_padding = true,
     .part = {"They part in step 1, at the output of 0 [4, 4, 14, 14].", "here it is [4, 4, 13, 13]",
              "here Conv2d(1, 4, kernel_size=(3, 3), stride=(2, 2))"}},
    {"other padding", .replicate = true, .part = {"the output of 0 [4, 4, 14, 14].", "padding_mode=replicate"}},
    {"other activation", .tanh = true, .part = {"the output of 1 [4, 4, 14, 14]", "in PyTorch ReLU(), here Tanh()"}},
    {"sum of losses", .sum = true, .part = {"at the loss.", "4 times PyTorch's, the number of items"}},
    {"other loss", .smoothing = true,
     .part = {"at the loss.", "label smoothing", "PyTorch's was CrossEntropyLoss, reduction mean."}},
    {"clipping", .clipped = true,
     .part = {"at the gradient of 4.bias [10].", "times PyTorch's: gradients are clipped"}},
    {"gradients kept", .keep_gradients = true,
     .part = {"They part in step 2, at the gradient of 4.bias [10].", "fa_zero_grad"}},
    {"no weight decay", .no_weight_decay = true,
     .part = {"They part in step 1, at 0.weight [4, 1, 3, 3] after the step.",
              "weight_decay 0.0005 in PyTorch, 0 here"}},
    {"no momentum", .no_momentum = true, .part = {"at the optimizer's options.", "momentum 0.9 in PyTorch, 0 here"}},
    {"other learning rate", .other_lr = true,
     .part = {"at 0.weight [4, 1, 3, 3] after the step.", "learning rate 0.05 in PyTorch, 0.1 here."}},
    {"two steps", .step_twice = true, .part = {"at 0.weight [4, 1, 3, 3] after the step.", "a second fa_step"}},
};

static void test_mistake(void **state)
{
    train(*state, "tests/golden/parity.json");
}

/* ---- A network of one's own, Adam, and what cannot be run ---- */

typedef struct Net {
    fa_module base;
    fa_module *conv, *fc;
} Net;

static fa_tensor *net_forward(fa_module *self, fa_tensor *x)
{
    Net *net = (Net *)self;
    return fa_forward(net->fc, fa_flatten(fa_relu(fa_forward(net->conv, x)), 1));
}

static Net *make_net(void)
{
    fa_manual_seed(2);
    Net *net = (Net *)fa_module_new(Net, net_forward);
    fa_layer(net, conv, fa_nn_conv2d(3, 4, 3));
    fa_layer(net, fc, fa_nn_linear(36, 5));
    return net;
}

static bool do_step(Net *net, fa_optim *optim, fa_parity *parity, fa_tensor *x, fa_tensor *y)
{
    fa_tensor *loss = fa_cross_entropy(fa_forward(&net->base, x), y);
    fa_zero_grad(optim);
    fa_backward(loss);
    fa_step(optim);
    return fa_parity_step(parity, loss, y);
}

/* Two groups of parameters, and a pass in evaluation between two steps, which is not compared. `wrong`: the second
 * group's momentum. */
static void own_network(bool wrong)
{
    Net *net = make_net();
    fa_optim *optim = fa_sgd(fa_parameters(net->conv), 0.02, .momentum = 0.9, .nesterov = true);
    assert_true(fa_add_param_group(optim, fa_parameters(net->fc), .lr = 0.1, .momentum = wrong ? 0.5 : 0.9));
    fa_parity *parity = fa_parity_new(source_path("tests/golden/parity_net.json"), &net->base, .optim = optim);
    assert_string_equal(fa_error(), "");
    assert_false(fa_parity_agrees(parity)); /* nothing was compared yet */
    fa_scope {
        fa_tensor *x[4], *y[4];
        for (int k = 0; k < 4; k++) {
            x[k] = fa_rand(4, 3, 5, 5);
            y[k] = fa_randint(0, 5, FA_SHAPE(4));
        }
        for (int k = 0; k < 4; k++) {
            assert_int_equal(do_step(net, optim, parity, x[k], y[k]), k < 3);
            fa_tensor *other = fa_add(x[k], x[k]); /* in evaluation, and without gradients: not compared */
            fa_eval(&net->base);
            assert_non_null(fa_forward(&net->base, other));
            fa_train(&net->base);
            fa_no_grad {
                assert_non_null(fa_forward(&net->base, other));
            }
        }
        assert_false(do_step(net, optim, parity, x[0], y[0])); /* beyond the recording: not compared */
    }
    assert_string_equal(fa_error(), "");
    take_report(parity);
    assert_int_equal(fa_parity_agrees(parity), !wrong);
    assert_contains(report, wrong ? "momentum 0.9 in PyTorch, 0.5 here" : "in all that was recorded of 4 steps.");
    fa_free(parity);
    fa_free(optim);
    fa_free(&net->base);
}

static void test_own_network(void **state)
{
    (void)state;
    own_network(false);
    own_network(true);
}

static void test_wrong_calls(void **state)
{
    (void)state;
    const char *path = source_path("tests/golden/parity_net.json");
    Net *net = make_net();
    assert_null(fa_parity_new(path, NULL));
    fa_clear_error();
    assert_null(fa_parity_new(NULL, &net->base));
    assert_contains(fa_error(), "got NULL, needs the path");
    fa_clear_error();
    assert_null(fa_parity_new(path, &net->base, .tolerance = NAN));
    assert_contains(fa_error(), "got tolerance nan");
    fa_clear_error();
    fa_parity *parity = fa_parity_new(path, &net->base);
    assert_non_null(parity);
    assert_null(fa_parity_new(path, &net->base));
    assert_contains(fa_error(), "fa_free the first");
    fa_clear_error();
    fa_scope
        assert_false(fa_parity_step(parity, fa_rand(1), NULL));
    assert_contains(fa_error(), "got a step without a training pass");
    fa_clear_error();
    take_report(parity);
    assert_contains(report, "No step was compared.");
    fa_free(&net->base); /* the comparison holds it until its own end */
    fa_free(parity);
    fa_parity_free(NULL);
    assert_false(fa_parity_step(NULL, NULL, NULL));
    assert_false(fa_parity_report(NULL, stdout));
    assert_true(fa_ok());
}

/* Names that are not PyTorch's. */
static void test_names(void **state)
{
    (void)state;
    fa_manual_seed(2);
    fa_module *model = fa_nn_sequential(fa_nn_conv2d(3, 4, 3), fa_nn_relu(), fa_nn_flatten(), fa_nn_linear(36, 5));
    fa_parity *parity = fa_parity_new(source_path("tests/golden/parity_net.json"), model);
    assert_non_null(parity);
    take_report(parity);
    assert_contains(report, "note: the recording has no 3.weight");
    assert_contains(report, "at the initial weight conv.weight [4, 3, 3, 3]");
    assert_contains(report, "no tensor of this name");
    fa_free(parity);
    fa_free(model);
}

/* ---- The command ---- */

static char output[65536];
static tempdir folder;

static int run(const char *line)
{
    if (FA_EMULATED)
        skip(); /* the command could not be started */
    char command[4096];
    snprintf(command, sizeof command, "cd '%s' && F='%s' D='%s' && { %s; } 2>&1", FA_SOURCE_DIR, FA_FACULA, folder.path,
             line);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = 0;
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_command(void **state)
{
    (void)state;
    assert_int_equal(run("$F parity tests/golden/parity.json"), 0);
    assert_contains(output, "     8      2.315675");
    assert_contains(output, "They agree in all that was recorded of 8 steps.");
    assert_contains(output, "Seed 0 gives the recorded initial weights.");
    assert_int_equal(run("$F parity --threads 1 tests/golden/parity_norm.json"), 0);
    assert_contains(output, "Left out: weights whose gradient is rounding alone, which Adam moves");
    assert_contains(output, "Seed 1 gives");
    assert_int_equal(run("$F parity tests/golden/parity_net.json"), 1);
    assert_contains(output, "there is no class \"Net\"");
    assert_int_equal(run("$F parity"), 2);
    assert_contains(output, "which recording?");
    assert_int_equal(run("$F parity $D/none.json"), 1);
    assert_contains(output, "could not open");
    /* A run of other options than the recorded ones: the recording is changed. */
    const char *change = "cp tests/golden/parity.safetensors $D/a.safetensors && sed '%s' tests/golden/parity.json "
                         "> $D/a.json && $F parity $D/a.json";
    const struct {
        const char *edit, *part;
    } changes[] = {{"s/\"weight_decay\": 0.0005/\"weight_decay\": 0.001/", "at 0.weight [4, 1, 3, 3] after the step."},
                   {"s/\"seed\": 0/\"seed\": 3/", "Seed 3 does not give the recorded initial weights"},
                   {"s/\"name\": \"SGD\"/\"name\": \"LBFGS\"/", "got the optimizer LBFGS"},
                   {"s/CrossEntropyLoss/HingeLoss/", "got the criterion \"HingeLoss\""},
                   {"s/ReLU()/GELU()/g", "there is no class \"GELU\""},
                   {"s/padding=(1, 1))/padding=(0, 0))/", "step 1, at the output of 0 [4, 4, 14, 14]"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char line[1024];
        snprintf(line, sizeof line, change, changes[i].edit);
        const int status = run(line);
        assert_contains(output, changes[i].part);
        assert_int_equal(status, strstr(changes[i].edit, "seed") ? 0 : 1);
    }
}

/* Printed models as PyTorch and the library write them come back as they were. */
static void test_printed_models(void **state)
{
    (void)state;
    const char *program = "cp tests/golden/parity.safetensors $D/b.safetensors; "
                          "printf '{\"format\": \"facula parity 1\", \"seed\": 0, \"model\": \"%s\", \"steps\": [{}]}' "
                          "> $D/b.json; $F parity $D/b.json";
    const struct {
        const char *model, *part;
    } models[] = {{"Sequential(\\\\n  (0): Conv2d(1, 8, kernel_size=(3, 3))\\\\n", "not a layer's line"},
                  {"Sequential(\\\\n  (0) Linear(2, 3)\\\\n)", "not a layer's line"},
                  {"Linear(2", "not a layer"},
                  {"Linear(in_features=2, out_features=three, bias=True)", "an argument is"},
                  {"Conv2d(1, 8, kernel_size=(3, ), stride=(1, 1))", "an argument is"},
                  {"Conv2d(1, 0, kernel_size=(3, 3), stride=(1, 1))", "out_channels"},
                  {"Dropout(p=0.5, inplace=False))", "behind its end"},
                  {"", "not a layer"}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char line[1024];
        snprintf(line, sizeof line, program, models[i].model);
        assert_int_equal(run(line), 1);
        assert_contains(output, models[i].part);
    }
}

/* ---- Damaged files ---- */

/* Both files cut short, and with bytes changed in the JSON texts: an error with a message, or a run that says what it
 * found; never a crash. */
static void test_damaged(void **state)
{
    (void)state;
    size_t sizes[2];
    char *bytes[2] = {read_file(source_path("tests/golden/parity_net.json"), &sizes[0]),
                      read_file(source_path("tests/golden/parity_net.safetensors"), &sizes[1])};
    char path[2][512];
    snprintf(path[0], sizeof path[0], "%s", tempdir_file(&folder, "c.json"));
    snprintf(path[1], sizeof path[1], "%s", tempdir_file(&folder, "c.safetensors"));
    uint64_t seed = test_seed(20261125);
    Net *net = make_net();
    for (int round = 0; round < 600; round++) {
        const int which = round & 1;
        const bool cut = round < 200;
        size_t header = sizes[0];
        if (which)
            memcpy(&header, bytes[1], 8), header += 8;
        size_t at = (size_t)test_random_int(&seed, 0, (int64_t)(cut ? sizes[which] : header) - 1);
        const char kept = bytes[which][at];
        if (!cut)
            bytes[which][at] = "0123456789\"[]{},:-eE\\ntfx\0 "[test_random_int(&seed, 0, 27)];
        write_file(path[which], bytes[which], cut ? at : sizes[which]);
        write_file(path[!which], bytes[!which], sizes[!which]);
        bytes[which][at] = kept;
        fa_parity *parity = fa_parity_new(path[0], &net->base);
        if (parity)
            take_report(parity);
        else
            assert_int_equal(fa_error_code(), FA_FILE_ERROR);
        if (cut)
            assert_null(parity);
        fa_clear_error();
        fa_free(parity);
        bool agrees;
        fa_parity_replay(path[0], &net->base, NULL, &agrees);
        fa_clear_error();
    }
    fa_free(&net->base);
    free(bytes[0]);
    free(bytes[1]);
}

static void test_json(void **state)
{
    (void)state;
    static const char good[] = " {\"a\": [1, -2.5e3, true, false, null, {}], \"b\\u00e9\\n\": \"\\ud83d\\ude00\\\"\", "
                               "\"c\": NaN, \"d\": -Infinity} ";
    fa_json json;
    int64_t at;
    assert_true(fa_json_read(&json, good, sizeof good - 1, &at));
    const fa_json_value *a = fa_json_get(&json, &json.value[0], "a"), *one = fa_json_first(&json, a);
    int64_t whole;
    assert_int_equal(a->count, 6);
    assert_true(fa_json_whole(one, &whole) && whole == 1);
    assert_true(fa_json_next(&json, one)->number == -2500);
    assert_string_equal(fa_json_text(&json, &json.value[0], "b\xc3\xa9\n", ""), "\xf0\x9f\x98\x80\"");
    assert_true(isnan(fa_json_number(&json, &json.value[0], "c", 0)));
    assert_true(fa_json_number(&json, &json.value[0], "d", 0) == -INFINITY);
    assert_true(fa_json_number(&json, &json.value[0], "e", 7) == 7);
    fa_json_free(&json);
    static const char *const bad[] = {"",        "{",         "[1,]",        "[1 2]",       "{\"a\" 1}", "{\"a\":1,}",
                                      "{a:1}",   "tru",       "01",          "1.",          "-",         ".5",
                                      "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\n\"",    "\"\\u0000\"",
                                      "\"open",  "[]]",       "1 1",         "+1",          "[1",        "{\"a\":"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (fa_json_read(&json, bad[i], strlen(bad[i]), &at))
            fail_msg("read as JSON: %s", bad[i]);
        assert_true(at >= 0 && at <= (int64_t)strlen(bad[i]));
    }
    char deep[200];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    assert_false(fa_json_read(&json, deep, 200, &at));
    assert_true(fa_json_read(&json, deep + 40, 120, &at));
    fa_json_free(&json);
}

int main(void)
{
    enum { MISTAKES = sizeof mistakes / sizeof *mistakes };
    struct CMUnitTest tests[MISTAKES + 8];
    int count = 0;
    for (int i = 0; i < MISTAKES; i++)
        tests[count++] = (struct CMUnitTest){
            .name = mistakes[i].name, .test_func = test_mistake, .initial_state = (void *)(uintptr_t)&mistakes[i]};
    const struct CMUnitTest others[] = {
        cmocka_unit_test(test_own_network), cmocka_unit_test(test_wrong_calls),    cmocka_unit_test(test_names),
        cmocka_unit_test(test_command),     cmocka_unit_test(test_printed_models), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_json)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        tests[count++] = others[i];
    folder = tempdir_new();
    int failed = _cmocka_run_group_tests("parity", tests, (size_t)count, NULL, NULL);
    tempdir_free(&folder);
    return failed;
}
