"""LlamaIndex: governed tools, and the tokens of an agent's model calls.

A denied call is a `ToolOutput` with `is_error`, which the model reads as the result of the call.
"""

from __future__ import annotations

import copy
from typing import Any, Iterable

from llama_index.core.agent.workflow import AgentOutput
from llama_index.core.tools import AsyncBaseTool, FunctionTool, ToolOutput

from .governed import AnyRun, ToolDenied, blocking, log_failure, log_tokens, permit


def govern_tools(run: AnyRun, tools: Iterable[AsyncBaseTool]) -> list[AsyncBaseTool]:
    """The tools, each call of which passes the run first."""
    return [_govern(run, tool) for tool in tools]


def _govern(run: AnyRun, tool: AsyncBaseTool) -> AsyncBaseTool:
    name = tool.metadata.get_name()
    run.scope_of(name)  # a name that is no scope fails here rather than in the middle of a run
    hidden = tool.ctx_param_name if isinstance(tool, FunctionTool) else None

    def loggable(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        return list(args) or {name: value for name, value in kwargs.items() if name != hidden}

    def call(*args: Any, **kwargs: Any) -> ToolOutput:
        try:
            blocking(run).permit(name, loggable(args, kwargs))
        except ToolDenied as denial:
            return _denied(name, loggable(args, kwargs), denial)
        try:
            output = tool.call(*args, **kwargs)
        except Exception as error:
            blocking(run).log_failure(name, error)
            raise
        if output.is_error:
            blocking(run).log_failure(name, output.content)
        return output

    async def acall(*args: Any, **kwargs: Any) -> ToolOutput:
        try:
            await permit(run, name, loggable(args, kwargs))
        except ToolDenied as denial:
            return _denied(name, loggable(args, kwargs), denial)
        try:
            output = await tool.acall(*args, **kwargs)
        except Exception as error:
            await log_failure(run, name, error)
            raise
        if output.is_error:
            await log_failure(run, name, output.content)
        return output

    # A copy remains a FunctionTool, by which agents know that a tool takes their context.
    governed = copy.copy(tool)
    setattr(governed, "call", call)
    setattr(governed, "acall", acall)
    return governed


def _denied(name: str, arguments: object, denial: ToolDenied) -> ToolOutput:
    given = arguments if isinstance(arguments, dict) else {"args": arguments}
    return ToolOutput(
        tool_name=name, content=str(denial), raw_input=given, raw_output=str(denial), is_error=True, exception=denial
    )


async def finish(run: AnyRun, handler: Any, model: str) -> Any:
    """The result of `agent.run(…)`; the tokens of each of its model calls are logged as they come.

    `model` is the name in the run's prices for a response that does not name its model. A model that streams reports its
    tokens only where it is asked to: with OpenAI by `additional_kwargs={"stream_options": {"include_usage": True}}`.
    """
    async for event in handler.stream_events():
        if isinstance(event, AgentOutput):
            await log_tokens(run, *_usage(event.raw, model))
    return await handler


def _usage(raw: Any, model: str) -> tuple[str, int | None, int | None]:
    raw = raw if isinstance(raw, dict) else {}
    used = raw.get("usage")
    used = used if isinstance(used, dict) else {}
    given = [used.get(name) for name in ("prompt_tokens", "input_tokens", "completion_tokens", "output_tokens")]
    numbers = [one if isinstance(one, int) else None for one in given]
    sent = numbers[0] if numbers[0] is not None else numbers[1]
    received = numbers[2] if numbers[2] is not None else numbers[3]
    return str(raw.get("model") or model), sent, received
