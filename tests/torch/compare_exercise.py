#!/usr/bin/env python3
"""PyTorch goes on with the exercise's training: examples/lesson/exercise_go_on.py prints what exercise_train would have.

usage: compare_exercise.py EXERCISE_TRAIN. Leaves with 77 where torch is not installed."""
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import torch  # noqa: F401
except ImportError:
    print("torch is not installed: skipped")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MNIST = str(ROOT / "data/mnist")


def epochs(*command):
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [[float(x) for x in re.findall(r"[\d.]+", line)] for line in text.split("\n") if line.startswith("epoch ")]


with tempfile.TemporaryDirectory() as name:
    folder = str(pathlib.Path(name, "run"))
    epochs(sys.argv[1], folder, "1", MNIST)
    theirs = epochs(sys.executable, str(ROOT / "examples/lesson/exercise_go_on.py"), folder, "3", MNIST)
    ours = epochs(sys.argv[1], folder, "3", MNIST)
assert len(ours) == len(theirs) == 2, (ours, theirs)
worst = max(abs(a - b) for mine, other in zip(ours, theirs) for a, b in zip(mine[:3], other[:3]))
print(f"epochs 2 and 3: losses within {worst:.4f}; accuracy {[e[3] for e in ours]}, PyTorch's {[e[3] for e in theirs]}")
assert worst < 2e-3 and all(abs(a[3] - b[3]) <= 0.3 for a, b in zip(ours, theirs))
