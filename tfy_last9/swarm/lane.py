"""Serves requests for users that lend themselves, from the hub, without waking them.

A user's greenlet is needed where something waits: for a connection, for the next turn, for a pause. A request
on an open connection never does, and two greenlet switches with Locust's task loop between them cost more than
reading a short answer. The user is taken all the while: it serves one request at a time, and stopping it ends that.
"""

from __future__ import annotations

from functools import partial

from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.swarm.account import Account
from tfy_last9.swarm.call import Answer, Call, Driver
from tfy_last9.swarm.firing import Tally
from tfy_last9.swarm.pool import Ticket, UserPool


class Lane:
    """Begins requests in the pacer, and ends them in the callback that read the last of the answer."""

    def __init__(self, account: Account, driver: Driver, pool: UserPool, tally: Tally) -> None:
        self._account = account
        self._driver = driver
        self._pool = pool
        self._tally = tally

    def serve(self, arrival: Arrival, ticket: Ticket) -> bool:
        """Send an arrival's request; False: nothing was done, the user has to."""
        account = self._account
        if not ticket.is_lent or arrival.turns > 1 or not self._tally.is_enough():
            return False
        call = account.recorder.call(arrival)
        if call.target.name in account.breaker.trips:
            return False
        answer = account.answer(call)
        give_up = self._driver.begin(call, answer, partial(self._end, call, answer, ticket))
        if give_up is None:
            return False
        account.begin(call, answer)
        ticket.give_up = give_up
        return True

    def _end(self, call: Call, answer: Answer, ticket: Ticket) -> None:
        account = self._account
        account.breaker.take(call.target.name, answer)
        self._tally.take(account.end(call, answer))
        self._pool.take_back(ticket)
