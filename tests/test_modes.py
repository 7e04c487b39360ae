"""Modes belong to a context, of a thread or a task, and can be left in any order."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import pytest

import ndgrad
from ndgrad import Value, check_writes, enable_grad, lean, no_grad
from ndgrad.modes import ENTERED

X = Value([1.0, 2.0])


@pytest.fixture(autouse=True)
def _all_are_left() -> Iterator[None]:
    """Check after each test that results are recorded, and that no context has a mode."""
    yield
    gc.collect()
    assert recording()
    assert not ENTERED


def recording() -> bool:
    """Return whether an op is recorded at present."""
    return (X * 2).requires_grad


# Functions of every kind.


def test_a_coroutine_function() -> None:
    """A coroutine function runs in its mode, before and after an await, and its caller does not."""

    @no_grad()
    async def evaluate(x: int) -> list[Any]:
        seen = [x, recording()]
        await asyncio.sleep(0)
        return [*seen, recording()]

    async def main() -> list[Any]:
        return [recording(), *await evaluate(3), recording()]

    assert inspect.iscoroutinefunction(evaluate)
    assert asyncio.run(main()) == [True, 3, False, False, True]


def test_a_generator_function() -> None:
    """A generator runs in its mode between items, and its caller does not."""

    @no_grad()
    def items() -> Generator[Any, Any, str]:
        sent = yield recording()
        try:
            yield sent, recording()
        except KeyError as error:
            yield error.args[0], recording()
        return "end"

    running = items()
    assert inspect.isgeneratorfunction(items)
    assert [next(running), recording()] == [False, True]
    assert [running.send("sent"), recording()] == [("sent", False), True]
    assert [running.throw(KeyError("thrown")), recording()] == [("thrown", False), True]
    with pytest.raises(StopIteration) as ended:
        next(running)
    assert ended.value.value == "end"


def test_a_generator_that_is_closed() -> None:
    """A generator that is closed ends in its mode, and its errors reach the caller."""
    seen = []

    @no_grad()
    def items(*, fails: bool = False) -> Iterator[int]:
        try:
            yield 1
            if fails:
                raise KeyError
            yield 2
        finally:
            seen.append(recording())

    running = items()
    next(running)
    running.close()
    failing = items(fails=True)
    next(failing)
    with pytest.raises(KeyError):
        next(failing)
    assert seen == [False, False]


def test_an_asynchronous_generator_function() -> None:
    """An asynchronous generator runs in its mode, and its consumer does not."""

    @no_grad()
    async def items() -> AsyncIterator[bool]:
        yield recording()
        await asyncio.sleep(0)
        yield recording()

    async def main() -> list[bool]:
        return [seen for item in [item async for item in items()] for seen in (item, recording())]

    assert inspect.isasyncgenfunction(items)
    assert asyncio.run(main()) == [False, True, False, True]


def test_an_asynchronous_generator_is_closed_and_thrown_into() -> None:
    """Sent values and thrown exceptions reach an asynchronous generator."""

    @no_grad()
    async def items() -> Any:
        sent = yield recording()
        try:
            yield sent, recording()
        except KeyError:
            yield "thrown", recording()

    async def main() -> list[Any]:
        running = items()
        seen = [await running.asend(None), await running.asend(7), await running.athrow(KeyError())]
        await running.aclose()
        return [*seen, recording()]

    assert asyncio.run(main()) == [False, (7, False), ("thrown", False), True]


def test_a_class_is_not_decorated() -> None:
    """To decorate a class is an error, because its name would then refer to a function."""
    with pytest.raises(TypeError, match="no_grad decorates functions, but got the class Model: decorate its methods"):

        @no_grad()
        class Model:
            pass


# Tasks.


def test_a_block_around_an_await_is_its_tasks_own() -> None:
    """A block around an await belongs to its task: others are recorded, whichever ends first."""

    async def quiet(started: asyncio.Event, go_on: asyncio.Event) -> list[bool]:
        with no_grad():
            started.set()
            await go_on.wait()
            seen = recording()
        return [seen, recording()]

    async def main() -> list[bool]:
        started, go_on = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(quiet(started, go_on))
        await started.wait()
        seen = recording()
        with enable_grad():
            go_on.set()
            inside = await task
        return [seen, *inside]

    assert asyncio.run(main()) == [True, False, True]


def test_a_task_keeps_the_mode_that_it_was_started_in() -> None:
    """A task keeps the mode it was started in, also after that block has ended."""

    async def later(go_on: asyncio.Event) -> bool:
        await go_on.wait()
        return recording()

    async def main() -> list[bool]:
        go_on = asyncio.Event()
        with no_grad():
            task = asyncio.create_task(later(go_on))
        go_on.set()
        return [recording(), await task]

    assert asyncio.run(main()) == [True, False]


@pytest.mark.parametrize("mode", [lean, check_writes])
def test_all_modes_are_their_tasks_own(mode: Callable[[], Any]) -> None:
    """All modes belong to their task, including `lean` and `check_writes`."""

    async def other() -> tuple[bool, bool]:
        y = X * 3
        y.sum().backward()
        return y.has_grad, hasattr(y, "_remembered")

    async def with_mode(task: Awaitable[Any]) -> Any:
        with mode():
            return await task

    async def main() -> Any:
        task = asyncio.create_task(other())
        return await with_mode(task)

    assert asyncio.run(main()) == (True, False)


# Threads.


def test_many_threads_enter_and_leave() -> None:
    """Many threads enter and leave modes thousands of times, each sees its own, and none is left."""
    wrong = []

    def enter(mode: Callable[[], Any], expected: bool) -> None:  # noqa: FBT001 - it is passed to a thread
        for _ in range(3_000):
            with mode():
                if recording() is not expected:
                    wrong.append(expected)

    threads = [threading.Thread(target=enter, args=given) for given in [(no_grad, False), (enable_grad, True)] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_one_decorated_function_in_many_threads() -> None:
    """A decorated function works in several threads at once."""
    wrong = []

    @no_grad()
    def evaluate() -> None:
        wrong.extend([1] * recording())

    def call() -> None:
        for _ in range(2_000):
            evaluate()
            wrong.extend([2] * (not recording()))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Leaving.


def test_a_mode_that_was_not_entered_is_not_left() -> None:
    """To leave a mode that was not entered is an error that names it, and other modes stay."""
    with pytest.raises(RuntimeError, match="no_grad was left, but was not entered in this thread, task or generator"):
        no_grad().__exit__(None, None, None)
    with no_grad():
        with pytest.raises(RuntimeError, match="enable_grad was left, but was not entered"):
            enable_grad().__exit__(None, None, None)
        assert not recording()
    with no_grad():
        assert not recording()


def test_modes_are_left_in_any_order() -> None:
    """Modes can be left in any order, as generators do, and the others stay."""
    outer, inner = no_grad(), ndgrad.lean()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    assert recording()
    y = X * 2
    y.sum().backward()
    assert not y.has_grad  # still lean
    inner.__exit__(None, None, None)


def test_a_generator_with_a_block_that_nobody_ends() -> None:
    """The block of an abandoned generator ends when that is closed, though other modes were entered since."""

    def items() -> Iterator[bool]:
        with no_grad():
            yield recording()

    running = items()
    assert next(running) is False
    with enable_grad():
        running.close()  # type: ignore[attr-defined]  # a generator has it
        assert recording()
