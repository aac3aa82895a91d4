/* custom: an op from outside the library, node->user its fa_custom_op; ints: dtype, ndim, sizes of the result; floats:
 * the call's numbers. Its gradient is what the op's rule makes, or custom_grad: the gradient of one input, from the
 * inputs, the output and its gradient, by the op's own backward; ints[0] says which input, ints[1] how many there are.
 */
#include "ops/kernel_types.h"
#include "ops/rules.h"

#include <string.h>

static fa_shape shape_of(const fa_meta *meta)
{
    fa_shape shape = {.ndim = meta->ndim};
    memcpy(shape.size, meta->shape, sizeof shape.size);
    return shape;
}

static void describe_input(fa_custom_call *call, int i, const fa_meta *meta)
{
    call->input_shape[i] = shape_of(meta);
    call->input_dtype[i] = (fa_dtype)meta->dtype;
}

static fa_custom_call call_of(const fa_kernel_args *args, int inputs)
{
    fa_custom_call call = {
        .inputs = inputs, .numbers = args->floats, .context = ((const fa_custom_op *)args->user)->context};
    for (int i = 0; i < inputs; i++) {
        call.input[i] = args->in[i];
        describe_input(&call, i, args->in_meta[i]);
    }
    return call;
}

static bool infer(fa_node *node)
{
    node->meta = fa_meta_of((int)node->ints[0], (int)node->ints[1], node->ints + 2);
    return true;
}

/* A handle of a node as it was read: of a leaf a view, which cannot be read any more once the leaf was written. */
static fa_tensor *handle_of(fa_node *node)
{
    return fa_handle(node->op == FA_OP_leaf ? fa_record_reshape(node, node->meta.ndim, node->meta.shape, FA_VIEW_HIDDEN)
                                            : node);
}

/* What the user's rule made for input i, checked; NULL after an error. */
static fa_node *made(const fa_custom_op *op, const fa_tensor *gradient, const fa_node *input, int i)
{
    fa_node *node = fa_use(gradient, op->name, "a gradient that its rule made");
    if (!node || (fa_same_shape(&node->meta, &input->meta) && node->meta.dtype == input->meta.dtype))
        return node;
    fa_refuse(
        FA_SHAPE_ERROR, op->name,
        "got from its rule, for input %d, a gradient %s of %s, needs %s of %s. Hint: a gradient has the shape and "
        "type of its input",
        i, fa_shape_text(&node->meta), fa_dtype_name(node->meta.dtype), fa_shape_text(&input->meta),
        fa_dtype_name(input->meta.dtype));
    return NULL;
}

static void gradient_by_rule(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_custom_op *op = node->user;
    fa_custom_rule call = {.inputs = node->n_in, .numbers = node->floats, .context = op->context};
    for (int i = 0; i < node->n_in; i++) {
        call.input[i] = handle_of(node->in[i]);
        call.wanted[i] = fa_wants_grad(node, i);
    }
    call.output = fa_handle(node);
    call.output_grad = fa_handle(grad);
    if (!fa_ok())
        return;
    const fa_outside outside = fa_outside_begin();
    const bool good = op->rule(&call);
    fa_outside_end(outside);
    if (!good && fa_ok())
        fa_refuse(FA_STATE_ERROR, op->name, "its rule failed without a reason. Hint: call fa_raise there");
    for (int i = 0; i < node->n_in && fa_ok(); i++)
        if (call.wanted[i] && call.input_grad[i])
            grad_in[i] = made(op, call.input_grad[i], node->in[i], i);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_custom_op *op = node->user;
    if (op->rule && (fa_rules_differentiable() || !op->backward)) {
        gradient_by_rule(node, grad, grad_in);
        return;
    }
    fa_node *in[FA_MAX_INPUTS];
    memcpy(in, node->in, sizeof(fa_node *) * node->n_in);
    in[node->n_in] = node;
    in[node->n_in + 1] = grad;
    for (int i = 0; i < node->n_in; i++)
        if (fa_wants_grad(node, i)) {
            const int64_t ints[2] = {i, node->n_in};
            grad_in[i] = fa_record_user(FA_OP_custom_grad, node->n_in + 2, in, ints, sizeof ints, node->floats,
                                        FA_MAX_FLOATS, node->user);
        }
}

static const char *grad_label(const fa_node *node)
{
    return ((const fa_custom_op *)node->user)->name;
}

static void reference(const fa_kernel_args *args)
{
    int inputs = 0;
    while (inputs < FA_MAX_INPUTS && args->in_meta[inputs])
        inputs++;
    fa_custom_call call = call_of(args, inputs);
    call.output = args->out[0];
    call.output_shape = shape_of(args->out_meta[0]);
    call.output_dtype = (fa_dtype)args->out_meta[0]->dtype;
    ((const fa_custom_op *)args->user)->forward(&call);
}

const fa_op_def fa_op_custom = {
    .name = "custom",
    .grad_name = "CustomBackward",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
};

static bool grad_infer(fa_node *node)
{
    node->meta = node->in[node->ints[0]]->meta;
    node->meta.layout = FA_PLAIN;
    return true;
}

static void grad_reference(const fa_kernel_args *args)
{
    const int which = (int)args->ints[0], inputs = (int)args->ints[1];
    fa_custom_call call = call_of(args, inputs);
    call.output = args->in[inputs];
    call.output_grad = args->in[inputs + 1];
    call.output_shape = shape_of(args->in_meta[inputs]);
    call.output_dtype = (fa_dtype)args->in_meta[inputs]->dtype;
    call.input_grad[which] = args->out[0];
    memset(args->out[0], 0, (size_t)(fa_meta_numel(args->out_meta[0]) * fa_dtype_size(args->out_meta[0]->dtype)));
    ((const fa_custom_op *)args->user)->backward(&call);
}

/* An op without a rule is told by its own name. */
static void no_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    (void)grad, (void)grad_in;
    const char *name = ((const fa_custom_op *)node->user)->name;
    fa_refuse(FA_STATE_ERROR, name,
              "got a gradient to differentiate, needs an op whose gradient has a rule of its own: %s, recorded at "
              "%s:%d, has backward alone. Hint: give its fa_custom_op a .rule, the gradient in terms of ops.",
              name, node->where.file, node->where.line);
}

const fa_op_def fa_op_custom_grad = {
    .name = "custom_grad",
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .gradient = no_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_custom_at(const fa_custom_args *args)
{
    fa_begin(args->where_);
    const fa_custom_op *op = args->op;
    if (!op || !op->name || !op->forward) {
        fa_refuse(FA_VALUE_ERROR, "custom", "got an op without %s, needs a name and forward",
                  op ? op->name ? "forward" : "a name" : "a definition");
        return NULL;
    }
    fa_node *in[FA_MAX_INPUTS];
    int inputs = 0;
    for (; inputs < FA_MAX_INPUTS && args->input[inputs]; inputs++) {
        in[inputs] = fa_use(args->input[inputs], op->name, "input");
        if (!in[inputs])
            return NULL;
    }
    const int most = op->backward ? FA_MAX_INPUTS - 2 : FA_MAX_INPUTS;
    if (inputs == 0 || inputs > most) {
        if (fa_ok())
            fa_refuse(FA_VALUE_ERROR, op->name, "got %d inputs, needs 1 to %d", inputs, most);
        return NULL;
    }
    fa_custom_call call = {.inputs = inputs, .numbers = args->numbers, .context = op->context};
    for (int i = 0; i < inputs; i++)
        describe_input(&call, i, &in[i]->meta);
    call.output_shape = call.input_shape[0];
    call.output_dtype = call.input_dtype[0];
    fa_meta meta;
    if (op->shape && !op->shape(&call)) {
        if (fa_ok())
            fa_refuse(FA_SHAPE_ERROR, op->name,
                      "its shape function refused the inputs without a reason. Hint: call "
                      "fa_raise there");
        return NULL;
    }
    if (!fa_meta_from_shape(&meta, call.output_dtype, &call.output_shape, op->name))
        return NULL;
    int64_t ints[2 + FA_MAX_DIMS] = {meta.dtype, meta.ndim};
    memcpy(ints + 2, meta.shape, sizeof meta.shape);
    fa_node *node = fa_record_user(FA_OP_custom, inputs, in, ints, sizeof ints, args->numbers, FA_MAX_FLOATS, op);
    if (node && !op->backward && !op->rule)
        node->requires_grad = false;
    return fa_handle(node);
}
