from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.players import RATE, Players, snippet


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of odd names; the tone changes after each second."""
    folder = tmp_path / "mu sic" / "#1 50%?"
    folder.mkdir(parents=True)
    time = np.arange(44_100) / 44_100
    tones = np.concatenate([np.sin(2 * np.pi * hz * time) for hz in (300, 600, 1200, 2400, 4800)])
    for name in ("a:b, ö.wav", "c.wav"):
        soundfile.write(folder / name, np.stack([tones, 0.5 * tones], axis=1) * 0.5, 44_100)
    (folder / "text.wav").write_text("not a sound")
    return tmp_path / "mu sic"


def strongest_hz(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def test_links_are_relative_and_lead_to_the_file(corpus: Path, tmp_path: Path) -> None:
    page_folder = tmp_path / "data" / "reporting"
    page_folder.mkdir(parents=True)
    players = Players(corpus, page_folder, audio="link")
    player = players.of_track("#1 50%?/a:b, ö.wav")
    assert str(tmp_path) not in player.source
    assert not set(player.source) & set("#?: ")
    assert (page_folder / unquote(player.source)).resolve() == corpus / "#1 50%?" / "a:b, ö.wav"
    assert players.policy == "'self' file:"


def test_what_cannot_be_played_says_why(corpus: Path, tmp_path: Path) -> None:
    assert Players(corpus, tmp_path).of_track("nothing.ogg").note == "the file is not there"
    assert Players(None, tmp_path).of_track("c.wav").note == "no sound at hand"
    assert Players(corpus, tmp_path).of_track(None).note == "no sound at hand"
    assert "cannot be played" in Players(corpus, tmp_path, audio="inline").of_track("#1 50%?/text.wav").note
    silent = Players(corpus, tmp_path, audio="none").of_track("#1 50%?/c.wav")
    assert (silent.source, silent.note) == ("", "")


def test_a_snippet_is_the_middle_of_the_file(corpus: Path) -> None:
    data = snippet(corpus / "#1 50%?" / "c.wav", seconds=1)
    samples, rate = soundfile.read(io.BytesIO(data))
    assert rate == RATE
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(RATE, abs=3000)  # MP3 has frames of 576 samples
    assert strongest_hz(samples[6000:-6000], rate) == pytest.approx(1200, abs=10)  # the third second of five
    assert snippet(corpus / "#1 50%?" / "c.wav", seconds=99) != data


def test_a_snippet_has_equal_bytes_in_another_process(corpus: Path) -> None:
    path = corpus / "#1 50%?" / "c.wav"
    script = (
        "import sys, hashlib; from artist_transfer.reporting.players import snippet; "
        "sys.stdout.buffer.write(snippet(sys.argv[1]))"
    )
    other = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, check=True).stdout
    assert other == snippet(path)


def test_the_page_stays_under_its_limit(corpus: Path, tmp_path: Path) -> None:
    whole = Players(corpus, tmp_path, audio="inline", snippet_s=2)
    source = whole.of_track("#1 50%?/c.wav").source
    assert base64.b64decode(source.removeprefix("data:audio/mpeg;base64,")) == snippet(
        corpus / "#1 50%?" / "c.wav", seconds=2
    )
    tight = Players(corpus, tmp_path, audio="inline", snippet_s=2, inline_mb=1.5 * len(source) / 1e6)
    assert tight.of_track("#1 50%?/c.wav").source == source
    assert tight.policy == "data:"
    linked = tight.of_track("#1 50%?/a:b, ö.wav")
    assert (tmp_path / unquote(linked.source)).resolve() == corpus / "#1 50%?" / "a:b, ö.wav"
    assert "where it is" in linked.note
    assert tight.of_track("#1 50%?/c.wav").source == source  # a second time costs nothing
    assert (tight.carried, tight.linked, tight.policy) == (1, 1, "data: 'self' file:")


def test_a_header_that_lies_does_not_ask_for_all_memory(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(RATE, 0.1), RATE)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[24:28] = (2**31 - 1).to_bytes(4, "little")  # the sample rate
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(ArtistTransferError, match="cannot be played"):
        snippet(tmp_path / "a.wav", seconds=1000)


def test_impossible_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match="allowed are inline, link, none"):
        Players(tmp_path, tmp_path, audio="loud")
    with pytest.raises(ArtistTransferError, match="snippet_s"):
        Players(tmp_path, tmp_path, snippet_s=0)
