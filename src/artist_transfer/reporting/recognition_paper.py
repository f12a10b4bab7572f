"""What the DeepArtistID paper says on artist recognition, in numbers where it prints some and in words where not.

Park, Lee, Park, Ha, Nam: "Representation Learning of Music Using Artist Labels", first version. Tables 1 and 2 have
numbers (their transcript is in `artist_transfer.reporting.artist_paper`); figures 2 and 3, on verification and
identification, are drawn without any, so nothing of them can stand beside a run but what section 3.4 says in words.
"""

from __future__ import annotations

from artist_transfer.reporting.artist_paper import EARLY_BY_ARTISTS, EARLY_TABLE_2, EARLY_TABLE_2_TARGETS, METRICS

PAPER = "DeepArtistID, trained on MSD"
PAPER_NET = "DeepArtistID (Basic)"
PAPER_ARTISTS = (100, 300, 500, 1000, 2000)
"""Numbers of training artists of figures 2 and 3."""
PAPER_PROTOCOL = "500 unseen artists, 15 songs to enrol and 5 to test"

FIGURE_2_AND_3 = (
    "Figures 2 and 3 of the paper print no numbers, so no mark of theirs stands here. In words it says (section 3.4; "
    f"{PAPER_PROTOCOL}, nets of {', '.join(f'{n:,}' for n in PAPER_ARTISTS)} artists of the Million Song Dataset): in "
    "verification DeepArtistID is ahead of the i-vector but for 100 artists, and further ahead with more; in "
    "identification the i-vector is ahead until many artists were trained on; late fusion is best in all cases; early "
    "fusion is generally worse than either alone."
)

TABLE_1 = EARLY_BY_ARTISTS
TABLE_2 = EARLY_TABLE_2
TABLE_2_TARGETS = EARLY_TABLE_2_TARGETS
PRINTED = {"gtzan": "accuracy", "magnatagatune": "AUC"}
"""What the paper prints of each target."""

RECOGNITION_METRICS = {
    "eer": "EER",
    "min_dcf_0.01": "minDCF (0.01)",
    "min_dcf_0.05": "minDCF (0.05)",
    "cllr": "Cllr (bits)",
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
}
"""In the order in which they are shown; others follow."""
LESS_IS_BETTER = ("eer", "min_dcf", "cllr")
"""How the names of metrics begin of which less is better."""


def metric_name(metric: object) -> str:
    """Return what to call a metric of recognition.

    Parameters
    ----------
    metric : object

    Returns
    -------
    str
    """
    name = str(metric)
    if name in RECOGNITION_METRICS:
        return RECOGNITION_METRICS[name]
    if name.startswith("min_dcf_"):
        return f"minDCF ({name.removeprefix('min_dcf_')})"
    return name.replace("_", " ")


def transfer_metric_name(metric: object) -> str:
    """Return what to call a score of classification or tagging.

    Parameters
    ----------
    metric : object

    Returns
    -------
    str
    """
    return METRICS.get(str(metric), str(metric).replace("_", " "))


def less_is_better(metric: object) -> bool:
    """Tell whether a low score is a good one.

    Parameters
    ----------
    metric : object

    Returns
    -------
    bool
        True of errors and costs, False of accuracies.
    """
    return str(metric).startswith(LESS_IS_BETTER)
