/* Parser of what PyTorch prints for a module, line by line:
 *
 *     Net(                                                    Class, a bracket, and on lines of their own
 *       (features): Sequential(                               two blanks deeper the children by name
 *         (0): Conv2d(3, 32, kernel_size=(3, 3))              or Class(options)
 *         (1-3): 3 x Block( ... )                             a run of equal children
 *       )
 *     )
 *
 * and of older releases: "ReLU (inplace)", "Linear (400 -> 120)", "Dropout (p = 0.5)", "LayerNorm(torch.Size([64]))".
 * Options that cannot be read are kept as text: they matter only where a layer of this library has them. */
#include "base/error.h"
#include "base/number_text.h"
#include "nn/description.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* ---- Nodes --------------------------------------------------------------------------------------------------------
 */

static char *copy_text(const char *text, size_t length)
{
    char *copy = fa_malloc(length + 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

fa_description *fa_description_new(fa_description_budget *budget, const char *name, size_t name_length,
                                   const char *class_name, size_t class_length)
{
    if (++budget->nodes > FA_DESCRIPTION_NODES) {
        fa_fail(FA_FILE_ERROR, budget->where, budget->what, "got a network of more than %d modules, needs fewer.",
                FA_DESCRIPTION_NODES);
        return NULL;
    }
    fa_description *node = fa_calloc(1, sizeof *node);
    if (node != NULL) {
        node->training = -1;
        node->name = name != NULL ? copy_text(name, name_length) : NULL;
        node->class_name = copy_text(class_name, class_length);
    }
    if (node != NULL && node->class_name != NULL && (name == NULL || node->name != NULL))
        return node;
    fa_description_free(node);
    fa_fail_memory(budget->where, sizeof *node + name_length + class_length);
    return NULL;
}

/* The depth is bounded wherever descriptions are made. */
void fa_description_free(fa_description *root)
{
    while (root != NULL) {
        fa_description *next = root->next;
        fa_description_free(root->child);
        fa_mfree(root->name);
        if (!root->borrowed_class)
            fa_mfree(root->class_name);
        if (!root->borrowed_options)
            fa_mfree(root->option);
        fa_mfree(root);
        root = next;
    }
}

/* ---- Options ------------------------------------------------------------------------------------------------------
 */

typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_blanks(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
}

static bool take(cursor *c, const char *word)
{
    const size_t length = strlen(word);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

static size_t identifier_length(const cursor *c)
{
    size_t n = 0;
    while (c->at + n < c->end && (isalnum((unsigned char)c->at[n]) || c->at[n] == '_' || (n > 0 && c->at[n] == '.')))
        n++;
    return n > 0 && isdigit((unsigned char)c->at[0]) ? 0 : n;
}

/* A number, or nothing and false. */
static bool take_number(cursor *c, double *number, uint8_t *kind)
{
    char digits[40];
    size_t n = 0;
    while (c->at + n < c->end && n < sizeof digits - 1 &&
           (isalnum((unsigned char)c->at[n]) || c->at[n] == '.' || c->at[n] == '+' ||
            (c->at[n] == '-' && !(n > 0 && c->at + n + 1 < c->end && c->at[n + 1] == '>'))))
        n++;
    memcpy(digits, c->at, n);
    digits[n] = '\0';
    char *end;
    *number = fa_text_number_of(digits, &end);
    if (n == 0 || end != digits + n || strpbrk(digits, "xXpP") != NULL)
        return false;
    const bool whole = strspn(digits, "+-0123456789") == n;
    if (whole && fabs(*number) > INT32_MAX)
        return false;
    *kind = whole ? FA_OPTION_INT : FA_OPTION_REAL;
    c->at += n;
    return true;
}

/* The words that stand for values. */
static bool take_constant(cursor *c, fa_option_value *value)
{
    static const struct {
        const char *word;
        uint8_t kind;
        double number;
    } constants[] = {{"None", FA_OPTION_NONE, 0}, {"True", FA_OPTION_BOOL, 1}, {"False", FA_OPTION_BOOL, 0}};
    const size_t length = identifier_length(c);
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (length == strlen(constants[i].word) && memcmp(c->at, constants[i].word, length) == 0) {
            value->kind = constants[i].kind;
            value->as.at[0] = constants[i].number;
            c->at += length;
            return true;
        }
    return false;
}

/* After the opening bracket. */
static bool take_tuple(cursor *c, fa_option_value *value, const char *close)
{
    value->kind = FA_OPTION_TUPLE;
    for (;;) {
        skip_blanks(c);
        if (take(c, close))
            return true;
        fa_option_value item = {0};
        if (value->count == FA_MAX_DIMS || !(take_constant(c, &item) || take_number(c, &item.as.at[0], &item.kind)) ||
            item.kind == FA_OPTION_BOOL)
            return false;
        value->item_kind[value->count] = item.kind;
        value->as.at[value->count++] = item.as.at[0];
        skip_blanks(c);
        if (!take(c, ",") && !(c->at < c->end && *c->at == *close))
            return false;
    }
}

static bool keep_word(fa_option_value *value, const char *word, size_t length)
{
    value->kind = FA_OPTION_WORD;
    if (length >= sizeof value->as.word)
        return false;
    memcpy(value->as.word, word, length);
    value->as.word[length] = '\0';
    return true;
}

static bool take_value(cursor *c, fa_option_value *value)
{
    *value = (fa_option_value){0};
    if (take(c, "("))
        return take_tuple(c, value, ")");
    if (take(c, "["))
        return take_tuple(c, value, "]");
    if (take(c, "torch.Size(["))
        return take_tuple(c, value, "]") && take(c, ")");
    if (c->at < c->end && (*c->at == '\'' || *c->at == '"')) {
        const char quote[2] = {*c->at++, '\0'};
        const char *close = memchr(c->at, quote[0], (size_t)(c->end - c->at));
        if (close == NULL || !keep_word(value, c->at, (size_t)(close - c->at)))
            return false;
        c->at = close + 1;
        return true;
    }
    if (take_constant(c, value) || take_number(c, &value->as.at[0], &value->kind))
        return true;
    const size_t length = identifier_length(c);
    if (length == 0 || !keep_word(value, c->at, length))
        return false;
    c->at += length;
    return true;
}

static bool add_option(fa_description *node, const fa_option *option)
{
    if (node->option_count == FA_DESCRIPTION_OPTIONS)
        return false;
    if (node->option == NULL || node->borrowed_options) {
        fa_option *own = fa_calloc(FA_DESCRIPTION_OPTIONS, sizeof *own);
        if (own == NULL)
            return false;
        if (node->option_count > 0)
            memcpy(own, node->option, (size_t)node->option_count * sizeof *own);
        node->option = own;
        node->borrowed_options = false;
    }
    node->option[node->option_count++] = *option;
    return true;
}

/* "name=" or "name = " ahead of a value. */
static bool take_name(cursor *c, char name[32])
{
    cursor ahead = *c;
    const size_t length = identifier_length(&ahead);
    name[0] = '\0';
    if (length == 0 || length >= 32)
        return false;
    ahead.at += length;
    skip_blanks(&ahead);
    if (!take(&ahead, "="))
        return false;
    skip_blanks(&ahead);
    memcpy(name, c->at, length);
    name[length] = '\0';
    *c = ahead;
    return true;
}

bool fa_parse_options(fa_description *node, const char *text, size_t length)
{
    cursor c = {text, text + length};
    skip_blanks(&c);
    while (c.at < c.end) {
        fa_option option = {0};
        take_name(&c, option.name);
        if (!take_value(&c, &option.value))
            return false;
        /* Before 1.2 a flag that is set printed as its name. */
        if (option.name[0] == '\0' && option.value.kind == FA_OPTION_WORD &&
            strcmp(option.value.as.word, "inplace") == 0) {
            memcpy(option.name, "inplace", sizeof "inplace");
            option.value = (fa_option_value){.kind = FA_OPTION_BOOL, .as.at = {1}};
        }
        if (!add_option(node, &option))
            return false;
        skip_blanks(&c);
        /* Linear (in -> out) of release 0.3. */
        if (c.at < c.end && !take(&c, ",") && !take(&c, "->"))
            return false;
        skip_blanks(&c);
    }
    return true;
}

/* ---- Lines --------------------------------------------------------------------------------------------------------
 */

typedef struct parser {
    fa_description_budget budget;
    const char *at, *end;        /* behind the line */
    const char *line, *line_end; /* without the blanks around it */
    int64_t number, indent;
} parser;

/* The next line that is not blank. False at the end of the text. */
static bool next_line(parser *p)
{
    while (p->at < p->end) {
        const char *start = p->at, *newline = memchr(p->at, '\n', (size_t)(p->end - p->at));
        p->line_end = newline != NULL ? newline : p->end;
        p->at = newline != NULL ? newline + 1 : p->end;
        p->number++;
        for (p->line = start; p->line < p->line_end && *p->line == ' ';)
            p->line++;
        p->indent = p->line - start;
        while (p->line_end > p->line && isspace((unsigned char)p->line_end[-1]))
            p->line_end--;
        if (p->line < p->line_end)
            return true;
    }
    return false;
}

static fa_description *refuse(const parser *p, const char *problem)
{
    const int64_t shown = p->line_end - p->line < 60 ? p->line_end - p->line : 60;
    char quoted[64];
    for (int64_t i = 0; i < shown; i++)
        quoted[i] = isprint((unsigned char)p->line[i]) ? p->line[i] : '?';
    quoted[shown] = '\0';
    fa_fail(FA_VALUE_ERROR, p->budget.where, p->budget.what,
            "got a network whose line %lld, `%s`, %s. Hint: the text is what PyTorch prints: print(model)",
            (long long)p->number, quoted, problem);
    return NULL;
}

/* A run's other members: they print as the first did. NULL after an error. */
static fa_description *twin(parser *p, const fa_description *node, const char *name)
{
    fa_description *copy = fa_description_new(&p->budget, name, strlen(name), "", 0);
    if (copy == NULL)
        return NULL;
    fa_mfree(copy->class_name);
    copy->class_name = node->class_name;
    copy->option = node->option;
    copy->option_count = node->option_count;
    copy->unreadable = node->unreadable;
    copy->line = node->line;
    copy->text = node->text;
    copy->text_length = node->text_length;
    copy->borrowed_class = copy->borrowed_options = true;
    fa_description **end = &copy->child;
    for (const fa_description *child = node->child; child != NULL; child = child->next) {
        *end = twin(p, child, child->name);
        if (*end == NULL) {
            fa_description_free(copy);
            return NULL;
        }
        end = &(*end)->next;
    }
    return copy;
}

static fa_description *parse_module(parser *p, const char *name, size_t name_length, const char *text, int depth);

/* "(name): " of a child; the text behind it. NULL: the line is none. */
static const char *child_name(const parser *p, const char **name, size_t *length)
{
    static const char after[] = "): ";
    if (p->line == p->line_end || *p->line != '(')
        return NULL;
    const size_t bytes = sizeof after - 1;
    const char *close = NULL;
    for (const char *at = p->line; close == NULL && (size_t)(p->line_end - at) >= bytes; at++)
        if (memcmp(at, after, bytes) == 0)
            close = at;
    if (close == NULL || close == p->line + 1 || close + bytes == p->line_end)
        return NULL;
    *name = p->line + 1;
    *length = (size_t)(close - p->line) - 1;
    return close + bytes;
}

static bool whole_number(const char **text, const char *end, int64_t *number)
{
    const char *at = *text;
    *number = 0;
    while (at < end && isdigit((unsigned char)*at) && *number <= FA_DESCRIPTION_NODES)
        *number = 10 * *number + (*at++ - '0');
    const bool found = at > *text;
    *text = at;
    return found && *number <= FA_DESCRIPTION_NODES;
}

/* "(4-7): 4 x Block(...)": first and last number, the text behind "4 x ". False: it is no run. */
static bool is_run(const char *name, size_t length, const char **text, const char *end, int64_t *first, int64_t *last)
{
    const char *at = name, *behind = *text;
    int64_t count;
    if (!whole_number(&at, name + length, first) || at == name + length || *at++ != '-' ||
        !whole_number(&at, name + length, last) || at != name + length || !whole_number(&behind, end, &count) ||
        end - behind < 4 || memcmp(behind, " x ", 3) != 0 || *first > *last || count != *last - *first + 1)
        return false;
    *text = behind + 3;
    return true;
}

/* The child or children of a line, "(name): text", put behind *end. False after an error. */
static bool parse_child(parser *p, fa_description ***end, const char *name, size_t length, const char *text, int depth)
{
    int64_t first = 0, last = 0;
    char number[24];
    const bool run = is_run(name, length, &text, p->line_end, &first, &last);
    if (run) {
        length = (size_t)snprintf(number, sizeof number, "%lld", (long long)first);
        name = number;
    }
    if (p->line_end - text == 4 && memcmp(text, "None", 4) == 0)
        return true; /* registered without a module */
    fa_description *child = parse_module(p, name, length, text, depth);
    if (child == NULL)
        return false;
    **end = child;
    *end = &child->next;
    for (int64_t i = first + 1; run && i <= last; i++) {
        snprintf(number, sizeof number, "%lld", (long long)i);
        fa_description *copy = twin(p, child, number);
        if (copy == NULL)
            return false;
        **end = copy;
        *end = &copy->next;
    }
    return true;
}

/* The lines of a module's block, up to its closing bracket. False after an error. */
static bool parse_block(parser *p, fa_description *node, int64_t indent, int depth)
{
    fa_description **end = &node->child;
    for (;;) {
        if (!next_line(p)) {
            p->line = node->text;
            p->line_end = node->text + node->text_length;
            p->number = node->line;
            return refuse(p, "opens a bracket that is not closed") != NULL;
        }
        const char *name = NULL;
        size_t length = 0;
        if (p->indent == indent && p->line_end - p->line == 1 && *p->line == ')')
            return true;
        if (p->indent <= indent)
            return refuse(p, "is set in less than the module that it stands in needs") != NULL;
        const char *text = p->indent == indent + 2 ? child_name(p, &name, &length) : NULL;
        if (text == NULL)
            node->unreadable = true; /* options on lines of their own */
        else if (!parse_child(p, &end, name, length, text, depth + 1))
            return false;
    }
}

static fa_description *parse_module(parser *p, const char *name, size_t name_length, const char *text, int depth)
{
    if (depth > FA_DESCRIPTION_DEPTH)
        return refuse(p, "nests too deep");
    size_t length = 0;
    while (text + length < p->line_end && (isalnum((unsigned char)text[length]) || text[length] == '_'))
        length++;
    cursor c = {text + length, p->line_end};
    skip_blanks(&c);
    if (length == 0 || isdigit((unsigned char)*text) || !take(&c, "("))
        return refuse(p, "does not begin with a class and a bracket, as in Conv2d(");
    const bool block = c.at == c.end;
    if (!block && c.end[-1] != ')')
        return refuse(p, "does not end with a bracket");
    fa_description *node = fa_description_new(&p->budget, name, name_length, text, length);
    if (node == NULL)
        return NULL;
    node->line = p->number;
    node->text = p->line;
    node->text_length = (int)(p->line_end - p->line);
    if (!block)
        node->unreadable = !fa_parse_options(node, c.at, (size_t)(c.end - 1 - c.at));
    else if (!parse_block(p, node, p->indent, depth)) {
        fa_description_free(node);
        return NULL;
    }
    return node;
}

fa_description *fa_parse_printed(const char *text, size_t length, const char *what, fa_where where)
{
    parser p = {.budget = {.what = what, .where = where}, .at = text, .end = text + length};
    if (length > FA_DESCRIPTION_BYTES) {
        fa_fail(FA_VALUE_ERROR, where, what, "got a printed network of %zu bytes, needs at most %d.", length,
                FA_DESCRIPTION_BYTES);
        return NULL;
    }
    p.line = p.line_end = text;
    if (memchr(text, '\0', length) != NULL)
        return refuse(&p, "has a zero byte in it");
    if (!next_line(&p))
        return refuse(&p, "is the last one: there is no network in it");
    fa_description *root = parse_module(&p, NULL, 0, p.line, 0);
    if (root != NULL && next_line(&p)) {
        refuse(&p, "comes after the network's last bracket");
        fa_description_free(root);
        return NULL;
    }
    return root;
}
