#!/usr/bin/env python3
"""carrel-cli without --model takes the default model from the person's data folder, or else from where its package puts it.

  default_model.py --cli build/release/bin/carrel-cli --make-tiny-model build/release/bin/make_tiny_model
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

NAME = "carrel/models/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True)
    parser.add_argument("--make-tiny-model", required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "text").write_text("one two three")
        settings = os.environ | {"XDG_DATA_HOME": f"{folder}/own", "XDG_DATA_DIRS": f"{folder}/nothing:{folder}/system"}

        def tokenize():
            return subprocess.run([args.cli, "tokenize", "--file", folder / "text"], env=settings, capture_output=True, text=True)

        def put(where):
            (folder / where / NAME).parent.mkdir(parents=True)
            subprocess.run([args.make_tiny_model, folder / where / NAME, "qwen2"], check=True, stdout=subprocess.DEVNULL)

        done = tokenize()
        assert done.returncode == 3 and f"{folder}/own/{NAME}" in done.stderr, f"without a model it names the person's folder: {done.stderr}"
        put("system")
        done = tokenize()
        assert done.returncode == 0, f"the package's model is used: {done.stderr}"
        (folder / "own" / NAME).parent.mkdir(parents=True)
        (folder / "own" / NAME).write_text("not a model")
        done = tokenize()
        assert done.returncode == 3 and f"{folder}/own/{NAME}" in done.stderr, f"the person's own goes first: {done.stderr}"
    print("the default model is found in the person's folder and in the system's")


if __name__ == "__main__":
    sys.exit(main())
