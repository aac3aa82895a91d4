#!/usr/bin/env bash
# Makes the Python environment of bench/compare.py's peers: PyTorch and TensorFlow, from pip's default index. Safe to
# call again. usage: bench/setup_peers.sh [folder]   (default: $FACULA_PEERS_VENV, else bench/.venv)
set -euo pipefail
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

case ${1:-} in
    -h | --help)
        echo "usage: bench/setup_peers.sh [folder]"
        echo
        echo "Installs the pinned PyTorch, torchvision, NumPy and TensorFlow into a virtual environment. The folder is"
        echo "the one given, or \$FACULA_PEERS_VENV, or bench/.venv. It takes several GB."
        exit 0
        ;;
esac
venv=${1:-${FACULA_PEERS_VENV:-$bench/.venv}}

packages=(torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 tensorflow==2.21.0)

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup_peers: needs Python 3.11 or newer (PYTHON names another one)" >&2
    exit 1
fi
if [ ! -x "$venv/bin/python" ]; then
    if ! "$python" -m venv "$venv"; then
        echo "setup_peers: cannot make $venv. On Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    fi
fi
"$venv/bin/python" -m pip install "${packages[@]}"
# Each in a process of its own: PyTorch's and TensorFlow's libraries may not go into one.
for module in torch torchvision tensorflow; do
    TF_CPP_MIN_LOG_LEVEL=2 CUDA_VISIBLE_DEVICES='' "$venv/bin/python" -c \
        "import $module; print('$module', $module.__version__)" 2>/dev/null || {
        echo "setup_peers: $module cannot be imported by $venv/bin/python" >&2
        exit 1
    }
done
echo "The peers' environment is $venv"
