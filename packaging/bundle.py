"""The bundle for Claude Desktop and other hosts of MCPB (https://github.com/modelcontextprotocol/mcpb): one file per platform."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import tools
from project import PROGRAMS, ROOT, write_json

MANIFEST_VERSION = "0.4"
ICON_SIZE = 512
SMITHERY_LIMIT = 25 * 1024 * 1024  # bytes; Smithery takes no larger bundle

# What a person is asked. Each default is given, an empty one too: a host leaves a setting without default in the command as it is
# written, `${user_config.…}`. haldir takes an empty variable for one that is not set.
SETTINGS = {
    "max_spend": ("HALDIR_MAX_SPEND", "number", "Budget of a session", "The most that one session may spend, in USD.", 100, {"min": 0}),
    "max_daily_spend": (
        "HALDIR_MAX_DAILY_SPEND", "string", "Budget of a day",
        "The most that all sessions may spend together in a UTC day, in USD. Empty: no limit.", "", {},
    ),
    "max_ttl": ("HALDIR_MAX_TTL", "string", "Lifetime of a session", "The longest life of a session, such as 8h or 1d.", "1d", {}),
    "max_scopes": (
        "HALDIR_MAX_SCOPES", "string", "Scopes",
        "The scopes that a session may have, separated by commas, such as read,spend:20. Empty: all but admin and *.", "", {},
    ),
    "api_key": (
        "HALDIR_API_KEY", "string", "API key",
        "A key of this store, or of the server at the base URL. Empty: the agent works as the local tenant.", "", {"sensitive": True},
    ),
    "base_url": (
        "HALDIR_BASE_URL", "string", "Base URL",
        "The address of a haldir server whose tools are served instead of those of this computer. It needs the API key. Empty: none.", "", {},
    ),
    "store": (
        "HALDIR_DB", "string", "Database",
        "The path of the database file. Empty: haldir/haldir.db in your data folder, shared with your other clients.", "", {},
    ),
    "servers": (
        "HALDIR_CONFIG", "file", "Servers to govern",
        "A TOML file that lists MCP servers under [upstreams.NAME]: haldir starts them, and governs and logs every call of their tools. "
        "Optional.", "", {},
    ),
}  # fmt: skip


def manifest(project, one):
    program = f"server/{PROGRAMS[0]}{one.suffix}"
    card = project.card
    return {
        "manifest_version": MANIFEST_VERSION,
        "name": "haldir-mcp",
        "display_name": "haldir",
        "version": project.version,
        "description": project.description,
        "long_description": project.readme(),
        "author": {"name": project.author, "url": project.repository},
        "repository": {"type": "git", "url": project.repository},
        "homepage": project.repository,
        "documentation": f"{project.repository}/blob/main/README.md",
        "support": f"{project.repository}/issues",
        "icon": "icon.png",
        "icons": [{"src": "icon.png", "size": f"{ICON_SIZE}x{ICON_SIZE}"}],
        "license": project.license,
        "keywords": project.keywords,
        "server": {
            "type": "binary",
            "entry_point": program,
            "mcp_config": {
                "command": f"${{__dirname}}/{program}",
                "args": [],
                "env": {variable: f"${{user_config.{key}}}" for key, (variable, *_) in SETTINGS.items()},
            },
        },
        "tools": [{"name": tool["name"], "description": tool["description"]} for tool in card["tools"]],
        "tools_generated": True,  # those of the servers to govern
        "prompts": [
            {
                "name": prompt["name"],
                "description": prompt["description"],
                "arguments": [argument["name"] for argument in prompt["arguments"]],
                # The server writes the text from its log, when it is asked for.
                "text": prompt["description"],
            }
            for prompt in card["prompts"]
        ],
        "prompts_generated": True,
        "compatibility": {"platforms": [one.os]},
        "user_config": {
            key: {"type": kind, "title": title, "description": text, "required": False, "default": default, **more}
            for key, (_, kind, title, text, default, more) in SETTINGS.items()
        },
    }


def _icon(path):
    """The icon of the dashboard as a PNG, which every host shows."""
    script = (
        "const {Resvg} = require('@resvg/resvg-js'), fs = require('fs'), [, from, to, size] = process.argv;"
        "fs.writeFileSync(to, new Resvg(fs.readFileSync(from), {fitTo: {mode: 'width', value: Number(size)}}).render().asPng());"
    )
    environment = os.environ | {"NODE_PATH": str(tools.node_modules())}
    tools.run(["node", "-e", script, ROOT / "assets/icon.svg", path, str(ICON_SIZE)], env=environment)


def pack(project, one, programs, out):
    """Writes the bundle, which the tool of its format validates and packs, and returns its path."""
    mcpb = tools.node_modules() / "@anthropic-ai/mcpb/dist/cli/cli.js"
    path = out / project.bundle(one)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        (folder / "server").mkdir()
        shutil.copy(programs / f"{PROGRAMS[0]}{one.suffix}", folder / "server")
        shutil.copy(ROOT / "LICENSE", folder)
        _icon(folder / "icon.png")
        write_json(folder / "manifest.json", manifest(project, one))
        tools.read(["node", mcpb, "validate", folder / "manifest.json"])
        tools.read(["node", mcpb, "pack", folder, path])
    if path.stat().st_size > SMITHERY_LIMIT:
        sys.exit(f"packaging: {path.name} has {path.stat().st_size} bytes, and Smithery takes {SMITHERY_LIMIT}")
    return path
