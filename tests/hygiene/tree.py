"""The files of this repository."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def files():
    """Tracked and new files, relative to the root; without git, everything but build and dot-folders."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True) if (
        ROOT / ".git").exists() else None
    if listed and listed.returncode == 0:
        names = [pathlib.Path(line) for line in listed.stdout.splitlines()]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
        names = [path for path in names if path.parts[0] != "build" and not path.parts[0].startswith(".git")]
    return sorted(path for path in names if (ROOT / path).is_file())
