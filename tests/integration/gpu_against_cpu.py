#!/usr/bin/env python3
"""What the CUDA backend computes of a real model, beside the processor's: log-probabilities behind a short text, and a
few tokens of an answer.

  gpu_against_cpu.py --cli build/release/bin/carrel-cli --model M.gguf --tokens 40 [--plugin …/plugin_emulated/carrel_cuda.so]
    [--reference ../shared/data/reference/NAME]

Both are held against each other by KL over the processor's likeliest ids and the rest. Sums are made in another order on
a GPU: required are a mean and a median KL of at most 1e-3 (llama.cpp's own from exact arithmetic is between 2e-3 and 1e-1
for the models here: NAME.logits.json), the same likeliest id wherever the two best differ by more than 0.1 nat, and the same
greedy tokens up to the first place where they do not. With --reference, their ids are the text, and what llama.cpp's own
distance is at its positions is said too.
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
CLEAR = 0.1  # nat


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
    parser.add_argument("--tokens", type=int, required=True, help="of the text")
    parser.add_argument("--predict", type=int, default=6)
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
        if args.reference:
            reference = json.loads(pathlib.Path(args.reference + ".logits.json").read_text())
            chosen = reference["ids"][:args.tokens]
        else:
            texts.write_text(json.dumps([TEXT]))
            chosen = run("tokenize", "--texts", texts)["ids"][0][:args.tokens]
        ids.write_text(json.dumps(chosen))
        text = pathlib.Path(folder, "text.txt")
        text.write_text(TEXT)

        def logits(backend):
            out = run("logits", "--backend", backend, "--ids", ids, "--top", "1000", "--last", str(len(chosen)))
            return out, [[tuple(pair) for pair in at["top"]] for at in out["positions"]]

        said, gpu = logits("cuda")
        _, cpu = logits("cpu")
        both = [divergence(a, dict(b)) for a, b in zip(cpu, gpu)]
        clear = [(a, b) for a, b in zip(cpu, gpu) if a[0][1] - a[1][1] > CLEAR]
        flips = sum(a[0][0] != b[0][0] for a, b in clear)
        apart = max(abs(value - dict(b).get(token, value)) for a, b in zip(cpu, gpu) for token, value in a[:10])
        print(f"{args.model.name}, {said.get('backend', 'cuda')}, {len(chosen)} tokens: KL from the processor's mean {statistics.mean(both):.2e}, "
              f"median {statistics.median(both):.2e}, most {max(both):.2e}; of the ten likeliest {apart:.4f} nat at most; "
              f"{flips} of {len(clear)} clear likeliest ids differ")
        if args.reference:
            print("  llama.cpp's own, from exact arithmetic: mean "
                  f"{statistics.mean(divergence(e['top'], dict(zip((i for i, _ in e['top']), l))) for e, l in zip(reference['exact'], reference['llama'])):.2e}")

        def generate(backend):
            return run("generate", "--backend", backend, "--file", text, "--predict", str(args.predict))

        answers = [generate(backend) for backend in ("cuda", "cpu")]
        print(f"  greedy: {answers[0]['text']!r}")
        same = answers[0]["text"] == answers[1]["text"]
        if not same:
            print(f"  the processor: {answers[1]['text']!r}")
    return int(statistics.mean(both) > 1e-3 or statistics.median(both) > 1e-3 or flips > 0 or not same)


sys.exit(main())
