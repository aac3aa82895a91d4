/* A run's rules one by one: what is written when, what is refused and in which words, signals. */
#include "support/run_rig.h"

#include <cJSON.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static void test_files(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    const char *folder = tempdir_file(&dir, "a/b/run");
    rig r = make_rig();
    fa_run *run;
    fa_scope
        run = fa_run_open(folder, .model = r.model, .optim = r.optim, .train_loader = r.train, .epochs = 5,
                          .every_epochs = 2, .keep_last = 1, .class_names = FA_NAMES("a \"b\"", "c", "d"),
                          .transforms = "ToTensor()", .options = fa_dict("data", "x\ny", "n", 3));
    if (run == NULL)
        fail_msg("%s", fa_error());
    assert_true(there(folder, "last.pth") && there(folder, "history.csv") && there(folder, "run.json"));
    assert_null(open_run(&r, folder, 5, true));
    assert_contains(fa_error(), "open in another process or in this one");
    fa_clear_error();
    assert_false(there(folder, "best_model.pth"));
    assert_string_equal(fa_run_folder(run), folder);
    assert_string_equal(fa_run_notes(run), "");
    train_to_the_end(&r, run);
    assert_true(there(folder, "best_model.pth") && there(folder, "checkpoint_epoch_4.pth"));
    assert_false(there(folder, "checkpoint_epoch_2.pth")); /* one is kept */
    assert_false(there(folder, "checkpoint_epoch_5.pth"));
    assert_true(fa_run_finish(run));

    char *history = read_of(folder, "history.csv");
    assert_contains(history, "epoch,split,loss,accuracy,lr\n1,train,");
    assert_contains(history, "\n5,validation,");
    assert_contains(history, ",0.1\n1,validation,");
    free(history);
    char *times = read_of(folder, "times.csv");
    assert_contains(times, "epoch,split,seconds\n1,train,");
    free(times);
    char *text = read_of(folder, "run.json");
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    assert_string_equal(cJSON_GetObjectItem(json, "state")->valuestring, "finished");
    assert_int_equal(cJSON_GetObjectItem(json, "epochs_done")->valueint, 5);
    assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "class_names"), 0)->valuestring, "a \"b\"");
    cJSON *options = cJSON_GetObjectItem(json, "options");
    assert_string_equal(cJSON_GetObjectItem(options, "data")->valuestring, "x\ny");
    assert_contains(cJSON_GetObjectItem(json, "optimizer_options")->valuestring, "lr: 0.1, momentum: 0.9");
    cJSON_Delete(json);
    free(text);

    char path[1200];
    snprintf(path, sizeof path, "%s/best_model.pth", folder);
    fa_run_result results = fa_run_results(run);
    fa_scope {
        fa_value *c = fa_load(path);
        assert_non_null(c);
        static const char *const lesson[] = {"epoch", "model_state_dict", "optimizer_state_dict", "val_loss",
                                             "val_acc"};
        for (int i = 0; i < 5; i++)
            assert_string_equal(fa_as_string(fa_key_at(c, i)), lesson[i]);
        assert_int_equal(fa_get_int(c, "epoch"), results.best_epoch);
        assert_true(fa_get_float(c, "val_loss") == results.best_val_loss);
        assert_string_equal(fa_as_string(fa_get(fa_get(c, "class_names"), 1)), "c");
        assert_string_equal(fa_get_string(c, "transforms"), "ToTensor()");
        assert_int_equal(fa_get_int(fa_get(c, "options"), "n"), 3);
        assert_contains(fa_get_string(c, "network"), "(2): Linear(in_features=4, out_features=3, bias=True)");
        assert_string_equal(fa_get_string(c, "isa"), fa_cpu_isa());
        assert_int_equal(fa_len(fa_get(c, "generator_state")), FA_GENERATOR_STATE_SIZE);
    }
    fa_free(run);
    end_rig(&r);
    assert_true(fa_ok());
    assert_int_equal(fa_run_live_count(), 0);
    tempdir_free(&dir);
}

/* Batches of 16, 16, 8 with means 1, 1, 3 have the mean 1.4; one of weight 0 does not count. */
static void test_means(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    rig r = make_rig();
    fa_run *run = open_run(&r, tempdir_file(&dir, "run"), 1, false);
    fa_for_each_epoch (epoch, run) {
        fa_for_each_batch (b, r.train)
            fa_run_step(run, b, fa_full(FA_SCALAR, b.size == 8 ? 3 : 1));
        fa_for_each_batch (b, r.validation)
            fa_run_validate(run, b, fa_full(FA_SCALAR, b.index == 1 ? NAN : 2), .weight = b.index == 1 ? 0 : -1);
        assert_true(fa_run_results(run).train_loss == 1.4);
        fa_run_end_epoch(run, .val_acc = 50);
    }
    fa_run_result results = fa_run_results(run);
    assert_true(results.train_loss == 1.4 && results.val_loss == 2 && results.val_acc == 50);
    assert_true(isnan(results.train_acc) && isnan(results.test_loss) && results.is_best);
    fa_for_each_batch (b, r.validation)
        fa_run_test(run, b, fa_full(FA_SCALAR, 5), .scores = fa_zeros(b.size, 3)); /* all say class 0 */
    assert_true(fa_run_finish(run));
    assert_true(fa_run_results(run).test_loss == 5 && fa_run_results(run).test_acc == 40);
    char *history = read_of(fa_run_folder(run), "history.csv");
    assert_contains(history, "1,train,1.4,,0.1\n1,validation,2,50,\n1,test,5,40,\n");
    free(history);
    fa_free(run);
    end_rig(&r);
    assert_true(fa_ok());
    tempdir_free(&dir);
}

static void test_minutes(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    const char *folder = tempdir_file(&dir, "run");
    for (int time = 0; time < 2; time++) {
        rig r = make_rig();
        fa_run *run = fa_run_open(folder, .model = r.model, .optim = r.optim, .train_loader = r.train, .epochs = 1,
                                  .every_minutes = time == 0 ? 0 : 1e-9, .overwrite = true);
        fa_for_each_epoch (epoch, run)
            fa_for_each_batch (b, r.train) {
                char *before = read_of(folder, "run.json");
                assert_true(train_batch(&r, run, &b));
                char *after = read_of(folder, "run.json");
                assert_int_equal(strcmp(before, after) != 0, time);
                free(before);
                free(after);
                if (b.index == 1)
                    goto out;
            }
    out:
        assert_true(fa_ok());
        fa_free(run);
        end_rig(&r);
    }
    tempdir_free(&dir);
}

/* Resident memory, in KiB. */
static long resident(void)
{
    char *text = read_file("/proc/self/statm", NULL);
    long pages = 0;
    assert_int_equal(sscanf(text, "%*d %ld", &pages), 1);
    free(text);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A thousand steps take no more memory than a hundred. */
static void test_memory(void **state)
{
    (void)state;
    if (FA_SANITIZED)
        skip();
    tempdir dir = tempdir_new();
    rig r = make_rig();
    fa_run *run = fa_run_open(dir.path, .model = r.model, .optim = r.optim, .train_loader = r.train, .epochs = 340,
                              .every_epochs = 0, .every_minutes = 0);
    long before = 0;
    fa_for_each_epoch (epoch, run) {
        if (epoch == 40)
            before = resident();
        fa_for_each_batch (b, r.train)
            train_batch(&r, run, &b);
        fa_run_end_epoch(run);
    }
    assert_true(fa_ok());
    long growth = resident() - before;
    if (growth > 1024)
        fail_msg("900 steps took %ld KiB more", growth);
    fa_free(run);
    end_rig(&r);
    tempdir_free(&dir);
}

/* ---- What is refused --------------------------------------------------------------------------------------------- */

static void test_folder_in_use(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    const char *folder = tempdir_file(&dir, "run");
    rig r = make_rig();
    fa_run *run = open_run(&r, folder, 2, false);
    train_to_the_end(&r, run);
    fa_free(run);
    assert_null(open_run(&r, folder, 2, false));
    assert_contains(fa_error(), "holds a run already");
    assert_contains(fa_error(), ".resume = true");
    fa_clear_error();
    assert_true(there(folder, "checkpoint_epoch_2.pth") && there(folder, "best_model.pth"));
    char other[1200];
    snprintf(other, sizeof other, "%s/notes.txt", folder);
    write_file(other, "mine", 4);
    run = fa_run_open(folder, .model = r.model, .optim = r.optim, .train_loader = r.train, .epochs = 2,
                      .overwrite = true);
    assert_non_null(run);
    assert_false(there(folder, "checkpoint_epoch_2.pth") || there(folder, "best_model.pth"));
    assert_true(there(folder, "notes.txt"));
    fa_free(run);
    end_rig(&r);
    tempdir_free(&dir);
}

static void test_other_things(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    const char *folder = tempdir_file(&dir, "run");
    rig r = make_rig();
    r.schedule = fa_step_lr(r.optim, 2);
    fa_run *run = open_run(&r, folder, 2, false);
    train_to_the_end(&r, run);
    fa_free(run);
    end_rig(&r);

    r = make_rig();
    fa_free(r.optim);
    r.optim = fa_adam(fa_parameters(r.model), 0.1);
    r.schedule = fa_step_lr(r.optim, 2);
    refuse(&r, folder, 2, "has the state of SGD: got Adam");
    end_rig(&r);

    r = make_rig();
    fa_free(r.optim);
    r.optim = fa_sgd(fa_parameters(r.model), 0.01, .momentum = 0.9);
    r.schedule = fa_step_lr(r.optim, 2);
    refuse(&r, folder, 2, "got lr: 0.01, needs lr: 0.1");
    end_rig(&r);

    r = make_rig();
    refuse(&r, folder, 2, "was begun with StepLR: got no schedule");
    r.schedule = fa_exponential_lr(r.optim, 0.9);
    refuse(&r, folder, 2, "was begun with StepLR: got ExponentialLR");
    end_rig(&r);

    r = make_rig();
    r.schedule = fa_step_lr(r.optim, 2);
    refuse(&r, folder, 1, "has begun 2 epochs: got .epochs 1");
    fa_free(r.train);
    r.train = make_loader(ITEMS, 8, true);
    refuse(&r, folder, 2, "batch_size: got 8, needs 16");
    fa_module *other = fa_nn_sequential(fa_nn_linear(5, 4), fa_nn_relu(), fa_nn_linear(4, 2));
    fa_free(r.model);
    r.model = other;
    refuse(&r, folder, 2, "got \"  (2): Linear(in_features=4, out_features=2, bias=True)\", needs \"  (2): Linear(");
    end_rig(&r);

    /* Not refused, but told. */
    r = make_rig();
    r.schedule = fa_step_lr(r.optim, 7);
    run = open_run(&r, folder, 4, true);
    assert_non_null(run);
    assert_contains(fa_run_notes(run), "step_size: 2, not step_size: 7");
    assert_contains(fa_run_notes(run), "had 2 epochs and has 4 now; its schedule StepLR is not stretched");
    train_to_the_end(&r, run);
    char *history = read_of(folder, "history.csv");
    assert_contains(history, ",0.01\n3,validation"); /* two epochs at 0.1, as it began */
    free(history);
    fa_free(run);
    end_rig(&r);

    /* Files that are no such checkpoint. */
    static const char *const bytes[] = {"", "PK not really", "garbage"};
    char path[1200];
    snprintf(path, sizeof path, "%s/last.pth", folder);
    for (int i = 0; i < 3; i++) {
        write_file(path, bytes[i], strlen(bytes[i]));
        r = make_rig();
        r.schedule = fa_step_lr(r.optim, 2);
        refuse(&r, folder, 2, "last.pth");
        end_rig(&r);
    }
    r = make_rig();
    fa_scope
        assert_true(fa_save(fa_dict("epoch", 3), path));
    refuse(&r, folder, 2, "not a checkpoint of a run");
    end_rig(&r);
    tempdir_free(&dir);
}

static fa_scheduler *make_schedule(fa_optim *optim, int kind)
{
    switch (kind) {
    case 0:
        return fa_step_lr(optim, 2);
    case 1:
        return fa_cosine_annealing_lr(optim, 3);
    case 2:
        return fa_one_cycle_lr(optim, 0.2, .total_steps = 4);
    case 3:
        return fa_reduce_lr_on_plateau(optim, .patience = 1);
    case 4:
        return fa_sequential_lr(optim, FA_SCHEDULES(fa_constant_lr(optim), fa_exponential_lr(optim, 0.9)),
                                FA_MILESTONES(2));
    default:
        return fa_chained_scheduler(FA_SCHEDULES(fa_constant_lr(optim), fa_exponential_lr(optim, 0.9)));
    }
}

/* More epochs: what becomes of each kind of schedule is told before the first step, and what cannot be is refused. */
static void test_schedules_go_on(void **state)
{
    (void)state;
    static const char *const words[] = {
        "its schedule StepLR is not stretched to them: the rate goes on falling at each step_size",
        "CosineAnnealingLR is not stretched to them: behind its T_max the rate rises again",
        "OneCycleLR is not stretched to them: a step behind its total_steps is an error",
        "ReduceLROnPlateau is not stretched to them: it goes on with the best value and the patience that it has",
        "SequentialLR is not stretched to them: it goes on with the last of its schedules",
        "ChainedScheduler is not stretched to them: it goes on with its own numbers"};
    for (int kind = 0; kind < 6; kind++) {
        tempdir dir = tempdir_new();
        const char *folder = tempdir_file(&dir, "run");
        for (int64_t epochs = 3; epochs <= 4; epochs++) {
            rig r = make_rig();
            r.schedule = make_schedule(r.optim, kind);
            r.plateau = kind == 3;
            fa_run *run = open_run(&r, folder, epochs, epochs > 3);
            if (run == NULL)
                fail_msg("%s", fa_error());
            if (epochs > 3)
                assert_contains(fa_run_notes(run), words[kind]);
            train_to_the_end(&r, run);
            fa_free(run);
            end_rig(&r);
        }
        rig r = make_rig();
        r.schedule = make_schedule(r.optim, kind);
        fa_run *run = open_run(&r, folder, 4, true);
        assert_string_equal(fa_run_notes(run), "");
        fa_free(run);
        end_rig(&r);
        r = make_rig();
        r.schedule = make_schedule(r.optim, kind);
        if (kind == 2)
            refuse(&r, folder, 5, "OneCycleLR of 4 steps, 4 of them done, which last for 4 epochs: got .epochs 5");
        end_rig(&r);
        tempdir_free(&dir);
    }
}

/* Epochs that a one-cycle schedule has no steps for are refused before the first of them, wherever the run stands and
 * whether the program takes a step a batch or one an epoch. */
static void test_cycle_too_short(void **state)
{
    (void)state;
    static const struct {
        int64_t total, stop; /* batches done when it stopped */
        bool each_batch;
        int64_t refused; /* epochs */
        const char *words;
    } cases[] = {{2 * STEPS, 0, true, 3, "of 6 steps, 0 of them done, which last for 2 epochs: got .epochs 3, needs 2"},
                 {2 * STEPS, 2, true, 3, "of 6 steps, 2 of them done, which last for 2 epochs: got .epochs 3, needs 2"},
                 {2 * STEPS, 4, true, 4, "of 6 steps, 4 of them done, which last for 2 epochs: got .epochs 4, needs 2"},
                 {3, 0, false, 4, "of 3 steps, 0 of them done, which last for 3 epochs: got .epochs 4, needs 3"},
                 {3, 4, false, 4, "of 3 steps, 1 of them done, which last for 3 epochs: got .epochs 4, needs 3"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tempdir dir = tempdir_new();
        const char *folder = tempdir_file(&dir, "run");
        rig r = make_rig();
        r.schedule = fa_one_cycle_lr(r.optim, 0.2, .total_steps = cases[i].total);
        fa_run *run = fa_run_open(folder, .model = r.model, .optim = r.optim, .scheduler = r.schedule,
                                  .train_loader = r.train, .epochs = 2, .every_minutes = 1e-9);
        int64_t done = 0;
        fa_for_each_epoch (epoch, run) {
            fa_for_each_batch (b, r.train) {
                if (done++ == cases[i].stop)
                    goto out;
                if (cases[i].each_batch)
                    fa_step(r.schedule);
                train_batch(&r, run, &b);
            }
            if (!cases[i].each_batch)
                fa_step(r.schedule);
            fa_run_end_epoch(run);
        }
    out:
        assert_true(fa_ok());
        fa_free(run);
        end_rig(&r);
        r = make_rig();
        r.schedule = fa_one_cycle_lr(r.optim, 0.2, .total_steps = cases[i].total);
        refuse(&r, folder, cases[i].refused, cases[i].words);
        run = open_run(&r, folder, cases[i].each_batch ? 2 : 3, true);
        assert_non_null(run);
        fa_free(run);
        end_rig(&r);
        tempdir_free(&dir);
    }
}

/* A checkpoint whose numbers cannot be those of a run, as of a program that has gone astray. */
static void test_impossible_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t number;
        bool loader; /* the loader's position, too */
    } cases[] = {{"epochs_done", -1, false},        {"epochs_done", INT64_MAX, false}, {"epochs", -1, false},
                 {"best_epoch", INT64_MAX, false},  {"best_epoch", -2, false},         {"batches_done", 2, false},
                 {"batches_done", STEPS + 1, true}, {"batches_done", INT64_MAX, true}, {"batches_done", -1, true}};
    tempdir dir = tempdir_new();
    const char *folder = tempdir_file(&dir, "run");
    rig r = make_rig();
    fa_run *run = fa_run_open(folder, .model = r.model, .optim = r.optim, .train_loader = r.train, .epochs = 3,
                              .every_minutes = 1e-9);
    fa_for_each_epoch (epoch, run) {
        fa_for_each_batch (b, r.train) {
            if (epoch == 1 && b.index == 1)
                goto out;
            train_batch(&r, run, &b);
        }
        validate(&r, run);
        fa_run_end_epoch(run);
    }
out:
    assert_true(fa_ok());
    fa_free(run);
    end_rig(&r);
    char path[1200];
    snprintf(path, sizeof path, "%s/last.pth", folder);
    size_t size;
    char *good = read_file(path, &size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(path, good, size);
        fa_scope {
            fa_value *c = fa_load(path);
            fa_dict_put(c, cases[i].name, cases[i].number);
            if (cases[i].loader)
                fa_dict_put(fa_get(c, "loader"), "batches", cases[i].number);
            assert_true(fa_save(c, path));
        }
        r = make_rig();
        refuse(&r, folder, 3, "numbers contradict each other");
        end_rig(&r);
    }
    write_file(path, good, size);
    free(good);
    r = make_rig();
    run = open_run(&r, folder, 3, true);
    assert_non_null(run);
    fa_free(run);
    end_rig(&r);
    tempdir_free(&dir);
}

/* Numbers of classes mean what their names say. */
static void test_class_names(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    const char *folder = tempdir_file(&dir, "run");
    static const char *const others[][3] = {{"ant", "bee", "cat"}, {"ant", "cat", "bee"}, {"ant", "bee", NULL}};
    static const char *const words[] = {NULL, "got \"cat\" as class 1, needs \"bee\"",
                                        "knows 3 classes: got .class_names of 2"};
    for (int i = 0; i < 3; i++) {
        rig r = make_rig();
        fa_run *run = fa_run_open(folder, .model = r.model, .optim = r.optim, .train_loader = r.train, .epochs = 1,
                                  .resume = i > 0, .class_names = {others[i], others[i][2] != NULL ? 3 : 2});
        if (words[i] == NULL) {
            assert_non_null(run);
        } else {
            assert_null(run);
            assert_contains(fa_error(), words[i]);
            fa_clear_error();
        }
        fa_free(run);
        run = open_run(&r, folder, 1, true); /* a program that does not say them */
        assert_non_null(run);
        fa_free(run);
        end_rig(&r);
    }
    tempdir_free(&dir);
}

static void test_wrong_calls(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    rig r = make_rig();
    assert_null(fa_run_open("", .model = r.model, .optim = r.optim, .train_loader = r.train, .epochs = 1));
    assert_contains(fa_error(), "got no folder");
    fa_clear_error();
    assert_null(fa_run_open(dir.path, .model = r.model, .optim = r.optim, .epochs = 1));
    assert_contains(fa_error(), ".train_loader");
    fa_clear_error();
    assert_null(fa_run_open(dir.path, .model = r.model, .optim = r.optim, .train_loader = r.train));
    assert_contains(fa_error(), ".epochs 0");
    fa_clear_error();

    fa_run *run = open_run(&r, tempdir_file(&dir, "run"), 2, false);
    fa_for_each_batch (b, r.train)
        assert_false(fa_run_step(run, b, fa_full(FA_SCALAR, 1)));
    assert_contains(fa_error(), "fa_for_each_epoch");
    fa_clear_error();
    int epochs = 0;
    fa_for_each_epoch (epoch, run) {
        epochs++;
        fa_for_each_batch (b, r.validation)
            assert_false(fa_run_step(run, b, fa_full(FA_SCALAR, 1)));
        assert_contains(fa_error(), "another loader");
        fa_clear_error();
    }
    assert_int_equal(epochs, 1);
    assert_contains(fa_error(), "fa_run_end_epoch");
    fa_clear_error();
    fa_free(run);
    assert_int_equal(fa_run_stopped(NULL), 0);
    fa_free((fa_run *)NULL);
    end_rig(&r);
    tempdir_free(&dir);
}

/* A signal in the middle of a step: the step is done, the run saved, the loops end; what was there before is back. */
static void test_signal(void **state)
{
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        tempdir dir = tempdir_new();
        rig r = make_rig();
        struct sigaction before, after;
        sigaction(signals[i], NULL, &before);
        fa_run *run = fa_run_open(dir.path, .model = r.model, .optim = r.optim, .train_loader = r.train, .epochs = 3,
                                  .signals = true);
        int steps = 0;
        fa_for_each_epoch (epoch, run) {
            fa_for_each_batch (b, r.train) {
                if (epoch == 1 && b.index == 1)
                    raise(signals[i]);
                train_batch(&r, run, &b);
                steps++;
            }
            validate(&r, run);
            fa_run_end_epoch(run);
        }
        assert_true(fa_ok());
        assert_int_equal(steps, STEPS + 2);
        assert_int_equal(fa_run_stopped(run), signals[i]);
        assert_int_equal(fa_run_results(run).epoch, 1);
        assert_int_equal(fa_run_results(run).batch, 2);
        fa_free(run);
        sigaction(signals[i], NULL, &after);
        assert_true(before.sa_handler == after.sa_handler);
        char *json = read_of(dir.path, "run.json");
        assert_contains(json, "\"stopped\"");
        free(json);
        run = open_run(&r, dir.path, 3, true);
        assert_int_equal(fa_run_results(run).epoch, 1);
        assert_int_equal(fa_run_results(run).batch, 2);
        fa_free(run);
        end_rig(&r);
        tempdir_free(&dir);
    }
}

/* The second signal ends the process; an ignored one stays ignored. */
static void test_second_signal(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_IGN);
        rig r = make_rig();
        fa_run *run = fa_run_open(dir.path, .model = r.model, .optim = r.optim, .train_loader = r.train, .epochs = 3,
                                  .signals = true);
        raise(SIGTERM);
        if (run == NULL)
            _exit(3);
        raise(SIGINT);
        fa_for_each_epoch (epoch, run)
            fa_for_each_batch (b, r.train)
                train_batch(&r, run, &b);
        if (fa_run_stopped(run) != SIGINT)
            _exit(4);
        raise(SIGINT);
        _exit(5);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    tempdir_free(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_signal), /* first: a process that has used threads is not to be forked */
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_means),
        cmocka_unit_test(test_minutes),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_folder_in_use),
        cmocka_unit_test(test_other_things),
        cmocka_unit_test(test_wrong_calls),
        cmocka_unit_test(test_schedules_go_on),
        cmocka_unit_test(test_cycle_too_short),
        cmocka_unit_test(test_class_names),
        cmocka_unit_test(test_impossible_numbers),
        cmocka_unit_test(test_signal)};
    tempdirs_in_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
