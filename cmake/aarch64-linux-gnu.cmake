# Cross-build for aarch64 on Debian or Ubuntu, tests run by qemu-user. Packages: gcc-aarch64-linux-gnu,
# qemu-user-static, and with `dpkg --add-architecture arm64` libdeflate-dev:arm64 libcjson-dev:arm64 libcmocka-dev:arm64
# libjpeg62-turbo-dev:arm64 libpng-dev:arm64 libwebp-dev:arm64.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
