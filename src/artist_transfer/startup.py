"""What is done before any node runs: what the parameters name must be there, and former answers must not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from artist_transfer.errors import ArtistTransferError

QUESTIONS = {"params:audio", "params:query"}
SHARING = ("stratified", "balanced")
"""Kinds of split that put songs of one artist on both sides; of an official one only its lists can tell."""
FOLDERS = {
    "fma": "fma_metadata and fma_small, fma_medium, …, as FMA's archives unpack (ingestion.fma)",
    "table": "tracks.csv (ingestion.table.file) and the sound files that it names",
    "labelled": "tracks.csv (ingestion.labelled.file) with its column of labels, and the sound files that it names",
    "folder": "tagged sound files, in folders of any depth",
    "msd": "the Million Song Dataset's files of metadata and the 7digital previews (ingestion.msd)",
    "gtzan": "GTZAN's sound files and its fault-filtered lists train_filtered.txt, … (ingestion.gtzan)",
    "magnatagatune": "MagnaTagATune's clips, its annotations and lists (ingestion.magnatagatune)",
    "jamendo": "MTG-Jamendo's TSVs autotagging_genre-train.tsv, … and its sound files (ingestion.jamendo)",
}
"""What is in the folder of a corpus, by its kind."""


class StartUpHooks:
    """Refuse a run that cannot end well, before it has begun; forget what an earlier call answered."""

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        """Check that the files, folders and devices which this pipeline will use are there.

        Where a pipeline answers a question (`audio`, `query`), the table of the answers to the last one is removed, so
        that nobody takes it for the answers to this one if the call fails.

        Parameters
        ----------
        run_params : dict
            What was asked for.
        pipeline : Pipeline
            The nodes that will run.
        catalog : CatalogProtocol
            Where the parameters are.

        Raises
        ------
        ArtistTransferError
            Naming the dotted key.
        """
        if QUESTIONS & pipeline.inputs():
            _forget_answers(pipeline, catalog)
        if "model_weights" in pipeline.inputs() and not catalog.exists("model_weights"):
            raise ArtistTransferError(
                "there is no trained model yet (data/06_models/model_weights.json): "
                "run `kedro run --pipeline=agf_multitask` first"
            )
        if "search_manifest" in pipeline.inputs() and not catalog.exists("search_manifest"):
            raise ArtistTransferError(
                "there is no index yet (data/04_feature/search_manifest.json): run `kedro run --pipeline=embed` first"
            )
        if "recogniser_manifest" in pipeline.inputs() and not catalog.exists("recogniser_manifest"):
            raise ArtistTransferError(
                "no artist is enrolled yet (data/04_feature/recogniser_manifest.json): run `kedro run "
                "--pipeline=artist_recognition` first"
            )
        asked = {name.removeprefix("params:") for name in pipeline.inputs() if name.startswith("params:")}
        values = {key: catalog.load(f"params:{key}") for key in asked & set(_CHECKS)}
        if "recognition_split_table" in pipeline.all_outputs() and "split" in asked:
            _unseen(catalog.load("params:split"))
        _corpus(catalog, asked, run_params.get("env"))
        for key, value in sorted(values.items()):
            _CHECKS[key](value)


def _forget_answers(pipeline: Any, catalog: Any) -> None:
    for name in sorted(pipeline.all_outputs()):
        if name.endswith("_csv"):
            Path(catalog.get(name)._describe()["filepath"]).unlink(missing_ok=True)


def _unseen(split: str) -> None:
    if split in SHARING:
        raise ArtistTransferError(
            f"split={split} puts songs of one artist on both sides, but recognition is of artists that nothing has "
            "learned from. Allowed: --params split=artist_disjoint, or split=official where the corpus's own split "
            "keeps artists apart"
        )


def _corpus(catalog: Any, asked: set[str], env: str | None) -> None:
    if not {"corpus", "corpus_root"} <= asked:
        return
    corpus = catalog.load("params:corpus")
    if "download" in asked:
        if corpus != "fma":
            raise ArtistTransferError(
                f"corpus={corpus}: only FMA can be downloaded. Allowed: --env=fma_small, fma_medium or fma_large"
            )
    elif corpus not in ("synthetic", "synthetic_msd"):
        _corpus_root(catalog.load("params:corpus_root"), corpus, env)


def _corpus_root(value: str | None, corpus: str, env: str | None) -> None:
    if value is not None and Path(value).is_dir():
        return
    expected = f"--params corpus_root=FOLDER, a folder with {FOLDERS[corpus]}"
    if value is None:
        raise ArtistTransferError(f"corpus_root is needed for corpus={corpus}: {expected}")
    fetching = ""
    if corpus == "fma":
        size = env if env and env.startswith("fma_") else "fma_small"
        fetching = f"; `kedro run --pipeline=download --env={size} --params corpus_root={value}` fetches it"
    raise ArtistTransferError(
        f"corpus_root={value}: there is no such folder (looked from {Path.cwd()}). Allowed for corpus={corpus}: "
        f"{expected}{fetching}"
    )


def _embeddings(value: str | None) -> None:
    if value is not None and not Path(value).is_file():
        raise ArtistTransferError(f"embeddings={value}: there is no such file (looked from {Path.cwd()})")


def _audio(value: str | None) -> None:
    if value is None:
        raise ArtistTransferError("audio is needed for this pipeline: --params audio=FILE_OR_FOLDER")
    if not Path(value).exists():
        raise ArtistTransferError(f"audio={value}: there is no such file or folder (looked from {Path.cwd()})")


def _query(value: str | None) -> None:
    if value is None or not str(value).strip():
        raise ArtistTransferError("query is needed for this pipeline: --params query=FILE_OR_TRACK_OR_ARTIST")


def _released_weights(value: str | None) -> None:
    if value is not None and not Path(value).is_file():
        raise ArtistTransferError(f"released_weights={value}: there is no such file (looked from {Path.cwd()})")


def _device(value: str) -> None:
    if value == "cuda":
        from artist_transfer.training.devices import resolve_device

        resolve_device(value)


def _cluster(value: Any) -> None:
    if value.scheduler is not None:
        from artist_transfer.cluster import check_scheduler

        check_scheduler(value.scheduler)


_CHECKS: dict[str, Callable[[Any], None]] = {
    "embeddings": _embeddings,
    "audio": _audio,
    "cluster": _cluster,
    "device": _device,
    "query": _query,
    "released_weights": _released_weights,
}
