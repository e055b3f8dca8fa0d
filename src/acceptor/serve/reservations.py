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

    Attributes:
        reserved: Tokens of the requests that are in the queue.
        waiting: Tokens of those that wait for room.
    """

    def __init__(
        self,
        max_tokens: int,
        patience: float,
        *,
        is_in_time: Callable[[int], bool],
        refusal: Callable[[int], Exception],
    ) -> None:
        """Nothing is reserved yet.

        Args:
            max_tokens: The bound of the reserved tokens, and of those that wait.
            patience: How long a request waits for room, in seconds.
            is_in_time: From the tokens that are reserved to whether one more request would be answered in time.
            refusal: From the tokens of a request to the error that refuses it.
        """
        self.reserved = self.waiting = 0
        self._max_tokens, self._patience = max_tokens, patience
        self._is_in_time, self._refusal = is_in_time, refusal
        self._line: deque[Reservation] = deque()

    @contextlib.asynccontextmanager
    async def of(self, tokens: int) -> AsyncIterator[Reservation]:
        """The tokens of a request, reserved until the context ends.

        Raises:
            Exception: That of ``refusal``: there was no room in time, or too many tokens wait already.
        """
        one = Reservation(self, tokens)
        try:
            self.admit()
            if not self._line and self._has_room(tokens):
                one.admit()
            elif self.waiting + tokens > self._max_tokens:  # also one that needs an empty queue: it would block all
                raise self._refusal(tokens)
            else:
                await self._room_for(one)
            yield one
        finally:
            one.lower(0)

    async def _room_for(self, one: Reservation) -> None:
        self._line.append(one)
        self.waiting += one.wanted
        try:
            async with asyncio.timeout(self._patience):
                await one.admitted
        except TimeoutError:
            if one.admitted.cancelled():  # else there was room at the last moment
                raise self._refusal(one.wanted) from None
        finally:
            if one.admitted.cancelled():
                self._line.remove(one)
                self.waiting -= one.wanted

    def admit(self) -> None:
        """Reserves the tokens of those who wait, the first one first, as long as there is room."""
        # One that has given up is about to leave the line, and calls this again.
        while self._line and not self._line[0].admitted.cancelled() and self._has_room(self._line[0].wanted):
            first = self._line.popleft()
            self.waiting -= first.wanted
            first.admit()

    def _has_room(self, tokens: int) -> bool:
        """A queue that holds something can take so many tokens more. An empty one takes any request."""
        fits = self.reserved + tokens <= self._max_tokens
        return not self.reserved or (fits and self._is_in_time(self.reserved))


class Reservation:
    """The tokens of one request.

    Attributes:
        wanted: How many it asked for.
        tokens: How many are reserved for it.
        admitted: Done as soon as they are reserved; cancelled if it has given up.
    """

    def __init__(self, reservations: Reservations, wanted: int) -> None:
        """Nothing is reserved yet."""
        self.wanted, self.tokens = wanted, 0
        self.admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reservations = reservations

    def admit(self) -> None:
        """Reserves all that it asked for."""
        self.tokens = self.wanted
        self._reservations.reserved += self.tokens
        self.admitted.set_result(None)

    def lower(self, tokens: int) -> None:
        """Keeps at most so many tokens, which makes room for others."""
        fewer = min(tokens, self.tokens)
        self._reservations.reserved += fewer - self.tokens
        self.tokens = fewer
        self._reservations.admit()
