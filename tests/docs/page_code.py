#!/usr/bin/env python3
"""Compiles and runs the C code of the documentation: one program a page.

usage: page_code.py --cc CC --library libfacula.so --work FOLDER [PAGE...]

A block of C is compiled in one of three ways.
  - Under a line that is nothing but a path in backquotes it is a part of that file (test_docs.py looks whether it is),
    and not compiled here.
  - With `int main` in it, it is a program of its own.
  - Any other block becomes part of the page's program. Definitions of functions and of types, #include and #define lines
    stand outside of main, in the order of the page; statements stand inside, each block in a scope within that of the
    block before, so that a page may use a name again.
Comments in the page, which are not shown, say what a reader does not need to see:
  <!-- code: hidden lines -->    lines of C that precede the next block, such as the variables it uses; files of the
                                 project are included by their paths
  <!-- code: none -->            the next block is not compiled (a struct's listing, code of the library)
  <!-- run: no -->               the page's program is compiled, not run
  <!-- prints -->                the next block of text is what the program has printed since the last such block; where an
                                 error says `page.md:12`, the page may have any file and line; `prints: folded`: long lines
                                 are broken in the page
A page's program runs in FOLDER/<page>, where `data` leads to the project's data, and must end without an error. Sessions in a
terminal are page_sessions.py's."""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MARK = "\x1eprinted so far\x1e"
OUTSIDE = re.compile(r"^(?:static |const |struct |enum |typedef |#include|#define|\w+(?: \w+)*[ *]+\w+\([^;=]*\)$)")


class Page:
    def __init__(self, path):
        self.path, self.programs, self.outside, self.blocks, self.outputs = path, [], [], [], []
        self.runs = True
        hidden, skipped, prints, named = [], False, False, False
        lines = path.read_text(encoding="utf-8").split("\n")
        at = 0
        while at < len(lines):
            line = lines[at].strip()
            comment = re.match(r"<!-- (code|run|prints):? ?(.*?)( ?-->)?$", line)
            if comment:
                body, start = [comment.group(2)], at
                while "-->" not in lines[at]:
                    at += 1
                    body.append(lines[at].replace("-->", ""))
                text = "\n".join(body).strip()
                if comment.group(1) == "run":
                    self.runs = text != "no"
                elif comment.group(1) == "prints":
                    prints = text or "as it is"
                elif text == "none":
                    skipped = True
                else:
                    hidden += list(enumerate(body, start + 1))
            elif line.startswith("```"):
                language, start = line[3:], at + 1
                at += 1
                while lines[at].strip() != "```":
                    at += 1
                block = list(enumerate(lines[start:at], start + 1))
                if language == "c":
                    if not (named or skipped):
                        self.take(hidden, block)
                    hidden, skipped = [], False
                elif language in ("text", "") and prints:
                    self.outputs.append((start, "\n".join(text for _, text in block), prints == "folded"))
                    self.blocks.append(None)
                    prints = False
            elif line:
                named = bool(re.fullmatch(r"`[\w./]+`", line))
                at += 1
                continue
            else:
                at += 1
                continue
            named = False
            at += 1

    def take(self, hidden, block):
        if any(re.match(r"int main\(", text) for _, text in block):
            self.programs.append(hidden + block)
            return
        inside, deep, outer = [], False, False
        for number, text in hidden + block:
            if deep:  # inside a definition that began at the left margin
                self.outside.append((number, text))
                deep = not re.match(r"\}", text)
            elif outer and text.strip() == "{":
                self.outside.append((number, text))
                deep, outer = True, False
            elif OUTSIDE.match(text) and not re.match(r"static const .*=|(const|struct|enum) .*=", text):
                self.outside.append((number, text))
                deep = bool(re.search(r"\{[^}]*$", text))
                outer = not deep and not re.search(r"[;>\"]\s*$|^#", text)
            else:
                outer = False
                inside.append((number, text))
        if any(text.strip() for _, text in inside):
            self.blocks.append(inside)

    def numbered(self, lines):
        result, expected = [], None
        for number, text in lines:
            if number != expected:
                result.append(f'#line {number} "{self.path.name}"')
            result.append(text)
            expected = number + 1
        return result

    def sources(self):
        """The programs of the page: the longer ones as they are, then what the other blocks make."""
        result = ["\n".join(self.numbered(lines)) + "\n" for lines in self.programs]
        if self.outside or any(self.blocks):
            text = ["#include <facula.h>", "#include <inttypes.h>", "#include <math.h>", "#include <stdio.h>",
                    "#include <stdlib.h>", "#include <string.h>"]
            text += self.numbered(self.outside)
            text += ["int main(void)", "{"]
            scopes = 0
            for block in self.blocks:
                if block is None:
                    text.append(f'fputs("{MARK}", stdout);')
                    continue
                text += ["{"] + self.numbered(block)
                text.append('if (!fa_ok()) { fflush(stdout); fprintf(stderr, "%s\\n", fa_error()); exit(1); }')
                scopes += 1
            text += ["}" * scopes, "return 0;", "}"]
            result.append("\n".join(text) + "\n")
        return result


PLACE = re.compile(r"\b\w+\.(?:md|c):\d+")


def check_output(page, printed):
    """Whether what was printed before each mark is the block of text that stands there."""
    wrong = []
    parts = printed.split(MARK)
    for (line, expected, folded), part in zip(page.outputs, parts):
        expected, part = (PLACE.sub("here", text.rstrip()) for text in (expected, part))
        if expected != part and not (folded and expected.split() == part.split()):
            wrong.append(f"{page.path.name}:{line}: the program prints\n{part}\ninstead of\n{expected}")
    if len(parts) - 1 < len(page.outputs):
        wrong.append(f"{page.path.name}: {len(page.outputs)} blocks of output, {len(parts) - 1} printed")
    return wrong


def check_page(path, options):
    page, problems, ran = Page(path), [], 0
    folder = pathlib.Path(options.work) / path.stem
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.symlink(ROOT / "data", folder / "data")
    for number, source in enumerate(page.sources()):
        name = folder / f"program_{number}"
        name.with_suffix(".c").write_text(source, encoding="utf-8")
        command = shlex.split(options.cc) + ["-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused",
                                             "-Wno-unused-parameter", f"-I{ROOT / 'include'}", f"-I{ROOT}"]
        library = pathlib.Path(options.library).resolve()
        command += [f"{name}.c", "-o", str(name), str(library), f"-Wl,-rpath,{library.parent}", "-lm", "-lpthread"]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode:
            problems.append(f"{path.name}: does not compile\n{built.stderr}")
            continue
        if not page.runs:
            continue
        ran += 1
        run = subprocess.run([str(name)], cwd=folder, capture_output=True, text=True)
        if run.returncode:
            problems.append(f"{path.name}: ends with {run.returncode}\n{run.stdout[-2000:]}{run.stderr}")
        elif number >= len(page.programs):
            problems += check_output(page, run.stdout)
    return len(page.sources()), ran, problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("pages", nargs="*")
    options = parser.parse_args()
    written = [ROOT / "README.md"] + sorted(ROOT.glob("docs/**/*.md"))
    written = [page for page in written if not {"reference", "fr"} & set(page.parts)]  # fr: English pages' blocks
    pages = [pathlib.Path(page) for page in options.pages] or written
    failed = programs = runs = 0
    for page in pages:
        made, ran, problems = check_page(page, options)
        programs, runs = programs + made, runs + ran
        failed += bool(problems)
        for problem in problems:
            print(problem)
    print(f"{len(pages)} pages, {programs} programs compiled, {runs} run, {failed} pages with problems")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
