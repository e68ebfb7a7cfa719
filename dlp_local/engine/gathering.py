"""Requests of several threads to one engine, held until all are there: what is computed beside what is then known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Generic, TypeVar

Task = TypeVar("Task")
Begun = TypeVar("Begun")


class Apart:
    """Members that nobody waits for: what each asks for is begun as it comes."""

    def member(self, number: int) -> AbstractContextManager[None]:
        """Within the block this thread is a member."""
        return nullcontext()


class Gathering(Generic[Task, Begun]):
    """Holds what its members ask for until each has asked or is gone; then all of it begins, by the members' numbers.

    A member is a thread that asks for one thing after another. Which thread is first, and how long one takes between
    two requests, changes nothing.
    """

    def __init__(self, members: int, begin: Callable[[Sequence[Task]], Sequence[Begun]]) -> None:
        """`begin` begins some tasks in their order; what it raises is raised for each of them."""
        self._members, self._begin = members, begin
        self._changed = threading.Condition()
        self._asked: dict[int, Task] = {}
        self._begun: dict[int, Begun | Exception] = {}
        self._own = threading.local()

    @contextmanager
    def member(self, number: int) -> Iterator[None]:
        """Within the block this thread is a member, which none is twice; after it nobody waits for that one."""
        self._own.number = number
        try:
            yield
        finally:
            del self._own.number
            with self._changed:
                self._members -= 1
                self._begin_if_all_asked()

    @property
    def is_of_this_thread(self) -> bool:
        """Whether this thread is a member."""
        return hasattr(self._own, "number")

    def begun(self, task: Task) -> Begun:
        """What a member's task has become, once all have asked; raises what `begin` raised."""
        number: int = self._own.number
        with self._changed:
            self._asked[number] = task
            self._begin_if_all_asked()
            self._changed.wait_for(lambda: number in self._begun)
            begun = self._begun.pop(number)
        if isinstance(begun, Exception):
            raise begun
        return begun

    def _begin_if_all_asked(self) -> None:
        if not self._asked or len(self._asked) < self._members:
            return
        numbers = sorted(self._asked)
        tasks = [self._asked[number] for number in numbers]
        self._asked.clear()
        try:
            begun: Sequence[Begun | Exception] = self._begin(tasks)
        except Exception as error:
            begun = [error] * len(tasks)
        self._begun.update(zip(numbers, begun, strict=True))
        self._changed.notify_all()
