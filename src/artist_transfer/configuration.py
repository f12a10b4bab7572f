"""The configuration loader: Kedro's own, with the checks that it leaves out."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader

from artist_transfer.errors import ArtistTransferError


class ProjectConfigLoader(OmegaConfigLoader):
    """OmegaConf configuration whose environment and parameters are checked as a whole.

    Of the parameters it gives the checked values: nodes that take a plain number would else get what was written,
    such as 1.0 or "5" for a whole number.

    Raises
    ------
    ArtistTransferError
        If there is no environment of that name, or a parameter is unknown or impossible: here, because Kedro asks the
        loader before it calls any hook or validates a node's inputs.
    """

    def __init__(
        self,
        conf_source: str | Path,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        check_environment(Path(conf_source), env, base=kwargs.get("base_env") or "base")
        super().__init__(conf_source, env, runtime_params, **kwargs)
        _ = self["parameters"]  # reads and checks them

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return the configuration of a kind; parameters are checked.

        Parameters
        ----------
        key : str
            ``parameters``, ``catalog``, …

        Returns
        -------
        dict
            As merged from the files and ``--params``.

        Raises
        ------
        ArtistTransferError
            If a parameter is unknown or impossible.
        """
        found: dict[str, Any] = super().__getitem__(key)
        if key != "parameters":
            return found
        from artist_transfer.parameters import check_parameters  # pydantic models cost time at `kedro registry list`

        return check_parameters(found).model_dump()


def check_environment(conf_source: Path, env: str | None, *, base: str) -> None:
    """Refuse an environment that does not exist, by its name.

    Parameters
    ----------
    conf_source : Path
        The project's ``conf`` folder.
    env : str or None
        What ``--env`` asked for.
    base : str
        The environment that every other one builds on.

    Raises
    ------
    ArtistTransferError
        Naming the environments there are.
    """
    if env is None or (conf_source / env).is_dir() or "://" in str(conf_source):
        return
    known = sorted(
        folder.name for folder in conf_source.iterdir() if folder.is_dir() and not folder.name.startswith(".")
    )
    raise ArtistTransferError(
        f"--env={env}: there is no such environment in {conf_source}{suggestion(env, known)} "
        f"Allowed: {', '.join(known)} (without --env: {base} and local)."
    )


def suggestion(word: str, known: list[str]) -> str:
    """Return " Did you mean …?" for a misspelt word, or a full stop.

    Parameters
    ----------
    word : str
        What was written.
    known : list of str
        What is allowed.

    Returns
    -------
    str
        The end of a sentence and perhaps a question.
    """
    close = get_close_matches(word, known, n=1)
    return f". Did you mean {close[0]}?" if close else "."
