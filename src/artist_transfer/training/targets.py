"""What the nets learn: for each task the tracks that have a target, and the soft targets themselves.

Genre is one-hot; a factor task carries the latent Dirichlet distribution of the track's artist (AGF, section 3.1).
A track without a target of a task takes no part in that task, and is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from artist_transfer.errors import ArtistTransferError
from artist_transfer.tasks import task_rank

TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class TaskTarget:
    """The targets of one task.

    Parameters
    ----------
    task : str
        Its letter.
    rows : np.ndarray [shape=(n,)], int64, increasing
        Rows of the tracks that have a target, in the order of the frame store's tracks.
    soft : np.ndarray [shape=(n, n_out)], float32, >= 0, rows sum to 1
        Their distributions.
    n_tracks : int >= n
        Number of tracks in the frame store.

    Raises
    ------
    ArtistTransferError
        If no track has a target, or a target is not a distribution; the task is named.
    """

    task: str
    rows: np.ndarray
    soft: np.ndarray
    n_tracks: int

    def __post_init__(self) -> None:
        """Check rows and distributions."""
        where = f"task {self.task!r}"
        rows = np.ascontiguousarray(self.rows, dtype=np.int64)
        soft = np.ascontiguousarray(self.soft, dtype=np.float32)
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "soft", soft)
        if len(rows) == 0:
            raise ArtistTransferError(f"{where}: none of {self.n_tracks} training tracks has a target; leave it out")
        if soft.ndim != 2 or len(soft) != len(rows) or soft.shape[1] < 2:
            raise ArtistTransferError(f"{where}: {len(rows)} tracks but targets of shape {soft.shape}")
        if (np.diff(rows) <= 0).any() or rows[0] < 0 or rows[-1] >= self.n_tracks:
            raise ArtistTransferError(f"{where}: rows must increase and lie within 0 … {self.n_tracks - 1}")
        bad = ~(np.isfinite(soft).all(axis=1) & (soft >= 0).all(axis=1) & (abs(soft.sum(axis=1) - 1) <= TOLERANCE))
        if bad.any():
            raise ArtistTransferError(
                f"{where}: {int(bad.sum())} of {len(rows)} targets are no distributions (finite, not negative, sum "
                f"1); the first is that of track row {int(rows[bad][0])}"
            )

    @property
    def n_out(self) -> int:
        """Number of classes or groups."""
        return int(self.soft.shape[1])

    @property
    def n_without(self) -> int:
        """Number of tracks without a target."""
        return self.n_tracks - len(self.rows)

    def hardened(self) -> TaskTarget:
        """Return the targets with all weight on the heaviest class, the first of several.

        Returns
        -------
        TaskTarget
            One-hot.
        """
        hard = np.eye(self.n_out, dtype=np.float32)[self.soft.argmax(axis=1)]
        return TaskTarget(task=self.task, rows=self.rows, soft=hard, n_tracks=self.n_tracks)

    @classmethod
    def from_labels(cls, task: str, labels: Sequence[str | None], classes: Sequence[str]) -> TaskTarget:
        """Make one-hot targets.

        Parameters
        ----------
        task : str
            Its letter.
        labels : sequence of str or None
            One for each track of the frame store; None (or NaN) for none.
        classes : sequence of str
            The classes, in the order of the outputs.

        Returns
        -------
        TaskTarget
            Tracks without a label left out.

        Raises
        ------
        ArtistTransferError
            If a label is not among the classes.
        """
        place = {name: i for i, name in enumerate(classes)}
        given = [(row, label) for row, label in enumerate(labels) if isinstance(label, str)]
        unknown = sorted({label for _, label in given} - place.keys())
        if unknown:
            raise ArtistTransferError(f"task {task!r}: labels {unknown[:5]} are not among the {len(place)} classes")
        soft = np.eye(len(place), dtype=np.float32)[[place[label] for _, label in given]]
        return cls(task=task, rows=np.array([row for row, _ in given], dtype=np.int64), soft=soft, n_tracks=len(labels))

    @classmethod
    def from_vectors(cls, task: str, vectors: np.ndarray) -> TaskTarget:
        """Make soft targets.

        Parameters
        ----------
        task : str
            Its letter.
        vectors : np.ndarray [shape=(n_tracks, n_out)]
            A distribution for each track of the frame store; a row that is all NaN stands for none.

        Returns
        -------
        TaskTarget
            Tracks without a distribution left out.
        """
        rows = np.flatnonzero(~np.isnan(vectors).all(axis=1))
        return cls(task=task, rows=rows, soft=np.asarray(vectors)[rows], n_tracks=len(vectors))


class TaskTargets(Mapping[str, TaskTarget]):
    """The targets of all tasks of a training, by task letter, in canonical order.

    Parameters
    ----------
    targets : sequence of TaskTarget
        One or more, of different tasks, all over the same tracks.

    Raises
    ------
    ArtistTransferError
        If there is none, a task appears twice, or the numbers of tracks differ.
    """

    def __init__(self, targets: Sequence[TaskTarget]) -> None:
        ranked = sorted(targets, key=lambda target: task_rank(target.task))
        self._targets = {target.task: target for target in ranked}
        if not targets or len(self._targets) != len(targets):
            raise ArtistTransferError(f"one or more different tasks are needed, got {[t.task for t in targets]}")
        if len({target.n_tracks for target in targets}) != 1:
            counts = {target.task: target.n_tracks for target in targets}
            raise ArtistTransferError(f"all tasks must be over the same tracks, got {counts}")

    def __getitem__(self, task: str) -> TaskTarget:
        """Return a task's targets."""
        return self._targets[task]

    def __iter__(self) -> Iterator[str]:
        """Iterate over task letters."""
        return iter(self._targets)

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self._targets)

    @property
    def n_tracks(self) -> int:
        """Number of tracks in the frame store."""
        return next(iter(self._targets.values())).n_tracks

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Task letters and numbers of outputs, as a net's configuration takes them."""
        return tuple((task, target.n_out) for task, target in self._targets.items())

    def identity(self) -> list[list[object]]:
        """Return all there is in them, for a fingerprint."""
        return [[task, target.rows, target.soft] for task, target in self._targets.items()]
