"""Choices that the paper left open, one changed at a time, all else being the run's (AGF, sections 3 and 4)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferWarning
from artist_transfer.pipelines.agf_study.params import AblationBlock, read_choices, read_numbers
from artist_transfer.pipelines.group_factors.nodes import NAMES, FeatureSet
from artist_transfer.pipelines.group_factors.params import FactorsBlock
from artist_transfer.study.cases import MTN, Case, multi, parse_cases, single, tasks_of
from artist_transfer.tasks import FACTORS, in_order

OF_FACTORS = ("dictionary", "groups", "targets", "fit_on")
SIZES = {"groups": "groups, as many as artists", "dictionary": "centres, for the frames there are"}


@dataclass(frozen=True)
class Choice:
    """The run's value of everything that an ablation may change.

    Attributes
    ----------
    factors : FactorsBlock
        Dictionary and number of groups.
    fit_on : str
        train or all.
    split : str
        Kind of split.
    draw : str
        batch or epoch.
    hard : bool
        Whether targets are hard.
    """

    factors: FactorsBlock
    fit_on: str
    split: str
    draw: str
    hard: bool = False


@dataclass(frozen=True)
class Variant:
    """One row of the table of ablations.

    Attributes
    ----------
    ablation, value : str
        What was changed, and to what.
    choice : Choice
        All of it.
    is_default : bool
        Whether this is what the run does anyway.
    wanted : dict
        What the corpus has to be able to carry: centres or groups.
    own : dict
        The run's own numbers of these.
    """

    ablation: str
    value: str
    choice: Choice
    is_default: bool
    wanted: dict[str, int] = field(default_factory=dict)
    own: dict[str, int] = field(default_factory=dict)


def ablated_case(block: AblationBlock, tasks: str) -> Case | None:
    """Return the case that is ablated.

    Parameters
    ----------
    block : AblationBlock
        It may name one.
    tasks : str
        The tasks of the study.

    Returns
    -------
    Case or None
        By default genre and the last factor task, as MTN; without genre the factor task alone; None without factors.
        Subgenres, which have no dictionary, are the first of them, so the dictionary matters where it can.
    """
    if block.case is not None:
        return parse_cases(block.case)[0]
    factors = [task for task in in_order(tasks) if task in FACTORS]
    if not factors:
        return None
    return multi(f"g{factors[-1]}") if "g" in tasks else single(factors[-1])


def variants(block: AblationBlock, choice: Choice, *, artists_known: bool) -> Iterator[Variant]:
    """List what is tried.

    Parameters
    ----------
    block : AblationBlock
        Which ablations, which numbers.
    choice : Choice
        What the run does.
    artists_known : bool
        Whether tracks can be split by artist.

    Yields
    ------
    Variant
        Each ablation with the run's own value among the others.
    """
    for name in read_choices(block.choices):
        if name in ("dictionary", "groups"):
            yield from _sizes(name, block, choice)
        elif name == "targets":
            for value in ("soft", "hard"):
                changed = replace(choice, hard=value == "hard")
                yield Variant(name, value, changed, is_default=changed == choice)
        else:
            values = {
                "fit_on": ("train", "all"),
                "split": ("artist_disjoint", "stratified"),
                "draw": ("batch", "epoch"),
            }
            own = getattr(choice, name)
            for value in values[name] if own in values[name] else (own, *values[name]):
                if value != "artist_disjoint" or artists_known:
                    changed = replace(choice, **{name: value})  # type: ignore[arg-type]  # all three are text
                    yield Variant(name, value, changed, is_default=value == own)


def _sizes(name: str, block: AblationBlock, choice: Choice) -> Iterator[Variant]:
    key, size = {"dictionary": ("dictionary", "max_centres"), "groups": ("latent_dirichlet", "groups")}[name]
    own = getattr(getattr(choice.factors, key), size)
    for number in sorted({own, *read_numbers(getattr(block, name), least=2)}):
        part = getattr(choice.factors, key).model_copy(update={size: number})
        changed = replace(choice, factors=choice.factors.model_copy(update={key: part}))
        yield Variant(name, str(number), changed, is_default=number == own, wanted={name: number}, own={name: own})


def without_effect(ablation: str, case: Case) -> str | None:
    """Say why a choice cannot change anything about a case: all its values would be one under several names.

    Parameters
    ----------
    ablation : str
        What is changed.
    case : Case
        Whose nets are trained. Of a wide net the number of groups would change the width alone, which says nothing
        about groups.

    Returns
    -------
    str or None
        The reason, or None if the choice matters.
    """
    factors = [task for task in tasks_of([case]) if task in FACTORS]
    if ablation in OF_FACTORS and not factors:
        return f"the case {case.name} has no factor task"
    if ablation == "dictionary" and factors == ["s"]:
        return "task s has no dictionary"
    if ablation == "draw" and case.architecture != MTN:
        return f"each net of {case.name} has one task, so none is drawn"
    return None


def factors_of(
    tasks: str,
    choice: Choice,
    *,
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    manifests: dict[str, dict[str, Any]],
    seed: int,
    cache_root: str,
) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, Any]]]:
    """Make the factor tables of some tasks as the group factors' own pipeline does.

    Parameters
    ----------
    tasks : str
        Letters.
    choice : Choice
        How.
    usable_table, split_table : pd.DataFrame
        Tracks and sides.
    manifests : dict
        By task: spectrograms (m, d, s) or Essentia's shards (e).
    seed : int
        Of dictionary and groups.
    cache_root : str
        Where they are kept.

    Returns
    -------
    tables, facts : dict
        By task.
    """
    tables, facts = {}, {}
    for task in tasks:
        if task not in NAMES:
            continue
        nodes = FeatureSet(task)
        rest = (usable_table, split_table, manifests[task], choice.factors)
        with warnings.catch_warnings():  # the run has said it of its own factors; the table says it of these
            warnings.simplefilter("ignore", ArtistTransferWarning)
            dictionary = nodes.fit_dictionary(*rest, tasks, None, choice.fit_on, seed, cache_root)
            bags = nodes.count_words(dictionary, *rest, choice.fit_on, seed, cache_root)
            tables[task], _, facts[task] = nodes.find_groups(bags, *rest, choice.fit_on, seed, cache_root)
    return tables, facts


def too_large(variant: Variant, facts: dict[str, dict[str, Any]]) -> str | None:
    """Say why the corpus cannot carry a variant's numbers.

    Parameters
    ----------
    variant : Variant
        What was asked for.
    facts : dict
        What `factors_of` found, by task.

    Returns
    -------
    str or None
        The reason, or None if it can.
    """
    for name, number in variant.wanted.items():
        for task, found in facts.items():
            for fold, of_fold in found["folds"].items():
                if of_fold.get("skipped"):
                    return f"task {task}, fold {fold}: {of_fold['skipped']}"
                got = _size_of(name, of_fold)
                if got is not None and got < number:
                    return f"task {task}, fold {fold}: the corpus carries {got} {SIZES[name]}"
    return None


def same_as_own(variant: Variant, facts: dict[str, dict[str, Any]]) -> str | None:
    """Say if a smaller number is the run's own under another name, because the corpus carries no more.

    Parameters
    ----------
    variant : Variant
        What was asked for, and not too large.
    facts : dict
        What `factors_of` found, by task.

    Returns
    -------
    str or None
        The reason, or None if it is another number.
    """
    for name, number in variant.wanted.items():
        most = [_most_of(name, fold, variant) for found in facts.values() for fold in found["folds"].values()]
        known = [size for size in most if size is not None]
        if number < variant.own[name] and known and max(known) <= number:
            return f"the same as {variant.own[name]}: the corpus carries {number} {SIZES[name]}"
    return None


def what_is_carried(variant: Variant, facts: dict[str, dict[str, Any]]) -> str | None:
    """Say what the run's own numbers have come to, where the corpus cannot carry them.

    Parameters
    ----------
    variant : Variant
        The run's own.
    facts : dict
        What `factors_of` found, by task.

    Returns
    -------
    str or None
        The numbers of all tasks and folds, or None if they are those that were asked for.
    """
    for name, number in variant.wanted.items():
        sizes = [_size_of(name, fold) for found in facts.values() for fold in found["folds"].values()]
        got = sorted({size for size in sizes if size is not None})
        if got and got[0] < number:
            return f"the corpus carries {got[0]}{f' to {got[-1]}' if len(got) > 1 else ''} {SIZES[name]}"
    return None


def _size_of(name: str, facts: dict[str, Any]) -> int | None:
    if facts.get("skipped"):
        return None
    if name == "groups":
        return int(facts["n_groups"])
    return None if facts["task"] == "s" else int(facts["n_words"])  # subgenres are words already


def _most_of(name: str, facts: dict[str, Any], variant: Variant) -> int | None:
    """Return how many groups or centres there would be if any number were asked for."""
    if _size_of(name, facts) is None:
        return None
    if name == "groups":
        return int(facts["n_artists"])
    return int(facts["dictionary"]["n_rows"]) // variant.choice.factors.dictionary.rows_per_centre
