"""The few of a row's rationales that are kept: the shortest, or those that differ the most."""

from __future__ import annotations

from collections.abc import Sequence

from stages.curation.judged import Rationale


def shortest(rationales: Sequence[Rationale], most: int) -> list[Rationale]:
    """At most `most` of them, by tokens; of equal ones the earlier. In their order."""
    ranked = sorted(range(len(rationales)), key=lambda number: rationales[number].tokens)
    return [rationales[number] for number in sorted(ranked[:most])]


def diverse(rationales: Sequence[Rationale], most: int) -> list[Rationale]:
    """At most `most` of them, as unlike each other as can be had step by step. In their order.

    The first is taken; then always the one whose closest neighbour among those taken is the
    farthest (Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"), by
    `minhash.similarity`; of equal ones the earlier. Empty texts are all alike.
    """
    if len(rationales) <= most:
        return list(rationales)
    import numpy as np

    from stages.curation.minhash import PLACES, similarity

    blank = bytes(PLACES)
    signed = np.frombuffer(b"".join(one.signature or blank for one in rationales), dtype=np.uint8)
    signed = signed.reshape(len(rationales), PLACES)
    taken = [0]
    closest = similarity(signed, signed[0])
    closest[0] = 2.0  # never the farthest again
    while len(taken) < most:
        number = int(closest.argmin())
        taken.append(number)
        closest = np.maximum(closest, similarity(signed, signed[number]))
        closest[number] = 2.0
    return [rationales[number] for number in sorted(taken)]
