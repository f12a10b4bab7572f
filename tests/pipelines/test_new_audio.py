"""New audio has the safeguards of a corpus."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from tests.audio.conftest import tone, write

from artist_transfer.audio.mel import FRONT_ENDS
from artist_transfer.audio.store import MelStore
from artist_transfer.pipelines.ingestion.params import IngestionBlock
from artist_transfer.pipelines.mel_cache.params import MelBlock
from artist_transfer.pipelines.new_audio import hear_audio, list_audio


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_a_sample_beyond_all_sound_is_quarantined(tmp_path: Path, name: str) -> None:
    samples = tone(2.0)
    write(tmp_path / "audio" / "good.wav", samples, subtype="FLOAT")
    samples[30_000] = 1e25
    write(tmp_path / "audio" / "huge.wav", samples, subtype="FLOAT")
    listed = list_audio(str(tmp_path / "audio"), IngestionBlock())
    cache = (tmp_path / "cache").as_posix()
    manifest, usable, quarantine = hear_audio(
        *listed, asdict(FRONT_ENDS[name]), MelBlock(), workers=1, cache_root=cache
    )
    assert usable["path"].tolist() == ["good.wav"] and quarantine["path"].tolist() == ["huge.wav"]
    assert quarantine["reason"].tolist() == ["not audio: a sample of 1e+25, full scale is 1"]
    (good,) = usable["track_id"]
    assert np.isfinite(MelStore(manifest, usable).frames(good)).all()
