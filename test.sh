#!/usr/bin/env bash
# Installs what is missing, builds the release with its tests and runs the whole suite. Safe to call again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/setup.sh

usage()
{
    cat <<'END'
usage: ./test.sh [--sanitizers] [--clang] [--arm] [--install-check]

Installs the packages that are missing (apt-get on Debian and Ubuntu), builds the release into build/release/ and runs
all tests. The last line says how many passed and failed, over everything that was asked for.

  --sanitizers     also builds with address+undefined-behaviour and with thread sanitizer, and runs the short tests
  --clang          also builds the release with clang, into build/clang/, and runs the short tests
  --arm            also cross-builds for aarch64 and runs the short tests under qemu-user (Debian; adds architecture
                   arm64 to dpkg)
  --install-check  also installs into a temporary folder and compiles the examples against it, with pkg-config and
                   with CMake's find_package
END
}

sanitizers=false
clang=false
arm=false
install_check=false
for argument in "$@"; do
    case $argument in
        --sanitizers) sanitizers=true ;;
        --clang) clang=true ;;
        --arm) arm=true ;;
        --install-check) install_check=true ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            die "unknown option $argument"
            ;;
    esac
done

jobs=$(nproc)
passed=0
failed=0
failures=()

# Runs the tests of one preset and adds up what CTest says: run_tests <preset> [CTest options].
run_tests()
{
    local preset=$1 log status=0
    shift
    say "Testing $preset"
    log=$(mktemp)
    "${launcher[@]}" ctest --preset "$preset" --parallel "$jobs" "$@" 2>&1 | tee "$log" || status=$?
    local total=0 bad=0
    total=$(sed -n 's/.*tests failed out of \([0-9]*\).*/\1/p' "$log")
    bad=$(sed -n 's/.*tests passed, \([0-9]*\) tests failed.*/\1/p' "$log")
    rm -f "$log"
    if [ -z "$total" ]; then
        total=1 bad=1
    fi
    passed=$((passed + total - bad))
    failed=$((failed + bad))
    if [ "$status" -ne 0 ] || [ "$bad" -ne 0 ]; then
        failures+=("$preset")
    fi
}

set_up tests
launcher=()
build_preset release -DFACULA_BUILD_TESTS=ON
run_tests release

if $sanitizers; then
    # Older thread sanitizers refuse an address space that is shuffled widely.
    if setarch -R true 2>/dev/null; then
        launcher=(setarch -R)
    fi
    for preset in asan tsan; do
        build_preset "$preset" -DFACULA_BUILD_EXAMPLES=OFF
        run_tests "$preset" --label-regex short
    done
    launcher=()
fi

if $clang; then
    if is_debian; then
        say "Installing clang"
        install_packages clang
    fi
    build_preset clang
    run_tests clang
fi

if $arm; then
    say "Installing what the cross-build needs"
    is_debian || die "--arm works on Debian only: its libraries for arm64 come from apt-get"
    if ! dpkg --print-foreign-architectures | grep -qx arm64; then
        echo "Adding the architecture arm64 to dpkg"
        as_root dpkg --add-architecture arm64
    fi
    install_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static libdeflate-dev:arm64 \
        libcjson-dev:arm64 libcmocka-dev:arm64 libjpeg62-turbo-dev:arm64 libpng-dev:arm64 libwebp-dev:arm64
    build_preset aarch64 -DFACULA_BUILD_EXAMPLES=OFF
    run_tests aarch64
fi

if $install_check; then
    say "Installing into a temporary folder and compiling the examples against it"
    if scripts/install_check.sh build/release; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        failures+=(install-check)
    fi
fi

say "Done in $(elapsed)"
if [ ${#failures[@]} -gt 0 ]; then
    echo "Failed in: ${failures[*]}"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ ${#failures[@]} -eq 0 ]
