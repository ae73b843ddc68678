"""Values of one stream in the order of their stamps; each joint of a vector has its own."""

import math
from bisect import bisect_left, bisect_right

import numpy as np


class StreamHistory:
    """Rows of one stream, each with the newest of every element at its stamp.

    The joints of a robot often come in several messages: of the arm, of the gripper. Each message
    brings some elements; a row has these, and of the others the newest before them. A message that
    comes behind a newer one of other elements is put where its stamp belongs.

    Args:
        size: Number of elements, D; 1 of an image, which is one.

    Attributes:
        stamps_s: Stamps of the rows, oldest first.
        complete_s: Moment from which every element has come; infinite before.
        oldest_s: Oldest of the newest stamps of the elements; -inf before all have come.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.stamps_s: list[float] = []
        self._rows: list[np.ndarray] = []
        self._elements_s: list[np.ndarray] = []  # (D,) stamp of each element; -inf before it came
        self._firsts_s = np.full(size, math.inf)
        self.complete_s = math.inf
        self.oldest_s = -math.inf

    def __len__(self) -> int:
        return len(self.stamps_s)

    @property
    def newest_s(self) -> np.ndarray:
        """Newest stamp of every element, (D,); -inf of one that has not come."""
        return self._elements_s[-1] if self._elements_s else np.full(self._size, -math.inf)

    def newer(self, stamp_s: float, present: np.ndarray | None) -> np.ndarray:
        """Return which elements ``present`` (None: all) of a value are newer than theirs, (D,)."""
        newer: np.ndarray = stamp_s > self.newest_s
        return newer if present is None else newer & present

    def add(self, stamp_s: float, value: np.ndarray, taken: np.ndarray) -> None:
        """Take elements of a value.

        Args:
            stamp_s: Acquisition time.
            value: (D,) or an image.
            taken: (D,) elements, of those that ``newer`` returns, and one at least.
        """
        if taken.all() and (not self.stamps_s or stamp_s > self.stamps_s[-1]):
            self._append(stamp_s, value, np.full(self._size, stamp_s))
        else:
            self._fill(stamp_s, value, taken)
        if self.complete_s > stamp_s:
            self._firsts_s[taken] = np.minimum(self._firsts_s[taken], stamp_s)
            self.complete_s = float(self._firsts_s.max())
        self.oldest_s = float(self.newest_s.min())

    def behind_s(self, stamp_s: float, present: np.ndarray | None) -> float:
        """Return how much older than the newest of its elements a value is, s."""
        behind_s = self.newest_s - stamp_s
        return float((behind_s if present is None else behind_s[present]).max())

    def index(self, moment_s: float) -> int:
        """Return the newest row at ``moment_s``; below 0 where an element had not come yet."""
        i = bisect_right(self.stamps_s, moment_s) - 1
        return i if i >= 0 and np.isfinite(self._elements_s[i]).all() else -1

    def first_complete(self) -> int:
        """Return the first row that has every element."""
        return bisect_left(self.stamps_s, self.complete_s)

    def row(self, index: int) -> np.ndarray:
        """Return the value of a row; it must not be changed."""
        return self._rows[index]

    def elements_s(self, index: int) -> np.ndarray:
        """Return the stamp of each element of a row, (D,)."""
        return self._elements_s[index]

    def move(self, by: np.ndarray) -> None:
        """Add ``by`` (D,) to every row."""
        self._rows = [row + by for row in self._rows]  # new arrays: the old ones were handed out

    def drop_from(self, stamp_s: float) -> None:
        """Forget what is stamped ``stamp_s`` or later."""
        self._delete(bisect_left(self.stamps_s, stamp_s), len(self))

    def forget_before(self, stamp_s: float) -> None:
        """Forget old rows that are not the newest at ``stamp_s``."""
        # The newest value at the far end of a history must stay, so the second one decides.
        old = 0
        while old < len(self) - 1 and self.stamps_s[old + 1] < stamp_s:
            old += 1
        self._delete(0, old)

    def begin(self, not_before_s: float, keep_last: bool) -> None:
        """Forget every value older than ``not_before_s``, but the last row where it is kept."""
        old = bisect_left(self.stamps_s, not_before_s)
        self._delete(0, max(0, min(old, len(self) - 1) if keep_last else old))
        if not keep_last:
            self._clear_before(not_before_s)
        begun_s = [np.where(np.isfinite(each), each, math.inf) for each in self._elements_s]
        self._firsts_s = np.min(begun_s, axis=0) if begun_s else np.full(self._size, math.inf)
        self.complete_s = float(self._firsts_s.max())
        self.oldest_s = float(self.newest_s.min())

    def move_last(self, now_s: float) -> None:
        """Let the last row, if there is one, be of ``now_s`` at the latest."""
        if self.stamps_s:
            self.stamps_s[-1] = min(self.stamps_s[-1], now_s)
            self.complete_s = self.oldest_s = self.stamps_s[-1]
            self._elements_s[-1] = np.full(self._size, self.complete_s)
            self._firsts_s = self._elements_s[-1].copy()

    def _append(self, stamp_s: float, value: np.ndarray, elements_s: np.ndarray) -> None:
        self.stamps_s.append(stamp_s)
        self._rows.append(value)
        self._elements_s.append(elements_s)

    def _fill(self, stamp_s: float, value: np.ndarray, taken: np.ndarray) -> None:
        """Put some elements at ``stamp_s`` and into all rows behind, which have older ones."""
        place = bisect_left(self.stamps_s, stamp_s)
        if place == len(self) or self.stamps_s[place] != stamp_s:
            before = place - 1
            row = self._rows[before] if place else np.full(self._size, math.nan)
            old_s = self._elements_s[before] if place else np.full(self._size, -math.inf)
            self.stamps_s.insert(place, stamp_s)
            self._rows.insert(place, row)
            self._elements_s.insert(place, old_s)
        for i in range(place, len(self)):  # new arrays: the old ones were handed out
            self._rows[i] = np.where(taken, value, self._rows[i])
            self._elements_s[i] = np.where(taken, stamp_s, self._elements_s[i])

    def _clear_before(self, stamp_s: float) -> None:
        """Forget elements that are older than the rows that they are in may be."""
        for i, elements_s in enumerate(self._elements_s):
            old = elements_s < stamp_s
            if not old.any():
                break  # and no later row has one
            self._rows[i] = np.where(old, math.nan, self._rows[i])
            self._elements_s[i] = np.where(old, -math.inf, elements_s)

    def _delete(self, begin: int, end: int) -> None:
        if begin < end:
            del self.stamps_s[begin:end], self._rows[begin:end], self._elements_s[begin:end]
