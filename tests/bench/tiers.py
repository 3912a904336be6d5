#!/usr/bin/env python3
"""Decode latency with a document's KV larger than memory, against other ways to read it, at equal memory.

  tiers.py CARREL_CLI FOLDER --text FILE --cell NAME=MODEL:TOKENS ... [--batch 1,4,8] [--times 4] [--steps 32] [--repeat 3]

For every cell and batch the ways take turns; the figure is the median over turns of the median step. `times`: how often
the KV, as --of says f16 or as stored with sketch and headers, is larger than device and host together. The page cache is dropped
before every run, reads are direct. FOLDER keeps the readings (on a disk, not tmpfs) and is not removed.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

WAYS = {
    "carrel": [],
    "full, f16, from disk": ["--codec", "f16", "--keep", "1"],
    "full, same codec, from disk": ["--keep", "1"],
    "leoam": ["--judge", "leoam", "--keep", "0.2", "--off", "estimate", "--leaves"],
}
FIXED = {f"minmax, chunks of {n}": ["--off", "lka,iakm,estimate", "--chunk", str(n), "--leaves"] for n in (16, 32, 64, 128, 256, 512)}
ABLATION = {
    "without iakm, 16": ["--off", "iakm", "--chunk", "16"],
    "without iakm, 64": ["--off", "iakm", "--chunk", "64"],
    "with dtp": ["--on", "dtp"],
    "without reuse": ["--off", "reuse"],
    "without estimate": ["--off", "estimate"],
    "without lka (min/max)": ["--off", "lka"],
    "means for the sketch": ["--judge", "means"],
    "whole leaves": ["--leaves"],
}


def drop_page_cache():
    subprocess.run(["sync"], check=True)
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")


def run(cli, folder, model, text, tokens, batch, steps, options):
    drop_page_cache()
    command = [cli, "bench", "--model", model, "--file", text, "--tokens", str(tokens), "--batch", str(batch),
               "--predict", str(steps), "--kept", str(folder), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        out = json.loads(done.stdout)
    except json.JSONDecodeError:
        return {"error": done.stderr.strip()}
    return out["rows"][0] if "rows" in out else {"error": out["error"]["detail"]}


def budgets(stored, times):
    """All memory of a cell, split so that the host holds sketch, directory and staging and the device the rest."""
    total = max(1, round(stored / times / 2**20))
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--text", required=True)
    parser.add_argument("--cell", action="append", required=True, help="NAME=MODEL:TOKENS")
    parser.add_argument("--batch", default="1")
    parser.add_argument("--times", type=float, default=4)
    parser.add_argument("--of", choices=["f16", "stored"], default="f16")
    parser.add_argument("--keep", default=None, help="share that the min/max sweep reads; as much as carrel's own by default")
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--fixed", action="store_true", help="the sweep of fixed chunks with min/max too")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--host-share", type=float, default=0, help="of the memory; 0: the least that works, found by trying")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    ways = WAYS | (FIXED if args.fixed else {}) | (ABLATION if args.ablation else {})
    rows = []
    for cell in args.cell:
        name, where = cell.split("=", 1)
        model, tokens = where.rsplit(":", 1)
        first = run(args.cli, args.folder, model, args.text, tokens, 1, 1, ["--host-mib", "4096", "--device-mib", "4096"])
        if "error" in first:
            sys.exit(f"{name}: {first['error']}")
        total = budgets(first["kv_bytes_f16" if args.of == "f16" else "disk_bytes"], args.times)
        for batch in map(int, args.batch.split(",")):
            host = round(total * args.host_share) if args.host_share else 0
            candidates = [host] if host else range(round(total * 0.45), total - 2, max(1, total // 20))
            steps = {way: [] for way in ways}
            last = {}
            for _ in range(args.repeat):
                for way, options in ways.items():
                    if way.startswith("minmax"):
                        read = args.keep or last["carrel"].get("tiers", {}).get("tokens_read_share", 0.05)
                        options = [*options, "--keep", f"{float(read):.4f}"]
                    for host in candidates:
                        memory = ["--device-mib", str(total - host), "--host-mib", str(host)]
                        row = run(args.cli, args.folder, model, args.text, tokens, batch, args.steps, options + memory)
                        if "error" not in row:
                            break
                    last[way] = row
                    if "error" not in row:
                        row["host_mib"], row["device_mib"] = host, total - host
                        steps[way].append(row["decode_step_median_s"])
            for way in ways:
                row = {"cell": name, "tokens": int(tokens), "batch": batch, "memory_mib": total, "way": way}
                if steps[way]:
                    row["step_s"] = statistics.median(steps[way])
                    row["last"] = last[way]
                else:
                    row["error"] = last[way]["error"]
                rows.append(row)
            own = statistics.median(steps["carrel"]) if steps["carrel"] else None
            for row in rows[-len(ways):]:
                if "error" in row:
                    print(f"{name} batch {batch} {total} MiB: {row['way']}: {row['error']}")
                    continue
                t = row["last"]["tiers"]
                ratio = row["step_s"] / own if own else float("nan")
                print(f"{name} batch {batch} {total} MiB (host {row['last']['host_mib']}): {row['way']}: "
                      f"{row['step_s'] * 1e3:.1f} ms, {ratio:.2f}x, read {t['tokens_read_share']:.4f}, "
                      f"disk {t['disk']['bytes_read'] / max(1, t['steps'] / batch or args.steps) / 1e6:.2f} MB a step, "
                      f"judging {t['judging_share']:.3f}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
