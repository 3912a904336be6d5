#!/usr/bin/env python3
"""Small random models of every weight type say what llama.cpp says of them.

  against_llama.py --cli build/release/bin/carrel-cli --make-tiny-model build/release/bin/make_tiny_model --document README.md
                   [--architectures llama,qwen2] [--types F32,Q4_K] [--tokens 256]

CARREL_LLAMA_CPP names the folder of llama.cpp's programs; without it the test exits 77 (skipped). For each architecture and type it
writes a model, has llama.cpp dequantise it (llama-quantize to F32: its definition of the type) and run that copy with KV in F32: the
exact log-probabilities of the whole vocabulary at half of the tokens. Then Carrel and llama.cpp run the model as it is. Both round
activations to 8 bits, differently, so neither is the other's measure; each is as far from the exact ones as its rounding makes it, and
Carrel may be no farther than llama.cpp. A distance is the root mean square of the differences over the deviation of the exact values.
"""
import argparse
import array
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

TYPES = "F32,F16,BF16,Q8_0,Q4_0,Q4_1,Q5_0,Q5_1,Q2_K,Q3_K,Q4_K,Q5_K,Q6_K,IQ4_NL,IQ4_XS"
# Rows of two and three super-blocks, so that a step from one to the next shows.
SHAPE = ("layers=6", "heads=8", "kv_heads=2", "head_dim=64", "ffn=768")
# Carrel is at 0.65 to 1.02 times the distance of llama.cpp b11434, by type; K types, whose activations that rounds by 256, at 0.65 to 0.75.
MOST = 1.1
# Keys and values in f16 alone: 0.00003 to 0.0009, with F32 weights, in both.
F16_KV = 0.002


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode:
        sys.exit(f"{command[0]} failed with {done.returncode}: {(done.stdout + done.stderr).decode(errors='replace')[-2000:]}")
    return done.stdout


def saved_logits(file):
    """The tokens and the log-probabilities after each of the second half of them, from what llama-perplexity --save-all-logits wrote:
    "_logits_", i32 tokens, vocabulary, chunks; the tokens; for each but the last token of the second half f32 scale, f32 least and
    u16 for each of the vocabulary, padded to an even number (log-probability = least + scale * u16)."""
    data = file.read_bytes()
    if data[:8] != b"_logits_":
        sys.exit(f"{file} is not what llama-perplexity saved before")
    tokens, vocabulary, chunks = struct.unpack_from("<3i", data, 8)
    at = 20 + 4 * tokens * chunks
    ids = array.array("i", data[20:20 + 4 * tokens])
    rows = []
    for _ in range(tokens // 2, tokens - 1):
        scale, least = struct.unpack_from("<2f", data, at)
        rows.append([least + scale * q for q in array.array("H", data[at + 8:at + 8 + 2 * vocabulary])])
        at += 8 + 2 * (vocabulary + vocabulary % 2)
    return list(ids), rows


class Llama:
    def __init__(self, programs, folder, args):
        self.programs, self.folder, self.args = programs, folder, args
        self.environment = dict(os.environ, LD_LIBRARY_PATH=str(programs))

    def exact_copy(self, model):
        copy = self.folder / "exact.gguf"
        run(self.programs / "llama-quantize", "--allow-requantize", model, copy, "F32", 1, env=self.environment)
        return copy

    def logits(self, model, *options):
        saved = self.folder / "logits"
        run(self.programs / "llama-perplexity", "-m", model, "-f", self.args.document, "-c", self.args.tokens, "--chunks", 1, "-t", 1,
            "--save-all-logits", saved, *options, env=self.environment)
        return saved_logits(saved)


def carrel_logits(args, folder, model, ids):
    (folder / "ids").write_text(json.dumps(ids))
    said = json.loads(run(args.cli, "--data", folder / "data", "--model", model, "--json", "logits", "--ids", folder / "ids",
                          "--top", 1 << 20, "--last", len(ids)))
    rows = []
    for position in said["positions"][len(ids) // 2:len(ids) - 1]:
        row = [0.0] * len(position["top"])
        for token, value in position["top"]:
            row[token] = value
        rows.append(row)
    return rows


def distance(rows, exact):
    if [len(row) for row in rows] != [len(row) for row in exact]:
        sys.exit(f"{len(rows)} positions of {len(rows[0])} against {len(exact)} of {len(exact[0])}")
    error = spread = 0.0
    for row, true in zip(rows, exact):
        mean = sum(true) / len(true)
        error += sum((a - b) ** 2 for a, b in zip(row, true))
        spread += sum((b - mean) ** 2 for b in true)
    return math.sqrt(error / spread)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("cli", "make-tiny-model", "document"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--architectures", default="llama,qwen2")
    parser.add_argument("--types", default=TYPES)
    parser.add_argument("--tokens", type=int, default=256)
    args = parser.parse_args()
    programs = pathlib.Path(os.environ.get("CARREL_LLAMA_CPP", "/nowhere"))
    for needed in ("llama-perplexity", "llama-quantize"):
        if not (programs / needed).exists():
            print(f"SKIPPED: llama.cpp is not installed (no {needed} in the folder that CARREL_LLAMA_CPP names)")
            return 77
    failed = False
    with tempfile.TemporaryDirectory(prefix="carrel-llama-") as name:
        folder = pathlib.Path(name)
        llama = Llama(programs, folder, args)
        for architecture in args.architectures.split(","):
            for weights in args.types.split(","):
                model = folder / "model.gguf"
                run(args.make_tiny_model, model, architecture, weights, *SHAPE)
                ids, exact = llama.logits(llama.exact_copy(model), "-ctk", "f32", "-ctv", "f32", "-fa", "off")
                theirs = distance(llama.logits(model)[1], exact)
                ours = distance(carrel_logits(args, folder, model, ids), exact)
                bad = not ours <= MOST * theirs + F16_KV
                failed |= bad
                print(f"{architecture} {weights}: Carrel is {ours:.5f} from exact, llama.cpp {theirs:.5f}{'  TOO FAR' if bad else ''}",
                      flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
