"""A few threads that ask in parallel; answers come in the order of the questions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

Question = TypeVar("Question")
Asked_co = TypeVar("Asked_co", covariant=True)
Result = TypeVar("Result")


class Questions(Protocol[Asked_co]):
    """What is still to be asked; a `deque` is one."""

    def __len__(self) -> int: ...

    def popleft(self) -> Asked_co:
        """Take the next question."""
        ...


class Crew:
    """Bounded parallelism: at most `size` questions are under way, and as many answers are held."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"a crew has at least one member: {size}")
        self._size = size

    def ordered(
        self, todo: Questions[Question], job: Callable[[Question], Callable[[], Result]]
    ) -> Iterator[tuple[Question, Result]]:
        """Yield every question of `todo` with its answer; the caller may push more in front meanwhile.

        A single question is answered in this thread: most looks are one query.
        """
        while todo and (self._size == 1 or len(todo) == 1):
            question = todo.popleft()
            yield question, job(question)()
        if not todo:
            return
        pool = ThreadPoolExecutor(self._size, thread_name_prefix="last9")
        flying: deque[tuple[Question, Future[Result]]] = deque()
        try:
            while todo or flying:
                while todo and len(flying) < self._size:
                    question = todo.popleft()
                    flying.append((question, pool.submit(job(question))))
                question, future = flying.popleft()
                yield question, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
