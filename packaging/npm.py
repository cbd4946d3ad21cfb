"""Packages for npm: one with the programs of a platform, and the launcher that depends on all of these, each optional."""

import shutil
import tempfile
from pathlib import Path

import tools
from project import NPM_LAUNCHER, PLATFORMS, PROGRAMS, ROOT, write_json

NODE = ">=18"
LAUNCHER_FILES = ("launch.js", "haldir-mcp.js", "haldir.js")


def _common(project, name):
    return {
        "name": name,
        "version": project.version,
        "description": project.description,
        "keywords": project.keywords,
        "license": project.license,
        "author": project.author,
        "repository": {"type": "git", "url": f"git+{project.repository}.git"},
    }


def platform_manifest(project, one):
    """package.json of a platform's package. npm installs it only where os, cpu and libc are those."""
    manifest = _common(project, project.npm_package(one))
    manifest["description"] = f"The programs of {NPM_LAUNCHER} for {one.npm}"
    manifest |= {"os": [one.os], "cpu": [one.cpu]}
    if one.os == "linux":
        manifest["libc"] = ["glibc"]
    manifest["files"] = ["bin"]
    manifest["publishConfig"] = {"access": "public"}  # a name with a scope is private unless told
    # The program is found by the path of this file, which a package with `exports` would hide.
    manifest["preferUnplugged"] = True  # Yarn Plug'n'Play: a program cannot be run from inside an archive
    return manifest


def launcher_manifest(project):
    return _common(project, NPM_LAUNCHER) | {
        "mcpName": project.mcp_name,
        "bin": {"haldir-mcp": "bin/haldir-mcp.js", "haldir": "bin/haldir.js"},
        "files": ["bin", "launch.js"],
        "engines": {"node": NODE},
        "optionalDependencies": {project.npm_package(one): project.version for one in PLATFORMS},
    }


def _pack(folder, out):
    tools.npm("pack", "--silent", "--ignore-scripts", "--pack-destination", out, cwd=folder)


def pack_platform(project, one, programs, out):
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        write_json(folder / "package.json", platform_manifest(project, one))
        shutil.copy(ROOT / "LICENSE", folder)
        (folder / "README.md").write_text(f"The programs of `{NPM_LAUNCHER}` for {one.npm}. Install that package instead.\n", "utf-8")
        (folder / "bin").mkdir()
        for name in PROGRAMS:
            shutil.copy(programs / f"{name}{one.suffix}", folder / "bin")
        _pack(folder, out)


def pack_launcher(project, out):
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        write_json(folder / "package.json", launcher_manifest(project))
        shutil.copy(ROOT / "LICENSE", folder)
        (folder / "README.md").write_text(project.readme(), "utf-8")
        (folder / "bin").mkdir()
        for name in LAUNCHER_FILES:
            target = folder / name if name == "launch.js" else folder / "bin" / name
            shutil.copyfile(ROOT / "packaging/npm" / name, target)
            target.chmod(0o755 if target.parent.name == "bin" else 0o644)
        _pack(folder, out)
