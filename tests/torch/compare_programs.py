#!/usr/bin/env python3
"""Random programs of eager calls (views, writes in place with and without history, scopes, backward) against PyTorch.

usage: compare_programs.py PROGRAM [SEED [COUNT [STEPS]]]     PROGRAM: torch_random_programs as built
       compare_programs.py --golden PROGRAM     writes tests/golden/programs.json: some programs with what PyTorch prints

The words are those of tests/support/program.h. Ends with 77, which CTest counts as skipped, where torch is not installed.
"""
import json
import math
import pathlib
import random
import subprocess
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "programs.json"
UNARY = {"relu": torch.relu, "neg": torch.neg, "pow2": lambda x: x ** 2, "lsm": lambda x: torch.log_softmax(x, -1),
         "sumall": torch.sum, "mean": torch.mean, "clone": torch.clone, "detach": torch.detach, "contig": torch.Tensor.contiguous}
BINARY = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "matmul": torch.matmul}
LARGEST = 3000  # elements of a tensor


class Refused(Exception):
    """PyTorch refuses the backward pass, which leaves gradients half done: the end of the program."""


def sizes(shape):
    return " ".join(map(str, [len(shape), *shape]))


def text_of(tag, i, tensor):
    if tensor is None:
        return f"{tag} {i} NULL"
    return " ".join([tag, str(i), *(f"{v:.9g}" for v in tensor.detach().double().flatten().tolist())])


class Program:
    def __init__(self, seed, steps):
        self.draw = random.Random(seed)
        self.tensors, self.scope_of, self.count, self.depth = {}, {}, 0, 0
        self.lines, self.prints = [], []
        self.spread, self.detached = set(), set()  # memory that was expanded; that has detached views
        kinds = [name[5:] for name in dir(self) if name.startswith("make_")]
        weights = [getattr(self, "make_" + kind).weight for kind in kinds]
        try:
            for _ in range(steps):
                getattr(self, "make_" + self.draw.choices(kinds, weights)[0])()
        except Refused:
            pass
        for i in list(self.tensors):
            self.print(i)
        while self.depth:
            self.lines.append("end")
            self.depth -= 1

    def put(self, tensor, *words):
        if tensor.numel() > LARGEST or tensor.dim() > 6:
            return None
        i = self.count
        self.count += 1
        self.tensors[i], self.scope_of[i] = tensor, self.depth
        self.lines.append(" ".join(map(str, [words[0], i, *words[1:]])))
        return i

    def pick(self, fits=lambda t: True):
        found = [i for i, t in self.tensors.items() if fits(t)]
        return self.draw.choice(found) if found else None

    def print(self, i):
        self.lines.append(f"print {i}")
        self.prints.append(text_of("P", i, self.tensors[i]))

    def print_grad(self, i):
        self.lines.append(f"grad {i}")
        self.prints.append(text_of("G", i, self.tensors[i].grad))

    def new(self, shape, grad):
        seed = self.draw.randrange(1000)
        torch.manual_seed(seed)
        return self.put(torch.randn(shape, requires_grad=grad), "new", sizes(shape), seed, int(grad))

    def attempt(self, function):
        try:
            return function()
        except RuntimeError:
            return None

    def in_order(self, t):
        """Whether both libraries agree about copying: not the result of an op on elements that do not lie in order."""
        return t.is_contiguous() and all(u.is_contiguous() or u._is_view() for u in self.tensors.values())

    # ---- One statement each; `weight`: how often ------------------------------------------------------------------

    def make_new(self):
        dims = self.draw.choice([1, 2, 2, 3, 4, 4])
        shape = [self.draw.choice([1, 2, 3, 4, 5, 7]) for _ in range(dims)]
        if dims == 4:
            shape = [self.draw.choice([1, 2, 3]), self.draw.choice([1, 2, 3, 8]), self.draw.choice([4, 5, 6]), self.draw.choice([4, 5, 6])]
        self.new(shape, self.draw.random() < 0.5)
    make_new.weight = 2

    def make_binary(self):
        a, b, name = self.pick(), self.pick(), self.draw.choice(list(BINARY))
        if a is None:
            return
        y = self.attempt(lambda: BINARY[name](self.tensors[a], self.tensors[b]))
        if y is not None:
            self.put(y, name, a, b)
    make_binary.weight = 2

    def make_number(self):
        a, c = self.pick(), round(self.draw.uniform(-2, 2), 3)
        if a is not None:
            name = self.draw.choice(["adds", "muls"])
            self.put(self.tensors[a] + c if name == "adds" else self.tensors[a] * c, name, a, c)
    make_number.weight = 1

    def make_unary(self):
        a, name = self.pick(lambda t: t.dim() > 0), self.draw.choice(list(UNARY))
        if a is not None and (name != "contig" or self.in_order(self.tensors[a])):
            self.put(UNARY[name](self.tensors[a]), name, a)
            if name == "detach":
                self.detached.add(self.tensors[a].untyped_storage().data_ptr())
    make_unary.weight = 3

    def make_sum(self):
        a = self.pick(lambda t: t.dim() > 0)
        if a is not None:
            dim, keep = self.draw.randrange(self.tensors[a].dim()), self.draw.randrange(2)
            self.put(self.tensors[a].sum(dim, keepdim=bool(keep)), "sumd", a, dim, keep)
    make_sum.weight = 1

    def make_view(self):
        a = self.pick(lambda t: t.numel() > 0)
        if a is None:
            return
        t = self.tensors[a]
        first = self.draw.choice([n for n in range(1, t.numel() + 1) if t.numel() % n == 0])
        shape = [first, t.numel() // first] if self.draw.random() < 0.7 else [t.numel()]
        name = self.draw.choice(["view", "reshape"] if self.in_order(t) else ["view"])
        y = self.attempt(lambda: getattr(t, name)(shape))
        if y is not None:
            self.put(y, name, a, sizes(shape))
    make_view.weight = 1

    def make_transpose(self):
        a = self.pick(lambda t: t.dim() >= 2)
        if a is not None:
            d, e = (self.draw.randrange(self.tensors[a].dim()) for _ in range(2))
            self.put(self.tensors[a].transpose(d, e), "tr", a, d, e)
    make_transpose.weight = 1

    def make_slice(self):
        a = self.pick(lambda t: t.dim() >= 1)
        if a is None:
            return
        t = self.tensors[a]
        dim = self.draw.randrange(t.dim())
        start = self.draw.randrange(t.shape[dim])
        end, step = self.draw.randrange(start + 1, t.shape[dim] + 1), self.draw.choice([1, 1, 2])
        self.put(t[(slice(None),) * dim + (slice(start, end, step),)], "slice", a, dim, start, end, step)
    make_slice.weight = 1

    def make_select(self):
        a = self.pick(lambda t: t.dim() >= 2)
        if a is not None:
            dim = self.draw.randrange(self.tensors[a].dim())
            index = self.draw.randrange(self.tensors[a].shape[dim])
            self.put(self.tensors[a].select(dim, index), "select", a, dim, index)
    make_select.weight = 1

    def make_unsqueeze(self):
        a = self.pick(lambda t: t.dim() < 5)
        if a is not None:
            dim = self.draw.randrange(self.tensors[a].dim() + 1)
            self.put(self.tensors[a].unsqueeze(dim), "unsq", a, dim)
    make_unsqueeze.weight = 1

    def make_expand(self):
        a = self.pick(lambda t: t.dim() < 4 and t.numel() < 200)
        if a is not None:
            shape = [3 if n == 1 else n for n in [2, *self.tensors[a].shape]]
            y = self.tensors[a].expand(shape)
            if self.put(y, "expand", a, sizes(shape)) is not None:
                self.spread.add(y.untyped_storage().data_ptr())
    make_expand.weight = 1

    def placed(self, t):
        """Whether it can be written at all: here not what was expanded, and in a scope no history from outside."""
        storage = t.untyped_storage().data_ptr()
        return storage not in self.spread and (self.depth == 0 or not any(
            u.requires_grad and not u.is_leaf for u in self.tensors.values() if u.untyped_storage().data_ptr() == storage))

    def writable(self, t):
        return self.placed(t) and (not t.requires_grad or (self.depth == 0 and not t.is_leaf))

    def make_write_number(self):
        a, c = self.pick(self.writable), round(self.draw.uniform(-2, 2), 3)
        name = self.draw.choice(["adds_", "muls_", "fill_", "relu_", "zero_"])
        if a is None:
            return
        t = self.tensors[a]
        write = {"adds_": lambda: t.add_(c), "muls_": lambda: t.mul_(c), "fill_": lambda: t.fill_(c), "relu_": t.relu_, "zero_": t.zero_}
        if self.attempt(write[name]) is not None:
            self.lines.append(f"{name} {a}" + ("" if name in ("relu_", "zero_") else f" {c}"))
    make_write_number.weight = 2

    def make_write(self):
        a = self.pick(self.writable)
        b = self.pick(lambda t: self.depth == 0 or not t.requires_grad)
        name = self.draw.choice(["add_", "mul_", "copy_"])
        if a is None or b is None:
            return
        t, source = self.tensors[a], self.tensors[b]
        if a != b and t.untyped_storage().data_ptr() == source.untyped_storage().data_ptr():
            return
        if source.requires_grad and t.untyped_storage().data_ptr() in self.detached:
            return  # history through a detached view is refused here
        if self.attempt(lambda: getattr(t, name)(source)) is not None:
            self.lines.append(f"{name} {a} {b}")
    make_write.weight = 2

    def make_write_outside(self):
        """Under no_grad, or through a detached view: the value changes, the history does not."""
        a, b, c = self.pick(self.placed), self.pick(), round(self.draw.uniform(-2, 2), 3)
        if a is None:
            return
        t, source = self.tensors[a], self.tensors[b]
        name = self.draw.choice(["nadds_", "ncopy_", "dmuls_"])
        if name == "ncopy_" and t.untyped_storage().data_ptr() == source.untyped_storage().data_ptr():
            return
        with torch.no_grad():
            write = {"nadds_": lambda: t.add_(c), "ncopy_": lambda: t.copy_(source), "dmuls_": lambda: t.detach().mul_(c)}
            if self.attempt(write[name]) is not None:
                self.lines.append(f"{name} {a} {b if name == 'ncopy_' else c}")
    make_write_outside.weight = 2

    def make_print(self):
        a = self.pick()
        if a is not None:
            self.print(a)
    make_print.weight = 2

    def make_flags(self):
        a = self.pick()
        if a is not None:
            self.lines.append(f"rg {a}")
            self.prints.append(f"R {a} {int(self.tensors[a].requires_grad)}")
    make_flags.weight = 1

    def make_grad(self):
        a = self.pick(lambda t: t.is_leaf and t.requires_grad)
        if a is not None:
            self.print_grad(a)
    make_grad.weight = 1

    def make_step(self):
        a = self.pick(lambda t: t.is_leaf and t.requires_grad and t.grad is not None and t.grad.abs().max() < 1e3)
        if a is not None:
            with torch.no_grad():
                self.tensors[a].sub_(self.tensors[a].grad, alpha=0.01)
            self.lines.append(f"sgd {a} 0.01")
    make_step.weight = 1

    def make_scope(self):
        if self.depth < 3 and self.draw.random() < 0.5:
            self.depth += 1
            self.lines.append("begin")
        elif self.depth > 0:
            for i in [i for i in self.tensors if self.scope_of[i] == self.depth]:
                del self.tensors[i]
            self.depth -= 1
            self.lines.append("end")
    make_scope.weight = 1

    def make_keep(self):
        """What shares memory with others becomes a copy here."""
        memory = [t.untyped_storage().data_ptr() for t in self.tensors.values()]
        a = self.pick(lambda t: not t.requires_grad and memory.count(t.untyped_storage().data_ptr()) == 1)
        if a is not None and self.scope_of[a] == self.depth > 0:
            self.scope_of[a] -= 1
            self.lines.append(f"keep {a}")
    make_keep.weight = 1

    def make_backward(self):
        a = self.pick(lambda t: t.requires_grad and not t.is_leaf)
        if a is None:
            return
        total = self.tensors[a].sum()
        try:
            total.backward(retain_graph=True)
        except RuntimeError:
            raise Refused from None
        self.lines.append(f"back {self.put(total, 'sumall', a)}")
        for i, t in self.tensors.items():
            if t.is_leaf and t.requires_grad:
                self.print_grad(i)
    make_backward.weight = 1

    def make_linear(self):
        a = self.pick(lambda t: t.dim() >= 1)
        b = None if a is None else self.pick(lambda t: t.dim() == 2 and t.shape[1] == self.tensors[a].shape[-1])
        if b is not None:
            self.put(F.linear(self.tensors[a], self.tensors[b]), "lin", a, b)
    make_linear.weight = 1

    def make_conv(self):
        a = self.pick(lambda t: t.dim() == 4 and min(t.shape[2:]) >= 3)
        if a is None:
            return
        channels = self.tensors[a].shape[1]
        groups = self.draw.choice([n for n in (1, 2, channels) if channels % n == 0])
        kernel = self.draw.choice([1, 2, 3])
        w = self.new([groups * self.draw.choice([1, 2, 3]), channels // groups, kernel, kernel], True)
        stride, padding, dilation = self.draw.choice([1, 1, 2]), self.draw.choice([0, 1]), self.draw.choice([1, 1, 2])
        y = self.attempt(lambda: F.conv2d(self.tensors[a], self.tensors[w], None, stride, padding, dilation, groups))
        i = None if y is None else self.put(y, "conv", a, w, stride, padding, dilation, groups)
        if i is not None and self.draw.random() < 0.5:
            j = self.put(torch.relu(y), "relu", i)
            if min(y.shape[2:]) >= 2:
                self.put(F.max_pool2d(self.tensors[j], 2, 2), "mp", j, 2, 2, 0)
    make_conv.weight = 1

    def make_pool(self):
        a = self.pick(lambda t: t.dim() == 4)
        if a is not None:
            name, args = self.draw.choice(["mp", "ap"]), (self.draw.choice([2, 3]), self.draw.choice([1, 2]), self.draw.choice([0, 1]))
            y = self.attempt(lambda: (F.max_pool2d if name == "mp" else F.avg_pool2d)(self.tensors[a], *args))
            if y is not None:
                self.put(y, name, a, *args)
    make_pool.weight = 1

    def make_batch_norm(self):
        def spread(t):
            """Equal numbers have no variance but rounding, which is made a few hundred times larger, in PyTorch too."""
            channels = t.detach().transpose(0, 1).flatten(1).double()
            return bool((channels.std(1) > 1e-2 * channels.abs().amax(1)).all())

        a = self.pick(lambda t: t.dim() == 4 and t.numel() // t.shape[1] > 8 and spread(t))
        if a is not None:
            w, b = (self.new([self.tensors[a].shape[1]], True) for _ in range(2))
            self.put(F.batch_norm(self.tensors[a], None, None, self.tensors[w], self.tensors[b], True), "bn", a, w, b)
    make_batch_norm.weight = 0.5

    def make_sync(self):
        self.lines.append("sync")
    make_sync.weight = 0.5


def agrees(got, want):
    if got[:2] not in ("P ", "G ") or got == want:
        return got == want
    try:
        a, b = ([float(v) for v in line.split()[2:]] for line in (got, want))
    except ValueError:
        return False
    largest = max([1.0, *(abs(v) for v in b if math.isfinite(v))])
    return got.split()[:2] == want.split()[:2] and len(a) == len(b) and all(
        x == y or (math.isnan(x) and math.isnan(y)) or abs(x - y) <= 2e-4 * largest for x, y in zip(a, b))


# Ends that this library documents, with an error: a value fused away whose inputs were written since; a view of a tensor
# that it takes for one whose elements do not lie in order, because an earlier write in place was not tracked so far.
LIMITS = ("was not kept and cannot be computed again", "whose elements do not lie in order")


def compare(binary, program):
    """None where all agrees; one of LIMITS where it does up to there."""
    run = subprocess.run([binary], input="\n".join(program.lines) + "\n", capture_output=True, text=True, timeout=120)
    if run.returncode:
        return f"ends with {run.returncode}: {run.stderr[-500:]}"
    got = run.stdout.splitlines()
    for k, want in enumerate(program.prints):
        line = got[k] if k < len(got) else "(nothing)"
        if not agrees(line, want):
            for limit in LIMITS:
                if any(limit in l for l in got[k:k + 2]):
                    return limit
            error = next((l for l in got[k + 1:] if l.startswith("ERROR")), "")
            return f"{line[:300]} {error}\n    PyTorch {want[:300]}"
    return None if len(got) == len(program.prints) else got[len(program.prints)]


def tame(program):
    """Whether rounding cannot grow: no large numbers."""
    return all(abs(float(v)) < 1e4 for line in program.prints if line[:2] in ("P ", "G ") and "NULL" not in line
               for v in line.split()[2:])


def main():
    torch.set_num_threads(1)
    if sys.argv[1] == "--golden":
        kept = []
        seed = 0
        while len(kept) < 48:
            program = Program(seed, 60)
            text = sum(map(len, program.prints))
            if tame(program) and compare(sys.argv[2], program) is None and "back" in " ".join(program.lines) and 300 < text < 9000:
                kept.append({"seed": seed, "program": "\n".join(program.lines), "prints": program.prints})
            seed += 1
        rows = ",\n".join("  " + json.dumps(p) for p in kept)
        GOLDEN.write_text('{"torch": "' + torch.__version__.split("+")[0] + '", "programs": [\n' + rows + "\n]}\n")
        print(len(kept), "programs of", seed)
        return 0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    count, steps = (int(sys.argv[k]) if len(sys.argv) > k else n for k, n in ((3, 300), (4, 60)))
    print(f"seeds {seed} to {seed + count - 1}, {steps} statements, torch {torch.__version__}")
    failed = skipped = limited = 0
    for k in range(seed, seed + count):
        program = Program(k, steps)
        if not tame(program):
            skipped += 1
            continue
        what = compare(sys.argv[1], program)
        if what in LIMITS:
            limited += 1
        elif what:
            failed += 1
            print(f"seed {k}: {what}")
    print(f"{count - skipped} programs, {failed} differ; {limited} end early, with an error that is documented")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
