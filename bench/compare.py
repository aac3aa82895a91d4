#!/usr/bin/env python3
"""Holds `facula bench` against PyTorch and TensorFlow on this machine: same network, start, batches, threads and number
format, in turn (ours, theirs, ours, theirs), medians of the ratios of neighbours. With --loader it holds a data set's
first epoch through the loader against torch.utils.data.DataLoader instead. See bench/README.md.

Only Python's standard library; the peers run in an environment of their own (bench/setup_peers.sh).
"""

import argparse
import functools
import gzip
import hashlib
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

BENCH = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(BENCH)
PEERS = os.path.join(BENCH, "peers")

NETWORKS = ("mnist", "cifar", "fake64", "img224", "vgg_bn", "resnet18")
USUAL_BATCH = {"mnist": 64, "cifar": 32, "fake64": 32, "img224": 32, "vgg_bn": 64, "resnet18": 64}
BATCH_NORM = ("vgg_bn", "resnet18")

# A peer is a framework's name and, after dashes, any of its settings: torch-channels-last-tuned.
FRAMEWORKS = {
    "torch": {"script": "torch_peer.py", "settings": ("channels-last", "compile", "fused-adam", "tuned")},
    "tensorflow": {"script": "tensorflow_peer.py", "settings": ("jit", "fused-adam", "tuned")},
}

# Groups of peers. In inference "fused-adam" falls away.
TORCH_FORMS = ("torch", "torch-channels-last", "torch-compile", "torch-channels-last-compile")
GROUPS = {
    # whatever a user could have set
    "all": [
        name + adam + malloc for name in TORCH_FORMS for adam in ("", "-fused-adam") for malloc in ("", "-tuned")
    ]
    + ["tensorflow", "tensorflow-jit", "tensorflow-fused-adam", "tensorflow-jit-fused-adam"],
    # those of them that were the fastest somewhere
    "best": [name + "-fused-adam-tuned" for name in TORCH_FORMS if name != "torch-compile"]
    + ["tensorflow-fused-adam", "tensorflow-jit-fused-adam"],
}

# --loader: what PyTorch's loader is tried with, and how far the mean of the first batch may be from its: crops and flips
# of pictures come from its workers' own seeds.
LOADER_PEERS = {"mnist": ("torch",), "jpeg": ("torch", "torch-decode")}
LOADER_MEAN_BOUND = {"mnist": 1e-4, "jpeg": 0.05}

# glibc gives large blocks back to the system at each free; with these they stay with the process.
TUNED_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 36)}

# What --isa gives to both sides: Facula's kernels, ATen's, oneDNN's (TensorFlow's too), MKL's, XLA's.
ISA_ENVIRONMENT = {
    None: {},
    "avx2": {
        "FACULA_ISA": "avx2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
}


class Failure(Exception):
    """A process that gave no figure; the text says which and why."""


# ---- Arithmetic ----------------------------------------------------------------------------------------------------


def parse_peer(name):
    """'torch-channels-last-tuned' -> ('torch', ['channels-last', 'tuned'])."""
    framework, _, rest = name.partition("-")
    if framework not in FRAMEWORKS:
        raise ValueError(f'peer "{name}": got "{framework}", needs one of {", ".join(FRAMEWORKS)}')
    chosen = []
    while rest:
        for setting in FRAMEWORKS[framework]["settings"]:
            if rest == setting or rest.startswith(setting + "-"):
                chosen.append(setting)
                rest = rest[len(setting) + 1 :]
                break
        else:
            settings = ", ".join(FRAMEWORKS[framework]["settings"])
            raise ValueError(f'peer "{name}": got "{rest}", needs any of {settings}')
    return framework, chosen


def peers_for(names, mode):
    """The peers of a mode, each once: groups written out, settings that change nothing in inference left out."""
    spelled = [peer for name in names for peer in GROUPS.get(name, [name])]
    if mode == "infer":
        spelled = [
            "-".join([framework] + [word for word in settings if word != "fused-adam"])
            for framework, settings in map(parse_peer, spelled)
        ]
    return list(dict.fromkeys(spelled))


def kept_after_scouting(scouts, keep):
    """The names of the fastest `keep` scouts {name: {"images_per_second": ...}}, those under 85 % of the first left out."""
    order = sorted(scouts, key=lambda name: -scouts[name]["images_per_second"])
    least = 0.85 * scouts[order[0]]["images_per_second"]
    return [name for name in order[:keep] if scouts[name]["images_per_second"] >= least]


def loss_bounds(network, mode, count):
    """How far each of the first losses may be from the peer's, relative to the peer's; None: not compared.

    Without updates the losses are independent: 1e-3 for all. While training, 1e-3 for the first 5 and 2e-2 after them.
    Networks with batch norm amplify rounding exponentially, so that two paths of one peer part within a few steps: 1e-3
    for the first, 2e-2 for the second, which shows that the same update was made, and no more.
    """
    if mode == "infer":
        return [1e-3] * count
    if network in BATCH_NORM:
        return ([1e-3, 2e-2] + [None] * count)[:count]
    return ([1e-3] * 5 + [2e-2] * count)[:count]


def loss_disagreement(network, mode, ours, theirs):
    """What is wrong with our losses beside the peer's, in words; None if they agree."""
    count = min(len(ours), len(theirs))
    if count < 5:
        return f"only {count} losses to compare"
    for step, bound in enumerate(loss_bounds(network, mode, count)):
        a, b = ours[step], theirs[step]
        if a is None or b is None or not math.isfinite(a) or not math.isfinite(b):
            return f"loss {step + 1} is not a finite number"
        if bound is not None and abs(a - b) > bound * abs(b):
            return f"loss {step + 1}: ours {a:.6f}, theirs {b:.6f}, more than {bound:g} apart"
    return None


def epoch_disagreement(data_set, ours, theirs):
    """What is wrong with our epoch's report beside the peer's, in words; None if they agree."""
    for key in ("images", "labels", "first_labels"):
        if ours[key] != theirs[key]:
            return f"{key}: ours {ours[key]}, theirs {theirs[key]}"
    if not abs(ours["first_mean"] - theirs["first_mean"]) <= LOADER_MEAN_BOUND[data_set]:
        return f"mean of the first batch: ours {ours['first_mean']:.6f}, theirs {theirs['first_mean']:.6f}"
    return None


def other_cpu_percent(busy, own, elapsed, cpus):
    """The share of the machine's CPU time that processes other than ours had: busy and own in CPU seconds. Busy time is
    counted in ticks of 10 ms, so that a run of a moment could seem to have had less than nothing or more than all."""
    return min(100.0, max(0.0, 100.0 * (busy - own) / (elapsed * cpus)))


def summarise(pairs, max_other_cpu, disagreement, keys=("ms_per_step", "peak_memory_mib")):
    """One peer's pairs [{"ours": report, "theirs": report, "other_cpu": percent}] as one entry of the row.

    A pair beside which others worked too much does not count. What both did is compared in every pair:
    disagreement(ours, theirs) says what is wrong, or None. Of the numbers in `keys` the medians are kept.
    """
    valid = [pair for pair in pairs if pair["other_cpu"] <= max_other_cpu]
    entry = {
        "pairs": len(valid),
        "void_pairs": len(pairs) - len(valid),
        "other_cpu_percent": max((pair["other_cpu"] for pair in valid or pairs), default=None),
        "images_per_second": None,
        "ours": None,
        "ratio": None,
        "ratios": [],
        "void": None,
    }
    for pair in pairs:
        entry["void"] = disagreement(pair["ours"], pair["theirs"])
        if entry["void"]:
            break
    if not valid:
        entry["void"] = entry["void"] or "no pair while the machine was quiet"
        return entry
    entry["ratios"] = [p["ours"]["images_per_second"] / p["theirs"]["images_per_second"] for p in valid]
    entry["ratio"] = statistics.median(entry["ratios"])
    entry["images_per_second"] = statistics.median(p["theirs"]["images_per_second"] for p in valid)
    entry["ours"] = statistics.median(p["ours"]["images_per_second"] for p in valid)
    for key in keys:
        entry[key] = statistics.median(p["theirs"][key] for p in valid)
        entry["ours_" + key] = statistics.median(p["ours"][key] for p in valid)
    entry["losses"] = valid[0]["theirs"].get("losses")
    entry["version"] = valid[0]["theirs"].get("version")
    return entry


def make_row(setting, entries, reports, scouts=None):
    """A row from the peers' entries {name: entry} and all of our reports in pairs that count.

    The fastest peer is the one with the smallest ratio, not the one with the most images a second: neighbours in time
    are compared, so that a drift of the machine falls out. If one peer gives no figure the row has no ratio to the
    fastest: it might have been that one.
    """
    row = dict(setting)
    void = [f"{name}: {entry['void']}" for name, entry in entries.items() if entry["void"]]
    ratios = {name: entry["ratio"] for name, entry in entries.items() if not entry["void"]}
    row["ours"] = statistics.median(r["images_per_second"] for r in reports) if reports else None
    row["peers"] = {name: entry["images_per_second"] for name, entry in entries.items()}
    row["ratios"] = {name: entry["ratio"] for name, entry in entries.items()}
    row["fastest_peer"] = None if void else min(ratios, key=ratios.get)
    row["ratio_to_fastest"] = None if void else ratios[row["fastest_peer"]]
    row["void"] = "; ".join(void) or None
    if "ms_per_step" in (reports[0] if reports else {"ms_per_step": None}):
        row["ours_ms_per_step"] = statistics.median(r["ms_per_step"] for r in reports) if reports else None
        row["ours_losses"] = reports[0]["losses"] if reports else None
        row["isa"] = reports[0].get("isa") if reports else None
        row["active"] = reports[0].get("active") if reports else None
    row["ours_peak_memory_mib"] = statistics.median(r["peak_memory_mib"] for r in reports) if reports else None
    row["other_cpu_percent"] = max(
        (e["other_cpu_percent"] for e in entries.values() if e["other_cpu_percent"] is not None), default=None
    )
    row["details"] = entries
    row["scouts"] = {name: scout["images_per_second"] for name, scout in (scouts or {}).items()}
    return row


# ---- The machine ---------------------------------------------------------------------------------------------------


def cpu_name():
    fields = {}
    with open("/proc/cpuinfo") as file:
        for line in file:
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name") or fields.get("Model") or platform.machine()
    if "cpu family" in fields:
        name += f" (family {fields['cpu family']} model {fields.get('model', '?')})"
    return name


def cpu_clock():
    """What the machine's CPUs have worked in all, what we and our finished children did of it, the time; in seconds.

    Time that a hypervisor took away (steal) counts as work: somebody else's.
    """
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = (int(field) for field in file.readline().split()[1:9])
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    own = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        own += usage.ru_utime + usage.ru_stime
    return busy, own, time.monotonic()


def sha256_of_peers():
    digest = hashlib.sha256()
    for name in sorted(os.listdir(PEERS)):
        if name.endswith(".py"):
            with open(os.path.join(PEERS, name), "rb") as file:
                digest.update(name.encode() + b"\0" + file.read())
    return digest.hexdigest()


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- Running -------------------------------------------------------------------------------------------------------


class Runner:
    """Starts ours and theirs; keeps the start that was exported for peers without PyTorch's generator."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.python = os.path.join(options.venv, "bin", "python")
        self.starts = {}

    def process(self, name, command, environment):
        """Runs one process: what it printed, and how much others worked meanwhile."""
        busy, own, started = cpu_clock()
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **ISA_ENVIRONMENT[self.options.isa], **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                timeout=self.options.timeout,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failure(f"{name}: {error}") from None
        busy_after, own_after, ended = cpu_clock()
        if done.returncode != 0:
            lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
            raise Failure(f"{name}: exit status {done.returncode}: {lines[-1] if lines else 'no message'}")
        other = other_cpu_percent(busy_after - busy, own_after - own, ended - started, os.cpu_count())
        return done.stdout, other

    def report(self, name, command, environment):
        output, other = self.process(name, command, environment)
        lines = output.strip().splitlines()
        try:
            return json.loads(lines[-1]), other
        except (IndexError, ValueError):
            raise Failure(f"{name}: printed no report") from None

    def arguments(self, setting, seconds):
        words = ["--network", setting["network"], "--mode", setting["mode"], "--batch", str(setting["batch"])]
        words += ["--threads", str(setting["threads"]), "--seconds", str(seconds)]
        words += ["--data", self.options.data if setting["network"] == "mnist" else self.options.pictures]
        if self.options.batches is not None:
            words += ["--batches", str(self.options.batches)]
        return words

    def ours(self, setting):
        command = [self.options.facula, "bench", "--json", *self.arguments(setting, self.options.seconds)]
        return self.report("facula", command, {})

    def start(self, setting):
        """The .npz with PyTorch's weights and the batches of this network and batch size, made at the first call."""
        key = (setting["network"], setting["batch"])
        if key not in self.starts:
            path = os.path.join(self.folder, f"{key[0]}-{key[1]}.npz")
            script = os.path.join(PEERS, "torch_peer.py")
            command = [self.python, script, *self.arguments(setting, 1), "--export", path]
            self.process("torch --export", command, self.peer_environment([]))
            self.starts[key] = path
        return self.starts[key]

    def peer_environment(self, settings):
        # torch.compile's helper processes outlive their parent's wait and would count as others' work.
        environment = {"PYTHONDONTWRITEBYTECODE": "1", "CUDA_VISIBLE_DEVICES": "", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        return {**environment, **(TUNED_MALLOC if "tuned" in settings else {})}

    def peer(self, name, setting, seconds):
        framework, settings = parse_peer(name)
        script = os.path.join(PEERS, FRAMEWORKS[framework]["script"])
        command = [self.python, script, *self.arguments(setting, seconds)]
        command += ["--" + word for word in settings if word != "tuned"]
        if framework == "tensorflow":
            command += ["--start", self.start(setting)]
        return self.report(name, command, self.peer_environment(settings))

    def epoch(self, setting):
        """A first epoch of ours."""
        command = [self.options.facula, "bench", "--json", *self.epoch_arguments(setting)]
        return self.report("facula", command + ["--threads", str(setting["workers"])], {})

    def peer_epoch(self, name, setting):
        script = os.path.join(PEERS, "torch_loader.py")
        command = [self.python, script, *self.epoch_arguments(setting)]
        return self.report(name, command + (["--decode"] if name == "torch-decode" else []), self.peer_environment([]))

    def epoch_arguments(self, setting):
        words = ["--loader", setting["loader"], "--batch", str(setting["batch"]), "--workers", str(setting["workers"])]
        return [*words, "--data", self.unpacked_digits() if setting["loader"] == "mnist" else self.options.pictures]

    def unpacked_digits(self):
        """MNIST's plain IDX files where torchvision looks for them, made at the first call."""
        raw = os.path.join(self.folder, "MNIST", "raw")
        if not os.path.isdir(raw):
            os.makedirs(raw)
            for name in sorted(os.listdir(self.options.data)):
                path = os.path.join(self.options.data, name)
                if "ubyte" in name and os.path.isfile(path):
                    with (gzip.open if name.endswith(".gz") else open)(path, "rb") as packed:
                        content = packed.read()
                    with open(os.path.join(raw, name.removesuffix(".gz")), "wb") as plain:
                        plain.write(content)
        return self.folder

    def check_peer(self, framework):
        """The framework's version; a Failure that says what to do if it is not there."""
        try:
            command = [self.python, "-c", f"import {framework}; print({framework}.__version__)"]
            return self.process(framework, command, self.peer_environment([]))[0].strip().splitlines()[-1]
        except (Failure, IndexError) as error:
            raise Failure(
                f"{framework} cannot be imported by {self.python} ({error}). Hint: bench/setup_peers.sh makes the "
                "environment; FACULA_PEERS_VENV or --venv names another; --peers leaves peers out."
            ) from None


def scout(runner, setting, peers):
    """One short run of each peer, tried again while others work: {name: figure, others' CPU}; and {name: why none}."""
    options = runner.options
    scouts, failures = {}, {}
    for name in peers:
        for _ in range(1 + options.retries):
            try:
                if parse_peer(name)[0] == "tensorflow":
                    runner.start(setting)
                report, other = runner.peer(name, setting, options.scout)
            except Failure as failure:
                failures[name] = str(failure)
                say(f"  {failure}")
                break
            quiet = other <= options.max_other_cpu
            say(
                f"  scout {name} {report['images_per_second']:9.1f} images/s  others' CPU {other:.1f} %"
                + ("" if quiet else " (void: others worked)")
            )
            if quiet:
                scouts[name] = {"images_per_second": report["images_per_second"], "other_cpu_percent": other}
                break
        else:
            failures[name] = "no scout while the machine was quiet"
    return scouts, failures


def pair_up(options, peers, run_ours, run_peer, failures=None):
    """Pairs of ours and each peer in turn, until each peer has enough that count or has had its tries; and why a peer
    failed. run_ours(name) and run_peer(name) give a report and the percentage of others' work."""
    pairs = {name: [] for name in peers}
    failures = dict(failures or {})

    def counted(name):
        return [pair for pair in pairs[name] if pair["other_cpu"] <= options.max_other_cpu]

    for _ in range(options.pairs + options.retries):
        for name in peers:
            if name in failures or len(counted(name)) >= options.pairs:
                continue
            try:
                ours, other_ours = run_ours(name)
                theirs, other_theirs = run_peer(name)
            except Failure as failure:
                failures[name] = str(failure)
                say(f"  {failure}")
                continue
            pair = {"ours": ours, "theirs": theirs, "other_cpu": max(other_ours, other_theirs)}
            pairs[name].append(pair)
            void = " (void: others worked)" if pair["other_cpu"] > options.max_other_cpu else ""
            say(
                f"  ours {ours['images_per_second']:9.1f}  {name} {theirs['images_per_second']:9.1f} images/s  "
                f"ratio {ours['images_per_second'] / theirs['images_per_second']:.2f}  "
                f"others' CPU {pair['other_cpu']:.1f} %{void}"
            )
    return pairs, failures


def row_of(options, setting, pairs, failures, summary, scouts=None):
    entries = {name: summary(pairs[name]) for name in pairs}
    for name in failures:
        entries[name]["void"] = failures[name]
    counted = [p["ours"] for name in pairs for p in pairs[name] if p["other_cpu"] <= options.max_other_cpu]
    return make_row(setting, entries, counted, scouts)


def compare(runner, setting):
    """One row of a network. With --scout only with those peers that were the fastest in a run of their own."""
    options = runner.options
    peers = peers_for(options.peers, setting["mode"])
    scouts, failures = scout(runner, setting, peers) if options.scout else ({}, {})
    if scouts:
        peers = kept_after_scouting(scouts, options.keep) + list(failures)

    def ours(name):
        if parse_peer(name)[0] == "tensorflow":
            runner.start(setting)
        return runner.ours(setting)

    def disagreement(mine, theirs):
        return loss_disagreement(setting["network"], setting["mode"], mine["losses"], theirs["losses"])

    pairs, failed = pair_up(options, peers, ours, lambda name: runner.peer(name, setting, options.seconds), failures)
    summary = functools.partial(summarise, max_other_cpu=options.max_other_cpu, disagreement=disagreement)
    return row_of(options, setting, pairs, failed, summary, scouts)


def compare_epochs(runner, setting):
    """One row of a data set's first epoch."""
    options = runner.options
    pairs, failures = pair_up(
        options,
        LOADER_PEERS[setting["loader"]],
        lambda name: runner.epoch(setting),
        lambda name: runner.peer_epoch(name, setting),
    )
    summary = functools.partial(
        summarise,
        max_other_cpu=options.max_other_cpu,
        disagreement=functools.partial(epoch_disagreement, setting["loader"]),
        keys=("seconds", "peak_memory_mib"),
    )
    return row_of(options, setting, pairs, failures, summary)


def number(value, form):
    return "-" if value is None else format(value, form)


def lines_of(rows, left):
    """Rows of cells, the first one a head, as text in columns; those numbered in `left` begin at the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]


def table(rows, first=("network", "mode", "batch", "threads")):
    """The rows as text: images a second of all, and our ratio to each peer in brackets; of scouted peers the fastest
    alone, with the others' single figures below. `first`: the columns before."""
    scouted = any(row["scouts"] for row in rows)
    peers = [] if scouted else list(dict.fromkeys(name for row in rows for name in row["peers"]))
    head = [*first, "ours", *peers, "fastest"]
    head += (["its images/s"] if scouted else []) + ["ratio", "of pairs", "others' CPU"]
    lines = [head]
    for row in rows:
        fastest = row["fastest_peer"]
        cells = [*(str(row[key]) for key in first), number(row["ours"], ".0f")]
        for name in peers:
            shown = f"{number(row['peers'].get(name), '.0f')} ({number(row['ratios'].get(name), '.2f')})"
            cells.append(shown if name in row["peers"] else "")
        cells.append(fastest or "-")
        if scouted:
            cells.append(number(row["peers"][fastest] if fastest else None, ".0f"))
        pairs = row["details"][fastest]["ratios"] if fastest else []
        cells += [number(row["ratio_to_fastest"], ".2f") if not row["void"] else "void"]
        cells += [f"{min(pairs):.2f}-{max(pairs):.2f}" if pairs else "-"]
        cells.append(number(row["other_cpu_percent"], ".1f") + " %")
        lines.append(cells)
    text = lines_of(lines, {0, 1, head.index("fastest")})
    for row in rows:
        if row["scouts"]:
            figures = ", ".join(f"{name} {figure:.0f}" for name, figure in row["scouts"].items())
            text.append(f"scouts: {row['network']}, {row['mode']}, {row['threads']} threads: {figures}")
    text += [f"void: {', '.join(str(row[key]) for key in first[:2])}: {row['void']}" for row in rows if row["void"]]
    return "\n".join(text)


# ---- Command line --------------------------------------------------------------------------------------------------


def word_list(allowed):
    def read(text):
        words = text.split(",")
        for word in words:
            if word not in allowed:
                raise argparse.ArgumentTypeError(f'got "{word}", needs any of {",".join(allowed)}')
        return words

    return read


def peer_list(text):
    names = list(dict.fromkeys(text.split(",")))
    try:
        for name in names:
            if name not in GROUPS:
                parse_peer(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return names


def count_list(text):
    try:
        counts = [int(word) for word in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise argparse.ArgumentTypeError(f'got "{text}", needs whole numbers of at least 1 with commas between')
    return counts


def positive(kind):
    def read(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"got {text}, needs more than 0")
        return value

    read.__name__ = kind.__name__
    return read


def add_common(parser, program):
    """The options that the scripts beside this one share. `program`: their part of ours, a target of the build."""
    venv = os.environ.get("FACULA_PEERS_VENV") or os.path.join(BENCH, ".venv")
    path = os.path.join(ROOT, "build", "release", program)
    parser.add_argument("--threads", type=positive(int), default=len(os.sched_getaffinity(0)))
    parser.add_argument("--max-other-cpu", type=float, default=2.0, help="percent of the machine that others may use")
    parser.add_argument("--program", default=path, help=f"built by: cmake --build --preset release -t {program}")
    parser.add_argument("--venv", default=venv, help="the peer's environment")


def must_exist(*paths):
    script = os.path.basename(sys.argv[0])
    for path in paths:
        if not os.path.exists(path):
            sys.exit(f"{script}: there is no {path}. Hint: {script} --help says how it is made")


def read_options(words):
    parser = argparse.ArgumentParser(
        description="Holds facula bench against PyTorch and TensorFlow, in turn, and prints the ratios.",
        epilog="A peer is torch or tensorflow and, after dashes, any settings: "
        + "; ".join(f"{name}: {', '.join(f['settings'])}" for name, f in FRAMEWORKS.items())
        + ". tuned: glibc's malloc keeps large blocks. all: each combination; best: those that were the fastest "
        + "somewhere. Example: --peers torch,torch-channels-last-tuned,tensorflow-jit",
    )
    venv = os.environ.get("FACULA_PEERS_VENV") or os.path.join(BENCH, ".venv")
    parser.add_argument("--network", type=word_list(NETWORKS), default=["mnist", "cifar"], help="with commas between")
    parser.add_argument("--mode", type=word_list(("train", "infer")), default=["train"], help="train, infer or both")
    cpus = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=count_list, default=[cpus], help="with commas between")
    parser.add_argument("--batch", type=count_list, help="images a step; default: the network's usual batch")
    parser.add_argument("--batches", type=positive(int), help="different ones, used in turn; default: 20, 4 for img224")
    parser.add_argument("--seconds", type=positive(float), default=10.0, help="of measurement for each process")
    parser.add_argument("--pairs", type=positive(int), default=5, help="pairs that count, for each peer")
    parser.add_argument("--retries", type=int, help="further pairs in place of void ones; default: as many as --pairs")
    parser.add_argument("--peers", type=peer_list, default=["torch", "tensorflow"], help="with commas between")
    parser.add_argument(
        "--scout", type=positive(float), metavar="SECONDS", help="first run each peer once; pairs with the fastest alone"
    )
    parser.add_argument("--keep", type=positive(int), default=2, help="peers at most after --scout")
    parser.add_argument("--max-other-cpu", type=float, default=2.0, metavar="PERCENT", help="beyond it a pair is void")
    parser.add_argument("--isa", choices=("avx2",), help="both sides without AVX-512")
    parser.add_argument("--facula", default=os.path.join(ROOT, "build", "release", "facula"), help="the command")
    parser.add_argument("--loader", type=word_list(LOADER_PEERS), help="first epochs of mnist, jpeg or both instead")
    parser.add_argument("--workers", type=positive(int), default=2, help="of the loaders")
    parser.add_argument(
        "--pictures",
        metavar="DIR",
        help="of --loader jpeg: DIR/train/CLASS/*.jpg and DIR/test/...; of networks: DIR/CLASS/*.jpg, data/pictures",
    )
    parser.add_argument("--data", default=os.path.join(ROOT, "data", "mnist"), help="the folder of MNIST's files")
    parser.add_argument("--venv", default=venv, help="of the peers; default: $FACULA_PEERS_VENV or bench/.venv")
    parser.add_argument("--timeout", type=positive(float), default=900.0, metavar="SECONDS", help="for one process")
    parser.add_argument("--json", action="store_true", help="a list of rows instead of the table")
    options = parser.parse_args(words)
    if "jpeg" in (options.loader or []) and not options.pictures:
        parser.error("--loader jpeg needs --pictures DIR, a folder with train/ and test/")
    if options.pictures is None:
        options.pictures = os.path.join(ROOT, "data", "pictures")
    if options.retries is None:
        options.retries = options.pairs
    return options


def main(words=None):
    options = read_options(words)
    rows = []
    with tempfile.TemporaryDirectory(prefix="facula-bench-") as folder:
        runner = Runner(options, folder)
        if options.loader:
            options.peers = ["torch"]
        # TensorFlow's start comes from PyTorch, so that it needs both.
        frameworks = {parse_peer(name)[0]: None for name in peers_for(options.peers, "train")} | {"torch": None}
        try:
            for framework in frameworks:
                frameworks[framework] = runner.check_peer(framework)
        except Failure as failure:
            say(f"compare.py: {failure}")
            return 1
        digest = sha256_of_peers()
        versions = ", ".join(f"{name} {version}" for name, version in frameworks.items())
        versions += f"; all held to {options.isa}" if options.isa else ""
        say(f"{cpu_name()}, {os.cpu_count()} CPUs; {versions}; peers' scripts sha256 {digest[:16]}")
        for data_set in options.loader or []:
            setting = {"loader": data_set, "batch": (options.batch or [64])[0], "workers": options.workers}
            setting |= {"cpu": cpu_name(), "peers_sha256": digest}
            say(f"loader, {data_set}, batch {setting['batch']}, {options.workers} workers")
            rows.append(compare_epochs(runner, setting))
        for network in [] if options.loader else options.network:
            for mode in options.mode:
                for threads in options.threads:
                    for batch in options.batch or [USUAL_BATCH[network]]:
                        setting = {"network": network, "mode": mode, "batch": batch, "threads": threads}
                        setting |= {"dtype": "float32", "cpu": cpu_name(), "peers_sha256": digest}
                        say(f"{network}, {mode}, batch {batch}, {threads} thread{'' if threads == 1 else 's'}")
                        rows.append(compare(runner, setting))
    shown = table(rows, ("loader", "batch", "workers")) if options.loader else table(rows)
    print(json.dumps(rows, indent=2) if options.json else shown)
    if options.json:
        for row in rows:
            if row["void"]:
                say(f"void: {row.get('network') or row['loader']}: {row['void']}")
    return 1 if any(row["void"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
