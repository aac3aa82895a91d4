#!/usr/bin/env python3
"""Everything that depends on a seed against PyTorch, live, with seeds drawn now.

usage: compare_numbers.py PROGRAM [SEEDS [FIRST]]     PROGRAM: torch_numbers as built; SEEDS: how many (200);
                                                      FIRST: repeats a run that printed it

Ends with 77, which CTest counts as skipped, where torch or torchvision is not installed.
"""
import pathlib
import random
import subprocess
import sys

try:
    import numpy
    import torch
    import torchvision  # noqa: F401, make_numbers needs it
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import make_numbers  # noqa: E402

STATE, LARGE = 5056, 214748364


def close(got, want):
    """Whether floats are within 1e-6, and the largest difference."""
    a, b = (numpy.frombuffer(x, numpy.float32).astype(numpy.float64) for x in (got, want))
    difference = float(numpy.max(numpy.abs(a - b) / numpy.maximum(1, numpy.abs(b)), initial=0))
    return difference <= 1e-6, difference


def continues(data):
    """Whether PyTorch, given the first state that our program wrote, goes on with what our program drew from it."""
    generator = torch.Generator()
    generator.set_state(torch.tensor(list(data[:STATE]), dtype=torch.uint8))
    drawn = torch.randn(3, generator=generator).numpy().tobytes() + torch.rand(700, generator=generator).numpy().tobytes()
    drawn += generator.get_state().numpy().tobytes()
    return data[STATE:STATE + len(drawn)] == drawn


def compare_permutations(program, seed):
    """Around the length where the algorithm changes; both sides need its memory at once. The number of failures."""
    free = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemAvailable")) * 1024
    if free < 10 * LARGE * 8 // 3:
        print(f"permutations of {LARGE} numbers need more memory than the {free >> 30} GiB that are free")
        return 0
    failures = 0
    for n in (LARGE - 1, LARGE):
        out = subprocess.run([program, "permutation", str(seed), str(n)], capture_output=True, text=True, check=True).stdout
        torch.manual_seed(seed)
        p = torch.randperm(n).numpy()
        want = [*p[:100].tolist(), *p[-100:].tolist()]
        p *= numpy.arange(n)
        want += [int(p.sum(dtype=numpy.uint64)), torch.randint(0, 2**63 - 1, (1,)).item()]
        if [int(x) for x in out.split()] != want:
            failures += 1
            print(f"FAILED seed {seed}: a permutation of {n} numbers")
    print(f"permutations of {LARGE - 1} and {LARGE} numbers compared")
    return failures


def main():
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200
    first = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().getrandbits(64)
    torch.set_num_threads(1)
    draw = random.Random(first)
    seeds = [draw.getrandbits(64) if i % 2 else draw.getrandbits(20) for i in range(count)]
    print(f"{count} seeds from {first}")
    failures, worst, checked = 0, {}, 0
    for begin in range(0, count, 20):
        part = seeds[begin:begin + 20]
        out = subprocess.run([program, *map(str, part)], capture_output=True, text=True, check=True).stdout.splitlines()
        ours = {}
        for line in out:
            words = line.split(" ")
            if words[0] == "seed":
                table = ours.setdefault(int(words[1]), {})
            else:
                table[words[0]] = (words[1] == "exact", bytes.fromhex(words[2]))
        for seed in part:
            for name, exact, want in make_numbers.run(seed):
                said, got = ours[seed].pop(name)
                fine, difference = (got == want, 0) if exact else close(got, want) if len(got) == len(want) else (False, 0)
                if name == "states":
                    fine = fine and continues(got)
                worst[name] = max(worst.get(name, 0), difference)
                checked += 1
                if not fine or said != exact:
                    failures += 1
                    place = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
                    print(f"FAILED seed {seed}, {name}: {len(got)} bytes, PyTorch {len(want)}, first other byte {place}, "
                          f"difference {difference:.2e}")
            if ours[seed]:
                failures += 1
                print(f"FAILED seed {seed}: PyTorch's side lacks {', '.join(ours[seed])}")
    print(f"{checked} comparisons, {failures} failures; largest differences "
          + ", ".join(f"{name} {d:.1e}" for name, d in worst.items() if d))
    failures += compare_permutations(program, seeds[0])
    return failures > 0


sys.exit(main())
