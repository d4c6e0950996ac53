"""Calls of all that is public, most arguments right and one or two wrong: a result, or one line that names the argument."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import hostile, of_functions, of_modules, of_objects
from calls.common import FOLDER, Call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastmpr

CALLS = of_objects.CALLS | of_functions.CALLS | of_modules.CALLS
EXPECTED = (ValueError, TypeError, MemoryError)


def content(value: Any) -> Any:
    """All of an argument that a call could change."""
    if isinstance(value, np.ma.MaskedArray):
        return content(value.data), content(np.ma.getmaskarray(value))
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, value.strides, value.flags.writeable, value.tobytes()
    if isinstance(value, fastmpr.NormalEquations):
        return [content(part) for part in vars(value).values()]
    if isinstance(value, Mapping):
        return {name: content(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [content(one) for one in value]
    return None if isinstance(value, float) else value


def check(call: Call, wrong: set[str]) -> None:
    """Make a call, and check how it ends."""
    before = content(call.arguments)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="(?!fastmpr)")  # among other packages
        try:
            result = call.function(**call.arguments)
        except (*EXPECTED, *call.also) as error:
            result, message = None, str(error)
            names(message, call, wrong)
        else:
            call.check(result, call.arguments)
    assert content(call.arguments) == before, "an argument was changed"
    for one in said:
        assert issubclass(one.category, fastmpr.FastmprWarning), (str(one.message), one.filename, one.lineno)
        assert "\n" not in str(one.message)


def names(message: str, call: Call, wrong: set[str]) -> None:
    """Check that an error names what is wrong."""
    assert message, "says nothing"
    assert "\n" not in message
    assert len(message) < 500
    assert wrong or call.doubtful, f"a right call was refused: {message}"
    paths = [str(value) for value in call.arguments.values() if isinstance(value, str | Path) and str(value)]
    blamed = "|".join(map(re.escape, [*wrong, *paths, *call.blamed]))
    others = "|".join(call.arguments)
    assert re.search(rf"(?<!\w)({blamed})(?!\w)", message) or re.match(rf"({others})\b", message), message


@st.composite
def calls(draw, make) -> tuple[Call, set[str]]:
    """A call, and which of its arguments are wrong."""
    call = draw(make())
    free = sorted(call.arguments.keys() - set(call.spare))
    wrong = draw(st.sets(st.sampled_from(free), max_size=2)) if free else set()
    changed = {name: draw(hostile.instead_of(call.arguments[name])) for name in sorted(wrong)}
    if isinstance(most := changed.get("max_iter"), int) and 100 < most < 2**40:
        changed["max_iter"] = 100  # nothing is wrong with more but the time they take
    return call._replace(arguments=call.arguments | changed), wrong


def try_calls(name: str, share: float = 1.0) -> None:
    """Make a share of the calls of one function."""
    make, most = CALLS[name]
    examples, made = max(1, round(share * most)), 0

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(calls(make))
    def one(drawn):
        nonlocal made
        made += 1
        check(*drawn)

    one()
    assert made >= examples


@pytest.mark.parametrize("name", CALLS)
def test_a_tenth_of_the_calls(name, monkeypatch):
    monkeypatch.chdir(FOLDER)  # a path may be any word
    try_calls(name, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_result_or_one_line_that_names_the_argument(name, monkeypatch):
    monkeypatch.chdir(FOLDER)
    try_calls(name)


def test_enough_calls_are_made():
    assert sum(examples for _, examples in CALLS.values()) >= 7000
