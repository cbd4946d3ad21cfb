"""LangChain: a middleware for `create_agent`, and for every tool of that agent.

A denied call becomes a `ToolMessage` with the status `error`, which the model reads as the result of the call.
"""

from __future__ import annotations

from typing import Any, Awaitable, Callable

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ExtendedModelResponse
from langchain.messages import AIMessage, ToolMessage
from langchain.tools.tool_node import ToolCallRequest
from langgraph.types import Command

from .governed import AnyRun, ToolDenied, blocking, log_failure, log_tokens, permit

ModelAnswer = ModelResponse[Any] | AIMessage | ExtendedModelResponse[Any]


class HaldirMiddleware(AgentMiddleware[Any, Any, Any]):
    """Governs the tools of an agent in a run, and logs the tokens of its model calls.

    Put it last among the middleware: those before it may change a call, and it decides about what is really called.
    """

    def __init__(self, run: AnyRun) -> None:
        super().__init__()
        self._run = run

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        try:
            blocking(self._run).permit(request.tool_call["name"], request.tool_call["args"])
        except ToolDenied as denial:
            return _denied(request, denial)
        name = request.tool_call["name"]
        try:
            result = handler(request)
        except Exception as error:
            blocking(self._run).log_failure(name, error)
            raise
        if isinstance(result, ToolMessage) and result.status == "error":
            blocking(self._run).log_failure(name, result.text)
        return result

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        try:
            await permit(self._run, request.tool_call["name"], request.tool_call["args"])
        except ToolDenied as denial:
            return _denied(request, denial)
        name = request.tool_call["name"]
        try:
            result = await handler(request)
        except Exception as error:
            await log_failure(self._run, name, error)
            raise
        if isinstance(result, ToolMessage) and result.status == "error":
            await log_failure(self._run, name, result.text)
        return result

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelAnswer:
        response = handler(request)
        for used in _usage(response):
            blocking(self._run).log_tokens(*used)
        return response

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelAnswer:
        response = await handler(request)
        for used in _usage(response):
            await log_tokens(self._run, *used)
        return response


def _denied(request: ToolCallRequest, denial: ToolDenied) -> ToolMessage:
    call = request.tool_call
    return ToolMessage(str(denial), tool_call_id=call["id"] or "", name=call["name"], status="error")


def _usage(response: ModelResponse[Any]) -> list[tuple[str, int | None, int | None]]:
    """Model, input tokens and output tokens of each message of a model."""
    found: list[tuple[str, int | None, int | None]] = []
    for message in response.result:
        if isinstance(message, AIMessage):
            used, metadata = message.usage_metadata, message.response_metadata
            model = str(metadata.get("model_name") or metadata.get("model") or "unknown")
            found.append((model, used["input_tokens"], used["output_tokens"]) if used else (model, None, None))
    return found
