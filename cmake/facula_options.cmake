# Compile and link options of everything that is built here: the interface target facula_options.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

get_property(multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT multi_config AND NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

# A newer compiler may know warnings that nobody here has seen; a user's build must not end with them.
if((CMAKE_C_COMPILER_ID STREQUAL GNU AND CMAKE_C_COMPILER_VERSION VERSION_LESS 13)
   OR (CMAKE_C_COMPILER_ID STREQUAL Clang AND CMAKE_C_COMPILER_VERSION VERSION_LESS 15))
    set(facula_werror_default ON)
else()
    set(facula_werror_default OFF)
endif()
option(FACULA_WERROR "Warnings are errors (the default with the compilers the project is checked with)"
       ${facula_werror_default})

add_library(facula_options INTERFACE)
target_compile_options(facula_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow
                                                # A product and a sum stay two roundings, on every ISA alike.
                                                -ffp-contract=off -fno-math-errno)
if(FACULA_WERROR)
    target_compile_options(facula_options INTERFACE -Werror)
endif()
if(FACULA_SANITIZE)
    target_compile_options(facula_options INTERFACE -fsanitize=${FACULA_SANITIZE} -fno-sanitize-recover=all
                                                    -fno-omit-frame-pointer
                                                    # The instrumented code confuses gcc's flow analysis.
                                                    $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_link_options(facula_options INTERFACE -fsanitize=${FACULA_SANITIZE})
endif()
# Fuzzers need to see which branches their input takes.
option(FACULA_FUZZ "Build tests/fuzz with libFuzzer (clang); the preset fuzz" OFF)
if(FACULA_FUZZ)
    target_compile_options(facula_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
