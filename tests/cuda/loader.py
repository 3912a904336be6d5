#!/usr/bin/env python3
"""The plugin that was built, with the true CUDA runtime in it, on machines in five states: carrel-cli says which, answers
on the processor all the same, and refuses where a GPU is insisted on.

loader.py CARREL_CLI MAKE_TINY_MODEL FAKE_FOLDER STUB   FAKE_FOLDER: libcuda.so.1 made of fake_driver.c; STUB: the
toolkit's libcuda.so
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CLI, TINY, FAKE, STUB = (pathlib.Path(argument) for argument in sys.argv[1:5])
FOREIGN = {"LD_LIBRARY_PATH", "CARREL_CUDA_PLUGIN", "CARREL_ISA"}


class State:
    def __init__(self, words, program=CLI, libraries=None, **more):
        self.words, self.program = words, program
        self.environment = {name: value for name, value in os.environ.items() if name not in FOREIGN} | more
        if libraries:
            self.environment["LD_LIBRARY_PATH"] = str(libraries)

    def run(self, *arguments, ends=0):
        done = subprocess.run([self.program, *arguments, "--json"], env=self.environment, capture_output=True, text=True,
                              timeout=60)
        if done.returncode != ends:
            sys.exit(f"{self.words}: {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def check(self, generate):
        """What is wrong in this state."""
        asked = self.run("check-cuda")
        chosen = self.run(*generate)
        plain = self.run(*generate, "--backend", "cpu")
        refused = self.run(*generate, "--backend", "cuda", ends=3)
        if asked["usable"] or self.words not in asked["why"]:
            yield f"check-cuda: {asked}"
        if chosen["why_not_gpu"] != asked["why"] or not chosen["backend"].startswith("cpu "):
            yield f"not on the processor, or not for that reason: {chosen}"
        if chosen["ids"] != plain["ids"] or len(plain["ids"]) != 6:
            yield f"{chosen['ids']} where the processor alone gives {plain['ids']}"
        if plain["why_not_gpu"] != "":
            yield f"the processor was asked for, and excuses itself: {plain['why_not_gpu']}"
        if asked["why"].rstrip(".") not in refused["error"]["detail"]:
            yield f"--backend cuda: {refused}"


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        subprocess.run([TINY, folder / "tiny.gguf", "qwen2"], check=True, stdout=subprocess.DEVNULL)
        (folder / "text").write_text("one two three")
        generate = ["generate", "--model", folder / "tiny.gguf", "--file", folder / "text", "--predict", "6"]
        states = [
            State("without its CUDA part", shutil.copy(CLI, folder / "carrel-cli")),
            State("finds no NVIDIA GPU", libraries=FAKE),
            State("too old: it offers CUDA 12.2, and Carrel needs", libraries=FAKE, FAKE_CUDA_VERSION="12020"),
        ]
        if STUB.exists():
            (folder / "stub").mkdir()
            (folder / "stub/libcuda.so.1").symlink_to(STUB)
            states.append(State("stand-in, with no driver behind it", libraries=folder / "stub"))
        bare = State("No NVIDIA driver is installed")
        if (found := bare.run("check-cuda"))["usable"]:
            print(f"this machine has a GPU ({found['device']}): a machine without a driver was NOT exercised")
        else:
            states.append(bare)
        bad = [f"{state.words}: {wrong}" for state in states for wrong in state.check(generate)]
    print("\n".join(bad) or f"{len(states)} states, a sentence each")
    return bool(bad)


sys.exit(main())
