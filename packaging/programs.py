"""The programs of this platform: compiled here, or taken from a folder; stripped, and checked for the oldest C library."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import tools
from project import GLIBC, PROGRAMS, ROOT

PROFILE = "published"


def compile(one):
    """Compiles what is published, and returns the folder of the programs."""
    build = ["--profile", PROFILE, "--all-features", "--locked", "--bins"]
    environment = dict(os.environ)
    if one.os == "linux":
        # The linker of zig links against the C library of any version, whichever this system has.
        environment["PATH"] = f"{tools.zig_tools()}{os.pathsep}{environment['PATH']}"
        tools.run(["cargo", "zigbuild", *build, "--target", f"{one.target}.{GLIBC}"], cwd=ROOT, env=environment)
    else:
        tools.run(["cargo", "build", *build, "--target", one.target], cwd=ROOT, env=environment)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    return target / one.target / PROFILE


def collect(one, source, folder):
    """Copies the programs from one folder into another, without their symbols, and checks that they are the project's."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        program = folder / f"{name}{one.suffix}"
        found = source / program.name
        if not found.is_file():
            sys.exit(f"packaging: {found} is not there: build both programs, {' and '.join(PROGRAMS)}")
        shutil.copyfile(found, program)
        program.chmod(0o755)
        if one.os != "win32":  # there, symbols are in a file of their own
            tools.run(["strip", *([] if one.os == "linux" else ["-x"]), program])


def version(one, folder):
    """What the program says of its version: it must run here, and be of this version."""
    return tools.read([folder / f"{PROGRAMS[0]}{one.suffix}", "--version"]).split()[-1]


def newest_glibc(program):
    """The newest version of glibc that the program asks for, as (major, minor); None if it asks for none."""
    needed = subprocess.run(["objdump", "-T", program], capture_output=True, text=True, check=True).stdout
    versions = re.findall(r"\bGLIBC_(\d+)\.(\d+)", needed)
    return max(((int(major), int(minor)) for major, minor in versions), default=None)


def glibc_of(one, folder):
    """The version of glibc that the programs need, as text, and the tag of a wheel that says so."""
    newest = max(found for name in PROGRAMS if (found := newest_glibc(folder / name)))
    oldest = tuple(int(part) for part in GLIBC.split("."))
    newest = max(newest, oldest)
    return "{}.{}".format(*newest), one.wheel.replace("_".join(GLIBC.split(".")), "{}_{}".format(*newest))
