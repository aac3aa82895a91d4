# Common parts of quickstart.sh and test.sh, which source this file: messages, installing packages, building.
# shellcheck shell=bash

setup_started=$SECONDS

say()
{
    printf '\n== %s\n' "$*"
}

die()
{
    printf '\nerror: %s\n' "$*" >&2
    exit 1
}

# Runs a command with its output in a log, which is shown only if the command fails.
run_quietly()
{
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

is_debian()
{
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null
}

# Runs a command as root: directly, or through sudo.
as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Whether a Debian package is installed for this machine's architecture, or for the one named behind a colon.
is_installed()
{
    local architecture
    architecture=$(dpkg --print-architecture)
    case $1 in
        *:*) architecture=${1#*:} ;;
    esac
    dpkg-query -W -f='${db:Status-Status} ${Architecture}\n' "$1" 2>/dev/null |
        grep -qxE "installed ($architecture|all)"
}

# Installs those of the given Debian packages that are not installed yet.
install_packages()
{
    local package missing_packages=()
    for package in "$@"; do
        is_installed "$package" || missing_packages+=("$package")
    done
    if [ ${#missing_packages[@]} -eq 0 ]; then
        echo "All packages are installed: $*"
        return
    fi
    echo "Installing with apt-get: ${missing_packages[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die "installing needs root, and there is no sudo. As root: apt-get install ${missing_packages[*]}"
        echo "(sudo may ask for your password)"
    fi
    run_quietly as_root apt-get update || echo "apt-get update failed; trying with the package lists that are here" >&2
    run_quietly as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing_packages[@]}" ||
        die "apt-get could not install: ${missing_packages[*]}"
}

# On a system without apt-get: goes on if all that is needed is there, else says what to install. The arguments are
# pkg-config modules.
check_other_system()
{
    local missing=() tool module
    for tool in "${CC:-cc}" cmake ninja pkg-config; do
        command -v "${tool%% *}" >/dev/null || missing+=("$tool")
    done
    if command -v pkg-config >/dev/null; then
        for module in "$@"; do
            pkg-config --exists "$module" || missing+=("$module")
        done
    else
        missing+=("$@")
    fi
    if [ ${#missing[@]} -eq 0 ]; then
        echo "All that is needed is installed."
        return
    fi
    cat >&2 <<END

error: this is not Debian or Ubuntu, so nothing is installed by itself. Missing: ${missing[*]}
Install a C compiler, CMake 3.25 or newer, Ninja, pkg-config, libdeflate, libjpeg, libpng, libwebp, libcurl, cJSON and, for
the tests, cmocka:
  Fedora: dnf install gcc gcc-c++ cmake ninja-build pkgconf-pkg-config libdeflate-devel libjpeg-turbo-devel \\
              libpng-devel libwebp-devel libcurl-devel cjson-devel libcmocka-devel
  Arch:   pacman -S --needed gcc cmake ninja pkgconf libdeflate libjpeg-turbo libpng libwebp curl cjson cmocka
Then call this script again.
END
    exit 1
}

check_cmake()
{
    local version
    version=$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')
    if [ "$(printf '%s\n' 3.25 "$version" | sort -V | head -n 1)" != 3.25 ]; then
        die "CMake 3.25 or newer is needed, and this is $version (Debian 12 and Ubuntu 24.04 have it)." \
            "A newer one can be had with: python3 -m pip install --user cmake"
    fi
}

# Everything that is needed to build ($1 is "build"), and to build the tests too ("tests").
set_up()
{
    say "Installing what is needed"
    local packages=(gcc libc6-dev cmake ninja-build pkg-config libdeflate-dev libcjson-dev libjpeg-dev libpng-dev
        libwebp-dev libcurl4-openssl-dev)
    local modules=(libdeflate libcjson libjpeg libpng libwebp libwebpdemux libcurl)
    if [ "$1" = tests ]; then
        packages+=(g++ libcmocka-dev)
        modules+=(cmocka)
    fi
    if is_debian; then
        install_packages "${packages[@]}"
    else
        check_other_system "${modules[@]}"
    fi
    check_cmake
}

# Configures and builds one preset: build_preset <preset> [cmake options].
build_preset()
{
    local preset=$1
    shift
    say "Building $preset (build/$preset)"
    run_quietly cmake --preset "$preset" "$@" || die "CMake could not configure the preset $preset"
    cmake --build --preset "$preset" || die "the preset $preset does not build"
}

elapsed()
{
    local seconds=$((SECONDS - setup_started))
    printf '%d min %02d s' $((seconds / 60)) $((seconds % 60))
}
