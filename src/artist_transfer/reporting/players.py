"""What an audio element in a page plays: a snippet that the page carries with it, or a file by its relative path.

Snippets are mono MP3, which every browser plays and which has the same bytes in every run (an Ogg stream has a random
serial number).
"""

from __future__ import annotations

import io
import os
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile

from artist_transfer.audio.decode import resample, to_mono
from artist_transfer.errors import ArtistTransferError

WAYS = ("inline", "link", "none")
FILES, CARRIED, NOTHING = "'self' file:", "data:", "'none'"
"""What a page's content security policy lets an audio element load."""
LINKED = "plays the file where it is: the page has no room for it"
RATE = 22_050  # Hz
SMALLEST = 0.6  # of soundfile's compression level from 0 to 1: about 64 kbit/s at this rate
SNIPPET_S = 12.0
INLINE_MB = 6.0


@dataclass(frozen=True)
class Player:
    """What stands in a cell for a sound.

    Attributes
    ----------
    source : str
        For the audio element; empty if there is none.
    note : str
        Why not, or what else there is to know; may be empty.
    """

    source: str = ""
    note: str = ""


class Players:
    """Makes the players of one page.

    Parameters
    ----------
    corpus_root : str, Path or None
        Where the paths of the tracks begin; None if the sound is not at hand.
    page_folder : str or Path
        Where the page will be: links are relative to it.
    audio : {"inline", "link", "none"}
        Snippets in the page, files where they are, or no players.
    snippet_s : float > 0
        Seconds of a snippet, from the middle.
    inline_mb : float >= 0
        All snippets together, as they stand in the page; what comes after that is linked.

    Attributes
    ----------
    carried, linked : int
        Sounds that are in the page, and links in place of snippets that would have passed the limit.
    """

    def __init__(
        self,
        corpus_root: str | Path | None,
        page_folder: str | Path,
        *,
        audio: str = "inline",
        snippet_s: float = SNIPPET_S,
        inline_mb: float = INLINE_MB,
    ) -> None:
        if audio not in WAYS:
            raise ArtistTransferError(f"audio: {audio!r}; allowed are {', '.join(WAYS)}")
        if not snippet_s > 0 or not inline_mb >= 0:
            raise ArtistTransferError(f"snippet_s {snippet_s} and inline_mb {inline_mb}: allowed are > 0 and >= 0")
        self.audio, self.carried, self.linked = audio, 0, 0
        self._root = None if corpus_root is None else Path(corpus_root)
        self._page_folder, self._snippet_s = Path(page_folder), snippet_s
        self._room = round(inline_mb * 1e6)
        self._made: dict[Path, Player] = {}

    @property
    def policy(self) -> str:
        """Sources for the page's ``media-src``, once all of its players are made."""
        if self.audio == "inline":
            return f"{CARRIED} {FILES}" if self.linked else CARRIED
        return FILES if self.audio == "link" else NOTHING

    def of_track(self, path: object) -> Player:
        """Return the player of a track.

        Parameters
        ----------
        path : object
            Relative to the corpus; None if it has none.

        Returns
        -------
        Player
        """
        if self.audio == "none":
            return Player()
        if self._root is None or not isinstance(path, str):
            return Player(note="no sound at hand")
        return self.of_file(self._root / path)

    def of_file(self, path: str | Path) -> Player:
        """Return the player of a file.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Player
        """
        if self.audio == "none":
            return Player()
        path = Path(path)
        if not path.is_file():
            return Player(note="the file is not there")
        if path not in self._made:
            self._made[path] = Player(self._link(path)) if self.audio == "link" else self._inline(path)
        return self._made[path]

    def _link(self, path: Path) -> str:
        try:
            return quote(Path(os.path.relpath(path.absolute(), self._page_folder.absolute())).as_posix())
        except ValueError:  # another drive
            return path.absolute().as_uri()

    def _inline(self, path: Path) -> Player:
        try:
            data = snippet(path, seconds=self._snippet_s)
        except ArtistTransferError as error:
            return Player(note=str(error))
        source = "data:audio/mpeg;base64," + b64encode(data).decode()
        if len(source) > self._room:
            self.linked += 1
            return Player(self._link(path), note=LINKED)
        self.carried += 1
        self._room -= len(source)
        return Player(source)


def snippet(path: str | Path, *, seconds: float = SNIPPET_S) -> bytes:
    """Cut a piece out of the middle of a sound file.

    Parameters
    ----------
    path : str or Path
    seconds : float > 0
        All of a shorter file.

    Returns
    -------
    bytes
        MP3, mono, 22,050 Hz.

    Raises
    ------
    ArtistTransferError
        If the file cannot be decoded.
    """
    try:
        with soundfile.SoundFile(path) as sound:
            wanted = min(sound.frames, round(seconds * sound.samplerate))
            sound.seek((sound.frames - wanted) // 2)
            # what the header says of the rate and the channels is bounded, so that it cannot ask for all memory
            if wanted * sound.channels > 768_000 * 8 * max(1.0, seconds):
                raise ArtistTransferError("it cannot be played: its header lies")
            samples = to_mono(sound.read(wanted, dtype="float32", always_2d=True))
            samples = resample(samples, sound.samplerate, RATE)
    except (RuntimeError, OSError, ValueError) as error:
        raise ArtistTransferError(f"it cannot be played: {error}") from error
    if not len(samples) or not np.isfinite(samples).all():
        raise ArtistTransferError("it cannot be played: it holds no sound")
    stream = io.BytesIO()
    with soundfile.SoundFile(
        stream, "w", RATE, 1, format="MP3", subtype="MPEG_LAYER_III", compression_level=SMALLEST
    ) as out:
        out.write(np.clip(samples, -1.0, 1.0))
    return stream.getvalue()
