"""What the Debian packages say of Carrel is true of this tree."""
import re
import shutil
import subprocess
import unittest

import tree

PACKAGING = tree.ROOT / "packaging"
DEBIAN = PACKAGING / "debian"


def field(text, name):
    """The package names of a list in debian/control, without versions and substitutions."""
    body = re.search(rf"^{name}:((?:\n .*)+)", text, re.M).group(1)
    return set(re.findall(r"^ ([a-z0-9][a-z0-9+.-]+)", body, re.M))


def installed_by_dev():
    lines = (PACKAGING / "debian-packages.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


class Packaging(unittest.TestCase):
    def check(self, *command):
        if not shutil.which(command[0]):
            self.skipTest(f"{command[0]} is not installed")
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_desktop_entry_is_valid(self):
        self.check("desktop-file-validate", PACKAGING / "org.carrel.Carrel.desktop")

    def test_the_metainfo_is_valid(self):
        # AppStream 1 warns that there is no home page, and there is none; 0.16 does not know that warning.
        for words in (["--override=url-homepage-missing=info"], []):
            command = ["appstreamcli", "validate", "--no-net", *words, PACKAGING / "org.carrel.Carrel.metainfo.xml"]
            if shutil.which(command[0]) and subprocess.run(command, capture_output=True).returncode == 0:
                return
        self.check(*command)

    def test_there_is_one_version(self):
        project = re.search(r"project\(Carrel VERSION (\S+)", (tree.ROOT / "CMakeLists.txt").read_text()).group(1)
        changelog = re.match(r"carrel \((\S+)\)", (DEBIAN / "changelog").read_text()).group(1)
        release = re.search(r'<release version="([^"]+)"', (PACKAGING / "org.carrel.Carrel.metainfo.xml").read_text()).group(1)
        self.assertEqual([changelog, release], [project, project])

    def test_a_package_is_built_from_what_a_build_needs(self):
        needed = field((DEBIAN / "control").read_text(), "Build-Depends") - {"debhelper-compat"}
        self.assertLessEqual(needed, installed_by_dev())
        libraries = {name for name in installed_by_dev() if name.endswith("-dev")} - {"doctest-dev", "libbenchmark-dev", "libboost-context-dev"}
        self.assertLessEqual(libraries, needed)

    def test_the_qml_modules_that_dev_installs_are_depended_on(self):
        modules = {name for name in installed_by_dev() if name.startswith("qml6-module-")} - {"qml6-module-qttest"}
        self.assertLessEqual(modules, field((DEBIAN / "control").read_text(), "Depends"))

    def test_the_manual_names_every_command(self):
        commands = re.findall(r'add_subcommand\("(\w+)"|ofDocument\("(\w+)"', (tree.ROOT / "app/cli/main.cpp").read_text())
        manual = (PACKAGING / "carrel-cli.1").read_text()
        self.assertGreater(len(commands), 10)
        for command in map("".join, commands):
            self.assertRegex(manual, rf"(?m)^\.It Cm (?:.* , )?{command}\b")

    def test_the_manual_names_every_option_of_the_window(self):
        options = re.findall(r'addOption\(\s*\{QStringLiteral\("([\w-]+)"\)', (tree.ROOT / "app/main.cpp").read_text())
        manual = (PACKAGING / "carrel.1").read_text()
        self.assertGreaterEqual(len(options), 3)
        for option in options:
            self.assertRegex(manual, rf"(?m)^\.It (?:.* , )?Fl -{option} ")


if __name__ == "__main__":
    unittest.main(verbosity=2)
