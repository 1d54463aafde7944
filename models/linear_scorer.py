"""Scores of a supervised fastText model, for many overlapping windows at once and without fastText.

With the loss ``softmax`` such a model is linear up to its last step: the mean of the input rows of a text's tokens and runs of tokens, times
the output matrix, is a vector of logits (Joulin et al. 2017, "Bag of tricks for efficient text classification"). So every input row is
multiplied by the output matrix once, when the model is loaded; a window then is a sum of small integers.

**Exact sums.** The products are rounded to fixed point. Sums of integers are the same in any order, so a window's figures depend on nothing
but its tokens. A logit is off by at most half a step, 2**-31 of the largest weight: far under the error of fastText's own 32-bit floats.

What is a token of the text, and what it hashes to, stands in :mod:`models.tokens`; runs are hashed as in ``Dictionary::addWordNgrams``
and ``</s>`` ends every text, as the line feed does for ``Dictionary::getLine``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.tokens import Hashes, Ints, Tokens, hash_words

_RUN_FACTOR = np.uint64(116049371)
# Weights have 31 bits and a sign: no text of a batch has enough tokens for sums of 64 bits to overflow.
_BITS = 31
# What is kept of a text at one time; each time, what is cut by windows is hashed in as many steps as it has bytes.
_PIECE_BYTES = 1 << 20
# Tokens scored in one go: what is worked on stays in the second-level cache.
_PIECE_TOKENS = 1 << 14

Logits = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Vocabulary:
    """Input rows of words by their hashes, as an open hash table.

    Attributes:
        hashes: shape (words + 1,), of each; the last stands for all other words.
        slots: shape (a power of two,), the row whose hash belongs there or in a slot before that is full, or ``words``.
    """

    hashes: Hashes
    slots: npt.NDArray[np.int32]

    @classmethod
    def of(cls, words: Sequence[bytes]) -> "_Vocabulary":
        """Make the table.

        Raises:
            ValueError: if two words cannot be told apart.
        """
        hashes = hash_words(list(words))
        if len(np.unique(hashes)) < len(hashes):
            raise ValueError("two words of the weights have one hash")
        slots = np.full(1 << max(4, (len(words) * 4).bit_length()), len(words), np.int32)
        mask = len(slots) - 1
        for row, value in enumerate(hashes.tolist()):
            slot = value & mask
            while slots[slot] != len(words):
                slot = (slot + 1) & mask
            slots[slot] = row
        return cls(np.append(hashes, np.uint64(0)), slots)

    def rows(self, hashes: Hashes) -> npt.NDArray[np.int32]:
        """Return the row of each hash, ``words`` for those that are none's."""
        mask = np.uint64(len(self.slots) - 1)
        nobody = len(self.hashes) - 1
        slots = (hashes & mask).view(np.int64)
        rows = self.slots.take(slots)
        open_ = np.flatnonzero((self.hashes.take(rows) != hashes) & (rows != nobody))
        while len(open_):
            slots[open_] = (slots[open_] + 1) & int(mask)
            rows[open_] = self.slots[slots[open_]]
            open_ = open_[(self.hashes[rows[open_]] != hashes[open_]) & (rows[open_] != nobody)]
        return rows


class LinearScorer:
    """The weights of a supervised fastText model as a table of integers.

    Attributes:
        labels: as fastText writes them, in the order of its logits.
        step: what one unit of the integers is worth, a power of two.
    """

    def __init__(self, weights: Any) -> None:
        """Take the weights of a loaded fastText model; they are not needed any more afterwards.

        Raises:
            ValueError: if the model is not what ``winnow model train`` makes: softmax over words and runs of words, not quantised.
        """
        facts = weights.f.getArgs()
        if (facts.model.name, facts.loss.name) != ("supervised", "softmax"):
            raise ValueError(
                f"the weights are {facts.model.name} with loss {facts.loss.name}, not supervised with softmax"
            )
        if facts.maxn > 0 or weights.is_quantized():
            raise ValueError("the weights have n-grams of characters or are quantised, which is not read here")
        words = weights.get_words(on_unicode_error="surrogateescape")
        self.labels: tuple[str, ...] = tuple(weights.labels)
        self._bucket = int(facts.bucket)
        self._run = int(facts.wordNgrams) if self._bucket else 1
        rows, output = weights.get_input_matrix(), weights.get_output_matrix()
        if len(rows) != len(words) + self._bucket:
            raise ValueError(f"the weights have {len(rows)} rows for {len(words)} words and {self._bucket} buckets")
        self._vocabulary = _Vocabulary.of([word.encode("utf-8", "surrogateescape") for word in words])
        self.step, self._table = _table(rows, output, len(words))
        # Runs of tokens come behind the words and the row of unknown words.
        self._runs = len(words) + 1
        self._nothing = len(words)

    def logits(self, tokens: Tokens, starts: Ints, ends: Ints) -> tuple[Logits, npt.NDArray[np.bool_]]:
        """Return the logits of windows.

        Args:
            tokens: of the data that the windows are of.
            starts, ends: shape (w,), half-open byte spans, none empty.

        Returns:
            Logits less the first label's, shape (w, labels); and shape (w,), whether the model knows anything of it.
        """
        sums = np.zeros((len(starts), self._table.shape[1]), np.int64)
        sizes = np.append(0, np.cumsum(ends - starts))
        for a, b in _pieces(sizes, _PIECE_BYTES):
            hashes, first = tokens.within(starts[a:b], ends[a:b])
            for c, d in _pieces(first, _PIECE_TOKENS):
                sums[a + c : a + d] = self._sums(hashes[first[c] : first[d]], first[c : d + 1] - first[c])
        logits = np.zeros((len(starts), len(self.labels)))
        count = sums[:, -1]
        logits[:, 1:] = sums[:, : len(self.labels) - 1] * self.step / np.maximum(count, 1)[:, None]
        return logits, count > 0

    def _sums(self, hashes: Hashes, first: Ints) -> Ints:
        """Return the sum of the table's rows over each text's tokens and runs of tokens."""
        weights = self._table.take(self._vocabulary.rows(hashes), axis=0)
        signed = hashes.astype(np.uint32).view(np.int32).astype(np.int64).view(np.uint64)
        runs = signed
        for more in range(1, min(self._run, len(hashes))):
            runs = runs[:-1] * _RUN_FACTOR + signed[more:]
            rows = (runs - runs // np.uint64(self._bucket) * np.uint64(self._bucket)).view(np.int64) + self._runs
            # The last tokens of a text begin no run of this length.
            over = (first[1:, None] - 1 - np.arange(more)).ravel()
            rows[over[(over >= 0) & (over < len(rows))]] = self._nothing
            weights[:-more] += self._table.take(rows, axis=0)
        return np.add.reduceat(weights, first[:-1], axis=0, dtype=np.int64)


def _table(rows: npt.NDArray[np.float32], output: npt.NDArray[np.float32], words: int) -> tuple[float, Ints]:
    """Return the step, and a row of what each row adds to the sums of all labels but the first, and, at its end, to the count of rows.

    A row of noughts is put behind the words. Logits are told from the first label's, which changes no probability. Products are added up
    column by column and not by a library of linear algebra, so that they are the same on every machine.
    """
    products = np.zeros((len(rows), len(output) - 1))
    for column, weight in zip(rows.T, (output[1:].astype(np.float64) - output[0]).T, strict=True):
        products += column[:, None].astype(np.float64) * weight
    largest = float(np.abs(products).max(initial=0.0))
    if not np.isfinite(largest):
        raise ValueError("the weights are not all finite numbers")
    step = 2.0 ** (int(np.frexp(largest)[1]) - _BITS)
    width = 1 << (len(output) - 1).bit_length()  # rows of such a size are fetched fastest
    table = np.zeros((len(rows) + 1, width), np.int64)
    for part, behind in ((slice(0, words), 0), (slice(words, len(rows)), 1)):
        to = slice(part.start + behind, part.stop + behind)
        table[to, : len(output) - 1] = np.rint(products[part] / step)
        table[to, -1] = 1
    return step, table


def _pieces(sums: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Give half-open runs of things, one or more, whose sizes add up to no more than that; ``sums[i]`` is the size of those before ``i``."""
    at = 0
    while at < len(sums) - 1:
        end = max(at + 1, int(np.searchsorted(sums, sums[at] + most, side="right")) - 1)
        yield at, end
        at = end
