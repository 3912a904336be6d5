#!/usr/bin/env python3
"""Who may include whom, checked on the sources themselves.

layering.py FOLDER NAME USES   an engine module: its own headers and those of the modules in USES (comma-separated)
layering.py --api FOLDER       engine/api: the standard library and <carrel/…>
layering.py --app FOLDER       app: its own headers, <carrel/…>, Qt, the standard library and the libraries in APP_MAY
layering.py --ui FOLDER        ui: no C++ at all
"""
import pathlib
import re
import sys

SOURCES = {".h", ".hpp", ".cpp", ".cc", ".c", ".cu", ".cuh", ".inl"}
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
STANDARD = re.compile(r"[a-z_]+$|(assert|errno|fcntl|poll|signal|unistd)\.h$|(sys|linux)/")
APP_MAY = re.compile(r"carrel/|Q|CLI/|nlohmann/|md4c[a-z-]*\.h$|seccomp\.h$")
ENGINE = {"base", "tensor", "document", "gguf", "tokenizer", "compute", "store", "kv", "transformer", "library", "session"}


def includes(folder):
    """(file, "file:line", quoted, angled) of every #include below folder; one of the last two is None."""
    for source in sorted(path for path in folder.rglob("*") if path.suffix in SOURCES):
        for number, line in enumerate(source.read_text(errors="replace").splitlines(), 1):
            if found := INCLUDE.match(line):
                yield source, f"{source}:{number}", found[1], found[2]


def first_folder(include):
    return include.split("/")[0] if "/" in include else None


def check_module(folder, name, uses):
    bad = []
    for source, where, quoted, angled in includes(folder):
        target = first_folder(quoted or angled)
        if quoted and target not in uses | {name, None} or angled and target in ENGINE - uses - {name}:
            bad.append(f"{where}: {name} may not include {target}")
        if not angled:
            continue
        if re.match(r"Q[A-Z]|Qt", angled):
            bad.append(f"{where}: no Qt in the engine")
        if re.match(r"poppler|glib|cairo", angled) and "pdf_helper" not in source.parts:
            bad.append(f"{where}: Poppler only in document/pdf_helper")
        if re.match(r"cuda|cublas", angled) and source.parent.name != "cuda":
            bad.append(f"{where}: CUDA only in compute/cuda")
    return bad


def check_api(folder):
    return [f"{where}: api may not include {quoted or angled}: only the standard library and <carrel/…>"
            for _, where, quoted, angled in includes(folder)
            if quoted or not re.match(r"carrel/|[a-z_]+$", angled)]


def check_app(folder):
    bad = []
    for source, where, quoted, angled in includes(folder):
        if quoted and not quoted.endswith(".moc"):
            near = [source.parent / quoted, folder / quoted]
            if not any(path.is_file() and path.resolve().is_relative_to(folder.resolve()) for path in near):
                bad.append(f'{where}: app may not include "{quoted}": the engine is reached by <carrel/…> only')
        if angled and not STANDARD.match(angled) and not APP_MAY.match(angled):
            bad.append(f"{where}: app may not include <{angled}>")
    return bad


def check_ui(folder):
    return [f"{path}: ui holds no C++" for path in sorted(folder.rglob("*")) if path.suffix in SOURCES]


def main(arguments):
    kind, checks = arguments[0], {"--api": check_api, "--app": check_app, "--ui": check_ui}
    if kind in checks:
        name, bad = kind[2:], checks[kind](pathlib.Path(arguments[1]))
    else:
        name = arguments[1]
        bad = check_module(pathlib.Path(kind), name, set(filter(None, arguments[2].split(","))))
    print("\n".join(bad) if bad else f"{name}: includes only what it may")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
