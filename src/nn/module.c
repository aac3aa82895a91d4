/* Modules: making, counting and freeing them, and the tree that they form. */
#include "nn/module.h"

#include "base/generator.h"

#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static fa_module_impl *oldest, *newest;
static int64_t live;
static uint64_t serials;
static atomic_uint_fast64_t version = 1;

void fa_modules_lock(void)
{
    pthread_mutex_lock(&lock);
}

void fa_modules_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

fa_module_impl *fa_modules_first(void)
{
    return oldest;
}

uint64_t fa_modules_version(void)
{
    return atomic_load(&version);
}

void fa_modules_changed(void)
{
    atomic_fetch_add(&version, 1);
}

int64_t fa_module_live_count(void)
{
    fa_modules_lock();
    int64_t count = live;
    fa_modules_unlock();
    return count;
}

/* ---- Making --------------------------------------------------------------------------------------------------------
 */

static pthread_once_t hooks_once = PTHREAD_ONCE_INIT;

static void set_hooks(void)
{
    fa_generator_set_init_hook(fa_init_pending);
    fa_error_set_layer_hook(fa_forward_path);
}

fa_module *fa_module_make(size_t size, const char *class_name, fa_forward_function forward,
                          fa_describe_function describe, fa_where where)
{
    pthread_once(&hooks_once, set_hooks);
    fa_module *module = fa_calloc(1, size);
    fa_module_impl *impl = fa_calloc(1, sizeof *impl);
    char *name = fa_strdup(class_name);
    if (!module || !impl || !name) {
        fa_mfree(module);
        fa_mfree(impl);
        fa_mfree(name);
        fa_fail_memory(where, size);
        return NULL;
    }
    module->impl_ = impl;
    impl->self = module;
    impl->class_name = name;
    impl->forward = forward;
    impl->describe = describe;
    impl->refs = impl->held = 1;
    impl->floating = impl->training = true;
    fa_modules_lock();
    impl->previous = newest;
    *(newest ? &newest->next : &oldest) = impl;
    newest = impl;
    impl->serial = ++serials;
    live++;
    fa_modules_unlock();
    return module;
}

fa_module *fa_module_new_at(const fa_module_args *args)
{
    const char *name = args->name ? args->name : "Module";
    if (strncmp(name, "struct ", 7) == 0)
        name += 7;
    if (args->size_ < sizeof(fa_module)) {
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_module_new",
                "got a struct of %zu bytes, needs one that begins with `fa_module base`. Hint: typedef struct "
                "{ fa_module base; ... } net;",
                args->size_);
        return NULL;
    }
    fa_module *module = fa_module_make(args->size_, name, args->forward_, NULL, args->where_);
    if (module)
        module->impl_->release = args->release;
    return module;
}

bool fa_module_check(const fa_module *module, const char *what, fa_where where)
{
    if (module && module->impl_)
        return true;
    if (!fa_ok())
        return false;
    if (!module)
        return fa_fail(FA_STATE_ERROR, where, what,
                       "got NULL, needs a module. Hint: was the field set with fa_layer, and did its constructor "
                       "succeed?");
    return fa_fail(FA_STATE_ERROR, where, what,
                   "got a struct that is no module yet. Hint: make it with fa_module_new(type, forward)");
}

/* ---- Freeing -------------------------------------------------------------------------------------------------------
 */

/* Drops one reference; what nobody holds any more is taken out of the live list and put before *dead. Under the lock.
 */
static void release_locked(fa_module_impl *impl, fa_module_impl **dead)
{
    if (--impl->refs > 0)
        return;
    *(impl->previous ? &impl->previous->next : &oldest) = impl->next;
    *(impl->next ? &impl->next->previous : &newest) = impl->previous;
    live--;
    impl->next_dead = *dead;
    *dead = impl;
    for (int i = 0; i < impl->n_children; i++) {
        fa_module_impl *child = impl->children[i].module->impl_;
        child->parents--;
        if (child->parent == impl) {
            child->parent = NULL;
            child->name = NULL;
        }
        release_locked(child, dead);
    }
}

static void free_dead(fa_module_impl *dead)
{
    while (dead) {
        fa_module_impl *impl = dead;
        dead = impl->next_dead;
        if (impl->release)
            impl->release(impl->self);
        for (int i = 0; i < impl->n_entries; i++) {
            fa_leaf_release(impl->entries[i].leaf);
            fa_mfree(impl->entries[i].name);
        }
        for (int i = 0; i < impl->n_children; i++)
            fa_mfree(impl->children[i].name);
        for (int k = 0; k < FA_LIST_COUNT; k++)
            fa_list_free(&impl->lists[k]);
        fa_module_list_free(&impl->modules);
        fa_mfree(impl->hooks);
        fa_mfree(impl->entries);
        fa_mfree(impl->children);
        fa_mfree(impl->class_name);
        fa_mfree(impl->self);
        fa_mfree(impl);
    }
}

void fa_module_drop(fa_module *module)
{
    if (!module || !module->impl_ || !module->impl_->floating)
        return;
    fa_module_impl *dead = NULL;
    fa_modules_lock();
    release_locked(module->impl_, &dead);
    fa_modules_unlock();
    free_dead(dead);
}

fa_module *fa_retain(fa_module *module)
{
    if (!module || !module->impl_)
        return module;
    fa_modules_lock();
    module->impl_->refs++;
    module->impl_->held++;
    fa_modules_unlock();
    return module;
}

void fa_module_free(fa_module *module)
{
    if (!module || !module->impl_)
        return;
    /* PyTorch drew these weights when the module was made: the generator must stand where it stands there. */
    fa_init_pending();
    fa_module_impl *impl = module->impl_, *dead = NULL;
    fa_modules_lock();
    bool held = impl->held > 0;
    if (held) {
        impl->held--;
        release_locked(impl, &dead);
    }
    fa_modules_unlock();
    free_dead(dead);
    if (!held) {
        char path[256];
        fa_fail(FA_STATE_ERROR, fa_current_where(), "fa_free",
                "got the module %s, which belongs to the module that it was put into. Hint: free the root alone; "
                "fa_retain holds a part for oneself",
                fa_module_path(impl, path, sizeof path));
    }
}

/* ---- The tree ------------------------------------------------------------------------------------------------------
 */

static bool contains(const fa_module_impl *tree, const fa_module_impl *wanted)
{
    if (tree == wanted)
        return true;
    for (int i = 0; i < tree->n_children; i++)
        if (contains(tree->children[i].module->impl_, wanted))
            return true;
    return false;
}

const char *fa_module_path(const fa_module_impl *impl, char *out, size_t size)
{
    const char *part[64];
    int depth = 0;
    for (const fa_module_impl *m = impl; m->parent && depth < 64; m = m->parent)
        part[depth++] = m->name;
    size_t length = 0;
    out[0] = 0;
    if (depth == 0)
        part[depth++] = impl->class_name;
    while (depth-- > 0) {
        size_t n = strlen(part[depth]);
        if (length + n + 2 > size)
            break;
        memcpy(out + length, part[depth], n);
        length += n;
        if (depth)
            out[length++] = '.';
        out[length] = 0;
    }
    return out;
}

/* Names the leaves of a subtree by their full path, for messages. A name is left as it was when there is no memory. */
static void name_leaves(fa_module_impl *impl)
{
    char path[256];
    fa_module_path(impl, path, sizeof path);
    for (int i = 0; i < impl->n_entries; i++) {
        fa_text text = {0};
        if (impl->parent)
            fa_text_add(&text, "%s.", path);
        fa_text_add(&text, "%s", impl->entries[i].name);
        if (text.failed) {
            fa_text_free(&text);
            continue;
        }
        fa_mfree(impl->entries[i].leaf->name);
        impl->entries[i].leaf->name = text.data;
    }
    for (int i = 0; i < impl->n_children; i++)
        if (impl->children[i].module->impl_->parent == impl)
            name_leaves(impl->children[i].module->impl_);
}

static int find_child(const fa_module_impl *impl, const char *name)
{
    for (int i = 0; i < impl->n_children; i++)
        if (strcmp(impl->children[i].name, name) == 0)
            return i;
    return -1;
}

static int find_entry(const fa_module_impl *impl, const char *name)
{
    for (int i = 0; i < impl->n_entries; i++)
        if (strcmp(impl->entries[i].name, name) == 0)
            return i;
    return -1;
}

fa_tensor *fa_module_tensor(const fa_module *module, const char *name)
{
    int i = find_entry(module->impl_, name);
    return i < 0 ? NULL : module->impl_->entries[i].tensor;
}

static bool check_name(const fa_module_impl *impl, const char *name, const char *what, fa_where where)
{
    if (!name || !name[0] || strchr(name, '.'))
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got the name \"%s\" for a part of %s, needs one that is not empty and has no dot. Hint: dots "
                       "join the names of a path",
                       name ? name : "", impl->class_name);
    return true;
}

/* A new array of one element more, the old one kept until the caller is sure. Grown to powers of two. */
static bool grow(void **array, int count, size_t element)
{
    if (count & (count - 1))
        return true;
    void *bigger = fa_realloc(*array, (size_t)(count ? 2 * count : 1) * element);
    if (!bigger)
        return false;
    *array = bigger;
    return true;
}

static bool add_child(fa_module *parent, const char *name, fa_module *child, fa_where where)
{
    fa_module_impl *impl = parent->impl_, *added = child->impl_, *dead = NULL;
    char count[16];
    if (!name) {
        snprintf(count, sizeof count, "%d", impl->n_children);
        name = count;
    }
    if (!check_name(impl, name, "fa_module_add", where))
        return false;
    if (find_entry(impl, name) >= 0)
        return fa_fail(FA_VALUE_ERROR, where, "fa_module_add",
                       "got the name \"%s\", which is a parameter or buffer of %s already. Hint: give the layer "
                       "another name",
                       name, impl->class_name);
    if (contains(added, impl))
        return fa_fail(FA_VALUE_ERROR, where, "fa_module_add",
                       "got a %s that contains the %s it is put into, needs a tree. Hint: a module cannot be part of "
                       "itself",
                       added->class_name, impl->class_name);
    int at = find_child(impl, name);
    char *copy = NULL;
    if (at >= 0) {
        /* What is replaced was drawn before its replacement was made. */
        fa_init_pending();
    } else if (!(copy = fa_strdup(name))) {
        return fa_fail_memory(where, strlen(name) + 1);
    }
    fa_modules_lock();
    if (at < 0 && !grow((void **)&impl->children, impl->n_children, sizeof *impl->children)) {
        fa_modules_unlock();
        fa_mfree(copy);
        return fa_fail_memory(where, sizeof *impl->children);
    }
    if (added->floating) {
        added->floating = false;
        added->held = 0;
    } else {
        added->refs++;
    }
    added->parents++;
    if (at >= 0) {
        fa_module_impl *old = impl->children[at].module->impl_;
        impl->children[at].module = child;
        old->parents--;
        if (old->parent == impl) {
            old->parent = NULL;
            old->name = NULL;
        }
        release_locked(old, &dead);
    } else {
        at = impl->n_children++;
        impl->children[at] = (fa_child_link){copy, child, impl->next_order++};
    }
    if (!added->parent) {
        added->parent = impl;
        added->name = impl->children[at].name;
        name_leaves(added);
    }
    fa_modules_unlock();
    fa_modules_changed();
    free_dead(dead);
    return true;
}

fa_module *fa_module_add_at(fa_module *parent, const char *name, fa_module *child, fa_where where)
{
    if (fa_module_check(parent, "fa_module_add", where) && fa_module_check(child, "fa_module_add", where) &&
        add_child(parent, name, child, where))
        return child;
    /* A child that holds the parent is left alone: freeing it would free both. */
    if (child && child->impl_ && parent && parent->impl_ && contains(child->impl_, parent->impl_))
        return NULL;
    fa_module_drop(child);
    return NULL;
}

static bool same_shape(const fa_meta *a, const fa_meta *b)
{
    return a->ndim == b->ndim && memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof a->shape[0]) == 0;
}

fa_tensor *fa_module_put_leaf(fa_module *module, const char *name, bool buffer, fa_leaf *leaf, fa_where where)
{
    fa_module_impl *impl = module->impl_;
    fa_tensor *handle = fa_leaf_handle(leaf);
    char *copy = NULL;
    bool waits = leaf->init == FA_INIT_UNIFORM && !leaf->init_done;
    if (!handle || !check_name(impl, name, "fa_own_parameter", where))
        goto failed;
    if (find_child(impl, name) >= 0) {
        fa_fail(FA_VALUE_ERROR, where, "fa_own_parameter",
                "got the name \"%s\", which is a layer of %s already. Hint: give it another name", name,
                impl->class_name);
        goto failed;
    }
    int at = find_entry(impl, name);
    if (at >= 0) {
        fa_module_entry *old = &impl->entries[at];
        if (old->buffer != buffer || !same_shape(&old->leaf->meta, &leaf->meta)) {
            fa_fail(
                FA_SHAPE_ERROR, where, "fa_own_parameter",
                "got a %s %s for \"%s\" of %s, needs a %s of %s. Hint: what replaces a tensor has its kind and shape",
                buffer ? "buffer" : "parameter", fa_shape_text(&leaf->meta), name, impl->class_name,
                old->buffer ? "buffer" : "parameter", fa_shape_text(&old->leaf->meta));
            goto failed;
        }
        fa_init_pending();
        fa_modules_lock();
        fa_leaf *gone = old->leaf;
        old->leaf = leaf;
        old->tensor = handle;
        fa_modules_unlock();
        fa_leaf_release(gone);
    } else {
        copy = fa_strdup(name);
        fa_modules_lock();
        if (!copy || !grow((void **)&impl->entries, impl->n_entries, sizeof *impl->entries)) {
            fa_modules_unlock();
            fa_fail_memory(where, sizeof *impl->entries);
            goto failed;
        }
        impl->entries[impl->n_entries++] = (fa_module_entry){copy, leaf, handle, buffer, impl->next_order++};
        if (!leaf->name)
            leaf->name = fa_strdup(name);
        fa_modules_unlock();
    }
    if (waits)
        fa_init_wait();
    fa_modules_changed();
    return handle;
failed:
    fa_mfree(copy);
    fa_leaf_release(leaf);
    return NULL;
}

int64_t fa_child_count(const fa_module *module)
{
    return module && module->impl_ ? module->impl_->n_children : 0;
}

fa_module *fa_child(const fa_module *module, int64_t i)
{
    return i >= 0 && i < fa_child_count(module) ? module->impl_->children[i].module : NULL;
}

const char *fa_child_name(const fa_module *module, int64_t i)
{
    return i >= 0 && i < fa_child_count(module) ? module->impl_->children[i].name : NULL;
}

const char *fa_class_name(const fa_module *module)
{
    return module && module->impl_ ? module->impl_->class_name : "";
}
