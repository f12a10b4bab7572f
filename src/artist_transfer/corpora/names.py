"""Names and ids in one spelling: what looks the same is the same, wherever it was typed.

"ö" is one character or an "o" and a dot, by the system and the program that wrote it. Compared as they are, the two are
two artists, and a split that keeps artists apart has one of them on both sides.
"""

from __future__ import annotations

import unicodedata


def normal_name(text: str) -> str:
    """Spell a name or an id in the one way that tables hold.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        In Unicode's normal form C, without space around it.
    """
    text = text.strip()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def folded_name(text: str) -> str:
    """Spell a name so that it equals the others of its bearer.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        As `normal_name`, without regard to case and to how much space is between words.
    """
    return " ".join(normal_name(text).split()).casefold()
