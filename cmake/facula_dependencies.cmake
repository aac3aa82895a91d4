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
facula_need(LIBJPEG libjpeg libjpeg-dev "reads JPEG pictures")
facula_need(LIBPNG libpng libpng-dev "reads PNG pictures")

# WebP may be missing: such a picture is then refused with a message that says why.
set(FACULA_WEBP "AUTO" CACHE STRING "WebP pictures: ON, OFF, or AUTO for what is installed")
set(LIBWEBP_FOUND FALSE)
if(FACULA_WEBP STREQUAL "ON")
    facula_need(LIBWEBP "libwebp;libwebpdemux" libwebp-dev "reads WebP pictures; not needed with -DFACULA_WEBP=OFF")
elseif(FACULA_WEBP)
    pkg_check_modules(LIBWEBP QUIET IMPORTED_TARGET libwebp libwebpdemux)
    if(LIBWEBP_FOUND)
        message(STATUS "Found libwebp ${LIBWEBP_libwebp_VERSION}")
    else()
        message(STATUS "libwebp was not found: no WebP pictures (Debian and Ubuntu: apt-get install libwebp-dev)")
    endif()
endif()

# What the library itself is linked with.
set(facula_libraries PkgConfig::LIBDEFLATE PkgConfig::LIBJPEG PkgConfig::LIBPNG)
set(facula_pc_requires "libdeflate libjpeg libpng")
if(LIBWEBP_FOUND)
    list(APPEND facula_libraries PkgConfig::LIBWEBP)
    string(APPEND facula_pc_requires " libwebp libwebpdemux")
endif()
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
