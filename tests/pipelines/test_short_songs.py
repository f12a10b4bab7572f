"""Songs that are shorter than a crop of the nets: set aside before sets are drawn, counted and named."""

from __future__ import annotations

import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_learning.nets import without_short
from artist_transfer.pipelines.artist_learning.nodes import ArtistNets
from artist_transfer.pipelines.artist_learning.params import ArtistStudyBlock, SetsBlock


@pytest.fixture
def usable() -> pd.DataFrame:
    """Four artists with four songs; one song of a0 and two of a1 are short, one by a frame."""
    rows = [(f"t{a}{k}", f"a{a}", 129 + k) for a in range(4) for k in range(4)]
    table = pd.DataFrame(rows, columns=["track_id", "artist_id", "n_frames"]).assign(genre_top=None, audio_hash=None)
    table.loc[table["track_id"].isin(["t03", "t10", "t11"]), "n_frames"] = [128, 64, 1]
    return table.assign(recording_id=table["track_id"], genres=[["rock"]] * len(table))


def test_they_are_counted_and_named(usable: pd.DataFrame) -> None:
    rest, facts = without_short(usable.iloc[::-1])
    assert facts == {"frames": 129, "count": 3, "tracks": ["t03", "t10", "t11"]}
    assert len(rest) + facts["count"] == len(usable) and rest["n_frames"].min() == 129


def test_no_set_has_one_and_sets_are_filled_from_the_others(usable: pd.DataFrame) -> None:
    split = usable[["track_id"]].assign(fold=0, side="train")
    names = usable[["track_id"]].assign(list_name=usable["track_id"])
    block = SetsBlock(sizes=None, songs=3, division="2+1+0")  # type: ignore[arg-type]
    nodes = ArtistNets(("siamese", "tag"))
    table, *_, facts = nodes.choose_sets(usable, split, names, block, ArtistStudyBlock(), 0)
    assert facts["shorter than a crop"]["tracks"] == ["t03", "t10", "t11"]
    assert facts["sizes"] == [3], "a1 has two songs left and is in no set; a0 has three"
    assert not {"t03", "t10", "t11"} & set(table["track_id"])
    few = SetsBlock(sizes="4", songs=3, division="2+1+0")  # type: ignore[arg-type]
    with pytest.raises(ArtistTransferError, match=r"sets\.sizes=4 .* found 3"):
        nodes.choose_sets(usable, split, names, few, ArtistStudyBlock(), 0)
