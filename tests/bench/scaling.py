#!/usr/bin/env python3
"""How reading and answering grow with threads, beside what the machine's own peaks grow by.

  scaling.py BIN MODEL.gguf TEXT [--threads 1,2,4] [--tokens 512] [--turns 3]

BIN is build/release/bin with carrel-cli and bench_kernels. In every turn each number of threads
(by default the powers of two up to the cores, and the cores) measures the int8 peak and reading from memory, then a
prefill that is not persisted and 64 decode steps after it. Figures are medians over turns; a share of 100 % means that
Carrel gained as much from the threads as the peak did: prefill beside int8, decode beside reading.
"""
import argparse
import json
import os
import re
import statistics
import subprocess


def peaks(folder, threads):
    out = subprocess.run([f"{folder}/bench_kernels", "--benchmark_filter=^(peak/int8|readMemory)"], text=True, check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         env={**os.environ, "CARREL_BENCH_THREADS": str(threads)}).stdout
    return tuple(float(re.search(unit + r"/s=([\d.]+)([kMG]?)", out).group(1)) for unit in ("GMAC", "GB"))


def carrel(folder, args, threads):
    out = subprocess.run([f"{folder}/carrel-cli", "bench", "--json", "--model", args.model, "--file", args.text, "--tokens",
                          str(args.tokens), "--predict", "64", "--threads", str(threads)], text=True, check=True,
                         stdout=subprocess.PIPE).stdout
    row = json.loads(out)["rows"][0]
    return row["prefill_unpersisted_tokens_per_s"], row["decode_tokens_per_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="BIN")
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    counts = args.threads or sorted({2**i for i in range(cores.bit_length()) if 2**i <= cores} | {cores})
    rows = {n: [] for n in counts}
    for _ in range(args.turns):
        for n in counts:
            rows[n].append(peaks(args.folder, n) + carrel(args.folder, args, n))
    middle = {n: [statistics.median(column) for column in zip(*rows[n])] for n in counts}
    first = middle[counts[0]]
    print("| threads | int8 GMAC/s | reading GB/s | prefill tok/s | decode tok/s | prefill : int8 | decode : reading |")
    print("|---|---|---|---|---|---|---|")
    for n in counts:
        grown = [now / before for now, before in zip(middle[n], first)]
        cells = [f"{value:.1f} ({factor:.2f}x)" for value, factor in zip(middle[n], grown)]
        print(f"| {n} | {' | '.join(cells)} | {grown[2] / grown[0]:.0%} | {grown[3] / grown[1]:.0%} |", flush=True)


if __name__ == "__main__":
    main()
