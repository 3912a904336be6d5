#!/usr/bin/env python3
"""Decode latency with a document's KV larger than memory, against other ways to read it, at equal memory.

  tiers.py CARREL_CLI FOLDER --text FILE --cell NAME=MODEL:TOKENS[:OPTION,...] ... [--batch 1,4,8] [--times 4] [--sweep]

For every cell and batch the ways take turns; the figure is the median over turns of the median step. --times: how often
the KV, as --of says f16 or as stored with sketch and headers, is larger than device and host together; where Carrel cannot
do with so little, the least that it can do with is taken, and the table says how often that is. The page cache is dropped
before every run, reads are direct. FOLDER keeps the readings (on a disk, not tmpfs) and is not removed.

The KV shape of an 8B, with attention about as skewed as Qwen's at 8K: make_tiny_model 8b.gguf qwen2 Q4_K 1 layers=4
heads=32 kv_heads=8 head_dim=128 hidden=2048 ffn=8192 context=65536 rope_base=500000 query_bias=2.25

Options of a cell: keep=S (the share that Carrel's own ways read, for models whose thresholds mean nothing), leaves (whole
leaves, too), quality=S (the share at which min/max of 16 tokens is as near to full attention as Carrel is: find it with
`carrel-cli compare --judge minmax --off estimate,iakm --chunk 16 --leaves --keep S`).
"""
import argparse
import json
import math
import pathlib
import re
import statistics
import subprocess
import sys

FULL_F16, FULL, LEOAM, RESIDENT = "full, f16", "full, same codec", "LeoAM", "all in RAM"
SWEEP, QUALITY = "min/max, equal reads", "min/max, equal quality"
CHUNKS = (16, 32, 64, 128, 256, 512)
ABLATION = {
    "without iakm, 16": ["--off", "iakm", "--chunk", "16"],
    "without iakm, 64": ["--off", "iakm", "--chunk", "64"],
    "without dtp": ["--off", "dtp"],
    "reading ahead": ["--on", "dtp"],
    "without reuse": ["--off", "reuse"],
    "without hysteresis": ["--off", "hysteresis"],
    "without estimate": ["--off", "estimate"],
    "without lka (min/max)": ["--off", "lka"],
    "means for the sketch": ["--judge", "means"],
    "whole leaves": ["--leaves"],
}
FULL_STEPS = 8
PLENTY_MIB = 8192  # budgets are limits: what is not needed is not taken


def fixed(chunk, share):
    return ["--off", "lka,iakm,estimate", "--chunk", str(chunk), "--leaves", "--keep", f"{share:.4f}"]


class Cell:
    def __init__(self, text):
        self.name, where = text.split("=", 1)
        self.model, self.tokens, *options = where.split(":")
        self.options = dict((option + "=").split("=")[:2] for option in ",".join(options).split(",") if option)
        if unknown := self.options.keys() - {"keep", "leaves", "quality"}:
            sys.exit(f"{self.name}: no such option: {', '.join(unknown)}")
        self.own = (["--keep", self.options["keep"]] if "keep" in self.options else []) + \
                   (["--leaves"] if "leaves" in self.options else [])


class Bench:
    """Runs of carrel-cli, all with the same memory, split as suits the way."""

    def __init__(self, args):
        self.args, self.hosts = args, {}

    def run(self, cell, batch, steps, options, host, device):
        if not self.args.no_drop:
            subprocess.run(["sync"], check=True)
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
        done = subprocess.run([self.args.cli, "bench", "--model", cell.model, "--file", self.args.text, "--tokens", cell.tokens,
                               "--batch", str(batch), "--predict", str(steps), "--kept", str(self.args.folder), "--json",
                               "--host-mib", str(host), "--device-mib", str(device), *options], capture_output=True, text=True)
        try:
            out = json.loads(done.stdout)
        except json.JSONDecodeError:
            return {"error": done.stderr.strip() or f"exit code {done.returncode}"}
        if "error" in out:
            return {"error": out["error"]["detail"]}
        return out["rows"][0] | {"host_mib": host, "device_mib": device}

    def least(self, cell, options):
        """Device and host MiB that a refusal asks for."""
        refused = self.run(cell, 1, 1, options, 1, 1).get("error", "")
        found = re.search(r"at least (\d+) MiB of device and (\d+) MiB of host", refused)
        return (max(1, int(found[1])), int(found[2])) if found else (1, 1)

    def host(self, cell, way, options):
        """Host MiB of the cell's memory."""
        device, host = self.least(cell, options)
        if way in (FULL, FULL_F16):  # rows unpacked for choosing are no use: all that is left caches groups as stored
            return max(host, cell.total - device)
        host = first = max(host, round(cell.total * self.args.host_share))
        # Estimates need the leaves' means in host memory: without them the answers would be others than those measured.
        while cell.estimates and not any("estimate" in option for option in options) and host <= cell.total - device:
            if self.run(cell, 1, 1, options, host, cell.total - host).get("tiers", {}).get("estimated_mass", 0) > 0:
                return host
            host += max(1, cell.total // 24)
        return first

    def row(self, cell, batch, way, options):
        # Every step of full attention is like the last; choices find their leaves in memory only after a while.
        steps = min(self.args.steps, FULL_STEPS) if way in (FULL, FULL_F16) else self.args.steps
        if way == RESIDENT:
            return self.run(cell, batch, steps, options, PLENTY_MIB, PLENTY_MIB) | {"steps": steps}
        key = cell.name, *options[: options.index("--keep") if way in (SWEEP, QUALITY) else None]
        if key not in self.hosts:
            self.hosts[key] = self.host(cell, way, options)
        return self.run(cell, batch, steps, options, self.hosts[key], max(1, cell.total - self.hosts[key])) | {"steps": steps}

    def prepare(self, cell):
        """Finds a cell's memory in MiB, and how often its KV is larger."""
        first = self.run(cell, 1, 1, cell.own, PLENTY_MIB, PLENTY_MIB)
        if "error" in first:
            sys.exit(f"{cell.name}: {first['error']}")
        cell.estimates = first["tiers"]["estimated_mass"] > 0
        kv = first["kv_bytes_f16" if self.args.of == "f16" else "disk_bytes"] / 2**20
        cell.total = max(round(kv / self.args.times), sum(self.least(cell, cell.own)))
        cell.times = kv / cell.total


def ways_of(cell, args):
    ways = {"Carrel": cell.own, FULL_F16: ["--codec", "f16", "--keep", "1"], FULL: ["--keep", "1"],
            LEOAM: ["--judge", "leoam", "--keep", "0.2", "--off", "estimate", "--leaves"]}
    if args.resident:
        ways[RESIDENT] = [*cell.own, "--rule", "disk"]
    if args.ablation:
        ways |= {way: cell.own + options for way, options in ABLATION.items()}
    return ways


def sweep(bench, cell, batch, way, share):
    """Every chunk size once: the options of the fastest and its row."""
    rows = {}
    for chunk in CHUNKS:
        rows[chunk] = bench.row(cell, batch, way, fixed(chunk, share)) | {"chunk": chunk}
        report(cell, batch, f"{way}, {chunk}", rows[chunk], rows[chunk].get("decode_step_median_s"))
    best = min(CHUNKS, key=lambda chunk: rows[chunk].get("decode_step_median_s", math.inf))
    return fixed(best, share), rows[best]


def measure(bench, cell, batch):
    """Rows of every way, each its last turn's with the median of all; of a sweep, the size that was best in the first."""
    ways, rows, turns = ways_of(cell, bench.args), {}, {}
    for repeat in range(bench.args.repeat):
        for way, options in ways.items():
            row = bench.row(cell, batch, way, options)
            turns.setdefault(way, []).append(row.get("decode_step_median_s"))
            rows[way] = rows.get(way, {}) | row
        if repeat == 0 and bench.args.sweep and "error" not in rows["Carrel"]:
            shares = {SWEEP: rows["Carrel"]["tiers"]["tokens_read_share"], QUALITY: float(cell.options.get("quality", 0))}
            for way, share in shares.items():
                if share > 0:
                    ways[way], rows[way] = sweep(bench, cell, batch, way, share)
                    turns[way] = [rows[way].get("decode_step_median_s")]
    for way, row in rows.items():
        good = [step for step in turns[way] if step is not None]
        row["step_s"] = statistics.median(good) if good else None
    return rows


def report(cell, batch, way, row, step):
    """One way's markdown row: where its time goes."""
    start = f"| {cell.name} | {batch} | {way} |"
    if step is None:
        print(f"{start} {row['error']} |", flush=True)
        return
    tiers, steps = row["tiers"], row["steps"]
    share = lambda tier: f"{tiers[tier]['hits'] / max(1, tiers[tier]['hits'] + tiers[tier]['misses']) * 100:.0f} %"
    stalls = " + ".join(f"{tiers[tier]['stall_s'] / steps * 1e3:.1f}" for tier in ("device", "host", "disk"))
    print(f"{start} {step * 1e3:.1f} | {row['host_mib']} + {row['device_mib']} | {tiers['tokens_read_share'] * 100:.1f} % | "
          f"{share('device')}, {share('host')} | {tiers['disk']['bytes_read'] / steps / 1e6:.2f} | {stalls} | "
          f"{tiers['judging_share'] * 100:.1f} % | {tiers['estimated_mass']:.3f} |", flush=True)


def summary(table):
    """The table of RESULTS.md: a way's column says how many times longer its step is than Carrel's."""
    columns = list(dict.fromkeys(way for _, _, rows in table for way in rows if way != "Carrel"))
    print(f"\n| cell, memory | batch | Carrel | {' | '.join(columns)} | read | judging | stalls a step |")
    print("|---" * (len(columns) + 6) + "|")
    ratios = {way: [] for way in columns}
    for cell, batch, rows in table:
        own, words = rows["Carrel"], []
        for way in columns:
            row = rows.get(way, {})
            if own["step_s"] is None or row.get("step_s") is None:
                words.append("-")
                continue
            ratios[way].append(row["step_s"] / own["step_s"])
            words.append(f"{ratios[way][-1]:.2f}x" + (f" ({row['chunk']})" if "chunk" in row else ""))
        if own["step_s"] is None:
            print(f"| {cell.name}, {cell.total} MiB | {batch} | {own['error']} |")
            continue
        tiers = own["tiers"]
        stall = sum(tiers[tier]["stall_s"] for tier in ("device", "host", "disk")) / own["steps"]
        print(f"| {cell.name}, {cell.total} MiB ({cell.times:.1f}x) | {batch} | {own['step_s'] * 1e3:.1f} ms | {' | '.join(words)} | "
              f"{tiers['tokens_read_share'] * 100:.1f} % | {tiers['judging_share'] * 100:.1f} % | {stall * 1e3:.1f} ms |")
    mean = lambda values: f"{math.exp(statistics.mean(map(math.log, values))):.2f}x" if values else "-"
    print(f"| geometric mean | | | {' | '.join(mean(ratios[way]) for way in columns)} | | | |")
    against = [value for way in columns if way in (FULL_F16, FULL, LEOAM, SWEEP, QUALITY) for value in ratios[way]]
    print(f"\nOver all columns of other ways: {mean(against)}, best {max(against, default=0):.2f}x")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--text", required=True)
    parser.add_argument("--cell", action="append", required=True, type=Cell, help="NAME=MODEL:TOKENS[:OPTION,...]")
    parser.add_argument("--batch", default="1")
    parser.add_argument("--times", type=float, default=4)
    parser.add_argument("--of", choices=["f16", "stored"], default="f16")
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sweep", action="store_true", help="fixed chunks with min/max: each size once, then the best")
    parser.add_argument("--resident", action="store_true", help="the same choice with all rows in memory")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--host-share", type=float, default=0.45, help="of the memory, where a way needs no more")
    parser.add_argument("--no-drop", action="store_true", help="leave the page cache alone: for trying, not for figures")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    bench, table = Bench(args), []
    print("| cell | batch | way | ms | host + device MiB | read | hits: device, host | MB from disk | stalls, ms | judging | estimated |")
    print("|---" * 11 + "|")
    for cell in args.cell:
        bench.prepare(cell)
        for batch in map(int, args.batch.split(",")):
            rows = measure(bench, cell, batch)
            for way, row in rows.items():
                report(cell, batch, way, row, row["step_s"])
            table.append((cell, batch, rows))
            if args.out:
                args.out.write_text(json.dumps([{"cell": c.name, "tokens": int(c.tokens), "batch": b, "memory_mib": c.total, "rows": r}
                                                for c, b, r in table], indent=1) + "\n")
    summary(table)


if __name__ == "__main__":
    main()
