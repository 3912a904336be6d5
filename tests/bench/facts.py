#!/usr/bin/env python3
"""Planted facts: how many of 16 five-digit codes in a long text are told right, by ways to read the same KV.

  facts.py CARREL_CLI FOLDER --text FILE --model GGUF [--tokens 16384] [--way NAME="OPTIONS"]...

Each code is the others' distractor: one sentence each, evenly spread between FILE's lines. The questions come together
after the text; all five digits must be in the answer. min/max reads the share that the default was seen to read.
FOLDER keeps the library, so that the text is read once.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys

NAMES = ["amber", "birch", "cedar", "copper", "coral", "falcon", "garnet", "harbor",
         "indigo", "juniper", "lantern", "marble", "orchid", "pepper", "saffron", "willow"]
SHARE = "SHARE"


def carrel(cli, *arguments):
    done = subprocess.run([cli, *map(str, arguments), "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr.strip())
    return json.loads(done.stdout)


def planted(cli, model, file, tokens, codes):
    """About so many tokens of the file with a code's sentence after every sixteenth."""
    text = file.read_text()
    ids = carrel(cli, "tokenize", "--model", model, "--file", file)["ids"]
    if len(ids) < tokens:
        sys.exit(f"{file} has {len(ids)} tokens, {tokens} are needed")
    lines = text[:len(text) * tokens // len(ids)].splitlines()
    out = []
    for i, (name, code) in enumerate(codes.items()):
        out += lines[len(lines) * i // len(codes):len(lines) * (i + 1) // len(codes)]
        out.append(f"\nThe secret code of the {name} room is {code}.\n")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokens", type=int, default=16384)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--way", action="append", default=[], help="NAME=OPTIONS, beside the three")
    args = parser.parse_args()
    numbers = random.Random(args.seed)
    codes = {name: str(numbers.randrange(10000, 100000)) for name in NAMES}
    args.folder.mkdir(parents=True, exist_ok=True)
    document, questions = args.folder / f"facts-{args.tokens}-{args.seed}.txt", args.folder / "questions.txt"
    document.write_text(planted(args.cli, args.model, args.text, args.tokens, codes))
    questions.write_text("".join(f"What is the secret code of the {name} room?\n" for name in codes))
    ways = {"default": [], "everything": ["--keep", "1"],
            "min/max": ["--judge", "minmax", "--keep", SHARE, "--off", "estimate", "--leaves"]}
    ways |= {name: options.split() for name, options in (way.split("=", 1) for way in args.way)}
    share = None
    for name, options in ways.items():
        options = [f"{share:.4f}" if option == SHARE else option for option in options]
        out = carrel(args.cli, "ask", document, "--questions", questions, "--predict", 24, "--model", args.model,
                     "--data", args.folder / "library", *options)
        right = sum(code in answer["answer"] for code, answer in zip(codes.values(), out["answers"]))
        read = out["tiers"]["tokens_read_share"]
        share = share or read
        print(f"{name}: {right} of {len(codes)}, read {read:.4f}", flush=True)
        for (room, code), answer in zip(codes.items(), out["answers"]):
            if code not in answer["answer"]:
                print(f"  {room} {code}: {answer['answer']!r}")


if __name__ == "__main__":
    main()
