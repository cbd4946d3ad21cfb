"""server.json: where the MCP registry finds haldir, and how a client starts it from there."""

import shutil
import sys
import tempfile
from pathlib import Path

import tools
from checksums import sha256
from npm import launcher_manifest
from project import NPM_LAUNCHER, PLATFORMS, ROOT, WHEEL, write_json

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
SCHEMA_FILE = "skillsaw/schemas/mcp_registry/v2025_12_11/server.schema.json"
STDIO = {"type": "stdio"}
SETTINGS = (
    ("HALDIR_MAX_SPEND", "The most that one session may spend, in USD. Default: 100", "number", False),
    ("HALDIR_MAX_DAILY_SPEND", "The most that all sessions may spend together in a UTC day, in USD. Default: no limit", "number", False),
    ("HALDIR_MAX_TTL", "The longest life of a session, such as 8h. Default: 1d", "string", False),
    ("HALDIR_MAX_SCOPES", "The scopes that a session may have, separated by commas. Default: all but admin and *", "string", False),
    ("HALDIR_API_KEY", "A key of the store, or of the server at HALDIR_BASE_URL. Default: works as the local tenant", "string", True),
    ("HALDIR_BASE_URL", "The address of a haldir server whose tools to serve instead; it needs HALDIR_API_KEY", "string", False),
    ("HALDIR_DB", "The database file. Default: haldir/haldir.db in the user's data directory", "filepath", False),
    ("HALDIR_CONFIG", "A TOML file that lists MCP servers to start and to govern", "filepath", False),
)
# In the image these two are set, and name paths of the container.
NOT_IN_IMAGE = ("HALDIR_DB", "HALDIR_CONFIG")
RULES = ("mcp-registry-server-json-valid", "mcp-registry-version-semver", "mcp-registry-npm-name-match")
IMAGE_LABEL = "io.modelcontextprotocol.server.name"


def _variables(without=()):
    return [
        {"name": name, "description": text, "format": kind, "isSecret": secret, "isRequired": False}
        for name, text, kind, secret in SETTINGS
        if name not in without
    ]


def server(project, out):
    """server.json, with a bundle for each platform whose bundle is in the folder."""
    packages = [
        {"registryType": "npm", "identifier": NPM_LAUNCHER, "version": project.version, "runtimeHint": "npx"},
        {"registryType": "pypi", "identifier": WHEEL, "version": project.version, "runtimeHint": "uvx"},
        {
            "registryType": "oci",
            "identifier": f"{project.image}:{project.version}",
            "runtimeHint": "docker",
            "runtimeArguments": [
                {"type": "named", "name": "--volume", "value": "haldir:/data", "description": "Where the store is kept"},
            ],
            # In place of the image's own command, which serves HTTP.
            "packageArguments": [{"type": "positional", "value": "haldir-mcp", "description": "The server on standard input and output"}],
        },
    ]
    for package in packages:
        package["transport"] = STDIO
        package["environmentVariables"] = _variables(NOT_IN_IMAGE if package["registryType"] == "oci" else ())
    for one in PLATFORMS:
        bundle = out / project.bundle(one)
        if bundle.exists():
            # Its settings are in the bundle.
            packages.append(
                {
                    "registryType": "mcpb",
                    "identifier": project.download(bundle.name),
                    "version": project.version,
                    "fileSha256": sha256(bundle),
                    "transport": STDIO,
                }
            )
    return {
        "$schema": SCHEMA,
        "name": project.mcp_name,
        "title": "haldir",
        "description": project.description,
        "version": project.version,
        "websiteUrl": project.repository,
        "repository": {"url": project.repository, "source": "github"},
        "icons": [{"src": f"{project.repository}/raw/v{project.version}/assets/icon.svg", "mimeType": "image/svg+xml", "sizes": ["any"]}],
        "packages": packages,
    }


def write(project, out):
    """Writes server.json and validates it: by the schema, by the registry's further rules, and by the mark in every package."""
    label = f'LABEL {IMAGE_LABEL}="{project.mcp_name}"'
    if label not in (ROOT / "Dockerfile").read_text("utf-8"):
        sys.exit(f"packaging: the Dockerfile lacks the label that the MCP registry looks for: {label}")
    project.readme()  # has the line for PyPI, or fails
    path = out / "server.json"
    write_json(path, server(project, out))
    tools.validate(SCHEMA_FILE, path)
    with tempfile.TemporaryDirectory() as work:
        # The mark of npm is looked for in the package.json beside it.
        shutil.copy(path, work)
        write_json(Path(work) / "package.json", launcher_manifest(project))
        tools.read([tools.python_tools() / "skillsaw", "lint", "--strict", *(f"--rule={rule}" for rule in RULES), work])
