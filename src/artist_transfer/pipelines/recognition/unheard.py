"""Songs that an encoder hears nothing in: which they are, and what their trials are scored.

A net may have no active feature for a song that others hear well; its vector is zero then, and has no direction to
compare. Which songs these are is the encoder's doing, so their trials are not taken away: a poor net would choose what
all systems are tried on, and the hash would no longer be that of the trials that were scored, which lists of scores
from elsewhere rest on. All systems keep all trials. The song takes no part in what is learned or enrolled, and a trial
with nothing to compare is scored 0 in every scoring: the cosine of what has nothing in common, the log-likelihood ratio
that speaks for neither side, the normalised score of the cohort's mean. It depends on no other trial, and all artists
tie at it, so that the song is identified by chance only and the encoder answers for it with errors of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from artist_transfer.pipelines.artist_evaluation.scoring import MOST_ZERO

if TYPE_CHECKING:
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.evaluation.recognition import RecognitionProtocol
    from artist_transfer.pipelines.recognition.backends import Learned

NO_EVIDENCE = 0.0


@dataclass(frozen=True)
class HeardTrials:
    """The part of a protocol that an encoder has vectors of.

    Attributes
    ----------
    protocol : RecognitionProtocol
        All of it.
    groups : dict of artist to tuple of track id
        Songs that enrol each artist; without artists that have none.
    test_ids : tuple of str
        Test songs.
    """

    protocol: RecognitionProtocol
    groups: dict[str, tuple[str, ...]]
    test_ids: tuple[str, ...]

    @classmethod
    def of(cls, protocol: RecognitionProtocol, vectors: Embeddings) -> HeardTrials:
        """Take what there are vectors of."""
        there = set(vectors.track_ids)
        groups = {artist: tuple(t for t in own if t in there) for artist, own in protocol.enrolment_groups.items()}
        tests = tuple(track for track in protocol.test_ids if track in there)
        return cls(protocol, {artist: own for artist, own in groups.items() if own}, tests)

    @property
    def artists(self) -> tuple[str, ...]:
        """Those that can be enrolled, in the protocol's order."""
        return tuple(self.groups)

    @property
    def unscored(self) -> int:
        """Trials with nothing to compare."""
        every = len(self.protocol.artists) * len(self.protocol.test_ids)
        return every - len(self.artists) * len(self.test_ids)

    def spread(self, scores: np.ndarray) -> np.ndarray:
        """Give every trial of the protocol a score.

        Parameters
        ----------
        scores : np.ndarray [shape=(len(artists), len(test_ids))]
            Of what was heard.

        Returns
        -------
        np.ndarray [shape=(M, n)], float64
            0 where there is nothing to compare.
        """
        rows, columns = np.isin(self.protocol.artists, self.artists), np.isin(self.protocol.test_ids, self.test_ids)
        out = np.full((len(rows), len(columns)), NO_EVIDENCE)
        out[np.ix_(rows, columns)] = scores
        return out


def heard_songs(vectors: Mapping[str, Embeddings]) -> dict[str, Embeddings]:
    """Keep the songs whose vector has a direction.

    Parameters
    ----------
    vectors : mapping of target to Embeddings
        As an encoder gives them.

    Returns
    -------
    dict of target to Embeddings
        Without zero vectors.
    """
    from artist_transfer.evaluation.cosine import zero_vectors

    found = {}
    for target, own in vectors.items():
        zero = set(zero_vectors(own))
        found[target] = own.subset([track for track in own.track_ids if track not in zero]) if zero else own
    return found


def unheard_songs(heard: Mapping[str, Embeddings], learned: Learned) -> dict[str, dict[str, Any]]:
    """Name and count what an encoder does not hear.

    Parameters
    ----------
    heard : mapping of target to Embeddings
        As `heard_songs` gives them.
    learned : Learned
        Songs that are needed: of training, and of the trials.

    Returns
    -------
    dict of target to dict
        Only targets where something is missing. ``songs`` (sorted), ``of`` (number of songs needed), and by role
        ``trials``: how many are scored 0.
    """
    found = {}
    for target, own in heard.items():
        here = {role: protocol for (name, role), protocol in learned.protocols.items() if name == target}
        needed = set(learned.train_ids) if target == "self" else set()
        for protocol in here.values():
            needed |= {*protocol.enrolments["track_id"], *protocol.test_ids}
        missing = sorted(needed.difference(own.track_ids))
        if missing:
            trials = {role: HeardTrials.of(protocol, own).unscored for role, protocol in here.items()}
            found[target] = {"songs": missing, "of": len(needed), "trials": trials}
    return found


def why_dead(unheard: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Say why an encoder is of no use at all.

    Parameters
    ----------
    unheard : mapping of target to mapping
        As `unheard_songs` gives it.

    Returns
    -------
    str or None
        A reason if most songs of a target have no vector: a net that is dead, and not a song that is silent.
    """
    for target, facts in unheard.items():
        if len(facts["songs"]) > MOST_ZERO * facts["of"]:
            return f"{len(facts['songs'])} of the {facts['of']} vectors of {target} are zero: a dead net"
    return None


def unheard_note(encoder: str, unheard: Mapping[str, Mapping[str, Any]], *, most: int = 10) -> str:
    """Tell what an encoder does not hear.

    Parameters
    ----------
    encoder : str
        Its name.
    unheard : mapping of target to mapping
        As `unheard_songs` gives it.
    most : int > 0
        Songs that are named.

    Returns
    -------
    str
        A sentence.
    """
    from artist_transfer.evaluation.cosine import some

    parts = []
    for target, facts in unheard.items():
        trials = ", ".join(f"{role} {count}" for role, count in sorted(facts["trials"].items()))
        count, named = len(facts["songs"]), some(facts["songs"], most)
        parts.append(f"{count} of {facts['of']} songs of {target} ({named}; trials without a comparison: {trials})")
    return (
        f"{encoder} hears nothing in {'; '.join(parts)}. The vector of such a song is zero: it is neither learned from "
        "nor enrolled, and a trial with nothing to compare is scored 0."
    )
