/* Running of mistakes. */
#define _GNU_SOURCE /* strcasestr */
#include "mistakes.h"

#include "golden.h"

#include <string.h>

int blamed_line;
static const mistake *table;
static int table_count;
static const char *golden_stem, *program_file;

/* Without regard to case: a layer may be called by its module's name, Conv2d. */
static bool mentions(const char *text, const char *word)
{
    return !word || strcasestr(text, word);
}

static void check_mistake(void **state)
{
    const mistake *m = *state;
    char message[2048];
    fa_clear_error();
    fa_scope {
        m->run(true);
        fa_sync();
    }
    snprintf(message, sizeof message, "%s", fa_error());
    fa_where where = fa_error_where();
    char file[512], place[320];
    snprintf(file, sizeof file, "%s", where.file ? where.file : "");
    bool refused = !fa_ok();
    fa_clear_error();
    print_message("%s\n", message);
    if (!refused)
        fail_msg("%s: no error", m->name);
    if (blamed_line)
        snprintf(place, sizeof place, "%s:%d: ", program_file, blamed_line);
    else
        snprintf(place, sizeof place, "%s:", program_file);
    if (!strstr(file, program_file) || !strstr(message, place))
        fail_msg("%s: the message lacks '%s'", m->name, place);
    const struct {
        const char *what, *word;
    } parts[] = {{"op", m->op},    {"path", m->path},   {"what was got", m->got}, {"what was needed", m->need},
                 {"'got'", "got"}, {"'needs'", "need"}, {"hint", "Hint: "}};
    const char *body = strstr(message, ".c:"); /* the file's name has words of its own */
    body = body ? body + 3 + strspn(body + 3, "0123456789") : message;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!mentions(body, parts[i].word))
            fail_msg("%s: the message lacks the %s, '%s'", m->name, parts[i].what, parts[i].word);

    fa_scope {
        m->run(false);
        fa_sync();
    }
    snprintf(message, sizeof message, "%s", fa_error());
    bool runs = fa_ok();
    fa_clear_error();
    if (!runs)
        fail_msg("%s: mended, it still gives: %s", m->name, message);
}

/* The same mistakes as PyTorch is asked about, no more and no fewer. */
static void names_are_those_of_the_golden_list(void **state)
{
    (void)state;
    golden_file golden;
    char why[256];
    assert_true(golden_open(&golden, golden_stem, why));
    int listed = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(golden.index, "mistakes"))
    {
        const char *name = cJSON_GetObjectItem(item, "name")->valuestring;
        bool found = false;
        for (int i = 0; i < table_count; i++)
            found |= !strcmp(table[i].name, name);
        if (!found)
            fail_msg("no program for: %s", name);
        listed++;
    }
    golden_close(&golden);
    assert_int_equal(listed, table_count);
}

int mistakes_run(const char *stem, const char *path, const mistake *mistakes, int count)
{
    const char *slash = strrchr(path, '/');
    static struct CMUnitTest tests[256];
    assert_true(count < 256);
    golden_stem = stem;
    program_file = slash ? slash + 1 : path;
    table = mistakes;
    table_count = count;
    tests[0] = (struct CMUnitTest)cmocka_unit_test(names_are_those_of_the_golden_list);
    for (int i = 0; i < count; i++)
        tests[i + 1] = (struct CMUnitTest){
            .name = mistakes[i].name, .test_func = check_mistake, .initial_state = (void *)(uintptr_t)&mistakes[i]};
    return _cmocka_run_group_tests(stem, tests, (size_t)count + 1, NULL, NULL);
}
