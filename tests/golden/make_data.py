"""Makes data_golden.inc and transforms_golden.inc: what PyTorch's loaders, samplers, splits and transforms give, for
tests/data.

    python make_data.py               # needs torch; writes beside this file

Each loader case lists its batches as "size, indices...", epoch after epoch. In the loop's body a random_() int64 is drawn
for each batch from the generator that the case uses, so that the moment of each of the loader's own draws shows. Hashes
are FNV-1a over bytes.
"""
import pathlib

import torch
from torch.utils.data import (DataLoader, Dataset, RandomSampler, SequentialSampler, SubsetRandomSampler,
                              random_split)

HERE = pathlib.Path(__file__).resolve().parent


class Numbers(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i


def word(g):
    return torch.empty((), dtype=torch.int64).random_(generator=g).item()


def numbers(values, hexadecimal=False):
    return ", ".join(f"{v:#x}" if hexadecimal else str(v) for v in values)


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


NONE, SEQUENTIAL, RANDOM, REPLACED, SUBSET = range(5)
SUBSET_INDICES = [5, 7, 2, 9, 0]

# seed, generator seed (-1: none), n, batch size, shuffle, drop_last, sampler, its num_samples, batches taken (-1: all)
LOADERS = [
    (0, -1, 10, 3, 1, 0, NONE, 0, -1), (0, -1, 10, 3, 1, 1, NONE, 0, -1), (1, -1, 10, 3, 0, 0, NONE, 0, -1),
    (2, -1, 1, 4, 1, 0, NONE, 0, -1), (3, -1, 100, 32, 1, 0, NONE, 0, -1), (5, -1, 12, 4, 1, 0, NONE, 0, 1),
    (5, -1, 10, 20, 1, 1, NONE, 0, -1), (5, -1, 0, 2, 0, 0, NONE, 0, -1),
    (0, 7, 10, 3, 1, 0, NONE, 0, -1), (0, 7, 10, 3, 1, 1, NONE, 0, -1), (0, 7, 10, 5, 1, 0, NONE, 0, -1),
    (0, 8, 10, 5, 1, 0, NONE, 0, 2), (0, 8, 10, 3, 1, 0, NONE, 0, 4), (0, 8, 10, 3, 1, 0, NONE, 0, 3),
    (0, 9, 10, 3, 0, 0, NONE, 0, -1), (0, 3, 600, 64, 1, 0, NONE, 0, -1),
    (4, -1, 10, 4, 0, 0, SEQUENTIAL, 0, -1), (4, -1, 10, 4, 0, 0, RANDOM, 10, -1), (4, -1, 10, 4, 0, 0, RANDOM, 25, -1),
    (4, 3, 10, 4, 0, 0, RANDOM, 25, -1), (4, 3, 10, 4, 0, 0, RANDOM, 20, -1), (4, 3, 10, 4, 0, 0, RANDOM, 7, -1),
    (4, -1, 10, 20, 0, 0, REPLACED, 40, -1), (4, 3, 10, 20, 0, 0, REPLACED, 70, -1), (4, 3, 10, 8, 0, 1, REPLACED, 64, -1),
    (4, -1, 10, 2, 0, 0, SUBSET, 5, -1), (4, 3, 10, 2, 0, 1, SUBSET, 5, -1),
]
EPOCHS = 3


def run_loader(seed, generator_seed, n, b, shuffle, drop, kind, samples, take):
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(generator_seed) if generator_seed >= 0 else None
    data = Numbers(n)
    sampler = {NONE: lambda: None, SEQUENTIAL: lambda: SequentialSampler(data),
               RANDOM: lambda: RandomSampler(data, num_samples=samples, generator=g),
               REPLACED: lambda: RandomSampler(data, replacement=True, num_samples=samples, generator=g),
               SUBSET: lambda: SubsetRandomSampler(SUBSET_INDICES, generator=g)}[kind]()
    loader = DataLoader(data, b, shuffle=bool(shuffle) if sampler is None else None, sampler=sampler,
                        drop_last=bool(drop), generator=g)
    batches, drawn = [], []
    for _ in range(EPOCHS):
        if take == 0:
            continue
        for k, batch in enumerate(loader):
            batches += [len(batch)] + batch.tolist()
            drawn.append(word(g))
            if k + 1 == take:
                break
    return batches, drawn, [word(None), word(g)], len(loader)


# n, generator seed, parts
SPLITS = [(10, -1, [5, 3, 2]), (11, 42, [0.5, 0.3, 0.2]), (10, -1, [1, 0]), (7, 1, [0.7, 0.2, 0.1]), (60, -1, [55, 5]),
          (9, 2, [0.25, 0.25, 0.25, 0.25])]


def main():
    lines = [f"/* Made by make_data.py with PyTorch {torch.__version__.split('+')[0]}. */", ""]
    table = []
    for i, case in enumerate(LOADERS):
        batches, drawn, then, length = run_loader(*case)
        lines.append(f"static const int16_t batches_{i}[] = {{{numbers(batches + [-1])}}};")
        lines.append(f"static const int64_t drawn_{i}[] = {{{numbers(drawn + [0], True)}}};")
        table.append(f"    {{{numbers(case)}, {length}, batches_{i}, drawn_{i}, {{{numbers(then, True)}}}}},")
    lines += ["static const golden_loader golden_loaders[] = {", *table, "};", ""]
    lines.append(f"static const int64_t golden_subset[] = {{{numbers(SUBSET_INDICES)}}};\n")

    table = []
    for i, (n, seed, parts) in enumerate(SPLITS):
        torch.manual_seed(6)
        g = torch.Generator().manual_seed(seed) if seed >= 0 else None
        made = random_split(Numbers(n), parts, generator=g) if g else random_split(Numbers(n), parts)
        order = [j for part in made for j in part.indices]
        lines.append(f"static const int16_t split_{i}[] = {{{numbers(order)}}};")
        table.append(f"    {{{n}, {seed}, {len(parts)}, {{{numbers(parts)}}}, {{{numbers(len(p) for p in made)}}}, "
                     f"split_{i}, {word(None):#x}}},")
    lines += ["static const golden_split golden_splits[] = {", *table, "};", ""]

    (HERE / "data_golden.inc").write_text("\n".join(lines))

    lines = lines[:2]
    x = torch.arange(256, dtype=torch.uint8).to(torch.float32).div(255)
    lines.append(f"static const uint64_t golden_to_tensor = {fnv(x.numpy().tobytes()):#x};")
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1)
    y = x.expand(3, 256).clone().sub_(mean).div_(std)
    lines.append(f"static const uint64_t golden_normalize3 = {fnv(y.numpy().tobytes()):#x};")
    y = x.clone().sub_(torch.tensor([0.1307])).div_(torch.tensor([0.3081]))
    lines.append(f"static const uint64_t golden_normalize1 = {fnv(y.numpy().tobytes()):#x};")
    (HERE / "transforms_golden.inc").write_text("\n".join(lines) + "\n")


main()
