"""Properties of every rule: ways to call it, operands, dtypes, and errors."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import pytest

import ndgrad
from ndgrad.engine import Value
from ndgrad.rules import RULES, Rule
from ndgrad.rules.rule import rules_of
from reference.ops import OPS
from reference.ops.source import Seeded, Unsuited
from tests.rules.calls import CALLS

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

X = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])
NUMPY = [(name, function) for name, rule in RULES.items() for function in rule.numpy]
VARIADIC = [name for name, rule in RULES.items() if rule.variadic]


def converted(args: Any, convert: Callable[[Array], Any]) -> Any:
    """Return the arguments of a call with each array of floats converted."""
    if isinstance(args, (tuple, list)):
        return type(args)(converted(arg, convert) for arg in args)
    return convert(args) if isinstance(args, np.ndarray) and args.dtype.kind == "f" else args


def valued(args: Any, dtype: type = np.float64) -> tuple[Any, list[Value]]:
    """Return the arguments with Values in place of arrays, and the list of these Values."""
    made: list[Value] = []

    def value(array: Array) -> Value:
        made.append(Value(array.astype(dtype)))
        return made[-1]

    return converted(args, value), made


def outcome(call: Callable[..., Any], name: str, dtype: type = np.float64) -> list[Array]:
    """Return the results and the gradients of all operands of a rule's example call, made by `call`."""
    args, options = CALLS[name]
    args, operands = valued(args, dtype)
    results = call(*args, **options)
    results = results if isinstance(results, list) else [results]
    assert all(type(y) is Value and y.requires_grad for y in results)
    for y in results:
        y.backward(np.arange(1.0, 1 + y.size).reshape(y.shape) ** 2)
    return [v.data for v in results] + [v.grad for v in operands]


def call_of(name: str, dtype: type = np.float64) -> tuple[tuple[Array, ...], dict[str, Any]]:
    """Return the operands and options of the example call of a rule with one result."""
    args, options = CALLS[name]
    bound: Any = RULES[name].bind(*converted(args, lambda a: a.astype(dtype)), **options)
    operands, options = bound
    return operands, options


def equal(ours: list[Array], theirs: list[Array]) -> None:
    """Assert that two outcomes are bitwise equal."""
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, strict=True)


# Ways to call.


@pytest.mark.parametrize("name", RULES)
def test_the_function(name: str) -> None:
    """`ndgrad.NAME` is the rule, is in `__all__`, and has a docstring."""
    rule = getattr(ndgrad, name)
    assert rule is RULES[name]
    assert name in ndgrad.__all__
    assert rule.__name__ == name
    assert rule.__doc__
    assert repr(rule) == f"<rule {name}>"


@pytest.mark.parametrize("name", RULES)
def test_the_method(name: str) -> None:
    """`x.NAME(...)` equals `ndgrad.NAME(x, ...)`, and has its name; rules without a method have none."""
    if RULES[name].method:
        equal(outcome(getattr(Value, name), name), outcome(RULES[name], name))
        assert getattr(Value, name).__name__ == name
        assert getattr(Value, name).__doc__ == RULES[name].__doc__
    else:
        assert not hasattr(Value, name)
        assert name in {"where", "getitem", "scatter", *VARIADIC}  # their first argument is not the operand


@pytest.mark.parametrize(("name", "function"), NUMPY)
def test_numpys_functions(name: str, function: Callable[..., Any]) -> None:
    """NumPy's function calls the rule for Values, and computes the same for arrays."""
    args, options = CALLS[name]
    equal(outcome(function, name), outcome(RULES[name], name))
    theirs, ours = function(*args, **options), RULES[name](*args, **options)
    for a, b in zip(*([y if isinstance(y, list) else [y] for y in (ours, theirs)]), strict=True):
        # Where both sum in their own order, the last digits differ: 4 ULP for sums of few numbers.
        np.testing.assert_allclose(a, b, rtol=1e-15, atol=0, strict=True)


@pytest.mark.parametrize("name", RULES)
def test_numpys_function_of_the_same_name(name: str) -> None:
    """If NumPy has a function of the rule's name, it is on the row."""
    function = getattr(np, name, None)
    assert function is None or function in RULES[name].numpy


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.operator])
def test_the_operator(name: str) -> None:
    """Python's operator calls the rule, with the operands in order."""
    special = f"__{RULES[name].operator}__"
    equal(outcome(lambda x, *args: getattr(x, special)(*args), name), outcome(RULES[name], name))


def test_there_are_all_operators() -> None:
    """All operators of NumPy's arrays that have a slope are defined."""
    operators = {rule.operator: name for name, rule in RULES.items() if rule.operator}
    assert operators == {
        "abs": "abs", "add": "add", "getitem": "getitem", "matmul": "matmul", "mul": "multiply", "neg": "negative",
        "pos": "positive", "pow": "power", "sub": "subtract", "truediv": "divide",
    }  # fmt: skip


# Arrays in, arrays out.


@pytest.mark.parametrize("name", RULES)
def test_plain_arrays(name: str) -> None:
    """Arrays give arrays, with the same numbers as Values, and are not written to."""
    args, options = CALLS[name]
    before = repr(args)
    plain = RULES[name](*args, **options)
    recorded = RULES[name](*valued(args)[0], **options)
    for a, b in zip(*([y if isinstance(y, list) else [y] for y in (plain, recorded)]), strict=True):
        assert isinstance(a, np.ndarray)
        np.testing.assert_array_equal(a, b.data, strict=True)
    assert repr(args) == before


@pytest.mark.parametrize("name", sorted(set(RULES) - {"astype", "getitem", "squeeze"}))
def test_lists(name: str) -> None:
    """Lists are converted to arrays."""
    args, options = CALLS[name]
    a, b = RULES[name](*converted(args, lambda x: x.tolist()), **options), RULES[name](*args, **options)
    np.testing.assert_array_equal(np.array(a), np.array(b), strict=True) if name != "split" else equal(a, b)


@pytest.mark.parametrize("name", ["exp", "sin", "cos", "tan", "tanh", "sqrt", "log", "square", "negative", "positive"])
def test_complex_numbers(name: str) -> None:
    """Rules of analytic functions accept complex arrays, which the complex step needs."""
    z = np.array([0.5 + 1e-3j, 2.0 - 1.0j])
    np.testing.assert_array_equal(RULES[name](z), getattr(np, name)(z), strict=True)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "power", "matmul"])
def test_complex_pairs(name: str) -> None:
    """Operators accept complex arrays, too."""
    a, b = np.array([0.5 + 1e-3j, 2.0 - 1.0j]), np.array([1.5, 1.0j])
    np.testing.assert_array_equal(RULES[name](a, b), getattr(np, name)(a, b))


def test_numbers() -> None:
    """Plain numbers give a plain number, and are weak beside float32."""
    assert ndgrad.add(1, 2) == 3
    assert ndgrad.exp(0.0) == 1.0
    assert ndgrad.maximum(np.float32(1), 2.5).dtype == np.float32
    assert ndgrad.sum([[1, 2], [3, 4]], axis=0).tolist() == [4, 6]


# Dtypes.


@pytest.mark.parametrize("name", RULES)
def test_single_numbers_stay_single(name: str) -> None:
    """For float32 operands, all results and gradients are float32; `astype` gets another dtype."""
    rule = ndgrad.astype if name == "astype" else RULES[name]
    assert {a.dtype for a in outcome(rule, name, np.float32)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", sorted(set(RULES) - {"split", "astype"}))
def test_pullbacks_keep_the_cotangents_dtype(name: str) -> None:
    """Pullbacks compute in float32 themselves, without the engine's cast."""
    rule = RULES[name]
    operands, bound = call_of(name, np.float32)
    y = rule.forward(*operands, **bound)
    if rule.residual:
        y, bound["residual"] = y
    for position, operand in enumerate(operands):
        where = {"position": position} if rule.variadic else {}
        pullback = rule.pullbacks[0 if rule.variadic else position]
        if pullback and isinstance(operand, np.ndarray):
            assert pullback(np.ones_like(y), y, *operands, **bound, **where).dtype == np.float32


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.residual])
def test_residuals_can_be_recomputed(name: str) -> None:
    """`residual` computes what `forward` returns beside its result."""
    rule = RULES[name]
    operands, bound = call_of(name)
    y, residual = rule.forward(*operands, **bound)
    assert rule.residual
    # Both differ by a few roundings of numbers up to 3; residuals may be small.
    again = rule.residual(y, *operands, **bound)
    if isinstance(residual, tuple):  # a numerator and a denominator, whose quotient counts
        again, residual = np.divide(*again), np.divide(*residual)
    np.testing.assert_allclose(again, residual, rtol=1e-14, atol=1e-15, strict=True)


@pytest.mark.parametrize("name", sorted(set(RULES) - {"split"}))
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_plain_whole_numbers_are_taken_for_floats(name: str, dtype: type) -> None:
    """Integers are converted to floats if the result is of floats, and then neither wrap nor are truncated."""
    args, options = CALLS[name]
    whole = converted(args, lambda a: np.ceil(np.abs(a)).astype(dtype))
    expected = RULES[name](*converted(args, lambda a: np.ceil(np.abs(a)).astype(dtype).astype(np.float64)), **options)
    try:
        got = RULES[name](*whole, **options)
    except TypeError:  # as NumPy's subtract rejects booleans
        assert dtype is np.bool_
        return
    if np.asarray(got).dtype.kind == "f":
        np.testing.assert_array_equal(np.asarray(got, np.float64), np.asarray(expected, got.dtype), strict=False)
    else:
        np.testing.assert_array_equal(expected, np.round(expected))


@pytest.mark.parametrize("data", [np.array(["1", "2"]), np.array([None, 2])])
@pytest.mark.parametrize("name", ["sigmoid", "softmax", "logsumexp", "std"])
def test_what_is_no_number_is_refused(name: str, data: np.ndarray) -> None:
    """Strings and other objects are errors, and not converted or NaN."""
    with pytest.raises(TypeError, match=rf"{name}: an operand must be numbers, but got dtype"):
        RULES[name](data)


# Errors.


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (ndgrad.exp, "exp takes 1 operand, but got 0"),
        (lambda: ndgrad.exp(1.0, 2.0), "exp takes 1 operand, but got 2"),
        (lambda: ndgrad.add(1.0), "add takes 2 operands, but got 1"),
        (lambda: ndgrad.matmul(X, X, X), "matmul takes 2 operands, but got 3"),
        (lambda: Value(1.0).tanh(2.0), "Value.tanh.* takes 1 positional argument but 2 were given"),
        (lambda: ndgrad.exp("text"), "exp"),
        (lambda: np.multiply(Value(1.0), 2.0, where=[True]), "multiply.*where"),
        (ndgrad.sum, "sum"),
        (lambda: ndgrad.sum(X, 0, 1), "sum"),
        (lambda: np.sum(Value(1.0), dtype=np.float32), "sum.*dtype"),
        (lambda: Value(1.0).reshape(1, order="F"), "^reshape got .*order"),
    ],
)
def test_calls_that_do_not_fit(call: Callable[[], Any], says: str) -> None:
    """The error for missing or extra operands, or an unknown option, names the rule."""
    with pytest.raises(TypeError, match=says):
        call()


@pytest.mark.parametrize("operand", [None, "text", object(), {1.0}, 1j, np.array(1j), np.array(["a"]), [None]])
@pytest.mark.parametrize("name", ["add", "matmul", "maximum", "where"])
def test_operands_that_are_no_numbers(name: str, operand: Any) -> None:
    """An operand beside a Value must be made of real numbers, on either side."""
    condition = (True,) if name == "where" else ()
    for operands in ((Value([1.0]), operand), (operand, Value([1.0]))):
        with pytest.raises(TypeError, match=rf"operand of {name} must be (a number|real numbers)"):
            RULES[name](*condition, *operands)


# A row.


def test_a_new_row() -> None:
    """A row makes a rule: its table gives it a name, and operands of any type with `__apply_rule__` record it."""
    table = ModuleType("table")
    table.cube = Rule(lambda x: x**3, lambda g, y, x: g * 3 * x**2)  # type: ignore[attr-defined]
    ((name, rule),) = rules_of(table)
    x = Value([1.0, 2.0])
    y = rule(x)
    y.backward([1.0, 10.0])
    assert (name, rule.symbol, y._op) == ("cube", "cube", "cube")
    assert rule(np.array([1.0, 2.0])).tolist() == y.data.tolist() == [1.0, 8.0]
    assert x.grad.tolist() == [3.0, 120.0]


def test_an_operand_that_records_is_asked_first() -> None:
    """The rule passes itself, the operands and its options to the first operand that has `__apply_rule__`."""

    class Recorder:
        def __apply_rule__(self, rule: Rule, operands: tuple[Any, ...], options: dict[str, Any]) -> Any:
            return rule.__name__, operands, options

    recorder = Recorder()
    assert ndgrad.sum(recorder, axis=1) == ("sum", (recorder,), {"axis": 1, "keepdims": False})
    assert ndgrad.add(2.0, recorder) == ("add", (2.0, recorder), {})


@pytest.mark.parametrize("name", RULES)
def test_symbols_are_short(name: str) -> None:
    """The symbol of a rule in pictures is a sign for operators, and its name for others."""
    signs = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "matmul": "@", "getitem": "[]"}
    assert RULES[name].symbol == {**signs, "negative": "neg", "positive": "pos"}.get(name, name)


def of_a_number(name: str) -> dict[str, Any]:
    """Return options that are valid for a 0-d operand."""
    inputs = OPS[name].inputs
    for i in range(40):
        try:
            _, options = inputs.draw(Seeded("numbers", name, i), (), 0)
        except Unsuited:
            continue
        return {n: x for n, x in options.items() if n not in inputs.options or inputs.options[n].every}
    return CALLS[name][1]


@pytest.mark.parametrize("number", [-3.0, 2.5, -2, 3, 0, -0.0, float("nan"), float("-inf")])
@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if not rule.variadic])
def test_a_python_number_is_what_the_array_of_it_is(name: str, number: float) -> None:
    """A Python number, without an array beside it, gives the same as its 0-d array, or both are errors."""
    rule, options = RULES[name], of_a_number(name)

    def called(operand: Any) -> Any:
        operands = [True] * (name == "where") + [operand] * len(rule.pullbacks)
        try:
            with np.errstate(all="ignore"):
                return np.asarray(rule(*operands, **options))
        except (TypeError, ValueError, IndexError) as error:
            return type(error)

    alone, expected = called(number), called(np.array(float(number)))
    if isinstance(expected, type):
        assert isinstance(alone, type)
    else:
        np.testing.assert_allclose(alone, expected, rtol=1e-15)


def test_a_generator_is_refused() -> None:
    """A generator is an error, though NumPy would return it from a sum."""
    with pytest.raises(TypeError, match="sum takes numbers, but got generator"):
        ndgrad.sum(x for x in [1.0])
