"""The base of all typed parameter blocks."""

from __future__ import annotations

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Block(BaseModel):
    """A block of parameters: unknown keys are refused, values cannot be changed, lists may be written with +.

    Kedro parts ``--params`` at commas, so that ``a+b`` is the list of a and b there, and ``a`` the list of it alone.
    What has a plus sign in itself stands in a YAML list, which is taken as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _joined_by_plus(cls, value: object, info: ValidationInfo) -> object:
        allowed = members(cls.model_fields[str(info.field_name)].annotation)
        if not isinstance(value, str) or not any(get_origin(one) in (list, tuple) for one in allowed):
            return value
        if any(value in get_args(one) for one in allowed if get_origin(one) is Literal):
            return value
        parts = [part.strip() for part in value.split("+")]
        if not all(parts):
            raise ValueError("allowed is a list, or its parts joined by +, none of them empty")
        return parts


def members(annotation: Any) -> tuple[Any, ...]:
    """Return the types that a field may have.

    Parameters
    ----------
    annotation : type
        Perhaps a union.

    Returns
    -------
    tuple of type
        Those of the union, or the one.
    """
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
