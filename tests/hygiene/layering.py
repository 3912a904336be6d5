#!/usr/bin/env python3
"""layering.py FOLDER NAME USES: every #include "a/b.h" of FOLDER is of NAME itself or of a module in USES (comma-separated)."""
import pathlib
import re
import sys

folder, name, uses = pathlib.Path(sys.argv[1]), sys.argv[2], set(filter(None, sys.argv[3].split(",")))
bad = []
for source in sorted(folder.rglob("*")):
    if source.suffix not in {".h", ".cpp", ".cu"}:
        continue
    for number, line in enumerate(source.read_text().splitlines(), 1):
        quoted = re.match(r'\s*#include "([^"/]+)/', line)
        if quoted and quoted[1] not in uses | {name}:
            bad.append(f"{source}:{number}: {name} may not include {quoted[1]}")
        angled = re.match(r"\s*#include <([^>]+)>", line)
        if angled and re.match(r"Q[A-Z]|Qt", angled[1]):
            bad.append(f"{source}:{number}: no Qt in the engine")
        if angled and re.match(r"(poppler|glib|cairo)", angled[1]) and "pdf_helper" not in source.parts:
            bad.append(f"{source}:{number}: Poppler only in document/pdf_helper")
        if angled and re.match(r"(cuda|cublas)", angled[1]) and source.parent.name != "cuda":
            bad.append(f"{source}:{number}: CUDA only in compute/cuda")
print("\n".join(bad) if bad else f"{name}: includes only {', '.join(sorted(uses)) or 'itself'}")
sys.exit(bool(bad))
