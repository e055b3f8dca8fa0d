"""Room in a queue: who gets it, who waits, and that none is lost. `tests/test_serve.py` has the real queue."""

import asyncio
import contextlib
import random
import time

import pytest

from acceptor.serve.reservations import Reservations


class RefusedError(Exception):
    pass


def bounded(most, patience=600.0):
    return Reservations(most, patience, is_in_time=lambda reserved: True, refusal=RefusedError)


async def steps():
    """Lets all other tasks go on until each waits."""
    for _ in range(5):
        await asyncio.sleep(0)


@contextlib.contextmanager
def holding(room, sizes, admitted):
    """Tasks that reserve tokens until they are cancelled; each notes its number once it is admitted."""

    async def hold(number, tokens):
        async with room.of(tokens):
            admitted.append(number)
            await asyncio.Event().wait()

    yield [asyncio.ensure_future(hold(number, tokens)) for number, tokens in enumerate(sizes)]


def run(main):
    asyncio.run(asyncio.wait_for(main(), 60))


def test_room_is_given_in_the_order_of_arrival():
    """A small request does not overtake a large one, which would never have its turn."""

    async def main():
        room, admitted = bounded(10), []
        with holding(room, [6, 4, 7, 1], admitted) as tasks:
            await steps()
            assert (admitted, room.reserved) == ([0, 1], 10)
            tasks[1].cancel()
            await steps()
            assert (admitted, room.reserved) == ([0, 1], 6)  # 7 more are too many
            tasks[0].cancel()
            await steps()
            assert (admitted, room.reserved) == ([0, 1, 2, 3], 8)

    run(main)


def test_an_empty_queue_takes_any_request():
    async def main():
        room = bounded(10)
        async with room.of(1000):
            assert room.reserved == 1000
        assert room.reserved == 0

    run(main)


def test_a_lower_reservation_makes_room():
    async def main():
        room, admitted = bounded(10), []
        async with room.of(10) as one:
            with holding(room, [5], admitted):
                await steps()
                assert admitted == []
                one.lower(5)
                await steps()
                assert (admitted, room.reserved) == ([0], 10)

    run(main)


def test_who_waits_too_long_is_refused_and_leaves_no_trace():
    async def main():
        room, admitted = bounded(10, patience=0.01), []
        async with room.of(8):
            with pytest.raises(RefusedError):
                async with room.of(5):
                    raise AssertionError("there is no room")
            with holding(room, [2], admitted):
                await steps()
                assert (admitted, room.reserved) == ([0], 10)

    run(main)


@pytest.mark.parametrize("tokens", [11, 7])
def test_who_cannot_be_admitted_in_time_is_refused_at_once(tokens):
    """One that needs an empty queue would make all others wait for that; and what waits is bounded as well."""

    async def main():
        room, admitted = bounded(10), []
        async with room.of(8):
            with holding(room, [4], admitted):
                await steps()
                with pytest.raises(RefusedError):
                    async with room.of(tokens):
                        raise AssertionError("there is no room")
                assert (room.reserved, room.waiting) == (8, 4)

    run(main)


def test_nobody_is_admitted_whose_answer_would_be_late():
    async def main():
        is_fast, admitted = [False], []
        room = Reservations(1000, 600.0, is_in_time=lambda reserved: is_fast[0], refusal=RefusedError)
        async with room.of(1) as one:
            with holding(room, [5], admitted):
                await steps()
                assert admitted == []
                is_fast[0] = True
                one.lower(1)
                await steps()
                assert admitted == [0]

    run(main)


def test_who_leaves_while_it_waits_is_not_counted_any_more():
    """Whoever is before it in the line."""

    async def main():
        room, admitted = bounded(10), []
        async with room.of(8):
            with holding(room, [5, 4], admitted) as tasks:
                await steps()
                assert room.waiting == 9
                tasks[1].cancel()
                await steps()
                assert (admitted, room.reserved, room.waiting) == ([], 8, 5)

    run(main)


def test_an_error_within_is_not_taken_for_one_of_waiting():
    async def main():
        room = bounded(10)
        with pytest.raises(ZeroDivisionError):
            async with room.of(1):
                raise ZeroDivisionError
        assert room.reserved == 0

    run(main)


def test_who_gets_room_at_the_last_moment_is_admitted():
    """Its time ends in the same iteration of the loop in which the room was made, and after that."""

    async def main():
        room = bounded(10, patience=0.01)
        async with room.of(10) as one:
            asyncio.get_running_loop().call_later(0.005, one.lower, 0)
            asyncio.get_running_loop().call_soon(time.sleep, 0.05)  # until both are due
            async with room.of(5):
                assert (room.reserved, room.waiting) == (5, 0)

    run(main)


def test_who_is_cancelled_as_room_is_given_gives_it_back():
    """The moment between the two: its tokens are reserved, and it does not run yet."""

    async def main():
        room, admitted = bounded(10), []
        async with room.of(10) as one:
            with holding(room, [10], admitted) as (task,):
                await steps()
                one.lower(0)
                assert room.reserved == 10
                task.cancel()
                await asyncio.wait([task])
                assert (admitted, room.reserved, room.waiting) == ([], 0, 0)

    run(main)


def test_room_that_is_made_as_the_first_one_gives_up_is_for_the_next_one():
    """The moment before: the first one is cancelled, and does not run yet."""

    async def main():
        room, admitted = bounded(10), []
        async with room.of(10) as one:
            with holding(room, [5, 5], admitted) as (first, _):
                await steps()
                first.cancel()
                one.lower(0)
                await asyncio.wait([first])
                await steps()
                assert (admitted, room.reserved, room.waiting) == ([1], 5, 0)

    run(main)


@pytest.mark.parametrize("seed", range(5))
def test_no_token_is_lost_or_invented_whoever_leaves_and_when(seed):
    """Requests that end, are cancelled or give up at random: the bound holds, and at the end all is free."""
    chance = random.Random(seed)

    async def one_request(room, ended):
        try:
            async with room.of(chance.randint(1, 8)) as reserved:
                assert room.reserved <= 20
                await asyncio.sleep(chance.choice([0, 0.001, 0.003]))
                reserved.lower(reserved.tokens // 2)
                await asyncio.sleep(chance.choice([0, 0.001]))
            ended.append("done")
        except RefusedError:
            ended.append("refused")

    async def main():
        room, ended = bounded(20, patience=0.004), []
        tasks = [asyncio.ensure_future(one_request(room, ended)) for _ in range(200)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.0005)
            chance.choice(tasks).cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled = sum(isinstance(result, asyncio.CancelledError) for result in results)
        assert len(ended) + cancelled == 200
        assert (room.reserved, room.waiting) == (0, 0)
        async with room.of(20):  # nobody is left who waits
            assert room.reserved == 20

    run(main)
