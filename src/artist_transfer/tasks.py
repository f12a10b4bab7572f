"""The learning tasks by their letters, in the one order in which they are always written (AGF, table 1)."""

TASKS = "gsedm"  # g genre, s subgenres, e Essentia, d dMFCC, m MFCC
FACTORS = "sedm"  # those whose targets are an artist's group factors
ARTIST = "a"  # the artist's identity
SHUFFLED = FACTORS.upper()  # the same factors, dealt out anew among the artists
CONTROLS = ARTIST + SHUFFLED
LETTERS = TASKS + CONTROLS


def task_rank(task: str) -> tuple[int, str]:
    """Return the key that sorts tasks canonically: g, s, e, d, m, the controls, then all others by name.

    Parameters
    ----------
    task : str
        A task's name.

    Returns
    -------
    tuple of (int, str)
        Sort key.
    """
    place = LETTERS.find(task)
    return (place if place >= 0 else len(LETTERS), task)


def in_order(letters: str) -> str:
    """Put task letters into their canonical order.

    Parameters
    ----------
    letters : str
        Some of `LETTERS`.

    Returns
    -------
    str
        The same letters.
    """
    return "".join(sorted(letters, key=task_rank))
