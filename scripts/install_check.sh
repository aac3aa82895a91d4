#!/usr/bin/env bash
# Installs a build into a temporary folder and uses it as a user would: every program of examples/ is compiled with
# pkg-config (shared and static) and with find_package; headers are included from C++ too. Also looks at what the
# shared library shows: its SONAME, and no symbol but the interface's.
# usage: scripts/install_check.sh <build folder>
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$1
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

fail()
{
    echo "install check: $*" >&2
    exit 1
}

cc=${CC:-cc}
prefix=$temp/installed
cmake --install "$build" --prefix "$prefix" >/dev/null
# The tree is moved, so that a path of the first place would be noticed.
mv "$prefix" "$temp/moved"
prefix=$temp/moved
libdir=$(dirname "$(find "$prefix" -name libfacula.a)")
export PKG_CONFIG_PATH=$libdir/pkgconfig
export LD_LIBRARY_PATH=$libdir

readelf -d "$libdir/libfacula.so" | grep -q 'SONAME.*\[libfacula\.so\.0\]' || fail "the SONAME is not libfacula.so.0"
foreign=$(nm -D --defined-only "$libdir/libfacula.so" | awk '$3 !~ /^fa_/ && $3 !~ /^_(init|fini)$/ {print $3}')
[ -z "$foreign" ] || fail "the shared library shows symbols that are not fa_*: $foreign"
hidden=$(nm -D --defined-only "$libdir/libfacula.so" | awk '{print $3}' | while read -r symbol; do
    grep -rqw "$symbol" "$prefix/include" || echo "$symbol"
done)
[ -z "$hidden" ] || fail "the shared library shows symbols that stand in no header: $hidden"
"$prefix/bin/facula" --version >/dev/null || fail "the installed facula --version fails"

flags=(-std=gnu17 -O1 -Wall -Wextra -Wpedantic -Wshadow -Werror)
read -ra cflags <<<"$(pkg-config --cflags facula)"
read -ra shared_libs <<<"$(pkg-config --libs facula)"
read -ra static_libs <<<"$(pkg-config --static --libs facula)"
static_libs=("${static_libs[@]/#-lfacula/$libdir/libfacula.a}")
for source in examples/*.c tests/install/*.c; do
    name=$(basename "$source" .c)
    "$cc" "${flags[@]}" "${cflags[@]}" "$source" -o "$temp/$name-shared" "${shared_libs[@]}" -lm
    "$cc" "${flags[@]}" "${cflags[@]}" "$source" -o "$temp/$name-static" "${static_libs[@]}"
    echo "pkg-config: $source"
done
version=$(pkg-config --modversion facula)
for kind in shared static; do
    [ "$("$temp/print_version-$kind")" = "$version" ] || fail "fa_version() differs from facula.pc ($kind)"
done

cmake -S tests/install -B "$temp/build" -G Ninja "-DCMAKE_PREFIX_PATH=$prefix" >/dev/null
cmake --build "$temp/build" >/dev/null
for kind in shared static; do
    [ "$("$temp/build/print_version-$kind")" = "$version" ] || fail "find_package: fa_version() differs ($kind)"
done
echo "find_package: all of examples/, shared and static"
echo "install check: all well"
