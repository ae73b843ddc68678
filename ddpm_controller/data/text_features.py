"""A sentence as numbers: counts of its words and word pairs in hashed places.

Feature hashing, Weinberger et al. 2009 (ICML), Eq. 2: a feature adds its sign to the place that
its hash gives. Nothing is learned, downloaded or stored, so a sentence gives the same numbers on
every machine, in training and on the robot. A word is no more than its letters: "hit" and "strike"
have nothing in common until a training shows both, and of a word that it never showed only that
much is known. Two features may share a place; that all in which two sentences differ does is next
to impossible with a few dozen places.
"""

import hashlib
import re
import unicodedata
from itertools import pairwise

import numpy as np

FEWEST_FEATURES, MOST_FEATURES = 8, 1024
LONGEST_WORDS, LONGEST_TEXT = 64, 4096
"""An instruction is a sentence; more is a mistake, and costs time at every message."""
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_BEGIN, _END = "<", ">"
"""Beside the first and the last word; no word has them."""


class TextError(ValueError):
    """A text that has no word, or far too many."""


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case; a number is a word, other marks are not."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def text_features(text: str, num_features: int) -> np.ndarray:
    """Return signed counts of the words and the pairs of neighbours; (num_features,) float64.

    The first word has the beginning for a neighbour, the last one the end, so that order and
    completeness count.

    Raises:
        TextError: There is no word, or there are more than ``LONGEST_WORDS``.
    """
    if len(text) > LONGEST_TEXT:
        raise TextError(f"a text of {len(text)} letters, the most are {LONGEST_TEXT}")
    words = words_of(text)
    if not 1 <= len(words) <= LONGEST_WORDS:
        raise TextError(f"a text needs 1 to {LONGEST_WORDS} words, {text[:60]!r} has {len(words)}")
    pairs = [" ".join(pair) for pair in pairwise([_BEGIN, *words, _END])]
    counts = np.zeros(num_features)
    for feature in words + pairs:
        place, sign = _hashed(feature, num_features)
        counts[place] += sign
    return counts


def text_names(num_features: int) -> tuple[str, ...]:
    """Return the names of the elements, as a vector stream needs them."""
    return tuple(f"text_{number}" for number in range(num_features))


def _hashed(feature: str, num_features: int) -> tuple[int, int]:
    """Return the place of a feature and its sign, 1 or -1."""
    digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
    number = int.from_bytes(digest, "little")
    return (number >> 1) % num_features, 1 - 2 * (number & 1)
