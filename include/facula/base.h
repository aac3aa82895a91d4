/* Facula's ground floor: version, errors, devices, threads, random numbers.
 *
 * Every other public header includes this one. Functions whose name ends in `_at` are the plain functions behind the
 * macros of the same name: they take the caller's file and line as their last argument, and are what C++ and other
 * languages call. */
#ifndef FACULA_BASE_H
#define FACULA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FA_VERSION_MAJOR 0
#define FA_VERSION_MINOR 1
#define FA_VERSION_PATCH 0

#define FA_API __attribute__((visibility("default")))
#define FA_WARN_UNUSED __attribute__((warn_unused_result))
#define FA_PRINTF_(format_index, first) __attribute__((format(printf, format_index, first)))

/* ---- Where a call stands in the user's program ------------------------------------------------------------------ */

typedef struct fa_where {
    const char *file;
    int line;
} fa_where;

#ifdef __cplusplus
#define FA_HERE (fa_where{__FILE__, __LINE__})
#else
#define FA_HERE ((fa_where){__FILE__, __LINE__})
#endif

/* Keyword arguments. A call `fa_name(1, 2, .option = 3)` fills an argument struct: PyTorch's defaults first, then what
 * the caller wrote, which overrides them, so that a written 0 means 0. The pragmas silence the override warning alone,
 * in the caller's build too. `kw_` in each struct, a pointer to an incomplete type, turns a stray positional argument
 * into a compiler diagnostic. */
#if defined(__clang__)
#define FA_BEGIN_CALL_ _Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Winitializer-overrides\"")
#define FA_END_CALL_ _Pragma("clang diagnostic pop")
#else
#define FA_BEGIN_CALL_ _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Woverride-init\"")
#define FA_END_CALL_ _Pragma("GCC diagnostic pop")
#endif
#define FA_CALL_(function, args, ...)                                                                                  \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ function(&(args){.where_ = {__FILE__, __LINE__}, __VA_ARGS__});                                 \
        FA_END_CALL_                                                                                                   \
    })
struct fa_keyword_only;

/* ---- Version ---------------------------------------------------------------------------------------------------- */

/* The library's version, "MAJOR.MINOR.PATCH". */
FA_API const char *fa_version(void);

/* ---- Errors ----------------------------------------------------------------------------------------------------- */

/* The first error of a thread sticks: later calls on what failed do nothing, and backward, step, save and the batch
 * loop refuse until fa_clear_error(). The library never prints, exits or aborts. */
typedef enum fa_error_kind {
    FA_NO_ERROR = 0,
    FA_SHAPE_ERROR,  /* sizes that do not fit together */
    FA_DTYPE_ERROR,  /* a tensor of the wrong type */
    FA_VALUE_ERROR,  /* an argument out of its range */
    FA_INDEX_ERROR,  /* an index, label or dimension out of bounds */
    FA_STATE_ERROR,  /* the right call at the wrong time: a handle after its scope, a second backward */
    FA_FILE_ERROR,   /* a file missing, damaged or not writable */
    FA_MEMORY_ERROR, /* no memory for what was asked */
    FA_DATA_ERROR    /* a data set's item that could not be read or collated */
} fa_error_kind;

/* True while the calling thread has no error. */
FA_API bool fa_ok(void);
/* The message: "file:line: op (layer): got ..., needs ... Hint: ...", or "" without an error. Valid until the error is
 * cleared. */
FA_API const char *fa_error(void);
FA_API fa_error_kind fa_error_code(void);
/* The user's line in which the error arose; {"", 0} without an error. */
FA_API fa_where fa_error_where(void);
FA_API void fa_clear_error(void);
/* Raises an error of the user's own (a data set's callback, a custom op). Does nothing if one is set already. */
FA_API void fa_raise_at(fa_error_kind kind, fa_where where, const char *format, ...) FA_PRINTF_(3, 4);
#define fa_raise(kind, ...) fa_raise_at((kind), FA_HERE, __VA_ARGS__)

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

typedef enum fa_device { FA_CPU = 0, FA_CUDA = 1 } fa_device;

/* Whether a GPU can be used by this build on this machine. */
FA_API bool fa_cuda_is_available(void);
/* Why not, in a sentence ("" when one can be used). */
FA_API const char *fa_cuda_reason(void);
/* The instruction set of the CPU kernels in use: "avx512", "avx2", "neon" or "portable". FACULA_ISA=name in the
 * environment chooses a lesser one. */
FA_API const char *fa_cpu_isa(void);

/* ---- Precision -------------------------------------------------------------------------------------------------- */

/* "high", the default: dense 3x3 convolutions of float32 may go by Winograd's F(2x2, 3x3), which rounds like direct
 * sums, and F(4x4, 3x3), whose rounding errors are a few times theirs (docs/decisions.md has them measured). "highest":
 * direct sums alone. FACULA_PRECISION in the environment sets the first value. For all threads; work recorded before
 * keeps what was chosen when it runs. False after an error: another word. */
FA_API bool fa_set_float32_precision_at(const char *precision, fa_where where);
#define fa_set_float32_precision(precision) fa_set_float32_precision_at((precision), FA_HERE)

/* ---- Threads ---------------------------------------------------------------------------------------------------- */

/* Threads that run kernels, the caller included. Default: what the CPU affinity and the container's quota allow,
 * or FACULA_NUM_THREADS, or OMP_NUM_THREADS. Results are the same bits for any number. */
FA_API int fa_get_num_threads(void);
FA_API void fa_set_num_threads(int threads);

/* ---- Random numbers: PyTorch's generator, number for number ------------------------------------------------------ */

typedef struct fa_generator fa_generator;

/* Seeds the default generator as torch.manual_seed does. Initial weights that wait to be drawn are drawn first. */
FA_API void fa_manual_seed(uint64_t seed);
/* A generator of its own (seed 67280421310721, as torch.Generator()). Release it with fa_free. */
FA_API fa_generator *fa_generator_new(void) FA_WARN_UNUSED;
FA_API void fa_generator_free(fa_generator *generator); /* fa_free */
FA_API void fa_generator_seed(fa_generator *generator, uint64_t seed);
/* The state in PyTorch's own layout, as torch.get_rng_state() returns it. NULL means the default generator. */
enum { FA_GENERATOR_STATE_SIZE = 5056 };
FA_API void fa_generator_get_state(fa_generator *generator, uint8_t state[FA_GENERATOR_STATE_SIZE]);
FA_API bool fa_generator_set_state(fa_generator *generator,
                                   const uint8_t state[FA_GENERATOR_STATE_SIZE]) FA_WARN_UNUSED;
/* torch.get_rng_state(), torch.set_rng_state(state): of the default generator. */
#define fa_get_rng_state(state) fa_generator_get_state(NULL, (state))
#define fa_set_rng_state(state) fa_generator_set_state(NULL, (state))

#ifdef __cplusplus
}
#endif
#endif
