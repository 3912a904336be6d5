#!/usr/bin/env python3
"""How long the files are, and which are longest. A report: it never fails."""
import tree

# The lengths this project aims at; nothing enforces them.
AIM = {"C++": "median 100, p95 350, max 500", "QML": "max 250", "Python and shell": "none"}


def kind(path):
    if path.suffix in {".h", ".cpp", ".cu"}:
        return "C++"
    if path.suffix == ".qml":
        return "QML"
    return "Python and shell" if path.suffix == ".py" or path.name in {"dev", "fetch", "walk"} else None


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main():
    lengths = {}
    for path in tree.files():
        if kind(path):
            lines = (tree.ROOT / path).read_text(errors="replace").count("\n")
            lengths.setdefault(kind(path), []).append((lines, str(path)))
    for name, found in sorted(lengths.items()):
        ordered = sorted(lines for lines, _ in found)
        print(f"{name}: {len(found)} files, median {percentile(ordered, .5)}, p95 {percentile(ordered, .95)}, max {ordered[-1]} lines"
              f" (aim: {AIM[name]})")
        for lines, path in sorted(found, reverse=True)[:5]:
            print(f"  {lines:5} {path}")


if __name__ == "__main__":
    main()
