"""PyPI: uvx, an installation by uv, and one by pip, from a folder instead of the index."""

import sys
from pathlib import Path

import tools
from client import bare
from project import WHEEL
from ways import expect, run


def try_python(ways):
    wheel = ways.file("*.whl")
    python = Path(sys.executable).resolve()
    find = ["--no-index", "--find-links", ways.out]

    folder = ways.folder("uvx")
    uv = tools.python_tools()
    programs = ways.only(folder, python3=python, uv=uv / "uv", uvx=uv / "uvx")
    env = bare(folder / "home", [programs], UV_PYTHON_DOWNLOADS="never")
    ways.way("uvx", wheel.stat().st_size, [], [programs / "uvx", *find, "haldir-mcp"], env)
    ways.check(
        "uvx: the terminal client",
        lambda: run([programs / "uvx", *find, "--from", WHEEL, "haldir-terminal", "sessions", "list", "--help"], env),
    )

    folder = ways.folder("uv-tool")
    programs = ways.only(folder, python3=python, uv=uv / "uv")
    env = bare(folder / "home", [programs], UV_PYTHON_DOWNLOADS="never")
    ways.way(
        "uv tool install",
        wheel.stat().st_size,
        [[programs / "uv", "tool", "install", *find, WHEEL]],
        [folder / "home/.local/bin/haldir-mcp"],
        env,
    )
    ways.check("uv tool: the terminal client", lambda: run([folder / "home/.local/bin/haldir-terminal", "sessions", "list", "--help"], env))

    folder = ways.folder("pip")
    programs = ways.only(folder, python3=python)
    env = bare(folder / "home", [programs])
    environment = folder / "venv"
    # Where a person who uses pip installs anything; its creation takes longer than all that follows.
    run([programs / "python3", "-m", "venv", environment], env)
    install = [[environment / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *find, WHEEL]]
    ways.way("pip install, in an environment", wheel.stat().st_size, install, [environment / "bin/haldir-mcp"], env)

    def shadows_nothing():
        expect(not (environment / "bin/haldir").exists(), "it installs a command haldir")
        code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('haldir') is not None)"
        run([environment / "bin/python", "-c", code], env)
        files = run([environment / "bin/python", "-m", "pip", "show", "--files", WHEEL], env).split("Files:")[1].split()
        expect({Path(file).name for file in files if "bin/" in file} == {"haldir-mcp", "haldir-terminal"}, f"it installs {files}")
        run([environment / "bin/haldir-terminal", "sessions", "list", "--help"], env)

    ways.check("pip: neither the module nor the command haldir is touched", shadows_nothing)
    ways.check("pip: uninstalled without a trace", lambda: uninstalled(environment, env))


def uninstalled(environment, env):
    run([environment / "bin/pip", "uninstall", "--yes", "--quiet", "--disable-pip-version-check", WHEEL], env)
    left = [path for path in environment.rglob("*haldir*")]
    expect(not left, f"left: {left}")
