#!/usr/bin/env python3
"""Holds the whole MNIST job against PyTorch's, from the start of the process to its exit: one epoch through the loader, then
the test images; and how long the first step takes from exec, how much memory each process has at its peak, and how large
the stripped programs are. In turn, medians. See bench/README.md.

Only Python's standard library; the peer runs in an environment of its own (bench/setup_peers.sh)."""

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from compare import (
    PEERS, ROOT, TUNED_MALLOC, add_common, cpu_clock, cpu_name, lines_of, must_exist, other_cpu_percent, positive, say,
)

# PyTorch as most write it, and with everything that makes it faster.
FORMS = {
    "torch": ((), {}),
    "torch, tuned": (("--channels-last", "--fused-adam"), TUNED_MALLOC),
}
NEEDS = {"job": 5.0, "memory": 5.0, "first_ms": 50.0, "size_mb": 5.0}


class Job:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.python = os.path.join(options.venv, "bin", "python")

    def run(self, command, environment):
        """One process: what it printed, its seconds, its largest resident memory (its helpers' not counted), others' CPU."""
        busy, own, _ = cpu_clock()
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1", **environment}
        started = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        ended = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"job.py: {' '.join(command)}: exit status {process.returncode}")
        busy_after, own_after, _ = cpu_clock()
        other = other_cpu_percent(busy_after - busy, own_after - own, ended - started, os.cpu_count())
        report = {**json.loads(output.strip().splitlines()[-1]), "seconds": ended - started, "other_cpu": other}
        if "at" in report:
            report["first"] = report["at"] - started
        return {**report, "memory_mib": usage.ru_maxrss / 1024}

    def ours(self, first=False):
        words = ["first"] if first else [self.folder, str(self.options.workers)]
        return self.run([self.options.program, *words], {"FACULA_NUM_THREADS": str(self.options.threads)})

    def theirs(self, form, workers, first=False):
        words, environment = FORMS[form]
        command = [self.python, os.path.join(PEERS, "torch_job.py"), "--threads", str(self.options.threads), *words]
        if not first:
            command += ["--folder", self.folder, "--workers", str(workers)]
        return self.run(command, environment)


def unpack(source, folder):
    """MNIST's plain files where torchvision looks for them: both sides read these."""
    raw = os.path.join(folder, "MNIST", "raw")
    os.makedirs(raw)
    for name in os.listdir(source):
        if "ubyte" in name:
            opened = gzip.open if name.endswith(".gz") else open
            with opened(os.path.join(source, name), "rb") as packed:
                with open(os.path.join(raw, name.removesuffix(".gz")), "wb") as plain:
                    shutil.copyfileobj(packed, plain)


def disagreement(ours, theirs):
    """What is wrong with our losses beside theirs, in words; None if they agree. Rounding grows over 938 steps."""
    for key, bound in (("train_loss", 0.05), ("test_loss", 0.3), ("accuracy", 0.01)):
        if not abs(ours[key] - theirs[key]) <= bound * theirs[key]:
            return f"{key}: ours {ours[key]:.4f}, theirs {theirs[key]:.4f}"
    return None


def stripped_bytes(path, folder):
    target = os.path.join(folder, "stripped")
    subprocess.run(["strip", "-o", target, path], check=True)
    return os.path.getsize(target)


def summarise(pairs, max_other_cpu):
    """Pairs [{"ours": report, "theirs": report}] as one row."""
    valid = [pair for pair in pairs if max(pair["ours"]["other_cpu"], pair["theirs"]["other_cpu"]) <= max_other_cpu]
    row = {"pairs": len(valid), "void_pairs": len(pairs) - len(valid), "void": None}
    for pair in pairs:
        row["void"] = row["void"] or disagreement(pair["ours"], pair["theirs"])
    if not valid:
        row["void"] = row["void"] or "no pair while the machine was quiet"
        return row
    row["ratios"] = [pair["theirs"]["seconds"] / pair["ours"]["seconds"] for pair in valid]
    row["ratio"] = statistics.median(row["ratios"])
    for side in ("ours", "theirs"):
        for key in ("seconds", "memory_mib", "train_loss", "accuracy"):
            row[f"{side}_{key}"] = statistics.median(pair[side][key] for pair in valid)
    row["memory_ratio"] = row["theirs_memory_mib"] / row["ours_memory_mib"]
    return row


def read_options(words):
    parser = argparse.ArgumentParser(description="The whole MNIST job against PyTorch's; prints times, memory and sizes.")
    add_common(parser, "bench_job")
    parser.add_argument("--workers", type=int, default=2, help="of our loaders; PyTorch's are tried with 0 and with these")
    parser.add_argument("--pairs", type=positive(int), default=2, help="that count, for each form of PyTorch")
    parser.add_argument("--retries", type=int, default=1, help="further pairs in place of void ones")
    parser.add_argument("--starts", type=positive(int), default=15, help="first steps that are timed")
    parser.add_argument("--facula", default=os.path.join(ROOT, "build", "release", "facula"), help="the command")
    parser.add_argument("--data", default=os.path.join(ROOT, "data", "mnist"), help="the folder of MNIST's files")
    parser.add_argument("--json", metavar="FILE", help="rows as JSON, beside the table")
    return parser.parse_args(words)


def main():
    options = read_options(sys.argv[1:])
    must_exist(options.program, options.facula, os.path.join(options.venv, "bin", "python"))
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        unpack(options.data, folder)
        job = Job(options, folder)
        for form in FORMS:
            # A worker process more or less: of the two, the one that is faster here.
            tried = {workers: job.theirs(form, workers)["seconds"] for workers in {0, options.workers}}
            workers = min(tried, key=tried.get)
            say("  " + form + "".join(f", {n} workers {seconds:.1f} s" for n, seconds in tried.items()))
            pairs, counted = [], 0
            for _ in range(options.pairs + options.retries):
                if counted < options.pairs:
                    pairs.append({"ours": job.ours(), "theirs": job.theirs(form, workers)})
                    ours, theirs = pairs[-1]["ours"], pairs[-1]["theirs"]
                    others = max(ours["other_cpu"], theirs["other_cpu"])
                    counted += others <= options.max_other_cpu
                    say(
                        f"  ours {ours['seconds']:.2f} s, {form} {theirs['seconds']:.2f} s, ratio "
                        f"{theirs['seconds'] / ours['seconds']:.2f}, others' CPU {others:.1f} %"
                    )
            rows[form] = {**summarise(pairs, options.max_other_cpu), "workers": workers}
        starts = {"ours": [job.ours(first=True) for _ in range(options.starts)]}
        starts["theirs"] = [job.theirs("torch", 0, first=True) for _ in range(3)]
        sizes = {os.path.basename(path): stripped_bytes(path, folder) for path in (options.program, options.facula)}
    first = {side: 1e3 * statistics.median(report["first"] for report in starts[side]) for side in starts}
    memory = {side: statistics.median(report["memory_mib"] for report in starts[side]) for side in starts}
    fine = all(
        not row["void"] and row["ratio"] >= NEEDS["job"] and row["memory_ratio"] >= NEEDS["memory"]
        for row in rows.values()
    )
    fine = fine and first["ours"] < NEEDS["first_ms"] and max(sizes.values()) < 1e6 * NEEDS["size_mb"]
    if options.json:
        with open(options.json, "w") as file:
            head = {"cpu": cpu_name(), "threads": options.threads, "workers": options.workers}
            json.dump({**head, "rows": rows, "first_step_ms": first, "bytes": sizes}, file, indent=1)
    print(f"{cpu_name()}, {options.threads} threads, our loaders {options.workers} workers")
    lines = [["peer", "workers", "ours s", "its s", "ratio", "ours MiB", "its MiB", "memory", "loss", "its", "accuracy", "its"]]
    for form, row in rows.items():
        if row["void"]:
            print(f"{form}: void: {row['void']}")
            continue
        cells = [form, str(row["workers"]), f"{row['ours_seconds']:.2f}", f"{row['theirs_seconds']:.2f}"]
        cells += [f"{row['ratio']:.2f}", f"{row['ours_memory_mib']:.0f}", f"{row['theirs_memory_mib']:.0f}"]
        cells += [f"1/{row['memory_ratio']:.1f}"]
        for key, form_ in (("train_loss", ".4f"), ("accuracy", ".4f")):
            cells += [format(row[f"{side}_{key}"], form_) for side in ("ours", "theirs")]
        lines.append(cells)
    print("\n".join(lines_of(lines, {0})))
    print(f"needs: {NEEDS['job']:.0f} times as fast, memory 1/{NEEDS['memory']:.0f}")
    print(
        f"from exec to the first step's loss: ours {first['ours']:.1f} ms (needs {NEEDS['first_ms']:.0f}), "
        f"PyTorch {first['theirs']:.0f} ms; then {memory['ours']:.0f} and {memory['theirs']:.0f} MiB"
    )
    text = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes.items())
    print(f"stripped: {text} (needs {NEEDS['size_mb']:.0f})")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
