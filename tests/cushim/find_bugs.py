#!/usr/bin/env python3
"""Every seeded bug is noticed by the detectors that have to, and the healthy twins by none.

find_bugs.py FOLDER: of the programs bugs, bugs_asan, bugs_tsan and bugs_trace. Ends with 1 and a table of what differs.
"""
import os
import pathlib
import subprocess
import sys

PLAIN, ASAN, TSAN, TRACE = "plain", "asan", "tsan", "trace"
EVERY = {PLAIN, ASAN, TSAN, TRACE}
MUST = {
    "healthy-sums": set(), "healthy-atomic": set(), "healthy-syncwarp": set(), "healthy-event": set(),
    "healthy-graph": set(),
    "barrier-before-read": {PLAIN, ASAN, TSAN},
    "barrier-before-reuse": {PLAIN, TSAN},
    "read-past-end": {ASAN, TSAN, TRACE},
    "tail-write": {ASAN, TRACE},
    "shared-index": {PLAIN, ASAN, TSAN},
    "barrier-in-branch": EVERY, "shuffle-in-branch": EVERY, "return-before-barrier": EVERY,
    "unwritten-shared": {PLAIN, ASAN, TSAN},
    "blocks-without-atomics": {TSAN},
    "missing-syncwarp": {PLAIN, ASAN, TSAN},
    "misaligned-load": {ASAN},
    "index-overflow": {ASAN},
    "host-reads-device": {ASAN},
    "pageable-argument": EVERY, "copy-too-long": EVERY, "pageable-copy": EVERY, "huge-block": EVERY,
    "unwritten-device": {PLAIN, ASAN, TSAN},
    "dynamic-shared-index": {ASAN},
    "no-wait-for-copy": {PLAIN, TSAN},
    "staging-refilled": {PLAIN, TSAN},
    "result-read-early": {PLAIN, TSAN},
    "slot-reused": {TSAN},
    "use-after-free": {PLAIN, ASAN, TSAN, TRACE},
    "hidden-host-pointer": {TRACE},
    "graph-of-old-count": EVERY, "graph-of-freed": EVERY, "wait-in-capture": EVERY, "copy-in-capture": EVERY,
    "graph-in-capture": EVERY, "capture-not-begun": EVERY,
    "graph-destroyed-early": {PLAIN, ASAN, TSAN},
}
RANDOM = [("random", str(seed)) for seed in range(1, 9)]
MODES = {PLAIN: [("forward", "1"), ("reverse", "1"), *RANDOM], ASAN: RANDOM[:1], TSAN: RANDOM[:1], TRACE: [("forward", "1")]}
# Options of a person's own would change what ends a run. Addresses are fixed for TSan, whose shadow a random layout can miss.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": "report_thread_leaks=0 exitcode=66"}


def notices(program, bug, fixed):
    for mode, seed in MODES[program]:
        name = "bugs" if program == PLAIN else f"bugs_{program}"
        command = [*(["setarch", "-R"] if fixed else []), str(FOLDER / name), bug, mode, seed]
        if subprocess.run(command, env=ENVIRONMENT, capture_output=True, timeout=120).returncode:
            return True
    return False


def main():
    listed = subprocess.run([FOLDER / "bugs"], capture_output=True, text=True, check=True).stdout.split()
    if set(listed) != set(MUST):
        sys.exit(f"the program's cases and this table differ: {sorted(set(listed) ^ set(MUST))}")
    bad = []
    for bug, must in MUST.items():
        for program in MODES:
            noticed = notices(program, bug, program == TSAN)
            # Who notices more than it must is welcome, except to a healthy kernel.
            if program in must and not noticed:
                bad.append(f"{bug}: not noticed by {program}")
            if noticed and not must:
                bad.append(f"{bug}: healthy, but {program} objects")
    print("\n".join(bad) or f"{len(MUST)} cases: every bug noticed, every healthy kernel left alone")
    return bool(bad)


FOLDER = pathlib.Path(sys.argv[1])
sys.exit(main())
