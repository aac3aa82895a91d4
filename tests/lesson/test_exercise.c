/* The exercise of the chapter (docs/lesson/exercise.md): its solution does what it asks for. What the programs print,
 * docs_sessions compares. */
#include "support/command_run.h"
#include "support/facula_test.h"
#include "support/lesson_run.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { EPOCHS = 2 };

static void start(const tempdir *folder, const char *program, const char *arguments, pid_t *process)
{
    char before[1200], command[1200];
    snprintf(before, sizeof before, "cd '%s';", folder->path);
    snprintf(command, sizeof command, "'%s' %s '%s'", lesson_path(program), arguments, source_path("data/mnist"));
    *process = start_command(before, command, tempdir_file(folder, "output.txt"));
}

static int run(const tempdir *folder, const char *program, const char *arguments)
{
    pid_t process;
    start(folder, program, arguments, &process);
    return wait_for_command(process);
}

static void assert_same_file(const tempdir *folder, const char *first, const char *second)
{
    size_t size[2];
    char *content[2] = {read_file(tempdir_file(folder, first), &size[0]),
                        read_file(tempdir_file(folder, second), &size[1])};
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(content[0], content[1], size[0]);
    free(content[0]), free(content[1]);
}

static void a_resumed_training_ends_as_one_that_was_not_stopped(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    assert_int_equal(run(&folder, "exercise_train", "straight 2"), 0);
    assert_int_equal(run(&folder, "exercise_train", "stopped 1"), 0);
    assert_int_equal(run(&folder, "exercise_train", "stopped 2"), 0);
    char *output = lesson_output(&folder);
    assert_contains(output, "stopped/last.pth: 1 epochs are done");
    assert_null(strstr(output, "epoch 1:"));
    free(output);
    assert_same_file(&folder, "stopped/last.pth", "straight/last.pth");
    assert_same_file(&folder, "stopped/best_model.pth", "straight/best_model.pth");
    tempdir_free(&folder);
}

/* Killed without a warning in its second epoch, which is then done again. */
static void a_killed_training_goes_on(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    assert_int_equal(run(&folder, "exercise_train", "straight 2"), 0);
    pid_t process;
    start(&folder, "exercise_train", "killed 2", &process);
    while (access(tempdir_file(&folder, "killed/last.pth"), F_OK) != 0)
        usleep(2000);
    kill(process, SIGKILL);
    wait_for_command(process);
    assert_int_equal(run(&folder, "exercise_train", "killed 2"), 0);
    assert_same_file(&folder, "killed/last.pth", "straight/last.pth");
    assert_same_file(&folder, "killed/best_model.pth", "straight/best_model.pth");
    tempdir_free(&folder);
}

/* By Ctrl-C, as soon as there is a state to go on from: most often in mid-epoch. */
static void a_run_may_be_stopped_anywhere(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    assert_int_equal(run(&folder, "exercise_run", "straight 2"), 0);
    pid_t process;
    start(&folder, "exercise_run", "stopped 2", &process);
    while (access(tempdir_file(&folder, "stopped/last.pth"), F_OK) != 0)
        usleep(2000);
    usleep(100000);
    kill(process, SIGINT);
    const int status = wait_for_command(process);
    if (status != 0) { /* 0: it was done before */
        assert_int_equal(status, 128 + SIGINT);
        char *output = lesson_output(&folder);
        assert_contains(output, "the same command goes on");
        print_message("%s", strstr(output, "stopped after"));
        free(output);
    }
    assert_int_equal(run(&folder, "exercise_run", "stopped 2"), 0);
    assert_same_file(&folder, "stopped/last.pth", "straight/last.pth");
    assert_same_file(&folder, "stopped/history.csv", "straight/history.csv");
    tempdir_free(&folder);
}

/* Both trainings are the same: by hand and as a run. */
static void the_best_model_answers_from_memory_and_from_a_file(void **state)
{
    (void)state;
    static const char *const programs[] = {"exercise_train", "exercise_run"};
    double accuracy[2];
    tempdir folder = tempdir_new();
    for (int i = 0; i < 2; i++) {
        char arguments[64];
        snprintf(arguments, sizeof arguments, "%s %d", programs[i], EPOCHS);
        assert_int_equal(run(&folder, programs[i], arguments), 0);
        snprintf(arguments, sizeof arguments, "%s 3", programs[i]); /* test digit 3, a zero */
        assert_int_equal(run(&folder, "exercise_predict", arguments), 0);
        char *output = lesson_output(&folder);
        const char *memory = strstr(output, "from memory"), *file = strstr(output, "from a file");
        assert_non_null(memory);
        assert_non_null(file);
        assert_int_equal(memory[strlen("from memory  ")], '0');
        const size_t from = strlen("from memory  ");
        assert_int_equal(strncmp(memory + from, file + from, strcspn(memory + from, "\n")), 0);
        accuracy[i] = strtod(strstr(output, "best_model.pth: ") + strlen("best_model.pth: "), NULL);
        free(output);
    }
    assert_true(accuracy[0] > 85 && accuracy[0] == accuracy[1]);
    tempdir_free(&folder);
}

static void without_a_model_there_is_one_line(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    assert_int_not_equal(run(&folder, "exercise_predict", "nowhere 0"), 0);
    char *output = lesson_output(&folder);
    assert_contains(output, "nowhere/best_model.pth");
    assert_int_equal(strcspn(output, "\n") + 1, strlen(output));
    free(output);
    tempdir_free(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_training_ends_as_one_that_was_not_stopped),
        cmocka_unit_test(a_killed_training_goes_on),
        cmocka_unit_test(a_run_may_be_stopped_anywhere),
        cmocka_unit_test(the_best_model_answers_from_memory_and_from_a_file),
        cmocka_unit_test(without_a_model_there_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
