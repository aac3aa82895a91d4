/* What every test includes: cmocka with the headers it wants before it, and the helpers that most tests need. */
#ifndef FA_TESTS_FACULA_TEST_H
#define FA_TESTS_FACULA_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Built with a sanitizer: skip what measures time or counts allocations. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FA_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define FA_SANITIZED 1
#endif
#endif
#ifndef FA_SANITIZED
#define FA_SANITIZED 0
#endif

/* Run by an emulator: skip what measures time or starts the program again. */
#ifndef FA_EMULATED
#define FA_EMULATED 0
#endif

/* A file of the source tree: source_path("data/mnist"). One of eight buffers that are used in turn. */
const char *source_path(const char *relative);

/* The seed of a test that draws: FA_TEST_SEED in the environment, else `otherwise`. It is printed, so that a failure
 * can be repeated. */
uint64_t test_seed(uint64_t otherwise);
/* Numbers for tests, independent of the library's own generator (splitmix64). */
uint64_t test_random(uint64_t *state);
/* Uniform in [low, high], both included. */
int64_t test_random_int(uint64_t *state, int64_t low, int64_t high);
/* Uniform in [low, high). */
double test_random_real(uint64_t *state, double low, double high);

/* Distance of two floats in units in the last place; 0 for two NaNs, INT64_MAX for a NaN and a number. */
int64_t ulp_distance_f32(float a, float b);
int64_t ulp_distance_f64(double a, double b);

/* |got - want| <= atol + rtol |want| for each of n values, where NaN equals NaN and an infinity only itself. A failure
 * names the first few places. Use the macros. */
void assert_all_close_f32_at(const float *got, const float *want, int64_t n, double rtol, double atol, const char *file,
                             int line);
void assert_all_close_f64_at(const double *got, const double *want, int64_t n, double rtol, double atol,
                             const char *file, int line);
/* The same bytes. A failure names the first place. */
void assert_same_bytes_at(const void *got, const void *want, size_t bytes, const char *file, int line);

#define assert_all_close_f32(got, want, n, rtol, atol)                                                                 \
    assert_all_close_f32_at((got), (want), (n), (rtol), (atol), __FILE__, __LINE__)
#define assert_all_close_f64(got, want, n, rtol, atol)                                                                 \
    assert_all_close_f64_at((got), (want), (n), (rtol), (atol), __FILE__, __LINE__)
#define assert_same_bytes(got, want, bytes) assert_same_bytes_at((got), (want), (bytes), __FILE__, __LINE__)

/* The text holds the part; a failure prints both. */
void assert_contains_at(const char *text, const char *part, const char *file, int line);
#define assert_contains(text, part) assert_contains_at((text), (part), __FILE__, __LINE__)

#endif
