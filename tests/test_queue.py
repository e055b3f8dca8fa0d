"""The order in which the jobs of a judge are computed, by tokens alone: `tests/test_serve.py` computes them."""

import asyncio
import random

import numpy as np
import pytest

from acceptor.model.encode import Encoded
from acceptor.serve.gather import TURN_TOKENS, Job, Queue


def inputs(*lengths):
    """A job with inputs of so many tokens."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = len(lengths)
    encoded = Encoded(np.zeros(offsets[-1], np.int32), None, offsets, np.zeros(rows, np.int32))
    return Job(asyncio.Future(), int(offsets[-1]), encoded, np.zeros((rows, 2), np.float32))


def call(tokens):
    return Job(asyncio.Future(), tokens, call=lambda: None)


@pytest.fixture(autouse=True)
def _a_loop_for_futures():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def filled(*jobs):
    queue = Queue()
    for job in jobs:
        queue.add(job)
    return queue


def passes(queue, room):
    """The jobs of each pass until the queue is empty."""
    found = []
    while queue.left:
        found.append(queue.take(room).jobs)
    return found


def test_requests_are_computed_in_the_order_in_which_they_came():
    jobs = [inputs(10) for _ in range(6)]
    assert passes(filled(*jobs), 20) == [jobs[:2], jobs[2:4], jobs[4:]]


def test_a_request_that_the_end_of_a_pass_cuts_goes_on_soon():
    """And not behind everything that has come since: it would take twice as long as all others."""
    cut, others = inputs(*[10] * 8), [inputs(10) for _ in range(20)]
    found = passes(filled(others[0], cut, *others[1:]), 30)
    assert [number for number, jobs in enumerate(found) if cut in jobs][-1] <= 4
    assert len(found) == 10


def test_large_requests_and_new_ones_have_turns():
    """Neither waits until the other ones are done: half of what is computed is for each."""
    large, small = inputs(*[TURN_TOKENS] * 8), [inputs(TURN_TOKENS) for _ in range(20)]
    order = [job for jobs in passes(filled(small[0], large, *small[1:]), TURN_TOKENS) for job in jobs]
    assert [place for place, job in enumerate(order) if job is large] == [1, 2, 4, 6, 8, 10, 12, 14]
    assert [job for job in order if job is not large] == small


@pytest.mark.parametrize("room", [TURN_TOKENS // 2, TURN_TOKENS, 3 * TURN_TOKENS])
def test_large_requests_have_the_same_share(room):
    """However many passes a turn takes."""
    large = [inputs(*[TURN_TOKENS // 2] * 20) for _ in range(3)]
    queue, tokens = filled(*large), []
    for _ in range(24 * TURN_TOKENS // room):
        found = queue.take(room)
        tokens += [(job, part.tokens) for job, part in zip(found.jobs, found.parts, strict=True)]
    shares = [sum(count for job, count in tokens if job is one) for one in large]
    assert max(shares) - min(shares) <= 2 * TURN_TOKENS


def test_a_call_is_a_pass_of_its_own_and_has_its_turn():
    """Also while others keep the other line full."""
    large, one_call = inputs(*[10] * 100), call(50)
    queue = filled(large)
    queue.take(20)
    queue.add(one_call)
    found = [queue.take(20).jobs for _ in range(3)]
    assert [one_call] in found
    assert all(one_call not in jobs or len(jobs) == 1 for jobs in found)


def test_an_urgent_job_comes_before_all_others():
    large, urgent = inputs(*[10] * 100), inputs(10)
    queue = filled(large, *[inputs(10) for _ in range(5)])
    for _ in range(4):
        queue.take(20)
        queue.add(urgent := inputs(10), is_urgent=True)
        assert queue.take(20).jobs[0] is urgent


def test_more_inputs_are_awaited_only_for_new_ones():
    one, large = inputs(10), inputs(*[TURN_TOKENS] * 2)
    assert Queue().since is None
    assert filled(one).since == one.arrived
    assert filled(call(10)).since is None
    queue = filled(large, one)
    queue.take(TURN_TOKENS)
    assert queue.since is None


@pytest.mark.parametrize("seed", range(20))
def test_each_row_is_taken_once_whatever_comes_and_goes(seed):
    """Requests of any size, calls, and clients that leave at any time: what is left is always what can be taken."""
    chance, queue, taken, jobs = random.Random(seed), Queue(), {}, []
    while len(jobs) < 60 or queue.left:
        if len(jobs) < 60 and chance.random() < 0.5:
            rows = chance.choice([1, 1, 8, 100])
            job = call(30) if chance.random() < 0.2 else inputs(*[chance.randint(2, 40) for _ in range(rows)])
            queue.add(job, is_continued=job.call is not None and chance.random() < 0.5, is_urgent=chance.random() < 0.1)
            jobs.append(job)
        if jobs and chance.random() < 0.05:
            chance.choice(jobs).future.cancel()
        found = queue.take(chance.choice([128, 500]))
        for job, part in zip(found.jobs, found.parts, strict=False):
            taken.setdefault(id(job), []).extend(range(part.start, part.end))
        if not found.parts and found.jobs:
            taken[id(found.jobs[0])] = ["called"]
    for job in jobs:
        if not job.future.cancelled():
            assert taken[id(job)] == (["called"] if job.call else list(range(len(job.encoded))))
    assert queue.left == 0
    assert queue.take(100).jobs == []
