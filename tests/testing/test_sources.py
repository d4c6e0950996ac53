"""What `check_source` finds wrong, each with one line."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fastmpr.testing import check_source

VIEWS = np.random.default_rng(0).random((5, 4, 6, 7)).astype(np.float32)


class Source:
    """Right, but for what a test changes."""

    thread_safe = False

    def __init__(self, change=lambda i, view: view, count=5):
        self.change, self.count = change, count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return self.change(i, VIEWS[i].copy())


class Buffered(Source):
    buffer = np.empty(VIEWS.shape[1:], np.float32)

    def __getitem__(self, i):
        self.buffer[:] = VIEWS[i]
        return self.buffer


class Counting(Source):
    """Brighter each time it is read."""

    reads = 0

    def __getitem__(self, i):
        self.reads += 1
        return VIEWS[i] + self.reads


class NotSafe(Source):
    """Says that threads may read side by side, and mixes up what two of them ask for."""

    thread_safe = True

    def __init__(self):
        super().__init__()
        self.together = threading.Barrier(2)

    def __getitem__(self, i):
        self.asked = i
        if threading.current_thread() is not threading.main_thread():
            self.together.wait(1)
        return VIEWS[self.asked]


def other_at_3(value):
    return Source(lambda i, view: value if i == 3 else view)


WRONG = {
    "no sequence": (lambda: iter(VIEWS), "particles: found ndarray_?iterator|particles: found .*, need a sequence"),
    "none": (lambda: Source(count=0), "particles: found none, need at least one"),
    "fewer than it says": (lambda: Source(count=7), r"particles\[5\]: found IndexError .*, need no error"),
    "a plane": (lambda: other_at_3(VIEWS[3, 0]), r"particles\[3\]: found shape \(6, 7\), need \(nz, ny, nx\)"),
    "another shape": (lambda: other_at_3(VIEWS[3, :2]), r"particles\[3\]: found shape .*, need .* like particles\[0\]"),
    "another dtype": (lambda: other_at_3(VIEWS[3] > 0), r"particles\[3\]: found dtype bool, need float32 like"),
    "complex": (lambda: other_at_3(VIEWS[3] * 1j), r"particles\[3\]: found dtype complex64, need real numbers"),
    "infinity": (lambda: other_at_3(VIEWS[3] / 0), r"particles\[3\]: found infinity"),
    "nothing seen": (lambda: other_at_3(VIEWS[3] * np.nan), r"particles\[3\]: found NaN only"),
    "one buffer for all": (Buffered, "held while others were read: found other values|in another order: found other"),
    "other each time": (Counting, "read again in another order: found other values"),
    "not safe": (NotSafe, "read from 4 threads at once: found other values, need those of the first time"),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(name):
    make, message = WRONG[name]
    with pytest.raises(AssertionError, match=message) as caught:
        check_source(make())
    assert "\n" not in str(caught.value)


def test_those_that_are_right():
    holes = VIEWS.copy()
    holes[1, 0] = np.nan
    for source in (VIEWS, list(VIEWS), holes, Source(), VIEWS.astype(">u2")):
        check_source(source)
        check_source(source, thread_safe=True, most=3)


def test_threads_do_not_read_what_is_not_theirs():
    with pytest.raises(AssertionError, match="read from 4 threads"):
        check_source(NotSafe())
    check_source(NotSafe(), thread_safe=False)


def test_only_so_many_are_read():
    read = set()
    check_source(Source(lambda i, view: (read.add(i), view)[1]), most=2)
    assert read == {0, 4}
