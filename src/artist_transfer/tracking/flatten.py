"""Nested parameters and metrics as flat names: ``training.epochs``."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from numbers import Real
from pathlib import PurePath
from typing import Any

from artist_transfer.tracking.operations import LONGEST_PARAMETER, allowed_name


def flat_parameters(values: Mapping[str, Any]) -> dict[str, str]:
    """Flatten parameters, typed or not.

    Parameters
    ----------
    values : mapping
        Name → value: scalars, mappings, lists, pydantic models, dataclasses.

    Returns
    -------
    dict
        Dotted name → text. A list, and an empty mapping, is JSON.
    """
    return {allowed_name(name): _text(value) for name, value in _leaves("", values)}


def divide_by_length(texts: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Part what MLflow takes as a parameter from what is too long and goes into a tag.

    Parameters
    ----------
    texts : mapping
        Name → text.

    Returns
    -------
    (dict, dict)
        Parameters and tags.
    """
    short = {name: text for name, text in texts.items() if len(text) <= LONGEST_PARAMETER}
    return short, {name: text for name, text in texts.items() if name not in short}


def flat_metrics(values: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str], list[str]]:
    """Flatten metrics, and part the numbers from the words and from what has no value.

    Parameters
    ----------
    values : mapping
        Name → number, text, None or mapping.

    Returns
    -------
    (dict, dict, list)
        Dotted name → number; dotted name → text; dotted names whose value is None or NaN.
    """
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    missing: list[str] = []
    for name, value in _leaves("", values):
        number = _number(value)
        if value is None or (number is not None and math.isnan(number)):
            missing.append(name)
        elif number is not None:
            numbers[allowed_name(name)] = number
        else:
            texts[allowed_name(name)] = _text(value)
    return numbers, texts, missing


def _number(value: Any) -> float | None:
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()  # numpy's bool is no Real
    return float(value) if isinstance(value, Real) else None


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    mapping = _as_mapping(value)
    if not mapping:
        if prefix:
            yield prefix, value if mapping is None else {}
        return
    for key, inner in mapping.items():
        yield from _leaves(f"{prefix}.{key}" if prefix else str(key), inner)


def _as_mapping(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    fields = getattr(type(value), "model_fields", None)  # a pydantic model; its fields may be models again
    return None if fields is None else {name: getattr(value, name) for name in fields}


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        ordered = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return json.dumps(ordered, ensure_ascii=False, default=_plain)
    return value.as_posix() if isinstance(value, PurePath) else str(value)


def _plain(value: Any) -> Any:
    mapping = _as_mapping(value)
    return dict(mapping) if mapping is not None else _text(value)
