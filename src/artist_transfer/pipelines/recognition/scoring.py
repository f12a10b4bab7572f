"""Node that scores every trial by every system."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from artist_transfer.artifacts import atomic_path, commit_folder, fingerprint, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_evaluation.targets import Target
from artist_transfer.pipelines.artist_learning.encoders import RELEASED, NamedNet, find_encoder
from artist_transfer.pipelines.artist_learning.params import EncodingBlock
from artist_transfer.pipelines.recognition import frame_scores, fusions
from artist_transfer.pipelines.recognition.backends import Learned, Scores, discriminated, vector_scores
from artist_transfer.pipelines.recognition.encoders import (
    IVECTOR,
    Encoding,
    SongEncoder,
    ivector_encoder,
    mfcc_encoder,
    net_encoder,
)
from artist_transfer.pipelines.recognition.params import FUSED, RecognitionBlock, read_families
from artist_transfer.pipelines.recognition.protocols import ROLES, protocols_of, targets_of
from artist_transfer.pipelines.recognition.unheard import heard_songs, unheard_note, unheard_songs, why_dead

if TYPE_CHECKING:
    from artist_transfer.evaluation.embeddings import Embeddings

log = logging.getLogger(__name__)

DISCRIMINANT = "+discriminant"
LIST = "scores.json"


@dataclass
class Board:
    """Scores of one fold and set of artists.

    Attributes
    ----------
    entries : list of (system, encoder, scoring, trial, Scores)
        In order.
    skipped : dict of system to reason
        What was not possible.
    unheard : dict of encoder to dict
        What `artist_transfer.pipelines.recognition.unheard.unheard_songs` found.
    """

    entries: list[tuple[str, str, str, int | None, Scores]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    unheard: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, encoder: str, scoring: str, trial: int | None, scores: Scores) -> None:
        """Keep a system's scores."""
        self.entries.append((f"{encoder}.{scoring}" if scoring else encoder, encoder, scoring, trial, scores))

    def skip(self, system: str, reason: str) -> None:
        """Keep why a system has no scores."""
        if system not in self.skipped:
            log.warning("%s is not scored: %s", system, reason)
        self.skipped[system] = reason

    def hear(
        self, encoder: str, trial: int | None, vectors: Mapping[str, Embeddings], learned: Learned
    ) -> dict[str, Embeddings] | None:
        """Leave out songs that an encoder hears nothing in, and keep which; None if it is dead."""
        heard = heard_songs(vectors)
        unheard = unheard_songs(heard, learned)
        dead = why_dead(unheard)
        if dead is not None:
            self.skip(encoder, dead)
            return None
        if unheard:
            name = encoder if trial is None else f"{encoder}, net {trial}"
            log.warning("%s", unheard_note(name, unheard))
            self.unheard[name] = unheard
        return heard


def score_trials(
    recognition_song_table: pd.DataFrame,
    artist_set_table: pd.DataFrame,
    artist_nets_manifest: dict[str, Any],
    frame_models_manifest: dict[str, Any],
    song_frames_manifest: dict[str, Any],
    usable_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    recognition: RecognitionBlock,
    encoding: EncodingBlock,
    released_weights: str | None,
    device: str,
    threads: int | None,
    cache_root: str,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score all trials of every fold and set by all systems; what is finished is taken from the cache.

    Parameters
    ----------
    recognition_song_table : pd.DataFrame
        Who is enrolled by what, and tested on what.
    artist_set_table : pd.DataFrame
        Songs that systems learn from.
    artist_nets_manifest, frame_models_manifest, song_frames_manifest : dict
        Nets, mixtures and total variabilities, frames.
    usable_table : pd.DataFrame
        Tracks of the run's own corpus.
    mel_manifest : dict
        Their spectrograms.
    recognition : RecognitionBlock
        Systems, and how they score.
    encoding : EncodingBlock
        Segments of a song.
    released_weights : str or None
        The authors' file.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    cache_root : str
        Where vectors and scores are kept.

    Returns
    -------
    recognition_scores_manifest : dict
        ``scores``: system, encoder, scoring, artists, fold, trial, target, role, and the file of each matrix (model,
        test song), in the order of the protocol.
    recognition_system_facts : dict
        ``systems``, ``skipped`` with the reason, and ``unheard``: by encoder and target the songs that it hears nothing
        in, and how many of their trials are scored 0.
    """
    from artist_transfer.training.devices import pin_threads, resolve_device

    pin_threads(threads)
    where = Encoding(encoding, resolve_device(device), cache_root, song_frames_manifest)
    targets = {target.name: target for target in targets_of(usable_table, None, mel_manifest, recognition, cache_root)}
    released = _released(recognition, cache_root, released_weights)
    rows: list[dict[str, Any]] = []
    skipped: dict[str, str] = {
        f"{net['system']} (fold {net['fold']}, seed {net['seed']})": f"the net failed: {net['reason']}"
        for net in artist_nets_manifest.get("failed", [])
    }
    unheard: dict[str, dict[str, Any]] = {}
    for (fold, size), songs in artist_set_table[artist_set_table["kind"] == "artist"].groupby(["fold", "set"]):
        learned = _learned(songs, recognition_song_table, targets, int(fold), song_frames_manifest)
        nets = [net for net in artist_nets_manifest["nets"] if (net["fold"], net["artists"]) == (int(fold), int(size))]
        frames = _frame_models(frame_models_manifest, int(fold), int(size))
        key = _key(learned, nets, frames, targets, recognition, encoding, released, where)
        folder = Path(cache_root) / "recognition" / key
        if open_folder(folder) is None:
            board = Board()
            encoders = list(_encoders(nets, frames, released, targets["self"], learned, recognition, where))
            _score(board, encoders, frames, learned, targets, recognition, where)
            _write(folder, board)
        told = read_json(folder / LIST)
        common = {"fold": int(fold), "artists": int(size)}
        rows += [common | row | {"file": (folder / row["file"]).as_posix()} for row in told["scores"]]
        skipped |= {f"{system} (fold {fold}, {size} artists)": why for system, why in told["skipped"].items()}
        unheard |= {f"{encoder} (fold {fold}, {size} artists)": what for encoder, what in told["unheard"].items()}
    rows = _complete(rows, skipped)
    if not rows:
        raise ArtistTransferError(
            "recognition: no system could be scored: "
            + ("; ".join(f"{system}: {why}" for system, why in skipped.items()) or "there is no set of artists")
        )
    systems = list(dict.fromkeys(row["system"] for row in rows))
    return {"scores": rows}, {"systems": systems, "skipped": skipped, "unheard": unheard}


def _score(
    board: Board,
    encoders: list[SongEncoder],
    frames: Mapping[str, Any],
    learned: Learned,
    targets: Mapping[str, Target],
    recognition: RecognitionBlock,
    where: Encoding,
) -> None:
    vectors: dict[tuple[str, int | None], dict[str, Embeddings]] = {}
    for encoder in encoders:
        given = {name: encoder.vectors(target) for name, target in targets.items()}
        own = board.hear(encoder.name, encoder.trial, given, learned)
        if own is None:
            continue
        vectors[encoder.name, encoder.trial] = own
        _score_vectors(board, encoder.name, encoder.trial, own, learned, recognition, where)
        if recognition.discriminant is not None:
            name = encoder.name + DISCRIMINANT
            try:
                projected = discriminated(own, learned, recognition.discriminant)
            except ArtistTransferError as error:
                board.skip(name, str(error))
            else:
                _score_vectors(board, name, encoder.trial, projected, learned, recognition, where)
    families = read_families(recognition.systems)
    if "gmm_ubm" in families:
        frame_scores.add_gmm_ubm(board, frames, learned, recognition, where)
    fused = _fused(encoders, recognition)
    for trial in [encoder.trial for encoder in encoders if encoder.name == fused]:
        missing = [part for part in ((fused, trial), (IVECTOR, None)) if part not in vectors]
        if missing:
            for family in [one for one in FUSED if one in families]:
                board.skip(family, f"there are no vectors by {' and '.join(name for name, _ in missing)}")
            continue
        if "early" in families:
            given = fusions.early(vectors[fused, trial], vectors[IVECTOR, None], learned)
            both = board.hear("early", trial, given, learned)
            if both is not None:
                _score_vectors(board, "early", trial, both, learned, recognition, where)
        if "late" in families:
            fusions.add_late(board, fused, trial, learned)


def _score_vectors(
    board: Board,
    name: str,
    trial: int | None,
    vectors: Mapping[str, Embeddings],
    learned: Learned,
    recognition: RecognitionBlock,
    where: Encoding,
) -> None:
    def skip(scoring: str, reason: str) -> None:
        board.skip(f"{name}.{scoring}", reason)

    found = vector_scores(vectors, learned, recognition, device=where.device, skip=skip)
    for scoring, scores in found.items():
        board.add(name, scoring, trial, scores)


def _encoders(
    nets: list[dict[str, Any]],
    frames: Mapping[str, Any],
    released: NamedNet | None,
    own: Target,
    learned: Learned,
    recognition: RecognitionBlock,
    where: Encoding,
) -> Iterator[SongEncoder]:
    from artist_transfer.models.files import load_artist_net

    families = read_families(recognition.systems)
    if "nets" in families:
        seeds = sorted({net["seed"] for net in nets})
        for net in nets:
            named = NamedNet.of(net["system"], load_artist_net(net["folder"]))
            yield net_encoder(net["kind"], named, seeds.index(net["seed"]), where)
    if released is not None:
        yield net_encoder(RELEASED, released, None, where)
    if "ivector" in families and frames.get("ivector"):
        yield ivector_encoder(frames, where)
    if "mfcc" in families:
        yield mfcc_encoder(learned.train_ids, own, where)


def _fused(encoders: list[SongEncoder], recognition: RecognitionBlock) -> str:
    kinds = [encoder.name for encoder in encoders if encoder.trial is not None]
    if recognition.fused is not None and kinds and recognition.fused not in kinds:
        raise ArtistTransferError(
            f"recognition.fused={recognition.fused}: no such net was trained; allowed: {', '.join(sorted(set(kinds)))}"
        )
    return recognition.fused or (kinds[0] if kinds else "")


def _learned(
    songs: pd.DataFrame,
    recognition_song_table: pd.DataFrame,
    targets: Mapping[str, Target],
    fold: int,
    frames: Mapping[str, Any],
) -> Learned:
    protocols = {}
    for target in targets.values():
        for role in ROLES if target.own else ROLES[1:]:
            drawn = protocols_of(recognition_song_table, target.name, role)
            protocols[target.name, role] = drawn[fold if target.own else 0]
    rows = songs[~songs["track_id"].isin(frames["self"]["left_out"])].sort_values("track_id")
    return Learned(tuple(rows["track_id"]), dict(zip(rows["track_id"], rows["artist_id"], strict=True)), protocols)


def _frame_models(manifest: Mapping[str, Any], fold: int, size: int) -> dict[str, Any]:
    return next((entry for entry in manifest["models"] if (entry["fold"], entry["set"]) == (fold, size)), {})


def _released(recognition: RecognitionBlock, cache_root: str, weights: str | None) -> NamedNet | None:
    return find_encoder(RELEASED, cache_root=cache_root, released_weights=weights) if recognition.released else None


def _key(
    learned: Learned,
    nets: list[dict[str, Any]],
    frames: Mapping[str, Any],
    targets: Mapping[str, Target],
    recognition: RecognitionBlock,
    encoding: EncodingBlock,
    released: NamedNet | None,
    where: Encoding,
) -> str:
    from artist_transfer.pipelines.feature_learning.learning import source_key

    chosen = recognition.model_dump(exclude={"protocol", "recogniser", "score_lists", "resamples", "level", "seed"})
    return fingerprint(
        "recognition scores",
        3,
        list(learned.train_ids),
        {f"{target} {role}": protocol.hash for (target, role), protocol in learned.protocols.items()},
        [(net["kind"], net["seed"], Path(net["folder"]).name) for net in nets],
        [Path(frames[name]).name if frames.get(name) else None for name in ("ubm", "ivector")],
        {name: Path(entry["folder"]).name for name, entry in where.frames.items()},
        {name: source_key(one.usable_table, one.mel_manifest["front_end"]) for name, one in targets.items()},
        chosen,
        encoding.model_dump(),
        None if released is None else released.key,
        where.device.type,
    )


def _complete(rows: list[dict[str, Any]], skipped: dict[str, str]) -> list[dict[str, Any]]:
    """Drop systems that some fold lacks: they could not be compared on the same trials."""
    folds: dict[int, set[int]] = {}
    have: dict[tuple[str, int], set[int]] = {}
    for row in rows:
        folds.setdefault(row["artists"], set()).add(row["fold"])
        have.setdefault((row["system"], row["artists"]), set()).add(row["fold"])
    for (system, size), there in have.items():
        if there < folds[size]:
            skipped[f"{system} ({size} artists)"] = "not possible in every fold, so it is compared in none"
    return [row for row in rows if have[row["system"], row["artists"]] == folds[row["artists"]]]


def _write(folder: Path, board: Board) -> None:
    rows, files = [], []
    for number, (system, encoder, scoring, trial, scores) in enumerate(board.entries):
        for (target, role), matrix in scores.items():
            file = f"{number:03d}_{target}_{role}.npy"
            with atomic_path(folder / file) as path, open(path, "wb") as stream:
                np.save(stream, matrix)
            files.append(file)
            row = {"system": system, "encoder": encoder, "scoring": scoring, "trial": trial}
            rows.append(row | {"target": target, "role": role, "file": file})
    write_json(folder / LIST, {"scores": rows, "skipped": board.skipped, "unheard": board.unheard})
    commit_folder(folder, files=[*files, LIST], details={"systems": len(board.entries)})
