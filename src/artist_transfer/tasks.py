"""The learning tasks by their letters, in the one order in which they are always written (AGF, table 1)."""

TASKS = "gsedm"  # g genre, s subgenres, e Essentia, d dMFCC, m MFCC
