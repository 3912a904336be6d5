#!/usr/bin/env python3
"""carrel-cli with the emulated CUDA backend for a plugin: it computes where its check is passed, and does not where a
kernel's bits are wrong.

  emulated_gpu.py --cli build/release/bin/carrel-cli --make-tiny-model build/release/bin/make_tiny_model
    --plugin build/release/tests/cushim/plugin_emulated/carrel_cuda.so
    --wrong-plugin build/release/tests/cushim/plugin_wrong/carrel_cuda.so
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

TEXT = "The oldest hive stands behind the mill and has nine frames. " * 12


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("cli", "make-tiny-model", "plugin", "wrong-plugin"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    if "avx2" not in pathlib.Path("/proc/cpuinfo").read_text():
        print("skipped: the emulation needs AVX2, which this processor lacks")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([args.make_tiny_model, folder / "tiny.gguf", "qwen2"], check=True, stdout=subprocess.DEVNULL)
        (folder / "text.md").write_text(TEXT)

        def run(plugin, *command, ends=0):
            settings = {key: value for key, value in os.environ.items() if key != "CARREL_ISA"} | {"CARREL_CUDA_PLUGIN": plugin}
            done = subprocess.run([args.cli, *command, "--json", "--model", folder / "tiny.gguf"], env=settings,
                                  capture_output=True, text=True, timeout=300)
            assert done.returncode == ends, f"{command} ended with {done.returncode}: {done.stderr}"
            return json.loads(done.stdout)

        def ask(plugin, *options, data):
            return run(plugin, "ask", folder / "text.md", "Where is the hive?", "--predict", "8", "--data", folder / data, *options)

        used = ask(args.plugin, data="gpu")
        assert used["backend"].startswith("cuda cushim") and used["why_not_gpu"] == "", used
        again = ask(args.plugin, data="gpu")
        assert again["answers"][0]["answer"] == used["answers"][0]["answer"], "a document that the GPU read is opened again"
        assert run(args.plugin, "verify", folder / "text.md", "--data", folder / "gpu")["probe_ok"], "and is what it was"
        plain = ask(args.plugin, "--backend", "cpu", data="cpu")
        assert plain["backend"].startswith("cpu ") and plain["why_not_gpu"] == "", plain
        for plugin, data in ((args.plugin, "cpu"), ("none", "gpu")):
            assert run(plugin, "verify", folder / "text.md", "--data", folder / data)["probe_ok"], "what one read, the other goes on with"

        wrong = ask(args.wrong_plugin, data="wrong")
        assert wrong["backend"].startswith("cpu ") and wrong["why_not_gpu"].endswith("operations: swiglu and geglu."), wrong
        assert wrong["answers"][0]["answer"] == plain["answers"][0]["answer"], "the processor answers"
        refused = run(args.wrong_plugin, "generate", "--file", folder / "text.md", "--predict", "1", "--backend", "cuda", ends=3)
        assert "swiglu and geglu" in refused["error"]["detail"], refused
    print("a GPU that is right computes, and one that is wrong does not")
    return 0


sys.exit(main())
