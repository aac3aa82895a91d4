/* The printed form of a module: what str(model) gives in PyTorch. */
#include "facula/files.h"
#include "nn/module.h"

#include <string.h>

/* `text` with two blanks after each line break, as children are set in. */
static void add_indented(fa_text *out, const char *text)
{
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        fa_text_add(out, "%.*s", (int)length, line);
        line += length;
        if (*line == '\n') {
            fa_text_add(out, "\n  ");
            line++;
        }
    }
}

static void describe(const fa_module *module, fa_text *out);

/* "\n  (name): text" */
static void add_child(fa_text *out, const char *name, const char *text)
{
    fa_text_add(out, "\n  (%s): ", name);
    add_indented(out, text);
}

/* Whether a child is called by its place, as those of a list are unless a program named them. */
static bool is_numbered(const fa_module_impl *impl, int i)
{
    char number[16];
    snprintf(number, sizeof number, "%d", i);
    return strcmp(impl->children[i].name, number) == 0;
}

static void describe_children(const fa_module_impl *impl, fa_text *out)
{
    for (int i = 0; i < impl->n_children; i++) {
        fa_text child = {0};
        describe(impl->children[i].module, &child);
        int last = i;
        while (impl->list && last + 1 < impl->n_children && !child.failed && is_numbered(impl, i) &&
               is_numbered(impl, last + 1)) {
            fa_text next = {0};
            describe(impl->children[last + 1].module, &next);
            bool same = !next.failed && strcmp(child.data, next.data) == 0;
            fa_text_free(&next);
            if (!same)
                break;
            last++;
        }
        if (child.failed) {
            out->failed = true;
        } else if (last > i) {
            fa_text name = {0}, block = {0};
            fa_text_add(&name, "%s-%s", impl->children[i].name, impl->children[last].name);
            fa_text_add(&block, "%d x %s", last - i + 1, child.data);
            out->failed |= name.failed || block.failed;
            if (!out->failed)
                add_child(out, name.data, block.data);
            fa_text_free(&name);
            fa_text_free(&block);
        } else {
            add_child(out, impl->children[i].name, child.data);
        }
        i = last;
        fa_text_free(&child);
    }
}

static void describe(const fa_module *module, fa_text *out)
{
    const fa_module_impl *impl = module->impl_;
    fa_text_add(out, "%s(", impl->class_name);
    if (impl->describe)
        impl->describe(module, out);
    describe_children(impl, out);
    fa_text_add(out, impl->n_children ? "\n)" : ")");
}

int64_t fa_module_format(const fa_module *module, char *text, size_t size)
{
    fa_text out = {0};
    if (module && module->impl_)
        describe(module, &out);
    else
        fa_text_add(&out, "NULL");
    if (size > 0)
        snprintf(text, size, "%s", out.data ? out.data : "");
    int64_t length = (int64_t)out.length;
    fa_text_free(&out);
    return length;
}

void fa_module_print(fa_module *module, FILE *file)
{
    fa_text out = {0};
    if (module && module->impl_)
        describe(module, &out);
    else
        fa_text_add(&out, "NULL");
    fprintf(file, "%s\n", out.data ? out.data : "");
    fa_text_free(&out);
}

const char *fa_module_str_at(fa_module *module, fa_where where)
{
    fa_text out = {0};
    if (module && module->impl_)
        describe(module, &out);
    else
        fa_text_add(&out, "NULL");
    fa_value *value = fa_value_string_at(out.data ? out.data : "", where);
    fa_text_free(&out);
    const char *text = value ? fa_as_string_at(value, where) : NULL;
    return text ? text : "";
}
