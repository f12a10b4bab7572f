"""What is refused before any node runs, and what is told to do instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline

from artist_transfer.errors import ArtistTransferError
from artist_transfer.parameters import check_parameters
from artist_transfer.pipelines import agf_multitask, artist_recognition, artist_siamese, recognition, recognition_study
from artist_transfer.startup import FOLDERS, StartUpHooks


def start(pipeline: Pipeline, env: str | None = None, **given: Any) -> None:
    """Call the hook as a run of the pipeline does."""
    params = check_parameters({"corpus": "synthetic", **given})
    catalog = DataCatalog({f"params:{key}": MemoryDataset(getattr(params, key)) for key in type(params).model_fields})
    StartUpHooks().before_pipeline_run({"env": env}, pipeline, catalog)


@pytest.mark.parametrize("split", ["stratified", "balanced"])
@pytest.mark.parametrize("job", [artist_recognition, recognition_study, recognition])
def test_recognition_refuses_a_split_that_shares_artists_and_names_the_remedy(job: Any, split: str) -> None:
    with pytest.raises(ArtistTransferError, match=rf"^split={split} .*--params split=artist_disjoint"):
        start(job.create_pipeline(), split=split)


@pytest.mark.parametrize("split", ["artist_disjoint", "official"])
def test_recognition_starts_with_a_split_that_may_keep_artists_apart(split: str) -> None:
    start(artist_recognition.create_pipeline(), split=split)


@pytest.mark.parametrize("job", [agf_multitask, artist_siamese])
def test_other_jobs_may_share_artists(job: Any) -> None:
    start(job.create_pipeline(), split="stratified")


KINDS = sorted(FOLDERS)


@pytest.mark.parametrize("corpus", KINDS)
def test_without_its_folder_a_corpus_says_what_it_expects_there(corpus: str, tmp_path: Path) -> None:
    for root in (None, str(tmp_path / "nowhere")):
        with pytest.raises(ArtistTransferError, match="corpus_root") as caught:
            start(agf_multitask.create_pipeline(), corpus=corpus, corpus_root=root)
        said = str(caught.value)
        assert f"corpus={corpus}" in said and "--params corpus_root=FOLDER" in said and FOLDERS[corpus] in said
        assert ("--pipeline=download" in said) == (corpus == "fma" and root is not None)
    start(agf_multitask.create_pipeline(), corpus=corpus, corpus_root=str(tmp_path))


@pytest.mark.parametrize(("env", "asked"), [("fma_medium", "fma_medium"), ("local", "fma_small"), (None, "fma_small")])
def test_the_download_of_the_same_environment_is_named(env: str | None, asked: str) -> None:
    command = f"kedro run --pipeline=download --env={asked} --params corpus_root=not/here"
    with pytest.raises(ArtistTransferError, match=command):
        start(agf_multitask.create_pipeline(), env, corpus="fma", corpus_root="not/here")
