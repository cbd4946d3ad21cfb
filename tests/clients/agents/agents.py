"""How each command-line agent is told of haldir and of a model on loopback, and asked one question without a terminal.

Each function writes the agent's own configuration into its home, and returns the command with the variables that it needs.
`server` is haldir as most configurations have it: `{"command", "args", "env"}`, or `{"url", "headers"}`.
"""

import json

TASK = "Buy the book."
# Without a terminal these decline every elicitation, and so deny the call for their user: an operator decides instead.
DECLINE = {"codex", "copilot"}


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def toml_table(name, members):
    """A TOML table of text, lists of text and tables of text; JSON writes these as TOML does."""
    lines = [f"[{name}]"]
    for key, value in members.items():
        if isinstance(value, dict):
            value = "{" + ", ".join(f"{json.dumps(inner)} = {json.dumps(text)}" for inner, text in value.items()) + "}"
        else:
            value = json.dumps(value)
        lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n\n"


def claude_code(home, server, model):
    is_remote = "url" in server
    entry = ({"type": "http"} if is_remote else {}) | server
    file = write(home / "mcp.json", {"mcpServers": {"haldir": entry}})
    command = ["claude", "-p", TASK, "--mcp-config", file, "--strict-mcp-config", "--allowedTools", "mcp__haldir"]
    variables = {
        "ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": "none", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "ENABLE_TOOL_SEARCH": "false", "MCP_TIMEOUT": "60000",
    }
    return command, variables


def codex(home, server, model):
    provider = {"name": "loopback", "base_url": f"{model.url}/v1", "wire_api": "responses", "env_key": "OPENAI_API_KEY"}
    if "url" in server:
        server = {"url": server["url"], "http_headers": server["headers"]}
    text = 'model = "gpt-5"\nmodel_provider = "loopback"\n\n'
    text += toml_table("model_providers.loopback", provider)
    text += toml_table("mcp_servers.haldir", server).rstrip() + "\nstartup_timeout_sec = 60\n"
    write(home / ".codex/config.toml", text)
    return ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", TASK], {"OPENAI_API_KEY": "none"}


def gemini_cli(home, server, model):
    if "url" in server:
        server = {"url": server["url"], "type": "http", "headers": server["headers"]}
    settings = {
        "mcpServers": {"haldir": server | {"trust": True, "timeout": 60_000}},
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
    }
    write(home / ".gemini/settings.json", settings)
    variables = {
        "GEMINI_API_KEY": "none", "GOOGLE_GEMINI_BASE_URL": model.url, "GEMINI_CLI_TRUST_WORKSPACE": "true",
        "GEMINI_MODEL": "gemini-2.5-flash",
    }
    return ["gemini", "-p", TASK, "--yolo"], variables


def qwen_code(home, server, model):
    if "url" in server:
        server = {"httpUrl": server["url"], "headers": server["headers"]}
    settings = {
        "mcpServers": {"haldir": server | {"trust": True, "timeout": 60_000, "alwaysLoadTools": True}},
        "security": {"auth": {"selectedType": "openai"}},
        "privacy": {"usageStatisticsEnabled": False},
    }
    write(home / ".qwen/settings.json", settings)
    variables = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{model.url}/v1", "OPENAI_MODEL": "gpt-5"}
    return ["qwen", "-p", TASK, "--yolo"], variables


def opencode(home, server, model):
    if "url" in server:
        entry = {"type": "remote", "url": server["url"], "headers": server["headers"], "oauth": False}
    else:
        entry = {"type": "local", "command": [server["command"], *server["args"]], "environment": server["env"]}
    options = {"baseURL": f"{model.url}/v1", "apiKey": "none"}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "loopback", "options": options, "models": {"gpt-5": {}}}
    settings = {
        "provider": {"loopback": provider}, "model": "loopback/gpt-5", "small_model": "loopback/gpt-5",
        "mcp": {"haldir": entry | {"timeout": 60_000}}, "autoupdate": False, "share": "disabled",
    }
    write(home / ".config/opencode/opencode.json", settings)
    return ["opencode", "run", TASK], {}


def copilot(home, server, model):
    entry = {"type": "http" if "url" in server else "local", "tools": ["*"]} | server
    write(home / ".copilot/mcp-config.json", {"mcpServers": {"haldir": entry}})
    variables = {
        "COPILOT_OFFLINE": "true", "COPILOT_PROVIDER_BASE_URL": f"{model.url}/v1", "COPILOT_PROVIDER_API_KEY": "none",
        "COPILOT_MODEL": "gpt-4.1",
    }
    return ["copilot", "-p", TASK, "--allow-all-tools", "--no-color"], variables


def cline(home, server, model):
    if "url" in server:
        transport = {"type": "streamableHttp", "url": server["url"], "headers": server["headers"]}
    else:
        transport = {"type": "stdio"} | server
    settings = home / ".cline/data/settings"
    write(settings / "cline_mcp_settings.json", {"mcpServers": {"haldir": {"transport": transport}}})
    sign_in = ["cline", "auth", "openai", "--apikey", "none", "--modelid", "gpt-5", "--baseurl", f"{model.url}/v1"]
    return ["sh", "-c", 'a=$1; shift; cline auth "$@" >/dev/null && exec cline "$a"', "sh", TASK, *sign_in[2:]], {}


def continue_(home, server, model):
    if "url" in server:
        entry = {"name": "haldir", "type": "streamable-http", "url": server["url"], "requestOptions": {"headers": server["headers"]}}
    else:
        entry = {"name": "haldir"} | server
    chat = {"name": "gpt-4o", "provider": "openai", "model": "gpt-4o", "apiBase": f"{model.url}/v1", "apiKey": "none"}
    settings = {"name": "buyer", "version": "0.0.1", "schema": "v1", "models": [chat | {"roles": ["chat"]}], "mcpServers": [entry]}
    file = write(home / "continue.yaml", settings)  # YAML has JSON in it
    return ["cn", "-p", TASK, "--config", file, "--auto"], {"CONTINUE_TELEMETRY_ENABLED": "0"}


AGENTS = {
    "claude-code": claude_code,
    "codex": codex,
    "gemini-cli": gemini_cli,
    "qwen-code": qwen_code,
    "opencode": opencode,
    "copilot": copilot,
    "cline": cline,
    "continue": continue_,
}
