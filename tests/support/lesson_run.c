/* Runs of the lesson's programs. */
#include "support/lesson_run.h"

#include "support/command_run.h"
#include "support/facula_test.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#ifndef FA_LESSON_PROGRAMS
#define FA_LESSON_PROGRAMS ""
#endif

static golden_file golden;

int lesson_open(void **state)
{
    (void)state;
    char why[256];
    if (golden_open(&golden, "lesson", why))
        return 0;
    print_error("%s\n", why);
    return -1;
}

int lesson_close(void **state)
{
    (void)state;
    golden_close(&golden);
    return 0;
}

const cJSON *lesson_entry(const char *program)
{
    return cJSON_GetObjectItem(cJSON_GetObjectItem(golden.index, "programs"), program);
}

const char *lesson_path(const char *program)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", FA_LESSON_PROGRAMS, program);
    return path;
}

void lesson_run(const tempdir *folder, const char *program)
{
    char before[4096], command[1100];
    const char *data = tempdir_file(folder, "data");
    if (symlink(source_path("data"), data) != 0)
        assert_int_equal(access(data, F_OK), 0); /* the test's own, or an earlier program's */
    snprintf(before, sizeof before, "cd '%s'; export FACULA_LESSON_TRACE='%s';", folder->path,
             tempdir_file(folder, "trace.txt"));
    snprintf(command, sizeof command, "'%s'", lesson_path(program));
    unlink(tempdir_file(folder, "trace.txt"));
    int status = run_command(before, command, tempdir_file(folder, "output.txt"));
    if (status != 0) {
        char *output = lesson_output(folder);
        print_error("%s\n", output);
        free(output);
        fail_msg("%s ended with %d", program, status);
    }
}

char *lesson_output(const tempdir *folder)
{
    return read_file(tempdir_file(folder, "output.txt"), NULL);
}

/* ---- The trace -----------------------------------------------------------------------------------------------------
 */

lesson_lines lesson_trace(const tempdir *folder, const char *word)
{
    lesson_lines lines = {0};
    if (access(tempdir_file(folder, "trace.txt"), F_OK) != 0) /* the program did nothing that is traced */
        return lines;
    size_t size, length = strlen(word);
    lines.text = read_file(tempdir_file(folder, "trace.txt"), &size);
    lines.line = calloc(size / 2 + 1, sizeof *lines.line);
    assert_non_null(lines.line);
    char *rest = NULL;
    for (char *line = strtok_r(lines.text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        if (strncmp(line, word, length) == 0 && line[length] == ' ')
            lines.line[lines.count++] = line + length + 1;
    return lines;
}

void lesson_lines_free(lesson_lines *lines)
{
    free(lines->line);
    free(lines->text);
}

/* A golden item as a line of the trace: [name, crc] or a crc. */
static void line_of(const cJSON *item, char *text, size_t size)
{
    size_t length = 0;
    const cJSON *part = cJSON_IsArray(item) ? item->child : item;
    for (; part != NULL && length < size; part = cJSON_IsArray(item) ? part->next : NULL)
        if (cJSON_IsString(part))
            length += (size_t)snprintf(text + length, size - length, "%s%s", length > 0 ? " " : "", part->valuestring);
        else
            length +=
                (size_t)snprintf(text + length, size - length, "%s%.0f", length > 0 ? " " : "", part->valuedouble);
}

static void compare_exact(const cJSON *entry, const tempdir *folder, const char *word)
{
    const cJSON *want = cJSON_GetObjectItem(entry, word);
    if (want == NULL)
        return;
    lesson_lines got = lesson_trace(folder, word);
    if (got.count != cJSON_GetArraySize(want))
        fail_msg("got %d lines of %s, PyTorch has %d", got.count, word, cJSON_GetArraySize(want));
    int i = 0;
    for (const cJSON *item = want->child; item != NULL; item = item->next, i++) {
        char text[512];
        line_of(item, text, sizeof text);
        if (strcmp(text, got.line[i]) != 0)
            fail_msg("%s %d: got %s, PyTorch has %s", word, i, got.line[i], text);
    }
    lesson_lines_free(&got);
}

static void compare_output(const cJSON *entry, const tempdir *folder)
{
    const cJSON *want = cJSON_GetObjectItem(entry, "output");
    lesson_lines got = lesson_trace(folder, "output");
    assert_int_equal(got.count, cJSON_GetArraySize(want));
    for (int i = 0; i < got.count; i++) {
        const char *at = got.line[i];
        for (const cJSON *number = cJSON_GetArrayItem(want, i)->child; number != NULL; number = number->next) {
            char *end;
            double value = strtod(at, &end), wanted = number->valuedouble;
            if (end == at || !(fabs(value - wanted) <= 1e-5 + 1e-5 * fabs(wanted)))
                fail_msg("output: got %s, PyTorch has %.9g in it", got.line[i], wanted);
            at = end;
        }
    }
    lesson_lines_free(&got);
}

static void compare_losses(const cJSON *entry, const tempdir *folder, const char *program, int held, double tolerance)
{
    const cJSON *want = cJSON_GetObjectItem(entry, "train_losses");
    lesson_lines got = lesson_trace(folder, "train_losses");
    assert_true(got.count >= held);
    double worst = 0;
    for (int i = 0; i < held; i++) {
        const double wanted = cJSON_GetArrayItem(want, i)->valuedouble, value = strtod(got.line[i], NULL);
        worst = fmax(worst, fabs(value - wanted) / wanted);
        if (!(fabs(value - wanted) <= tolerance * wanted))
            fail_msg("loss of step %d: got %.9g, PyTorch has %.9g, %.1e away", i + 1, value, wanted,
                     fabs(value - wanted) / wanted);
    }
    print_message("%s: the first %d losses are within %.1e of PyTorch's\n", program, held, worst);
    lesson_lines_free(&got);
}

static void compare_whole_training(const cJSON *entry, const tempdir *folder, const char *program)
{
    const cJSON *want = cJSON_GetObjectItem(entry, "train_losses"), *eval = cJSON_GetObjectItem(entry, "eval_losses");
    lesson_lines got = lesson_trace(folder, "train_losses"), got_eval = lesson_trace(folder, "eval_losses");
    const int steps = cJSON_GetArraySize(want);
    assert_int_equal(got.count, steps);
    assert_int_equal(got_eval.count, cJSON_GetArraySize(eval));
    const double last = strtod(got.line[steps - 1], NULL), wanted = cJSON_GetArrayItem(want, steps - 1)->valuedouble;
    print_message("%s: last loss %.4g, PyTorch's %.4g\n", program, last, wanted);
    assert_true(last >= wanted / 2 && last <= wanted * 2);
    lesson_lines_free(&got);
    lesson_lines_free(&got_eval);
}

/* ---- The output ----------------------------------------------------------------------------------------------------
 */

/* The end of a decimal number (digits with a point in them) at `text`; NULL: there is none. */
static const char *decimal_end(const char *text)
{
    const char *at = text + (*text == '-');
    if (!isdigit((unsigned char)*at))
        return NULL;
    bool point = false;
    for (; isdigit((unsigned char)*at) || (*at == '.' && !point); at++)
        point = point || *at == '.';
    return point ? at : NULL;
}

static void compare_text(const char *got, const char *want, int free_from, const char *program)
{
    int line = 0;
    const char *g = got, *w = want;
    while (*g != '\0' && *w != '\0') {
        const char *g_end = decimal_end(g), *w_end = decimal_end(w);
        if (g_end != NULL && w_end != NULL) {
            if (line < free_from && !(fabs(strtod(g, NULL) - strtod(w, NULL)) <= 1.5e-4))
                fail_msg("%s, line %d: got %.*s, PyTorch prints %.*s", program, line + 1, (int)(g_end - g), g,
                         (int)(w_end - w), w);
            g = g_end;
            w = w_end;
        } else if (*g == *w) {
            line += *g == '\n';
            g++;
            w++;
        } else {
            break;
        }
    }
    if (*g != *w)
        fail_msg("%s, line %d: got \"%.60s\", PyTorch prints \"%.60s\"", program, line + 1, g, w);
}

void lesson_compare(const tempdir *folder, const char *program, int held, double tolerance)
{
    static const char *const exact[] = {"weights", "inputs", "batches", "labels", "loaded"};
    const cJSON *entry = lesson_entry(program);
    assert_non_null(entry);
    const cJSON *free_from = cJSON_GetObjectItem(entry, "free_from");
    char *output = lesson_output(folder);
    compare_text(output, cJSON_GetObjectItem(entry, "stdout")->valuestring,
                 cJSON_IsNumber(free_from) ? free_from->valueint : INT32_MAX, program);
    free(output);
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        compare_exact(entry, folder, exact[i]);
    if (cJSON_GetObjectItem(entry, "output") != NULL)
        compare_output(entry, folder);
    if (held > 0) {
        compare_losses(entry, folder, program, held, tolerance);
        compare_whole_training(entry, folder, program);
    }
}
