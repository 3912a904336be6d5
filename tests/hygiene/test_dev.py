"""The scripts a person starts with."""
import shutil
import subprocess
import unittest

import tree

COMMANDS = ("build", "run", "test", "bench", "shots", "format", "package")


def dev(*arguments):
    return subprocess.run([tree.ROOT / "dev", *arguments], capture_output=True, text=True)


class Dev(unittest.TestCase):
    def test_without_arguments_it_lists_what_it_can_do(self):
        done = dev()
        self.assertEqual(done.returncode, 0, done.stderr)
        listed = [line.split()[0] for line in done.stdout.splitlines()[1:]]
        for command in COMMANDS:
            self.assertIn(command, listed)

    def test_an_unknown_command_is_refused_with_a_sentence(self):
        done = dev("fly")
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no command 'fly'", done.stderr)

    def test_packages_are_listed_once_each(self):
        lines = (tree.ROOT / "packaging/debian-packages.txt").read_text().splitlines()
        names = [line for line in lines if line and not line.startswith("#")]
        self.assertEqual(len(names), len(set(names)))
        for name in names:
            self.assertRegex(name, r"^[a-z0-9][a-z0-9+.-]+$")

    @unittest.skipUnless(shutil.which("shellcheck"), "shellcheck is not installed")
    def test_shellcheck_finds_nothing(self):
        scripts = [tree.ROOT / name for name in ("dev", ".ci/run")] + [
            path for path in (tree.ROOT / "tests/chroot").iterdir() if path.suffix != ".py" and path.is_file()]
        done = subprocess.run(["shellcheck", "-x", *(path for path in scripts if path.exists())],
                              capture_output=True, text=True, cwd=tree.ROOT)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
