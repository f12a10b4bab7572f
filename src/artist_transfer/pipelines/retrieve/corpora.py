"""Corpora that can be searched: the last index of each target, by the target's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artist_transfer.artifacts import read_json, write_json
from artist_transfer.errors import ArtistTransferError

KIND = "searchable"


def remember_corpus(cache_root: str, manifest: Mapping[str, Any]) -> None:
    """Keep what is known of an index under the name of its target.

    Parameters
    ----------
    cache_root : str
        It goes into ``searchable/<target>.json``.
    manifest : mapping
        ``search_manifest``, as of `artist_transfer.pipelines.embed.nodes.embed_corpus`.
    """
    write_json(Path(cache_root) / KIND / f"{manifest['target']}.json", dict(manifest))


def known_corpora(cache_root: str) -> list[str]:
    """Return the names of the targets that have an index.

    Parameters
    ----------
    cache_root : str
        Root of the cache.

    Returns
    -------
    list of str
        Sorted.
    """
    return sorted(path.stem for path in (Path(cache_root) / KIND).glob("*.json") if not path.name.startswith("."))


def choose_corpus(search_manifest: Mapping[str, Any], target: str | None, cache_root: str) -> dict[str, Any]:
    """Choose the index that is searched.

    Parameters
    ----------
    search_manifest : mapping
        That of the corpus that was embedded last.
    target : str or None
        Name of a corpus; None is the last.
    cache_root : str
        Root of the cache.

    Returns
    -------
    dict
        Manifest of its index.

    Raises
    ------
    ArtistTransferError
        If no corpus of that name has been embedded; names those that have.
    """
    if target is None:
        return dict(search_manifest)
    known = known_corpora(cache_root)
    if target in known:
        return dict(read_json(Path(cache_root) / KIND / f"{target}.json"))
    if target == search_manifest["target"]:
        return dict(search_manifest)
    names = sorted({*known, str(search_manifest["target"])})
    raise ArtistTransferError(
        f"target={target}: no corpus of that name has been embedded. Known: {', '.join(names)}; `kedro run "
        f"--pipeline=embed --env=… --params target={target}` makes another"
    )
