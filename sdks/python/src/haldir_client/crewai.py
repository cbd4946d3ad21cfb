"""CrewAI: governed tools, and the tokens of model calls from its event bus.

A denied call is a `ToolFailure`, which the model reads as the result of the call.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Iterable

from crewai import BaseLLM
from crewai.events.base_events import BaseEvent
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.llm_events import LLMCallCompletedEvent
from crewai.tools import BaseTool
from crewai.tools.tool_failure import ToolFailure
from pydantic import PrivateAttr

from .errors import HaldirError
from .governed import AnyRun, Run, ToolDenied, log_failure, permit

FLUSH_SECONDS = 30.0  # for events of model calls that have not been handled when the run ends


class GovernedTool(BaseTool):
    """A tool, each call of which passes the run first."""

    _run_of: AnyRun = PrivateAttr()
    _tool: BaseTool = PrivateAttr()

    def __init__(self, run: AnyRun, tool: BaseTool) -> None:
        run.scope_of(tool.name)  # a name that is no scope fails here rather than in the middle of a run
        super().__init__(
            name=tool.name,
            description=tool.description,
            args_schema=tool.args_schema,
            result_schema=tool.result_schema,
            result_as_answer=tool.result_as_answer,
            tool_failure_policy=tool.tool_failure_policy,
            cache_function=_no_cache,
        )
        self._run_of, self._tool = run, tool

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        try:
            _require_blocking(self._run_of).permit(self.name, list(args) or kwargs)
        except ToolDenied as denial:
            return ToolFailure(message=str(denial))
        try:
            result = self._tool.run(*args, **kwargs)
        except Exception as error:
            _require_blocking(self._run_of).log_failure(self.name, error)
            raise
        if isinstance(result, ToolFailure):
            _require_blocking(self._run_of).log_failure(self.name, result.message)
        return result

    async def _arun(self, *args: Any, **kwargs: Any) -> Any:
        try:
            await permit(self._run_of, self.name, list(args) or kwargs)
        except ToolDenied as denial:
            return ToolFailure(message=str(denial))
        try:
            result = await self._tool.arun(*args, **kwargs)
        except Exception as error:
            await log_failure(self._run_of, self.name, error)
            raise
        if isinstance(result, ToolFailure):
            await log_failure(self._run_of, self.name, result.message)
        return result


def govern_tools(run: AnyRun, tools: Iterable[BaseTool]) -> list[BaseTool]:
    """The tools, each call of which passes the run first. Their results are not cached, since each call is decided."""
    return [GovernedTool(run, tool) for tool in tools]


class log_model_calls:
    """Logs the tokens of each call of a model in the block. The event bus is one for the process: `llm` tells runs apart.

        llm = LLM(model="openai/gpt-5")
        with govern(…) as run, log_model_calls(run, llm):
            Crew(…).kickoff()
    """

    def __init__(self, run: Run, llm: BaseLLM) -> None:
        self._run, self._llm = run, llm
        self._failures: list[HaldirError] = []
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        crewai_event_bus.register_handler(LLMCallCompletedEvent, self._completed)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        crewai_event_bus.flush(FLUSH_SECONDS)
        crewai_event_bus.off(LLMCallCompletedEvent, self._completed)
        if self._failures and error is None:
            raise self._failures[0]

    def _completed(self, source: Any, event: BaseEvent) -> None:
        if source is not self._llm or not isinstance(event, LLMCallCompletedEvent):
            return
        used = event.usage or {}
        try:
            self._run.log_tokens(
                self._llm.model.rpartition("/")[2],
                _first_int(used, "prompt_tokens", "input_tokens"),
                _first_int(used, "completion_tokens", "output_tokens"),
            )
        except HaldirError as failure:  # the event bus would only print it
            with self._lock:
                self._failures.append(failure)


def _first_int(used: dict[str, Any], *names: str) -> int | None:
    return next((used[name] for name in names if isinstance(used.get(name), int)), None)


def _require_blocking(run: AnyRun) -> Run:
    if not isinstance(run, Run):
        raise TypeError("kickoff calls tools without asyncio: use govern, or kickoff_async")
    return run


def _no_cache(_arguments: Any = None, _result: Any = None) -> bool:
    return False
