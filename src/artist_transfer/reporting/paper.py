"""The paper's own results, to stand beside a run's, never to be compared with them point by point.

Kim, Won, Serrà, Liem: "Transfer Learning of Artist Group Factors to Musical Genre Classification", Companion
of The Web Conference 2018 (AGF), table 4. They are of FMA medium (25,000 tracks, 16 genres), a stratified
85/15 split in which artists stand on both sides, one run each, without intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

TASK_NAMES = {
    "g": "genre",
    "s": "subgenres",
    "e": "Essentia",
    "d": "dMFCC",
    "m": "MFCC",
}
"""Learning tasks in their canonical order (AGF, table 1)."""

LABEL = "paper, FMA medium, stratified"

TABLE_4: dict[str, tuple[tuple[float, float], tuple[float, float] | None]] = {
    "g": ((0.8891, 0.5963), None),
    "m": ((1.1812, 0.3581), None),
    "d": ((1.0987, 0.3967), None),
    "e": ((1.2542, 0.3437), None),
    "s": ((0.9404, 0.5218), None),
    "gs": ((0.8606, 0.6114), (0.8578, 0.6190)),
    "ge": ((0.8811, 0.5953), (0.8792, 0.5996)),
    "gd": ((0.8845, 0.5898), (0.8803, 0.5955)),
    "gm": ((0.8874, 0.5957), (0.8813, 0.6037)),
    "se": ((0.9124, 0.5537), (0.9079, 0.5502)),
    "sd": ((0.9191, 0.5601), (0.9146, 0.5412)),
    "sm": ((0.9260, 0.5581), (0.9283, 0.5458)),
    "ed": ((1.0557, 0.4433), (1.0422, 0.4399)),
    "em": ((1.1186, 0.4244), (1.1060, 0.4376)),
    "dm": ((1.0583, 0.4373), (1.0704, 0.4280)),
    "gse": ((0.8361, 0.6255), (0.8335, 0.6277)),
    "gsd": ((0.8579, 0.6280), (0.8519, 0.6150)),
    "gsm": ((0.8486, 0.6289), (0.8541, 0.6153)),
    "ged": ((0.8528, 0.6051), (0.8601, 0.6067)),
    "gem": ((0.8645, 0.5988), (0.8701, 0.6056)),
    "gdm": ((0.8773, 0.5985), (0.8845, 0.5941)),
    "sed": ((0.8965, 0.5818), (0.8867, 0.5640)),
    "sem": ((0.9104, 0.5834), (0.8889, 0.5668)),
    "sdm": ((0.9211, 0.5629), (0.9109, 0.5572)),
    "edm": ((1.0359, 0.4879), (1.0365, 0.4675)),
    "gsed": ((0.8211, 0.6343), (0.8132, 0.6328)),
    "gsem": ((0.8264, 0.6352), (0.8172, 0.6284)),
    "gsdm": ((0.8407, 0.6379), (0.8288, 0.6170)),
    "gedm": ((0.8466, 0.6053), (0.8450, 0.6152)),
    "sedm": ((0.8906, 0.5856), (0.8875, 0.5870)),
    "gsedm": ((0.7894, 0.6599), (0.7727, 0.6571)),
}
"""Tasks → (log loss, macro F1) of the single-task nets, and of the multi-task net (None for one task)."""


@dataclass(frozen=True)
class PaperResult:
    """One row of the paper's table 4.

    Attributes
    ----------
    tasks : str
    architecture : {"stn", "mtn"}
        The one whose numbers they are: of one task the paper has only the STN.
    log_loss, f1_macro : float
    """

    tasks: str
    architecture: str
    log_loss: float
    f1_macro: float

    @property
    def label(self) -> str:
        """What to call it in a table or figure."""
        return f"{self.architecture.upper()} {self.tasks} ({LABEL})"


def paper_result(tasks: str, architecture: str) -> PaperResult | None:
    """Find the paper's numbers for the tasks and the architecture of a run.

    Parameters
    ----------
    tasks : str
        Task letters in any order.
    architecture : {"stn", "mtn"}
        Of one task the single-task net is returned for both: a net of one task shares nothing.

    Returns
    -------
    PaperResult or None
        None where the paper has no such row (features of somebody else, for instance).
    """
    key = "".join(letter for letter in TASK_NAMES if letter in tasks)
    if key not in TABLE_4 or sorted(key) != sorted(tasks) or architecture not in ("stn", "mtn"):
        return None
    single, multi = TABLE_4[key]
    if architecture == "mtn" and multi is not None:
        return PaperResult(key, "mtn", *multi)
    return PaperResult(key, "stn", *single)
