/* One description of an op's use that serves every test of ops: golden values, random configurations, numeric
 * gradients, threads. A case is an op's kind (how to draw a random configuration, how to call the API), its arguments
 * and inputs.
 *
 * A random configuration follows from a list of choices: the same list and seed give the same case, and smaller choices
 * give a smaller case, which is how a failing case is shrunk. */
#ifndef FA_TESTS_OP_CASE_H
#define FA_TESTS_OP_CASE_H

#include "facula/functional.h"

enum { OP_INPUTS = 8, OP_PARAMS = 12, OP_RESULTS = 16, OP_CHOICES = 64 };

typedef struct op_kind op_kind;

/* How the elements of a drawn input are made. */
typedef enum op_values {
    OP_NORMAL,
    OP_POSITIVE, /* 0.2 and more */
    OP_AWAY,     /* no nearer to 0 than 0.05 */
    OP_DISTINCT, /* no two nearer to each other than 0.01 */
    OP_TIES,     /* whole numbers */
    OP_CLASSES,  /* 0 .. limit-1; one in 8 is -100 */
    OP_SHARES,   /* positive, dimension 1 sums to 1 */
    OP_INDICES,  /* 0 .. limit-1 */
    OP_SPECIAL,  /* normal, one in 7 is NaN, infinity or 0 */
    OP_MASK      /* bool */
} op_values;

typedef struct op_input {
    const char *name;
    fa_dtype dtype;
    fa_shape shape;
    bool grad;
    op_values values;
    int64_t limit;
    void *data; /* owned; row-major */
} op_input;

typedef struct op_param {
    const char *name;
    int count;
    double value[8];
} op_param;

typedef struct op_case {
    const op_kind *kind;
    fa_dtype dtype; /* of the floating inputs */
    uint64_t seed;
    double terms; /* of the longest sum in a result */
    int inputs, params;
    op_input input[OP_INPUTS];
    op_param param[OP_PARAMS];
} op_case;

/* Tensors that a builder hands out; the first one is differentiated. */
typedef struct op_outputs {
    int count;
    const char *name[4];
    fa_tensor *tensor[4];
} op_outputs;

typedef struct op_draw {
    uint64_t state;
    bool large;       /* sizes that threads and vectors bite on */
    bool smooth;      /* only places where the function is differentiable */
    int used, replay; /* choices made, and how many of them were given */
    int64_t choice[OP_CHOICES], low[OP_CHOICES];
} op_draw;

struct op_kind {
    const char *name;
    void (*build)(const op_case *c, fa_tensor **in, op_outputs *out);
    void (*draw)(op_case *c, op_draw *d); /* NULL: not drawn at random */
    bool no_gradient;
};

const op_kind *op_kind_find(const char *name);
/* All kinds of the tables in op_kinds.def, one after the other; NULL beyond the last. */
const op_kind *op_kind_at(int i);
/* A table ends with a kind without a name. */
#define OP_KINDS(table) extern const op_kind op_kinds_##table[];
#include "support/op_kinds.def"
#undef OP_KINDS

/* ---- Making cases --------------------------------------------------------------------------------------------------
 */

/* What draw functions use. */
int64_t op_choose(op_draw *d, int64_t low, int64_t high);
op_input *op_add_input(op_case *c, const char *name, fa_shape shape, op_values values);
void op_set_param(op_case *c, const char *name, int count, const double *value);
#define OP_SET(c, name, ...)                                                                                           \
    op_set_param((c), (name), (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__})

/* The case that follows from the choices in `d` (further ones are drawn from d->state), its data drawn from `seed`. */
void op_case_draw(op_case *c, const op_kind *kind, fa_dtype dtype, uint64_t seed, op_draw *d);
void op_case_free(op_case *c);
/* "conv2d float32 x(2,3,5,5) weight(4,3,3,3) stride=1,1 ..." */
void op_case_text(const op_case *c, char *text, size_t size);

/* What build functions use. */
double op_number(const op_case *c, const char *name, double otherwise);
const op_param *op_find_param(const op_case *c, const char *name);
fa_shape op_shape(const op_case *c, const char *name);
fa_tensor *op_in(const op_case *c, fa_tensor **in, const char *name); /* NULL if the case has no such input */

/* ---- Running them --------------------------------------------------------------------------------------------------
 */

typedef struct op_value {
    char name[32]; /* "y", "indices", "grad_x" */
    fa_dtype dtype;
    fa_shape shape;
    int64_t numel;
    void *data; /* owned */
} op_value;

typedef struct op_result {
    int count;
    op_value value[OP_RESULTS];
    bool contiguous; /* of the first output */
    char error[512];
} op_result;

/* Calls the op, with `gradient` (float64, of the first output's size; NULL: drawn from the case's seed) backward where
 * inputs want gradients and `backward`, and copies every output and gradient. False with result->error after an error.
 */
bool op_case_run(const op_case *c, bool backward, const double *gradient, op_result *result);
/* Gradients of gradients. With w ("weights" of the result) and a direction v for each input ("direction_x") drawn from
 * the case's seed, `first_x` is the gradient of L = sum of w*y*y / 2, and with `second` also `second_x` that of the sum
 * of v * first over all inputs: H v, H the second derivatives of L. No result at all where y has no history. */
bool op_case_twice(const op_case *c, bool second, op_result *result);
void op_result_free(op_result *result);
const op_value *op_result_find(const op_result *result, const char *name);

int64_t op_numel(const fa_shape *shape);
size_t op_dtype_size(fa_dtype dtype);
double op_element(fa_dtype dtype, const void *data, int64_t i);
void op_set_element(fa_dtype dtype, void *data, int64_t i, double value);

/* Whether every element agrees: |got - want| <= tolerance * (1 + |want|), NaN with NaN, infinities alike; bit for bit
 * (but -0 is 0) when the tolerance is 0. Otherwise `why` (256 bytes) names the worst element. */
bool op_values_agree(const op_value *got, const op_value *want, double tolerance, char *why);
/* 1e-5 for float32 (1e-12 for float64), times sqrt(terms / 100) for long sums; four times that for a layer that may go
 * by Winograd. */
double op_tolerance(const op_case *c, fa_dtype dtype);

uint64_t op_random(uint64_t *state);
double op_random_normal(uint64_t *state);

#endif
