"""Parameters of the study (AGF, sections 4.3 and 5)."""

from __future__ import annotations

from pydantic import Field, field_validator

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.typed import LARGEST_SEED, Block, Joined, JoinedNumbers
from artist_transfer.study.cases import parse_cases
from artist_transfer.tasks import TASKS

ABLATIONS = ("dictionary", "groups", "targets", "fit_on", "split", "draw")


class AblationBlock(Block):
    """One choice after the other is changed, all else being the run's."""

    choices: Joined = Field("all", description="all, none, or names joined by +")
    case: str | None = Field(None, description="null: genre and the last of the factor tasks, as MTN")
    dictionary: JoinedNumbers = "256+512+1024+2048+4096"
    groups: JoinedNumbers = "10+20+40+80+160"
    max_artists: int | None = Field(500, ge=4, description="artists that numbers of groups are measured on; null: all")

    @field_validator("choices")
    @classmethod
    def _known(cls, value: str) -> str:
        read_choices(value)
        return value

    @field_validator("case")
    @classmethod
    def _one_case(cls, value: str | None) -> str | None:
        if value is not None and len(_cases(value)) != 1:
            raise ValueError("allowed is the name of one case with its architecture, such as gm-mtn")
        return value

    @field_validator("dictionary", "groups")
    @classmethod
    def _numbers(cls, value: str) -> str:
        read_numbers(value, least=2)
        return value


class StudyBlock(Block):
    """Cases, seeds and tests. Lists are written with +, for Kedro parts ``--params`` at commas."""

    cases: Joined = "all"
    seeds: JoinedNumbers = "0"
    split_seeds: JoinedNumbers = "0"
    at_once: int = Field(8, ge=1, description="nets that are trained side by side on a GPU")
    resamples: int = Field(10_000, ge=100)
    level: float = Field(0.95, gt=0.5, lt=1)
    ablations: AblationBlock = AblationBlock()

    @field_validator("cases")
    @classmethod
    def _known(cls, value: str) -> str:
        _cases(value)
        return value

    @field_validator("seeds", "split_seeds")
    @classmethod
    def _numbers(cls, value: str) -> str:
        read_numbers(value)
        return value


def read_numbers(value: object, *, least: int = 0) -> tuple[int, ...]:
    """Read whole numbers joined by +.

    Parameters
    ----------
    value : str or int
        ``0+1+2``; Kedro reads a single one as a number.
    least : int
        The smallest that is allowed.

    Returns
    -------
    tuple of int
        In the order given.

    Raises
    ------
    ValueError
        If there is none, one is not a whole number, too small or too large, or one stands twice.
    """
    parts = [part.strip() for part in str(value).split("+")] if value is not None and str(value).strip() else []
    numbers = [int(part) for part in parts if part.isdecimal()]
    whole = bool(parts) and len(numbers) == len(parts) == len(set(numbers))
    if not whole or min(numbers) < least or max(numbers) > LARGEST_SEED:
        raise ValueError(
            f"allowed are one or more different whole numbers from {least} to {LARGEST_SEED}, joined by +, such as "
            f"{least}+{least + 1}"
        )
    return tuple(numbers)


def read_choices(value: str) -> tuple[str, ...]:
    """Read which ablations are wanted.

    Parameters
    ----------
    value : str
        ``all``, ``none``, or names joined by +.

    Returns
    -------
    tuple of str
        Some of `ABLATIONS`, in their order.

    Raises
    ------
    ValueError
        If one is unknown.
    """
    if value in ("all", "none"):
        return ABLATIONS if value == "all" else ()
    wanted = {part.strip() for part in value.split("+")}
    if wanted - set(ABLATIONS):
        raise ValueError(f"allowed are all, none, or some of {', '.join(ABLATIONS)}, joined by +")
    return tuple(name for name in ABLATIONS if name in wanted)


def check_study(study: StudyBlock, tasks: str) -> None:
    """Check that the study's cases can be made of the run's tasks.

    Parameters
    ----------
    study : StudyBlock
        The study.
    tasks : str
        The run's tasks.

    Raises
    ------
    ValueError
        Naming the dotted key.
    """
    for key, value in (("study.cases", study.cases), ("study.ablations.case", study.ablations.case)):
        if value is not None:
            try:
                parse_cases(value, tasks=tasks)
            except ArtistTransferError as error:
                raise ValueError(f"{key}={value}: {error}") from None


def _cases(value: str) -> tuple[object, ...]:
    try:
        return parse_cases(value, tasks=TASKS)
    except ArtistTransferError as error:
        raise ValueError(str(error)) from None
