/* `facula train` stopped and gone on with, as a user types it. */
#include "support/facula_test.h"

#include "facula.h"
#include "support/command_run.h"
#include "support/small_mnist.h"
#include "support/tempdir.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static tempdir folder;
static char output[65536];

/* Runs "facula LINE" with the folder as $D; both streams go to `output`. */
static int run(const char *line)
{
    char command[4096], log[1200];
    snprintf(log, sizeof log, "%s/log", folder.path);
    snprintf(command, sizeof command, "'%s' %s", FA_FACULA, line);
    char before[1200];
    snprintf(before, sizeof before, "D='%s';", folder.path);
    int status = run_command(before, command, log);
    char *text = read_file(log, NULL);
    snprintf(output, sizeof output, "%s", text);
    free(text);
    return status;
}

static const char *at(const char *name)
{
    return tempdir_file(&folder, name);
}

static void expect(const char *line, int status, const char *part)
{
    int got = run(line);
    if (got != status || strstr(output, part) == NULL)
        fail_msg("%s: status %d, needs %d and \"%s\":\n%s", line, got, status, part, output);
}

static void test_more_epochs(void **state)
{
    (void)state;
    expect("train $D/data --out $D/a --epochs 2 --held-out 32 --batch-size 32 --schedule cosine", 0, "test accuracy");
    assert_contains(output, "(best)");
    expect("train --resume $D/a", 0, "all 2 epochs are done already");
    expect("train --resume $D/a --epochs 3 --threads 1 --workers 2", 0, "goes on with epoch 3, step 1");
    assert_contains(output, "had 2 epochs and has 3 now");
    assert_contains(output, "rises again");
    char *history = read_file(at("a/history.csv"), NULL);
    assert_contains(history, "\n3,train,");
    assert_contains(history, "\n3,test,");
    assert_null(strstr(history, "\n2,test,"));
    free(history);
}

/* A schedule a step and one that looks at the validation loss, over a stop at an epoch's end. */
static void test_schedules(void **state)
{
    (void)state;
    expect("train $D/data --out $D/i --epochs 2 --held-out 32 --batch-size 32 --schedule onecycle --lr 0.01", 0,
           "onecycle");
    expect("train --resume $D/i --epochs 3", 1,
           "OneCycleLR of 10 steps, 10 of them done, which last for 2 epochs: got .epochs 3, needs 2");
    expect("train $D/data --out $D/j --epochs 1 --held-out 32 --batch-size 32 --schedule plateau", 0, "test accuracy");
    expect("train --resume $D/j --epochs 2", 0, "goes on with the best value and the patience that it has");
}

/* A rate that is far too high: where, and no best model of it; the run before it is still there. */
static void test_divergence(void **state)
{
    (void)state;
    expect("train $D/data --out $D/k --epochs 2 --held-out 32 --batch-size 32 --lr 1e6 --optimizer sgd", 1,
           "at learning rate 1e+06; not finite first: the output of layer ");
    assert_contains(output, "/k/last.pth is the last state");
    assert_int_equal(access(at("k/best_model.pth"), F_OK), -1);
    char *json = read_file(at("k/run.json"), NULL);
    assert_contains(json, "\"diverged\"");
    free(json);
}

static void test_refusals(void **state)
{
    (void)state;
    expect("train $D/data --out $D/b --epochs 1 --held-out 32", 0, "run: ");
    expect("train $D/data --out $D/b --epochs 1 --held-out 32", 1, "facula train --resume ");
    assert_contains(output, "--force");
    expect("train --resume $D/b --lr 0.5", 2, "--lr: got 0.5, but the run was begun with 0.001");
    expect("train --resume $D/b --lr 0.001 --seed 0", 0, "all 1 epochs are done");
    expect("train --resume $D/b --optimizer sgd", 2, "--optimizer: got sgd, but the run was begun with adam");
    expect("train --resume $D/b --batch-size 3", 2, "--batch-size");
    expect("train --resume $D/b --schedule step", 2, "--schedule");
    expect("train --resume $D/b --seed 3", 2, "--seed");
    expect("train --resume $D/b --held-out 3", 2, "--held-out");
    expect("train --resume $D/b --out $D/c", 2, "leave --out out");
    expect("train --resume $D/nowhere", 1, "nowhere/last.pth");
    assert_null(strstr(output, "cp "));
    expect("train --resume $D/b/last.pth", 2, "b/last.pth, which is a file, needs the folder of the run");
    expect("train --schedule triangle $D/data", 2, "none, cosine, step, plateau or onecycle");
    expect("train $D/data --held-out 5000 --out $D/d", 1, "held out");
    assert_int_equal(access(at("d"), F_OK), -1);
    expect("train $D/data --out $D/b --epochs 1 --held-out 32 --force", 0, "run: ");
}

/* A last.pth that was damaged, or is gone: the message says which file to go on from, and that one does. */
static void test_damaged(void **state)
{
    (void)state;
    char line[1400];
    expect("train $D/data --out $D/m --epochs 2 --held-out 32", 0, "saved in");
    size_t size;
    char *bytes = read_file(at("m/last.pth"), &size);
    bytes[size / 2] ^= 1;
    write_file(at("m/last.pth"), bytes, size);
    free(bytes);
    expect("train --resume $D/m --epochs 3", 1, "m/last.pth is damaged: the checksum");
    snprintf(line, sizeof line, "goes on from its best epoch after: cp %s/m/best_model.pth %s/m/last.pth\n",
             folder.path, folder.path);
    assert_contains(output, line);
    assert_int_equal(unlink(at("m/last.pth")), 0);
    expect("train --resume $D/m --epochs 3", 1, line);
    bytes = read_file(at("m/best_model.pth"), &size);
    write_file(at("m/last.pth"), bytes, size);
    free(bytes);
    expect("train --resume $D/m --epochs 3", 0, "saved in");
}

/* Augmentation: told, kept in the checkpoint as torchvision's text, and the same after a stop. */
static void test_augmentation(void **state)
{
    (void)state;
#define AUGMENT "--augment 'RandomCrop(28, padding=2), RandomRotation(10), ColorJitter(0.2)'"
#define COMMON "--held-out 32 --batch-size 32 --transform 'ToTensor(), Normalize(0.1307, 0.3081)' "
    expect("train $D/data --out $D/f --epochs 2 --workers 2 " COMMON AUGMENT, 0,
           "images: ToTensor(), Normalize(mean=[0.1307], std=[0.3081]); to train on: RandomCrop(size=(28, 28), "
           "padding=2), RandomRotation(degrees=[-10.0, 10.0], interpolation=nearest, expand=False, fill=0), "
           "ColorJitter(brightness=(0.8, 1.2), contrast=None, saturation=None, hue=None), ToTensor(), Normalize(");
    expect("train $D/data --out $D/plain --epochs 2 " COMMON, 0, "test accuracy");
    expect("train $D/data --out $D/g --epochs 1 " COMMON AUGMENT, 0, "test accuracy");
    expect("train --resume $D/g --epochs 2 --workers 3 " AUGMENT, 0, "to train on: RandomCrop(");
    char *whole = read_file(at("f/history.csv"), NULL), *parts = read_file(at("g/history.csv"), NULL);
    char *plain = read_file(at("plain/history.csv"), NULL), *test = strstr(parts, "1,test,");
    assert_non_null(strstr(whole, "2,test,"));
    assert_null(test); /* that of the first part was written anew */
    assert_string_equal(whole, parts);
    assert_string_not_equal(whole, plain);
    free(whole);
    free(parts);
    free(plain);
    fa_scope {
        fa_value *checkpoint = fa_load(at("g/last.pth"));
        fa_transform *transform = fa_transform_parse(fa_get_string(checkpoint, "transforms"));
        fa_transform *augment = fa_transform_parse(fa_get_string(fa_get(checkpoint, "options"), "augment"));
        if (transform == NULL || augment == NULL)
            fail_msg("%s", fa_error());
        assert_null(strstr(fa_get_string(checkpoint, "transforms"), "Random"));
        fa_free(transform);
        fa_free(augment);
    }
    expect("train --resume $D/g --epochs 3 --augment 'RandomRotation(10)'", 2, "got RandomRotation(");
    expect("train --resume $D/g --epochs 3 --transform 'ToTensor()'", 2, "--transform: got ToTensor()");
    /* A run is not removed for one that cannot begin. */
    expect("train $D/data --out $D/g --force --held-out 32 --augment 'RandomCrop(24)'", 1, "linear (7)");
    expect("train $D/data --out $D/g --force --held-out 32 --augment 'RandomErasing()'", 1, "after fa_to_tensor()");
    expect("train $D/data --out $D/g --force --held-out 32 --augment 'Blur(3)'", 2, "--augment \"Blur(3)\": got Blur");
    expect("train $D/data --out $D/g --force --held-out 32 --transform 'RandomCrop(28), ToTensor()'", 2, "--augment");
    expect("train --resume $D/g", 0, "all 2 epochs are done already");
    expect("train $D/data --out $D/h --epochs 1 --held-out 32 --augment 'ToTensor(), RandomErasing()'", 0,
           "to train on: ToTensor(), RandomErasing(");
}

/* Another instruction set: said, and gone on with. */
static void test_another_isa(void **state)
{
    (void)state;
    expect("train $D/data --out $D/e --epochs 1 --held-out 32", 0, "run: ");
    char command[4096];
    snprintf(command, sizeof command, "'%s' train --resume '%s' --epochs 2", FA_FACULA, at("e"));
    assert_int_equal(run_command("export FACULA_ISA=portable;", command, at("log")), 0);
    char *log = read_file(at("log"), NULL);
    assert_contains(log, "portable: the last bits may differ");
    free(log);
}

/* Epochs of a run that is to be caught in the middle: sanitizers take their time. */
#if FA_SANITIZED
#define EPOCHS "6"
#else
#define EPOCHS "40"
#endif

/* A signal once it trains: the command's words, its status, and the same end. */
static void test_signals(void **state)
{
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM};
    expect("train $D/data --out $D/whole --epochs " EPOCHS " --held-out 32 --batch-size 16", 0, "test accuracy");
    for (int i = 0; i < 2; i++) {
        char command[4096], name[32];
        snprintf(name, sizeof name, "it's %d", i);
        snprintf(command, sizeof command,
                 "'%s' train '%s' --out \"%s\" --epochs " EPOCHS " --held-out 32 --batch-size 16", FA_FACULA,
                 at("data"), at(name));
        write_file(at("log"), "", 0); /* what an earlier command said is not this one's */
        pid_t process = start_command("", command, at("log"));
        /* The handlers are in place once the run's folder has been told. */
        for (int tries = 0; tries < 2000; tries++) {
            nanosleep(&(struct timespec){0, 5000000}, NULL);
            char *log = read_file(at("log"), NULL);
            bool begun = strstr(log, "epoch 1/") != NULL;
            free(log);
            if (begun)
                break;
        }
        kill(process, signals[i]);
        int status = wait_for_command(process);
        char *log = read_file(at("log"), NULL);
        if (status != 128 + signals[i])
            fail_msg("status %d: %s", status, log);
        assert_contains(log, i == 0 ? "stopped by SIGINT in " : "stopped by SIGTERM in ");
        const char *line = strstr(log, "go on with: facula ");
        assert_non_null(line);
        /* The line as it was printed, quotes and all, typed again. */
        char again[3000];
        snprintf(again, sizeof again, "%.*s", (int)strcspn(line + 19, "\n"), line + 19);
        expect(again, 0, "test accuracy");
        compare_runs(at(name), at("whole"));
        free(log);
    }
}

static int prepare(void **state)
{
    (void)state;
    tempdirs_in_memory();
    folder = tempdir_new();
    mkdir(at("data"), 0777);
    write_small_mnist(at("data"), 32 + 160, 40);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    tempdir_free(&folder);
    return 0;
}

int main(void)
{
    if (FA_EMULATED)
        return 0; /* the command could not be started */
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_more_epochs), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_damaged),     cmocka_unit_test(test_divergence),
                                       cmocka_unit_test(test_schedules),   cmocka_unit_test(test_augmentation),
                                       cmocka_unit_test(test_another_isa), cmocka_unit_test(test_signals)};
    return cmocka_run_group_tests(tests, prepare, clean);
}
