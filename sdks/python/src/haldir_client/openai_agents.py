"""OpenAI Agents SDK: governed function tools, and hooks that log the tokens of model calls.

A denied call is rejected by an input guardrail of the tool, whose message the model reads as the result of the call. That a
tool failed is not logged: the SDK makes a text for the model of the error before anything outside the tool sees it.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Iterable

from agents import Agent, FunctionTool, ModelResponse, RunContextWrapper, RunHooks
from agents import ToolGuardrailFunctionOutput, ToolInputGuardrail, ToolInputGuardrailData

from .governed import AnyRun, ToolDenied, log_tokens, permit


def govern_tools(run: AnyRun, tools: Iterable[FunctionTool]) -> list[FunctionTool]:
    """The tools, each call of which passes the run first, after the tools' own guardrails."""

    async def decide(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
        try:
            await permit(run, data.context.tool_name, _parsed(data.context.tool_arguments))
        except ToolDenied as denial:
            return ToolGuardrailFunctionOutput.reject_content(str(denial))
        return ToolGuardrailFunctionOutput.allow()

    guardrail: ToolInputGuardrail[Any] = ToolInputGuardrail(guardrail_function=decide, name="haldir")
    return [
        dataclasses.replace(tool, tool_input_guardrails=[*(tool.tool_input_guardrails or []), guardrail]) for tool in tools
    ]


class HaldirHooks(RunHooks[Any]):
    """Logs the tokens of each model call: `Runner.run(…, hooks=HaldirHooks(run))`.

    `model` is the name in the run's prices for an agent that has a model object, or none, instead of a model's name.
    """

    def __init__(self, run: AnyRun, model: str | None = None) -> None:
        self._run, self._model = run, model

    async def on_llm_end(self, context: RunContextWrapper[Any], agent: Agent[Any], response: ModelResponse) -> None:
        named = agent.model if isinstance(agent.model, str) else getattr(agent.model, "model", None)
        model = str(named or self._model or "unknown")
        await log_tokens(self._run, model, response.usage.input_tokens, response.usage.output_tokens)


def _parsed(arguments: str) -> object:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
