#!/usr/bin/env python3
"""Compiles and runs the C code of the documentation: one program a page.

usage: page_code.py --cc CC --library libfacula.so --build BUILD --work FOLDER [PAGE...]

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
  <!-- session: 10 % -->         the next block of text is a session in a terminal: each line behind `$ ` is run, and what
                                 it prints must be what stands below it. Numbers with a decimal point may be off by that
                                 much; times, speeds, what the machine is (instruction set, threads) and which epoch is the
                                 best by any amount; a line `...` stands for any number of lines, and ` ...` at
                                 the end of one for the rest of it
A page's programs and sessions run in FOLDER/<page>, where `data` and `examples` lead to the project's own, `build/release` to
BUILD, and pkg-config finds the library of the build. They must end without an error."""
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
        self.sessions = []
        self.runs = True
        hidden, skipped, prints, named, session = [], False, False, False, None
        lines = path.read_text(encoding="utf-8").split("\n")
        at = 0
        while at < len(lines):
            line = lines[at].strip()
            comment = re.match(r"<!-- (code|run|prints|session):? ?(.*?)( ?-->)?$", line)
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
                elif comment.group(1) == "session":
                    session = float(text.rstrip(" %")) / 100
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
                elif language in ("text", "console", "") and session is not None:
                    self.sessions.append((start, session, [text for _, text in block]))
                    session = None
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


ANY = re.compile(r"\d+(?:\.\d+)? (?=(?:s|ms|us|images/s|MiB|threads?|GFLOP/s)\b)|\b(?:avx512|avx2|neon|portable)\b|\bthreads?\b"
                 r"|\(best\)|(?<=best: epoch )\d+")
NUMBER = re.compile(r"\d+\.\d+(?:e[-+]\d+)?")


def same_line(expected, line, share):
    """Whether a line of a session is what it should be, but for what differs from machine to machine."""
    expected, line = (ANY.sub(" ", text).split() for text in (expected, line))
    if expected and expected[-1] == "...":
        expected, line = expected[:-1], line[:len(expected) - 1]
    expected, line = " ".join(expected), " ".join(line)
    if NUMBER.sub("#", expected) != NUMBER.sub("#", line):
        return False
    return all(abs(float(a) - float(b)) <= share * abs(float(a)) + 1e-12
               for a, b in zip(NUMBER.findall(expected), NUMBER.findall(line)))


def same_text(expected, lines, share):
    """Whether the lines are the expected ones; `...` stands for any number of them."""
    if not expected:
        return not lines
    if expected[0].strip() == "...":
        return any(same_text(expected[1:], lines[k:], share) for k in range(len(lines) + 1))
    return bool(lines) and same_line(expected[0], lines[0], share) and same_text(expected[1:], lines[1:], share)


def with_pkg_config(folder, library):
    """An environment in which pkg-config finds the library of this build."""
    (folder / "facula.pc").write_text(f"Name: facula\nDescription: of this build\nVersion: 0\nCflags: -I{ROOT / 'include'}\n"
                                      f"Libs: {library} -Wl,-rpath,{library.parent}\n", encoding="utf-8")
    return {**os.environ, "PKG_CONFIG_PATH": str(folder)}


def run_session(page, session, folder, environment):
    """The commands of a session, one after the other, each held against what stands below it."""
    start, share, lines = session
    wrong, at = [], 0
    while at < len(lines):
        command, first = lines[at].removeprefix("$ "), at
        at += 1
        while command.endswith("\\"):
            command = command[:-1] + lines[at].removeprefix("> ")
            at += 1
        expected = []
        while at < len(lines) and not lines[at].startswith("$ "):
            expected.append(lines[at])
            at += 1
        run = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        printed = run.stdout.rstrip().split("\n") if run.stdout.strip() else []
        while expected and not expected[-1].strip():
            expected.pop()
        if run.returncode or not same_text(expected, printed, share):
            wrong.append(f"{page.path.name}:{start + first}: {command}\nends with {run.returncode} and prints\n{run.stdout}")
    return wrong


def check_page(path, options):
    page, problems, ran = Page(path), [], 0
    folder = pathlib.Path(options.work) / path.stem
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("data", "examples"):
        os.symlink(ROOT / name, folder / name)
    (folder / "build").mkdir()
    os.symlink(pathlib.Path(options.build).resolve(), folder / "build" / "release")
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
    environment = with_pkg_config(folder, pathlib.Path(options.library).resolve())
    for session in page.sessions:
        ran += 1
        problems += run_session(page, session, folder, environment)
    return len(page.sources()), ran, problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("pages", nargs="*")
    options = parser.parse_args()
    written = [ROOT / "README.md"] + sorted(ROOT.glob("docs/**/*.md"))
    pages = [pathlib.Path(page) for page in options.pages] or [p for p in written if "reference" not in p.parts]
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
