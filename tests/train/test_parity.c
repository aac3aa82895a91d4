/* Programs held against recordings of PyTorch runs (golden/parity*.json): right ports agree, and each planted mistake
 * is found where it is. Damaged recordings are refused. */
#include "support/facula_test.h"

#include "base/memory.h"
#include "facula.h"
#include "support/tempdir.h"
#include "train/recording.h"

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
    const char *recording; /* NULL: golden/parity.json */
    bool flip, crop, no_labels;
    const char *part[4]; /* of the report */
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
        m->no_normalize ? fa_to_tensor()
        : m->flip       ? fa_compose(fa_random_horizontal_flip(), fa_to_tensor(), fa_normalize({0.1307}, {0.3081}))
        : m->crop       ? fa_compose(fa_random_crop(28, .padding = 2), fa_to_tensor(), fa_normalize({0.1307}, {0.3081}))
                        : fa_compose(fa_to_tensor(), fa_normalize({0.1307}, {0.3081}));
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

static void train(const mistake *m)
{
    fa_module *model = build(m);
    fa_optim *optim = fa_sgd(fa_parameters(model), m->other_lr ? 0.1 : 0.05, .momentum = m->no_momentum ? 0 : 0.9,
                             .weight_decay = m->no_weight_decay ? 0 : 5e-4);
    fa_loader *loader = first_64(m);
    char recording[512];
    snprintf(recording, sizeof recording, "%s", source_path(m->recording ? m->recording : "tests/golden/parity.json"));
    fa_parity *parity = fa_parity_new(recording, model, .optim = optim);
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
        if (!fa_parity_step(parity, loss, m->no_labels ? NULL : labels))
            break;
    }
    take_report(parity);
    const bool agrees = fa_parity_agrees(parity);
    if (m->part[0]) {
        assert_false(agrees);
        for (int i = 0; i < 4 && m->part[i]; i++)
            assert_contains(report, m->part[i]);
        if (m->no_normalize && m->recording == NULL)
            assert_page_shows(strstr(report, "They part"));
        fa_clear_error(); /* a layer may have refused what a mistake led to */
    } else {
        assert_string_equal(fa_error(), "");
        if (!agrees)
            fail_msg("%s", report);
        assert_int_equal(steps, m->recording ? 2 : 8);
        /* The page has the differences of AVX2 and AVX-512; other instruction sets round otherwise. */
        if (!m->recording && strncmp(fa_cpu_isa(), "avx", 3) == 0)
            assert_page_shows(strstr(report, "  step  "));
    }
    fa_free(parity);
    fa_free(loader);
    fa_free(optim);
    fa_free(model);
}

#define FLIP "tests/golden/parity_flip.json"
#define CROP "tests/golden/parity_crop.json"
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
    {"options are said whatever parts", .seed = 1, .other_lr = true,
     .part = {"at the initial weight 0.weight",
              "note: the optimizer's options differ in step 1: learning rate 0.05 in PyTorch, 0.1 here"}},
    {"random flips", .flip = true, .recording = FLIP, .part = {NULL}},
    {"no flip", .recording = FLIP,
     .part = {"at the images [4, 1, 28, 28].", "The items are the same, and", "are mirrored: RandomHorizontalFlip"}},
    {"random crops", .crop = true, .recording = CROP, .part = {NULL}},
    {"no crop", .recording = CROP,
     .part = {"at the images [4, 1, 28, 28].", "same items with other pixels", "a random transform"}},
    {"no crop, labels unknown", .recording = CROP, .no_labels = true,
     .part = {"at the images [4, 1, 28, 28].", "Other items, or other pixels"}},
    {"no crop, another order", .recording = CROP, .no_shuffle = true,
     .part = {"at the images [4, 1, 28, 28].", "The labels differ too, so these are other items"}},
    {"two steps", .step_twice = true, .part = {"at 0.weight [4, 1, 3, 3] after the step.", "a second fa_step"}},
};

static void test_mistake(void **state)
{
    train(*state);
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

/* The cause's lines in one. */
static void join_lines(void)
{
    for (char *at = report; (at = strstr(at, "\n    ")) != NULL;)
        memmove(at + 1, at + 5, strlen(at + 5) + 1), *at = ' ';
}

/* A Normalize that is missing for images of three channels; and a program that ends before its recording. */
static void test_channels(void **state)
{
    (void)state;
    static const float scale[3] = {2, 4, 0.5F}, shift[3] = {0.5F, 0.25F, -1};
    Net *net = make_net();
    fa_optim *optim = fa_sgd(fa_parameters(net->conv), 0.02, .momentum = 0.9, .nesterov = true);
    assert_true(fa_add_param_group(optim, fa_parameters(net->fc), .lr = 0.1));
    fa_parity *parity = fa_parity_new(source_path("tests/golden/parity_net.json"), &net->base, .optim = optim);
    fa_scope {
        fa_tensor *x = fa_rand(4, 3, 5, 5), *y = fa_randint(0, 5, FA_SHAPE(4));
        x = fa_mul(x, fa_from_memory(scale, FA_FLOAT32, FA_SHAPE(3, 1, 1)));
        x = fa_add(x, fa_from_memory(shift, FA_FLOAT32, FA_SHAPE(3, 1, 1)));
        assert_true(do_step(net, optim, parity, x, y));
    }
    assert_string_equal(fa_error(), "");
    take_report(parity);
    join_lines();
    assert_contains(report, "at the images [4, 3, 5, 5].");
    assert_contains(report, "fa_normalize({0.5, 0.25, -1}, {2, 4, 0.5}) is what");
    assert_contains(report, "The recording has 3 more steps, which this run did not reach.");
    fa_free(parity);
    fa_free(optim);
    fa_free(&net->base);
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

static void test_registration_order(void **state)
{
    (void)state;
    fa_manual_seed(2);
    Net *net = (Net *)fa_module_new(Net, net_forward);
    fa_layer(net, fc, fa_nn_linear(36, 5));
    fa_layer(net, conv, fa_nn_conv2d(3, 4, 3));
    fa_parity *parity = fa_parity_new(source_path("tests/golden/parity_net.json"), &net->base);
    assert_non_null(parity);
    take_report(parity);
    assert_contains(report, "at the initial weight conv.weight [4, 3, 3, 3]");
    join_lines();
    assert_contains(report,
                    "registered in another order: PyTorch's model has conv.weight where this one has fc.weight");
    fa_free(parity);
    fa_free(&net->base);
}

/* The port of make_parity.py's cycle(): a frozen layer, class weights, a schedule that moves the momentum too.
 * `wrong`: 0 nothing, 1 the layer is not frozen, 2 no class weights, 3 no schedule, 4 the momentum stays. */
static void cycle(int wrong, const char *part, const char *second)
{
    static const float weights[5] = {0.5F, 1, 2, 3, 0.25F};
    fa_manual_seed(3);
    fa_module *model = fa_nn_sequential(fa_nn_conv2d(1, 2, 3), fa_nn_relu(), fa_nn_flatten(), fa_nn_linear(32, 5));
    if (wrong != 1)
        fa_requires_grad_(fa_child(model, 0), false);
    fa_optim *optim = fa_sgd(fa_parameters(model), 0.1, .momentum = 0.9);
    fa_scheduler *scheduler =
        wrong == 3 ? NULL : fa_one_cycle_lr(optim, 0.2, .total_steps = 8, .cycle_momentum = wrong != 4);
    fa_module *criterion =
        fa_nn_cross_entropy_loss(.weight = wrong == 2 ? NULL : fa_from_memory(weights, FA_FLOAT32, FA_SHAPE(5)),
                                 .ignore_index = 2, .label_smoothing = 0.1);
    fa_parity *parity = fa_parity_new(source_path("tests/golden/parity_cycle.json"), model, .optim = optim);
    assert_string_equal(fa_error(), "");
    fa_scope {
        fa_tensor *x[6], *y[6];
        for (int k = 0; k < 6; k++) {
            x[k] = fa_rand(6, 1, 6, 6);
            y[k] = fa_randint(0, 5, FA_SHAPE(6));
        }
        for (int k = 0; k < 6; k++) {
            fa_zero_grad(optim);
            fa_tensor *loss = fa_criterion(criterion, fa_forward(model, x[k]), y[k]);
            fa_backward(loss);
            fa_step(optim);
            if (scheduler)
                fa_step(scheduler);
            fa_parity_step(parity, loss, y[k]);
        }
    }
    assert_string_equal(fa_error(), "");
    take_report(parity);
    if (fa_parity_agrees(parity) != (wrong == 0))
        fail_msg("mistake %d: %s", wrong, report);
    assert_contains(report, part);
    assert_contains(report, second);
    fa_free(parity);
    fa_free(scheduler);
    fa_free(optim);
    fa_free(criterion);
    fa_free(model);
}

static void test_cycle(void **state)
{
    (void)state;
    cycle(0, "They agree in all that was recorded of 6 steps.", "recording:");
    cycle(1, "note: 0.weight is frozen in PyTorch (requires_grad=False), not here", "PyTorch's is frozen");
    cycle(2, "at the loss.", "with class weights (weight=)");
    cycle(3, "note: the optimizer's options differ in step 1: learning rate 0.008", "after the step.");
    cycle(4, "note: the optimizer's options differ in step 1: momentum 0.95 in PyTorch, 0.9 here", "momentum");
}

/* The port of make_parity.py's clip(). `wrong`: 0 nothing, 1 gradients are not clipped, 2 batch norm trains. */
static void clip(int wrong, const char *part, const char *second)
{
    fa_manual_seed(4);
    fa_module *model = fa_nn_sequential(fa_nn_conv2d(1, 2, 3, .bias = false), fa_nn_batch_norm2d(2), fa_nn_relu(),
                                        fa_nn_flatten(), fa_nn_linear(32, 5));
    fa_optim *optim = fa_sgd(fa_parameters(model), 0.5);
    fa_parity *parity = fa_parity_new(source_path("tests/golden/parity_clip.json"), model, .optim = optim);
    assert_string_equal(fa_error(), "");
    fa_scope {
        fa_tensor *x[4], *y[4];
        for (int k = 0; k < 4; k++) {
            x[k] = fa_rand(6, 1, 6, 6);
            y[k] = fa_randint(0, 5, FA_SHAPE(6));
        }
        if (wrong != 2)
            fa_eval(fa_child(model, 1));
        for (int k = 0; k < 4; k++) {
            fa_zero_grad(optim);
            fa_tensor *loss = fa_cross_entropy(fa_forward(model, x[k]), y[k]);
            fa_backward(loss);
            if (wrong != 1)
                fa_clip_grad_norm_(fa_parameters(model), 0.5);
            fa_step(optim);
            fa_parity_step(parity, loss, y[k]);
        }
    }
    assert_string_equal(fa_error(), "");
    take_report(parity);
    if (fa_parity_agrees(parity) != (wrong == 0))
        fail_msg("mistake %d: %s", wrong, report);
    assert_contains(report, part);
    assert_contains(report, second);
    fa_free(parity);
    fa_free(optim);
    fa_free(model);
}

static void test_clip(void **state)
{
    (void)state;
    clip(0, "They agree in all that was recorded of 4 steps.", "recording:");
    clip(1, "at the gradient of 4.bias", "PyTorch's script multiplied all by 0.");
    clip(2, "note: 1 is in evaluation (eval()) in PyTorch, not here", "at the output of 1");
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
    assert_int_equal(run("$F parity tests/golden/parity_net.json"), 2);
    assert_contains(output, "got the class Net");
    assert_contains(output, "is compared by its port, with fa_parity_new");
    assert_null(strstr(output, "fa_register_class"));
    assert_int_equal(run("$F parity tests/golden/parity_cycle.json"), 0);
    assert_int_equal(run("$F parity tests/golden/parity_clip.json"), 0);
    assert_int_equal(run("$F parity tests/golden/parity_head.json"), 0);
    assert_int_equal(run("$F parity tests/golden/parity_lost.json"), 0);
    assert_contains(output, "PyTorch's loss is infinite or NaN from step 2 on, and so is the one here");
    assert_int_equal(run("$F parity tests/golden/parity_betas.json"), 0);
    assert_contains(output, "Seed 18446744073709551615 gives the recorded initial weights.");
    assert_int_equal(run("$F parity $D"), 2);
    assert_contains(output, "which is a folder, needs a recording's RUN.json");
    assert_int_equal(run("$F parity"), 2);
    assert_contains(output, "which recording?");
    assert_int_equal(run("$F parity $D/none.json"), 2);
    assert_contains(output, "could not open");
    assert_int_equal(run("$F parity tests/golden/parity.json > /dev/full"), 2);
    assert_contains(output, "could not write the report");
    assert_int_equal(run("cp tests/golden/parity.json $D/alone.json; $F parity $D/alone.json"), 2);
    assert_contains(output, "the recorder writes two files; keep them together");
    /* A run of other options than the recorded ones: the recording is changed. */
    const char *change = "cp tests/golden/parity.safetensors $D/a.safetensors && sed '%s' tests/golden/parity.json "
                         "> $D/a.json && $F parity $D/a.json";
    const struct {
        const char *edit, *part;
        int status;
    } changes[] = {
        {"s/\"weight_decay\": 0.0005/\"weight_decay\": 0.001/", "at 0.weight [4, 1, 3, 3] after the step.", 1},
        {"s/\"momentum\": 0.9/\"momentum\": 0.8/", "They part in step 2, at 0.weight", 1},
        {"s/\"seed\": \"0\"/\"seed\": \"3\"/", "Seed 3 does not give the recorded initial weights", 0},
        {"s/\"seed\": \"0\"/\"seed\": \"9007199254740993\"/", "Seed 9007199254740993 does not give", 0},
        {"s/\"name\": \"SGD\"/\"name\": \"LBFGS\"/", "got the optimizer LBFGS", 2},
        {"s/\"momentum\": 0.9/\"momentum\": -1/", "got momentum -1", 2},
        {"s/CrossEntropyLoss/HingeLoss/", "got the criterion \"HingeLoss\"", 2},
        {"s/\"reduction\": \"mean\"/\"reduction\": \"none\"/", "reduction \"none\", needs \"mean\" or \"sum\"", 2},
        {"s/\"loss\": 2.6955[0-9]*/\"loss\": \"inf\"/",
         "They part in step 3, at the loss.\n    PyTorch inf, here 2.69553", 1},
        {"s/\"shared\": {}/\"shared\": {\"4.weight\": \"0.weight\"}/", "a model whose 4.weight is its 0.weight", 2},
        {"s/ReLU()/Foo()/g", "got the class Foo", 2},
        {"s/\"0.bias\",$/\"9.bias\",/", "9.bias", 2},
        {"s/\"frozen\": ..,$/\"frozen\": [\"9.bias\"],/", "9.bias", 2},
        {"s/padding=(1, 1))/padding=(0, 0))/", "The run ended there: linear (4): got [4, 144]", 1}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char line[1024];
        snprintf(line, sizeof line, change, changes[i].edit);
        const int status = run(line);
        if (!strstr(output, changes[i].part) || status != changes[i].status)
            fail_msg("%s: status %d, %s", changes[i].edit, status, output);
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

/* A whole RUN.json with one part in place of another. */
static char *edited(const char *from, const char *to)
{
    static const char whole[] =
        "{\"format\": \"facula parity 2\", \"torch\": \"2.15.0\", \"seed\": \"7\", \"model\": \"ReLU()\", "
        "\"layers\": {\"\": \"ReLU()\"}, \"state\": [], \"frozen\": [], \"evaluating\": [], \"criterion\": {\"name\": "
        "\"mse_loss\"}, "
        "\"optimizer\": {\"name\": \"SGD\", \"groups\": [{\"params\": [], \"lr\": 0.1, \"nesterov\": false}]}, "
        "\"scheduler\": null, \"steps\": [{\"loss\": \"nan\", \"details\": false, \"gradient_scale\": 1, \"groups\": "
        "[{\"lr\": 0.2}]}]}";
    static char text[4096];
    const char *at = strstr(whole, from);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
    return text;
}

static bool read_run(fa_recording *recording, const char *text)
{
    *recording = (fa_recording){.path = NULL};
    return fa_recording_read_run(recording, text, strlen(text), "RUN.json", FA_HERE);
}

/* Each field has its type; one message names the field and the place. */
static void test_types(void **state)
{
    (void)state;
    fa_recording r;
    assert_true(read_run(&r, edited("mse", "mse")));
    assert_true(isnan(r.step[0].loss));
    assert_true(r.step[0].group[0].value[FA_RECORDED_LR] == 0.2);
    assert_true(isnan(r.group[0].options.value[FA_RECORDED_MOMENTUM]));
    assert_true(r.seed == 7 && r.group[0].options.value[FA_RECORDED_NESTEROV] == 0 && r.scheduler == NULL);
    fa_recording_free_run(&r);
    assert_true(read_run(&r, edited("\"7\"", "\"18446744073709551615\", \"more\": [[{\"x\": 1e5}], true]")));
    assert_true(r.seed == UINT64_MAX);
    fa_recording_free_run(&r);
    static const struct {
        const char *from, *to, *part;
    } bad[] = {
        {"facula parity 2", "facula parity 1", "of format \"facula parity 1\", needs \"facula parity 2\""},
        {"\"facula parity 2\"", "2", "in \"format\", at byte"},
        {"\"2.15.0\"", "2.15", "in \"torch\", at byte 39: expected a text"},
        {"\"7\"", "7", "in \"seed\", at byte 57: expected a text"},
        {"\"7\"", "\"\"", "from 0 to 2^64 - 1 in quotes"},
        {"\"7\"", "\"-1\"", "from 0 to 2^64 - 1 in quotes"},
        {"\"7\"", "\"18446744073709551616\"", "from 0 to 2^64 - 1 in quotes"},
        {"\"ReLU()\", \"layers", "[], \"layers", "in \"model\","},
        {"\"ReLU()\", \"layers", "\"Re\\u0000LU()\", \"layers", "a zero byte in a text"},
        {"{\"\": \"ReLU()\"}", "[]", "in \"layers\", at byte"},
        {"{\"\": \"ReLU()\"}", "{\"\": 1}", "in \"layers\", at byte"},
        {"\"state\": []", "\"state\": {}", "in \"state\", at byte"},
        {"\"state\": []", "\"state\": [1]", "in \"state\", at byte"},
        {"\"frozen\": []", "\"frozen\": [\"a\",]", "in \"frozen\", at byte"},
        {"\"frozen\": [], ", "", "in \"frozen\", at byte"},
        {"\"frozen\": [], ", "\"state\": [], ", "in \"state\", at byte 128: it stands there twice"},
        {"\"mse_loss\"", "null", "in \"name\" of \"criterion\""},
        {"\"mse_loss\"", "\"a\", \"delta\": \"b\"", "in \"delta\" of \"criterion\""},
        {"{\"name\": \"SGD\", ", "{", "in \"name\" of \"optimizer\""},
        {"[{\"params\": [], \"lr\": 0.1, \"nesterov\": false}]", "[]", "in \"groups\" of \"optimizer\""},
        {"\"lr\": 0.1", "\"lr\": \"0.1\"", "in \"lr\" of \"optimizer\", at byte"},
        {"\"lr\": 0.1", "\"lr\": 1e999", "in \"lr\" of \"optimizer\", at byte"},
        {"\"lr\": 0.1", "\"lr\": NaN", "in \"lr\" of \"optimizer\", at byte"},
        {"\"lr\": 0.1", "\"betas\": [0.9]", "in \"betas\" of \"optimizer\", at byte"},
        {"\"params\": [], ", "", "in \"params\" of \"optimizer\", at byte"},
        {"null", "{}", "in \"scheduler\", at byte"},
        {"\"nan\"", "\"none\"", "in \"loss\" of \"steps\", at byte"},
        {"\"details\": false", "\"details\": 0", "in \"details\" of \"steps\", at byte"},
        {"\"gradient_scale\": 1", "\"gradient_scale\": \"nan\"", "in \"gradient_scale\" of \"steps\", at byte"},
        {"\"evaluating\": []", "\"evaluating\": [1]", "in \"evaluating\", at byte"},
        {"[{\"lr\": 0.2}]", "0.2", "in \"groups\" of \"steps\", at byte"},
        {"[{\"loss\": \"nan\", \"details\": false, \"gradient_scale\": 1, \"groups\": [{\"lr\": 0.2}]}]", "[]",
         "there is no step in it"},
        {"}]}]}", "}]}]} 1", "something behind the end"},
        {"}]}]}", "}]}]", "expected"},
        {"mse_loss", "\xff", "is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const bool read = read_run(&r, edited(bad[i].from, bad[i].to));
        if (read || !strstr(fa_error(), bad[i].part))
            fail_msg("%s: %s", bad[i].to, fa_error());
        assert_int_equal(fa_error_code(), FA_FILE_ERROR);
        fa_clear_error();
        fa_recording_free_run(&r);
    }
    char deep[400];
    memset(deep, '[', 200);
    memset(deep + 200, ']', 199);
    deep[399] = '\0';
    char member[500];
    snprintf(member, sizeof member, "\"seed\": \"7\", \"x\": %s", deep);
    assert_false(read_run(&r, edited("\"seed\": \"7\"", member)));
    assert_contains(fa_error(), "nested too deep");
    fa_clear_error();
    fa_recording_free_run(&r);
}

/* Every allocation fails once: an error, and nothing is lost or left. */
static void test_no_memory(void **state)
{
    (void)state;
    const char *text = edited("mse", "mse");
    fa_recording r;
    bool read = false;
    for (long n = 1; !read; n++) {
        assert_true(n < 200);
        fa_memory_fail_after(n);
        read = read_run(&r, text);
        fa_memory_fail_after(0);
        fa_recording_free_run(&r);
        if (!read && fa_error_code() != FA_MEMORY_ERROR)
            fail_msg("allocation %ld: %s", n, fa_error());
        fa_clear_error();
    }
}

int main(void)
{
    enum { MISTAKES = sizeof mistakes / sizeof *mistakes };
    struct CMUnitTest tests[MISTAKES + 12];
    int count = 0;
    for (int i = 0; i < MISTAKES; i++)
        tests[count++] = (struct CMUnitTest){
            .name = mistakes[i].name, .test_func = test_mistake, .initial_state = (void *)(uintptr_t)&mistakes[i]};
    const struct CMUnitTest others[] = {cmocka_unit_test(test_own_network),
                                        cmocka_unit_test(test_wrong_calls),
                                        cmocka_unit_test(test_names),
                                        cmocka_unit_test(test_channels),
                                        cmocka_unit_test(test_registration_order),
                                        cmocka_unit_test(test_cycle),
                                        cmocka_unit_test(test_clip),
                                        cmocka_unit_test(test_command),
                                        cmocka_unit_test(test_damaged),
                                        cmocka_unit_test(test_types),
                                        cmocka_unit_test(test_no_memory)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        tests[count++] = others[i];
    folder = tempdir_new();
    int failed = _cmocka_run_group_tests("parity", tests, (size_t)count, NULL, NULL);
    tempdir_free(&folder);
    return failed;
}
