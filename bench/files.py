#!/usr/bin/env python3
"""Holds the loading of a state dict of 102 MB against PyTorch's, until the sum of all its values is known, and saving
against the disk: in turn, medians of the ratios of neighbours. See bench/README.md.

    load   fa_load, every checksum looked at, against torch.load
    map    fa_load(.mmap = true) against torch.load(mmap=True)
    save   fa_save, flushed and renamed, against write and fsync of as many bytes in one block

Only Python's standard library; the peer runs in an environment of its own (bench/setup_peers.sh)."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

from compare import PEERS, add_common, cpu_clock, cpu_name, must_exist, other_cpu_percent, positive, say

BOUNDS = {"load": 1.0, "map": 1.0, "save": 0.8}  # the least ratio of speeds


class Program:
    """A process that answers each line with a line of JSON."""

    def __init__(self, command, environment):
        self.name = os.path.basename(command[-1] if command[-1].endswith(".py") else command[0])
        self.process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, what, path):
        try:
            self.process.stdin.write(f"{what} {path}\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            sys.exit(f"files.py: {self.name} gave no answer to {what} {path}")

    def worked(self):
        """CPU seconds so far, of all its threads."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            sys.exit(f"files.py: {self.name} ended with an error")


def summarise(kind, pairs, max_other_cpu):
    """Pairs [{"ours": seconds, "theirs": seconds, "other_cpu": percent}] as a row; those beside which others worked do not
    count. A ratio is theirs to ours: how many times as fast we are."""
    valid = [pair for pair in pairs if pair["other_cpu"] <= max_other_cpu]
    row = {"kind": kind, "pairs": len(valid), "void_pairs": len(pairs) - len(valid), "bound": BOUNDS[kind]}
    ratios = [pair["theirs"] / pair["ours"] for pair in valid]
    row["ratio"] = statistics.median(ratios) if ratios else None
    for key in ("ours", "theirs"):
        row[f"{key}_ms"] = 1e3 * statistics.median(pair[key] for pair in valid) if valid else None
    row["fine"] = bool(ratios) and row["ratio"] >= BOUNDS[kind]
    return row


def measure(kind, ours, theirs, paths, options):
    pairs = []
    for turn in range(options.pairs + options.retries + 1):
        (busy, _, started), own = cpu_clock(), ours.worked() + theirs.worked()
        if kind == "save":
            first, second = ours.ask("save", paths["saved"]), ours.ask("write", paths["written"])
        else:
            first, second = ours.ask(kind, paths["file"]), theirs.ask(kind, paths["file"])
            if abs(first["sum"] - second["sum"]) > 1e-6 * abs(second["sum"]):
                sys.exit(f"files.py: {kind}: our sum is {first['sum']}, theirs {second['sum']}")
        (busy_after, _, ended), own_after = cpu_clock(), ours.worked() + theirs.worked()
        other = other_cpu_percent(busy_after - busy, own_after - own, ended - started, os.cpu_count())
        if turn == 0:
            continue  # the first of a kind starts threads and fills the page cache
        pairs.append({"ours": first["seconds"], "theirs": second["seconds"], "other_cpu": other})
        say(
            f"  {kind}: ours {1e3 * first['seconds']:7.1f} ms, theirs {1e3 * second['seconds']:7.1f} ms, "
            f"ratio {second['seconds'] / first['seconds']:.2f}, others' CPU {other:.1f} %"
        )
        if sum(pair["other_cpu"] <= options.max_other_cpu for pair in pairs) == options.pairs:
            break
    return summarise(kind, pairs, options.max_other_cpu)


def read_options(words):
    parser = argparse.ArgumentParser(description="Loading against PyTorch's, saving against the disk; prints the ratios.")
    add_common(parser, "bench_files")
    parser.add_argument("--pairs", type=positive(int), default=9, help="pairs that count, for each row")
    parser.add_argument("--retries", type=int, default=9, help="further pairs in place of void ones")
    parser.add_argument("--folder", help="where the files are written; default: the system's folder for such files")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    return parser.parse_args(words)


def main():
    options = read_options(sys.argv[1:])
    python = os.path.join(options.venv, "bin", "python")
    must_exist(options.program, python)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        paths = {name: os.path.join(folder, f"{name}.pth") for name in ("file", "saved", "written")}
        script = os.path.join(PEERS, "torch_files.py")
        theirs = Program([python, "-B", script, "--threads", str(options.threads)], {"CUDA_VISIBLE_DEVICES": ""})
        ours = Program([options.program], {"FACULA_NUM_THREADS": str(options.threads)})
        version = theirs.ask("make", paths["file"])["version"]
        rows = [measure(kind, ours, theirs, paths, options) for kind in BOUNDS]
        ours.end()
        theirs.end()
    if options.json:
        print(json.dumps({"cpu": cpu_name(), "threads": options.threads, "torch": version, "rows": rows}))
    else:
        print(f"{cpu_name()}, {options.threads} threads, torch {version}")
        for row in rows:
            if row["ratio"] is None:
                print(f"{row['kind']:<5} void: no pair while the machine was quiet")
                continue
            print(
                f"{row['kind']:<5} ours {row['ours_ms']:7.1f} ms, theirs {row['theirs_ms']:7.1f} ms, ratio "
                f"{row['ratio']:.2f} (needs {row['bound']}), {row['pairs']} pairs"
            )
    return 0 if all(row["fine"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
