#!/usr/bin/env python3
"""Writes the reference of the documentation's site from the public headers: a page a header.

usage: scripts/reference.py FOLDER

A header is read as what STYLE asks of it: sections, `/* ---- Title ---- */`; comments at the left margin, which speak of
all that follows them up to the next such comment; structs of arguments, whose fields before `kw_` are positional and
those behind it options by name. A macro over a function `fa_x_at` is shown as the user writes it: with the types of the
function, PyTorch's names of the options, and the defaults of the macro."""
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import ops_table

TITLES = {
    "base": "Errors, devices, threads, random numbers", "tensor": "Tensors and autograd", "elementwise": "Elementwise",
    "functional": "Functions of networks", "nn": "Modules, layers, initial weights", "optim": "Optimizers and schedules",
    "data": "Data sets, samplers, the loader", "vision": "Data sets of pictures", "pictures": "Pictures",
    "transforms": "Transforms", "files": "Files and plain values", "state": "State dicts and whole models",
    "train": "Runs", "check": "Looking at data and networks", "predict": "Predictors",
    "profile": "Profiles", "parity": "Recordings of PyTorch",
}
ORDER = list(TITLES)

# What `...` stands for, where scripts/ops_table.py does not know it.
REST = {"fa_tensor_dataset": "tensors", "fa_dict": "key, value, ..", "fa_list": "values", "fa_tuple": "values",
        "fa_compose": "transforms"}

# Arguments that no field of the macro's struct stands for.
FIRST = {"fa_module_new": ["type", "fa_forward_function forward"]}


class Group:
    """A comment and the declarations that it speaks of."""

    def __init__(self, comment):
        self.comment, self.code = comment, []


def unwrap(comment):
    """The text of a comment, its lines joined into paragraphs; indented lines and lists stay as they are."""
    text = re.sub(r"^/\*+ ?|\s*\*/$", "", comment.strip())
    lines = [re.sub(r"^ ?\* ?", "", line) if number else line for number, line in enumerate(text.split("\n"))]
    return "\n".join(lines).strip()


def groups(text):
    """[(section title, [Group])], and the header's first comment."""
    text = re.sub(r'#ifdef __cplusplus\nextern "C" \{\n#endif\n|#ifdef __cplusplus\n\}\n#endif\n', "", text)
    lines, at = text.split("\n"), 0
    head, sections, current = "", [("", [])], None
    while at < len(lines):
        line = lines[at]
        if line.startswith("/*"):
            comment = [line]
            while "*/" not in lines[at]:
                at += 1
                comment.append(lines[at])
            whole = "\n".join(comment)
            title = re.match(r"/\* -{3,} ([^\n]*?)(?: -{3,})?\s*(?:\n \* -+\s*)?(\*/|\n.*)", whole, re.S)
            if title:
                sections.append((title.group(1), []))
                rest = unwrap("/*" + title.group(2)).strip("*/ ")
                current = Group(rest) if rest else None
                if rest:
                    sections[-1][1].append(current)
            elif not head:
                head = unwrap(whole)
            else:
                current = Group(unwrap(whole))
                sections[-1][1].append(current)
        elif line.strip() and head:
            if current is None:
                current = Group("")
                sections[-1][1].append(current)
            declaration = line
            while declaration.endswith("\\"):
                at += 1
                declaration = declaration[:-1].rstrip() + " " + lines[at].strip()
            depth = declaration.count("{") - declaration.count("}")
            if not declaration.startswith("#"):
                while depth > 0 or (not re.search(r"[;]\s*(/\*.*\*/)?\s*$", declaration) and "*/" not in declaration[-3:]
                                    and at + 1 < len(lines) and not declaration.startswith("#")):
                    at += 1
                    declaration += "\n" + lines[at]
                    depth = declaration.count("{") - declaration.count("}")
            current.code.append(declaration)
        at += 1
    return head, sections


def struct_fields(body):
    """[(type, name, comment, by name)] of a struct of arguments."""
    result, options, notes = [], False, []

    def keep(found):
        notes.append(" ".join(unwrap(re.sub(r"\n\s*\*", "\n *", found.group(0))).split()))
        return f"\x1e{len(notes) - 1}\x1e"

    marked = re.sub(r"/\*.*?\*/", keep, body, flags=re.S)
    for declaration, behind in re.findall(r"([^;{}]+);[ \t]*(\x1e\d+\x1e)?", marked):
        before = re.findall(r"\x1e(\d+)\x1e", declaration)
        declaration = re.sub(r"\x1e\d+\x1e", "", declaration).strip()
        note = notes[int(behind.strip("\x1e"))] if behind else notes[int(before[-1])] if before else ""
        if "kw_" in declaration:
            options = True
        elif not re.search(r"\b\w+_$", declaration) and declaration:
            pointer = re.match(r"(.*?)\(\*(\w+)\)(\(.*\))$", declaration, re.S)
            if pointer:
                result.append((" ".join((pointer.group(1) + "(*)" + pointer.group(3)).split()), pointer.group(2), note, options))
                continue
            flat = " ".join(declaration.split())
            kind, names = re.match(r"((?:const )?(?:struct )?\w+)\s*(.*)$", flat).groups()
            for name in names.split(","):
                name = name.strip()
                stars = re.match(r"^(?:\*\s*(?:const\s*)?)*", name).group(0)
                result.append((kind + (" " + stars.strip() if stars else "") + "".join(re.findall(r"\[[^\]]*\]", name)),
                               re.sub(r"\[.*", "", name[len(stars):]), note, options))
    if "kw_" not in body:
        result = [(kind, name, note, True) for kind, name, note, _ in result]
    return result


def defaults(text, macros):
    """{option: value} of the initializers in a macro's body, other macros of defaults among them."""
    result = {}
    for name in re.findall(r"\b(FA_\w*DEFAULTS_?)\b", text):
        result.update(defaults(macros.get(name, ""), macros))
    for name, value in re.findall(r"\.(\w+) = (\{[^}]*\}|\([^()]*\)\{[^}]*\}|[^,{}()]+)", text):
        if not name.endswith("_"):
            result[name] = value.strip()
    return result


def zero(kind):
    if "*" in kind:
        return "NULL"
    if kind == "bool":
        return "false"
    return "0" if re.match(r"(int|int64_t|uint64_t|size_t|double|float|unsigned)$", kind) else ""


class Header:
    def __init__(self, path):
        self.path, self.name = path, path.stem
        self.text = path.read_text(encoding="utf-8")
        self.head, self.sections = groups(self.text)
        flat = re.sub(r"\\\n\s*", " ", self.text)
        self.macros = {name: body for name, body in re.findall(r"^#define (\w+)(?:\([^)]*\))?[ \t]+(.*)$", flat, re.M)}
        self.functions = {}
        for kind, name, parameters in re.findall(r"FA_API ([\w ]+?[ *]+)(\w+)\(([^;]*?)\)[^;()]*(?:FA_\w+(?:\([^;]*?\))?)?;", self.text, re.S):
            self.functions[name] = (kind.strip(), " ".join(parameters.split()))


def wrapped(line, width=92):
    """A declaration on lines of that width, broken between arguments."""
    if len(line) <= width or "(" not in line or "\n" in line:
        return line
    start = line.index("(") + 1
    pieces, result, current = re.split(r"(?<=,) ", line[start:]), [], line[:start]
    for piece in pieces:
        if len(current) + len(piece) > width and len(current) > start:
            result.append(current.rstrip())
            current = " " * min(start, 40)
        current += piece + " "
    return "\n".join(result + [current.rstrip()])


def parameters_of(text):
    parts, depth, part = [], 0, ""
    for letter in text:
        depth += letter in "(["
        depth -= letter in ")]"
        if letter == "," and not depth:
            parts.append(part.strip())
            part = ""
        else:
            part += letter
    return [p for p in parts + [part.strip()] if p and p != "void" and not p.endswith("fa_where where")]


class Writer:
    def __init__(self, headers):
        self.headers = headers
        self.structs, self.macros, self.functions = {}, {}, {}
        for header in headers:
            self.macros.update(header.macros)
            self.functions.update(header.functions)
            for body, name in re.findall(r"^typedef struct \w+ \{((?:(?!\n\}).)*)\n\} (\w+_args);", header.text, re.S | re.M):
                self.structs[name] = struct_fields(body)
        self.shown = 0

    def behind(self, name, seen=()):
        """The plain function behind a macro: its type and its parameters."""
        body = self.macros.get(name, "")
        for word in re.findall(r"\bfa_\w+_at\b", body):
            if word in self.functions:
                return self.functions[word]
        return self.functions.get(name + "_at") or self.functions.get(name)

    def args_of(self, name):
        body = self.macros[name]
        for word in re.findall(r"\bFA_\w+_\b", body):
            body += " " + self.macros.get(word, "")
        found = [word for word in re.findall(r"\b(fa_\w+_args)\b", body) if word in self.structs]
        return (found[0] if found else None), body

    def macro(self, name, parameters):
        """A macro as its user writes it: a line of code, and its options."""
        function = self.behind(name)
        kind = function[0] if function else ""
        space = "" if kind.endswith("*") or not kind else " "
        if parameters is None:
            return f"{name}", []
        struct, body = self.args_of(name)
        if struct and "..." in parameters:
            given = defaults(body, self.macros)
            fields = [f for f in self.structs[struct] if f[1] not in ops_table.REFUSED.get(re.sub("^fa_(nn_)?", "", name), [])]
            first = [p.strip() for p in parameters.split(",") if p.strip() != "..."]
            first += FIRST.get(name, [])
            if struct == "fa_new_args":
                first = [n for n in (ops_table.functions(str(self.header.path)).get(name) or "").split(", ") if n and n[0] != "."]
                if "rand" not in name:
                    fields = [f for f in fields if f[1] != "generator"]
            where = [f"{k}{'' if k.endswith('*') else ' '}{n}" for k, n, _, option in fields if not option]
            options = [(k, n, given.get(n, zero(k)), note) for k, n, note, option in fields if option]
            line = ", ".join(first + where + ([".option = .."] if options else []))
            return f"{kind}{space}{name}({line})", options
        names = [p.strip() for p in parameters.split(",")]
        if function:
            typed = parameters_of(function[1])
            takes_words = re.search(r"(?<!#)#[a-z]", self.macros[name])
            if len(typed) == len(names) and "..." not in names and not takes_words:
                return f"{kind}{space}{name}({', '.join(typed)})", []
        shown = (ops_table.functions(str(self.header.path)).get(name) or parameters).replace("...", REST.get(name, ".."))
        return f"{kind}{space}{name}({shown})", []

    def code(self, group):
        """The declarations of a group that users see: (lines of code, tables of options, names)."""
        lines, tables, names = [], [], []
        for declaration in group.code:
            note = re.search(r"(/\*.*\*/)\s*$", declaration)
            note = "   " + note.group(1) if note and "\n" not in declaration else ""
            macro = re.match(r"#define (fa_\w+[a-z0-9]_?)(?:\(([^)]*)\))?[ \t]+", declaration)
            if macro and not macro.group(1).endswith("__"):
                line, options = self.macro(macro.group(1), macro.group(2))
                lines.append(line + (";" if "(" in line else "") + note)
                names.append(macro.group(1))
                tables.append((macro.group(1), options))
            elif re.match(r"#define FA_\w+[^_(](\(|\s)", declaration) and not re.match(r"#define FA_\w*(DEFAULTS|_H)\b", declaration):
                constant = re.match(r"#define (FA_\w+(?:\([^)]*\))?)\s*(.*)$", declaration)
                if len(constant.group(2)) < 60 or "(" in constant.group(1):
                    value = "" if "(" in constant.group(1) else " " + constant.group(2)
                    lines.append(f"#define {constant.group(1)}{value}")
            elif declaration.startswith("FA_API"):
                name = re.search(r"(\w+)\(", declaration).group(1)
                if not name.endswith("_at") and not name.endswith("_"):
                    plain = re.sub(r"\s*FA_(WARN_UNUSED|PRINTF_\([^)]*\))", "", declaration[len("FA_API "):])
                    lines.append(" ".join(plain.split()).replace(" /*", "   /*"))
                    names.append(name)
            elif declaration.startswith(("typedef", "enum", "struct")):
                name = re.search(r"(\w+);[^;]*$", re.sub(r"/\*.*?\*/", "", declaration, flags=re.S))
                if name and not name.group(1).endswith(("_args", "_guard", "_impl")):
                    lines.append("\n".join(l for l in declaration.split("\n") if not re.search(r"\w+_;", l)))
                    names.append(name.group(1))
        return lines, tables, names

    def prose(self, text):
        """A comment as Markdown: names in code, indented lines as blocks."""
        out, block, item = [], [], False
        for line in text.split("\n") + [""]:
            if item and line.startswith("  ") and line.strip() and not line.strip().startswith("- "):
                out[-1] += " " + self.inline(line.strip())
                continue
            if line.startswith("    ") and not line.strip().startswith("- "):
                block.append(line[4:])
                continue
            if block and line.strip() == "" and out:
                block.append("")
                continue
            if block:
                out += ["", "```c", *"\n".join(block).strip("\n").split("\n"), "```", ""]
                block = []
            listed = re.match(r"\s*- (.*)", line)
            if listed and not item and out and out[-1]:
                out.append("")
            item = bool(listed)
            line = self.inline(line.strip() if not listed else "- " + listed.group(1))
            out.append(line)
        if block:
            out += ["", "```c", *"\n".join(block).strip("\n").split("\n"), "```", ""]
        return "\n".join(out).strip()

    def inline(self, line):
        pieces = re.split(r"(`[^`]*`)", line)
        for at in range(0, len(pieces), 2):
            piece = re.sub(r"([<>|*_\[\]])", r"\\\1", pieces[at])
            piece = re.sub(r"(?<![\w.`])(fa(?:\\_\w+)+(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?|FA(?:\\_\w+)+(?:\([^()]*\))?|\.\w+ = [\w.\\-]+)",
                           lambda m: "`" + m.group(1).replace("\\", "") + "`", piece)
            pieces[at] = piece
        return "".join(pieces)

    def page(self, header):
        self.header = header
        section_of = {path: section for path, section in ops_table.SECTIONS}
        out = [f"# {TITLES[header.name]}", "", f"`#include <facula/{header.name}.h>`, part of `<facula.h>`", "", self.prose(header.head), ""]
        for title, parts in header.sections:
            written = []
            for group in parts:
                lines, tables, names = self.code(group)
                if not lines and not (group.comment and not group.code):
                    if group.comment:
                        written += [self.prose(group.comment), ""]
                    continue
                heading = ", ".join(f"`{n}`" for n in names[:4]) + (", .." if len(names) > 4 else "")
                if names:
                    written += [f"{'###' if title else '##'} {heading}", ""]
                    self.shown += len(names)
                known = [ops_table.pytorch_name(n, section_of[f"include/facula/{header.name}.h"]) for n in names
                         if f"include/facula/{header.name}.h" in section_of and header.macros.get(n) is not None]
                known = [k for k in dict.fromkeys(known) if k != "(ours)"]
                if known:
                    written += ["In PyTorch: " + ", ".join(f"`{k}`" for k in known[:6]), ""]
                if lines:
                    written += ["```c", *[wrapped(line) for line in lines], "```", ""]
                if group.comment:
                    written += [self.prose(group.comment), ""]
                same = {}
                for name, options in tables:
                    if options:
                        same.setdefault(tuple(options), []).append(name)
                for options, users in same.items():
                    of = "" if len(same) == 1 else " of " + ", ".join(f"`{u}`" for u in users)
                    written += [f"| option{of} | type | default | |", "| --- | --- | --- | --- |"]
                    for kind, name, value, note in options:
                        value = "none" if re.search(r"FA_PAIR_UNSET_|__builtin_nan", value) else value
                        cells = [f"`.{name}`", f"`{kind}`", f"`{value}`" if value else "", self.inline(note)]
                        written.append("| " + " | ".join(c.replace("\\|", "|").replace("|", "\\|") for c in cells) + " |")
                    written.append("")
            if written:
                out += ([f"## {title}", ""] if title else []) + written
        return "\n".join(out).rstrip() + "\n"


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    root = pathlib.Path(__file__).resolve().parent.parent
    headers = sorted((root / "include" / "facula").glob("*.h"), key=lambda p: ORDER.index(p.stem) if p.stem in ORDER else 99)
    missing = [h.stem for h in headers if h.stem not in TITLES]
    if missing:
        sys.exit(f"scripts/reference.py: no title for {missing}")
    os.chdir(root)
    writer = Writer([Header(path) for path in headers])
    for header in writer.headers:
        (folder / f"{header.name}.md").write_text(writer.page(header), encoding="utf-8")
    index = ["# Reference", "", "Every word of the interface, from the headers' own comments.", "", "```{toctree}", ":maxdepth: 2", ""]
    index += [h.name for h in writer.headers] + ["```", ""]
    (folder / "index.md").write_text("\n".join(index), encoding="utf-8")
    print(f"{len(writer.headers)} headers, {writer.shown} words")


if __name__ == "__main__":
    main()
