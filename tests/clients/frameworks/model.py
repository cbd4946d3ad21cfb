"""A model for agent frameworks to talk to: OpenAI's chat completions and responses, Anthropic's messages and
Gemini's generateContent, on loopback.

It plays a fixed conversation of tool calls, and keeps every request, so that a test sees what a real model would have
seen: the tools with their names and schemas, and the result of each call. It refuses what the real interfaces refuse.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SESSION = re.compile(r"ses_[A-Za-z0-9_-]{32}")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # OpenAI's function names, the strictest of the three
MAX_DEPTH = 10  # levels of a schema that OpenAI takes in strict mode
TYPES = {"string", "number", "integer", "boolean", "array", "object", "null"}

# The conversation: the tool by the end of its name, its arguments. `SESSION` stands for the one that the first call made.
CALLS = [
    ("createSession", {"agent_id": "buyer", "scopes": ["execute", "read", "spend:5"]}),
    ("echo", {"message": "hello"}),
    ("authorizePayment", {"session_id": "SESSION", "amount": 1000, "description": "a yacht"}),
    ("get-structured-content", {"location": "New York"}),
]


def plain(name):
    """A name without what frameworks change in it: case and separators."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find(tools, name):
    """The tool of that name, whatever prefix or hash a framework has put around it."""
    wanted = plain(name)
    for matches in (lambda found: found == wanted, lambda found: found.endswith(wanted), lambda found: wanted in found):
        for tool in tools:
            if matches(plain(tool["name"])):
                return tool
    return None


def next_call(tools, results):
    """The call after those whose results are given, as name and arguments; None at the end, and where there are no tools."""
    if tools and len(results) == len(CALLS):
        submit = find(tools, "submit")  # how DSPy is told of the end
        return (submit["name"], {"answer": "done"}) if submit and plain(submit["name"]) == "submit" else None
    if not tools or len(results) > len(CALLS):
        return None
    name, arguments = CALLS[len(results)]
    session = next(iter(SESSION.findall(results[0])), "none") if results else "none"
    arguments = {key: session if value == "SESSION" else value for key, value in arguments.items()}
    tool = find(tools, name)
    if tool is None:
        return (name, arguments)
    if results and "session_id" in (tool["schema"] or {}).get("properties", {}):
        arguments["session_id"] = session
    return (tool["name"], arguments)


def schema_faults(schema, where="parameters", depth=0):
    """What converters for OpenAI, Anthropic or Gemini do not take of an object's schema, as texts."""
    if schema is None and depth == 0:
        return []  # a function without parameters
    if not isinstance(schema, dict):
        return [f"{where} is no object"]
    faults = []
    kind = schema.get("type")
    if depth == 0 and kind != "object":
        faults.append(f"{where}: its type is {kind!r}, not object")
    if depth == 0:
        faults += [f"{where}: {word} at the top" for word in ("anyOf", "oneOf", "allOf", "enum", "not") if word in schema]
    if depth > MAX_DEPTH:
        return [f"{where}: more than {MAX_DEPTH} levels"]
    if isinstance(kind, list):
        faults.append(f"{where}: a list of types, {kind}")
    elif kind is not None and kind not in TYPES:
        faults.append(f"{where}: no type of JSON Schema, {kind!r}")
    branches = [branch for word in ("anyOf", "oneOf", "allOf") for branch in schema.get(word, [])]
    if kind is None and not branches and "$ref" not in schema:
        faults.append(f"{where}: no type")
    if str(schema.get("format", "")).startswith(("uint", "int")) and schema["format"] not in ("int32", "int64"):
        faults.append(f"{where}: format {schema['format']}")
    for index, branch in enumerate(branches):
        if isinstance(branch, dict) and any(word in branch for word in ("anyOf", "oneOf")):
            faults.append(f"{where}: anyOf within anyOf")
        faults += schema_faults(branch, f"{where}/{index}", depth + 1)
    for name, part in schema.get("properties", {}).items():
        faults += schema_faults(part, f"{where}.{name}", depth + 1)
    if schema.get("items"):  # an empty schema is anything, and all three take it there
        faults += schema_faults(schema["items"], f"{where}[]", depth + 1)
    elif kind == "array" and "items" not in schema:
        faults.append(f"{where}: an array without items")
    return faults


def text_of(content):
    return content if isinstance(content, str) else json.dumps(content)


class Chat:
    """https://platform.openai.com/docs/api-reference/chat"""

    @staticmethod
    def tools(request):
        return [
            {"name": tool["function"]["name"], "schema": tool["function"].get("parameters")}
            for tool in request.get("tools", [])
        ]

    @staticmethod
    def results(request):
        return [text_of(message["content"]) for message in request["messages"] if message["role"] == "tool"]

    @staticmethod
    def answer(request, call, number):
        message = {"role": "assistant", "content": None if call else "done"}
        if call:
            function = {"name": call[0], "arguments": json.dumps(call[1])}
            message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": function}]
        base = {"id": f"chat_{number}", "created": 1, "model": request["model"]}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        reason = "tool_calls" if call else "stop"
        if not request.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
            return base | {"object": "chat.completion", "choices": [choice], "usage": usage}
        if call:
            message["tool_calls"][0]["index"] = 0
        chunk = base | {"object": "chat.completion.chunk"}
        return [
            (None, chunk | {"choices": [{"index": 0, "delta": message, "finish_reason": None}]}),
            (None, chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}),
            (None, chunk | {"choices": [], "usage": usage}),
            (None, "[DONE]"),
        ]


class Responses:
    """https://platform.openai.com/docs/api-reference/responses"""

    @staticmethod
    def tools(request):
        found = []
        for tool in request.get("tools", []):
            for function in tool["tools"] if tool["type"] == "namespace" else [tool]:
                if function["type"] == "function":
                    namespace = tool["name"] if function is not tool else None
                    found.append({"name": function["name"], "schema": function.get("parameters"), "namespace": namespace})
        return found

    @staticmethod
    def results(request):
        items = request["input"] if isinstance(request["input"], list) else []
        return [text_of(item["output"]) for item in items if item.get("type") == "function_call_output"]

    @staticmethod
    def answer(request, call, number):
        if call:
            item = {
                "type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": call[0],
                "arguments": json.dumps(call[1]), "status": "completed",
            }
            tool = next((tool for tool in Responses.tools(request) if tool["name"] == call[0]), {})
            if tool.get("namespace"):
                item["namespace"] = tool["namespace"]
        else:
            content = [{"type": "output_text", "text": "done", "annotations": []}]
            item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        response = {
            "id": f"resp_{number}", "object": "response", "created_at": 1, "status": "completed", "error": None,
            "incomplete_details": None, "instructions": None, "metadata": {}, "model": request["model"], "output": [item],
            "parallel_tool_calls": True, "temperature": 1, "tool_choice": "auto", "tools": [], "top_p": 1,
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2} | details,
        }
        if not request.get("stream"):
            return response
        events = [("response.created", {"response": response | {"output": [], "status": "in_progress"}})]
        at = {"output_index": 0}
        if call:
            events += [
                ("response.output_item.added", at | {"item": item | {"arguments": "", "status": "in_progress"}}),
                ("response.function_call_arguments.delta", at | {"item_id": item["id"], "delta": item["arguments"]}),
                ("response.function_call_arguments.done", at | {"item_id": item["id"], "arguments": item["arguments"]}),
            ]
        else:
            part = at | {"item_id": "msg_1", "content_index": 0}
            events += [
                ("response.output_item.added", at | {"item": item | {"content": [], "status": "in_progress"}}),
                ("response.output_text.delta", part | {"delta": "done", "logprobs": []}),
                ("response.output_text.done", part | {"text": "done", "logprobs": []}),
            ]
        events += [("response.output_item.done", at | {"item": item}), ("response.completed", {"response": response})]
        return [(name, {"type": name, "sequence_number": at} | event) for at, (name, event) in enumerate(events)]


class Messages:
    """https://docs.anthropic.com/en/api/messages"""

    @staticmethod
    def tools(request):
        return [{"name": tool["name"], "schema": tool.get("input_schema")} for tool in request.get("tools", [])]

    @staticmethod
    def results(request):
        blocks = [block for message in request["messages"] if isinstance(message["content"], list) for block in message["content"]]
        return [text_of(block["content"]) for block in blocks if block["type"] == "tool_result"]

    @staticmethod
    def answer(request, call, number):
        block = {"type": "text", "text": "done"}
        if call:
            block = {"type": "tool_use", "id": f"toolu_{number}", "name": call[0], "input": call[1]}
        response = {
            "id": f"msg_{number}", "type": "message", "role": "assistant", "model": request["model"], "content": [block],
            "stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        if not request.get("stream"):
            return response
        begun = block | ({"input": {}} if call else {"text": ""})
        delta = {"type": "text_delta", "text": "done"}
        if call:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(call[1])}
        stop = {"delta": {"stop_reason": response["stop_reason"], "stop_sequence": None}, "usage": {"output_tokens": 1}}
        events = [
            ("message_start", {"message": response | {"content": [], "stop_reason": None}}),
            ("content_block_start", {"index": 0, "content_block": begun}),
            ("content_block_delta", {"index": 0, "delta": delta}),
            ("content_block_stop", {"index": 0}),
            ("message_delta", stop),
            ("message_stop", {}),
        ]
        return [(name, {"type": name} | event) for name, event in events]


class Gemini:
    """https://ai.google.dev/api/generate-content"""

    @staticmethod
    def tools(request):
        declared = [
            function for tool in request.get("tools", []) for function in tool.get("functionDeclarations", [])
        ]
        return [
            {"name": function["name"], "schema": function.get("parametersJsonSchema") or function.get("parameters")}
            for function in declared
        ]

    @staticmethod
    def results(request):
        parts = [part for content in request["contents"] for part in content.get("parts", [])]
        return [json.dumps(part["functionResponse"]) for part in parts if "functionResponse" in part]

    @staticmethod
    def answer(request, call, number):
        part = {"functionCall": {"name": call[0], "args": call[1], "id": f"call_{number}"}} if call else {"text": "done"}
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
        response = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini"}
        return [(None, response)] if request["stream"] else response


INTERFACES = [("/chat/completions", Chat), ("/responses", Responses), ("/messages", Messages), ("enerateContent", Gemini)]


class Model:
    """A listening model. `seen` has the tools and results of each request, in the order of arrival."""

    def __init__(self):
        model = self
        self.seen = []
        self.refused = []
        self.earlier = {}  # the results of a conversation, by the id of the last response in it
        self.lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.reply(404, {"error": {"message": f"no {self.path}"}})

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status, answer = model.answer(self.path, request)
                if isinstance(answer, dict):
                    return self.reply(status, answer)
                return self.stream(answer)

            def reply(self, status, body):
                body = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def stream(self, events):
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                for name, data in events:
                    data = data if isinstance(data, str) else json.dumps(data)
                    self.wfile.write(((f"event: {name}\n" if name else "") + f"data: {data}\n\n").encode())
                self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path, request):
        interface = next((interface for part, interface in INTERFACES if part in path), None)
        if interface is None:
            return 404, {"error": {"message": f"no {path}"}}
        request.setdefault("stream", "stream" in path)
        tools, results = interface.tools(request), interface.results(request)
        with self.lock:
            if request.get("previous_response_id"):  # the conversation so far is not repeated
                results = self.earlier[request["previous_response_id"]] + results
            self.seen.append({"tools": tools, "results": results})
            bad = [tool["name"] for tool in tools if not NAME.fullmatch(tool["name"])]
            self.refused += bad
        if bad:
            message = f"Invalid tool names {bad}: expected a string that matches '^[a-zA-Z0-9_-]{{1,64}}$'"
            return 400, {"error": {"message": message, "type": "invalid_request_error", "code": "invalid_value"}}
        answer = interface.answer(request, next_call(tools, results), len(results))
        with self.lock:
            self.earlier[f"resp_{len(results)}"] = results
        return 200, answer

    def close(self):
        self.server.shutdown()
        self.server.server_close()
