/* Random configurations of every op with what the library gives for them, one JSON object a line, for compare_torch.py.
 * usage: torch_random_ops SEED CASES [op] */
#include "support/facula_test.h"

#include "support/op_case.h"

#include "facula.h"

#include <math.h>
#include <string.h>

static void print_number(double value)
{
    if (isnan(value))
        printf("NaN");
    else if (isinf(value))
        printf(value > 0 ? "Infinity" : "-Infinity");
    else
        printf("%.17g", value);
}

static void print_array(const char *name, fa_dtype dtype, const fa_shape *shape, const void *data)
{
    static const char *const names[] = {"float32", "float64", "int64", "int32", "uint8", "bool"};
    printf("{\"name\":\"%s\",\"dtype\":\"%s\",\"shape\":[", name, names[dtype]);
    for (int d = 0; d < shape->ndim; d++)
        printf("%s%lld", d > 0 ? "," : "", (long long)shape->size[d]);
    printf("],\"data\":[");
    for (int64_t i = 0, n = op_numel(shape); i < n; i++) {
        if (i > 0)
            putchar(',');
        print_number(op_element(dtype, data, i));
    }
    printf("]");
}

static void print_case(const op_case *c, const double *gradient, int64_t gradients, const op_result *result)
{
    printf("{\"op\":\"%s\",\"seed\":%llu,\"tolerance\":%g,\"args\":{", c->kind->name, (unsigned long long)c->seed,
           3 * op_tolerance(c, c->dtype));
    for (int i = 0; i < c->params; i++) {
        printf("%s\"%s\":[", i > 0 ? "," : "", c->param[i].name);
        for (int k = 0; k < c->param[i].count; k++) {
            if (k > 0)
                putchar(',');
            print_number(c->param[i].value[k]);
        }
        printf("]");
    }
    printf("},\"inputs\":[");
    for (int i = 0; i < c->inputs; i++) {
        if (i > 0)
            putchar(',');
        print_array(c->input[i].name, c->input[i].dtype, &c->input[i].shape, c->input[i].data);
        printf(",\"grad\":%s}", c->input[i].grad ? "true" : "false");
    }
    printf("],\"gradient\":[");
    for (int64_t i = 0; i < gradients; i++) {
        if (i > 0)
            putchar(',');
        print_number(gradient[i]);
    }
    printf("],\"results\":[");
    for (int i = 0; i < result->count; i++) {
        const op_value *v = &result->value[i];
        if (i > 0)
            putchar(',');
        print_array(v->name, v->dtype, &v->shape, v->data);
        printf("}");
    }
    printf("],\"error\":%s}\n", result->error[0] != '\0' ? "true" : "false");
}

/* Gradients of gradients of a smooth case in float64. */
static void run_twice(const op_kind *kind, uint64_t seed)
{
    op_draw draw = {.state = seed * 2654435761u + 3, .smooth = true};
    op_case c = {0};
    op_case_draw(&c, kind, FA_FLOAT64, seed, &draw);
    op_result result = {0};
    op_case_twice(&c, true, &result);
    c.terms = fmax(c.terms, 1e4);
    print_case(&c, NULL, 0, &result);
    op_result_free(&result);
    op_case_free(&c);
}

static void run_case(const op_kind *kind, fa_dtype dtype, uint64_t seed)
{
    op_draw draw = {.state = seed * 2654435761u + 1};
    op_case c = {0};
    op_case_draw(&c, kind, dtype, seed, &draw);
    op_result result = {0};
    double *gradient = NULL;
    int64_t count = 0;
    if (op_case_run(&c, false, NULL, &result) && !kind->no_gradient) {
        count = result.value[0].numel;
        gradient = malloc(sizeof(double) * (size_t)(count > 0 ? count : 1));
        assert_non_null(gradient);
        for (int64_t i = 0; i < count; i++)
            gradient[i] = (float)test_random_real(&draw.state, -1, 1);
        op_result_free(&result);
        op_case_run(&c, true, gradient, &result);
    }
    print_case(&c, gradient, count, &result);
    op_result_free(&result);
    free(gradient);
    op_case_free(&c);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    int64_t cases = argc > 2 ? strtoll(argv[2], NULL, 10) : 20;
    const op_kind *kind;
    for (int i = 0; (kind = op_kind_at(i)) != NULL; i++) {
        if (kind->draw == NULL || (argc > 3 && strcmp(kind->name, argv[3]) != 0))
            continue;
        for (int64_t k = 0; k < cases; k++)
            run_case(kind, k % 2 == 0 ? FA_FLOAT32 : FA_FLOAT64, seed + (uint64_t)k);
        for (int64_t k = 0; k < (cases + 1) / 2 && !kind->no_gradient; k++)
            run_twice(kind, seed + (uint64_t)k);
        fa_clear_error();
    }
    return 0;
}
