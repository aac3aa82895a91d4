"""Makes numbers.json: everything that depends on a seed, for the seeds below, as PyTorch gives it. The cases are those of
tests/support/number_cases.c in PyTorch's words; tests/torch/compare_numbers.py runs them for other seeds.

    python make_numbers.py            # needs torch, torchvision, numpy, pillow; writes beside this file

Exact cases are kept as the FNV-1a hash and number of their bytes, the others, of two seeds, as the bytes of their float32
values in hexadecimal.
"""
import json
import math
import pathlib
import struct

import numpy
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import (BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler, SubsetRandomSampler,
                              WeightedRandomSampler, random_split)
from torchvision import transforms as T

HERE = pathlib.Path(__file__).resolve().parent
SEEDS = [0, 1, 42, 2**32 + 5, 2**63 + 11]
M64 = 2**64 - 1


def mix(seed, k):
    x = (seed * 0x9E3779B97F4A7C15 + k * 0xBF58476D1CE4E5B9) & M64
    x ^= x >> 31
    x = (x * 0x94D049BB133111EB) & M64
    return x ^ (x >> 29)


class Run:
    def __init__(self, seed):
        self.seed, self.parts = seed, []

    def pick(self, k, lo, hi):
        return lo + mix(self.seed, k) % (hi - lo)

    def given(self, k, *shape):
        values = [(mix(self.seed, 1000 * (k + 1) + i) >> 48) / 16384.0 - 2.0 for i in range(math.prod(shape))]
        return torch.tensor(values, dtype=torch.float32).reshape(shape)

    def give(self, x):
        self.parts.append(x if isinstance(x, bytes) else x.detach().contiguous().numpy().tobytes())

    def word(self, generator=None):
        self.give(struct.pack("<q", torch.empty((), dtype=torch.int64).random_(generator=generator).item()))


def f64(*shape):
    return torch.empty(*shape, dtype=torch.float64)


# ---- Draws

def integers(r):
    for high in [1, 2, r.pick(0, 3, 100000), 2**28 - 1, 2**28, 2**31 + r.pick(1, 0, 1000), 2**40, 2**63 - 1]:
        r.give(torch.randint(0, high, (13,)))
    r.give(torch.randint(-5, 1 + r.pick(2, 0, 50), (7,)))


def uniforms(r):
    for i, n in enumerate([1, 7, 15, 16, 17, r.pick(0, 18, 3000)]):
        r.give(torch.rand(n))
        r.give(torch.rand(n, dtype=torch.float64))
        lo = r.pick(10 + i, -100, 100) / 7
        hi = lo + r.pick(20 + i, 1, 100) / 3
        r.give(torch.empty(n).uniform_(lo, hi))
        r.give(f64(n).uniform_(lo, hi))


def normals(r):
    for n in range(1, 36):
        r.give(torch.randn(n))
    many, mean, std = r.pick(0, 36, 3000), r.pick(1, -100, 100) / 7, r.pick(2, 0, 100) / 9
    r.give(torch.randn(many))
    r.give(torch.empty(5).normal_(mean, std))
    r.give(torch.empty(many).normal_(mean, std))


def normals_float64(r):
    for n in range(1, 36, 3):
        r.give(torch.randn(n, dtype=torch.float64))
    mean, std = r.pick(1, -100, 100) / 7, r.pick(2, 0, 100) / 9
    r.give(f64(11).normal_(mean, std))
    r.give(f64(r.pick(0, 36, 900)).normal_(mean, std))


def cached_normals(r):
    for x in (torch.randn(3), torch.rand(2), torch.randn(20), torch.randperm(5), torch.randn(2, dtype=torch.float64),
              torch.randn(1)):
        r.give(x)


def views(r):
    a, b, c = r.pick(0, 2, 7), r.pick(1, 2, 7), r.pick(2, 3, 7)
    x, y, z = torch.zeros(a, b, c), torch.zeros(b, c), torch.zeros(a, c, dtype=torch.float64)
    x.permute(2, 0, 1)[:, ::2].normal_(1, 3)
    r.give(x)
    x.permute(1, 2, 0).uniform_(-1, 2)
    r.give(x)
    x.permute(1, 0, 2)[:, :, 1::2].bernoulli_(0.4)
    r.give(x)
    y.t().normal_()
    y.t()[1:].exponential_(1.5)
    r.give(y)
    z.t().normal_(2, 0.5)
    r.give(z)


def permutations(r):
    for n in [0, 1, 2, 10, r.pick(0, 11, 5000)]:
        r.give(torch.randperm(n))


def bernoullis(r):
    p = r.pick(0, 0, 1001) / 1000
    r.give(torch.empty(33).bernoulli_(p))
    r.give(f64(33).bernoulli_(p))
    r.give(torch.empty(33, dtype=torch.uint8).bernoulli_(p))
    chances = torch.rand(4, 10)
    r.give(torch.bernoulli(chances))
    r.give(torch.bernoulli(chances.double()))


def exponentials(r):
    rate = r.pick(0, 1, 1000) / 100
    r.give(torch.empty(40).exponential_(rate))
    r.give(f64(20).exponential_(rate))


def multinomials(r):
    n = r.pick(0, 2, 60)
    k = r.pick(1, 1, n + 1)
    for dtype in (torch.float32, torch.float64):
        w = torch.rand(2, n).to(dtype)
        r.give(torch.multinomial(w, k))
        r.give(torch.multinomial(w, 40, replacement=True))
        r.give(torch.multinomial(w[1], 1, replacement=True))


def dropouts(r):
    p = r.pick(0, 0, 101) / 100
    x = r.given(0, 2, 3, 4, 5)
    r.give(F.dropout(x, p))
    r.give(F.dropout(x, 0.5))
    r.give(F.dropout2d(x, p))
    r.give(F.dropout(x, p, training=False))


def likes(r):
    a, b, c = r.pick(0, 2, 5), r.pick(1, 3, 6), r.pick(2, 2, 7)
    x = r.given(0, a, b, c)
    for i, view in enumerate((x.permute(2, 0, 1), x.permute(1, 0, 2)[1:], x[:, 1:], x[:1].expand(a, b, c),
                              x.expand(2, a, b, c).transpose(0, 3))):
        r.give(torch.rand_like(view))
        r.give(torch.randn_like(view))
        r.give(torch.randn_like(view, dtype=torch.float64))
        r.give(torch.randint_like(view, -9, 50))
        r.give(torch.randint_like(view, 0, 7, dtype=torch.int64))
        r.give(F.dropout(view, r.pick(3 + i, 1, 100) / 100))
        r.give(F.dropout2d(view, 0.5, True))


# ---- Initial weights

def layers(r):
    c, d, k = 2 * r.pick(0, 1, 9), 2 * r.pick(1, 1, 9), r.pick(2, 1, 6)
    model = nn.Sequential(
        nn.Conv2d(3, c, k), nn.BatchNorm2d(c),
        nn.Sequential(nn.Conv2d(c, d, 3, groups=2, bias=False), nn.GroupNorm(2, d), nn.PReLU(d)),
        nn.ConvTranspose2d(d, c, 2, groups=2), nn.Conv2d(c, c, (1, 3), groups=c, padding_mode="reflect"),
        nn.InstanceNorm2d(c, affine=True), nn.Flatten(), nn.Linear(c, d), nn.LayerNorm(d), nn.BatchNorm1d(d),
        nn.Dropout(), nn.Linear(d, r.pick(3, 1, 40), bias=False), nn.ConvTranspose2d(d, 3, 3, bias=False))
    for p in list(model.parameters()) + list(model.buffers()):
        r.give(p)


def initialisers(r):
    a, b = 2 * r.pick(0, 1, 9), r.pick(1, 1, 9)
    w, m, gain = torch.empty(a, b, 3, 3), torch.empty(a, b), r.pick(2, 1, 30) / 10
    init = nn.init
    for call in (lambda: init.uniform_(w, -gain, gain), lambda: init.normal_(w, 1, gain), lambda: init.constant_(m, gain),
                 lambda: init.ones_(m), lambda: init.zeros_(m), lambda: init.eye_(m), lambda: init.dirac_(w),
                 lambda: init.dirac_(w, 2), lambda: init.xavier_uniform_(w, gain), lambda: init.xavier_normal_(m, gain),
                 lambda: init.kaiming_uniform_(w), lambda: init.kaiming_uniform_(m, 0.25, "fan_out"),
                 lambda: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
                 lambda: init.kaiming_normal_(m, nonlinearity="tanh"),
                 lambda: init.kaiming_normal_(w, nonlinearity="selu"),
                 lambda: init.kaiming_uniform_(w, nonlinearity="linear")):
        r.give(call())


def truncated_normals(r):
    w = torch.empty(r.pick(0, 1, 12), r.pick(1, 1, 40))
    for args in ((), (0, 0.02), (0.5, 1, -1, 1), (0, 1, 1.5, 2), (0, 2, -0.25, 0.25)):
        r.give(nn.init.trunc_normal_(w, *args))


def orthogonal(r):
    nn.init.orthogonal_(torch.empty(r.pick(0, 1, 12), r.pick(1, 1, 12)), 2)


# ---- Data

class Numbers(Dataset):
    def __init__(self, n, transform=None):
        self.n, self.transform = n, transform

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if self.transform is None:
            return i
        k = numpy.arange(9 * 7 * 3, dtype=numpy.int64)
        pixels = ((k * 37 + (k * k // 7) * 11 + i * 101) % 256).astype(numpy.uint8).reshape(9, 7, 3)
        return i, self.transform(Image.fromarray(pixels))


def random_splits(r):
    data = Numbers(r.pick(0, 10, 200))
    for lengths in ([data.n - 7, 7], [0.5, 0.3, 0.2]):
        for part in random_split(data, lengths):
            for batch in DataLoader(part, 1000):
                r.give(batch)


def one_pass(r, loader, generator=None):
    for batch in loader:
        for field in batch if isinstance(batch, list) else [batch]:
            r.give(field)
        r.word(generator)


def loaders(r):
    data, other = Numbers(r.pick(0, 1, 90)), Numbers(r.pick(1, 1, 30))
    size = r.pick(2, 1, 20)
    drop = r.pick(3, 0, 2) != 0 and data.n >= size
    for own in (False, True):
        for validate in (False, True):
            g = torch.Generator().manual_seed(r.seed + 1) if own else None
            loader, check = DataLoader(data, size, shuffle=True, drop_last=drop, generator=g), DataLoader(other, 7)
            for _ in range(3):
                one_pass(r, loader, g)
                if validate:
                    one_pass(r, check)
            r.word(g)


def samplers(r):
    data = Numbers(40)
    weights = [r.pick(100 + i, 1, 1000) / 64 for i in range(40)]
    chosen = [r.pick(200 + i, 0, 40) for i in range(15)]
    k, many = r.pick(0, 6, 41), r.pick(1, 6, 150)

    class OddFirst:
        def __len__(self):
            return 40

        def __iter__(self):
            r.word()
            return iter([2 * i + 1 if i < 20 else 2 * (i - 20) for i in range(40)])

    for own in (False, True):
        g = torch.Generator().manual_seed(r.seed + 2) if own else None
        each = [SequentialSampler(data), RandomSampler(data, num_samples=many, generator=g),
                RandomSampler(data, replacement=True, num_samples=many, generator=g), SubsetRandomSampler(chosen, g),
                WeightedRandomSampler(weights, many, generator=g),
                WeightedRandomSampler(weights, k, replacement=False, generator=g), chosen, OddFirst()]
        for s, sampler in enumerate(each):
            if s % 2 == 0:
                loader = DataLoader(data, 6, sampler=sampler)
            else:
                loader = DataLoader(data, batch_sampler=BatchSampler(sampler, 6, own))
            one_pass(r, loader, g)
            one_pass(r, loader)
        if own:
            r.word(g)

    class Growing:
        def __init__(self, draws):
            self.draws = draws

        def __len__(self):
            return 5

        def __iter__(self):
            for k in range(5):
                if self.draws:
                    r.word()
                yield [5 * k + i for i in range(k + 1)]

    for draws in (False, True):
        one_pass(r, DataLoader(data, batch_sampler=Growing(draws)))


def augmentation(r):
    mode = ["constant", "edge", "reflect", "symmetric"][r.pick(5, 0, 4)]
    crop = T.RandomCrop((r.pick(1, 1, 12), r.pick(2, 1, 12)), padding=r.pick(3, 0, 4), pad_if_needed=True,
                        fill=r.pick(4, 0, 256), padding_mode=mode)
    transform = T.Compose([crop, T.RandomHorizontalFlip(r.pick(6, 0, 101) / 100), T.RandomVerticalFlip(r.pick(7, 0, 101) / 100),
                           T.ToTensor(), T.Normalize((0.5, 0.25, 0.125), (0.5, 0.3, 2))])
    loader = DataLoader(Numbers(r.pick(0, 1, 30), transform), r.pick(9, 1, 12), shuffle=True)
    check = DataLoader(Numbers(5, T.ToTensor()), 2)
    for _ in range(2):
        for i, x in loader:
            r.give(i)
            r.give(x)
            r.give(F.dropout(torch.ones(30), 0.3))
        one_pass(r, check)


# ---- States

def states(r):
    for i in range(3):
        state = torch.get_rng_state()
        r.give(state)
        other = torch.Generator()
        other.set_state(state)
        r.give(torch.randn(3, generator=other))
        r.give(torch.rand(700, generator=other))
        r.give(other.get_state())
        torch.rand(r.pick(20 + i, 1, 900))
        state = torch.get_rng_state()
        r.give(state)
        torch.set_rng_state(state)
        r.give(torch.randn(r.pick(i, 1, 16)))
        r.give(torch.rand(r.pick(10 + i, 1, 900)))


# ---- Optimizers

SHAPES, STEPS = [(1, 5), (4, 8), (3, 11)], 6


def make_parameters(r):
    return [r.given(200 + i, *s).requires_grad_() for i, s in enumerate(SHAPES)]


def trajectory(r, kind, lr, **options):
    parameters = make_parameters(r)
    optim = kind(parameters, lr, **options)
    for step in range(STEPS):
        optim.zero_grad()
        for i, p in enumerate(parameters):
            if (step, i) != (2, 1):
                p.grad = r.given(10 * step + i, *SHAPES[i])
        optim.step()
        for p in parameters:
            r.give(p)


def sgd(r):
    lr, momentum, dampening, decay = r.pick(0, 1, 500) / 1000, r.pick(1, 1, 100) / 100, r.pick(2, 1, 100) / 100, r.pick(3, 1, 100) / 1000
    for way in range(8):
        trajectory(r, torch.optim.SGD, lr, momentum=0 if way in (0, 4) else momentum,
                   dampening=dampening if way in (2, 5) else 0, nesterov=way in (3, 7), weight_decay=decay if way >= 4 else 0,
                   maximize=way >= 6)


def adam(r):
    lr, decay = r.pick(0, 1, 50) / 1000, r.pick(3, 1, 100) / 1000
    for way in range(4):
        trajectory(r, torch.optim.Adam, lr, weight_decay=decay if way == 1 else 0, amsgrad=way == 2, maximize=way == 3)


def adamw(r):
    lr, decay = r.pick(0, 1, 50) / 1000, r.pick(3, 1, 100) / 1000
    for way in range(3):
        trajectory(r, torch.optim.AdamW, lr, **({} if way == 0 else {"weight_decay": decay, "amsgrad": way == 2}))


def rmsprop(r):
    lr, decay = r.pick(0, 1, 20) / 1000, r.pick(3, 1, 100) / 1000
    for way in range(4):
        trajectory(r, torch.optim.RMSprop, lr, weight_decay=decay if way == 1 else 0, momentum=0.9 if way >= 2 else 0,
                   centered=way == 3)


def adagrad(r):
    lr, decay = r.pick(0, 1, 50) / 1000, r.pick(3, 1, 100) / 1000
    for way in range(3):
        trajectory(r, torch.optim.Adagrad, lr, lr_decay=0.1 if way == 1 else 0, weight_decay=decay if way == 1 else 0,
                   initial_accumulator_value=0.1 if way == 2 else 0)


# ---- Clipping

def with_gradients(r):
    parameters = make_parameters(r)
    for i, p in enumerate(parameters):
        p.grad = r.given(i, *SHAPES[i])
    return parameters


def clip_norms(r):
    for k, norm in enumerate((1, 2, math.inf, 3, 0.5)):
        parameters = with_gradients(r)
        r.give(nn.utils.clip_grad_norm_(parameters, r.pick(0, 1, 200) / 10, norm, error_if_nonfinite=k % 2 == 0))
        for p in parameters:
            r.give(p.grad)


def clip_values(r):
    parameters = with_gradients(r)
    nn.utils.clip_grad_value_(parameters, r.pick(0, 1, 200) / 100)
    for p in parameters:
        r.give(p.grad)


CASES = [integers, uniforms, normals, normals_float64, cached_normals, views, permutations, bernoullis, exponentials,
         multinomials, dropouts, likes, layers, initialisers, truncated_normals, orthogonal, random_splits, loaders, samplers,
         augmentation, states, sgd, adam, adamw, rmsprop, adagrad, clip_norms, clip_values]
NEAR = {adam, adamw, rmsprop, adagrad, clip_norms}


def run(seed):
    """What each case gives: its name, whether it must be met to the bit, its bytes."""
    for case in CASES:
        torch.manual_seed(seed)
        r = Run(seed)
        case(r)
        if case not in NEAR:
            r.word()
        yield case.__name__, case not in NEAR, b"".join(r.parts)


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & M64
    return h


def main():
    torch.set_num_threads(1)
    made = []
    for seed in SEEDS:
        cases = {}
        for name, exact, data in run(seed):
            if exact:
                cases[name] = {"bytes": len(data), "fnv": f"{fnv(data):016x}"}
            elif seed in SEEDS[:2]:
                cases[name] = {"bytes": len(data), "hex": data.hex()}
        made.append({"seed": str(seed), "cases": cases})
    text = json.dumps({"torch": torch.__version__.split("+")[0], "seeds": made})
    (HERE / "numbers.json").write_text(text.replace('{"seed"', '\n{"seed"') + "\n")


if __name__ == "__main__":
    main()
