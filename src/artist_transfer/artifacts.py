"""Files that are whole or absent: fingerprints, atomic writes and checked folders.

Expensive results live in ``<cache root>/<kind>/<fingerprint>/``. Their files are written under a temporary name
and moved into place; the folder's ``manifest.json`` comes last. A folder whose manifest names every file with its
right checksum, and has its own, is done; anything else is not, so a run that was killed at any moment never leaves
a result that looks complete and is not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from artist_transfer.errors import ArtistTransferWarning

MANIFEST = "manifest.json"
_CONTENT, _DIGEST = {"files", "details"}, "sha256"  # what a manifest says, and the checksum of that


def fingerprint(*parts: object) -> str:
    """Hash inputs and parameters to the name of what is made of them.

    Parameters
    ----------
    *parts : object
        Nested dicts, sequences, strings, numbers, ``None``, paths, dataclasses, arrays, pandas tables.

    Returns
    -------
    str
        20 hexadecimal digits, the same on every machine.

    Raises
    ------
    TypeError
        If a part has no canonical encoding.
    """
    digest = hashlib.sha256()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()[:20]


def _feed(digest: Any, value: object) -> None:
    if value is None or isinstance(value, (bool, int, float, str, np.generic)):
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and value != value:
            value = None  # pandas writes a missing text as NaN or None, depending on its version
        digest.update(f"{type(value).__name__}:{value!r};".encode())
    elif isinstance(value, bytes):
        digest.update(b"bytes:" + hashlib.sha256(value).digest())
    elif isinstance(value, Path):
        _feed(digest, value.as_posix())
    elif isinstance(value, Mapping):
        digest.update(b"{")
        for key in sorted(value, key=str):
            _feed(digest, str(key))
            _feed(digest, value[key])
        digest.update(b"}")
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"array:{value.dtype.str}:{value.shape};".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, (list, tuple, np.ndarray)):
        digest.update(b"[")
        for item in value:
            _feed(digest, item)
        digest.update(b"]")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _feed(digest, {field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    elif type(value).__module__.split(".")[0] == "pandas":
        _feed_pandas(digest, value)
    else:
        raise TypeError(f"no canonical encoding for {type(value).__name__}: {value!r}")


def _feed_pandas(digest: Any, value: Any) -> None:
    if value is _pandas_na():
        _feed(digest, None)
    elif hasattr(value, "columns"):
        for column in value.columns:
            _feed(digest, str(column))
            _feed(digest, value[column].tolist())
    else:
        _feed(digest, value.tolist())


def _pandas_na() -> object:
    import pandas as pd

    return pd.NA


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file, read in pieces.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path whose file replaces `path` when the block ends well.

    Parameters
    ----------
    path : str or Path
        Where the finished file goes; its folder is made.

    Yields
    ------
    Path
        A path beside it, removed again if the block raises.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=".part" + path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)  # mkstemp's 0600 would lock out the others who share the folder
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: str | Path, value: object) -> None:
    """Write JSON atomically, with sorted keys, so that equal values give equal bytes.

    Parameters
    ----------
    path : str or Path
        Where it goes.
    value : object
        What json can write.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    object
        What it holds.
    """
    return json.loads(Path(path).read_text(encoding="utf-8"))


def commit_folder(folder: str | Path, *, files: Sequence[str], details: Mapping[str, Any]) -> dict[str, Any]:
    """Declare a folder done: write its manifest, last.

    Parameters
    ----------
    folder : str or Path
        The folder with the finished files.
    files : sequence of str
        Names in it.
    details : mapping
        What a reader wants to know without opening the files: seed, parameters, counts.

    Returns
    -------
    dict
        The details, as written.
    """
    folder = Path(folder)
    sums = {name: {"sha256": sha256_of(folder / name), "size": (folder / name).stat().st_size} for name in files}
    content = {"files": sums, "details": dict(details)}
    write_json(folder / MANIFEST, {**content, _DIGEST: _digest(content)})
    return dict(details)


def open_folder(folder: str | Path) -> dict[str, Any] | None:
    """Return the details of a finished folder, or nothing.

    Parameters
    ----------
    folder : str or Path
        A folder that may have been declared done by `commit_folder`.

    Returns
    -------
    dict or None
        None if it is not there, not complete, or damaged (then with a warning that names the file).
    """
    folder = Path(folder)
    try:
        files, details = _read_manifest(folder / MANIFEST)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):  # not JSON, or not what `commit_folder` wrote
        _damaged(folder / MANIFEST)
        return None
    for name, (size, sha256) in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size or sha256_of(path) != sha256:
            _damaged(path)
            return None
    return details


def _read_manifest(path: Path) -> tuple[dict[str, tuple[int, str]], dict[str, Any]]:
    """Return size and checksum of each file, and the details."""
    content = read_json(path)
    if content.keys() != _CONTENT:  # exactly these: written before manifests had a checksum of their own
        digest = content.pop(_DIGEST)
        if content.keys() != _CONTENT or digest != _digest(content):
            raise ValueError("its checksum is wrong")
    files = {name: (facts["size"], facts["sha256"]) for name, facts in content["files"].items()}
    return files, dict(content["details"])


def _digest(content: Mapping[str, Any]) -> str:
    """Return the checksum of what JSON makes of a value, so of what will be read again."""
    plain = json.loads(json.dumps(content))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _damaged(path: Path) -> None:
    warnings.warn(
        f"{path} is damaged (its checksum is wrong or it is missing); it is made again.",
        ArtistTransferWarning,
        stacklevel=3,
    )
