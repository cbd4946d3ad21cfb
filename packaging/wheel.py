"""The wheel: the programs as scripts of the environment, and no Python at all.

Written here by the binary distribution format (PEP 427, PEP 639), not by maturin, which compiles the programs itself and cannot
package those that are already built. The terminal client is installed as `haldir-terminal`: `haldir` is the command, and the module, of
another package on PyPI. It finds `haldir-mcp` in its own folder, whatever its own name is. That other package has a command `haldir-mcp` as
well; `uvx haldir-mcp` needs ours to have this name, so the two belong in environments of their own.
"""

import base64
import hashlib
import json
import sys
import time
import zipfile

import tools
from project import ARCHIVE_TIME, COMPRESSION, ROOT, WHEEL

SCRIPTS = {"haldir-mcp": "haldir-mcp", "haldir": "haldir-terminal"}
LICENSE = "LICENSE"


def _metadata(project):
    fields = [
        ("Metadata-Version", "2.4"),
        ("Name", WHEEL),
        ("Version", project.version),
        ("Summary", project.description),
        ("Author", project.author),
        ("License-Expression", project.license),
        ("License-File", LICENSE),
        ("Keywords", ",".join(project.keywords)),
        ("Project-URL", f"Repository, {project.repository}"),
        ("Description-Content-Type", "text/markdown"),
    ]
    return "".join(f"{name}: {value}\n" for name, value in fields) + "\n" + project.readme()


def pack(project, one, programs, out):
    """Writes the wheel of this platform, and returns its path."""
    base = f"{WHEEL.replace('-', '_')}-{project.version}"
    info = f"{base}.dist-info"
    files = [
        (f"{base}.data/scripts/{script}{one.suffix}", (programs / f"{name}{one.suffix}").read_bytes(), 0o755)
        for name, script in SCRIPTS.items()
    ]
    wheel = f"Wheel-Version: 1.0\nGenerator: haldir\nRoot-Is-Purelib: false\nTag: py3-none-{one.wheel}\n"
    files += [
        (f"{info}/METADATA", _metadata(project).encode(), 0o644),
        (f"{info}/WHEEL", wheel.encode(), 0o644),
        (f"{info}/licenses/{LICENSE}", (ROOT / LICENSE).read_bytes(), 0o644),
    ]
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={_digest(content)},{len(content)}\n" for name, content, _ in files]
    files.append((record, ("".join(lines) + f"{record},,\n").encode(), 0o644))
    path = out / project.wheel(one)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:
        for name, content, mode in files:
            entry = zipfile.ZipInfo(name, time.gmtime(ARCHIVE_TIME)[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix: the permissions in the upper half of external_attr
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content)
    return path


def _digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def check(one, path):
    """The metadata by PyPI's own tool; on Linux, the programs against the tag by auditwheel."""
    programs = tools.python_tools()
    tools.run([programs / "twine", "check", "--strict", path])
    if one.os == "linux":
        seen = json.loads(tools.read([programs / "auditwheel", "show", "--json", path]))["overall_tag"]
        if seen != one.wheel:
            sys.exit(f"packaging: {path.name} is {seen} by auditwheel, not {one.wheel}")
