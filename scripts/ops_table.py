#!/usr/bin/env python3
"""Writes docs/ops.md: what there is of PyTorch, from the headers, src/base/ops.def, the kernels and the tests.

usage: scripts/ops_table.py [--check]     --check: only say whether docs/ops.md is what would be written
"""
import glob
import json
import os
import re
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

SECTIONS = [
    ("include/facula/tensor.h", "Tensors"),
    ("include/facula/elementwise.h", "Elementwise"),
    ("include/facula/functional.h", "torch.nn.functional"),
    ("include/facula/nn.h", "torch.nn"),
    ("include/facula/optim.h", "torch.optim"),
]

# PyTorch's name where it does not follow from ours; None: a word of our own that has no counterpart.
NAMES = {
    "fa_scope": None, "fa_keep": None, "fa_watch": None, "fa_borrow": "torch.from_numpy (shares memory)",
    "fa_no_grad": "torch.no_grad()", "fa_enable_grad": "torch.enable_grad()", "fa_from_memory": "torch.tensor(array)",
    "fa_tensor_of": "torch.tensor([...])", "fa_tensor_of_as": "torch.tensor([...], dtype)", "fa_data": "Tensor.numpy()",
    "fa_data_mut": "Tensor.numpy() (for writing)", "fa_copy_from": "Tensor.copy_(from_numpy)", "fa_item": "Tensor.item()",
    "fa_size": "Tensor.size(dim)", "fa_to_dtype": "Tensor.to(dtype)", "fa_slice": "x[start:end]",
    "fa_slice_step": "x[start:end:step]", "fa_select": "x[index], Tensor.select", "fa_squeeze_all": "Tensor.squeeze()",
    "fa_take_rows": "x[[2, 0, 2]]", "fa_split_sizes": "torch.split(x, [sizes])", "fa_backward": "Tensor.backward()",
    "fa_grad": "Tensor.grad", "fa_autograd_grad": "torch.autograd.grad", "fa_retain_grad": "Tensor.retain_grad()",
    "fa_clip_grad_norm_": "nn.utils.clip_grad_norm_", "fa_clip_grad_value_": "nn.utils.clip_grad_value_",
    "fa_custom": "torch.autograd.Function", "fa_sync": None, "fa_linear": "F.linear", "fa_relu": "torch.relu",
    "fa_relu_": "torch.relu_", "fa_rsub": "number - tensor", "fa_rdiv": "number / tensor", "fa_module_new":
    "class of nn.Module", "fa_module_add": "Module.add_module", "fa_layer": "self.name = layer",
    "fa_own_parameter": "self.name = nn.Parameter(...)", "fa_own_buffer": "Module.register_buffer",
    "fa_register_parameter": "Module.register_parameter", "fa_forward": "module(x)", "fa_criterion":
    "criterion(outputs, targets)", "fa_parameters": "Module.named_parameters()", "fa_state_list": "Module.state_dict()",
    "fa_buffers": "Module.named_buffers()",
    "fa_state_dict": "Module.state_dict()", "fa_find": "Module.state_dict()[key]", "fa_submodule":
    "Module.get_submodule", "fa_requires_grad_": "Tensor.requires_grad_, Module.requires_grad_", "fa_to": "x.to(device)",
    "fa_module_to_dtype": "Module.double(), Module.float()",
    "fa_summary": None, "fa_nn_bce_loss": "nn.BCELoss", "fa_nn_bce_with_logits_loss": "nn.BCEWithLogitsLoss",
    "fa_nn_kl_div_loss": "nn.KLDivLoss", "fa_nn_nll_loss": "nn.NLLLoss", "fa_nn_mse_loss": "nn.MSELoss",
    "fa_apply": "Module.apply", "fa_named_modules": "Module.named_modules()", "fa_register_forward_hook":
    "Module.register_forward_hook", "fa_register_forward_pre_hook": "Module.register_forward_pre_hook",
    "fa_register_full_backward_pre_hook": "Module.register_full_backward_pre_hook", "fa_register_full_backward_hook":
    "Module.register_full_backward_hook", "fa_register_hook": "Tensor.register_hook", "fa_remove_hook": "RemovableHandle.remove()", "fa_nn_sequential_named":
    "nn.Sequential(OrderedDict)", "fa_tanh": "torch.tanh", "fa_sigmoid": "torch.sigmoid", "fa_tanh_": "torch.tanh_",
    "fa_sigmoid_": "torch.sigmoid_", "fa_nn_prelu": "nn.PReLU", "fa_nn_relu": "nn.ReLU", "fa_nn_relu6": "nn.ReLU6", "fa_nn_leaky_relu": "nn.LeakyReLU",
    "fa_nn_elu": "nn.ELU", "fa_nn_gelu": "nn.GELU", "fa_nn_silu": "nn.SiLU", "fa_nn_l1_loss": "nn.L1Loss",
    "fa_nn_smooth_l1_loss": "nn.SmoothL1Loss", "fa_nn_conv_transpose2d": "nn.ConvTranspose2d",
    "fa_nn_log_softmax": "nn.LogSoftmax", "fa_nn_hardtanh": "nn.Hardtanh", "fa_sgd": "torch.optim.SGD",
    "fa_adam": "torch.optim.Adam", "fa_adamw": "torch.optim.AdamW", "fa_rmsprop": "torch.optim.RMSprop",
    "fa_adagrad": "torch.optim.Adagrad", "fa_add_param_group": "Optimizer.add_param_group", "fa_group_lr":
    "param_groups[i]['lr']", "fa_group_momentum": "param_groups[i]['momentum'] (betas[0])", "fa_set_group_lr":
    "param_groups[i]['lr'] = lr", "fa_set_lr": "param_groups[:]['lr'] = lr", "fa_step": "Optimizer.step(), LRScheduler.step()",
    "fa_zero_grad": "zero_grad()", "fa_step_metric": "ReduceLROnPlateau.step(metric)", "fa_ema_new":
    "torch.optim.swa_utils.AveragedModel", "fa_ema_update": "AveragedModel.update_parameters", "fa_ema_copy_to": None,
    "fa_ema_swap": None, "fa_ema_find": "AveragedModel.state_dict()[key]", "fa_clamp_min": "Tensor.clamp(min)",
    "fa_clamp_max": "Tensor.clamp(max)", "fa_stack": "torch.stack", "fa_conv2d": "F.conv2d",
    "fa_contiguous": "Tensor.contiguous", "fa_expand": "Tensor.expand", "fa_repeat": "Tensor.repeat", "fa_view": "Tensor.view",
    "fa_forward_to_size": "convT(x, output_size)", "fa_pool_indices": None, "fa_state_list": None,
}

# Options of a struct that several functions share, and that these refuse.
REFUSED = {
    "mse_loss": ["beta", "delta"], "l1_loss": ["beta", "delta"], "smooth_l1_loss": ["weight", "delta"],
    "huber_loss": ["beta"], "nll_loss": ["label_smoothing"], "binary_cross_entropy": ["pos_weight"],
    "bce_loss": ["pos_weight"], "avg_pool2d": ["dilation", "dilation_hw", "indices", "return_indices"],
    "max_pool2d": ["count_include_pad", "divisor_override"],
}

# The ops that a function records, where they are not called as it is.
OPS = {
    "view": ["reshape"], "flatten": ["reshape"], "squeeze": ["reshape"], "unsqueeze": ["reshape"],
    "squeeze_all": ["reshape"], "detach": ["reshape"], "transpose": ["permute"], "t": ["permute"],
    "movedim": ["permute"], "select": ["slice"], "narrow": ["slice"], "slice_step": ["slice"], "split": ["slice"],
    "split_sizes": ["slice"], "chunk": ["slice"], "unbind": ["slice"], "contiguous": ["clone"], "to_dtype": ["cast"],
    "stack": ["cat"], "max": ["max_dim"], "min": ["min_dim"], "sort": ["argsort", "take_along"], "topk": ["topk", "take_along"], "take_rows": ["index_select"],
    "rsub": ["rsub_scalar"], "rdiv": ["rdiv_scalar"], "batch_norm": ["batch_norm_apply"], "dropout2d": ["dropout"],
    "relu6": ["hardtanh"], "cross_entropy": ["nll_loss"], "interpolate": ["upsample_bilinear2d"],
    "instance_norm": ["group_norm"], "conv_transpose2d": ["conv2d_input_grad"], "adamw": ["adam"],
    "masked_fill": ["where"], "fill": ["full", "replace"], "zero": ["full", "replace"], "copy": ["clone", "replace"],
    "uniform": ["replace"], "normal": ["replace"], "bernoulli_": ["replace"], "clamp_min": ["clamp"], "clamp_max": ["clamp"],
    "batch_norm1d": ["batch_norm_apply"], "batch_norm2d": ["batch_norm_apply"], "instance_norm2d": ["group_norm"],
    "bce_loss": ["binary_cross_entropy"], "bce_with_logits_loss": ["binary_cross_entropy_with_logits"],
    "cross_entropy_loss": ["nll_loss"], "upsample": ["upsample_bilinear2d"],
}

FUSED = {
    "conv2d": "with relu, and 2x2 max-pool", "linear": "with relu", "relu": "into conv2d and linear",
    "max_pool2d": "2x2 into conv2d; its gradient with relu's", "nll_loss": "with log_softmax and both gradients",
    "log_softmax": "into nll_loss", "sgd": "one pass over all parameters", "adam": "one pass over all parameters",
    "rmsprop": "one pass over all parameters", "adagrad": "one pass over all parameters",
}


# What `...` stands for in a macro.
REST = {
    "fa_take_rows": "rows", "fa_tensor_of": "numbers", "fa_tensor_of_as": "numbers", "fa_nn_sequential": "children",
    "fa_nn_module_list": "children", "fa_nn_sequential_named": "{name, child}", "fa_nn_module_dict": "{name, child}",
    "fa_own_buffer": "shape or tensor, .dtype, .fill, .uniform",
    "fa_own_parameter": "shape or tensor, .dtype, .fill, .uniform, .frozen",
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def ops():
    return re.findall(r"^FA_OP\((\w+)\)", read("src/base/ops.def"), re.M)


def fast_ops(names):
    """Ops that stand in a list of kernels."""
    found = set()
    for path in glob.glob("src/cpu/kernels/*.c"):
        text = read(path)
        for body in re.findall(r"_kernels\)\[\] = \{(.*?)\n\};", text, re.S):
            found |= set(re.findall(r"\w+", body.replace("FA_OP_", ""))) & names
    return found


def definitions():
    """Of each op: file, whether it has a gradient rule, its grad_fn."""
    result = {}
    for path in glob.glob("src/ops/*.c"):
        text = read(path)
        file = os.path.basename(path)
        for name, body in re.findall(r"const fa_op_def fa_op_(\w+) = \{(.*?)\n\};", text, re.S):
            label = re.search(r'\.grad_name = "(\w+)"', body)
            result[name] = (file, ".gradient" in body, label.group(1) if label else None)
        # Ops of one kind, made by a macro whose first parameter is the op's name.
        flat = re.sub(r"\\\n\s*", " ", text)
        for macro, body in re.findall(r"^#define (\w+)\(op[,)](.*)$", flat, re.M):
            if "const fa_op_def fa_op_##op" in body:
                for name, rest in re.findall(r"^%s\((\w+)(.*)\)$" % macro, text, re.M):
                    label = re.search(r'"(\w+Backward0)"', rest)
                    result[name] = (file, ".gradient" in body, label.group(1) if label else None)
    return result


def functions(path):
    """Public words of a header: macros that users call, with their arguments."""
    text = re.sub(r"\\\n\s*", " ", read(path))
    structs = dict()
    for body, name in re.findall(r"typedef struct \w+ \{([^{}]*)\} (\w+_args);", text):
        structs[name] = body
    words = {}
    for name, parameters, body in re.findall(r"^#define (fa_\w+)(?:\(([^)]*)\))?[ \t]+(.*)$", text, re.M):
        if name.endswith("__"):
            continue
        words[name] = arguments(name, parameters, body, structs, text)
    return words


def fields(body):
    names, options = [], []
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    seen_keyword = "kw_" not in body
    for declaration in body.split(";"):
        declaration = declaration.strip()
        if not declaration or "begin_" in declaration:
            continue
        if "kw_" in declaration or "where_" in declaration:
            seen_keyword = True
            continue
        called = re.sub(r"\(\*(\w+)\)\(.*\)", r"\1", declaration)
        for part in called.split(","):
            word = re.findall(r"(\w+)\s*(?:\[[^\]]*\])?\s*$", part.strip())
            if word and not word[0].endswith("_"):
                (options if seen_keyword else names).append(word[0])
    return names, options


def positional(macro, text):
    """The named parameters of a macro that others are written with, and its body."""
    found = re.search(r"^#define %s\(([^)]*)\)[ \t]+(.*)$" % macro, text, re.M)
    if not found:
        return [], ""
    names = [p.strip() for p in found.group(1).split(",")]
    return [n for n in names if n not in ("...", "function", "type")], found.group(2)


def written_out(name, body, structs, text):
    """Of a macro whose arguments another one splits: positional ones, and the options of tensors that are made."""
    inner = re.findall(r"\bFA_[A-Z0-9_]+_\b", body)
    if not inner:
        return None
    names, inside = positional(inner[0] if inner[0] != "FA_PICK_3_" and inner[0] != "FA_PICK_2_" else inner[1], text)
    if not names:
        return None
    if re.search(r"fa_new_args|FA_NEW_ARGS_|FA_NEW_\(", inside):
        options = fields(structs["fa_new_args"])[1]
        if "rand" not in name:
            options.remove("generator")
        names += ["." + o for o in options]
    return ", ".join(names)


def arguments(name, parameters, body, structs, text):
    args = re.search(r"(\w+_args)\b", body)
    out = written_out(name, body, structs, text) if not args and (parameters or "").strip() == "..." else None
    if out:
        return out
    if not args:
        inner = re.match(r"(\w+)\(", body)
        if inner:
            split = re.search(r"#define " + inner.group(1) + r"\(.*?(fa_\w+_args)", text)
            args = split
    if args and args.group(1) in structs and (parameters or "").strip() in ("...", "", None):
        names, options = fields(structs[args.group(1)])
        refused = REFUSED.get(re.sub("^fa_(nn_)?", "", name), [])
        options = [option for option in options if option not in refused]
        return ", ".join(names + ["." + o for o in options])
    rest = "sizes" if "FA_SHAPE(" in body else REST.get(name, "...")
    return (parameters or "").replace("...", rest)


def pytorch_name(name, section):
    if name in NAMES:
        return NAMES[name] or "(ours)"
    base = name[3:]
    if base.endswith("_with"):
        return "torch.%s(..., options)" % base[:-5]
    if base.startswith("nn_"):
        return "nn." + "".join(w[:1].upper() + w[1:] for w in base[3:].split("_")).replace("2d", "2d")
    if base.startswith("init_"):
        return "nn.init." + base[5:]
    if section == "torch.optim":
        words = "".join(w[:1].upper() + w[1:] for w in base.split("_")).replace("Lr", "LR")
        return "lr_scheduler." + words
    if section == "torch.nn.functional":
        return "F." + base
    if base.endswith("_"):
        return "Tensor." + base
    return "torch." + base


def kinds():
    """Names of the test kinds that call a function: {function: {(kind, random, gradient)}}."""
    result = {}
    for path in glob.glob("tests/support/op_kinds*.c"):
        text = read(path)
        table = {name: (draw.strip() != "NULL", flag.strip() == "false")
                 for name, _, draw, flag in re.findall(r'\{"(\w+)",\s*(\w+),\s*(\w+),\s*(\w+)\}', text)}
        builders = {}
        for kind, body in re.findall(r"^BUILD\w*\((\w+),(.*?)\)$", text, re.S | re.M):
            builders[kind] = body
        for kind, body in re.findall(r"static void build_(\w+)\(.*?\n\{(.*?)\n\}", text, re.S):
            builders[kind] = body
        for kind, body in builders.items():
            for called in set(re.findall(r"\bfa_\w+(?=\()", body)):
                if kind in table:
                    result.setdefault(called, set()).add((kind,) + table[kind])
                else:
                    result.setdefault(called, set()).add((kind, False, False))
    return result


def golden_ops():
    found = set()
    for path in glob.glob("tests/golden/*.json"):
        data = json.loads(read(path))
        for case in data.get("cases", []) if isinstance(data, dict) else []:
            if isinstance(case, dict):
                found.add(case.get("op"))
    return found


def mentions():
    result = {}
    for path in sorted(glob.glob("tests/**/*.c", recursive=True)):
        if "op_kinds" in path:
            continue
        name = re.sub(r"^tests/|/?test_|\.c$", "/", path).strip("/").replace("//", "/")
        name = {"support/program": "core/programs", "support/network": "core/networks"}.get(name, name)
        for called in set(re.findall(r"\bfa_\w+(?=\(|\s*\{|\n\s)", read(path))):
            result.setdefault(called, []).append(name)
    return result


def tested(name, kind_table, golden, mention):
    found = []
    for kind, random, gradient in sorted(kind_table.get(name, [])):
        if kind in golden:
            found.append("golden")
        if random:
            found.append("random")
            if gradient:
                found.append("numeric gradient")
    where = mention.get(name, [])
    if any("errors" in w or "mistakes" in w for w in where):
        found.append("mistakes")
    others = [w for w in where if "errors" not in w and "mistakes" not in w]
    text = ", ".join(dict.fromkeys(found))
    if others:
        text += ("; " if text else "") + ", ".join(others[:2])
    if not text:
        sys.exit("no test calls %s" % name)
    return text


def types_of(name, op_names, section):
    moving = {"reshape", "permute", "slice", "expand", "clone", "cat", "flip", "roll", "repeat", "gather", "index_select",
              "where", "pad"}
    whole = {"add", "sub", "mul", "eq", "ne", "lt", "le", "gt", "ge", "abs", "neg", "sign", "sum", "prod", "amax", "amin",
             "max_dim", "min_dim", "argmax", "argmin", "cumsum", "argsort", "topk", "clamp", "maximum", "minimum",
             "remainder", "floor_divide", "any", "all", "logical_and", "logical_or", "logical_xor", "logical_not", "round",
             "floor", "ceil", "rsub_scalar", "isnan", "isinf", "isfinite"}
    if "full" in op_names:
        return "all, and storage"
    if any(o in moving | whole for o in op_names):
        return "all"
    if "cast" in op_names:
        return "all, to all"
    if "one_hot" in op_names:
        return "int64"
    if op_names or section in ("torch.nn", "torch.nn.functional"):
        return "float32, float64"
    return "any"


def table():
    names = set(ops())
    fast, defined, kind_table = fast_ops(names), definitions(), kinds()
    golden, mention = golden_ops(), mentions()
    lines = [
        "# What there is of PyTorch",
        "",
        "Made by `scripts/ops_table.py` from the headers, `src/base/ops.def`, the kernels and the tests; do not edit.",
        "",
        "| column | |",
        "| --- | --- |",
        "| arguments | positional ones first, then options as `.name` |",
        "| types | *all*: float32, float64, int64, int32, uint8 and bool; bfloat16 and float16 are for *storage* and are converted with `fa_to_dtype` |",
        "| gradient | *no* where PyTorch has none either; *-* where nothing is computed (containers, options, files) or the word is an optimizer's. What has one has gradients of gradients too; an op of one's own has them with its `.rule` |",
        "| kernel | *fast*: one for each instruction set beside the reference kernel; *reference*: that alone; *-* computes nothing by itself |",
        "| tests | *golden*: against values made by PyTorch; *random*: against the reference kernel on every instruction set and for 1, 2, 3 and 7 threads; *numeric gradient* in float64; *mistakes* that both refuse; else the tests that call it |",
        "",
        "*(ours)* has no counterpart in PyTorch.",
    ]
    for path, section in SECTIONS:
        lines += ["", "## " + section, "", "| PyTorch | Facula | arguments | types | gradient | kernel | fused | tests |",
                  "| --- | --- | --- | --- | --- | --- | --- | --- |"]
        for name, args in sorted(functions(path).items()):
            base = name[3:].rstrip("_")
            base = base[3:] if base.startswith("nn_") else base
            base = base[:-5] if base + "" not in names and base.endswith("_loss") and base[:-5] in names else base
            op_names = OPS.get(base, [base] if base in names else [])
            rules = [defined[o] for o in op_names if o in defined]
            effect = bool(op_names) and op_names[0] in ("sgd", "adam", "rmsprop", "adagrad")
            gradient = "-" if effect or not op_names else "yes" if any(r[1] for r in rules) else "no"
            gradient = "no" if base == "detach" else gradient
            kernel = "fast" if any(o in fast for o in op_names) else "reference" if op_names else "-"
            fused = next((FUSED[o] for o in [base] + op_names if o in FUSED), "-")
            cells = [pytorch_name(name, section), "`%s`" % name, "`%s`" % args if args else "none",
                     types_of(name, op_names, section), gradient, kernel, fused,
                     tested(name, kind_table, golden, mention)]
            lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    lines += ["", "## Ops", "", "Every op of `src/base/ops.def`, with its file in `src/ops/` and PyTorch's name of its gradient.",
              "", "| op | file | grad_fn | gradient rule | kernel |", "| --- | --- | --- | --- | --- |"]
    for name in ops():
        path, rule, label = defined.get(name, ("elsewhere", False, None))
        lines.append("| `%s` | %s | %s | %s | %s |" % (name, path, label or "none", "yes" if rule else "no",
                                                        "fast" if name in fast else "reference"))
    return "\n".join(lines) + "\n"


def main():
    text = table()
    if "--check" in sys.argv[1:]:
        if not os.path.exists("docs/ops.md") or read("docs/ops.md") != text:
            print("docs/ops.md is not what scripts/ops_table.py writes: run it")
            return 1
        return 0
    with open("docs/ops.md", "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
