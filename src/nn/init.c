/* Initial weights: drawn late, in the order of the module trees, so that they are PyTorch's whatever order a C compiler
 * builds nested constructors in. */
#include "nn/module.h"

#include "base/generator.h"
#include "tensor/create.h"

/* Set while some leaf may wait; makes the common case one load. */
static atomic_bool waiting;

void fa_init_wait(void)
{
    atomic_store(&waiting, true);
}

static void draw(fa_mt *mt, fa_leaf *leaf)
{
    if (leaf->init_done || leaf->init != FA_INIT_UNIFORM)
        return;
    int64_t n = fa_meta_numel(&leaf->meta);
    if (leaf->meta.dtype == FA_DT_FLOAT32)
        fa_mt_uniform_f32(mt, leaf->buffer->data, n, leaf->init_lo, leaf->init_hi);
    else
        fa_mt_uniform_f64(mt, leaf->buffer->data, n, leaf->init_lo, leaf->init_hi);
    leaf->init_done = true;
}

/* Own tensors and children in the order in which they were registered. */
static void draw_tree(fa_mt *mt, const fa_module_impl *impl)
{
    int entry = 0, child = 0;
    while (entry < impl->n_entries || child < impl->n_children) {
        if (child == impl->n_children ||
            (entry < impl->n_entries && impl->entries[entry].order < impl->children[child].order))
            draw(mt, impl->entries[entry++].leaf);
        else
            draw_tree(mt, impl->children[child++].module->impl_);
    }
}

void fa_init_pending(void)
{
    if (!atomic_load(&waiting) || !fa_generator_may_draw_default())
        return;
    fa_modules_lock();
    if (atomic_load(&waiting)) {
        fa_generator *generator = fa_generator_default();
        fa_mt *mt = fa_generator_lock_raw(generator);
        for (const fa_module_impl *impl = fa_modules_first(); impl; impl = impl->next)
            if (!impl->parent)
                draw_tree(mt, impl);
        fa_generator_unlock(generator);
        atomic_store(&waiting, false);
    }
    fa_modules_unlock();
}

void fa_leaf_fill(fa_leaf *leaf, double value)
{
    fa_store_numbers(leaf->buffer->data, leaf->meta.dtype, fa_meta_numel(&leaf->meta), &value, 1);
}
