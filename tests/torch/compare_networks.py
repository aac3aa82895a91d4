#!/usr/bin/env python3
"""Random networks with a penalty on their input's gradient against PyTorch, live: first and second derivatives.

usage: compare_networks.py PROGRAM [SEED [NETWORKS]]     PROGRAM: torch_networks as built

Networks are drawn and run by tests/golden/make_networks.py. Ends with 77, which CTest counts as skipped, where torch is not
installed.
"""
import json
import pathlib
import subprocess
import sys
import time
import warnings

try:
    import torch
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
warnings.simplefilter("ignore")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import make_networks  # noqa: E402


def main():
    program = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    print(f"seed {seed}, {count} networks, torch {torch.__version__}")
    networks, wanted = [], []
    while len(networks) < count:
        network = make_networks.drawn(seed)
        results = make_networks.run(network)
        seed += 1
        if make_networks.finite(results):
            networks.append(network)
            wanted.append(results)
    lines = "".join(json.dumps(n) + "\n" for n in networks)
    run = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    failed, seen = 0, set()
    for network, want, line in zip(networks, wanted, run.stdout.splitlines(), strict=True):
        got, what = json.loads(line), None
        seen |= {s["op"] for s in network["steps"]}
        if "error" in got:
            what = got["error"]
        elif got.keys() != want.keys():
            what = f"{sorted(got)} instead of {sorted(want)}"
        for name in want if what is None else ():
            value = torch.tensor(got[name], dtype=torch.float64)
            worst = float((value - want[name]).abs().max()) / (1 + float(want[name].abs().max()))
            if not worst <= 1e-9:
                what = f"{name} is off by {worst:.3g}"
                break
        if what:
            failed += 1
            print(f"{network['name']}: {', '.join(s['op'] for s in network['steps'])}: {what}")
    print(f"{count} networks of {len(seen)} ops, {failed} differ")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
