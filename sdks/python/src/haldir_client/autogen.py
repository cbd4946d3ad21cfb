"""AutoGen: governed tools, and a model client that logs the tokens of its calls.

A denied call raises `ToolDenied`, which AutoGen gives to the model as a result with `is_error`.
"""

from __future__ import annotations

from typing import Any, AsyncGenerator, Awaitable, Iterable, Literal, Mapping, Sequence

from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import BaseTool, Tool, ToolSchema
from pydantic import BaseModel

from .governed import AnyRun, log_failure, log_tokens, permit


class GovernedTool(BaseTool[BaseModel, Any]):
    """A tool, each call of which passes the run first."""

    def __init__(self, run: AnyRun, tool: BaseTool[Any, Any]) -> None:
        run.scope_of(tool.name)  # a name that is no scope fails here rather than in the middle of a run
        super().__init__(tool.args_type(), tool.return_type(), tool.name, tool.description)
        self._run_of, self._tool = run, tool

    @property
    def schema(self) -> ToolSchema:
        return self._tool.schema

    async def run(self, args: BaseModel, cancellation_token: CancellationToken) -> Any:
        await permit(self._run_of, self.name, args.model_dump(mode="json"))
        return await self._logged(self._tool.run(args, cancellation_token))

    async def run_json(
        self, args: Mapping[str, Any], cancellation_token: CancellationToken, call_id: str | None = None
    ) -> Any:
        await permit(self._run_of, self.name, dict(args))
        return await self._logged(self._tool.run_json(args, cancellation_token, call_id))

    async def _logged(self, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except Exception as error:
            await log_failure(self._run_of, self.name, error)
            raise

    def return_value_as_string(self, value: Any) -> str:
        return self._tool.return_value_as_string(value)

    def state_type(self) -> type[BaseModel] | None:
        return self._tool.state_type()

    async def save_state_json(self) -> Mapping[str, Any]:
        return await self._tool.save_state_json()

    async def load_state_json(self, state: Mapping[str, Any]) -> None:
        await self._tool.load_state_json(state)


def govern_tools(run: AnyRun, tools: Iterable[BaseTool[Any, Any]]) -> list[BaseTool[Any, Any]]:
    """The tools, each call of which passes the run first."""
    return [GovernedTool(run, tool) for tool in tools]


class GovernedModelClient(ChatCompletionClient):
    """A model client that logs the tokens of each call that was not answered from a cache. `model` is its name in the prices."""

    component_type = "model"

    def __init__(self, run: AnyRun, client: ChatCompletionClient, model: str) -> None:
        self._run, self._client, self._model = run, client, model

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        result = await self._client.create(
            messages, tools=tools, tool_choice=tool_choice, json_output=json_output,
            extra_create_args=extra_create_args, cancellation_token=cancellation_token,
        )
        await self._log(result)
        return result

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        stream = self._client.create_stream(
            messages, tools=tools, tool_choice=tool_choice, json_output=json_output,
            extra_create_args=extra_create_args, cancellation_token=cancellation_token,
        )
        async for part in stream:
            if isinstance(part, CreateResult):
                await self._log(part)
            yield part

    async def _log(self, result: CreateResult) -> None:
        if not result.cached:
            await log_tokens(self._run, self._model, result.usage.prompt_tokens, result.usage.completion_tokens)

    async def close(self) -> None:
        await self._client.close()

    def actual_usage(self) -> RequestUsage:
        return self._client.actual_usage()

    def total_usage(self) -> RequestUsage:
        return self._client.total_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return self._client.count_tokens(messages, tools=tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return self._client.remaining_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> Any:
        return self._client.capabilities

    @property
    def model_info(self) -> ModelInfo:
        return self._client.model_info
