"""The cases of a study: which tasks are learned together, by which kind of net (AGF, sections 4.3 and 5).

A case is called ``<tasks>-<architecture>``: ``gs-mtn`` is one net that learns genre and subgenres, ``gs-stn`` two nets
whose features stand side by side, ``g-wstn3`` one genre net as large as three nets. A multi-task net of one task is a
single-task net, so there is no ``g-mtn``.

The paper's grid is all non-empty subsets of the five tasks, as STN and as MTN: 62 cells of its table 4, of which five
name the same net twice. The controls have tasks that tell artists apart without saying who is like whom: the same
factors dealt out anew among the artists (capital letters), and the artist's identity (a).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from artist_transfer.errors import ArtistTransferError
from artist_transfer.tasks import ARTIST, CONTROLS, LETTERS, SHUFFLED, TASKS, in_order, task_rank

STN, MTN, WSTN, BASELINE = "stn", "mtn", "wstn", "baseline"
SETS = ("all", "grid", "wide", "controls")
BASELINES = ("prior", "mfcc_logreg")

_NAME = re.compile(r"(?P<tasks>[A-Za-z]+?)(?:-(?P<architecture>stn|mtn|wstn(?P<n>\d+)))?")


@dataclass(frozen=True)
class Case:
    """One cell of the study.

    Attributes
    ----------
    tasks : str
        Letters in canonical order.
    architecture : {"stn", "mtn", "wstn"}
    n : int
        Number of tasks; of a wide net the number of nets that it is as large as.
    """

    tasks: str
    architecture: str
    n: int

    @property
    def name(self) -> str:
        """What it is called in every table."""
        return f"{self.tasks}-{self.architecture}{self.n if self.architecture == WSTN else ''}"

    @property
    def kind(self) -> str:
        """``grid``, ``wide`` or ``control``."""
        if self.architecture == WSTN:
            return "wide"
        return "control" if set(self.tasks) & set(CONTROLS) else "grid"

    @property
    def nets(self) -> tuple[str, ...]:
        """Names of the nets whose features it takes: of an STN one for each task, else its own."""
        if self.architecture == STN:
            return tuple(f"{task}-stn" for task in self.tasks)
        return (self.name,)


def single(tasks: str) -> Case:
    """Return the case of single-task nets.

    Parameters
    ----------
    tasks : str
        Letters, in any order.

    Returns
    -------
    Case
        An STN for each.
    """
    return Case(in_order(tasks), STN, len(tasks))


def multi(tasks: str) -> Case:
    """Return the case of one multi-task net; of one task it is the single-task net.

    Parameters
    ----------
    tasks : str
        Letters, in any order.

    Returns
    -------
    Case
        The MTN.
    """
    return Case(in_order(tasks), MTN, len(tasks)) if len(tasks) > 1 else single(tasks)


def parse_cases(text: str, *, tasks: str = TASKS) -> tuple[Case, ...]:
    """Read which cases are wanted.

    Parameters
    ----------
    text : str
        Names joined by +: sets (``all``, ``grid``, ``wide``, ``controls``), subsets of tasks (``gs``: as STN and as
        MTN), or single cases (``gs-mtn``, ``g-wstn3``).
    tasks : str
        The tasks that there are; the sets are made of these.

    Returns
    -------
    tuple of Case
        Each once: the grid by number of tasks, wide nets, controls.

    Raises
    ------
    ArtistTransferError
        If a name is unknown, a task is not among `tasks`, or none is given; says what is allowed.
    """
    found: dict[str, Case] = {}
    for token in (part.strip() for part in text.split("+")):
        for case in _read(token, tasks):
            found[case.name] = case
    return tuple(sorted(found.values(), key=_rank))


def all_cases(kind: str, tasks: str = TASKS) -> tuple[Case, ...]:
    """Return a whole set of cases.

    Parameters
    ----------
    kind : {"all", "grid", "wide", "controls"}
        The set.
    tasks : str
        The tasks that there are.

    Returns
    -------
    tuple of Case
        In canonical order.
    """
    made = {
        "grid": lambda: _grid(tasks),
        "wide": lambda: [Case("g", WSTN, n) for n in range(2, len(tasks) + 1)] if "g" in tasks else [],
        "controls": lambda: _controls(tasks),
    }
    kinds = made if kind == "all" else (kind,)
    return tuple(sorted({case for name in kinds for case in made[name]()}, key=_rank))


def tasks_of(cases: Iterable[Case]) -> str:
    """Return the tasks whose factors must be known: shuffled ones count as what they were shuffled from.

    Parameters
    ----------
    cases : iterable of Case
        The cases.

    Returns
    -------
    str
        Letters of g, s, e, d, m, in order.
    """
    letters = {task.lower() if task in SHUFFLED else task for case in cases for task in case.tasks}
    return in_order("".join(letters & set(TASKS)))


def _read(token: str, tasks: str) -> Sequence[Case]:
    if token in SETS:
        return all_cases(token, tasks)
    match = _NAME.fullmatch(token)
    if match is None or set(match["tasks"]) - set(LETTERS) or len(set(match["tasks"])) < len(match["tasks"]):
        raise ArtistTransferError(f"{token!r} is not a case. {_allowed(tasks)}")
    letters, architecture = in_order(match["tasks"]), match["architecture"]
    lacking = sorted(set(tasks_of([single(letters)])) - set(tasks), key=task_rank)
    if lacking:
        raise ArtistTransferError(f"{token!r} needs task {', '.join(lacking)}, but tasks={tasks}. {_allowed(tasks)}")
    if architecture is None:
        return [single(letters), multi(letters)]
    if architecture.startswith(WSTN):
        n = int(match["n"])
        if letters != "g" or n < 2:
            raise ArtistTransferError(
                f"{token!r}: a wide net learns genre and is as large as two nets or more (g-wstn2, g-wstn3, …)"
            )
        return [Case("g", WSTN, n)]
    return [single(letters) if architecture == STN else multi(letters)]


def _allowed(tasks: str) -> str:
    return (
        f"Allowed, joined by +: {', '.join(SETS)}; any subset of {tasks}{ARTIST} or, for factors shuffled among the "
        f"artists, of {SHUFFLED} (gs, gsM, …), alone for both architectures or with -stn or -mtn; g-wstn2, g-wstn3, …"
    )


def _grid(tasks: str) -> list[Case]:
    subsets = ["".join(subset) for n in range(1, len(tasks) + 1) for subset in combinations(tasks, n)]
    return [make(subset) for subset in subsets for make in (single, multi)]


def _controls(tasks: str) -> list[Case]:
    shuffled = "".join(task.upper() for task in tasks if task.upper() in SHUFFLED)
    groups = [ARTIST, *shuffled]
    if len(shuffled) > 1:
        groups.append(shuffled)
    cases = [single(ARTIST)]
    if "g" in tasks:
        cases += [make(f"g{group}") for group in groups for make in (single, multi)]
    return cases


def _rank(case: Case) -> tuple[object, ...]:
    kinds = ("grid", "wide", "control")
    return (
        kinds.index(case.kind),
        case.n,
        [task_rank(task) for task in case.tasks],
        (STN, MTN, WSTN).index(case.architecture),
    )
