#!/usr/bin/env python3
"""A reading killed with SIGKILL at random moments, and then in answers, loses at most the batch at hand, and answers as one that was never
interrupted.

  kill_reading.py --cli build/release/bin/carrel-cli --model M.gguf --document FILE [--kills 3] [--predict 64] [--seed 1]

Reads FILE without interruption into one data folder and with kills into another, then asks both the same question, greedily. Exits 77
(skipped) when model or document are not there. Prints one line a kill: what the reading had reported, and what the next start found.
"""
import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

QUESTION = "What is this document about?"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("cli", "model", "document"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--predict", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for needed in (args.model, args.document):
        if not pathlib.Path(needed).exists():
            print(f"SKIPPED: {needed} is not there (models come with: models/fetch --tests)")
            return 77
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="carrel-kill-") as folder:
        def command(data, *words):
            return [args.cli, "--data", f"{folder}/{data}", "--model", args.model, "--json", *words]

        def run(data, *words):
            done = subprocess.run(command(data, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if done.returncode:
                sys.exit(f"{words[0]} failed with {done.returncode}: {done.stderr[-2000:]}")
            return json.loads(done.stdout)

        begun = time.monotonic()
        whole = run("whole", "read", args.document)
        seconds = time.monotonic() - begun
        print(f"uninterrupted: {whole['tokens']} tokens in {seconds:.1f} s")

        reported = 0   # tokens that some start said were read: from then on they may not be lost
        lost = []
        for kill in range(args.kills):
            reader = subprocess.Popen(command("killed", "read", args.document), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            counts, open_ = [], threading.Event()

            def follow():
                for m in map(re.compile(r"reading: (\d+) of").match, reader.stderr):
                    if m:
                        counts.append(int(m[1]))
                        open_.set()
                open_.set()
            follower = threading.Thread(target=follow)
            follower.start()
            if rng.random() < 0.75:   # else it may die while it opens
                open_.wait()
            time.sleep(rng.uniform(0.05, 1.5 * seconds / args.kills))
            finished = reader.poll() is not None
            reader.kill()
            follower.join()
            reader.wait()
            found = counts[0] if counts else reported   # what this start found on disk
            lost.append(max(0, reported - found))
            print(f"kill {kill + 1}: found {found} of the {reported} reported before, read on to {counts[-1] if counts else found}" +
                  (" (had finished)" if finished else ""))
            reported = max(reported, counts[-1] if counts else 0)
        again = run("killed", "read", args.document)
        print(f"last start: {again['reused_tokens']} tokens were there, {again['tokens']} in the end")
        if again["tokens"] != whole["tokens"] or any(lost):
            sys.exit(f"lost tokens that had been reported as read: {lost}")
        # reused_tokens counts the prompt's opening too, so it is never below what progress lines count.
        if again["reused_tokens"] < reported:
            sys.exit(f"{reported} tokens were reported as read, {again['reused_tokens']} were found")

        begun = time.monotonic()
        run("whole", "ask", args.document, QUESTION, "--predict", str(args.predict))
        seconds = time.monotonic() - begun
        for kill in range(args.kills):
            asker = subprocess.Popen(command("killed", "ask", args.document, QUESTION, "--predict", str(args.predict)),
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0.2, 1) * seconds)
            asker.kill()
            asker.wait()
        answers = [run(data, "ask", args.document, QUESTION, "--predict", str(args.predict))["answers"][0]["answer"] for data in ("whole", "killed")]
        print(f"answer: {answers[0]!r}")
        if answers[0] != answers[1]:
            sys.exit(f"after kills it is {answers[1]!r}")
        print(f"{args.kills} kills: nothing lost that had been committed, answers equal byte for byte")
    return 0


if __name__ == "__main__":
    sys.exit(main())
