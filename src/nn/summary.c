/* The summary table. A forward pass is recorded on an input of the given shape, in evaluation mode and without history;
 * what a layer does is read from the nodes that it recorded, and nothing is computed.
 *
 * Receptive field of a node: r = r_in + (kernel - 1) * dilation * j_in and j = j_in * stride for windows, where j is
 * the distance in the input of two neighbouring outputs (Araujo et al. 2019); the largest over the inputs elsewhere;
 * the whole image behind a matrix product or a mean. */
#include "nn/module.h"

#include <string.h>

typedef struct field {
    uint64_t serial; /* of the node; 0: free place of the table */
    int64_t size[2], jump[2];
    bool seen;  /* depends on the input */
    bool whole; /* on all of it */
} field;

/* What the nodes of one module's own (not its children's) cost. */
typedef struct cost {
    double multiply_adds;
    int64_t bytes;
} cost;

typedef struct row {
    char *cell[6];
} row;
enum { COLUMNS = 6 };

typedef struct summary {
    const fa_leaf *input_leaf;
    uint64_t input_serial;
    int64_t image[2]; /* height, width of the input; 0: no image */
    field *table;
    size_t capacity, count; /* a power of two */
    cost stack[FA_FORWARD_DEPTH + 1];
    int depth;
    row *rows;
    int n_rows;
    double multiply_adds;
    int64_t bytes, largest;
    bool failed; /* no memory */
} summary;

/* ---- Fields of nodes
 * --------------------------------------------------------------------------------------------------- */

static field *find(summary *s, uint64_t serial)
{
    size_t i = (size_t)(serial * 0x9E3779B97F4A7C15u) & (s->capacity - 1);
    while (s->table[i].serial && s->table[i].serial != serial + 1)
        i = (i + 1) & (s->capacity - 1);
    return &s->table[i];
}

static bool reserve(summary *s)
{
    if (2 * (s->count + 1) <= s->capacity)
        return true;
    field *old = s->table;
    size_t capacity = s->capacity;
    field *table = fa_calloc(capacity ? 2 * capacity : 256, sizeof *table);
    if (!table) {
        s->failed = true;
        return false;
    }
    s->table = table;
    s->capacity = capacity ? 2 * capacity : 256;
    for (size_t i = 0; i < capacity; i++)
        if (old[i].serial)
            *find(s, old[i].serial - 1) = old[i];
    fa_mfree(old);
    return true;
}

static double multiply_adds(const fa_node *node)
{
    double out = (double)fa_meta_numel(&node->meta);
    if (node->op == FA_OP_conv2d) {
        const int64_t *weight = node->in[1]->meta.shape;
        return out * (double)weight[1] * (double)weight[2] * (double)weight[3];
    }
    if (node->op == FA_OP_conv2d_input_grad) { /* of conv_transpose2d */
        const int64_t *weight = node->in[1]->meta.shape;
        return (double)fa_meta_numel(&node->in[0]->meta) * (double)weight[1] * (double)weight[2] * (double)weight[3];
    }
    if (node->op == FA_OP_linear)
        return out * (double)node->in[1]->meta.shape[1];
    if (node->op == FA_OP_matmul && fa_op_table[FA_OP_matmul]->flops) {
        fa_kernel_args args = {.out_meta = {&node->meta},
                               .in_meta = {&node->in[0]->meta, &node->in[1]->meta},
                               .ints = node->ints,
                               .floats = node->floats};
        return fa_op_table[FA_OP_matmul]->flops(&args) / 2;
    }
    return 0;
}

static void window(field *f, const int64_t kernel[2], const int64_t stride[2], const int64_t dilation[2])
{
    for (int d = 0; d < 2; d++) {
        f->size[d] += (kernel[d] - 1) * dilation[d] * f->jump[d];
        f->jump[d] *= stride[d];
    }
}

/* The node's field; nodes not seen before are charged to the module that runs. */
static field visit(summary *s, const fa_node *node)
{
    if (node->serial == s->input_serial || (node->op == FA_OP_leaf && node->leaf == s->input_leaf))
        return (field){.size = {1, 1}, .jump = {1, 1}, .seen = true};
    if (node->op == FA_OP_leaf || s->failed || !reserve(s))
        return (field){0};
    field known = *find(s, node->serial);
    if (known.serial)
        return known;
    field f = {0};
    for (int i = 0; i < node->n_in; i++) {
        field in = node->in[i] ? visit(s, node->in[i]) : (field){0};
        if (!in.seen)
            continue;
        f.seen = true;
        f.whole |= in.whole;
        for (int d = 0; d < 2; d++) {
            f.size[d] = in.size[d] > f.size[d] ? in.size[d] : f.size[d];
            f.jump[d] = in.jump[d] > f.jump[d] ? in.jump[d] : f.jump[d];
        }
    }
    if (node->op == FA_OP_conv2d) {
        const fa_conv2d_ints *conv = (const fa_conv2d_ints *)node->ints;
        window(&f, node->in[1]->meta.shape + 2, conv->stride, conv->dilation);
    } else if (node->op == FA_OP_max_pool2d || node->op == FA_OP_avg_pool2d) {
        const int64_t one[2] = {1, 1};
        const fa_pool2d_ints *pool = (const fa_pool2d_ints *)node->ints;
        window(&f, pool->kernel, pool->stride, node->op == FA_OP_max_pool2d ? pool->dilation : one);
    } else if (node->op == FA_OP_linear || node->op == FA_OP_matmul || node->op == FA_OP_mean ||
               node->op == FA_OP_sum || node->op == FA_OP_layer_norm || node->op == FA_OP_group_norm ||
               node->op == FA_OP_adaptive_avg_pool2d || node->op == FA_OP_adaptive_max_pool2d) {
        f.whole = f.seen;
    }
    cost *own = &s->stack[s->depth];
    own->multiply_adds += multiply_adds(node);
    if (f.seen && !fa_op_table[node->op]->alias) {
        int64_t bytes = fa_meta_numel(&node->meta) * fa_dtype_size(node->meta.dtype);
        own->bytes += bytes;
        s->largest = bytes > s->largest ? bytes : s->largest;
    }
    if (reserve(s)) {
        f.serial = node->serial + 1;
        *find(s, node->serial) = f;
        s->count++;
    }
    return f;
}

/* ---- Rows
 * ---------------------------------------------------------------------------------------------------------------- */

/* 1234567 as "1,234,567". */
static void add_number(fa_text *text, double value)
{
    char digits[40];
    int n = snprintf(digits, sizeof digits, "%.0f", value);
    for (int i = 0; i < n; i++)
        fa_text_add(text, i && (n - i) % 3 == 0 && digits[i - 1] != '-' ? ",%c" : "%c", digits[i]);
}

static void add_bytes(fa_text *text, double bytes)
{
    if (bytes < 1024)
        fa_text_add(text, "%.0f B", bytes);
    else if (bytes < 1024 * 1024)
        fa_text_add(text, "%.1f KiB", bytes / 1024);
    else
        fa_text_add(text, "%.1f MiB", bytes / (1024 * 1024));
}

/* The finished text, or NULL (and s->failed) when memory ran out. */
static char *finish(summary *s, fa_text *text)
{
    if (text->failed)
        fa_text_free(text);
    if (!text->data)
        s->failed = true;
    return text->data;
}

static void add_row(summary *s, fa_module_impl *module, const fa_node *out, const field *f, const cost *own)
{
    row *rows = fa_realloc(s->rows, (size_t)(s->n_rows + 1) * sizeof *rows);
    if (!rows) {
        s->failed = true;
        return;
    }
    s->rows = rows;
    char path[256];
    int64_t parameters = 0, bytes = 0;
    for (int i = 0; i < module->n_entries && !module->counted; i++)
        if (!module->entries[i].buffer) {
            const fa_meta *meta = &module->entries[i].leaf->meta;
            parameters += fa_meta_numel(meta);
            bytes += fa_meta_numel(meta) * fa_dtype_size(meta->dtype);
        }
    module->counted = true;
    fa_text cell[COLUMNS] = {{0}};
    fa_text_add(&cell[0], module->parent ? "%s (%s)" : "%s", fa_module_path(module, path, sizeof path),
                module->class_name);
    fa_text_add(&cell[1], "%s", fa_shape_text(&out->meta));
    if (!s->image[0] || !f->seen)
        fa_text_add(&cell[2], "-");
    else
        fa_text_add(&cell[2], "%lld x %lld", (long long)(f->whole ? s->image[0] : f->size[0]),
                    (long long)(f->whole ? s->image[1] : f->size[1]));
    add_number(&cell[3], (double)parameters);
    add_number(&cell[4], own->multiply_adds);
    add_bytes(&cell[5], (double)(own->bytes + 2 * bytes));
    for (int c = 0; c < COLUMNS; c++)
        rows[s->n_rows].cell[c] = finish(s, &cell[c]);
    s->n_rows++;
}

static void enter(void *context, fa_module_impl *module, fa_tensor *input)
{
    (void)module;
    summary *s = context;
    const fa_node *node = fa_use(input, "fa_summary", "input");
    if (!node)
        return;
    visit(s, node);
    s->stack[++s->depth] = (cost){0};
}

static void leave(void *context, fa_module_impl *module, fa_tensor *output)
{
    summary *s = context;
    const fa_node *node = fa_use(output, "fa_summary", "output");
    if (!node)
        return;
    field f = visit(s, node);
    cost own = s->stack[s->depth--];
    s->multiply_adds += own.multiply_adds;
    s->bytes += own.bytes;
    /* A container has a row when it does something itself. */
    if (module->n_children == 0 || module->n_entries > 0 || own.bytes > 0)
        add_row(s, module, node, &f, &own);
}

/* ---- The table
 * -------------------------------------------------------------------------------------------------------------- */

static void begin_modes(fa_module_impl *impl)
{
    impl->was_training = impl->training;
    impl->counted = false;
    for (int i = 0; i < impl->n_children; i++)
        begin_modes(impl->children[i].module->impl_);
}

static void end_modes(fa_module_impl *impl)
{
    impl->training = impl->was_training;
    for (int i = 0; i < impl->n_children; i++)
        end_modes(impl->children[i].module->impl_);
}

static void add_line(fa_text *text, const row *r, const int *width)
{
    for (int c = 0; c < COLUMNS; c++)
        fa_text_add(text, c < 3 ? "%-*s%s" : "%*s%s", width[c], r->cell[c], c + 1 < COLUMNS ? "  " : "\n");
}

static void add_rule(fa_text *text, const int *width)
{
    int total = 2 * (COLUMNS - 1);
    for (int c = 0; c < COLUMNS; c++)
        total += width[c];
    while (total-- > 0)
        fa_text_add(text, "-");
    fa_text_add(text, "\n");
}

static void add_totals(fa_text *text, const summary *s, fa_module *module, fa_where where)
{
    fa_tensor_list list = fa_parameters_at(module, where);
    double all = 0, trained = 0, bytes = 0, gradients = 0;
    for (int64_t i = 0; i < list.count; i++) {
        const fa_leaf *leaf = fa_handle_leaf(list.tensor[i]);
        double n = (double)fa_meta_numel(&leaf->meta), size = n * (double)fa_dtype_size(leaf->meta.dtype);
        all += n;
        bytes += size;
        if (leaf->requires_grad) {
            trained += n;
            gradients += size;
        }
    }
    fa_text_add(text, "parameters: ");
    add_number(text, all);
    fa_text_add(text, ", trained: ");
    add_number(text, trained);
    fa_text_add(text, "\nmultiply-adds of a forward pass: ");
    add_number(text, s->multiply_adds);
    fa_text_add(text, "\nmemory of a training step: ");
    double values = (double)s->bytes + 2 * (double)s->largest;
    add_bytes(text, bytes + gradients + values);
    fa_text_add(text, " (weights ");
    add_bytes(text, bytes);
    fa_text_add(text, ", their gradients ");
    add_bytes(text, gradients);
    fa_text_add(text, ", values between layers ");
    add_bytes(text, values);
    fa_text_add(text, "); Adam adds ");
    add_bytes(text, 2 * gradients);
    fa_text_add(text, "\n");
}

static void add_table(fa_text *text, const summary *s)
{
    static const row head = {{"layer", "output", "receptive field", "parameters", "multiply-adds", "memory"}};
    int width[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        width[c] = (int)strlen(head.cell[c]);
        for (int r = 0; r < s->n_rows; r++) {
            int n = (int)strlen(s->rows[r].cell[c]);
            width[c] = n > width[c] ? n : width[c];
        }
    }
    add_line(text, &head, width);
    add_rule(text, width);
    for (int r = 0; r < s->n_rows; r++)
        add_line(text, &s->rows[r], width);
    add_rule(text, width);
}

static void run(summary *s, fa_module *module, fa_shape shape, fa_where where)
{
    fa_new_args args = {.where_ = where};
    fa_tensor *input = fa_zeros_at(shape, &args);
    const fa_node *node = fa_use(input, "fa_summary", "input");
    if (!node)
        return;
    s->input_serial = node->serial;
    s->input_leaf = fa_handle_leaf(input);
    if (shape.ndim == 3 || shape.ndim == 4) {
        s->image[0] = shape.size[shape.ndim - 2];
        s->image[1] = shape.size[shape.ndim - 1];
    }
    fa_forward_observer watch = {enter, leave, s};
    const fa_forward_observer *previous = fa_forward_observe(&watch);
    fa_forward_at(module, input, where);
    fa_forward_observe(previous);
}

bool fa_summary_at(fa_module *module, fa_shape input, FILE *file, fa_where where)
{
    if (!fa_ok() || !fa_module_check(module, "fa_summary", where))
        return false;
    summary *s = fa_calloc(1, sizeof *s);
    if (!s)
        return fa_fail_memory(where, sizeof *s);
    begin_modes(module->impl_);
    fa_eval(module);
    fa_scope_guard scope = fa_scope_begin_at(where);
    fa_grad_guard grad = fa_grad_begin_(false);
    run(s, module, input, where);
    fa_grad_end_(&grad);
    fa_scope_end_(&scope);
    end_modes(module->impl_);

    fa_text text = {0};
    if (fa_ok() && !s->failed) {
        add_table(&text, s);
        add_totals(&text, s, module, where);
    }
    if (s->failed || text.failed)
        fa_fail_memory(where, s->capacity * sizeof *s->table);
    if (fa_ok() && fputs(text.data, file) < 0)
        fa_fail(FA_FILE_ERROR, where, "fa_summary", "could not write the table");
    fa_text_free(&text);
    for (int r = 0; r < s->n_rows; r++)
        for (int c = 0; c < COLUMNS; c++)
            fa_mfree(s->rows[r].cell[c]);
    fa_mfree(s->rows);
    fa_mfree(s->table);
    fa_mfree(s);
    return fa_ok();
}
