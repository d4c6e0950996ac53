"""The page for authors of other programs: its server does what it says, and the names it gives exist."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import TimeoutError as TooLate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmpr

PAGE = Path(fastmpr.__file__).parent / "compat" / "README.md"
ENDLESS: dict[str, Any] = {"lam": 30.0, "max_iter": 10**9, "tol": 0}
SOON = 60  # seconds in which what is to happen happens, on a busy machine


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def code(page) -> str:
    (block,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class Server" in block)
    return block


@pytest.fixture
def new_server(code) -> Iterator[Any]:
    """The page's server, closed after the test whatever happens."""
    names: dict[str, Any] = {}
    exec(compile(code, PAGE.name, "exec"), names)
    made = []

    def new(**options: Any) -> Any:
        made.append(names["Server"](**options))
        return made[-1]

    yield new
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def sets() -> list[fastmpr.Dataset]:
    """Three data sets of which two threads would each take a share."""
    truth = fastmpr.phantom.centriole((32, 34, 33))
    psf = fastmpr.psf.gaussian((11, 7, 7), sigma=(2, 1, 1))
    poses = [fastmpr.Poses.random(4, rng=k) for k in range(3)]
    return [fastmpr.Dataset(fastmpr.simulate(truth, psf, p, noise_sigma=0.05, rng=0), psf, p) for p in poses]


class Running:
    """A callback that tells when an iteration is done, and in which threads it was called."""

    def __init__(self):
        self.begun, self.threads = threading.Event(), set()

    def __call__(self, intermediate_result: fastmpr.Result) -> None:
        self.begun.set()
        self.threads.add(threading.get_ident())


def test_jobs_side_by_side_give_the_bits_of_one_after_the_other(new_server, sets):
    options: dict[str, Any] = {"lam": 30.0, "max_iter": 15}
    alone = [fastmpr.reconstruct(data, workers=2, **options).x for data in sets]
    running = Running()
    server = new_server(at_once=2, workers=2)
    futures = [server.submit(k, data, callback=running, **options) for k, data in enumerate(sets)]
    for future, expected in zip(futures, alone, strict=True):
        np.testing.assert_array_equal(future.result(SOON).x, expected)
    assert 1 <= len(running.threads) <= 2
    assert server.wishes == {}


def test_a_cancelled_job_returns_the_volume_so_far_and_one_that_waited_nothing(new_server, sets):
    running, server = Running(), new_server(at_once=1)
    first = server.submit("first", sets[0], callback=running, **ENDLESS)
    second = server.submit("second", sets[1], **ENDLESS)
    assert running.begun.wait(SOON)
    with pytest.raises(TooLate):  # nobody has cancelled it
        first.result(0.2)
    server.cancel("second")
    server.cancel("first")
    result = first.result(SOON)
    assert not result.success
    assert result.message.startswith("cancelled after ")
    assert result.x.max() > 0
    with pytest.raises(fastmpr.Cancelled, match="cancelled"):
        second.result(SOON)
    server.cancel("first")  # too late, and harmless


def test_a_timeout_ends_a_job(new_server, sets):
    job = new_server().submit("job", sets[0], timeout=0.5, **ENDLESS)
    try:
        result = job.result(SOON)
    except fastmpr.Cancelled as stopped:  # on a very busy machine, while it sums
        assert "timeout" in str(stopped)
    else:
        assert not result.success
        assert "timeout" in result.message


def test_no_thread_is_left_when_it_is_closed(new_server, sets):
    before, running = set(threading.enumerate()), Running()
    server = new_server(workers=2)
    jobs = [server.submit(k, data, callback=running, **ENDLESS) for k, data in enumerate(sets)]
    assert running.begun.wait(SOON)
    assert set(threading.enumerate()) > before
    server.close()
    assert set(threading.enumerate()) == before
    assert all(job.done() for job in jobs)


def test_the_names_it_gives_exist(page):
    names = set(re.findall(r"\bfastmpr\.(\w+)", page)) - {
        "kernels",
        "compat",
    }  # what not to use, and modules for one program each
    assert {"reconstruct", "Cancelled", "warm_up"} <= names
    assert names - set(fastmpr.__all__) <= {"__all__"}
