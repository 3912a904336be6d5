#!/usr/bin/env python3
"""What the CUDA backend computes of a real model, beside the processor's.

  gpu_against_cpu.py --cli build/release/bin/carrel-cli --model M.gguf [--plugin …/plugin_emulated/carrel_cuda.so]
    [--tokens 24] [--predict 4] [--reference ../shared/data/reference/NAME]

Behind each token of a short text, KL of the GPU's from the processor's log-probabilities over the likeliest ids and the
rest. Both round what a product is of to 8 bits, and sums in another order round otherwise here and there: required are a
mean of at most 0.02 (SmolLM2 has 0.005), and the same likeliest id wherever the two best
differ by more than 0.7 nat. With --reference instead the reference's own text of 1,500 tokens, and its tolerance: mean and
median KL from exact arithmetic at most 1.25 times llama.cpp's own (ten minutes on the emulation for the largest model here).
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

TEXT = ("The oldest hive stands behind the mill and has nine frames. A younger one is by the river; it has six, and two of them "
        "are empty since the flood. Question: how many frames does the oldest hive have? Answer:")
CLEAR = 0.7  # nat


def divergence(top, other):
    """KL over the ids of top and a bucket for the rest."""
    floor = min(other.values())
    p = [math.exp(value) for _, value in top]
    q = [math.exp(other.get(token, floor)) for token, _ in top]
    rest_p, rest_q = max(1e-9, 1 - sum(p)), max(1e-9, 1 - sum(q))
    return sum(a * math.log(a / b) for a, b in zip(p, q)) + rest_p * math.log(rest_p / rest_q)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True)
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--predict", type=int, default=4)
    parser.add_argument("--plugin", help="another than the one beside carrel-cli")
    parser.add_argument("--reference")
    args = parser.parse_args()
    if not args.model.exists():
        print(f"skipped: {args.model} is missing (models/fetch --tests)")
        return 77
    environment = {name: value for name, value in os.environ.items() if name != "CARREL_ISA"}
    if args.plugin:
        environment["CARREL_CUDA_PLUGIN"] = args.plugin

    def run(command, *options):
        done = subprocess.run([args.cli, command, "--json", "--model", args.model, *options], env=environment,
                              capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"carrel-cli {command} ended with {done.returncode}: {done.stderr or done.stdout}")
        return json.loads(done.stdout)

    with tempfile.TemporaryDirectory() as folder:
        texts, ids = pathlib.Path(folder, "texts.json"), pathlib.Path(folder, "ids.json")
        texts.write_text(json.dumps([TEXT]))

        def logits(backend, tokens, last):
            ids.write_text(json.dumps(tokens))
            out = run("logits", "--backend", backend, "--codec", "f16", "--ids", ids, "--top", "1000", "--last", str(last))
            return [[tuple(pair) for pair in at["top"]] for at in out["positions"]]

        if args.reference:
            reference = json.loads(pathlib.Path(args.reference + ".logits.json").read_text())
            exact = [[tuple(pair) for pair in at["top"]] for at in reference["exact"]]
            llama = [divergence(a, {token: value for (token, _), value in zip(a, b)}) for a, b in zip(exact, reference["llama"])]
            bad = False
            for backend in ("cuda", "cpu"):
                mine = [divergence(a, dict(b)) for a, b in zip(exact, logits(backend, reference["ids"], len(exact)))]
                for kind, of in (("mean", statistics.mean), ("median", statistics.median)):
                    ratio = of(mine) / of(llama)
                    print(f"{args.model.name}, {backend}: {kind} KL from exact {of(mine):.6f}, {ratio:.2f} of llama.cpp's own")
                    bad |= ratio > 1.25
            return int(bad)

        chosen = run("tokenize", "--texts", texts)["ids"][0][:args.tokens]
        gpu, cpu = (logits(backend, chosen, len(chosen)) for backend in ("cuda", "cpu"))
        both = [divergence(a, dict(b)) for a, b in zip(cpu, gpu)]
        clear = [(a, b) for a, b in zip(cpu, gpu) if a[0][1] - a[1][1] > CLEAR]
        flips = sum(a[0][0] != b[0][0] for a, b in clear)
        print(f"{args.model.name}, {len(chosen)} tokens: KL from the processor's mean {statistics.mean(both):.5f}, median "
              f"{statistics.median(both):.5f}, most {max(both):.5f}; {flips} of {len(clear)} clear likeliest ids differ")
        text = pathlib.Path(folder, "text.txt")
        text.write_text(TEXT)
        said = [run("generate", "--backend", backend, "--file", text, "--predict", str(args.predict)) for backend in ("cuda", "cpu")]
        print(f"{said[0]['backend']}: {said[0]['text']!r}; {said[1]['backend']}: {said[1]['text']!r}")
    return int(statistics.mean(both) > 0.02 or flips > 0)


sys.exit(main())
