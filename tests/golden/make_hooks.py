"""Makes hooks.json: what hooks of tensors and modules see in PyTorch, in which order, and the gradients that come out.

    python make_hooks.py         # needs torch; writes beside this file

A scenario is a list of events, each a name with numbers (null: None): calls of hooks, and at its end what was computed.
tests/nn/test_hooks.c runs the same scenarios.
"""
import json
import pathlib
import warnings

import torch
import torch.nn as nn

warnings.simplefilter("ignore")
log = []


def note(name, value):
    log.append([name, None if value is None else value.detach().reshape(-1).tolist()])


def look(name, change=None):
    def hook(gradient):
        note(name, gradient)
        return change(gradient) if change else None
    return hook


def leaf(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def graph():
    x, w, b = leaf(1, 2), leaf(3, 4), leaf(0.5, 0.25)
    y = x * w
    z = y + b
    u = z * x
    loss = u.sum()
    tensors = {"x": x, "w": w, "b": b, "y": y, "z": z, "u": u, "loss": loss}
    for name, tensor in tensors.items():
        tensor.register_hook(look(name))
    z.register_hook(look("z2", lambda g: g * 10))
    z.retain_grad()
    z.register_hook(look("z3", lambda g: g + 1))
    return tensors


def backward():
    t = graph()
    for _ in range(2):
        t["loss"].backward(retain_graph=True)
    for name in ("x", "w", "b", "z"):
        note("grad " + name, t[name].grad)


def grad(*wanted):
    def run():
        t = graph()
        for name, value in zip(wanted, torch.autograd.grad(t["loss"], [t[n] for n in wanted])):
            note("result " + name, value)
        for name in ("x", "w", "z"):
            note("grad " + name, t[name].grad)
    return run


def from_a_leaf():
    x = leaf(1, 2)
    x.register_hook(look("x", lambda g: g * 3))
    x.backward(torch.ones(2, dtype=torch.float64))
    note("grad x", x.grad)


def replaced_leaf():
    """A leaf that is used three times: its hook sees the sum, and what it returns is added to what is there."""
    x = leaf(1, 2)
    x.register_hook(look("x", lambda g: g * 10))
    for _ in range(2):
        (x * x + x).sum().backward()
    note("grad x", x.grad)


def removed():
    x = leaf(1, 2)
    first = x.register_hook(look("first"))
    second = x.register_hook(look("second", lambda g: g * 2))
    x.sum().backward()
    first.remove()
    x.sum().backward()
    second.remove()
    x.sum().backward()
    note("grad x", x.grad)


def view_and_inplace():
    """A hook belongs to the value at that moment, whatever is done in place afterwards."""
    x = leaf(1, 2)
    y = x * 2
    y.register_hook(look("before"))
    y.mul_(3)
    y.register_hook(look("after"))
    y[0:1].sum().backward()
    note("grad x", x.grad)


def second_order():
    """With create_graph what a hook computes is differentiated too."""
    x = leaf(1, 2)
    y = x * x * x
    y.register_hook(look("y", lambda g: g * x))
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    note("slope", slope)
    slope.register_hook(look("slope"))
    (slope * slope).sum().backward()
    note("grad x", x.grad)


def layer(n, m, values):
    made = nn.Linear(n, m)
    with torch.no_grad():
        made.weight.copy_(torch.tensor(values).reshape(m, n))
        made.bias.copy_(torch.arange(m) * 0.5)
    return made


def net():
    return nn.Sequential(layer(2, 3, [1, -2, 3, 4, -5, 0.5]), nn.ReLU(), layer(3, 1, [2, -1, 0.5]))


def pre(name, factor=None):
    def hook(module, grad_output):
        note(name + " out", grad_output[0])
        return (grad_output[0] * factor,) if factor else None
    return hook


def full(name, factor=None):
    def hook(module, grad_input, grad_output):
        note(name + " in", grad_input[0])
        note(name + " out", grad_output[0])
        return (grad_input[0] * factor,) + grad_input[1:] if factor else None
    return hook


def modules(input_grad):
    def run():
        model = net()
        model.register_full_backward_hook(full("model"))
        model[0].register_full_backward_pre_hook(pre("pre", 2))
        model[0].register_full_backward_hook(full("first"))
        model[0].register_full_backward_hook(full("second", 3 if input_grad else None))
        model[0].register_full_backward_hook(full("third"))
        model[1].register_full_backward_hook(full("relu", 10))
        model[2].register_full_backward_pre_hook(pre("last"))
        x = torch.tensor([[1.0, 2.0], [-3.0, 0.5]], requires_grad=input_grad)
        y = model(x)
        model[0].weight.register_hook(look("weight", lambda g: g * 0.5))
        y.sum().backward()
        for name, p in model.named_parameters():
            note("grad " + name, p.grad)
        note("grad x", x.grad)
    return run


def shared():
    """A module used twice, and an input that is used beside it."""
    one = layer(2, 2, [1, 2, 3, 4])
    one.register_full_backward_hook(full("one", 2))
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    (one(one(x)) * x).sum().backward()
    note("grad weight", one.weight.grad)
    note("grad x", x.grad)


def criterion():
    loss = nn.MSELoss()
    loss.register_forward_hook(lambda m, inputs, output: note("forward", output))
    loss.register_full_backward_hook(full("loss", 4))
    x = torch.tensor([1.0, 3.0], requires_grad=True)
    loss(x, torch.tensor([0.0, 1.0])).backward()
    note("grad x", x.grad)


SCENARIOS = {"backward": backward, "grad x z": grad("x", "z"), "grad z": grad("z"), "grad y": grad("y"),
             "from a leaf": from_a_leaf, "replaced leaf": replaced_leaf, "removed": removed,
             "view and in place": view_and_inplace, "second order": second_order, "modules": modules(True),
             "modules without input": modules(False), "shared": shared, "criterion": criterion}

if __name__ == "__main__":
    out = {}
    for title, scenario in SCENARIOS.items():
        log.clear()
        scenario()
        out[title] = [list(e) for e in log]
    text = "{\n" + ",\n".join(f' {json.dumps(k)}: [\n  ' + ",\n  ".join(json.dumps(e) for e in v) + "]"
                              for k, v in out.items()) + "\n}\n"
    (pathlib.Path(__file__).parent / "hooks.json").write_text(text)
