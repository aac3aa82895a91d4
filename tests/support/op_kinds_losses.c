/* Kinds of losses of pairs. Names of arguments and inputs are those of tests/golden/make_losses.py. */
#include "op_kinds.h"

#define DISTANCE IN("x"), IN("y"), .weight = IN("scale"), .reduction = (fa_reduction)INT("reduction", 1)
#define ENTROPY                                                                                                        \
    IN("x"), IN("y"), .weight = IN("scale"), .pos_weight = IN("positive"),                                             \
                      .reduction = (fa_reduction)INT("reduction", 1)

static fa_tensor *sigmoid(fa_tensor *x)
{
    return fa_rdiv(1, fa_add(fa_exp(fa_neg(x)), 1));
}

BUILD(mse_loss, fa_mse_loss(DISTANCE))
BUILD(l1_loss, fa_l1_loss(DISTANCE))
BUILD(smooth_l1_loss, fa_smooth_l1_loss(DISTANCE, .beta = op_number(c, "beta", 1)))
BUILD(huber_loss, fa_huber_loss(DISTANCE, .delta = op_number(c, "delta", 1)))
BUILD(bce, fa_binary_cross_entropy(ENTROPY))
BUILD(bce_of_scores, fa_binary_cross_entropy(sigmoid(IN("x")), sigmoid(IN("y")), .weight = IN("scale"),
                                             .reduction = (fa_reduction)INT("reduction", 1)))
BUILD(bce_with_logits, fa_binary_cross_entropy_with_logits(ENTROPY))
BUILD(kl_div, fa_kl_div(IN("x"), IN("y"), .reduction = (fa_reduction)INT("reduction", 1),
                        .log_target = INT("log_target", 0) != 0))

/* Of one shape, or one of them shorter. */
static void draw_pair(op_case *c, op_draw *d, op_values x_values, op_values y_values, bool broadcast,
                      int64_t reductions)
{
    fa_shape x = op_any_shape(d, 0, 4, 5), y = x;
    const int cut = broadcast ? (int)op_choose(d, 0, x.ndim) : 0;
    y.ndim -= cut;
    for (int i = 0; i < y.ndim; i++)
        y.size[i] = x.size[cut + i];
    const bool swap = broadcast && op_choose(d, 0, 1);
    op_add_input(c, "x", swap ? y : x, x_values);
    op_add_input(c, "y", swap ? x : y, y_values);
    c->terms = (double)op_numel(&x);
    OP_SET(c, "reduction", (double)op_choose(d, 0, reductions));
}

static void draw_distance(op_case *c, op_draw *d)
{
    draw_pair(c, d, op_values_for(d, OP_NORMAL), OP_NORMAL, true, 2);
}

static const double bounds[] = {1, 0.25, 2};

static void draw_smooth(op_case *c, op_draw *d)
{
    draw_distance(c, d);
    OP_SET(c, "beta", bounds[op_choose(d, 0, 2)]);
}

static void draw_huber(op_case *c, op_draw *d)
{
    draw_distance(c, d);
    OP_SET(c, "delta", bounds[op_choose(d, 0, 2)]);
}

static void add_weights(op_case *c, op_draw *d, const char *name)
{
    fa_shape shape = c->input[0].shape;
    if (op_choose(d, 0, 2) > 0)
        return;
    const int cut = (int)op_choose(d, 0, shape.ndim);
    shape.ndim -= cut;
    for (int i = 0; i < shape.ndim; i++)
        shape.size[i] = shape.size[cut + i];
    op_add_input(c, name, shape, OP_POSITIVE)->grad = false;
}

static void draw_bce(op_case *c, op_draw *d)
{
    draw_pair(c, d, OP_NORMAL, OP_NORMAL, false, 2);
    add_weights(c, d, "scale");
}

static void draw_bce_with_logits(op_case *c, op_draw *d)
{
    draw_pair(c, d, op_values_for(d, OP_NORMAL), OP_NORMAL, false, 2);
    add_weights(c, d, "scale");
    add_weights(c, d, "positive");
}

static void draw_kl_div(op_case *c, op_draw *d)
{
    draw_pair(c, d, OP_NORMAL, OP_POSITIVE, true, 3);
    OP_SET(c, "log_target", (double)op_choose(d, 0, 1));
}

const op_kind op_kinds_losses[] = {
    {"mse_loss", build_mse_loss, draw_distance, false},
    {"l1_loss", build_l1_loss, draw_distance, false},
    {"smooth_l1_loss", build_smooth_l1_loss, draw_smooth, false},
    {"huber_loss", build_huber_loss, draw_huber, false},
    {"bce", build_bce, NULL, false},
    {"bce_of_scores", build_bce_of_scores, draw_bce, false},
    {"bce_with_logits", build_bce_with_logits, draw_bce_with_logits, false},
    {"kl_div", build_kl_div, draw_kl_div, false},
    {.name = NULL},
};
