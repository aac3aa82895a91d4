/* The words of small programs (program.h). */
#include "program.h"

#include <facula.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS = 4096 };

typedef struct machine {
    const char *at;
    FILE *out;
    fa_tensor *tensor[TENSORS];
    bool broken; /* a word that is none */
} machine;

/* ---- Reading -------------------------------------------------------------------------------------------------------
 */

static bool next_word(machine *m, char word[32])
{
    int length = 0;
    while (*m->at == ' ' || *m->at == '\n')
        m->at++;
    while (*m->at && *m->at != ' ' && *m->at != '\n' && length < 31)
        word[length++] = *m->at++;
    word[length] = 0;
    return length > 0;
}

static double number(machine *m)
{
    char word[32], *end = word;
    const double value = next_word(m, word) ? strtod(word, &end) : 0;
    m->broken |= end == word || *end;
    return value;
}

static int64_t whole(machine *m)
{
    return (int64_t)number(m);
}

static fa_tensor **slot(machine *m)
{
    const int64_t i = whole(m);
    m->broken |= i < 0 || i >= TENSORS;
    return &m->tensor[m->broken ? 0 : i];
}

static fa_shape shape(machine *m)
{
    fa_shape s = {.ndim = (int)whole(m)};
    for (int d = 0; d < s.ndim && d < 8; d++)
        s.size[d] = whole(m);
    return s;
}

/* ---- Printing ------------------------------------------------------------------------------------------------------
 */

static void print_elements(machine *m, const char *tag, int64_t i, fa_tensor *t)
{
    fprintf(m->out, "%s %lld", tag, (long long)i);
    const double *data = t ? fa_data(fa_to_dtype(t, FA_FLOAT64)) : NULL;
    if (!t)
        fprintf(m->out, " NULL");
    for (int64_t k = 0; data && k < fa_numel(t); k++)
        fprintf(m->out, " %.9g", data[k]);
    fprintf(m->out, "\n");
}

/* ---- Words: the result, then the operands --------------------------------------------------------------------------
 */

#define WORD(name) static void do_##name(machine *m)
#define UNARY(name, expression)                                                                                        \
    WORD(name)                                                                                                         \
    {                                                                                                                  \
        fa_tensor **y = slot(m), *x = *slot(m);                                                                        \
        *y = expression;                                                                                               \
    }
#define BINARY(name, expression)                                                                                       \
    WORD(name)                                                                                                         \
    {                                                                                                                  \
        fa_tensor **y = slot(m), *a = *slot(m), *b = *slot(m);                                                         \
        *y = expression;                                                                                               \
    }
#define IN_PLACE(name, expression)                                                                                     \
    WORD(name)                                                                                                         \
    {                                                                                                                  \
        fa_tensor *x = *slot(m);                                                                                       \
        expression;                                                                                                    \
    }

WORD(new)
{
    fa_tensor **y = slot(m);
    const fa_shape s = shape(m);
    fa_manual_seed((uint64_t)number(m));
    *y = fa_randn_with(s, .requires_grad = whole(m) != 0);
}

BINARY(add, fa_add(a, b))
BINARY(sub, fa_sub(a, b))
BINARY(mul, fa_mul(a, b))
BINARY(matmul, fa_matmul(a, b))
BINARY(lin, fa_linear(a, b, NULL))
UNARY(adds, fa_add(x, number(m)))
UNARY(muls, fa_mul(x, number(m)))
UNARY(relu, fa_relu(x))
UNARY(neg, fa_neg(x))
UNARY(pow2, fa_pow(x, 2))
UNARY(lsm, fa_log_softmax(x, -1))
UNARY(sumall, fa_sum(x))
UNARY(mean, fa_mean(x))
UNARY(clone, fa_clone(x))
UNARY(detach, fa_detach(x))
UNARY(contig, fa_contiguous(x))
UNARY(unsq, fa_unsqueeze(x, (int)whole(m)))
UNARY(view, fa_view_at(x, shape(m), FA_HERE))
UNARY(reshape, fa_reshape_at(x, shape(m), FA_HERE))
UNARY(expand, fa_expand_at(x, shape(m), FA_HERE))

WORD(sumd)
{
    fa_tensor **y = slot(m), *x = *slot(m);
    const int64_t dim = whole(m);
    *y = fa_sum(x, .dims = FA_SHAPE(dim), .keepdim = whole(m) != 0);
}

WORD(tr)
{
    fa_tensor **y = slot(m), *x = *slot(m);
    const int dim = (int)whole(m);
    *y = fa_transpose(x, dim, (int)whole(m));
}

WORD(slice)
{
    fa_tensor **y = slot(m), *x = *slot(m);
    const int dim = (int)whole(m);
    const int64_t start = whole(m), end = whole(m);
    *y = fa_slice_step(x, dim, start, end, whole(m));
}

WORD(select)
{
    fa_tensor **y = slot(m), *x = *slot(m);
    const int dim = (int)whole(m);
    *y = fa_select(x, dim, whole(m));
}

WORD(conv)
{
    fa_tensor **y = slot(m), *x = *slot(m), *weight = *slot(m);
    const int64_t stride = whole(m), padding = whole(m), dilation = whole(m);
    *y = fa_conv2d(x, weight, NULL, .stride = stride, .padding = padding, .dilation = dilation, .groups = whole(m));
}

WORD(mp)
{
    fa_tensor **y = slot(m), *x = *slot(m);
    const int64_t kernel = whole(m), stride = whole(m);
    *y = fa_max_pool2d(x, kernel, .stride = stride, .padding = whole(m));
}

WORD(ap)
{
    fa_tensor **y = slot(m), *x = *slot(m);
    const int64_t kernel = whole(m), stride = whole(m);
    *y = fa_avg_pool2d(x, kernel, .stride = stride, .padding = whole(m));
}

WORD(bn)
{
    fa_tensor **y = slot(m), *x = *slot(m), *weight = *slot(m), *bias = *slot(m);
    *y = fa_batch_norm(x, NULL, NULL, .weight = weight, .bias = bias, .training = true);
}

IN_PLACE(add_, fa_add_(x, *slot(m)))
IN_PLACE(mul_, fa_mul_(x, *slot(m)))
IN_PLACE(copy_, fa_copy_(x, *slot(m)))
IN_PLACE(adds_, fa_add_(x, number(m)))
IN_PLACE(muls_, fa_mul_(x, number(m)))
IN_PLACE(fill_, fa_fill_(x, number(m)))
IN_PLACE(zero_, fa_zero_(x))
IN_PLACE(relu_, fa_relu_(x))
IN_PLACE(
    nadds_, fa_no_grad { fa_add_(x, number(m)); })
IN_PLACE(
    ncopy_, fa_no_grad { fa_copy_(x, *slot(m)); })
IN_PLACE(dmuls_, fa_mul_(fa_detach(x), number(m)))
IN_PLACE(back, fa_backward(x, .retain_graph = true))
IN_PLACE(keep, fa_keep(x))

WORD(sgd)
{
    fa_tensor *x = *slot(m);
    fa_optim *optim = fa_sgd(FA_TENSORS(x), number(m));
    fa_step(optim);
    fa_free(optim);
}

WORD(sync)
{
    (void)m;
    fa_sync();
}

WORD(print)
{
    const int64_t i = whole(m);
    print_elements(m, "P", i, m->tensor[i]);
}

WORD(grad)
{
    const int64_t i = whole(m);
    print_elements(m, "G", i, fa_grad(m->tensor[i]));
}

WORD(rg)
{
    const int64_t i = whole(m);
    fprintf(m->out, "R %lld %d\n", (long long)i, fa_requires_grad(m->tensor[i]));
}

static const struct {
    const char *name;
    void (*run)(machine *m);
} words[] = {
    {"new", do_new},         {"add", do_add},       {"sub", do_sub},     {"mul", do_mul},       {"matmul", do_matmul},
    {"lin", do_lin},         {"adds", do_adds},     {"muls", do_muls},   {"relu", do_relu},     {"neg", do_neg},
    {"pow2", do_pow2},       {"lsm", do_lsm},       {"mean", do_mean},   {"sumall", do_sumall}, {"sumd", do_sumd},
    {"clone", do_clone},     {"detach", do_detach}, {"view", do_view},   {"contig", do_contig}, {"unsq", do_unsq},
    {"reshape", do_reshape}, {"expand", do_expand}, {"tr", do_tr},       {"slice", do_slice},   {"select", do_select},
    {"conv", do_conv},       {"mp", do_mp},         {"ap", do_ap},       {"bn", do_bn},         {"add_", do_add_},
    {"mul_", do_mul_},       {"copy_", do_copy_},   {"adds_", do_adds_}, {"muls_", do_muls_},   {"fill_", do_fill_},
    {"zero_", do_zero_},     {"relu_", do_relu_},   {"back", do_back},   {"nadds_", do_nadds_}, {"ncopy_", do_ncopy_},
    {"dmuls_", do_dmuls_},   {"keep", do_keep},     {"sgd", do_sgd},     {"sync", do_sync},     {"print", do_print},
    {"grad", do_grad},       {"rg", do_rg},
};

/* Until the end of the text, or of the scope. False after an error. */
static bool run(machine *m)
{
    char word[32];
    while (next_word(m, word)) {
        bool known = true;
        if (strcmp(word, "end") == 0)
            return true;
        if (strcmp(word, "begin") == 0) {
            bool ok = true;
            fa_scope {
                ok = run(m);
            }
            if (!ok)
                return false;
        } else {
            size_t i = 0;
            while (i < sizeof words / sizeof *words && strcmp(words[i].name, word) != 0)
                i++;
            known = i < sizeof words / sizeof *words;
            if (known)
                words[i].run(m);
        }
        if (!known || m->broken || !fa_ok()) {
            fprintf(m->out, "ERROR at %s: %s\n", word, fa_ok() ? "no such program" : fa_error());
            return false;
        }
    }
    return true;
}

void program_run(const char *text, FILE *out)
{
    machine *m = calloc(1, sizeof *m);
    if (!m)
        return;
    m->at = text;
    m->out = out;
    fa_scope {
        run(m);
    }
    fa_clear_error();
    free(m);
}
