#!/usr/bin/python3
"""How far off the time left is that a reading says, from a tenth of it on.

  eta.py CARREL-CLI MODEL.gguf DOCUMENT [TRACE.csv]

Reads the document in a data folder of its own and notes every batch: wall and processor seconds, tokens, seconds left
as told. The error of an estimate is |told - true| / true, true being what the reading still took; estimates made with
less than 5 s to go are left out, as a person is told 'a few seconds' there. Both ends count: what is told after a tenth
is what one decides by.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

LINE = re.compile(r"reading: (\d+) of (\d+) tokens.*?(?:, (\d+) s left)?$")
TOLD_AS_FEW = 5  # seconds


def trace(cli, model, document, data):
    """[(wall, cpu, tokens, of, told or None)], ended by the moment the program ends."""
    command = [cli, "--data", data, "--model", model, "read", document]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    ticks, rows = os.sysconf("SC_CLK_TCK"), []

    def cpu():
        fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    for line in process.stderr:
        found = LINE.match(line.strip())
        if found:
            told = None if found[3] is None else int(found[3])
            rows.append((time.monotonic(), cpu(), int(found[1]), int(found[2]), told))
    if process.wait() != 0:
        sys.exit("the document was not read")
    return rows


def errors(rows):
    """[(share of the reading done, told, true)] from a tenth of its tokens on."""
    end, total = rows[-1][0], rows[-1][3]
    out = []
    for wall, _, tokens, _, told in rows:
        if told is not None and tokens >= total / 10 and end - wall >= TOLD_AS_FEW:
            out.append((tokens / total, told, end - wall))
    return out


def main():
    cli, model, document = sys.argv[1:4]
    data = tempfile.mkdtemp(prefix="carrel-eta-")
    try:
        rows = trace(cli, model, document, data)
    finally:
        shutil.rmtree(data)
    if len(sys.argv) > 4:
        with open(sys.argv[4], "w", encoding="ascii") as out:
            for row in rows:
                out.write(",".join("" if v is None else str(v) for v in row) + "\n")
    first = rows[0][0]
    judged = errors(rows)
    if not judged:
        sys.exit("the reading was too short to judge")
    worst = max(judged, key=lambda e: abs(e[1] - e[2]) / e[2])
    whole = max(judged, key=lambda e: abs(e[1] - e[2]))
    print(f"{rows[-1][3]} tokens in {rows[-1][0] - first:.0f} s, load {os.getloadavg()[0]:.1f}")
    print(f"after a tenth: told {judged[0][1]} s, true {judged[0][2]:.0f} s")
    print(f"worst against what was left: {100 * abs(worst[1] - worst[2]) / worst[2]:.0f} % (at {100 * worst[0]:.0f} %)")
    print(f"worst against the whole reading: {100 * abs(whole[1] - whole[2]) / (rows[-1][0] - first):.0f} %")


main()
