#!/usr/bin/env python3
"""Memory of reading a document and answering from it, beside what it may be: budgets, weights, and what is left over.

  memory.py CARREL_CLI MODEL DOCUMENT [--budgets 64:128,0:0] [--predict 64] [--every 0.1] [--folder F] [--trace F]

For each pair DEVICE:HOST of budgets in MiB (0:0: none given), `read` and then `ask` run in a fresh library, and /proc/PID/smaps_rollup of
the process and its children (carrel-pdf) is sampled. `anon` is Pss_Anon: weights are packed into it when they are loaded, and their
file is unmapped again. `file` is Pss_File: program text, and the weights' file while they load. First and last third: medians of anon from
the first progress line (read) or from half of the peak (ask) on. `left` is the peak of anon less weights and budgets (no budgets: what the
tiers used): the constant, and whatever grows with the document. --trace: every sample in a file, with the tokens read so far.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

MIB = 2**20


def children(pid):
    try:
        found = [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return found + [deeper for child in found for deeper in children(child)]


def sample(pid):
    """Bytes of (anon, file, rss) of a process and its children."""
    sums = {"Pss_Anon": 0, "Pss_File": 0, "Rss": 0}
    for one in [pid, *children(pid)]:
        try:
            lines = pathlib.Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        for line in lines[1:]:
            name, value = line.split(":")
            if name in sums:
                sums[name] += int(value.split()[0]) * 1024
    return tuple(sums.values())


def watch(command, every, trace):
    """Its JSON, samples, and how many samples there were at the first line of progress."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    samples, began, said, tokens = [], [], [], [0]
    start = time.monotonic()

    def follow():
        for line in process.stderr:
            said.append(line)
            if line.startswith("reading:"):
                began.append(len(samples))
                tokens[0] = int(line.split()[1])
    follower = threading.Thread(target=follow)
    follower.start()
    out = []
    reader = threading.Thread(target=lambda: out.append(process.stdout.read()))
    reader.start()
    while process.poll() is None:
        one = sample(process.pid)
        if one[2] > 0:
            samples.append(one)
            if trace:
                print(f"{time.monotonic() - start:.1f}", tokens[0], *one, file=trace, flush=True)
        time.sleep(every)
    follower.join()
    reader.join()
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}: {''.join(said)[-1000:]}")
    return json.loads(out[0]), samples, began[0] if began else 0


def thirds(anon):
    third = max(1, len(anon) // 3)
    return statistics.median(anon[:third]), statistics.median(anon[-third:])


def show(row, weights, name, budgets):
    word, tokens, peak, first, last, file, rss = row
    cells = [weights, peak, first, last, peak - weights - budgets, file, rss]
    print(f"| {word} | {tokens} | {name} | " + " | ".join(f"{c / MIB:.0f}" for c in cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("document")
    parser.add_argument("--budgets", default="64:128,0:0")
    parser.add_argument("--predict", type=int, default=64)
    parser.add_argument("--every", type=float, default=0.1)
    parser.add_argument("--folder", help="where the library lies meanwhile; a disk, not tmpfs")
    parser.add_argument("--trace", type=argparse.FileType("w"))
    args = parser.parse_args()
    weights = args.model.stat().st_size
    print("| MiB | tokens | budgets device + host | weights | peak anon | first third | last third | left | peak file | peak Rss |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for pair in args.budgets.split(","):
        device, host = map(int, pair.split(":"))
        options = ["--device-mib", str(device), "--host-mib", str(host)] if device or host else []
        with tempfile.TemporaryDirectory(prefix="carrel-memory-", dir=args.folder) as folder:
            base = [args.cli, "--data", folder, "--model", str(args.model), "--json", *options]
            tokens, read = 0, None
            for words in (["read", args.document], ["ask", args.document, "What is this document about?", "--predict", str(args.predict)]):
                got, samples, began = watch(base + words, args.every, args.trace)
                tokens = got.get("tokens", tokens)
                anon = [s[0] for s in samples]
                start = began if words[0] == "read" else next(i for i, a in enumerate(anon) if a * 2 >= max(anon))
                row = (words[0], tokens, max(anon), *thirds(anon[start:]), max(s[1] for s in samples), max(s[2] for s in samples))
                if options:
                    show(row, weights, f"{device} + {host}", (device + host) * MIB)
                elif words[0] == "read":
                    read = row
                else:
                    used = got["tiers"]["device"]["peak_bytes"] + got["tiers"]["host"]["peak_bytes"]
                    for one in (read, row):
                        show(one, weights, f"none; used {used / MIB:.0f}", used)


if __name__ == "__main__":
    main()
