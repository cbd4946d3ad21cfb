"""Values to JSON and back without loss: amounts are decimals on both sides, and never floats."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
import types
import typing
from decimal import Decimal
from typing import Any, Literal, Mapping, TypeVar, Union

from .errors import UnexpectedResponse

Money = Union[Decimal, int, str]
"""An amount to send. A float is refused, since 0.1 is no decimal fraction in it."""

MAX_AMOUNT_DIGITS = 40  # before and after the point; more is no amount, and would make a long text of `1e999999`
MAX_DEPTH = 64  # levels of JSON that are written

_PLAIN = re.compile(r"-?\d{1,%d}(\.\d{1,%d})?" % (MAX_AMOUNT_DIGITS, MAX_AMOUNT_DIGITS), re.ASCII)
T = TypeVar("T")


def exact(field: str, value: Money | None) -> Decimal | None:
    """An amount as a decimal; `field` is the argument that an error names."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise TypeError(f"{field}: expected Decimal, int or str, not {type(value).__name__}; write Decimal('12.99')")
    if isinstance(value, str):
        if not _PLAIN.fullmatch(value):
            raise ValueError(f"{field}: {value[:MAX_AMOUNT_DIGITS]!r} is no plain decimal such as '12.99'")
        return Decimal(value)
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or number.adjusted() >= MAX_AMOUNT_DIGITS or exponent < -MAX_AMOUNT_DIGITS:
        raise ValueError(f"{field}: expected a finite number of at most {MAX_AMOUNT_DIGITS} digits on each side of the point")
    return number


def to_json(value: object, depth: int = 0) -> str:
    """JSON text. A Decimal is written as a number with all its digits, which the standard encoder cannot do."""
    if depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} levels of lists and objects")
    if value is None or isinstance(value, (bool, str)):
        return json.dumps(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no JSON number")
        return repr(float(value))
    if isinstance(value, Decimal):
        number = exact("number", value)
        return format(number, "f") if number is not None else "null"
    if isinstance(value, Mapping):
        members = []
        for name, item in value.items():
            if not isinstance(name, str):
                raise TypeError(f"a name in a JSON object is a str, not {type(name).__name__}")
            members.append(f"{json.dumps(name)}:{to_json(item, depth + 1)}")
        return "{" + ",".join(members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(to_json(item, depth + 1) for item in value) + "]"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = {field.name: field.metadata.get("wire", field.name) for field in dataclasses.fields(value)}
        given = {names[name]: getattr(value, name) for name in names if getattr(value, name) is not None}
        return to_json(given, depth)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def from_json(text: bytes) -> Any:
    """JSON values with Decimal for numbers that have a fraction."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UnexpectedResponse(f"the answer is not JSON: {error}") from error


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def decode(model: type[T], value: object) -> T:
    """An instance of a generated class from a parsed answer. Members that this version does not know are left out."""
    return typing.cast(T, _decode(model, value, model.__name__))


@functools.lru_cache(maxsize=None)
def _fields(model: type) -> tuple[tuple[str, str, Any, bool], ...]:
    """Name, name on the wire, type, and whether it is required, of each field."""
    hints = typing.get_type_hints(model)
    return tuple(
        (field.name, field.metadata.get("wire", field.name), hints[field.name], field.default is dataclasses.MISSING)
        for field in dataclasses.fields(model)
    )


def _decode(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise UnexpectedResponse(f"{where}: expected an object")
        given = {}
        for name, wire, hint, required in _fields(typing.cast(type, kind)):
            if wire in value:
                given[name] = _decode(hint, value[wire], f"{where}.{wire}")
            elif required:
                raise UnexpectedResponse(f"{where}.{wire} is missing")
        return typing.cast(type, kind)(**given)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _decode(next(branch for branch in arguments if branch is not type(None)), value, where)
    if origin is list and isinstance(value, list):
        return [_decode(arguments[0], item, f"{where}[]") for item in value]
    if origin is dict and isinstance(value, dict):
        return {name: _decode(arguments[1], item, f"{where}.*") for name, item in value.items()}
    # A newer server may have more words than this version's Literal lists.
    if (kind is str or origin is Literal) and isinstance(value, str):
        return value
    if (kind is bool or origin is Literal) and isinstance(value, bool):
        return value
    number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    if kind is int and number and isinstance(value, int):
        return value
    if kind is Decimal and number:
        return Decimal(value)
    if kind is float and number:
        return float(value)
    raise UnexpectedResponse(f"{where}: expected {getattr(kind, '__name__', kind)}, got {type(value).__name__}")
