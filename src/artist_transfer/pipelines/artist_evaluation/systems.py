"""The systems that are evaluated: nets, the same with a linear discriminant of artists, and baselines.

The discriminant is fitted on the songs that a net was trained on, as DeepArtistID has it (section 4.1: "with the data
used to train DCNN"), never on a target; that of the authors' net, whose songs are not at hand, on the training tracks
of each fold of the run's own corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_evaluation.items import CHANCE, PRIOR, PROJECTED, Heard
from artist_transfer.pipelines.artist_evaluation.params import ArtistEvaluationBlock
from artist_transfer.pipelines.artist_evaluation.targets import Target
from artist_transfer.pipelines.artist_learning.encoders import RELEASED, NamedNet, embed, find_encoder
from artist_transfer.pipelines.artist_learning.params import EncodingBlock

if TYPE_CHECKING:
    import torch

    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.evaluation.linear_discriminant import LinearDiscriminant

MFCC = "mfcc"


@dataclass(frozen=True)
class Setting:
    """How songs become vectors.

    Attributes
    ----------
    encoding : EncodingBlock
        Segments of a song.
    device : torch.device
        Where nets work.
    cache_root : str
        Where vectors are kept.
    """

    encoding: EncodingBlock
    device: torch.device
    cache_root: str

    def vectors(self, named: NamedNet, target: Target) -> Embeddings:
        """Encode a corpus, or take its vectors from the cache."""
        manifest = target.mel_manifest
        found, _ = embed(
            named, target.usable_table, manifest, self.encoding, device=self.device, cache_root=self.cache_root
        )
        return found


@dataclass(frozen=True)
class System:
    """A net, with or without a discriminant.

    Attributes
    ----------
    name : str
        Of the system; several nets may be one, of different folds and seeds.
    named : NamedNet
        The net.
    kind : str
        basic, siamese, tag, released; with `PROJECTED` behind it if there is a discriminant.
    artists : int or None
        That it was trained on.
    fold : int or None
        Of the run's own corpus; None if it is the same for all.
    trial : int
        Number among the seeds.
    discriminant : LinearDiscriminant, optional
        Applied to the vectors.
    """

    name: str
    named: NamedNet
    kind: str
    artists: int | None
    fold: int | None
    trial: int
    discriminant: LinearDiscriminant | None = None

    def heard(self, target: Target, setting: Setting) -> Heard:
        """Say how the system hears a target; elsewhere than at home a net of each fold is a trial."""
        number = self.trial if target.own or self.fold is None else self.trial * 100 + self.fold
        return Heard(self.name, self.fold, number, partial(self._vectors, target, setting))

    def _vectors(self, target: Target, setting: Setting, _: Sequence[str]) -> Embeddings:
        found = setting.vectors(self.named, target)
        return found if self.discriminant is None else self.discriminant.transform(found)


def plain_systems(
    nets: Sequence[Mapping[str, Any]],
    evaluation: ArtistEvaluationBlock,
    *,
    cache_root: str,
    released_weights: str | None,
) -> Iterator[System]:
    """Load the nets of a run, and the authors' if it is wanted.

    Parameters
    ----------
    nets : sequence of mapping
        Of the manifest.
    evaluation : ArtistEvaluationBlock
        Whether the authors' net stands beside them.
    cache_root : str
        Where the authors' file goes.
    released_weights : str or None
        The authors' file.

    Yields
    ------
    System
        Without a discriminant.
    """
    from artist_transfer.models.files import load_artist_net

    seeds = sorted({net["seed"] for net in nets})
    for net in nets:
        named = NamedNet.of(net["system"], load_artist_net(net["folder"]))
        trial = seeds.index(net["seed"])
        yield System(named.name, named, net["kind"], net["artists"], net["fold"], trial)
    if evaluation.released:
        named = find_encoder(RELEASED, cache_root=cache_root, released_weights=released_weights)
        yield System(named.name, named, "released", 10_000, None, 0)


def projected_systems(
    systems: Sequence[System],
    own: Target,
    artist_set_table: pd.DataFrame,
    evaluation: ArtistEvaluationBlock,
    setting: Setting,
) -> tuple[list[System], dict[str, str]]:
    """Fit a discriminant of artists for every net, on the songs it was trained on.

    Parameters
    ----------
    systems : sequence of System
        The nets.
    own : Target
        The run's own corpus.
    artist_set_table : pd.DataFrame
        Which songs the nets learned.
    evaluation : ArtistEvaluationBlock
        Dimensions, solver and shrinkage.
    setting : Setting
        How songs become vectors.

    Returns
    -------
    projected : list of System
        Those whose discriminants could be fitted for all of their nets.
    skipped : dict of str to str
        The others, with the reason.
    """
    found: dict[str, list[System]] = {}
    skipped: dict[str, str] = {}
    for system in systems:
        name = f"{system.name}{PROJECTED}"
        vectors, artists = setting.vectors(system.named, own), own.labels("artist_id")
        for fold in own.folds if system.fold is None else [system.fold]:
            there = set(vectors.track_ids)
            ids = [track for track in _learned(system, fold, own, artist_set_table) if track in there]
            try:
                fitted = _fit(vectors, artists, ids, evaluation)
            except ArtistTransferError as error:
                skipped[name] = str(error)
                continue
            kind = f"{system.kind}{PROJECTED}"
            found.setdefault(name, []).append(
                System(name, system.named, kind, system.artists, fold, system.trial, fitted)
            )
    return [one for name, several in found.items() if name not in skipped for one in several], skipped


def _learned(system: System, fold: int, own: Target, artist_set_table: pd.DataFrame) -> list[str]:
    """List the songs that a net was trained on; of the authors' net the training tracks of the fold."""
    if system.fold is None:
        return own.sides(fold)["train"]
    table = artist_set_table
    rows = table[(table["fold"] == fold) & (table["set"] == system.artists) & (table["side"] == "train")]
    return rows.loc[rows["kind"] == ("tag" if system.kind == "tag" else "artist"), "track_id"].tolist()


def _fit(
    vectors: Embeddings, artists: Mapping[str, str | None], ids: Sequence[str], evaluation: ArtistEvaluationBlock
) -> LinearDiscriminant:
    from artist_transfer.evaluation.linear_discriminant import fit_linear_discriminant

    assert evaluation.discriminant is not None
    return fit_linear_discriminant(
        vectors,
        artists,
        ids,
        n_components=evaluation.discriminant,
        solver=evaluation.discriminant_solver,
        shrinkage=evaluation.discriminant_shrinkage,
    )


def heard_of(
    target: Target, systems: Sequence[System], evaluation: ArtistEvaluationBlock, setting: Setting
) -> list[Heard]:
    """List all that is scored on a target.

    Parameters
    ----------
    target : Target
        The corpus.
    systems : sequence of System
        Nets, with and without a discriminant.
    evaluation : ArtistEvaluationBlock
        Whether MFCC statistics stand beside them.
    setting : Setting
        How songs become vectors.

    Returns
    -------
    list of Heard
        In this order.
    """
    found = [system.heard(target, setting) for system in systems]
    return [*found, Heard(MFCC, None, 0, partial(_mfcc, target))] if evaluation.mfcc else found


def facts_of(systems: Sequence[System]) -> dict[str, dict[str, Any]]:
    """Say of each system what it is.

    Parameters
    ----------
    systems : sequence of System
        The nets.

    Returns
    -------
    dict of name to dict
        ``net`` and, of nets, ``n_artists_trained``; the baselines too.
    """
    nets: dict[str, dict[str, Any]] = {one.name: {"net": one.kind, "n_artists_trained": one.artists} for one in systems}
    return nets | {name: {"net": name} for name in (MFCC, CHANCE, PRIOR)}


def _mfcc(target: Target, train_ids: Sequence[str]) -> Embeddings:
    from artist_transfer.audio.store import MelStore
    from artist_transfer.evaluation.embedding_baselines import mfcc_embeddings
    from artist_transfer.models.artist_net import CROP

    tracks = target.usable_table[target.usable_table["n_frames"] >= CROP]  # as many as the nets can encode
    store = MelStore(target.mel_manifest, tracks)
    known = set(tracks["track_id"])
    fit = [track for track in train_ids if track in known]
    return mfcc_embeddings(store, sorted(known), fit_ids=fit)
