"""All parameters of a run as one typed model, and the check of it before any work.

Kedro accepts any key of ``--params`` and passes on any value. Here an unknown or impossible one is an error that
names its dotted key, what was found and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from artist_transfer.configuration import suggestion
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.agf_study.params import StudyBlock, check_study
from artist_transfer.pipelines.artist_evaluation.params import ArtistEvaluationBlock
from artist_transfer.pipelines.artist_learning.params import (
    ArtistStudyBlock,
    ArtistTrainingBlock,
    EncodingBlock,
    SetsBlock,
)
from artist_transfer.pipelines.cluster import ClusterBlock
from artist_transfer.pipelines.download.params import DownloadBlock
from artist_transfer.pipelines.feature_learning.params import (
    Architecture,
    Device,
    TrainingBlock,
    normalised_tasks,
)
from artist_transfer.pipelines.group_factors.params import FactorsBlock, FitOn
from artist_transfer.pipelines.ingestion.params import CorpusKind, IngestionBlock
from artist_transfer.pipelines.mel_cache.params import MelBlock
from artist_transfer.pipelines.recognise.params import RecogniseBlock
from artist_transfer.pipelines.recognition.params import RecognitionBlock
from artist_transfer.pipelines.retrieve.params import SearchBlock
from artist_transfer.pipelines.splitting.params import SplitKind, SplittingBlock
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock
from artist_transfer.pipelines.typed import Block, Seed, members
from artist_transfer.tasks import TASKS

PATHS = ("audio", "cache_root", "corpus_root", "embeddings", "encoder", "query", "released_weights")
MOST_CORES = 4096  # as many processes or threads could be started at once


class RunParameters(Block):
    """Everything that ``--params`` and ``conf/*/parameters.yml`` may say."""

    corpus: CorpusKind
    corpus_root: str | None = None
    tasks: str = TASKS
    architecture: Architecture = "mtn"
    split: SplitKind = "artist_disjoint"
    folds: int = Field(1, ge=1, le=100)
    fit_on: FitOn = "train"
    embeddings: str | None = None
    audio: str | None = None
    device: Device = "auto"
    workers: int | None = Field(None, ge=1, le=MOST_CORES, description="processes that decode; null: all cores")
    threads: int | None = Field(None, ge=1, le=MOST_CORES, description="threads of torch on a CPU; null: all cores")
    seed: Seed = 0
    tracking: bool = True
    mlflow_run_id: str | None = None
    cache_root: str = "data/cache"
    cluster: ClusterBlock = ClusterBlock()
    ingestion: IngestionBlock = IngestionBlock()
    download: DownloadBlock = DownloadBlock()
    splitting: SplittingBlock = SplittingBlock()
    mel: MelBlock = MelBlock()
    factors: FactorsBlock = FactorsBlock()
    training: TrainingBlock = TrainingBlock()
    transfer: TransferBlock = TransferBlock()
    study: StudyBlock = StudyBlock()
    sets: SetsBlock = SetsBlock()
    artist_training: ArtistTrainingBlock = ArtistTrainingBlock()
    artist_study: ArtistStudyBlock = ArtistStudyBlock()
    encoding: EncodingBlock = EncodingBlock()
    artist_evaluation: ArtistEvaluationBlock = ArtistEvaluationBlock()
    encoder: str = "siamese"
    released_weights: str | None = None
    target: str | None = None
    query: str | None = None
    search: SearchBlock = SearchBlock()
    recognition: RecognitionBlock = RecognitionBlock()
    recognise: RecogniseBlock = RecogniseBlock()

    @field_validator("tasks")
    @classmethod
    def _known_letters(cls, tasks: str) -> str:
        return normalised_tasks(tasks)

    @field_validator("target")
    @classmethod
    def _can_be_kept(cls, target: str | None) -> str | None:
        if target is not None and (not re.fullmatch(r"[\w-]+", target) or target == "self"):
            raise ValueError("allowed are letters, digits, _ and -, and not self, or null")
        return target

    @model_validator(mode="after")
    def _possible_together(self) -> RunParameters:
        if self.folds > 1 and self.split != "artist_disjoint":
            raise ValueError(
                f"folds={self.folds} needs split=artist_disjoint (every artist is tested once), not split={self.split}"
            )
        check_study(self.study, self.tasks)
        return self


def check_parameters(parameters: Mapping[str, Any]) -> RunParameters:
    """Check all parameters at once.

    Parameters
    ----------
    parameters : mapping
        The parameters as Kedro merged them from the files and ``--params``.

    Returns
    -------
    RunParameters
        The typed parameters.

    Raises
    ------
    ArtistTransferError
        Naming every wrong dotted key, what was found there and what is allowed.
    """
    try:
        return RunParameters.model_validate(dict(parameters))
    except ValidationError as error:
        raise ArtistTransferError("; ".join(_explain(error.errors()))) from None


def _explain(errors: Sequence[Any]) -> list[str]:
    """Give a line for each wrong key; what each kind of a union of kinds says of a value stands in one."""
    lines, wrong = [], dict[str, list[Any]]()
    for details in errors:
        location = [str(part) for part in details["loc"]]
        if details["type"] == "extra_forbidden":
            known = _keys_at(location[:-1])
            place = f"below {'.'.join(location[:-1])}" if location[:-1] else "at the top level"
            what = f"{'.'.join(location)} is not a parameter{suggestion(location[-1], known)}"
            lines.append(f"{what} Allowed {place}: {', '.join(known)}")
        else:
            wrong.setdefault(_key(details), []).append(details)
    return lines + [_impossible(key, found) for key, found in wrong.items()]


def _impossible(key: str, errors: Sequence[Any]) -> str:
    said = [_said(details) for details in errors]
    if not key:
        return "; ".join(said)
    message = ", or ".join([said[0], *(each.removeprefix("Input should be ") for each in said[1:])])
    message = message[0].lower() + message[1:]
    if errors[0]["type"] == "value_error" and isinstance(errors[0]["input"], Mapping):
        # of several values together, the first of which mostly begins the message
        return f"{key}{'.' if re.split('[= ]', message)[0] in _keys_at(key.split('.')) else ': '}{message}"
    field, rest = _field(key.split("."))
    hint = _number_hint(key, errors[0])
    if not hint and not rest and field and NoneType in members(field.annotation) and "null" not in message:
        hint = " (or null)"
    return f"{key}={errors[0]['input']!r}: {message}{hint}"


def _said(details: Any) -> str:
    if _too_short(details):
        return "Input should have more parts"
    if details["type"] in ("bool_type", "bool_parsing"):
        return "Input should be true or false"
    return str(details["msg"]).removeprefix("Value error, ").replace("a valid tuple", "a list, its parts joined by +")


def _key(details: Any) -> str:
    """Return the dotted key, without the kinds of a union that pydantic adds to it, and without parts that are not."""
    location = list(details["loc"])
    field, rest = _field(location)
    if rest and field is not None and len(set(members(field.annotation)) - {NoneType}) > 1:
        del location[-len(rest)]
    if _too_short(details):
        location.pop()
    return ".".join(map(str, location))


def _too_short(details: Any) -> bool:
    """Tell whether a list has too few parts, which pydantic says of the first that is missing."""
    return details["type"] == "missing" and isinstance(details["loc"][-1], int)


def _number_hint(key: str, details: Any) -> str:
    found = details["input"]
    if details["type"] != "string_type" or isinstance(found, bool) or not isinstance(found, (int, float)):
        return ""
    way = "write it as ./000002, say" if key in PATHS else f"in quotes it is text, --params \"{key}='{found}'\""
    return f" (Kedro reads bare numbers as numbers: {way})"


def _keys_at(location: list[str]) -> list[str]:
    field, rest = _field(location)
    model = field.annotation if field and not rest else RunParameters
    return [] if rest else sorted(getattr(model, "model_fields", {}))


def _field(location: Sequence[Any]) -> tuple[FieldInfo | None, list[Any]]:
    """Return the innermost parameter of a place, and what of the place lies within its value."""
    model: Any = RunParameters
    found = None
    for depth, part in enumerate(location):
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return found, list(location[depth:])
        found, model = field, field.annotation
    return found, []
