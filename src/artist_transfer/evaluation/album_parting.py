"""An artist's albums in two heaps: test songs from other albums than the enrolled ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def part_albums(
    albums: Sequence[Collection[str]], *, enrol: int, test: int
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Choose songs to enrol and to test so that no album has both.

    Albums that have a song in common, over any number of steps, stay together. With that, found whenever it is
    possible at all: which sums of songs whole albums can have is worked out, not tried. Of the ways to do it the one is
    taken whose test albums come first in the order of the songs.

    Parameters
    ----------
    albums : sequence of collections of str, none empty
        Of each song, in drawn order, the albums that it is on.
    enrol, test : int, >= 1
        Songs wanted.

    Returns
    -------
    enrolled, tested : tuple of int
        Places of the songs, in order; None if it is impossible.
    """
    blocks = _blocks(albums)
    total = sum(map(len, blocks))
    # reachable[k]: numbers of test songs that albums k, k + 1, … can add up to
    reachable: list[set[int]] = [{0}]
    for block in reversed(blocks):
        reachable.append(reachable[-1] | {n + len(block) for n in reachable[-1]})
    reachable.reverse()
    wanted = {n for n in reachable[0] if test <= n <= total - enrol}
    if not wanted:
        return None
    tested: list[int] = []
    enrolled: list[int] = []
    for block, after in zip(blocks, reachable[1:]):
        with_it = {n - len(block) for n in wanted if n - len(block) in after}
        if with_it:
            tested += block
            wanted = with_it
        else:
            enrolled += block
            wanted = wanted & after
    return tuple(sorted(enrolled)[:enrol]), tuple(sorted(tested)[:test])


def _blocks(albums: Sequence[Collection[str]]) -> list[list[int]]:
    """Join songs that share an album, over any number of steps; the first song's block comes first."""
    of_album: dict[str, int] = {}
    blocks: dict[int, list[int]] = {}
    for song, own in enumerate(albums):
        joined = sorted({of_album[album] for album in own if album in of_album})
        block = [*(k for name in joined for k in blocks.pop(name)), song]
        blocks[block[0]] = block
        of_album.update((album, block[0]) for album in own)
        for album, name in of_album.items():
            if name in joined:
                of_album[album] = block[0]
    return sorted((sorted(block) for block in blocks.values()), key=lambda block: block[0])
