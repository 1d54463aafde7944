"""How far two people agree, and how long they took."""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction


def kappa(pairs: Mapping[tuple[str, str], int]) -> Fraction | None:
    """Return Cohen's kappa, exactly; None where it is undefined.

    ``(p_o - p_e) / (1 - p_e)`` with ``p_o`` the share of records on which both said the same and ``p_e`` the sum over words of the product of both people's
    shares of that word (J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20(1), 1960, 37-46).
    If each said one word throughout and both the same, chance alone would agree as well: it is then undefined.

    Args:
        pairs: how many records the first person gave the first word and the second the second.
    """
    records = sum(pairs.values())
    first: Counter[str] = Counter()
    second: Counter[str] = Counter()
    for (one, other), count in pairs.items():
        first[one] += count
        second[other] += count
    same = sum(count for (one, other), count in pairs.items() if one == other)
    by_chance = sum(first[word] * second[word] for word in first)
    if by_chance == records * records:
        return None
    return Fraction(records * same - by_chance, records * records - by_chance)


def percentile(values: Sequence[int], share: int) -> int:
    """Return the least value that at least ``share`` percent of the values do not exceed (nearest rank).

    Args:
        values: one or more.
        share: 1 to 100.
    """
    return sorted(values)[-(-len(values) * share // 100) - 1]
