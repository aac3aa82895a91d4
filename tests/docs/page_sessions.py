#!/usr/bin/env python3
"""Runs the sessions that the documentation shows: blocks of text after a comment <!-- session --> or <!-- session: 20 % -->.

usage: page_sessions.py --path FOLDER:FOLDER --build BUILD --library libfacula.so --work FOLDER [PAGE...]

A line "$ command" is run by the shell, with PATH put in front of the path, in FOLDER/<page>, where `data` and `examples` lead
to the project's own and `build/release` to BUILD, and pkg-config finds the library; a page's sessions share that folder, in
order. The lines below are what it prints (errors too); a line "..." stands for any lines, " ..." at the end of one for its
rest. Words must be equal. Whole numbers too; numbers with a point may be a fiftieth away, or the share that the comment says,
since instruction sets round differently. Times, speeds and memory are the machine's, as are its instruction set, its number of
threads, and which epoch is the best."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NUMBER = re.compile(r"\d+\.\d+")
MACHINE = re.compile(r"\d+(?:\.\d+)? (?=(?:s|ms|us|MB|MiB|images/s|times as|threads?)\b)|\b(?:avx512|avx2|neon|portable)\b|\bthreads?\b"
                     r"|\(best\)|(?<=best: epoch )\d+")


def same_line(shown, printed, share):
    shown, printed = (MACHINE.sub(" ", text).split() for text in (shown, printed))
    if shown and shown[-1] == "...":
        shown, printed = shown[:-1], printed[:len(shown) - 1]
    shown, printed = " ".join(shown), " ".join(printed)
    if NUMBER.sub("#", shown) != NUMBER.sub("#", printed):
        return False
    return all(abs(float(x) - float(y)) <= share * abs(float(x)) + 1e-9
               for x, y in zip(NUMBER.findall(shown), NUMBER.findall(printed)))


def same(shown, printed, share):
    """The first shown line that the printed ones do not have; None when they agree."""
    at, skip = 0, False
    for line in shown:
        if line.strip() == "...":
            skip = True
            continue
        while skip and at < len(printed) and not same_line(line, printed[at], share):
            at += 1
        if at == len(printed) or not same_line(line, printed[at], share):
            return line
        at, skip = at + 1, False
    return None if skip or at == len(printed) else "(the end)"


def sessions(path):
    """[(line number, command, lines shown, share)] of a page."""
    found, lines, at = [], path.read_text(encoding="utf-8").split("\n"), 0
    while at < len(lines):
        comment = re.match(r"<!-- session(?:: (\d+) %)? -->$", lines[at].strip())
        if comment:
            share = int(comment.group(1)) / 100 if comment.group(1) else 0.02
            at += 2
            assert lines[at - 1].startswith("```"), f"{path.name}:{at}: no block after <!-- session -->"
            while lines[at].strip() != "```":
                if lines[at].startswith("$ "):
                    found.append((at + 1, lines[at][2:], [], share))
                else:
                    found[-1][2].append(lines[at])
                at += 1
        at += 1
    return found


def with_pkg_config(folder, library):
    """An environment in which pkg-config finds the library of this build."""
    (folder / "facula.pc").write_text(f"Name: facula\nDescription: of this build\nVersion: 0\nCflags: -I{ROOT / 'include'}\n"
                                      f"Libs: {library} -Wl,-rpath,{library.parent}\n", encoding="utf-8")
    return {"PKG_CONFIG_PATH": str(folder)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("pages", nargs="*")
    options = parser.parse_args()
    written = [ROOT / "README.md"] + sorted(p for p in ROOT.glob("docs/**/*.md") if "reference" not in p.parts)
    environment = dict(os.environ, PATH=options.path + os.pathsep + os.environ["PATH"])
    commands = failed = 0
    for page in [pathlib.Path(page) for page in options.pages] or written:
        wanted = sessions(page)
        if not wanted:
            continue
        folder = pathlib.Path(options.work) / page.resolve().relative_to(ROOT).with_suffix("")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("data", "examples"):
            os.symlink(ROOT / name, folder / name)
        (folder / "build").mkdir()
        os.symlink(pathlib.Path(options.build).resolve(), folder / "build" / "release")
        environment.update(with_pkg_config(folder, pathlib.Path(options.library).resolve()))
        for number, command, shown, share in wanted:
            commands += 1
            run = subprocess.run(command, shell=True, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
            printed = run.stdout.split("\n")[:-1]
            wrong = same(shown, printed, share)
            if run.returncode or wrong is not None:
                failed += 1
                print(f"{page.name}:{number}: $ {command}\nends with {run.returncode}, does not print \"{wrong}\", but\n"
                      f"{run.stdout}")
    print(f"{commands} commands run, {failed} wrong")
    return failed > 0 or commands == 0


if __name__ == "__main__":
    sys.exit(main())
