from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from artist_transfer.audio.mel import AGF, ISMIR, log_mel
from artist_transfer.errors import ArtistTransferError
from artist_transfer.search.sound import frames_of_file


def test_frames_are_those_of_the_front_end(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 5 * 22_050).astype(np.float32)
    soundfile.write(tmp_path / "a, b.wav", samples, 22_050, subtype="FLOAT")
    for front_end in (ISMIR, AGF):
        frames = frames_of_file(tmp_path / "a, b.wav", front_end=front_end)
        np.testing.assert_array_equal(frames, log_mel(samples, front_end).astype(np.float16))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty file"), (b"these are words", "unreadable"), (None, "missing file")],
)
def test_what_is_not_a_sound_file_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "song.mp3"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtistTransferError, match=rf"song\.mp3 is not a sound file that can be searched with: {said}"):
        frames_of_file(path)


def test_silence_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(5 * 22_050), 22_050)
    with pytest.raises(ArtistTransferError, match="silent"):
        frames_of_file(tmp_path / "a.wav")
