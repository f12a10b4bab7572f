"""The base of all typed parameter blocks, and the kinds of value that several of them have."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

LARGEST = 2**63 - 1
"""Of all whole numbers: what numpy, torch and parquet hold."""
LARGEST_SEED = 2**32 - 1
"""What numpy's old generator (of gensim and scikit-learn) takes as a seed, and torch too."""
DAY_S = 86_400.0


class Block(BaseModel):
    """A block of parameters: unknown keys are refused, values cannot be changed, lists may be written with +.

    Kedro parts ``--params`` at commas, so that ``a+b`` is the list of a and b there, and ``a`` the list of it alone.
    What has a plus sign in itself stands in a YAML list, which is taken as it is. Numbers are finite, and ``true`` is
    none of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

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

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        allowed = members(cls.model_fields[str(info.field_name)].annotation)
        if isinstance(value, bool) and bool not in allowed and any(one in (int, float) for one in allowed):
            raise ValueError("allowed are numbers, not true and false")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _not_too_large(cls, value: object) -> object:
        if isinstance(value, int) and value > LARGEST:
            raise ValueError(f"allowed are whole numbers up to {LARGEST}")
        return value


def _joined(value: object) -> object:
    return "+".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _joined_numbers(value: object) -> str:
    return str(_joined(value))


Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Joined = Annotated[str, BeforeValidator(_joined)]
"""Words that are kept joined by +; a YAML list of them is joined."""
JoinedNumbers = Annotated[str, BeforeValidator(_joined_numbers)]
"""Numbers that are kept joined by +; Kedro reads a single one as a number."""
AtLeastOne = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]


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
