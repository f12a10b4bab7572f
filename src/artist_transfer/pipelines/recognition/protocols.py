"""Nodes that say who is tried against what: usable songs, artists for validation, trials."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.artifacts import atomic_path
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_evaluation.params import read_targets
from artist_transfer.pipelines.artist_evaluation.targets import Target, open_targets
from artist_transfer.pipelines.recognition.params import RecognitionBlock

if TYPE_CHECKING:
    from artist_transfer.evaluation.recognition import RecognitionProtocol

log = logging.getLogger(__name__)

SONG_COLUMNS = ["target", "fold", "role", "artist_id", "track_id", "part"]
ROLES = ("validation", "test")


def cache_frames(
    usable_table: pd.DataFrame, mel_manifest: dict[str, Any], recognition: RecognitionBlock, cache_root: str
) -> dict[str, Any]:
    """Write the MFCC frames of every track, and find those that no system can use.

    Parameters
    ----------
    usable_table : pd.DataFrame
        Tracks of the run's own corpus.
    mel_manifest : dict
        Their spectrograms of the ismir front end.
    recognition : RecognitionBlock
        Targets and coefficients.
    cache_root : str
        Where frames are kept.

    Returns
    -------
    dict
        By target: ``folder``, and ``left_out`` (track to reason).
    """
    from artist_transfer.artifacts import fingerprint
    from artist_transfer.audio.mel import FrontEnd
    from artist_transfer.audio.store import MelStore
    from artist_transfer.models.artist_net import CROP
    from artist_transfer.pipelines.feature_learning.learning import source_key
    from artist_transfer.recognition.frames_file import write_song_frames

    found: dict[str, Any] = {}
    for target in targets_of(usable_table, None, mel_manifest, recognition, cache_root):
        tracks = target.usable_table.sort_values("track_id", ignore_index=True)
        short = tracks.loc[tracks["n_frames"] < CROP, "track_id"]
        tracks = tracks[tracks["n_frames"] >= CROP]
        coefficients = recognition.ubm.coefficients
        key = fingerprint("song frames", 1, coefficients, source_key(tracks, target.mel_manifest["front_end"]))
        folder = Path(cache_root) / "song_frames" / key
        frames = write_song_frames(
            MelStore(target.mel_manifest, tracks),
            tracks["track_id"].tolist(),
            folder,
            coefficients=coefficients,
            front_end=FrontEnd(**target.mel_manifest["front_end"]),
            key=key,
        )
        reasons = {str(track): f"shorter than {CROP} frames (3 s)" for track in short} | dict(frames.left_out)
        for track, reason in reasons.items():
            log.warning("Target %s: %s is in no trial: %s", target.name, track, reason)
        found[target.name] = {"folder": folder.as_posix(), "left_out": reasons}
    return found


def hold_out_artists(
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    song_frames_manifest: dict[str, Any],
    recognition: RecognitionBlock,
    seed: int,
) -> pd.DataFrame:
    """Take artists from training that scores are calibrated on; no system learns from them.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    song_frames_manifest : dict
        Tracks that cannot be used.
    recognition : RecognitionBlock
        Songs an artist, share of artists.
    seed : int
        Of the draw.

    Returns
    -------
    recognition_split_table : pd.DataFrame
        As `split_table`, where all training tracks of these artists have the side validation.

    Raises
    ------
    ArtistTransferError
        If there are too few artists with enough songs.
    """
    from artist_transfer.evaluation.recognition import draw_protocol, hold_out

    block = recognition.protocol
    songs = block.model_dump(include={"enrol", "test", "albums"})
    usable = _usable(usable_table, song_frames_manifest["self"])
    artist_of = usable_table.set_index("track_id")["artist_id"]
    parts = []
    for fold, rows in split_table.groupby("fold", sort=True):
        here = rows.assign(artist_id=rows["track_id"].map(artist_of))
        train = here.loc[here["side"] == "train", "track_id"]
        artists = here.loc[here["track_id"].isin(train), "artist_id"].dropna().unique()
        try:
            able = draw_protocol(usable[usable["track_id"].isin(train)], artists, seed=seed, **songs).artists
            _check_some_are_left(len(able), block.enrol, block.test)
            count = min(max(2, round(block.validation_share * len(able))), block.validation_artists)
            chosen = hold_out(able, count=count, seed=seed)
        except ArtistTransferError as error:
            raise ArtistTransferError(f"fold {fold}, artists for validation: {error}") from error
        held = here["artist_id"].isin(chosen) & (here["side"] == "train")
        parts.append(rows.assign(side=rows["side"].where(~held, "validation")))
        log.info("Fold %s: %d of %d artists are held out for validation", fold, len(chosen), len(able))
    return pd.concat(parts, ignore_index=True)


def _check_some_are_left(able: int, enrol: int, test: int) -> None:
    if able < 3:
        raise ArtistTransferError(
            f"{able} artists of the training side have the songs of recognition.protocol.enrol={enrol} and "
            f"recognition.protocol.test={test}; 3 or more are needed, 2 to hold out and the others to learn from; "
            "allowed: fewer songs"
        )


def draw_trials(
    usable_table: pd.DataFrame,
    recognition_split_table: pd.DataFrame,
    artist_set_table: pd.DataFrame,
    song_frames_manifest: dict[str, Any],
    recognition: RecognitionBlock,
    seed: int,
    cache_root: str,
) -> tuple[pd.DataFrame, dict[str, Any], dict[str, Any]]:
    """Draw unseen artists, their songs to enrol and to test, and list all trials.

    Parameters
    ----------
    usable_table, recognition_split_table : pd.DataFrame
        Tracks and sides of the run's own corpus.
    artist_set_table : pd.DataFrame
        Artists that systems learn from.
    song_frames_manifest : dict
        Tracks that cannot be used.
    recognition : RecognitionBlock
        Artists and songs.
    seed : int
        Of the draw.
    cache_root : str
        Where targets are.

    Returns
    -------
    recognition_song_table : pd.DataFrame
        target, fold, role (validation, test), artist_id, track_id, part (enrol, test).
    recognition_trials_manifest : dict
        Of each target, fold and role the folder with ``enrolments.csv`` and ``trials.csv``, which everybody can score,
        and their hash; ``songs.csv`` says where the tracks are.
    recognition_protocol_facts : dict
        By target, fold and role: numbers, hash of the trials, what was left out; artists of another corpus that the
        run's own has, too.

    Raises
    ------
    ArtistTransferError
        If there are too few artists or songs, or an unseen artist is one that a system learned from.
    """
    from artist_transfer.evaluation.recognition import draw_protocol
    from artist_transfer.evaluation.trial_lists import write_trials

    own = (usable_table, recognition_split_table)
    songs, lists, facts = [], {}, []
    known: dict[str, list[str]] = {}
    for target in targets_of(*own, None, recognition, cache_root):
        usable = _usable(target.usable_table, song_frames_manifest[target.name])
        known[target.name] = [] if target.own else known_artists(target.usable_table, usable_table)
        for name in known[target.name]:
            log.warning("Target %s: artist %s is in the run's own corpus, too, and takes no part", target.name, name)
        for fold, role, candidates, training in _candidates(target, artist_set_table, known[target.name]):
            settings = recognition.protocol.model_dump(exclude={"validation_share", "validation_artists"})
            if role == "validation":
                settings["artists"] = None
            try:
                drawn = draw_protocol(usable, candidates, training_artists=training, seed=seed, **settings)
            except ArtistTransferError as error:
                raise ArtistTransferError(f"target {target.name}, fold {fold}, {role} artists: {error}") from error
            songs.append(_song_rows(drawn, target.name, fold, role))
            folder = Path(cache_root) / "trials" / drawn.hash
            write_trials(folder, drawn)
            _write_songs(folder, drawn, target)
            name = f"{target.name}, fold {fold}, {role}"
            lists[name] = {"folder": folder.as_posix(), "sha256": drawn.hash}
            facts.append(
                {"target": target.name, "fold": fold, "role": role, "artists": len(drawn.artists)}
                | {"tests": len(drawn.test_ids), "trials": len(drawn.test_ids) * len(drawn.artists), "hash": drawn.hash}
                | {"enrol": recognition.protocol.enrol, "test": recognition.protocol.test}
                | {"left_out": drawn.left_out, "counts": drawn.counts}
            )
    unusable = {name: entry["left_out"] for name, entry in song_frames_manifest.items()}
    told = {
        "protocols": facts,
        "unusable": unusable,
        "known artists": known,
        "albums": recognition.protocol.albums,
        "seed": seed,
    }
    return pd.concat(songs, ignore_index=True)[SONG_COLUMNS], lists, told


def protocols_of(recognition_song_table: pd.DataFrame, target: str, role: str) -> dict[int, RecognitionProtocol]:
    """Read the protocols of a target.

    Parameters
    ----------
    recognition_song_table : pd.DataFrame
        As `draw_trials` gives it.
    target : str
        Its name.
    role : {"validation", "test"}
        Whose.

    Returns
    -------
    dict of fold to RecognitionProtocol
        A corpus of its own has fold 0 only.
    """
    from artist_transfer.evaluation.recognition import RecognitionProtocol

    rows = recognition_song_table
    rows = rows[(rows["target"] == target) & (rows["role"] == role)]
    found = {}
    for fold, songs in rows.groupby("fold", sort=True):
        parts = {
            part: songs.loc[songs["part"] == part, ["artist_id", "track_id"]].reset_index(drop=True)
            for part in ("enrol", "test")
        }
        found[int(fold)] = RecognitionProtocol(parts["enrol"], parts["test"])
    return found


def targets_of(
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame | None,
    mel_manifest: dict[str, Any] | None,
    recognition: RecognitionBlock,
    cache_root: str,
) -> Iterator[Target]:
    """Open the corpora that trials are drawn from.

    Parameters
    ----------
    usable_table : pd.DataFrame
        Tracks of the run's own.
    split_table, mel_manifest : pd.DataFrame and dict, or None
        Of the run's own; None where the caller needs none.
    recognition : RecognitionBlock
        Their names.
    cache_root : str
        Where the others are.

    Yields
    ------
    Target
        The run's own corpus first.
    """
    split = pd.DataFrame({"track_id": [], "fold": [], "side": []}) if split_table is None else split_table
    names = sorted(read_targets(recognition.targets), key=lambda name: name != "self")
    yield from open_targets(
        tuple(names),
        cache_root=cache_root,
        own=(usable_table, split, mel_manifest or {}),
        folds=2,
        seed=recognition.seed,
        key="recognition.targets",
    )


def known_artists(usable_table: pd.DataFrame, own_table: pd.DataFrame) -> list[str]:
    """Find artists of another corpus that the run's own has, too, so that systems may have learned from them.

    Ids of two corpora say nothing of each other: an artist is known by its name, or by a song with the very same audio.

    Parameters
    ----------
    usable_table, own_table : pd.DataFrame
        Tracks of the other corpus, and of the run's own.

    Returns
    -------
    list of str
        Ids in the other corpus, sorted.
    """
    from artist_transfer.corpora.names import folded_name

    def names(table: pd.DataFrame) -> pd.Series:
        return table["artist"].fillna(table["artist_id"]).map(folded_name, na_action="ignore")

    same_name = names(usable_table).isin(set(names(own_table[own_table["artist_id"].notna()])))
    same_song = usable_table["audio_hash"].isin(set(own_table["audio_hash"].dropna()))
    return sorted(set(usable_table.loc[same_name | same_song, "artist_id"].dropna().astype("str")))


def _candidates(
    target: Target, artist_set_table: pd.DataFrame, known: Collection[str]
) -> Iterator[tuple[int, str, list[str], list[str]]]:
    """Give fold, role, artists and the artists that systems of the fold learned from."""
    artist_of = target.labels("artist_id")
    if not target.own:
        others = {artist for artist in artist_of.values() if artist is not None}
        yield 0, "test", sorted(others.difference(known)), []
        return
    for fold in target.folds:
        sides = target.sides(fold)
        learned = artist_set_table.loc[artist_set_table["fold"] == fold, "artist_id"].dropna()
        for role in ROLES:
            artists = {artist_of[track] for track in sides[role] + (sides["unseen"] if role == "test" else [])}
            yield fold, role, sorted(artist for artist in artists if artist is not None), sorted(set(learned))


def _usable(table: pd.DataFrame, entry: Mapping[str, Any]) -> pd.DataFrame:
    return table[~table["track_id"].isin(entry["left_out"])].reset_index(drop=True)


def _write_songs(folder: Path, drawn: RecognitionProtocol, target: Target) -> None:
    """Write where the tracks of the trials are, below the corpus's folder."""
    tracks = set(drawn.enrolments["track_id"]) | set(drawn.test_ids)
    rows = target.usable_table[target.usable_table["track_id"].isin(tracks)].sort_values("track_id")
    with atomic_path(folder / "songs.csv") as path:
        rows[["track_id", "path"]].to_csv(path, index=False, lineterminator="\n")


def _song_rows(drawn: RecognitionProtocol, target: str, fold: int, role: str) -> pd.DataFrame:
    parts = [drawn.enrolments.assign(part="enrol"), drawn.tests.assign(part="test")]
    return pd.concat(parts, ignore_index=True).assign(target=target, fold=fold, role=role)[SONG_COLUMNS]
