"""Make ``golden_measure.npz``: error rates of fixed score lists by bob.measure, which wants an old numpy.

    python3.11 -m venv oracle && oracle/bin/pip install -r tests/oracles/requirements-measure.txt
    oracle/bin/python tests/oracles/make_measure_golden.py

Of each list the file has the scores (``negatives``, ``positives``) and what bob makes of them: ``eer_details``, its EER
(the mean of false alarm and miss rate at the threshold where they differ least) and both rates there;
``rates_at_least_cost``, both rates where the error weighted by each of ``priors`` is least; ``rates_at_false_alarm``,
both rates at the threshold that lets one non-target in ten pass; ``cllr``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bob.measure import eer, far_threshold, farfrr, min_weighted_error_rate_threshold
from bob.measure.calibration import cllr

PRIORS = (0.01, 0.05, 0.5)


def lists() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Negatives and positives of each list."""
    draw = np.random.default_rng(20)
    return {
        "apart": (draw.normal(-1.8, 1, 2000), draw.normal(1.8, 1, 150)),
        "near": (draw.normal(-0.4, 1, 3000), draw.normal(0.4, 1.5, 120)),
        "few": (draw.normal(-1, 1, 23), draw.normal(1, 1, 7)),
        "worse than chance": (draw.normal(0.5, 1, 400), draw.normal(-0.5, 1, 60)),
        "ties": (np.round(draw.normal(-0.7, 1, 900), 1), np.round(draw.normal(0.7, 1, 80), 1)),
        "heavy tails": (draw.standard_t(2, 1500), draw.standard_t(2, 100) + 2.0),
        "perfect": (draw.uniform(-2, -1, 50), draw.uniform(1, 2, 10)),
    }


def main() -> None:
    """Write the file."""
    found: dict[str, np.ndarray] = {}
    for name, (negatives, positives) in lists().items():
        threshold_rates = []
        for prior in PRIORS:
            threshold = min_weighted_error_rate_threshold(negatives, positives, 1 - prior)
            threshold_rates.append(farfrr(negatives, positives, threshold))
        values = {
            "negatives": negatives,
            "positives": positives,
            "eer_details": np.array(eer(negatives, positives, also_farfrr=True)),
            "rates_at_least_cost": np.array(threshold_rates),
            "rates_at_false_alarm": np.array(farfrr(negatives, positives, far_threshold(negatives, positives, 0.1))),
            "cllr": cllr(negatives, positives),
        }
        found.update({f"{name}/{key}": np.asarray(value, dtype=np.float64) for key, value in values.items()})
    np.savez(Path(__file__).parent / "golden_measure.npz", priors=np.array(PRIORS), **found)


if __name__ == "__main__":
    main()
