#!/usr/bin/env python3
"""What can be said of the CUDA kernels without a GPU: run by hand, needs nvcc.

static_check.py [ARCH …]   75 80 86 89 90 120 without arguments: every kernel compiles without a warning and without a
                           spill, its PTX rounds by IEEE 754 (no approx, no ftz), and products load weights, attention
                           keys and values, and what judges codes and scores, 16 bytes at a time; products of many
                           rows load so from shared memory too. --table prints what each kernel uses.
"""
import collections
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "engine/compute/cuda"
NVCC = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
FLAGS = ["-std=c++20", "--fmad=false", "--expt-relaxed-constexpr", "-Werror=all-warnings", "-I", ROOT / "engine", "-I", ROOT / "engine/api"]
# Instructions are 16 bytes: the operation in bits 0 to 11, the width of an access in bits 73 to 75.
GLOBAL, SHARED = {0x381, 0x981}, {0x984}
WIDTH = {0: 8, 1: 8, 2: 16, 3: 16, 4: 32, 5: 64, 6: 128}
WIDE = re.compile(
    r"(fewKernel|tiledKernel|attendKernel|encodeKernel|planeKernel|chooseKernel|shareKernel|restKernel|weighKernel)")
NARROW_TYPES = {10, 11}  # Q2_K and Q3_K: two or three bits of 32 columns are fewer than 16 bytes


def sections(cubin):
    data = cubin.read_bytes()
    table, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
    start = headers[names][4]
    for header in headers:
        name = data[start + header[0]:data.index(b"\0", start + header[0])].decode()
        if name.startswith(".text."):
            yield name[6:], data[header[4]:header[4] + header[5]]


def loads(code, kinds):
    found = collections.Counter()
    for at in range(0, len(code), 16):
        low, high = struct.unpack_from("<QQ", code, at)
        if low & 0xfff in kinds:
            found[WIDTH.get(high >> 9 & 7, 0)] += 1
    return found


def demangle(name):
    return subprocess.run(["c++filt", name], capture_output=True, text=True, check=True).stdout.strip().split("(carrel::cuda")[0]


def check(source, arch, folder, table):
    cubin, ptx = folder / "k.cubin", folder / "k.ptx"
    built = subprocess.run([NVCC, *FLAGS, f"-arch=sm_{arch}", "-Xptxas", "-v", "-cubin", "-o", cubin, source], capture_output=True, text=True)
    if built.returncode:
        return [built.stdout + built.stderr]
    bad = []
    uses = re.findall(r"Compiling entry function '(\S+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers",
                      built.stderr, re.S)
    registers_of = {name: registers for name, _, _, registers in uses}
    for name, stores, reads, registers in uses:
        if int(stores) or int(reads):
            bad.append(f"sm_{arch}: {demangle(name)} spills {stores} and {reads} bytes with {registers} registers")
    for name, code in sections(cubin):
        found, shared = loads(code, GLOBAL), loads(code, SHARED)
        if table:
            print(f"sm_{arch} {demangle(name)}: {registers_of[name]} registers, loads {dict(sorted(found.items()))}, "
                  f"shared {dict(sorted(shared.items()))}, "
                  f"{len(code) // 16} instructions")
        type_ = re.search(r"DType(\d+)", name)
        if WIDE.search(name) and not (type_ and int(type_[1]) in NARROW_TYPES) and not found[128]:
            bad.append(f"sm_{arch}: {demangle(name)} has no load of 16 bytes")
        if "tiledKernel" in name and shared[128] < 24:  # 4 rows of weights and 8 of x, 32 quants each; floats need more
            bad.append(f"sm_{arch}: {demangle(name)} has {shared[128]} loads of 16 bytes from shared memory")
        if "planeKernel" in name and found[8] + found[16] + found[32] > 1:  # the one that is there is of a row, not a key
            bad.append(f"sm_{arch}: {demangle(name)} loads codes by less than 8 bytes")
    subprocess.run([NVCC, *FLAGS, f"-arch=compute_{arch}", "-ptx", "-o", ptx, source], check=True)
    for number, line in enumerate(ptx.read_text().splitlines(), 1):
        if re.search(r"\.(approx|ftz|full)\b", line) and not line.lstrip().startswith("//"):
            bad.append(f"compute_{arch}: {source.name}'s PTX, line {number}: {line.strip()}")
    return bad


def main(arguments):
    table = "--table" in arguments
    arches = [a for a in arguments if a != "--table"] or ["75", "80", "86", "89", "90", "120"]
    bad = []
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(FOLDER.glob("*.cu")):
            for arch in arches:
                bad += check(source, arch, pathlib.Path(folder), table)
    print("\n".join(bad) or f"{len(arches)} architectures: no warning, no spill, IEEE rounding, wide loads")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
