"""Progress bars of trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class training_bar:  # noqa: N801 - used as a function
    """A progress bar that appears with the first report, so that a cached net shows none."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.bar: Any = None

    def __enter__(self) -> Callable[[int, int, Mapping[str, float]], None]:
        """Return the callback that the training loop calls."""
        return self.report

    def report(self, done: int, total: int, losses: Mapping[str, float]) -> None:
        """Show how far the training is.

        Parameters
        ----------
        done, total : int
            Updates.
        losses : mapping of str to float
            Latest mean loss by task.
        """
        from tqdm.auto import tqdm

        if self.bar is None:
            self.bar = tqdm(total=total, initial=done, desc=self.label, unit="step")
        self.bar.set_postfix({task: f"{loss:.2f}" for task, loss in losses.items()}, refresh=False)
        self.bar.update(done - self.bar.n)

    def __exit__(self, *error: object) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()


class jobs_bar:  # noqa: N801 - used as a function
    """A progress bar over several nets: how many are done, and how far the current one is.

    A net that was finished before, or that fails, reports nothing at its end: they are counted when all is done.
    """

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total
        self.done: set[str] = set()
        self.bar: Any = None

    def __enter__(self) -> Callable[[str, int, int, Mapping[str, float]], None]:
        """Return the callback of `train_cached_many`."""
        return self.report

    def report(self, label: str, done: int, total: int, losses: Mapping[str, float]) -> None:
        """Show how far the trainings are.

        Parameters
        ----------
        label : str
            The net.
        done, total : int
            Its updates.
        losses : mapping of str to float
            Its latest mean loss by task.
        """
        from tqdm.auto import tqdm

        if self.bar is None:
            self.bar = tqdm(total=self.total, desc=self.label, unit="net")
        if done >= total:
            self.done.add(label)
        values = " ".join(f"{task} {loss:.2f}" for task, loss in losses.items())
        self.bar.set_postfix_str(f"{label}: {done}/{total} {values}", refresh=False)
        self.bar.update(len(self.done) - self.bar.n)

    def __exit__(self, kind: object, *error: object) -> None:
        """Close the bar, full if nothing has ended it early."""
        if self.bar is not None:
            if kind is None:
                self.bar.update(self.total - self.bar.n)
            self.bar.close()
