"""What Cargo.toml says of the project, the platforms that are packaged, and the names of the files."""

import json
import os
import pathlib
import platform
import sys
import tomllib
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ("haldir-mcp", "haldir")
NPM_LAUNCHER = "haldir-mcp"
NPM_SCOPE = "@haldir/mcp-"
# The name on PyPI, where `haldir` is another product's: its module and its command stay untouched.
WHEEL = "haldir-mcp"
# 2020-01-01: archives carry no time of the build, so that the same programs give the same bytes. Only the bundle, which the tool
# of its format packs, has the time.
ARCHIVE_TIME = 1577836800
COMPRESSION = 6  # of deflate; 9 takes twice as long and saves one per cent
DESCRIPTION_LIMIT = 100  # characters, of the MCP registry


@dataclass(frozen=True)
class Platform:
    """One that is packaged: its names in Rust, in npm (Node's own) and in wheels."""

    target: str
    os: str
    cpu: str
    wheel: str

    @property
    def npm(self):
        return f"{self.os}-{self.cpu}"

    @property
    def suffix(self):
        return ".exe" if self.os == "win32" else ""


# glibc 2.17 is of 2012; macOS 11 is the oldest that Rust's current toolchains build for on Apple's own processors.
GLIBC = "2.17"
PLATFORMS = (
    Platform("x86_64-unknown-linux-gnu", "linux", "x64", "manylinux_2_17_x86_64"),
    Platform("aarch64-unknown-linux-gnu", "linux", "arm64", "manylinux_2_17_aarch64"),
    Platform("x86_64-apple-darwin", "darwin", "x64", "macosx_10_12_x86_64"),
    Platform("aarch64-apple-darwin", "darwin", "arm64", "macosx_11_0_arm64"),
    Platform("x86_64-pc-windows-msvc", "win32", "x64", "win_amd64"),
)


def this_platform():
    """The platform that this process runs on."""
    cpu = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine().lower())
    for one in PLATFORMS:
        if (one.os, one.cpu) == (sys.platform, cpu):
            return one
    known = ", ".join(one.npm for one in PLATFORMS)
    sys.exit(f"packaging: {sys.platform} on {platform.machine()} is not packaged, only {known}")


class Project:
    """The metadata of every package. Cargo.toml is its only place, and server-card.json that of tools and prompts."""

    def __init__(self):
        cargo = tomllib.loads((ROOT / "Cargo.toml").read_text("utf-8"))
        shared, package = cargo["workspace"]["package"], cargo["package"]
        self.version = shared["version"]
        self.license = shared["license"]
        self.author = shared["authors"][0]
        self.repository = shared["repository"]
        self.description = package["description"]
        if len(self.description) > DESCRIPTION_LIMIT:
            sys.exit(f"packaging: the description in Cargo.toml has more than {DESCRIPTION_LIMIT} characters")
        self.keywords = package["keywords"]
        self.card = json.loads((ROOT / "server-card.json").read_text("utf-8"))
        if self.card["version"] != self.version:
            sys.exit(f"packaging: server-card.json is of version {self.card['version']}, Cargo.toml of {self.version}")
        forge, owner, name = self.repository.removeprefix("https://").split("/")
        if forge != "github.com":
            sys.exit(f"packaging: repository in Cargo.toml is not on github.com: {self.repository}")
        # The MCP registry knows owners of GitHub by this prefix, in their own spelling; images have lower case only.
        self.mcp_name = f"io.github.{owner}/{NPM_LAUNCHER}"
        self.image = f"ghcr.io/{owner}/{name}".lower()

    def archive(self, one):
        return f"haldir-{self.version}-{one.target}.tar.gz"

    def wheel(self, one):
        return f"{WHEEL.replace('-', '_')}-{self.version}-py3-none-{one.wheel}.whl"

    def bundle(self, one):
        return f"haldir-mcp-{self.version}-{one.npm}.mcpb"

    def npm_package(self, one):
        return f"{NPM_SCOPE}{one.npm}"

    def npm_tarball(self, name):
        """As `npm pack` calls it."""
        return f"{name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"

    def download(self, file):
        """Where a release has the file."""
        return f"{self.repository}/releases/download/v{self.version}/{file}"

    def readme(self):
        text = (ROOT / "packaging/README.md").read_text("utf-8")
        marker = f"mcp-name: {self.mcp_name}"
        if marker not in text:
            sys.exit(f"packaging: packaging/README.md lacks the line that the MCP registry looks for on PyPI: <!-- {marker} -->")
        return text


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "haldir-packaging"
