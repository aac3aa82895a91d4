#!/usr/bin/env bash
# Tries the scripts where nothing is installed: makes a bare Debian with debootstrap, copies the tree into it (what git
# tracks or would track) and runs commands there as root. Needs root and the package debootstrap.
# usage: scripts/try_bare_debian.sh <folder> [command...]     default command: ./quickstart.sh && ./test.sh
# The folder is kept: a second call copies the tree anew and goes on with the packages of the first. It can be removed
# with rm -rf --one-file-system.
# SUITE=bookworm and MIRROR=<address> choose another Debian and another mirror than debootstrap's own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ $# -ge 1 ] || { sed -n '2,7s/^# //p' "$0" >&2; exit 2; }
root=$1
shift
command=${*:-./quickstart.sh && ./test.sh}

if [ ! -e "$root/etc/debian_version" ]; then
    debootstrap --variant=minbase "${SUITE:-bookworm}" "$root" ${MIRROR:+"$MIRROR"}
fi
mkdir -p "$root/root/facula"
git ls-files --cached --others --exclude-standard -z | tar --create --null --files-from=- --ignore-failed-read |
    tar --extract --directory="$root/root/facula"

# In a mount namespace of its own, so that nothing stays mounted.
# shellcheck disable=SC2016
exec unshare --mount bash -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
    exec chroot "$0" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
        bash -c "cd /root/facula && $1"' "$root" "$command"
