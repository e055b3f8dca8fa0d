"""`Reservations`: how many tokens each request has in a queue, and which requests wait for room in it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable


class Reservations:
    """The tokens of all requests of one queue. Everything happens in the event loop's thread.

    A request that finds no room waits for it, in the order of arrival. If it were refused at once, a client that tries
    again at once would take the time of the requests that are in the queue, and they would be late.
    """

    def __init__(self, has_room: Callable[[int, int], bool], patience: float) -> None:
        """Nothing is reserved yet.

        Args:
            has_room: From the tokens that are reserved and those of a request to whether there is room for it.
            patience: How long a request waits for room, in seconds.
        """
        self.tokens = 0
        self._has_room, self._patience = has_room, patience
        self._waiting: deque[Reservation] = deque()

    @contextlib.asynccontextmanager
    async def of(self, tokens: int) -> AsyncIterator[Reservation]:
        """The tokens of a request, reserved until the context ends.

        Raises:
            TimeoutError: There was no room in time.
        """
        one = Reservation(self, tokens)
        self._waiting.append(one)
        try:
            self.admit()
            if not one.is_admitted.done():
                async with asyncio.timeout(self._patience):
                    await one.is_admitted
            yield one
        finally:
            one.is_admitted.cancel()
            one.lower(0)

    def admit(self) -> None:
        """Reserves the tokens of those who wait, the first one first, as long as there is room."""
        while self._waiting:
            first = self._waiting[0]
            if not first.is_admitted.done():  # else it has given up
                if not self._has_room(self.tokens, first.wanted):
                    return
                first.tokens = first.wanted
                self.tokens += first.tokens
                first.is_admitted.set_result(None)
            self._waiting.popleft()


class Reservation:
    """The tokens of one request.

    Attributes:
        wanted: How many it asked for.
        tokens: How many are reserved for it.
        is_admitted: Done as soon as they are reserved; cancelled if it has given up.
    """

    def __init__(self, everyones: Reservations, wanted: int) -> None:
        """Nothing is reserved yet."""
        self.wanted, self.tokens = wanted, 0
        self.is_admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._everyones = everyones

    def lower(self, tokens: int) -> None:
        """Keeps only so many tokens, which makes room for others."""
        self._everyones.tokens += tokens - self.tokens
        self.tokens = tokens
        self._everyones.admit()
