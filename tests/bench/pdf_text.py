#!/usr/bin/env python3
"""Words of PDFs as carrel-pdf extracts them, beside pdftotext's, in its order.

  pdf_text.py CARREL_PDF FILE.pdf... [--misses 5] [--pages 300]

Page by page; both sides NFKC, without soft hyphens, bidi marks, control characters, and hyphens within words (each joins a word hyphenated
over two lines, and each decides for itself whether its hyphen stays). `same` is the share of pdftotext's words that carrel-pdf has in the same order (longest common
blocks, difflib). The rest by reason: `spaces` where the letters are the same and only the gaps between words differ, `order` where a page
holds the word elsewhere, `other`. Of documents longer than --pages, pages spread evenly are taken. Exit status 1 where a document is
below 99.5 %.
"""
import argparse
import collections
import difflib
import os
import re
import socket
import struct
import subprocess
import sys
import unicodedata

WANTED = 0.995
# What shows nothing: soft hyphens, bidi marks, and the control characters that fonts without a Unicode map come out as.
DROPPED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u2010-]")


class Helper:
    """The helper's pipe: engine/document/pdf_protocol.h."""

    def __init__(self, program, file):
        ours, theirs = socket.socketpair()
        document = os.open(file, os.O_RDONLY)

        def descriptors():
            moved, end = os.dup(document), os.dup(theirs.fileno())
            os.dup2(end, 0)
            os.dup2(moved, 3)

        self.process = subprocess.Popen([program], pass_fds=(0, 3), preexec_fn=descriptors, close_fds=True,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(document)
        theirs.close()
        self.socket, self.sequence = ours, 0

    def take(self, count):
        out = b""
        while len(out) < count:
            piece = self.socket.recv(min(1 << 20, count - len(out)))
            if not piece:
                raise OSError("carrel-pdf ended")
            out += piece
        return out

    def ask(self, kind, payload=b""):
        self.sequence += 1
        self.socket.sendall(struct.pack("<IHHII", 0x46445043, 1, kind, self.sequence, len(payload)) + payload)
        reply = self.take(struct.unpack("<IHHII", self.take(16))[4])
        outcome = struct.unpack_from("<I", reply)[0]
        if outcome:
            raise OSError(f"carrel-pdf answered {outcome}")
        return reply[4:]

    def open(self):
        return struct.unpack_from("<II", self.ask(1))[1]

    def text(self, page):
        reply = self.ask(2, struct.pack("<I", page))
        size = struct.unpack_from("<III", reply)[1]
        return reply[12:12 + size].decode()

    def close(self):
        self.socket.close()
        self.process.wait()


def words(text):
    return [word for word in DROPPED.sub("", unicodedata.normalize("NFKC", text)).split() if word]


def theirs(file, page):
    run = subprocess.run(["pdftotext", "-f", str(page + 1), "-l", str(page + 1), file, "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return words(run.stdout.decode("utf-8", "replace"))


def compare(a, b, reasons, misses):
    """How many of a's words b has in the same order."""
    if a == b:
        return len(a)
    same = 0
    spare = collections.Counter(b)
    parts = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    for kind, a1, a2, b1, b2 in parts:
        if kind == "equal":
            same += a2 - a1
            spare.subtract(a[a1:a2])
    for kind, a1, a2, b1, b2 in parts:
        if kind == "equal" or a1 == a2:
            continue
        left = []
        if "".join(a[a1:a2]) == "".join(b[b1:b2]):
            reasons["spaces"] += a2 - a1
        else:
            for word in a[a1:a2]:
                if spare[word] > 0:
                    spare[word] -= 1
                    reasons["order"] += 1
                else:
                    reasons["other"] += 1
                    left.append(word)
        misses.append((bool(left), " ".join(a[a1:a2])[:60], " ".join(b[b1:b2])[:60]))
    return same


def measure(program, file, most, shown):
    helper = Helper(program, file)
    pages = helper.open()
    chosen = range(pages) if pages <= most else sorted({i * pages // most for i in range(most)})
    total = same = ours = 0
    reasons, misses = collections.Counter(), []
    for page in chosen:
        a, b = theirs(file, page), words(helper.text(page))
        found = []
        same += compare(a, b, reasons, found)
        total, ours = total + len(a), ours + len(b)
        misses += [(page + 1, *miss) for miss in found]
    helper.close()
    share = same / total if total else 1.0
    why = ", ".join(f"{name} {count}" for name, count in reasons.most_common()) or "none"
    print(f"| {os.path.basename(file)} | {len(chosen)} of {pages} | {total} | {ours} | {100 * share:.2f} % | {why} |", flush=True)
    for page, real, a, b in sorted(misses, key=lambda miss: not miss[1])[:shown]:
        print(f"    page {page}: pdftotext {a!r}, carrel-pdf {b!r}", flush=True)
    return share


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("carrel_pdf")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--misses", type=int, default=5)
    parser.add_argument("--pages", type=int, default=300)
    asked = parser.parse_args()
    print("| document | pages | words of pdftotext | of carrel-pdf | same, in order | not |\n|---|---|---|---|---|---|")
    shares = [measure(os.path.abspath(asked.carrel_pdf), file, asked.pages, asked.misses) for file in asked.files]
    return 0 if min(shares) >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
