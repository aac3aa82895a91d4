/* What a run notices while it trains: losses that are not finite, gradients that were not set to zero, a softmax before
 * the loss, validation batches that are missing. */
#include "support/run_rig.h"

#include <math.h>

static void test_loss_not_finite(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    const char *folder = tempdir_file(&dir, "run");
    rig r = make_rig();
    fa_run *run = open_run(&r, folder, 3, false);
    char *before = NULL;
    fa_for_each_epoch (epoch, run) {
        fa_for_each_batch (b, r.train) {
            if (epoch == 1 && b.index == 1) {
                before = read_of(folder, "last.pth");
                assert_false(fa_run_step(run, b, fa_full(FA_SCALAR, INFINITY)));
            } else {
                train_batch(&r, run, &b);
            }
        }
        validate(&r, run);
        fa_run_end_epoch(run);
    }
    assert_contains(fa_error(), "the loss became inf in epoch 2, step 2, at learning rate 0.1; not finite first: the "
                                "loss itself");
    assert_contains(fa_error(), "best_model.pth is that of epoch 1");
    fa_clear_error();
    char *after = read_of(folder, "last.pth"), *json = read_of(folder, "run.json");
    assert_string_equal(before, after);
    assert_contains(json, "\"diverged\"");
    free(before);
    free(after);
    free(json);
    fa_free(run);
    end_rig(&r);
    tempdir_free(&dir);
}

/* Where it comes from, which the step's own gradients do not hide: a layer too large, weights, images. */
static void test_first_not_finite(void **state)
{
    (void)state;
    static const char *const words[] = {"first: the output of layer 2 (Linear). ",
                                        "first: 0.bias, which the steps before have spoilt. ",
                                        "first: the batch's images. "};
    for (int kind = 0; kind < 3; kind++) {
        tempdir dir = tempdir_new();
        rig r = make_rig();
        fa_no_grad {
            if (kind == 0)
                fa_fill_(fa_find(r.model, "2.weight"), 3e38);
            else if (kind == 1)
                fa_fill_(fa_find(r.model, "0.bias"), NAN);
        }
        fa_run *run = open_run(&r, tempdir_file(&dir, "run"), 1, false);
        fa_for_each_epoch (epoch, run)
            fa_for_each_batch (b, r.train) {
                if (kind == 2)
                    b.images = fa_mul(b.images, INFINITY);
                assert_false(train_batch(&r, run, &b));
            }
        assert_contains(fa_error(), words[kind]);
        assert_contains(fa_error(), " in epoch 1, step 1, at learning rate 0.1; ");
        fa_clear_error();
        fa_free(run);
        end_rig(&r);
        tempdir_free(&dir);
    }
}

/* A validation loss that is not finite is never the best, nor is anything compared with it. */
static void test_best_is_finite(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    rig r = make_rig();
    const char *folder = tempdir_file(&dir, "run");
    fa_run *run = open_run(&r, folder, 4, false);
    static const double losses[] = {INFINITY, 2, -INFINITY, 1};
    fa_for_each_epoch (epoch, run) {
        fa_for_each_batch (b, r.train)
            train_batch(&r, run, &b);
        fa_for_each_batch (b, r.validation)
            fa_run_validate(run, b, fa_full(FA_SCALAR, epoch == 2 ? NAN : losses[epoch]));
        assert_true(fa_run_end_epoch(run));
        assert_int_equal(there(folder, "best_model.pth"), epoch > 0);
        assert_int_equal(fa_run_results(run).best_epoch, epoch == 0 ? -1 : epoch == 3 ? 3 : 1);
    }
    fa_free(run);
    end_rig(&r);
    tempdir_free(&dir);
}

/* Steps without fa_zero_grad: said once, from the second on. Two backward passes for one step are no mistake. */
static void test_zero_grad_note(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        tempdir dir = tempdir_new();
        rig r = make_rig();
        fa_run *run = open_run(&r, tempdir_file(&dir, "run"), 2, false);
        fa_for_each_epoch (epoch, run) {
            fa_for_each_batch (b, r.train) {
                fa_tensor *loss = fa_cross_entropy(fa_forward(r.model, b.images), b.labels);
                if (kind == 1)
                    fa_zero_grad(r.optim);
                if (kind == 2 && b.index == 0)
                    fa_zero_grad(r.model);
                fa_backward(loss);
                if (kind < 2 || b.index == STEPS - 1)
                    fa_step(r.optim);
                assert_true(fa_run_step(run, b, loss));
                assert_int_equal(strlen(fa_run_notes(run)) > 0, kind == 0 && (epoch > 0 || b.index > 0));
            }
            fa_run_end_epoch(run);
        }
        if (kind == 0) {
            const char *notes = fa_run_notes(run), *first = strstr(notes, "from step 2 on");
            assert_contains(notes, "fa_zero_grad was not called in between");
            assert_non_null(first);
            assert_null(strstr(first + 1, "fa_step"));
        }
        fa_free(run);
        end_rig(&r);
        tempdir_free(&dir);
    }
}

/* The mean does not depend on the batches that it was measured in; the accuracy not at all (O29). */
static void test_validation_batches(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 7, 64, 10000};
    double loss = 0, accuracy = 0;
    for (int i = 0; i < 4; i++) {
        tempdir dir = tempdir_new();
        rig r = make_rig();
        fa_free(r.validation);
        fa_manual_seed(7);
        r.validation = make_loader(ITEMS, sizes[i], false);
        fa_run *run = open_run(&r, tempdir_file(&dir, "run"), 1, false);
        fa_for_each_epoch (epoch, run) {
            validate(&r, run);
            fa_run_end_epoch(run);
        }
        fa_run_result results = fa_run_results(run);
        if (i == 0)
            loss = results.val_loss, accuracy = results.val_acc;
        assert_true(results.val_loss > 0 && fabs(results.val_loss / loss - 1) < 1e-6);
        assert_true(results.val_acc == accuracy);
        fa_free(run);
        end_rig(&r);
        tempdir_free(&dir);
    }
}

static void test_softmax_note(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    rig r = make_rig();
    fa_free(r.optim);
    fa_free(r.model);
    r.model = fa_nn_sequential(fa_nn_linear(5, 3), fa_nn_softmax(1));
    r.optim = fa_sgd(fa_parameters(r.model), 0.1);
    fa_run *run = open_run(&r, tempdir_file(&dir, "run"), 1, false);
    assert_contains(fa_run_notes(run), "ends in Softmax");
    fa_free(run);
    end_rig(&r);
    tempdir_free(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_not_finite),    cmocka_unit_test(test_first_not_finite),
        cmocka_unit_test(test_best_is_finite),     cmocka_unit_test(test_zero_grad_note),
        cmocka_unit_test(test_validation_batches), cmocka_unit_test(test_softmax_note),
    };
    tempdirs_in_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
