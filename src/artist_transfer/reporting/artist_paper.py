"""What the papers on artist labels print, to stand beside a run's scores, never to be compared point by point.

Park, Lee, Park, Ha, Nam: "Representation Learning of Music Using Artist Labels", ISMIR 2018, tables 1-4. The nets of
tables 1-3 were trained on 5,000 artists of the Million Song Dataset (the tag-label net on as many songs), those of
table 4 on 10,000. Its figures 2-5 print no numbers. "DeepArtistID" is the first version of that paper (tables 1 and 2):
a Basic net, logistic regression or neural networks on its features. All without intervals.
"""

from __future__ import annotations

from math import nan

NETS = {"basic": "Basic", "siamese": "Siamese", "tag": "tag-label"}
"""The paper's nets, in its order."""
PROJECTED = " + discriminant"
"""What stands behind a system whose vectors went through a linear discriminant of artists."""
TRAINED = NETS | {f"{net}{PROJECTED}": f"{name}{PROJECTED}" for net, name in NETS.items()}
"""All that is trained on a set of artists."""
METRICS = {
    "map": "MAP",
    "knn_accuracy": "k-NN accuracy",
    "softmax_accuracy": "linear softmax accuracy",
    "logistic_accuracy": "logistic regression accuracy",
    "neural_accuracy": "neural network accuracy",
    "artist_map": "artist retrieval MAP",
    "artist_top1": "artist enrolled by average, top 1",
    "artist_top5": "artist enrolled by average, top 5",
    "auc": "AUC (macro)",
    "ap": "AP (macro)",
    "neural_auc": "AUC of dense layers (macro)",
    "neural_ap": "AP of dense layers (macro)",
}
TARGETS = {
    "gtzan": "GTZAN (fault-filtered)",
    "fma_small": "FMA small",
    "naver": "NAVER Korean",
    "magnatagatune": "MagnaTagATune",
    "jamendo": "MTG-Jamendo",
}
LABEL = "paper, ISMIR 2018, trained on MSD"
EARLY = "paper, DeepArtistID, trained on MSD"
N_ARTISTS, N_ARTISTS_TABLE_4 = 5_000, 10_000

TABLE_1: dict[str, tuple[float, float, float]] = {
    "gtzan": (0.4968, 0.5510, 0.5508),
    "fma_small": (0.2441, 0.3203, 0.3019),
    "naver": (0.3152, 0.3577, 0.3576),
}
"""MAP of the Basic, the Siamese and the tag-label net."""

TABLE_2: dict[str, tuple[float, float, float]] = {
    "gtzan": (0.6655, 0.6966, 0.6759),
    "fma_small": (0.5269, 0.5732, 0.5332),
    "naver": (0.6671, 0.6393, 0.6898),
}
"""Accuracy of k-NN (k = 20)."""

TABLE_3: dict[str, tuple[float, float, float]] = {
    "gtzan": (0.6721, 0.6993, 0.7072),
    "fma_small": (0.5791, 0.5483, 0.5641),
    "naver": (0.6696, 0.6623, 0.6755),
}
"""Accuracy of a linear softmax."""

TABLE_4: dict[str, tuple[float, float]] = {
    "2-D CNN [17]": (0.6320, nan),
    "Temporal features [16]": (0.6590, nan),
    "Multi-level Multi-scale [20]": (0.7200, nan),
    "SVM [7]": (nan, 0.5482),
    "Artist-label Basic model": (0.7076, 0.5687),
    "Artist-label Siamese model": (0.7203, 0.5673),
}
"""Model → accuracy on GTZAN (fault-filtered) and FMA small; numbers in brackets are the paper's references."""
TABLE_4_TARGETS = ("gtzan", "fma_small")

TABLES = {"map": TABLE_1, "knn_accuracy": TABLE_2, "softmax_accuracy": TABLE_3}
TABLE_NUMBERS = {"map": 1, "knn_accuracy": 2, "softmax_accuracy": 3}

EARLY_BY_ARTISTS: dict[str, dict[int, float]] = {
    "gtzan": {100: 0.5852, 500: 0.6672, 1000: 0.6893, 2000: 0.6893, 5000: 0.7617},
    "magnatagatune": {100: 0.8394, 500: 0.8740, 1000: 0.8822, 2000: 0.8855, 5000: 0.8917},
}
"""Target → number of artists → accuracy (GTZAN) or AUC (MagnaTagATune); DeepArtistID, table 1."""
EARLY_METRICS = {
    "gtzan": ("softmax_accuracy", "logistic_accuracy", "neural_accuracy"),
    "magnatagatune": ("auc", "neural_auc"),
}
"""Beside which scores its numbers stand: of GTZAN it tried neural networks and logistic regression and does not say
which it prints, MagnaTagATune's are of two dense layers."""

EARLY_TABLE_2: dict[str, tuple[float, float]] = {
    "1-D CNN [21]": (nan, 0.8815),
    "Transfer learning [22]": (nan, 0.8800),
    "Persistent CNN [23]": (nan, 0.9013),
    "2-D CNN [24]": (nan, 0.8940),
    "2-D CNN [14]": (0.6320, nan),
    "Temporal features [25]": (0.6590, nan),
    "Multi-level Multi-scale [10]": (0.7200, 0.9021),
    "Artist labels without linear discriminant": (0.7617, 0.8917),
    "Artist labels with linear discriminant": (0.7821, 0.8888),
}
"""Model → accuracy on GTZAN, AUC on MagnaTagATune."""
EARLY_TABLE_2_TARGETS = ("gtzan", "magnatagatune")


def paper_score(target: str, net: str, metric: str) -> float:
    """Return what tables 1-3 have.

    Parameters
    ----------
    target : str
        A key of `TARGETS`.
    net : {"basic", "siamese", "tag"}
    metric : {"map", "knn_accuracy", "softmax_accuracy"}

    Returns
    -------
    float
        NaN where the paper has nothing.
    """
    table = TABLES.get(metric, {})
    return table[target][list(NETS).index(net)] if target in table and net in NETS else nan


def paper_by_artists(target: str, net: str, metric: str) -> dict[int, float]:
    """Return the ISMIR paper's numbers by number of training artists, as far as it prints them.

    Parameters
    ----------
    target, net, metric : str
        As in `paper_score`.

    Returns
    -------
    dict of int to float
        At most that of tables 1-3 (5,000 artists) and that of table 4 (10,000).
    """
    found = {N_ARTISTS: paper_score(target, net, metric)}
    model = {"basic": "Artist-label Basic model", "siamese": "Artist-label Siamese model"}.get(net)
    if metric == "softmax_accuracy" and model and target in TABLE_4_TARGETS:
        found[N_ARTISTS_TABLE_4] = TABLE_4[model][TABLE_4_TARGETS.index(target)]
    return {n: value for n, value in found.items() if value == value}
