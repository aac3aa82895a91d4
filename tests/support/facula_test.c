/* Common helpers of the tests (see facula_test.h). */
#include "support/facula_test.h"

#include "support/comma_locale.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* FACULA_TEST_COMMA=1: the whole test in a locale with a decimal comma. */
__attribute__((constructor)) static void set_locale(void)
{
    if (getenv("FACULA_TEST_COMMA") != NULL)
        comma_locale_begin();
}

const char *source_path(const char *relative)
{
    static char buffers[8][1024];
    static int next;
    char *path = buffers[next++ % 8];
    int length = snprintf(path, sizeof buffers[0], "%s/%s", FA_SOURCE_DIR, relative);
    assert_true(length > 0 && (size_t)length < sizeof buffers[0]);
    return path;
}

uint64_t test_seed(uint64_t otherwise)
{
    const char *text = getenv("FA_TEST_SEED");
    uint64_t seed = text && text[0] ? strtoull(text, NULL, 0) : otherwise;
    print_message("seed: FA_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t test_random_int(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(test_random(state) % (uint64_t)(high - low + 1));
}

double test_random_real(uint64_t *state, double low, double high)
{
    return low + (high - low) * ((double)(test_random(state) >> 11) * 0x1p-53);
}

/* Puts the numbers on one line: -0 and +0 are 0, each next float is one further. */
static int64_t place_f32(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? INT32_MIN - (int64_t)bits : bits;
}

static int64_t place_f64(double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? INT64_MIN - bits : bits;
}

int64_t ulp_distance_f32(float a, float b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b) ? 0 : INT64_MAX;
    int64_t distance = place_f32(a) - place_f32(b);
    return distance < 0 ? -distance : distance;
}

int64_t ulp_distance_f64(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b) ? 0 : INT64_MAX;
    int64_t distance;
    if (__builtin_sub_overflow(place_f64(a), place_f64(b), &distance))
        return INT64_MAX;
    return distance < 0 ? -distance : distance;
}

static bool close_enough(double got, double want, double rtol, double atol)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got))
        return want == got;
    return fabs(got - want) <= atol + rtol * fabs(want);
}

enum { SHOWN = 5 };

/* Counts a place that differs and prints the first few. */
static int64_t note_difference(int64_t differing, int64_t i, double got, double want)
{
    if (differing < SHOWN)
        print_error("  [%" PRId64 "] got %.9g, want %.9g, difference %.3g\n", i, got, want, got - want);
    return differing + 1;
}

static void judge(int64_t differing, int64_t n, double rtol, double atol, const char *file, int line)
{
    if (differing == 0)
        return;
    print_error("%" PRId64 " of %" PRId64 " values differ by more than %g + %g |want|\n", differing, n, atol, rtol);
    _fail(file, line);
}

void assert_all_close_f32_at(const float *got, const float *want, int64_t n, double rtol, double atol, const char *file,
                             int line)
{
    int64_t differing = 0;
    for (int64_t i = 0; i < n; i++)
        if (!close_enough((double)got[i], (double)want[i], rtol, atol))
            differing = note_difference(differing, i, (double)got[i], (double)want[i]);
    judge(differing, n, rtol, atol, file, line);
}

void assert_all_close_f64_at(const double *got, const double *want, int64_t n, double rtol, double atol,
                             const char *file, int line)
{
    int64_t differing = 0;
    for (int64_t i = 0; i < n; i++)
        if (!close_enough(got[i], want[i], rtol, atol))
            differing = note_difference(differing, i, got[i], want[i]);
    judge(differing, n, rtol, atol, file, line);
}

void assert_same_bytes_at(const void *got, const void *want, size_t bytes, const char *file, int line)
{
    const unsigned char *a = got, *b = want;
    for (size_t i = 0; i < bytes; i++) {
        if (a[i] != b[i]) {
            print_error("byte %zu of %zu differs: got 0x%02x, want 0x%02x\n", i, bytes, a[i], b[i]);
            _fail(file, line);
        }
    }
}

void assert_contains_at(const char *text, const char *part, const char *file, int line)
{
    if (text == NULL || strstr(text, part) == NULL) {
        print_error("\"%s\" does not contain \"%s\"\n", text ? text : "(null)", part);
        _fail(file, line);
    }
}
