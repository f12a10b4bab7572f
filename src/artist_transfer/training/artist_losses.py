"""The losses of the artist-label nets: the paper's hinge by cosine, and others to set beside it.

ISMIR, section 2.2: relevance R is the cosine of two features (equation 1); the hinge is ``max(0, Δ - R⁺ + R⁻)``, summed
over the negatives (equation 2); the softmax over negatives is what the paper tried beside it. Contrastive loss and
triplet hinge are those of the slides on metric learning: Hadsell, Chopra, LeCun (CVPR 2006); Weinberger, Blitzer, Saul
(NIPS 2006), Hoffer, Ailon (NIPS 2015).

Conventions: an anchor has one positive and one or more negatives; every loss returns one value an anchor, summed over
its negatives, and `combined` makes of a batch's values what is minimised.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from artist_transfer.errors import ArtistTransferError

SiameseLoss = Literal["hinge", "softmax", "contrastive", "triplet"]
Distance = Literal["unit", "euclidean", "cosine"]

_LEAST_NORM = 1e-6  # features may be zero; their relevance is 0 then


def relevance(anchors: Tensor, others: Tensor) -> Tensor:
    """Return the cosine of each anchor with each of its others (ISMIR, equation 1).

    Parameters
    ----------
    anchors : Tensor [shape=(batch, width)]
        Features.
    others : Tensor [shape=(batch, n, width)]
        Features of what they are compared with.

    Returns
    -------
    Tensor [shape=(batch, n)], -1 to 1
        0 where one of the two is zero.
    """
    return (_unit(others) * _unit(anchors).unsqueeze(1)).sum(dim=2)


def _unit(features: Tensor) -> Tensor:
    return features / torch.linalg.vector_norm(features, dim=-1, keepdim=True).clamp_min(_LEAST_NORM)


def distances(anchors: Tensor, others: Tensor, *, kind: Distance) -> Tensor:
    """Return the distance of each anchor to each of its others.

    Parameters
    ----------
    anchors : Tensor [shape=(batch, width)]
        Features.
    others : Tensor [shape=(batch, n, width)]
        Features of what they are compared with.
    kind : {"unit", "euclidean", "cosine"}
        Euclidean between features of unit length, between features as they are, or 1 - cosine.

    Returns
    -------
    Tensor [shape=(batch, n)], >= 0
        Distances; ``unit`` and ``cosine`` are 2 at most.
    """
    if kind == "cosine":
        return 1 - relevance(anchors, others)
    if kind == "unit":
        anchors, others = _unit(anchors), _unit(others)
    return torch.linalg.vector_norm(anchors.unsqueeze(1) - others, dim=2)


def hinge(anchors: Tensor, positives: Tensor, negatives: Tensor, *, margin: float = 0.4) -> Tensor:
    """Return the max-margin hinge by cosine (ISMIR, equation 2): sum over negatives of max(0, margin - R⁺ + R⁻).

    Parameters
    ----------
    anchors, positives : Tensor [shape=(batch, width)]
        Features.
    negatives : Tensor [shape=(batch, n, width)]
        Features.
    margin : float
        The paper's Δ.

    Returns
    -------
    Tensor [shape=(batch,)], >= 0
        One value an anchor.
    """
    good, bad = relevance(anchors, positives.unsqueeze(1)), relevance(anchors, negatives)
    return F.relu(margin - good + bad).sum(dim=1)


def softmax_over_negatives(
    anchors: Tensor, positives: Tensor, negatives: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """Return -ln of the positive's share in a softmax over positive and negatives (ISMIR, section 2.2).

    Parameters
    ----------
    anchors, positives : Tensor [shape=(batch, width)]
        Features.
    negatives : Tensor [shape=(batch, n, width)]
        Features.
    temperature : float > 0
        Divides the cosines.

    Returns
    -------
    Tensor [shape=(batch,)], nats
        One value an anchor; ln(n + 1) where all are equally relevant.
    """
    others = torch.cat([positives.unsqueeze(1), negatives], dim=1)
    return -F.log_softmax(relevance(anchors, others) / temperature, dim=1)[:, 0]


def contrastive(anchors: Tensor, positives: Tensor, negatives: Tensor, *, margin: float, distance: Distance) -> Tensor:
    """Return the contrastive loss (slides): D⁺²/2 plus the sum over negatives of max(0, margin - D⁻)²/2.

    Parameters
    ----------
    anchors, positives : Tensor [shape=(batch, width)]
        Features.
    negatives : Tensor [shape=(batch, n, width)]
        Features.
    margin : float
        Distance beyond which a negative costs nothing.
    distance : {"unit", "euclidean", "cosine"}
        See `distances`.

    Returns
    -------
    Tensor [shape=(batch,)], >= 0
        One value an anchor.
    """
    near = distances(anchors, positives.unsqueeze(1), kind=distance).square().sum(dim=1)
    far = F.relu(margin - distances(anchors, negatives, kind=distance)).square().sum(dim=1)
    return 0.5 * (near + far)


def triplet(anchors: Tensor, positives: Tensor, negatives: Tensor, *, margin: float, distance: Distance) -> Tensor:
    """Return the triplet hinge (slides): max(0, D⁺ - D⁻ + margin), summed over one or many negatives.

    Parameters
    ----------
    anchors, positives : Tensor [shape=(batch, width)]
        Features.
    negatives : Tensor [shape=(batch, n, width)]
        Features.
    margin : float
        By how much the negative must be farther.
    distance : {"unit", "euclidean", "cosine"}
        See `distances`; with ``cosine`` it is `hinge`.

    Returns
    -------
    Tensor [shape=(batch,)], >= 0
        One value an anchor.
    """
    near = distances(anchors, positives.unsqueeze(1), kind=distance)
    return F.relu(near - distances(anchors, negatives, kind=distance) + margin).sum(dim=1)


def siamese_values(
    features: Tensor,
    *,
    loss: SiameseLoss,
    margin: float = 0.4,
    temperature: float = 1.0,
    distance: Distance = "unit",
) -> Tensor:
    """Return the loss of each anchor in a batch.

    Parameters
    ----------
    features : Tensor [shape=(batch, 2 + n, width)]
        Of anchor, positive and negatives; a half-precision tensor is taken to float32 first.
    loss : {"hinge", "softmax", "contrastive", "triplet"}
        Which.
    margin : float
        Of all but the softmax.
    temperature : float > 0
        Of the softmax.
    distance : {"unit", "euclidean", "cosine"}
        Of contrastive and triplet.

    Returns
    -------
    Tensor [shape=(batch,)]
        One value an anchor.

    Raises
    ------
    ArtistTransferError
        If the loss is unknown, or there is no negative.
    """
    if features.dim() != 3 or features.shape[1] < 3:
        raise ArtistTransferError(
            f"features of shape {tuple(features.shape)}: (batch, anchor and positive and 1 or more negatives, width)"
        )
    if features.dtype.itemsize < 4:
        features = features.float()
    parts = features[:, 0], features[:, 1], features[:, 2:]
    if loss == "hinge":
        return hinge(*parts, margin=margin)
    if loss == "softmax":
        return softmax_over_negatives(*parts, temperature=temperature)
    if loss == "contrastive":
        return contrastive(*parts, margin=margin, distance=distance)
    if loss == "triplet":
        return triplet(*parts, margin=margin, distance=distance)
    raise ArtistTransferError(f"loss {loss!r} is unknown; allowed are hinge, softmax, contrastive and triplet")


def artist_values(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each crop under a softmax over artists (ISMIR, section 2.1).

    Parameters
    ----------
    logits : Tensor [shape=(batch, n_artists)]
        Before the softmax; a half-precision tensor is taken to float32 first.
    labels : Tensor [shape=(batch,)], int64
        Artists.

    Returns
    -------
    Tensor [shape=(batch,)], nats
        One value a crop.
    """
    return F.cross_entropy(logits.float() if logits.dtype.itemsize < 4 else logits, labels, reduction="none")


def tag_values(logits: Tensor, tags: Tensor) -> Tensor:
    """Return the binary cross-entropy of each crop, the mean over the tags (ISMIR, section 2.3).

    Parameters
    ----------
    logits : Tensor [shape=(batch, n_tags)]
        Before the sigmoid; a half-precision tensor is taken to float32 first.
    tags : Tensor [shape=(batch, n_tags)], 0 or 1
        Which tags a song has.

    Returns
    -------
    Tensor [shape=(batch,)], nats
        One value a crop.
    """
    logits = logits.float() if logits.dtype.itemsize < 4 else logits
    return F.binary_cross_entropy_with_logits(logits, tags.to(logits.dtype), reduction="none").mean(dim=1)


def combined(values: Tensor, *, loss: str) -> Tensor:
    """Return what an update minimises.

    Parameters
    ----------
    values : Tensor [shape=(batch,)]
        One a crop or anchor.
    loss : str
        ``"hinge"`` is summed over the batch, on which its learning rate of 0.1 depends; all others are averaged.

    Returns
    -------
    Tensor [shape=()]
        Sum or mean.
    """
    return values.sum() if loss == "hinge" else values.mean()
