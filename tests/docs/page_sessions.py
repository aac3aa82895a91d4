#!/usr/bin/env python3
"""Runs the sessions that the documentation shows: blocks of text after a comment <!-- session -->.

usage: page_sessions.py --path FOLDER:FOLDER --work FOLDER [PAGE...]

A line "$ command" is run by the shell, with PATH put in front of the path, in FOLDER/<page>, where `data` leads to the
project's data; a page's sessions share that folder, in order. The lines below are what it prints (errors too); a line
"..." stands for any lines. Words must be equal. Whole numbers too; numbers with a point may be a fiftieth away, since
instruction sets round differently, and those of seconds, megabytes and "times as" are the machine's."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NUMBER = re.compile(r"\d+\.\d+")
MEASURED = re.compile(r" (s|MB|times as)\b")


def same_line(shown, printed):
    if NUMBER.sub("#", shown).split() != NUMBER.sub("#", printed).split():
        return False
    for a, b in zip(NUMBER.finditer(shown), NUMBER.finditer(printed)):
        x, y = float(a.group()), float(b.group())
        if not MEASURED.match(shown, a.end()) and abs(x - y) > 0.02 * abs(x) + 1e-9:
            return False
    return True


def same(shown, printed):
    """The first shown line that the printed ones do not have; None when they agree."""
    at, skip = 0, False
    for line in shown:
        if line.strip() == "...":
            skip = True
            continue
        while skip and at < len(printed) and not same_line(line, printed[at]):
            at += 1
        if at == len(printed) or not same_line(line, printed[at]):
            return line
        at, skip = at + 1, False
    return None if skip or at == len(printed) else "(the end)"


def sessions(path):
    """[(line number, command, lines shown)] of a page."""
    found, lines, at = [], path.read_text(encoding="utf-8").split("\n"), 0
    while at < len(lines):
        if lines[at].strip() == "<!-- session -->":
            at += 2
            assert lines[at - 1].startswith("```"), f"{path.name}:{at}: no block after <!-- session -->"
            while lines[at].strip() != "```":
                if lines[at].startswith("$ "):
                    found.append((at + 1, lines[at][2:], []))
                else:
                    found[-1][2].append(lines[at])
                at += 1
        at += 1
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("pages", nargs="*")
    options = parser.parse_args()
    written = [ROOT / "README.md"] + sorted(p for p in ROOT.glob("docs/**/*.md") if "reference" not in p.parts)
    environment = dict(os.environ, PATH=options.path + os.pathsep + os.environ["PATH"])
    commands = failed = 0
    for page in [pathlib.Path(page) for page in options.pages] or written:
        todo = sessions(page)
        if not todo:
            continue
        folder = pathlib.Path(options.work) / page.resolve().relative_to(ROOT).with_suffix("")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.symlink(ROOT / "data", folder / "data")
        for number, command, shown in todo:
            commands += 1
            run = subprocess.run(command, shell=True, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
            printed = run.stdout.split("\n")[:-1]
            wrong = same(shown, printed)
            if run.returncode or wrong is not None:
                failed += 1
                print(f"{page.name}:{number}: $ {command}\nends with {run.returncode}, does not print \"{wrong}\", but\n"
                      f"{run.stdout}")
    print(f"{commands} commands run, {failed} wrong")
    return failed > 0 or commands == 0


if __name__ == "__main__":
    sys.exit(main())
