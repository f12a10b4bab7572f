"""Make golden_plda.npz: SpeechBrain's PLDA, fitted and scored, for tests/recognition/test_plda.py.

    python3.11 -m venv plda-env
    plda-env/bin/pip install --no-deps -r tests/oracles/requirements-plda.txt
    plda-env/bin/python tests/oracles/make_plda_golden.py

The module is loaded by itself: the package around it would want torch, torchaudio and more, which it does not use.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
from pathlib import Path

import numpy as np

OUTPUT = Path(__file__).with_name("golden_plda.npz")
WIDTH, ARTISTS, ITERATIONS, RANKS = 8, 60, 20, (8, 3)


def speechbrain_plda():
    """Import SpeechBrain's PLDA without the rest of it."""
    path = importlib.metadata.distribution("speechbrain").locate_file("speechbrain/processing/PLDA_LDA.py")
    spec = importlib.util.spec_from_file_location("speechbrain_plda", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def statistics(theirs, models, songs, vectors):
    """Pack vectors as SpeechBrain wants them."""
    none = np.full(len(vectors), None)
    return theirs.StatObject_SB(
        modelset=np.array(models), segset=np.array(songs), start=none, stop=none, stat0=np.ones((len(vectors), 1)),
        stat1=np.array(vectors, dtype=np.float64),
    )  # fmt: skip


def main() -> None:
    """Draw songs, fit, score, write."""
    theirs = speechbrain_plda()
    draw = np.random.default_rng(20)
    mixing = draw.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)
    counts = draw.integers(2, 7, size=ARTISTS)
    artist = np.repeat(np.arange(ARTISTS), counts)
    voices = draw.normal(size=(ARTISTS, WIDTH)) * np.linspace(1.5, 0.2, WIDTH)
    vectors = 0.5 + voices[artist] + draw.normal(size=(len(artist), WIDTH)) @ mixing
    models, tests = draw.normal(size=(12, WIDTH)), draw.normal(size=(17, WIDTH))
    names, songs = [f"m{k:02d}" for k in range(12)], [f"s{k:02d}" for k in range(17)]
    golden = {"vectors": vectors, "artist": artist, "models": models, "tests": tests}
    train = statistics(theirs, [f"a{k:02d}" for k in artist], [f"t{k:03d}" for k in range(len(artist))], vectors)
    enrolled, tested = statistics(theirs, names, names, models), statistics(theirs, songs, songs, tests)
    trials = theirs.Ndx(models=np.repeat(names, len(songs)), testsegs=np.tile(songs, len(names)))
    for rank in RANKS:
        model = theirs.PLDA(rank_f=rank, nb_iter=ITERATIONS)
        with contextlib.redirect_stdout(io.StringIO()):
            model.plda(train)
        scores = theirs.fast_PLDA_scoring(enrolled, tested, trials, model.mean, model.F, model.Sigma)
        assert list(scores.modelset) == names and list(scores.segset) == songs and scores.scoremask.all()
        golden |= {
            f"mean_{rank}": model.mean,
            f"factors_{rank}": model.F,
            f"within_{rank}": model.Sigma,
            f"scores_{rank}": scores.scoremat,
        }
    np.savez(OUTPUT, iterations=ITERATIONS, **golden)
    print(
        f"{OUTPUT}: {len(vectors)} songs of {ARTISTS} artists, speechbrain", importlib.metadata.version("speechbrain")
    )


if __name__ == "__main__":
    main()
