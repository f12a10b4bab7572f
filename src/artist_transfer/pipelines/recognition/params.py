"""Parameters of artist recognition: protocol, systems, scores (DeepArtistID, section 3)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from artist_transfer.pipelines.artist_evaluation.params import read_targets
from artist_transfer.pipelines.artist_learning.params import KINDS
from artist_transfer.pipelines.typed import Block, Joined, Seed

FAMILIES = ("nets", "gmm_ubm", "ivector", "early", "late", "mfcc")
FUSED = ("early", "late")  # of a net and the i-vector
RECOGNISERS = tuple(f"{net}.{how}" for net in (*KINDS, "ismir2018_siamese") for how in ("cosine", "plda"))


class ProtocolBlock(Block):
    """Unseen artists, their songs, and the artists that scores are calibrated on."""

    artists: int | None = Field(None, ge=2, description="unseen artists; null: all that have enough songs")
    enrol: int = Field(15, ge=1, description="songs that an artist is enrolled with")
    test: int = Field(5, ge=1, description="songs that are tried against every enrolled artist")
    albums: Literal["any", "other"] = Field("any", description="other: test songs of other albums than the enrolled")
    validation_share: float = Field(0.2, gt=0, lt=1, description="of the training artists, for calibration only")
    validation_artists: int = Field(200, ge=2, description="at most: more make calibration no better")


class UbmBlock(Block):
    """Gaussian mixture of all frames."""

    coefficients: int = Field(20, ge=2, le=128)
    mixtures: int = Field(256, ge=1)
    iterations: int = Field(10, ge=1)
    max_frames: int | None = Field(None, ge=1, description="that it is fitted on, drawn; null: all")
    relevance: float = Field(10.0, gt=0, description="of the adaptation of the means")
    top: int | None = Field(None, ge=1, description="mixtures a frame that are scored; null: all")


class IVectorBlock(Block):
    """Total variability."""

    dimension: int = Field(400, ge=1, description="at most; fewer where the songs support fewer")
    iterations: int = Field(5, ge=1)
    minimum_divergence: bool = Field(True, description="after every iteration; false is the toolbox of the paper")
    update_sigma: bool = False


class PldaBlock(Block):
    """Probabilistic linear discriminant."""

    iterations: int = Field(20, ge=1)
    whiten: bool = True
    length_normalise: bool = True
    shrinkage: float | Literal["auto"] = "auto"
    rank: int | None = Field(None, ge=1, description="of the between-artist covariance; null: what the artists allow")
    enrolment: Literal["average", "by_the_book"] = "average"

    @field_validator("shrinkage")
    @classmethod
    def _share(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not 0 <= value <= 1:
            raise ValueError("allowed are auto and numbers from 0 to 1")
        return value


class RecognitionBlock(Block):
    """What is tried against what, and how it is scored."""

    protocol: ProtocolBlock = ProtocolBlock()
    systems: Joined = Field("all", description="all, or some of nets, gmm_ubm, ivector, early, late, mfcc joined by +")
    released: bool = Field(False, description="the authors' Siamese net as a further encoder")
    fused: str | None = Field(None, description="kind of net in the fusions; null: the first")
    ubm: UbmBlock = UbmBlock()
    ivector: IVectorBlock = IVectorBlock()
    plda: PldaBlock = PldaBlock()
    discriminant: int | None = Field(None, ge=1, description="dimensions of a linear discriminant; null: none")
    s_norm: bool = Field(False, description="every system also with symmetric score normalisation")
    cohort: int = Field(400, ge=2, description="songs of the training artists that s-norm compares with, at most")
    cohort_top: int | None = Field(None, ge=2, description="nearest of the cohort that s-norm uses; null: all")
    targets: Joined = Field("self", description="self, and names that --pipeline=embed has given, joined by +")
    score_lists: str | None = Field(None, description="folder with scores of other systems on the same trials")
    recogniser: str = Field("auto", description="system of --pipeline=recognise; auto: the best on validation trials")
    resamples: int = Field(2000, ge=100)
    level: float = Field(0.95, gt=0.5, lt=1)
    seed: Seed = 0

    @field_validator("systems")
    @classmethod
    def _known(cls, value: str) -> str:
        read_families(value)
        return value

    @field_validator("fused")
    @classmethod
    def _trained(cls, value: str | None) -> str | None:
        if value is not None and value not in KINDS:
            raise ValueError(f"allowed are {', '.join(KINDS)}, as far as they are trained, or null")
        return value

    @field_validator("recogniser")
    @classmethod
    def _usable(cls, value: str) -> str:
        if value not in ("auto", *RECOGNISERS):
            raise ValueError(f"allowed are auto and {', '.join(RECOGNISERS)}, as far as they are scored")
        return value

    @field_validator("targets")
    @classmethod
    def _named(cls, value: str) -> str:
        if "self" not in read_targets(value):
            raise ValueError("self must be one of them: scores are calibrated on the corpus that systems learned from")
        return value


def read_families(value: str) -> tuple[str, ...]:
    """Read which families of systems are wanted.

    Parameters
    ----------
    value : str
        ``all``, or some of `FAMILIES` joined by +.

    Returns
    -------
    tuple of str
        In their order.

    Raises
    ------
    ValueError
        If one is unknown, there is none, or a fusion lacks what it fuses.
    """
    if value.strip() == "all":
        return FAMILIES
    wanted = {part.strip() for part in value.split("+")}
    if wanted - set(FAMILIES) or not wanted:
        raise ValueError(f"allowed are all, or some of {', '.join(FAMILIES)}, joined by +")
    if wanted & set(FUSED) and not {"nets", "ivector"} <= wanted:
        raise ValueError("early and late fuse a net with the i-vector: nets and ivector must be among the systems")
    return tuple(family for family in FAMILIES if family in wanted)
