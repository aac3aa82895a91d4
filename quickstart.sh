#!/usr/bin/env bash
# Installs what is missing, builds Facula and trains MNIST. Safe to call again: what is done is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/setup.sh

cat <<'END'
Facula quickstart: installs the packages that are missing (apt-get on Debian and Ubuntu), builds the release into
build/release/, and trains a small network on the MNIST digits in data/mnist/ for 3 epochs. A few minutes in all.
END

set_up build
# Tests that an earlier ./test.sh has switched on stay on, so that the two can be called in turn.
if [ -f build/release/CMakeCache.txt ] && pkg-config --exists cmocka; then
    build_preset release
else
    build_preset release -DFACULA_BUILD_TESTS=OFF
fi

say "Training: build/release/facula train data/mnist --epochs 3"
build/release/facula train data/mnist --epochs 3

say "Done in $(elapsed). What to try next"
cat <<'END'
  build/release/facula train data/mnist --epochs 10 --seed 1     train longer, from another seed
  build/release/facula train --help                              all options
  build/release/facula check data/mnist --model mnist            look at data and network before a training
  build/release/facula predict runs/mnist-001 digit.png          what a picture shows (white on black, 28 x 28 or --fit 28)
  build/release/facula bench --network mnist --mode train        how fast this machine is
  ls examples/                                                   programs that use the library
  ./test.sh                                                      build and run the tests
  cmake --install build/release --prefix ~/.local                install the command, the library and its headers
END
