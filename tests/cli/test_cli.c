/* The command as a user types it: what it prints, writes and returns. */
#include "support/facula_test.h"

#include "support/tempdir.h"

#include <string.h>
#include <sys/wait.h>

static char output[65536];
static tempdir folder;

/* Runs a shell line with the command as $F and a temporary folder as $D; both streams go to `output`. */
static int run(const char *path, const char *line)
{
    if (FA_EMULATED)
        skip(); /* the command could not be started */
    char command[4096];
    snprintf(command, sizeof command, "F='%s' D='%s'; { %s; } 2>&1", FA_FACULA, path, line);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(output, 1, sizeof output - 1, pipe);
    output[length] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_help_and_version(void **state)
{
    assert_int_equal(run(*state, "$F --help"), 0);
    assert_contains(output, "train");
    assert_contains(output, "bench");
    assert_int_equal(run(*state, "$F --version"), 0);
    assert_contains(output, "facula 0.1.0");
    assert_contains(output, "threads: ");
    assert_contains(output, "no cuda: ");
    assert_int_equal(run(*state, "$F train --help"), 0);
    assert_contains(output, "--batch-size N");
    assert_int_equal(run(*state, "$F --version > /dev/full"), 1);
    assert_contains(output, "standard output");
}

static void test_wrong_lines(void **state)
{
    static const struct {
        const char *line, *part;
    } lines[] = {{"$F", "usage"},
                 {"$F trian", "trian"},
                 {"$F train", "which data set"},
                 {"$F train data/mnist --epoch", "--epoch"},
                 {"$F train data/mnist --epochs", "needs a value"},
                 {"$F train data/mnist --epochs many", "whole number"},
                 {"$F train data/mnist --epochs 0", "needs 1"},
                 {"$F train data/mnist --lr nan", "needs a number"},
                 {"$F train data/mnist --optimizer sdg", "adam or sgd"},
                 {"$F train data/mnist more", "one argument too many"},
                 {"$F bench --network alexnet", "resnet18"},
                 {"$F bench --mode both", "train or infer"}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(run(*state, lines[i].line), 2);
        assert_contains(output, lines[i].part);
    }
}

static void test_failures(void **state)
{
    assert_int_equal(run(*state, "$F train $D/nowhere --out $D/a"), 1);
    assert_contains(output, "nowhere");
    assert_contains(output, "Hint:");
    assert_null(strstr(output, "train.c")); /* the command's own source is of no use here */
    assert_int_equal(run(*state, "mkdir $D/b; touch $D/b/history.csv; $F train data/mnist --out $D/b"), 1);
    assert_contains(output, "holds a run already");
    assert_int_equal(run(*state, "$F train data/mnist --lr 1e6 --optimizer sgd --out $D/c"), 1);
    assert_contains(output, "the loss became");
    assert_contains(output, "a smaller rate");
}

/* One short epoch, and what it leaves; also with a closed standard output. */
static void test_training(void **state)
{
    if (FA_SANITIZED || FA_EMULATED)
        skip();
    assert_int_equal(run(*state, "$F train data/mnist --epochs 1 --batch-size 256 --seed 1 --out $D/d"), 0);
    assert_contains(output, "5000 held out");
    assert_contains(output, "seed 1");
    assert_contains(output, "test accuracy: 9");
    assert_int_equal(run(*state, "cat $D/d/history.csv"), 0);
    assert_contains(output, "epoch,split,loss,accuracy,lr\n1,train,");
    assert_contains(output, "\n1,validation,");
    assert_contains(output, "\n1,test,");
    assert_int_equal(run(*state, "$F bench --network mnist --seconds 0.01 --batches 2 --batch 8 --json"), 0);
    assert_contains(output, "\"images_per_second\":");
    assert_contains(output, "\"losses\":[");
    assert_int_equal(run(*state, "$F bench --network mnist --seconds 0.01 --batches 2 --batch 8 --profile"), 0);
    assert_contains(output, "limits, measured now: ");
    assert_contains(output, "[8, 32, 14, 14]");
    assert_contains(output, "outside of kernels");
    assert_int_equal(run(*state, "$F bench --network mnist --seconds 0.01 --batches 2 --batch 8 --profile --json"), 0);
    assert_contains(output, "\"limit_flops\":");
    assert_contains(output, "\"share_of_limit\":");
    assert_int_equal(run(*state, "$F bench --network fake64 --seconds 0.01 --batches 3 --batch 256"), 0);
    assert_contains(output, "above 0 behind each max-pool");
    assert_int_equal(run(*state, "$F bench --network cifar --batch 641"), 1);
    assert_contains(output, "got 640 items for batches of 641");
    run(*state, "$F train $D/nowhere --out $D/e >&-");
    assert_int_equal(run(*state, "test -e $D/e/history.csv"), 1);
}

static int make_folder(void **state)
{
    folder = tempdir_new();
    *state = folder.path;
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    tempdir_free(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_help_and_version), cmocka_unit_test(test_wrong_lines),
                                       cmocka_unit_test(test_failures), cmocka_unit_test(test_training)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
