"""Makes networks.json: small networks with a penalty on the gradient of their input, as for a Wasserstein critic, and
what PyTorch gives for them: loss, first gradient, and the gradients of all parameters, which hold second derivatives.

    python make_networks.py         # needs torch; writes beside this file

A network is a list of steps; step k makes value k+1 of earlier values (value 0 is x) and of tensors by name. The first is
written by hand, the others are drawn; tests/torch/compare_networks.py draws more. tests/support/network.c runs them.
"""
import json
import pathlib
import random
import sys

import torch
import torch.nn.functional as F

EPS = 1e-3


def batch_norm(v, t, s):
    if s["training"]:
        return F.batch_norm(v[0], None, None, t[0], t[1], True, 0.1, EPS)
    return F.batch_norm(v[0], t[2], t[3], t[0], t[1], False, 0.1, EPS)


UNARY = {
    "relu": F.relu, "silu": F.silu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "elu": lambda x: F.elu(x, 1.25), "softplus": lambda x: F.softplus(x, 1.5), "hardswish": F.hardswish,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.125), "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "hardtanh": F.hardtanh, "square": lambda x: x * x, "exp_tanh": lambda x: torch.exp(torch.tanh(x)),
    "sqrt_softplus": lambda x: torch.sqrt(F.softplus(x) + 0.25), "log1p_square": lambda x: torch.log1p(x * x),
    "divided": lambda x: x / (1 + x * x), "softmax": lambda x: F.softmax(x, 1),
    "log_softmax": lambda x: F.log_softmax(x, 1), "clamp": lambda x: x.clamp(-0.75, 1.5),
    "half": lambda x: torch.narrow(x, 1, 0, (x.shape[1] + 1) // 2), "flip": lambda x: x.flip(1),
    "centered": lambda x: x - x.mean(1, keepdim=True), "spread": lambda x: x / (x.std(1, keepdim=True) + 0.5)
}
OPS = {
    "conv2d": lambda v, t, s: F.conv2d(v[0], t[0], t[1], s["stride"], s["padding"], 1, s["groups"]),
    "conv_transpose2d": lambda v, t, s: F.conv_transpose2d(v[0], t[0], t[1], s["stride"], s["padding"]),
    "linear": lambda v, t, s: F.linear(v[0], t[0], t[1]),
    "batch_norm": batch_norm,
    "group_norm": lambda v, t, s: F.group_norm(v[0], s["groups"], t[0], t[1], EPS),
    "layer_norm": lambda v, t, s: F.layer_norm(v[0], v[0].shape[1:], t[0], t[1], EPS),
    "instance_norm": lambda v, t, s: F.instance_norm(v[0], None, None, t[0], t[1], True, 0.1, EPS),
    "prelu": lambda v, t, s: F.prelu(v[0], t[0]),
    "max_pool2d": lambda v, t, s: F.max_pool2d(v[0], 2, s["stride"]),
    "avg_pool2d": lambda v, t, s: F.avg_pool2d(v[0], 2, s["stride"]),
    "adaptive_avg_pool2d": lambda v, t, s: F.adaptive_avg_pool2d(v[0], s["size"]),
    "adaptive_max_pool2d": lambda v, t, s: F.adaptive_max_pool2d(v[0], s["size"]),
    "nearest": lambda v, t, s: F.interpolate(v[0], size=s["size"], mode="nearest"),
    "bilinear": lambda v, t, s: F.interpolate(v[0], size=s["size"], mode="bilinear"),
    "pad": lambda v, t, s: F.pad(v[0], (1, 0, 0, 1), mode=s["mode"]),
    "add": lambda v, t, s: v[0] + v[1],
    "mul": lambda v, t, s: v[0] * v[1],
    "cat": lambda v, t, s: torch.cat(v, 1),
    "scale": lambda v, t, s: v[0] * t[0],
    "flatten": lambda v, t, s: v[0].flatten(1),
    "amax": lambda v, t, s: v[0].amax(s["dim"]),
    "logsumexp": lambda v, t, s: v[0].logsumexp(s["dim"]),
    "mean": lambda v, t, s: v[0].mean(s["dim"]),
    "prod": lambda v, t, s: v[0].prod(s["dim"]),
    "norm": lambda v, t, s: v[0].norm(2, s["dim"]),
    **{name: (lambda f: lambda v, t, s: f(v[0]))(f) for name, f in UNARY.items()},
}


def tensors_of(network):
    return {n: torch.tensor(t["data"], dtype=torch.float64).reshape(t["shape"]).requires_grad_(t["grad"])
            for n, t in network["tensors"].items()}


def step(s, values, tensors):
    return OPS[s["op"]]([values[i] for i in s["of"]], [tensors[n] for n in s["with"]], s)


def run(network):
    """Results by name, each a flat tensor."""
    tensors = tensors_of(network)
    values = [tensors["x"]]
    for s in network["steps"]:
        values.append(step(s, values, tensors))
    y = values[-1].flatten(1)
    weights = torch.sin(torch.arange(1, y.shape[1] + 1, dtype=torch.float64))
    score = (y * weights).sum(1)
    (first,) = torch.autograd.grad(score.sum(), tensors["x"], create_graph=True)
    length = torch.sqrt(first.flatten(1).pow(2).sum(1) + 1e-6)
    loss = score.mean() + 10 * ((length - 1) ** 2).mean()
    loss.backward()
    out = {"loss": loss, "first": first}
    out.update({"grad_" + n: t.grad for n, t in tensors.items() if t.grad is not None})
    return {n: t.detach().flatten() for n, t in out.items()}


class Draw:
    """A network from a seed: steps are added as long as they fit."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.steps, self.tensors, self.values = [], {}, []

    def tensor(self, *shape, grad=True, around=0.0, spread=0.5, name=None):
        name = name or f"t{len(self.tensors)}"
        count = 1
        for n in shape:
            count *= n
        data = [round((around + spread * self.random.gauss(0, 1)) * 64) / 64 for _ in range(count)]
        self.tensors[name] = {"shape": list(shape), "grad": grad, "data": data}
        return name

    def value(self, name):
        t = self.tensors[name]
        self.values.append(torch.tensor(t["data"], dtype=torch.float64).reshape(t["shape"]))

    def add(self, op, of=None, tensors=(), **attributes):
        s = {"op": op, "of": [len(self.values) - 1] if of is None else of, "with": list(tensors), **attributes}
        self.steps.append(s)
        self.values.append(step(s, self.values, {n: torch.tensor(t["data"], dtype=torch.float64).reshape(t["shape"])
                                                 for n, t in self.tensors.items()}))

    def network(self, name):
        return {"name": name, "steps": self.steps, "tensors": self.tensors}

    def conv2d(self):
        c = self.values[-1].shape[1]
        groups = self.random.choice([g for g in (1, 1, 2) if c % g == 0])
        out, k = self.random.choice([2, 4]), self.random.choice([1, 2, 3])
        padding = self.random.choice([0, 1])
        if min(self.values[-1].shape[2:]) + 2 * padding < k:
            return
        scale = (c // groups * k * k) ** -0.5
        self.add("conv2d", None, [self.tensor(out, c // groups, k, k, spread=scale), self.tensor(out)],
                 stride=self.random.choice([1, 1, 2]), padding=padding, groups=groups)

    def conv_transpose2d(self):
        c = self.values[-1].shape[1]
        if max(self.values[-1].shape[2:]) < 6:
            self.add("conv_transpose2d", None, [self.tensor(c, 2, 2, 2), self.tensor(2)],
                     stride=self.random.choice([1, 2]), padding=0)

    def norm(self):
        x = self.values[-1]
        c = x.shape[1]
        kind = self.random.choice(["batch_norm", "batch_norm", "batch_norm_eval", "group_norm", "layer_norm",
                                   "instance_norm"])
        if kind == "instance_norm" and x.shape[2] * x.shape[3] < 2:
            kind = "batch_norm"
        shape = x.shape[1:] if kind == "layer_norm" else (c,)
        tensors = [self.tensor(*shape, around=1), self.tensor(*shape)]
        if kind == "batch_norm_eval":
            running = [self.tensor(c, grad=False), self.tensor(c, grad=False, around=2, spread=0.25)]
            self.add("batch_norm", None, tensors + running, training=False)
        elif kind == "batch_norm":
            self.add("batch_norm", None, tensors, training=True)
        elif kind == "group_norm":
            groups = self.random.choice([g for g in (1, 2) if c % g == 0])
            if c // groups * x.shape[2] * x.shape[3] > 1:
                self.add("group_norm", None, tensors, groups=groups)
        else:
            self.add(kind, None, tensors)

    def pool(self):
        x = self.values[-1]
        op = self.random.choice(["max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "nearest",
                                 "bilinear", "pad"])
        size = [self.random.choice([2, 3, 4]), self.random.choice([2, 3, 5])]
        if op == "pad":
            self.add("pad", mode=self.random.choice(["constant", "replicate"]))
        elif "2d" in op and "adaptive" not in op:
            if min(x.shape[2:]) >= 2:
                self.add(op, stride=self.random.choice([1, 2]))
        else:
            self.add(op, size=size)

    def activation(self):
        c = self.values[-1].shape[1]
        op = self.random.choice(list(UNARY) + ["prelu", "scale"])
        if op in ("softmax", "log_softmax", "centered", "spread", "half") and c < 2:
            op = "silu"
        if op == "prelu":
            self.add(op, None, [self.tensor(c, around=0.25, spread=0.1)])
        elif op == "scale":
            self.add(op, None, [self.tensor(*self.values[-1].shape[1:], around=1)])
        else:
            self.add(op)

    def join(self):
        last = len(self.values) - 1
        x = self.values[last]
        same = [i for i in range(last) if self.values[i].shape == x.shape]
        beside = [i for i in range(last) if self.values[i].dim() == x.dim() and self.values[i].shape[2:] == x.shape[2:]]
        if same:
            self.add(self.random.choice(["add", "mul"]), [last, self.random.choice(same)])
        elif beside and x.shape[1] < 5:
            self.add("cat", [last, self.random.choice(beside)])

    def head(self):
        x = self.values[-1]
        kind = self.random.choice(["linear", "linear", "amax", "logsumexp", "mean", "prod", "norm"])
        if kind == "linear":
            self.add("flatten")
            n = self.values[-1].shape[1]
            self.add("linear", None, [self.tensor(3, n, spread=n ** -0.5), self.tensor(3)])
        else:
            self.add(kind, dim=self.random.choice([1, 2, 3]) if kind != "prod" else 1)
        if self.random.random() < 0.5:
            self.add(self.random.choice(["silu", "tanh", "softplus", "gelu"]))


def drawn(seed):
    d = Draw(seed)
    d.value(d.tensor(d.random.choice([2, 3]), d.random.choice([1, 2]), d.random.choice([4, 5]),
                     d.random.choice([3, 4]), spread=1, name="x"))
    d.conv2d()
    for _ in range(d.random.randint(3, 6)):
        d.random.choice([d.conv2d, d.norm, d.norm, d.pool, d.activation, d.activation, d.activation, d.join,
                         d.conv_transpose2d])()
    d.head()
    return d.network(f"seed {seed}")


def critic():
    """Convolutions with batch norm and silu."""
    d = Draw(0)
    d.value(d.tensor(4, 2, 6, 6, spread=1, name="x"))
    d.add("conv2d", None, [d.tensor(4, 2, 3, 3, spread=0.25), d.tensor(4)], stride=1, padding=1, groups=1)
    d.add("batch_norm", None, [d.tensor(4, around=1), d.tensor(4)], training=True)
    d.add("silu")
    d.add("conv2d", None, [d.tensor(4, 4, 3, 3, spread=0.2), d.tensor(4)], stride=2, padding=1, groups=1)
    d.add("batch_norm", None, [d.tensor(4, around=1), d.tensor(4)], training=True)
    d.add("silu")
    d.add("flatten")
    d.add("linear", None, [d.tensor(1, 36, spread=0.2), d.tensor(1)])
    return d.network("critic")


def finite(results):
    return all(bool(torch.isfinite(v).all()) and float(v.abs().max()) < 1e6 for v in results.values())


if __name__ == "__main__":
    pool = [n for n in (drawn(seed) for seed in range(1, 200)) if finite(run(n))]
    networks, seen = [critic()], set()
    while len(networks) < 12:  # the one with the most steps that no earlier one has
        best = max(pool, key=lambda n: len({s["op"] for s in n["steps"]} - seen))
        seen |= {s["op"] for s in best["steps"]}
        networks.append(best)
    lines = []
    for network in networks:
        network["results"] = {n: [float(f"{x:.14g}") for x in v.tolist()] for n, v in run(network).items()}
        lines.append(json.dumps(network, separators=(",", ":")))
    pathlib.Path(__file__).with_name("networks.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print("\n".join(f"{n['name']}: {', '.join(s['op'] for s in n['steps'])}" for n in networks), file=sys.stderr)
