#!/usr/bin/env python3
"""Faults that only whole processes show, on a real small model: kills while answering from tiers and while forgetting, two processes on one
library, the index lost.

  faults.py --cli build/release/bin/carrel-cli --model M.gguf --document FILE [--kills 3] [--predict 32] [--seed 1] [--part NAME ...]

FILE is read once; every part works on copies of that library. What an answer must be is what the first one was. Exits 77 (skipped) when model
or document are not there.
"""
import argparse
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

QUESTION = "What is this document about?"


class Library:
    """A data folder and the command line on it."""

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.budgets = []

    def copy(self, name):
        other = Library(self.args, self.folder.parent / name)
        shutil.rmtree(other.folder, ignore_errors=True)
        shutil.copytree(self.folder, other.folder)
        other.budgets = self.budgets
        return other

    def start(self, *words):
        command = [self.args.cli, "--data", str(self.folder), "--model", self.args.model, "--json", *self.budgets, *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words, code=0):
        process = self.start(*words)
        out, err = process.communicate()
        if process.returncode != code:
            sys.exit(f"{words[0]} ended with {process.returncode}, not {code}: {out[-500:]} {err[-2000:]}")
        return json.loads(out)

    def ask(self, document=None):
        out = self.run("ask", document or self.args.document, QUESTION, "--predict", str(self.args.predict))
        return out["answers"][0]["answer"]

    def index(self):
        return self.folder / "readings/index.sqlite"

    def leftovers(self):
        """What is on disk of documents and readings."""
        kept = re.compile(r"readings/(CACHEDIR\.TAG|index\.sqlite.*)$")
        names = [p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if p.is_file()]
        return [n for n in names if re.match("(documents|readings)/", n) and not kept.match(n)]


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got!r} instead of {wanted!r}")


def kill_after(process, seconds):
    """Whether it was still running."""
    time.sleep(seconds)
    running = process.poll() is None
    process.kill()
    process.communicate()
    return running


def least_budgets(library):
    refused = library.copy("refused")
    refused.budgets = ["--device-mib", "1", "--host-mib", "1"]
    detail = refused.run("read", refused.args.document, code=4)["error"]["detail"]
    device, host = re.search(r"at least (\d+) MiB of device and (\d+) MiB of host", detail).groups()
    return ["--device-mib", device, "--host-mib", host]


def answering(clean, answer, rng):
    library = clean.copy("answering")
    library.budgets = least_budgets(clean)
    begun = time.monotonic()
    wanted = library.ask()
    seconds = time.monotonic() - begun
    running = 0
    for _ in range(library.args.kills):
        asker = library.start("ask", library.args.document, QUESTION, "--predict", str(library.args.predict))
        running += kill_after(asker, rng.uniform(0.05, 1.05) * seconds)
        expect("answer after a kill", library.ask(), wanted)
    check = library.run("verify", library.args.document)
    expect("verify", (check["bad"], check["probe_ok"]), (0, True))
    return f"{library.args.kills} kills ({running} in time) with {' '.join(library.budgets)}: the same answer after each, nothing bad on disk"


def forgetting(clean, answer, rng):
    document = clean.run("list")[0]["document"]
    library = clean.copy("forgetting")
    begun = time.monotonic()
    library.run("forget", document)
    seconds = time.monotonic() - begun
    expect("left after forgetting", library.leftovers(), [])
    ends = {"whole": 0, "reading gone": 0, "gone": 0}
    for _ in range(library.args.kills):
        library = clean.copy("forgetting")
        kill_after(library.start("forget", document), rng.uniform(0, 1) * seconds)
        rows = library.run("list")
        if not rows:
            ends["gone"] += 1
            expect("left of a document that is gone", library.leftovers(), [])
            continue
        whole = rows[0]["tokens"] > 0
        ends["whole" if whole else "reading gone"] += 1
        if whole:
            read = library.run("read", document)
            if read["reused_tokens"] < read["tokens"]:
                sys.exit(f"half a reading: {read}")
            expect("answer", library.ask(document), answer)
        library.run("forget", document)
        expect("list", library.run("list"), [])
        expect("left after forgetting again", library.leftovers(), [])
    return f"{clean.args.kills} kills: {', '.join(f'{n} times {end}' for end, n in ends.items())}; never half, and nothing left behind"


def together(clean, answer, rng):
    library = Library(clean.args, clean.folder.parent / "together")
    other = clean.folder.parent / "other.md"
    other.write_text("# Another document\n\n" + "The harbour is closed in winter, and ships wait outside. " * 40)
    reader = library.start("read", library.args.document)
    while "reading:" not in reader.stderr.readline():
        if reader.poll() is not None:
            sys.exit("the first process ended before it read")
    document = library.run("list")[0]["document"]
    busy = [library.run("ask", document, QUESTION, code=4), library.run("read", document, code=4), library.run("forget", document, code=4)]
    for refused in busy:
        expect("error", refused["error"]["code"], "busy")
    beside = library.run("read", str(other))
    out, err = reader.communicate()
    expect("first process", reader.returncode, 0)
    expect("tokens", json.loads(out)["tokens"], clean.run("read", clean.args.document)["tokens"])
    expect("tokens beside it", library.run("read", str(other))["reused_tokens"] >= beside["tokens"], True)
    expect("answer", library.ask(), answer)
    return "the second process on one document is told busy (ask, read, forget), on another it reads; both readings are whole"


def index_lost(clean, answer, rng):
    for damage in (None, b"", b"x" * 9000):
        library = clean.copy("index")
        library.index().unlink()
        if damage is not None:
            library.index().write_bytes(damage)
        read = library.run("read", library.args.document)
        expect("read again", max(0, read["tokens"] - read["reused_tokens"]), 0)
        expect("answer", library.ask(), answer)
    return "index removed, emptied, overwritten: made from the segments, nothing read again, the same answer"


PARTS = {"answering": answering, "forgetting": forgetting, "together": together, "index": index_lost}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("cli", "model", "document"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--predict", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=PARTS, action="append")
    args = parser.parse_args()
    for needed in (args.model, args.document):
        if not pathlib.Path(needed).exists():
            print(f"SKIPPED: {needed} is not there (models come with: models/fetch --tests)")
            return 77
    with tempfile.TemporaryDirectory(prefix="carrel-faults-") as folder:
        clean = Library(args, pathlib.Path(folder) / "clean")
        read = clean.run("read", args.document)
        answer = clean.ask()
        print(f"{read['tokens']} tokens; answer: {answer!r}")
        for name in args.part or PARTS:
            print(f"{name}: {PARTS[name](clean, answer, random.Random(args.seed))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
