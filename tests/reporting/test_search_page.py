from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.reporting import search_builder as builder
from tests.reporting.browser import Browser, needs_browser
from tests.reporting.page_checks import Reader, assert_names_stay_text, words_of

from artist_transfer.reporting.search_figure import search_map_plot
from artist_transfer.reporting.search_page import render_search
from artist_transfer.search.index import SearchIndex
from artist_transfer.search.query import Query, resolve
from artist_transfer.search.retrieve import artists_like, songs_like
from artist_transfer.search.song_map import index_map

PLAY = """(async () => {
  const found = [];
  for (const each of document.querySelectorAll("audio")) {
    each.muted = true;
    await each.play();
    for (let k = 0; k < 100 && each.currentTime === 0; k++) await new Promise(done => setTimeout(done, 20));
    found.push([each.readyState, each.currentTime > 0, each.duration]);
    each.pause();
  }
  return found;
})()"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    builder.write_sounds(folder)
    return folder


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    return builder.index(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def map_table(index: SearchIndex) -> pd.DataFrame:
    return index_map(index)


def rendered(index: SearchIndex, map_table: pd.DataFrame | None, query: Query | str, **changes: Any) -> str:
    asked = resolve(query, index) if isinstance(query, str) else query
    arguments: dict[str, Any] = {
        "songs": songs_like(index, asked, k=6),
        "artists": artists_like(index, asked, k=3),
        "map_table": map_table,
        "page_folder": "/nowhere",
        "corpus_root": None,
    }
    return render_search(index=index, query=asked, **arguments | changes)


def test_it_shows_what_was_found(index: SearchIndex, map_table: pd.DataFrame, corpus: Path) -> None:
    query = resolve("000001", index)
    songs, artists = songs_like(index, query, k=6), artists_like(index, query, k=3)
    page = rendered(index, map_table, "000001", page_folder=corpus, corpus_root=corpus, corpus="mine", audio="link")
    reader = Reader(page)
    words = reader.words
    for row in [*songs.to_dict("records"), *artists.to_dict("records")]:
        assert f"{row['rank']} {row['score']:.3f}" in words
        assert row["artist"] in words
    assert "Nina – Song 1" in words
    assert "Searched in mine, among 24 songs of 4 artists" in words
    assert "same artist" in words
    assert "the song's own artist" in words
    players = reader.all("audio")
    assert len(players) == 1 + len(songs) + len(artists)
    assert all(each["preload"] == "none" and "controls" in each and each["aria-label"] for each in players)
    assert [each["src"] for each in players[1:7]] == [
        path.replace(" ", "%20").replace("#", "%23").replace("%.", "%25.") for path in songs["path"]
    ]


def test_an_artist_has_artists_first(index: SearchIndex, map_table: pd.DataFrame) -> None:
    words = words_of(rendered(index, map_table, "Bach, J. S."))
    assert words.index("1. Artists like it") < words.index("2. Songs like it")
    assert "6 songs, compared by their mean" in words
    assert "same artist" not in words


def test_names_stay_text_and_no_other_script_may_run(index: SearchIndex, map_table: pd.DataFrame) -> None:
    assert_names_stay_text(rendered(index, map_table, "a0"))


def test_a_file_from_outside_is_put_among_its_neighbours(
    index: SearchIndex, map_table: pd.DataFrame, corpus: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.ogg"
    path.write_bytes((corpus / builder.track_table()["path"][0]).read_bytes())
    query = resolve(str(path), index).encoded(np.eye(1, 8)[0], index.encoder, index)
    page = rendered(index, map_table, query, page_folder=tmp_path, corpus_root=corpus, audio="link")
    words = words_of(page)
    assert "Songs like mine.ogg" in words
    assert "put in the middle of what is most like it" in words
    assert Reader(page).all("audio")[0]["src"] == "mine.ogg"
    assert str(tmp_path) not in page


def test_the_map_shows_query_and_neighbours(index: SearchIndex, map_table: pd.DataFrame) -> None:
    query = resolve("000001", index)
    songs, artists = songs_like(index, query, k=6), artists_like(index, query, k=3)
    figure, _ = search_map_plot(index, query, songs, artists, map_table)
    traces = {trace.name: trace for trace in figure.data}
    places = map_table.set_index("id")
    assert [trace.name for trace in figure.data][-1] == "the query"
    assert traces["the query"].x == (round(places.loc["000001", "x"], 3),)
    numbered = traces["songs found, with their rank"]
    assert list(numbered.text) == [str(rank) for rank in range(1, 7)]
    assert list(numbered.x) == [round(places.loc[each, "x"], 3) for each in songs["recording_id"]]
    assert sum(len(trace.x) for trace in figure.data) == len(map_table)


def test_a_map_of_artists_shows_the_artists(index: SearchIndex) -> None:
    table = index_map(index, most=10)
    assert set(table["kind"]) == {"artist"}
    query = resolve("a1", index)
    figure, alt = search_map_plot(index, query, songs_like(index, query), artists_like(index, query), table)
    assert sum(len(trace.x) for trace in figure.data) == 4
    assert "too many songs" in alt
    of_song = resolve("000001", index)
    figure, alt = search_map_plot(index, of_song, songs_like(index, of_song), artists_like(index, of_song), table)
    assert figure.data[-1].name == "the query"
    assert "put in the middle" in alt


def test_the_page_carries_its_sound(index: SearchIndex, map_table: pd.DataFrame, corpus: Path) -> None:
    page = rendered(index, map_table, "000001", corpus_root=corpus, snippet_s=1)
    sources = [str(each["src"]) for each in Reader(page).all("audio")]
    assert len(sources) == 10
    for source in sources:
        head, _, data = source.partition(",")
        assert head == "data:audio/mpeg;base64"
        assert len(b64decode(data)) > 1000
    assert "media-src data:;" in page
    assert page == rendered(index, map_table, "000001", corpus_root=corpus, audio="inline", snippet_s=1)


def test_what_has_no_room_in_the_page_is_linked(index: SearchIndex, map_table: pd.DataFrame, corpus: Path) -> None:
    page = rendered(index, map_table, "000001", page_folder=corpus, corpus_root=corpus, snippet_s=1, inline_mb=0.02)
    reader = Reader(page)
    sources = [str(each["src"]) for each in reader.all("audio")]
    linked = {source for source in sources if not source.startswith("data:")}
    assert len(sources) == 10 and 0 < len(linked) < len(set(sources))
    assert all(source.endswith(".ogg") and not source.startswith("/") for source in linked)
    assert f"For {len(linked)} of them it had no room (search.inline_mb)" in reader.words
    assert reader.words.count("plays the file where it is") == sum(source in linked for source in sources)
    assert "media-src data: 'self' file:;" in reader.policy


def test_it_stands_with_less(index: SearchIndex) -> None:
    query = resolve("000001", index)
    nothing = songs_like(index, query).head(0)
    words = words_of(
        rendered(index, None, query, songs=nothing, artists=artists_like(index, query).head(0), audio="none")
    )
    assert "There is no other song in the index." in words
    assert "There is no other artist in the index." in words
    assert "No map was made." in words


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("audio", ["link", "inline"])
def test_a_browser_plays_every_sound_and_complains_of_nothing(
    index: SearchIndex, map_table: pd.DataFrame, corpus: Path, tmp_path: Path, audio: str
) -> None:
    path = tmp_path / "a page" / "search.html"
    path.parent.mkdir()
    page = rendered(index, map_table, "000001", page_folder=path.parent, corpus_root=corpus, audio=audio, snippet_s=1)
    path.write_text(page, encoding="utf-8")
    with Browser(tmp_path / "profile") as browser:
        browser.open(path.as_uri())
        assert browser.run("document.querySelectorAll('div.js-plotly-plot').length") == 1
        before = [each for each in browser.requests if not each.startswith("data:image/")]  # the players' own icons
        heard = browser.run(PLAY)
    assert len(heard) == 10
    for ready, moved, duration in heard:
        assert ready >= 2
        assert moved
        assert duration == pytest.approx(2 if audio == "link" else 1, abs=0.1)
    assert browser.complaints == []
    assert before == [path.as_uri()]  # nothing is loaded before it is asked for
    assert all(each.startswith(("file:", "data:")) for each in browser.requests)
    assert any(each.endswith(".ogg") for each in browser.requests) == (audio == "link")
