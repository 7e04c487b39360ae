"""PyTorch's side of a session gives gradients for the original numbers, and disturbances change no state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reference.engines import Noise
from reference.engines.torch.stateful import TorchStateful

NOISE = Noise(2.0**-20, 0)


def leaf(torch: TorchStateful, *numbers: float, wanted: bool = True) -> Any:
    """Make a leaf in double precision."""
    return torch.leaf(np.array(numbers), wanted=wanted)


def from_ones(torch: TorchStateful, y: Any, *towards: Any, noise: Noise | None = None) -> list[Any]:
    """Run a backward pass from ones, and return the gradients as lists."""
    gradients = torch.gradients([(y, np.ones_like(torch.data(y)))], towards, noise)
    return [None if g is None else g.tolist() for g in gradients]


def test_overwritten_numbers_are_copied_first() -> None:
    """A backward pass gives the gradient for the original numbers, and tells that it read overwritten ones."""
    torch = TorchStateful()
    a, b = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, 4.0)
    y = torch.apply("multiply", [a, b], {})
    torch.overwrite(b)
    torch.data(b)[...] *= 100
    assert torch.data(b).tolist() == [300.0, 400.0]
    assert from_ones(torch, y, a, b) == [[3.0, 4.0], [1.0, 2.0]]
    assert torch.read_overwritten


def test_numbers_that_are_not_read_may_be_overwritten() -> None:
    """A sum reads no operands, and a product does not read an operand whose partner requires no gradient."""
    torch = TorchStateful()
    a, b = leaf(torch, 1.0), leaf(torch, 2.0, wanted=False)
    for op in ("add", "multiply"):
        y = torch.apply(op, [a, b], {})
        torch.overwrite(a)
        from_ones(torch, y, a)
        assert not torch.read_overwritten


def test_a_saved_result_is_recognized_by_its_memory() -> None:
    """An exponential saves its result, which may be overwritten like an operand."""
    torch = TorchStateful()
    a = leaf(torch, 0.0)
    y = torch.apply("exp", [a], {})
    torch.overwrite(y)
    torch.data(y)[...] = 5.0
    assert from_ones(torch, y, a) == [[1.0]]
    assert torch.read_overwritten


@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("positive", {}),
        ("reshape", {"shape": (2, 1)}),
        ("transpose", {"axes": None}),
        ("broadcast_to", {"shape": (2,)}),
        ("astype", {"dtype": "float64"}),
    ],
)
def test_results_have_memory_of_their_own(op: str, options: dict[str, Any]) -> None:
    """This also holds if PyTorch gives a view or the operand itself, and gradients are right."""
    torch = TorchStateful()
    a = leaf(torch, 1.0, 2.0)
    y = torch.apply(op, [a], options)
    assert not np.shares_memory(torch.data(y), torch.data(a))
    assert from_ones(torch, y, a) == [[1.0, 1.0]]


def test_a_saved_copy_counts_as_the_operand() -> None:
    """If PyTorch saves a copy in another layout, another engine may save the operand, and notice a write into it."""
    torch = TorchStateful()
    a, b = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, 5.0)
    c = torch.record(lambda x, y: x * (y + 0.0), [a, b])
    from_ones(torch, c, a)
    assert not torch.read_overwritten
    torch.overwrite(b)
    assert from_ones(torch, c, a) == [[3.0, 5.0]]
    assert torch.read_overwritten


def test_a_result_that_is_written_into_still_has_its_gradient() -> None:
    """This also holds if PyTorch makes it as a view, as for some products, and would lose its gradient."""
    torch = TorchStateful()
    a, b = torch.leaf(np.ones((2, 3))), torch.leaf(np.ones((2, 3, 1)), wanted=False)
    y = torch.apply("matmul", [a, b], {})
    z = torch.apply("negative", [y], {})
    torch.overwrite(y)
    torch.data(y)[...] *= 2.0
    assert from_ones(torch, z, y) == [(-np.ones_like(torch.data(y))).tolist()]


def test_operands_are_promoted() -> None:
    """Python numbers and integers take the dtype of the floats, and the widest float wins."""
    torch = TorchStateful()
    single, double = torch.leaf(np.ones(1, np.float32)), leaf(torch, 1.0)
    whole = torch.leaf(np.ones(1, np.int64), wanted=False)
    pairs = [(single, 0.1), (single, whole), (single, double)]
    dtypes = [str(torch.data(torch.apply("add", pair, {})).dtype) for pair in pairs]
    assert dtypes == ["float32", "float32", "float64"]


def test_operands_that_do_not_fit_are_refused() -> None:
    """PyTorch's errors are raised as ValueError."""
    torch = TorchStateful()
    with pytest.raises(ValueError, match="size"):
        torch.apply("add", [leaf(torch, 1.0, 2.0), leaf(torch, 1.0, 2.0, 3.0)], {})
    with pytest.raises(ValueError, match="out of bounds"):
        torch.apply("getitem", [leaf(torch, 1.0, 2.0)], {"index": (5,)})


def test_ops_with_known_weaknesses_are_left_out() -> None:
    """Sessions have no witness, so the reference must be right."""
    assert "add" in TorchStateful().ops
    assert "logsumexp" not in TorchStateful().ops


def test_gradients_are_set_in_the_dtype_of_the_leaf() -> None:
    """A gradient is copied into the leaf's dtype, and can be cleared."""
    torch = TorchStateful()
    a = torch.leaf(np.ones(2, np.float32))
    torch.set_gradient(a, np.array([0.5, 2.0]))
    gradient = torch.gradient(a)
    assert gradient is not None
    assert gradient.tolist() == [0.5, 2.0]
    assert gradient.dtype == np.float32
    torch.set_gradient(a, None)
    assert torch.gradient(a) is None


def test_a_disturbed_pass_moves_by_its_condition() -> None:
    """Each number moves by about the disturbance, and the next pass is not disturbed."""
    torch = TorchStateful()
    a, b = leaf(torch, 0.5, -0.25), leaf(torch, 1.0, 2.0)
    y = torch.apply("tanh", [torch.apply("multiply", [a, b], {})], {})
    exact, disturbed, again = (np.array(from_ones(torch, y, a, noise=n)[0]) for n in (None, NOISE, None))
    moved = np.abs((disturbed - exact) / exact)
    assert (moved > 0).all()
    assert (moved < 2.0**-16).all()
    assert (exact == again).all()


def test_ops_and_functions_can_be_repeated_with_a_disturbance() -> None:
    """Each number of the result moves by about the disturbance."""
    torch = TorchStateful()
    a, b = leaf(torch, 0.5, -0.25), leaf(torch, 1.0, 2.0)
    exact = torch.data(torch.apply("multiply", [a, b], {}))
    for disturbed in (
        torch.applied("multiply", [a, b], {}, NOISE),
        torch.computed(lambda x, y: x * y, [a, b], NOISE),
    ):
        moved = np.abs((disturbed - exact) / exact)
        assert (moved > 0).all()
        assert (moved < 2.0**-16).all()


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_a_disturbed_step_changes_nothing(kind: str) -> None:
    """It returns moved numbers and states, and restores everything, also a parameter without a gradient."""
    torch = TorchStateful()
    leaves = leaf(torch, 1.0, 2.0), leaf(torch, 3.0)
    momentum = {"momentum": 0.9} if kind in ("SGD", "RMSprop") else {}
    optimizer = torch.optimizer(kind, leaves, {"lr": 0.1, **momentum})

    def everything() -> list[Any]:
        numbers = [torch.data(p).tolist() for p in leaves]
        return [numbers, [{name: x.tolist() for name, x in state.items()} for state in optimizer.states()]]

    for _ in range(2):
        torch.set_gradient(leaves[0], np.array([0.5, -0.25]))
        snapshot = optimizer.snapshot()
        optimizer.step()
        after = everything()
        (numbers, state), (unmoved, empty) = optimizer.stepped_from(snapshot, NOISE)
        assert everything() == after
        assert (unmoved.size, empty) == (1, {})
        exact = {name: x for name, x in optimizer.states()[0].items() if name != "step"}
        for got, wanted in [(numbers, torch.data(leaves[0])), *((state[name], x) for name, x in exact.items())]:
            moved = np.abs(got - wanted)
            assert (moved > 0).all()
            assert (moved < 2.0**-16).all()


def test_an_optimizer_continues_from_a_save() -> None:
    """After state and options are loaded, a step gives the same numbers as without saving."""
    torch = TorchStateful()
    a = leaf(torch, 1.0, 2.0)
    optimizer = torch.optimizer("SGD", [a], {"lr": 0.5, "momentum": 0.9})
    torch.set_gradient(a, np.array([1.0, 1.0]))
    optimizer.step()
    saved, before = optimizer.save(), torch.data(a).copy()
    optimizer.step()
    after = torch.data(a).copy()
    other = torch.optimizer("SGD", [a], {"lr": 1.0})
    torch.data(a)[...] = before
    other.load(saved)
    other.step()
    assert torch.data(a).tolist() == after.tolist()
    other.set("lr", 0.0)
    other.step()
    assert torch.data(a).tolist() == after.tolist()
    other.zero()
    assert torch.gradient(a) is None
