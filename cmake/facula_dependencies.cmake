# What must be installed. All that is missing is named at once, with Debian's packages.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig)
if(NOT PKG_CONFIG_FOUND)
    message(FATAL_ERROR "pkg-config was not found; it is needed to find the libraries Facula uses.\n"
                        "Debian and Ubuntu: apt-get install pkg-config")
endif()

set(facula_missing)
set(facula_missing_packages)
macro(facula_need prefix module package purpose)
    pkg_check_modules(${prefix} QUIET IMPORTED_TARGET ${module})
    if(${prefix}_FOUND)
        message(STATUS "Found ${module} ${${prefix}_VERSION}")
    else()
        string(APPEND facula_missing "\n  ${module} (${purpose})")
        list(APPEND facula_missing_packages ${package})
    endif()
endmacro()

facula_need(LIBDEFLATE libdeflate libdeflate-dev "unpacks .gz files")
if(FACULA_BUILD_CLI OR FACULA_BUILD_TESTS)
    facula_need(CJSON libcjson libcjson-dev "reads and writes JSON in the command and the tests")
endif()
if(FACULA_BUILD_TESTS)
    facula_need(CMOCKA cmocka libcmocka-dev "runs the tests; not needed with -DFACULA_BUILD_TESTS=OFF")
endif()
if(facula_missing)
    list(JOIN facula_missing_packages " " packages)
    message(FATAL_ERROR "Facula needs libraries that were not found:${facula_missing}\n"
                        "Debian and Ubuntu: apt-get install ${packages}\n"
                        "(or call ./quickstart.sh or ./test.sh, which install them)")
endif()
