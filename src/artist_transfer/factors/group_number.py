"""How many groups: coherence of the groups, and the likelihood of artists they were not fitted on.

**Parts.** The artists are permuted by the seed; each part holds out the next share of them, so that no artist is held
out twice, and fits the groups on the others as the factors are fitted (same restarts, same seeds, both priors
1 / groups). The dictionary is left as it is: its centres were fitted on all these artists.

**Held-out bound.** Variational lower bound on the log-likelihood of the held-out artists' words, in nats a word (Blei,
Ng and Jordan 2003; exp(-bound) is the perplexity). The groups are taken at their posterior mean (Wallach et al. 2009).
gensim's ``log_perplexity`` (in nats too, though its log message raises 2 to it) is no measure for this choice: it
subtracts the groups' own divergence from their prior, once for every held-out corpus however small, and by the
expected logarithm an unseen word costs about as many nats as there are groups, the prior being 1 / groups. Both weigh
more the more groups there are; the tests show a corpus of short documents where it misses the true number.

**Coherence.** Normalised pointwise mutual information of each group's most probable words over the documents of all
artists (gensim's ``c_npmi`` with a window as long as the document; Röder, Both and Hinneburg 2015), -1 … 1, mean over
all groups. An artist's document is the set of words whose share in the artist's bag is above their mean share: every
artist has nearly every word of frames, so that presence alone would say nothing. Counts divided by the number of
tracks give the same document as plain ones. A group that no artist uses has arbitrary words and lowers the mean. A
group of one artist is coherent by itself: with nearly as many groups as artists believe the bound, not the coherence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from artist_transfer.artifacts import commit_folder, fingerprint, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.factors.bag_of_words import ArtistBags
from artist_transfer.factors.latent_dirichlet import fit_groups

MEASURES = ("coherence", "held_out_bound", "groups_in_use")
PERMUTATION = 0x6E0  # keeps this draw apart from others of the same seed


def group_number_table(
    bags: ArtistBags,
    *,
    numbers: Sequence[int],
    passes: int = 20,
    iterations: int = 100,
    restarts: int = 3,
    seed: int = 0,
    parts: int = 3,
    held_out_share: float = 0.2,
    top_words: int = 10,
    max_artists: int | None = None,
    cache_root: str | Path | None = None,
    label: str = "latent Dirichlet",
) -> pd.DataFrame:
    """Measure numbers of groups on artists.

    Parameters
    ----------
    bags : ArtistBags
        Bags of training artists, in any order.
    numbers : sequence of int >= 1
        Numbers of groups.
    passes, iterations, restarts, seed : int
        See `fit_groups`; the seed also draws the parts.
    parts : int > 0
        Times that artists are held out, each time others.
    held_out_share : float, 0 … 1
        Artists held out each time; `parts` times it is at most 1.
    top_words : int >= 2
        Words of a group that the coherence looks at.
    max_artists : int or None
        Only so many artists, a seeded sample, where the fits would take too long; None takes all.
    cache_root : str, Path or None
        Root of the cache, where every fit's measures are kept; None keeps nothing.
    label : str
        What the progress bars call it.

    Returns
    -------
    pd.DataFrame
        A row a number, ascending: ``groups``; ``coherence`` and ``held_out_bound`` (nats a word), means over the
        parts, the greater the better, with their standard errors ``…_se`` (missing with one part; a little too
        small, as the fits share artists; all numbers are measured on the same parts, so that differences between
        them are surer than the errors of each say); ``groups_in_use``, the mean number of groups that are the
        greatest of at least one fitted artist; ``n_artists`` fitted on and ``n_held_out`` in each part; ``status``
        (``done`` or ``skipped``) and ``reason``, missing where there is nothing to say.

    Raises
    ------
    ArtistTransferError
        If a parameter is impossible.
    """
    settings = {"passes": passes, "iterations": iterations, "restarts": restarts, "seed": seed}
    numbers = _checked_numbers(numbers)
    _check(parts, held_out_share, top_words, max_artists, settings)
    sides = _sides(bags.artist_ids, parts, held_out_share, max_artists, seed)
    n_fitted, n_held_out = (len(sides[0][0]), len(sides[0][1])) if sides else (len(bags.artist_ids), 0)
    rows: list[dict[str, Any]] = []
    fits = [number for number in numbers if sides and number <= n_fitted]
    with tqdm(total=len(fits) * len(sides), desc=f"{label}: number of groups", unit="fit", leave=False) as bar:
        for number in numbers:
            row: dict[str, Any] = {"groups": number, "n_artists": n_fitted, "n_held_out": n_held_out}
            if number not in fits:
                why = f"{number} groups, but only {n_fitted} artists to fit them on"
                row |= {"status": "skipped", "reason": why if sides else _too_few(n_fitted, parts)}
                rows.append(row)
                continue
            measured = []
            for fitted, held_out in sides:
                values = _measure(bags, number, fitted, held_out, top_words, settings, cache_root, label)
                measured.append(values)
                bar.update(1)
            rows.append(row | _summary(measured) | {"status": "done"})
    return _table(rows)


def held_out_bound(topics: np.ndarray, bags: np.ndarray, *, iterations: int = 100, seed: int = 0) -> float:
    """Bound the log-likelihood of artists under given groups.

    Parameters
    ----------
    topics : np.ndarray [shape=(group, word)], rows sum to 1
        Distribution of each group over the words.
    bags : np.ndarray [shape=(artist, word)], >= 0
        Bags of artists; counts need not be whole.
    iterations : int > 0
        Steps of the inference of one artist, at most.
    seed : int
        Of the inference.

    Returns
    -------
    float, nats a word
        Sum of the artists' bounds (Blei, Ng and Jordan 2003, appendix A.3, at the optimum of their
        variational parameters and with a prior of 1 / groups), divided by the sum of all counts.
    """
    from gensim.models import LdaModel
    from scipy.special import gammaln, psi

    topics, bags = np.asarray(topics, dtype=np.float64), np.asarray(bags, dtype=np.float64)
    n_groups, n_words = topics.shape
    documents = [[(int(word), float(row[word])) for word in np.flatnonzero(row)] for row in bags]
    with threadpool_limits(1, user_api="blas"):
        model = LdaModel(
            num_topics=n_groups,
            id2word={word: str(word) for word in range(n_words)},
            alpha="symmetric",
            eta="symmetric",
            iterations=iterations,
            random_state=np.random.RandomState([seed]),
            dtype=np.float64,
        )
        model.expElogbeta = topics  # all that the inference reads of the groups
        gamma, _ = model.inference(documents)
        alpha = model.alpha
        log_theta = psi(gamma) - psi(gamma.sum(axis=1, keepdims=True))
        score = np.sum((alpha - gamma) * log_theta) + np.sum(gammaln(gamma) - gammaln(alpha))
        score += len(bags) * gammaln(alpha.sum()) - np.sum(gammaln(gamma.sum(axis=1)))
        for row, weights in zip(bags, np.exp(log_theta), strict=True):
            words = np.flatnonzero(row)
            score += row[words] @ np.log(weights @ topics[:, words])
    return float(score / bags.sum())


def group_coherence(topics: np.ndarray, bags: np.ndarray, *, top_words: int = 10) -> np.ndarray:
    """Measure how much the words of each group occur together.

    Parameters
    ----------
    topics : np.ndarray [shape=(group, word)]
        Distribution of each group over the words.
    bags : np.ndarray [shape=(artist, word)], >= 0, no row all zero
        Bags of artists; see the top of this module for the documents they are.
    top_words : int >= 2
        Words of a group that are looked at: its most probable ones of those in any document, the first of equals.

    Returns
    -------
    np.ndarray [shape=(group,)], -1 … 1
        Mean normalised pointwise mutual information of each pair of a group's words. Missing (NaN) if fewer than two
        words are in any document, as when all artists are alike.
    """
    from gensim.corpora import Dictionary
    from gensim.models import CoherenceModel

    bags = np.asarray(bags, dtype=np.float64)
    shares = bags / bags.sum(axis=1, keepdims=True)
    # Equal shares differ in their last bits, which must not make a word of one artist's and not of another's.
    present = shares > shares.mean(axis=0) * (1 + 1e-9)
    known = np.flatnonzero(present.any(axis=0))
    if len(known) < 2:
        return np.full(len(topics), np.nan)
    names = [str(word) for word in range(bags.shape[1])]
    tops = known[np.argsort(-np.asarray(topics)[:, known], axis=1, kind="stable")[:, :top_words]]
    texts = [[names[word] for word in np.flatnonzero(row)] for row in present]
    model = CoherenceModel(
        topics=[[names[word] for word in top] for top in tops],
        texts=texts,
        dictionary=Dictionary([names]),
        coherence="c_npmi",
        window_size=len(names) + 1,
        topn=top_words,
        processes=1,
    )
    return np.asarray(model.get_coherence_per_topic(), dtype=np.float64)


def _checked_numbers(numbers: Sequence[int]) -> list[int]:
    if not len(numbers):
        raise ArtistTransferError("numbers of groups: the list is empty; it needs at least one number, 1 or more")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
            raise ArtistTransferError(f"numbers of groups: {number!r} is none; allowed are whole numbers, 1 or more")
    return sorted({int(number) for number in numbers})


def _check(
    parts: int, held_out_share: float, top_words: int, max_artists: int | None, settings: dict[str, int]
) -> None:
    least = {"parts": (parts, 1), "top_words": (top_words, 2), "max_artists": (max_artists, 2)}
    least |= {name: (settings[name], 1) for name in ("passes", "iterations", "restarts")}
    for name, (value, allowed) in least.items():
        if value is not None and value < allowed:
            raise ArtistTransferError(f"{name} is {value}; it has to be {allowed} or more")
    if not 0 < held_out_share < 1 or parts * held_out_share > 1 + 1e-9:
        raise ArtistTransferError(
            f"held_out_share is {held_out_share:g} with parts={parts}; it has to be between 0 and 1, and both"
            " multiplied at most 1, as no artist is held out twice"
        )


def _sides(
    artist_ids: Sequence[str], parts: int, held_out_share: float, max_artists: int | None, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each part the rows to fit on and those held out, both by artist; none if there are too few."""
    order = np.argsort(np.array(artist_ids, dtype=object))
    drawn = np.random.default_rng([seed, PERMUTATION]).permutation(len(order))[:max_artists]
    if len(drawn) <= parts:
        return []
    size = max(1, int(held_out_share * len(drawn) + 1e-9))
    held_out = [drawn[i * size : (i + 1) * size] for i in range(parts)]
    return [(order[np.sort(np.setdiff1d(drawn, each))], order[np.sort(each)]) for each in held_out]


def _too_few(n_artists: int, parts: int) -> str:
    return f"{n_artists} artists are too few to hold out others {parts} times and fit on the rest"


def _measure(
    bags: ArtistBags,
    groups: int,
    fitted: np.ndarray,
    held_out: np.ndarray,
    top_words: int,
    settings: dict[str, int],
    cache_root: str | Path | None,
    label: str,
) -> dict[str, float | None]:
    """Fit one number of groups on one part's artists and measure it, or take the measures from the cache."""
    sides = [[bags.artist_ids[row] for row in rows] for rows in (fitted, held_out)]
    counts = bags.counts[fitted], bags.counts[held_out]
    key = fingerprint("number of groups", groups, sides, list(counts), top_words, settings)
    folder = None if cache_root is None else Path(cache_root) / "group_numbers" / key
    if folder is not None and open_folder(folder) is not None:
        return read_json(folder / "measures.json")
    model = fit_groups(counts[0], groups=groups, uniformity_limit=1.0, label=f"{label}, {groups} groups", **settings)
    coherence = float(group_coherence(model.topics, np.concatenate(counts), top_words=top_words).mean())
    bound = held_out_bound(model.topics, counts[1], iterations=settings["iterations"], seed=settings["seed"])
    in_use = float(len(np.unique(model.theta.argmax(axis=1))))
    values = dict(zip(MEASURES, (None if np.isnan(coherence) else coherence, bound, in_use), strict=True))
    if folder is not None:
        write_json(folder / "measures.json", values)
        details = {"groups": groups, "n_artists": len(fitted), "n_held_out": len(held_out), "top_words": top_words}
        commit_folder(folder, files=["measures.json"], details=details | settings)
    return values


def _summary(measured: list[dict[str, float | None]]) -> dict[str, Any]:
    """Average the parts."""
    frame = pd.DataFrame(measured, columns=list(MEASURES), dtype=np.float64)
    means, errors = frame.mean(skipna=False), frame.sem(skipna=False)
    row: dict[str, Any] = {name: means[name] for name in MEASURES}
    row |= {f"{name}_se": errors[name] for name in ("coherence", "held_out_bound")}
    if np.isnan(means["coherence"]):
        row["reason"] = "no coherence: fewer than two words set the artists of this corpus apart"
    return row


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    floats = ["coherence", "coherence_se", "held_out_bound", "held_out_bound_se", "groups_in_use"]
    table = pd.DataFrame(rows, columns=["groups", *floats, "n_artists", "n_held_out", "status", "reason"])
    return table.astype(dict.fromkeys(floats, np.float64) | {"status": "str", "reason": "str"})
