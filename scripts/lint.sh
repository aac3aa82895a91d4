#!/usr/bin/env bash
# Looks at the sources. usage: scripts/lint.sh [--build <folder>] [format] [cppcheck] [layers] [tidy]
#   format    clang-format (version 14, as Debian 12 has it)
#   cppcheck  cppcheck over src/
#   layers    includes go down the floors only
#   tidy      clang-tidy over src/ with .clang-tidy (minutes); needs a configured build folder, build/release by default
# Without a name: format, cppcheck and layers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=build/release
checks=()
while [ $# -gt 0 ]; do
    case $1 in
        --build)
            build=$2
            shift
            ;;
        format | cppcheck | layers | tidy) checks+=("$1") ;;
        *)
            echo "unknown argument $1" >&2
            exit 2
            ;;
    esac
    shift
done
[ ${#checks[@]} -gt 0 ] || checks=(format cppcheck layers)

check_format()
{
    local bad
    # shellcheck disable=SC2016
    bad=$(find src include tests examples -name '*.[ch]' -print0 |
        xargs -0 -r -n 1 -P "$(nproc)" sh -c 'clang-format --dry-run -Werror "$0" 2>/dev/null || echo "  $0"' | sort)
    if [ -n "$bad" ]; then
        printf 'not as clang-format writes it (clang-format -i <file> mends it):\n%s\n' "$bad"
        return 1
    fi
}

# scripts/cppcheck.suppress: its preprocessor does not expand a macro call inside a macro's argument, so it passes over
# such files of src/ops; and it takes arrays that a loop fills for uninitialized, which the compilers judge better.
check_cppcheck()
{
    local isa
    isa=$(uname -m | sed 's/x86_64/avx2/; s/aarch64/neon/')
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
        --suppressions-list=scripts/cppcheck.suppress --max-configs=4 -j "$(nproc)" -I src -I include \
        "-DFA_CPU_ISA_$isa=1" src
}

# The floors: a file of a folder may include its own folder's headers and those of lower ones; src/cli only its own and
# the public ones.
check_layers()
{
    # shellcheck disable=SC2016
    find src -name '*.[ch]' -print0 | xargs -0 awk '
        BEGIN {
            split("base 0 tensor 1 cpu 2 cuda 2 ops 3 plan 4 files 5 nn 6 optim 7 data 8 vision 9 train 10 cli 11", word)
            for (i = 1; i in word; i += 2)
                floor[word[i]] = word[i + 1]
        }
        /^[ \t]*#[ \t]*include[ \t]*"/ {
            split(FILENAME, path, "/")
            from = path[2]
            split($0, quoted, "\"")
            split(quoted[2], target, "/")
            to = target[1]
            if (!(to in floor) || to == from)
                next
            if (floor[to] >= floor[from] || from == "cli") {
                printf "%s:%d: src/%s may not include \"%s\"\n", FILENAME, FNR, from, quoted[2]
                bad = 1
            }
        }
        END { exit bad }
    '
}

check_tidy()
{
    find src -name '*.c' -print0 | xargs -0 -r -n 1 -P "$(nproc)" clang-tidy --quiet -p "$build" --warnings-as-errors='*'
}

failed=()
for check in "${checks[@]}"; do
    if "check_$check"; then
        echo "lint $check: well"
    else
        failed+=("$check")
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "lint failed: ${failed[*]}" >&2
    exit 1
fi
