"""Modes: whether results are recorded, whether writes to operands are checked, and whether a graph saves memory.

A mode lasts for a `with` block, or for each call of a decorated function. It belongs to the context (`contextvars`)
that entered it: each thread and each asyncio task has its own modes, and a task also has those that it was started in.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import wraps
from types import TracebackType
from typing import Any, Self

# The modes that a context still has, by id. While it is empty, the fast path of recording applies. A count of the
# `with` blocks would not do: a task that was started inside a block keeps its mode after the block has ended.
ENTERED: dict[int, None] = {}


class Mode:
    """The settings of a context, and the mode to return to.

    Args:
        by: the context manager that entered it; None for the default mode.
        outer: the mode around it.
    """

    __slots__ = ("by", "lean", "outer", "recording", "remembering")

    recording: bool
    remembering: bool
    lean: bool

    def __init__(self, by: _Context | None = None, outer: Mode | None = None) -> None:
        self.by = by
        self.outer = outer
        self.recording = outer is None or outer.recording
        self.remembering = outer is not None and outer.remembering
        self.lean = outer is not None and outer.lean
        if by is not None:
            by._switch(self)  # noqa: SLF001 - they are one mechanism
            ENTERED[id(self)] = None

    def __del__(self, forget: Callable[..., Any] = ENTERED.pop) -> None:
        forget(id(self), None)


_current = ContextVar("ndgrad modes", default=Mode())  # noqa: B039 - the default mode never changes
current: Callable[[], Mode] = _current.get


class _Context(ContextDecorator):
    """A mode as a context manager and a decorator. It nests, and can be entered again.

    It decorates functions, coroutine functions, and generator functions of both kinds. The mode lasts while the body
    runs, and not while its caller does. A `with` block around a `yield` does affect the caller, because generators have
    no context of their own in Python.
    """

    def _switch(self, mode: Mode) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        _current.set(Mode(self, _current.get()))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _current.set(_without(self, _current.get()))

    def __call__(self, function: Any) -> Any:
        """Return the function, decorated: it runs in this mode."""
        if inspect.isclass(function):
            raise TypeError(
                f"{self._name} decorates functions, but got the class {function.__name__}: decorate its methods"
            )
        for is_kind, in_mode in _KINDS:
            if is_kind(function):
                return wraps(function)(in_mode(self, function))
        return super().__call__(function)

    @property
    def _name(self) -> str:
        return type(self).__name__


def _without(context: _Context, mode: Mode) -> Mode:
    """Remove the latest mode that a context entered. Inner modes stay, because generators may end in any order."""
    if mode.outer is None:
        raise RuntimeError(
            f"{context._name} was left, but was not entered in this thread, task or generator"  # noqa: SLF001
        )
    if mode.by is context:
        return mode.outer
    return Mode(mode.by, _without(context, mode.outer))


# The wrappers of decorated functions, by kind.


def _coroutine(mode: _Context, function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **options: Any) -> Any:
        with mode:
            return await function(*args, **options)

    return call


def _generator(mode: _Context, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Generator[Any, Any, Any]:
        def resumed(resume: Callable[..., Any], *given: Any) -> Any:
            with mode:
                return resume(*given)

        generator = function(*args, **options)
        try:
            item = resumed(next, generator)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    resumed(generator.close)
                    raise
                except BaseException as error:  # noqa: BLE001 - any exception thrown in is passed on to the generator
                    item = resumed(generator.throw, error)
                else:
                    item = resumed(generator.send, sent)
        except StopIteration as end:
            return end.value

    return call


def _async_generator(mode: _Context, function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **options: Any) -> AsyncGenerator[Any, Any]:
        async def resumed(resume: Callable[..., Any], *given: Any) -> Any:
            with mode:
                return await resume(*given)

        generator = function(*args, **options)
        try:
            item = await resumed(generator.__anext__)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    await resumed(generator.aclose)
                    raise
                except BaseException as error:  # noqa: BLE001 - as above
                    item = await resumed(generator.athrow, error)
                else:
                    item = await resumed(generator.asend, sent)
        except StopAsyncIteration:
            return

    return call


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[..., Any]], ...] = (
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isgeneratorfunction, _generator),
    (inspect.isasyncgenfunction, _async_generator),
)


# The public modes.


class no_grad(_Context):
    """Make results constants: no graph is recorded. A context manager and a decorator."""

    def _switch(self, mode: Mode) -> None:
        mode.recording = False


class enable_grad(_Context):
    """Record a graph inside `no_grad`. A context manager and a decorator."""

    def _switch(self, mode: Mode) -> None:
        mode.recording = True


class check_writes(_Context):
    """Remember the contents of operands, so that `backward` raises an error if they were overwritten.

    Assignments (`p.data = ...`, `p.data += ...`) are always detected. This mode also detects writes to entries, such as
    `p.data[0] = 9`, and writes to arrays that were used as constants. It costs a copy of every operand.
    """

    def _switch(self, mode: Mode) -> None:
        mode.remembering = True


class lean(_Context):
    """Save memory: the graph stores only those numbers of inner nodes that pullbacks read, and no inner gradients.

    It trades time for memory. The gradients of leaves are the same to the bit. The numbers of an inner Value that
    nothing else refers to are freed, unless the backward pass needs them. It has no gradient, and pictures do not show
    it.
    """

    def _switch(self, mode: Mode) -> None:
        mode.lean = True
