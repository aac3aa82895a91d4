#!/usr/bin/env bash
# Runs the fuzzers of tests/fuzz, each from its kept corpus, as many at a time as there are cores. What they find along the
# way is not kept. usage: scripts/fuzz.sh [--seconds N] [--jobs N] [name...]
#   --seconds N   for each of them (30)
#   name          fuzz_pth and the like; without one: all
# A finding stays in build/fuzz/findings/<fuzzer>-...; build/fuzz/tests/<fuzzer> <that file> shows it again. The last line
# says how many passed and failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/setup.sh

seconds=30
jobs=$(nproc)
names=()
while [ $# -gt 0 ]; do
    case $1 in
        --seconds)
            seconds=$2
            shift
            ;;
        --jobs)
            jobs=$2
            shift
            ;;
        fuzz_*) names+=("$1") ;;
        *) die "unknown argument $1; fuzzers: $(cd tests/fuzz && echo fuzz_*.c | sed 's/\.c//g')" ;;
    esac
    shift
done
if [ ${#names[@]} -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        names+=("$(basename "$source" .c)")
    done
fi

# libFuzzer comes with clang's run time, which is often a package of its own.
check_libfuzzer()
{
    local program status=0
    command -v clang >/dev/null || die "the fuzzers need clang, and there is none. Debian: apt-get install clang"
    program=$(mktemp)
    echo 'int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size) { return !data && size; }' |
        clang -x c -fsanitize=fuzzer,address -o "$program" - 2>/dev/null || status=1
    rm -f "$program"
    [ "$status" -eq 0 ] ||
        die "this clang ($(clang --version | head -n 1)) has no libFuzzer. It is part of compiler-rt:" \
            "Debian libclang-rt-dev, Fedora and Arch compiler-rt"
}

set_up tests
if is_debian; then
    install_packages clang libclang-rt-dev
fi
check_libfuzzer
build_preset fuzz
say "Fuzzing for $seconds s each, $jobs at a time: ${names[*]}"
findings=build/fuzz/findings
rm -rf "$findings"
mkdir -p "$findings"

# One fuzzer; its log is shown if it fails. New inputs go to a folder that is thrown away.
fuzz_one()
{
    local name=$1 new log status=0
    new=$(mktemp -d)
    log=$findings/$name.log
    "build/fuzz/tests/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$findings/$name-" "$new" "tests/fuzz/corpus/${name#fuzz_}" >"$log" 2>&1 || status=$?
    rm -rf "$new"
    if [ "$status" -ne 0 ]; then
        tail -n 60 "$log"
        echo "$name: FAILED with status $status; $findings/$name-* is what it was given"
        return 1
    fi
    touch "$findings/$name.passed"
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, nothing found"
    rm -f "$log"
}
export -f fuzz_one
export findings seconds
printf '%s\0' "${names[@]}" | xargs -0 -n 1 -P "$jobs" bash -c 'fuzz_one "$0"' || true
passed=$(find "$findings" -name '*.passed' | wc -l)
failed=$((${#names[@]} - passed))
say "Done in $(elapsed)"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
