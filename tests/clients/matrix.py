"""Every client in front of every server of others, each way through haldir: matrix.py BINARY PACKAGES NODE PYTHON

The servers are asked all of questions.json: every tool with good and bad input and, where a way carries them, prompts,
resources and completion. Each client asks the server alone and through haldir, and both must have the same answers, byte
for byte: what came over the transport, the keys in their order, what the client made of it, and the progress on the way.
Only times, drawn ids and the folder are made alike. As `upstream__tool` there are tools alone, and of a tool's definition
the name is prefixed and `execution` is gone, since a task belongs to a connection of its own, members may stand in another
order, and those that a server offers to clients that can be asked are there for all; REST calls `upstream.tool` and always
says `isError`.
The Inspector, a process for each question, asks of every tool and method as many questions as MATRIX_PER_TOOL says.
Prints `ok NAME` or `FAILED NAME: what was wrong` for each, and the matrix at the end.
"""

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checks import expect, run_check, summary
from upstreams import FOR_THE_ASKED, undrawn

BINARY, PACKAGES, NODE, PYTHON = sys.argv[1:5]
HERE = Path(__file__).parent
QUESTIONS = json.loads((HERE / "questions.json").read_text())
PER_TOOL = int(os.environ.get("MATRIX_PER_TOOL", "1"))
CORES = os.cpu_count() or 1
CLIENTS = {
    "Inspector": None,
    "Python": ("python", "legacy"),
    "Python 2026": ("python", "auto"),
    "TypeScript 1": (1, "legacy"),
    "TypeScript 2": (2, "legacy"),
    "TypeScript 2 2026": (2, "auto"),
}
DIRECT, WRAP, STDIO, HTTP, TRANSPARENT, REST = (
    "direct", "wrap", "upstream__tool, stdio", "upstream__tool, /mcp", "/mcp/{upstream}", "POST /v1/proxy/call"
)
WHOLE = (DIRECT, WRAP, TRANSPARENT)  # where the server is alone, with all that it has
TASK = "simulate-research-query"
OFFERED = re.compile("get-roots-list|trigger-(sampling|elicitation|url).*")  # for clients that offer something
TASKS_ONLY = {"simulate-research-query"}
BLOB = re.compile(r'"([A-Za-z0-9+/]{40,}=*)"')


class Cell:
    """One client's questions to one server, one way."""

    def __init__(self, scratch, server, way, client, offers):
        self.server, self.way, self.client, self.offers = server, way, client, offers
        self.name = f"{server}, {way}, {client}"
        self.prefix = "" if way in WHOLE else f"{server}." if way == REST else f"{server}__"
        self.home, self.root = scratch / "home", scratch / "root"
        words = re.sub(r"\W+", "-", self.name + str(offers))
        self.key = words
        self.folder, self.store = self.root / words, scratch / f"{words}.db"
        self.config = scratch / "haldir.toml"

    def questions(self):
        """By their place. The folder is replaced in the text, wherever in a question it stands."""
        asked = json.loads(json.dumps(QUESTIONS[self.server]).replace("$FOLDER", str(self.folder)))
        return {place: question for place, question in enumerate(asked) if self.is_asked(*question)}

    def is_asked(self, method, params):
        name = params.get("name", "")
        if self.prefix and (not method.startswith("tools/") or name == TASK):
            return False
        if self.client == "REST" and method == "tools/list":
            return False
        if self.client == "Inspector" and method == "completion/complete":
            return False
        if name.endswith("-async"):  # for clients that keep tasks, which none of these does
            return False
        return self.offers or method != "tools/call" or not OFFERED.fullmatch(name)

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.home)}

    def answers(self):
        """What was answered, by the place of the question."""
        self.folder.mkdir(parents=True)
        (self.folder / "b.png").write_bytes(b"png")
        questions = self.questions()
        if self.client == "Inspector":
            questions = sparingly(questions)
        named = [
            (method, params | {"name": self.prefix + params["name"]} if method == "tools/call" else params)
            for method, params in questions.values()
        ]
        ask = {"Inspector": self.of_inspector, "REST": over_rest}.get(self.client, self.of_sdk)
        with self.target() as target:
            found = ask(target, named)
        return {place: self.alike(answer) for place, answer in zip(questions, found, strict=True)}

    @contextlib.contextmanager
    def target(self):
        """How a client reaches the server."""
        script, *arguments = commands(self.root)[self.server]
        store = ["--db", str(self.store)]
        if self.way == DIRECT:
            yield {"command": NODE, "args": [script, *arguments]}
        elif self.way == WRAP:
            yield {"command": BINARY, "args": [*store, "wrap", "--name", self.server, "--", NODE, script, *arguments]}
        elif self.way == STDIO:
            yield {"command": BINARY, "args": ["--config", str(self.config), *store]}
        else:
            begin = [BINARY, "--config", self.config, *store, "serve", "--listen", "127.0.0.1:0", "--rate-limits", "off"]
            more = [] if self.way == REST else ["--local-agent"]
            haldir = subprocess.Popen(
                [*begin, *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.environment()
            )
            try:
                base = haldir.stdout.readline().removeprefix("haldir listening on ").strip()
                yield {"url": base + {REST: "", HTTP: "/mcp", TRANSPARENT: f"/mcp/{self.server}"}[self.way]}
            finally:
                haldir.send_signal(signal.SIGTERM)
                haldir.wait(20)

    def of_sdk(self, target, questions):
        kind, mode = CLIENTS[self.client]
        program = [PYTHON, HERE / "matrix_python.py"] if kind == "python" else [NODE, HERE / "matrix_typescript.mjs"]
        request = {
            "server": target, "mode": mode, "sdk": kind, "offers": self.offers, "packages": PACKAGES,
            "questions": questions, "pause": 0.6 if self.server == "everything" else 0,  # it adds tools after the handshake
        }
        done = subprocess.run(
            [*program, json.dumps(request)], capture_output=True, text=True, timeout=90, env=self.environment()
        )
        expect(done.returncode == 0, f"{self.name}: {done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def of_inspector(self, target, questions):
        if "url" in target:
            reach = ["--transport", "http", "--server-url", target["url"]]
        else:  # a file, since the Inspector has options of its own on its command line
            file = self.folder.with_suffix(".json")
            file.write_text(json.dumps({"mcpServers": {"it": target}}))
            reach = ["--config", str(file), "--server", "it"]
        ask = lambda question: inspector(reach, self.environment(), *question)  # noqa: E731
        if self.server == "files":  # one builds on the other
            return list(map(ask, questions))
        with ThreadPoolExecutor(CORES) as several:
            return list(several.map(ask, questions))

    def alike(self, answer):
        """The answer as text, without what differs between two runs of the same server."""
        if self.client.endswith("2026"):
            answer = without_type(answer)
        text = json.dumps(answer, ensure_ascii=False).replace(str(self.folder), "$FOLDER")
        return undrawn(BLOB.sub(readable, text))


def commands(root):
    """The arguments of Node for each server."""
    servers = Path(PACKAGES) / "@modelcontextprotocol"
    return {
        "everything": [str(servers / "server-everything/dist/index.js"), "stdio"],
        "files": [str(servers / "server-filesystem/dist/index.js"), str(root)],
    }


def inspector(reach, environment, method, params):
    """One request of the MCP Inspector's command line; its exit code, and what it printed."""
    launcher = Path(PACKAGES) / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    command = [NODE, launcher, "--cli", "--format", "json", "--quiet", "--stored-auth-only", *reach, "--method", method]
    if method == "tools/call":
        command += ["--tool-name", params["name"], "--tool-args-json", json.dumps(params["arguments"])]
    if method == "prompts/get":
        given = [f"{name}={value}" for name, value in params.get("arguments", {}).items()]
        command += ["--prompt-name", params["name"], *(["--prompt-args", *given] if given else [])]
    if method == "resources/read":
        command += ["--uri", params["uri"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    expect(done.returncode in (0, 1, 5), f"exit code {done.returncode}: {done.stderr}")  # 5: the tool said that it failed
    return {"code": done.returncode, "received": [json.loads(done.stdout)["result"] if done.stdout else done.stderr]}


def over_rest(target, questions):
    def post(path, body, key=None):
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(f"{target['url']}/v1/{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    key = post("keys", {"name": "t", "tier": "enterprise"})["key"]
    session = post("sessions", {"agent_id": "matrix", "scopes": ["execute"]}, key)["session_id"]
    call = lambda params: {"tool": params["name"], "arguments": params["arguments"], "session_id": session}  # noqa: E731
    return [{"received": [post("proxy/call", call(params), key)]} for _, params in questions]


def sparingly(questions):
    """The first questions about each tool, and of each other method."""
    asked, kept = {}, {}
    for place, (method, params) in questions.items():
        about = params["name"] if method == "tools/call" else method
        asked[about] = asked.get(about, 0) + 1
        if asked[about] <= PER_TOOL:
            kept[place] = (method, params)
    return kept


def without_type(answer):
    """Results of 2026-07-28 say what they are and how long they hold, which a server of before does not."""
    if isinstance(answer, dict):
        return {name: without_type(value) for name, value in answer.items() if name not in ("resultType", "ttlMs", "cacheScope")}
    return [without_type(value) for value in answer] if isinstance(answer, list) else answer


def readable(blob):
    """A blob that is a text with a time in it."""
    with contextlib.suppress(ValueError):
        text = base64.b64decode(blob[1]).decode()
        if undrawn(text) != text:
            return json.dumps(undrawn(text))
    return blob[0]


def tools(answer, prefix):
    """The definitions of one server's tools, as `upstream__tool` has them."""
    listed = json.loads(answer)["received"][-1]["tools"]
    own = [tool for tool in listed if tool["name"].startswith(prefix) and not OFFERED.fullmatch(tool["name"])]
    # What must be called as a task is called over a connection of its own. Not every SDK shows which tools those are.
    own = [tool for tool in own if tool["name"] not in TASKS_ONLY]
    for tool in own:
        tool["name"] = tool["name"].removeprefix(prefix)
        tool.pop("execution", None)
    own = [tool for tool in own if tool["name"] not in FOR_THE_ASKED]
    return [json.dumps(tool, sort_keys=True) for tool in sorted(own, key=lambda tool: tool["name"])]


def same(cell, method, alone, through):
    if cell.way in WHOLE and not cell.client.endswith("2026"):
        return alone == through
    if method == "tools/list" and cell.prefix:
        return tools(alone, "") == tools(through, cell.prefix)
    alone, through = json.loads(alone), json.loads(through)
    if cell.client == "REST":
        return {"isError": False} | alone["received"][-1] == through["received"][-1]
    for answer in (alone, through):
        if cell.client.endswith("2026"):  # of the same answer an SDK makes something else in each revision
            del answer["given"]
        if cell.prefix:  # progress is passed on as a double, which writes 1 as 1.0
            *steps, _ = answer["received"]
            for step in steps:
                step.update({name: float(value) for name, value in step.items() if isinstance(value, int)})
    return json.dumps(alone) == json.dumps(through)


def compare(cell, alone, through):
    """That all answers are equal; returns how many those are."""
    for place, answer in through.items():
        method, params = QUESTIONS[cell.server][place]
        what = f"{method} {json.dumps(params, ensure_ascii=False)}"
        expect(same(cell, method, alone[place], answer), f"{what}: direct {difference(alone[place], answer)}")
    return len(through)


def difference(one, other):
    """Both from a little before where they part."""
    at = max(0, len(os.path.commonprefix([one, other])) - 60)
    return f"…{one[at:at + 300]!r}, behind haldir …{other[at:at + 300]!r}"


def cells(scratch):
    """Those behind haldir, each with the one that it is held against."""
    for client in [*CLIENTS, "REST"]:
        for server in ("everything", "files"):
            may_offer = server == "everything" and (CLIENTS.get(client) or ["", ""])[1] == "legacy"
            direct = {
                offers: Cell(scratch, server, DIRECT, "Python" if client == "REST" else client, offers)
                for offers in {False, may_offer}
            }
            if client == "REST":
                yield Cell(scratch, server, REST, client, False), direct[False]
                continue
            for way in (WRAP, TRANSPARENT):
                yield Cell(scratch, server, way, client, may_offer), direct[may_offer]
            for way in (STDIO, HTTP):
                yield Cell(scratch, server, way, client, False), direct[False]


def main():
    equal = {}
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(CORES + 2) as pool:
        scratch = Path(scratch).resolve()
        for folder in ("home", "root"):
            (scratch / folder).mkdir()
        (scratch / "haldir.toml").write_text("".join(
            f"[upstreams.{name}]\ncommand = {json.dumps(NODE)}\nargs = {json.dumps(arguments)}\n"
            for name, arguments in commands(scratch / "root").items()
        ))
        pairs = list(cells(scratch))
        started = {}
        for cell in [cell for pair in pairs for cell in reversed(pair)]:
            if cell.key not in started:
                started[cell.key] = pool.submit(cell.answers)
        for cell, direct in pairs:
            def check(cell=cell, direct=direct):
                answers = [started[one.key].result() for one in (direct, cell)]
                equal[cell.server, cell.way, cell.client] = compare(cell, *answers)

            run_check(f"{cell.name}: as direct", check)
    print_matrix(equal)
    return summary()


def print_matrix(equal):
    """How many answers were equal; `-` where a client does not go that way, `NO` where one was not."""
    clients = [*CLIENTS, "REST"]
    for server in ("everything", "files"):
        print(f"\n{server + ': equal answers':<26}" + "".join(f"{client:>19}" for client in clients))
        for way in (WRAP, STDIO, HTTP, TRANSPARENT, REST):
            is_gone = lambda client: (way == REST) == (client == "REST")  # noqa: B023, E731
            row = [equal.get((server, way, client), "NO") if is_gone(client) else "-" for client in clients]
            print(f"{way:<26}" + "".join(f"{number:>19}" for number in row))


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())
