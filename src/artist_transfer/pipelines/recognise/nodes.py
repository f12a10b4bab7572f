"""Nodes that enrol artists, and name the artists of new audio."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.artifacts import fingerprint, open_folder
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_learning.encoders import RELEASED, NamedNet, embed, find_encoder
from artist_transfer.pipelines.artist_learning.params import EncodingBlock
from artist_transfer.pipelines.mel_cache.params import MelBlock
from artist_transfer.pipelines.new_audio import hear_audio
from artist_transfer.pipelines.recognise.answers import answer_table, with_reasons
from artist_transfer.pipelines.recognise.choosing import PLDA, choose, source_of, training_artists
from artist_transfer.pipelines.recognise.params import RecogniseBlock
from artist_transfer.pipelines.recognise.recogniser import Recogniser, enrol, names_by_artist, songs_by_artist
from artist_transfer.pipelines.recognition.params import RecognitionBlock
from artist_transfer.pipelines.recognition.protocols import protocols_of
from artist_transfer.pipelines.recognition.unheard import heard_songs

if TYPE_CHECKING:
    import torch

    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.recognition.plda import Plda

log = logging.getLogger(__name__)


def enrol_artists(
    recognition_scores_manifest: dict[str, Any],
    recognition_song_table: pd.DataFrame,
    artist_set_table: pd.DataFrame,
    artist_nets_manifest: dict[str, Any],
    song_frames_manifest: dict[str, Any],
    usable_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    recognition: RecognitionBlock,
    encoding: EncodingBlock,
    released_weights: str | None,
    device: str,
    threads: int | None,
    cache_root: str,
) -> dict[str, Any]:
    """Enrol every artist of the corpus by all of its songs, for new audio to be compared with.

    The system is the best on the validation trials of the first fold, or the one that is asked for. Songs of the
    validation artists, which no system learned from, say when a new song is nobody's. Where no system can recognise new
    audio, the run goes on to its report, and `recognise_audio` says why.

    Parameters
    ----------
    recognition_scores_manifest : dict
        Scores of the validation trials.
    recognition_song_table : pd.DataFrame
        Songs of the validation artists.
    artist_set_table : pd.DataFrame
        Songs that PLDA is fitted on.
    artist_nets_manifest : dict
        Nets.
    song_frames_manifest : dict
        Songs that cannot be used.
    usable_table : pd.DataFrame
        Tracks.
    mel_manifest : dict
        Their spectrograms.
    recognition : RecognitionBlock
        Which system, and its PLDA.
    encoding : EncodingBlock
        Segments of a song.
    released_weights : str or None
        The authors' file.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    cache_root : str
        Where the recogniser is kept.

    Returns
    -------
    recogniser_manifest : dict
        Its folder, system, encoder and how it encodes; how many songs and artists are enrolled, and how many the
        threshold is chosen on. Or ``system`` None, and the ``reason``.
    """
    from artist_transfer.training.devices import pin_threads, resolve_device

    pin_threads(threads)
    where = resolve_device(device)
    fold = int(artist_set_table["fold"].min())
    protocol = protocols_of(recognition_song_table, "self", "validation")[fold]
    try:
        chosen, line = choose(recognition_scores_manifest["scores"], recognition.recogniser, fold, protocol)
    except ArtistTransferError as error:
        log.warning("No artist is enrolled for --pipeline=recognise: %s", error)
        return {"system": None, "reason": str(error)}
    source = source_of(chosen, artist_nets_manifest["nets"])
    named = _load(source, chosen["encoder"], cache_root, released_weights)
    embeddings, _ = embed(named, usable_table, mel_manifest, encoding, device=where, cache_root=cache_root)
    embeddings = _audible(embeddings)
    unusable = set(song_frames_manifest["self"]["left_out"]) | (
        set(usable_table["track_id"]) - set(embeddings.track_ids)
    )
    plda = None
    if chosen["scoring"] == PLDA:
        plda = _plda(embeddings, training_artists(artist_set_table, chosen, unusable), recognition, where)
    songs = songs_by_artist(usable_table, set(embeddings.track_ids) - unusable)
    names, by = names_by_artist(usable_table), recognition.plda.enrolment
    recogniser = enrol(embeddings, songs, names, protocol, calibration=line, plda=plda, enrolment=by)
    made_of = [named.key, chosen["file"], protocol.hash, line.to_dict()], [songs, names], encoding.model_dump(), by
    folder = Path(cache_root) / "recognisers" / fingerprint("recogniser", 3, *made_of)
    if open_folder(folder) is None:
        recogniser.save(folder)
    enrolled = len(recogniser.songs.track_ids)
    log.info("%d artists are enrolled by %d songs; %s recognises them", len(songs), enrolled, chosen["system"])
    return {
        "folder": folder.as_posix(),
        "system": chosen["system"],
        "encoder": chosen["encoder"],
        "source": source,
        "encoding": encoding.model_dump(),
        "front_end": mel_manifest["front_end"],
        "artists": len(songs),
        "songs": enrolled,
        "validation": {"artists": len(protocol.artists), "songs": len(recogniser.known)},
    }


def recognise_audio(
    audio_track_table: pd.DataFrame,
    audio_facts: dict[str, Any],
    recogniser_manifest: dict[str, Any],
    mel: MelBlock,
    released_weights: str | None,
    recognise: RecogniseBlock,
    device: str,
    threads: int | None,
    workers: int | None,
    cache_root: str,
) -> pd.DataFrame:
    """Name the closest enrolled artists of each file, or say that it is none of them.

    Parameters
    ----------
    audio_track_table : pd.DataFrame
        The files.
    audio_facts : dict
        Their folder.
    recogniser_manifest : dict
        The recogniser.
    mel : MelBlock
        What counts as usable audio.
    released_weights : str or None
        The authors' file, if the encoder is theirs.
    recognise : RecogniseBlock
        How many artists, and the prior of a known one.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    workers : int or None
        Processes that decode.
    cache_root : str
        Where spectrograms are kept.

    Returns
    -------
    pd.DataFrame
        ``file``, ``answer`` (an artist, or none of them), then the closest artists: ``rank, artist_id, artist,
        score`` (log-likelihood ratio, nats), ``threshold``, ``reason`` (why there is no answer).

    Raises
    ------
    ArtistTransferError
        If no file can be used, or nobody is enrolled.
    """
    from artist_transfer.training.devices import pin_threads, resolve_device

    pin_threads(threads)
    if recogniser_manifest["system"] is None:
        raise ArtistTransferError(
            f"the last run of --pipeline=artist_recognition enrolled nobody: {recogniser_manifest['reason']}"
        )
    recogniser = Recogniser.load(Path(recogniser_manifest["folder"]))
    named = _load(recogniser_manifest["source"], recogniser_manifest["encoder"], cache_root, released_weights)
    manifest, usable, quarantine = hear_audio(
        audio_track_table,
        audio_facts,
        recogniser_manifest["front_end"],
        mel,
        workers=workers,
        cache_root=cache_root,
    )
    found, left_out = _vectors(named, manifest, usable, recogniser_manifest["encoding"], resolve_device(device))
    reasons = dict(zip(quarantine["path"], quarantine["reason"], strict=True)) | left_out
    for path, why in reasons.items():
        log.warning("Not recognised: %s: %s", path, why)
    if found is None:
        raise ArtistTransferError(
            f"audio: none of {len(audio_track_table)} file(s) can be recognised ("
            + "; ".join(f"{path}: {why}" for path, why in list(reasons.items())[:5])
            + ")"
        )
    threshold = _threshold(recogniser, recogniser_manifest, recognise.prior)
    table = answer_table(recogniser, list(found.track_ids), recogniser.ratios(found), threshold, recognise.top)
    return with_reasons(table, reasons)


def _vectors(
    named: NamedNet,
    manifest: Mapping[str, Any],
    usable: pd.DataFrame,
    encoding: Mapping[str, Any],
    device: torch.device,
) -> tuple[Embeddings | None, dict[str, str]]:
    """Encode the files that can be; give the vectors by file, and the reasons why others have none."""
    from artist_transfer.audio.store import MelStore
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.models.encoding import encode_songs

    ids = usable["track_id"].tolist()
    if not ids:
        return None, {}
    vectors, short = encode_songs(named.net, MelStore(manifest, usable), ids, device=device, **encoding)
    paths = usable.set_index("track_id")["path"].astype("str")
    reasons = {paths[track]: why for track, why in short.items()}
    active = [bool(vector.any()) for vector in vectors]
    heard = [paths[track] for track in ids if track not in short]
    reasons |= {path: "no feature of the net is active" for path, good in zip(heard, active, strict=True) if not good}
    kept = [path for path, good in zip(heard, active, strict=True) if good]
    return Embeddings(tuple(kept), vectors[active]) if kept else None, reasons


def _threshold(recogniser: Recogniser, manifest: Mapping[str, Any], prior: float) -> float:
    """Choose the threshold, and say what it rests on."""
    from artist_transfer.reporting.recognition_cautions import FEW_ARTISTS

    threshold, away, taken = recogniser.threshold(prior)
    on = manifest["validation"]
    log.info(
        "%s compares with %d artists, enrolled by %d songs",
        manifest["system"], manifest["artists"], manifest["songs"],
    )  # fmt: skip
    log.info(
        "The threshold %.2f was chosen on %d songs of %d validation artists: %.0f %% of them are not recognised at it "
        "while their artist is enrolled, and %.0f %% are taken for somebody else while it is not",
        threshold, on["songs"], on["artists"], 100 * away, 100 * taken,
    )  # fmt: skip
    if on["artists"] < FEW_ARTISTS:
        log.warning(
            "%d validation artists are few to calibrate scores and choose a threshold on: for others it may be far off",
            on["artists"],
        )
    return threshold


def _audible(embeddings: Embeddings) -> Embeddings:
    """Leave out songs that the net hears nothing in, by name; new audio of that kind is not recognised either."""
    heard = heard_songs({"self": embeddings})["self"]
    for track in sorted(set(embeddings.track_ids).difference(heard.track_ids)):
        log.warning("%s enrols nobody: no feature of the net is active", track)
    return heard


def _plda(
    embeddings: Embeddings, artists: Mapping[str, str], recognition: RecognitionBlock, device: torch.device
) -> Plda:
    from artist_transfer.recognition.plda_fit import fit_plda

    settings = recognition.plda.model_dump(exclude={"enrolment"})
    return fit_plda(embeddings, artists, list(artists), device=device, **settings)[0]


def _load(source: str, encoder: str, cache_root: str, released_weights: str | None) -> NamedNet:
    from artist_transfer.models.files import load_artist_net

    if source == RELEASED:
        return find_encoder(RELEASED, cache_root=cache_root, released_weights=released_weights)
    return NamedNet.of(encoder, load_artist_net(source))
