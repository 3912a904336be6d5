#!/usr/bin/env python3
"""The plugin that was built, with the true CUDA runtime in it, on machines in five states: carrel-cli says which.

loader.py CARREL_CLI FAKE_FOLDER STUB   FAKE_FOLDER: libcuda.so.1 made of fake_driver.c; STUB: the toolkit's libcuda.so
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CLI, FAKE, STUB = (pathlib.Path(argument) for argument in sys.argv[1:4])


def says(program, libraries=None, **more):
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"} | more
    if libraries:
        environment["LD_LIBRARY_PATH"] = str(libraries)
    done = subprocess.run([program, "check-cuda", "--json"], env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(f"{program} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        alone = shutil.copy(CLI, folder / "carrel-cli")
        (folder / "stub").mkdir()
        states = [
            ("without its CUDA part", says(alone)),
            ("finds no NVIDIA GPU", says(CLI, FAKE)),
            ("too old: it offers CUDA 12.2, and Carrel needs", says(CLI, FAKE, FAKE_CUDA_VERSION="12020")),
        ]
        if STUB.exists():
            (folder / "stub/libcuda.so.1").symlink_to(STUB)
            states.append(("stand-in, with no driver behind it", says(CLI, folder / "stub")))
    bare = says(CLI)
    if bare["usable"]:
        print(f"this machine has a GPU ({bare['device']}): a machine without a driver was NOT exercised")
    else:
        states.append(("No NVIDIA driver is installed", bare))
    bad = [f"{wanted}: {got}" for wanted, got in states if got["usable"] or wanted not in got["why"]]
    print("\n".join(bad) or f"{len(states)} states, a sentence each")
    return bool(bad)


sys.exit(main())
