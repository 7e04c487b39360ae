"""Faults of the engine as a whole: broadcasting, the pass back, dtypes, operators, and what is kept between calls.

It knows how the engine is written. What each op computes, and which programs and sessions show a fault, it does not know.
Where a bug would show by an error at once, it is planted so that it shows by its numbers, as the real one did.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from ndgrad import Value, enable_grad, engine, modes, no_grad
from ndgrad.rules import indexing
from reference.faults.planting import (
    Fault,
    attached,
    attribute,
    bind,
    edited,
    getter,
    plain,
    pullback,
    setter,
    together,
)

_TWO = 2  # there is but one of it, as of all small whole numbers

# Pieces of the pass back that several faults change.
_TAKEN = "key = -heappop(waiting)"
_PUSHED = "heappush(waiting, -key)"
_EACH = "for contribution in contributions:"
_ARRIVES = "there = arrived.get(key)\n"
_WAITS = "arrived[key] = pair\n"
_PULLED = "contributions.append((operand, pullback(g, y, *values, **options)))"
_CAST = "h = h.astype(data.dtype)"
_LATE = (
    _ARRIVES,
    f"if any(operand is done for done, _ in gradients):\n                    continue\n                {_ARRIVES}",
)

# A pass that keeps what it has when it fails.
_KEPT = f"""\
try:
                            {_PULLED}
                        except RuntimeError:
                            for done, got in gradients:
                                done._grad = done._accumulated(np.asarray(got), alone=False)
                            raise"""

# A walk over the whole graph before the pass, in which a function calls itself for each operand.
_VISIT = """\
        seen = set()

        def visit(node):
            seen.add(node._id)
            for operand in node._operands:
                if operand.__class__ is Value and operand._id not in seen:
                    visit(operand)

        for start, _ in arrived.values():
            visit(start)
        waiting.sort()"""


def _elementwise(value: Value, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """What NumPy makes of a left operand if nobody stops it: each of its numbers times the whole Value, as objects."""
    left = inputs[0]
    if not isinstance(left, np.ndarray) or not left.ndim or method != "__call__":
        return _array_ufunc(value, ufunc, method, *inputs, **options)
    results = np.empty(left.shape, object)
    for place in np.ndindex(left.shape):
        results[place] = ufunc(left[place], *inputs[1:], **options)
    return results


_array_ufunc = Value.__array_ufunc__


def _added_in_place(x: Value, other: Any) -> Value:
    """`x += other` on the numbers, without a node."""
    x.data = x.data + plain(other)
    return x


@contextmanager
def _modes() -> Iterator[None]:
    """The modes that there are come back after a fault of theirs, which may leave them changed."""
    before = modes.current()
    try:
        yield
    finally:
        vars(modes)["_current"].set(before)


def _hoard() -> AbstractContextManager[None]:
    """A place for what a fault of the engine never lets go, until the fault itself goes."""
    return attribute(engine, "_hoard", [])()


def _owned(condition: str) -> str:
    """What comes after a node is put down to wait: it is said to own its cotangent on this condition."""
    return f"{_WAITS}                    if not create_graph and data.ndim and {condition}:\n                        own.add(key)\n"


class _Memory:
    """Memory that is given out again as its last user left it; before its first use it happens to be 0."""

    def __init__(self) -> None:
        self._left: dict[Any, np.ndarray] = {}

    def holding(self, grad: np.ndarray) -> np.ndarray:
        """Add a gradient to what is there."""
        like = (grad.shape, grad.dtype)
        self._left[like] = np.asarray(self._left.get(like, 0.0) + grad)
        return np.array(self._left[like])


def _memory() -> AbstractContextManager[None]:
    """Such memory, fresh."""
    return attribute(engine, "_memory", _Memory())()


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                             what is wrong                                                                    source                        rows
    #     how it is planted

    # Broadcasting.
    Fault("b001-engine",                   "a gradient keeps the axes along which its operand was repeated",                "pytorch/pytorch#1787",       (),
          attribute(engine, "_unbroadcast", lambda g, *_: g)),
    Fault("b002-engine",                   "axes in front are summed over, and not those of length 1",                      "pytorch/pytorch#13669",      (),
          edited(engine, "_unbroadcast", (" or (m == 1 and g.shape[i] != 1)", ""), ("keepdims=True).reshape(shape)", "keepdims=False)"))),
    Fault("b006-engine",                   "the gradient of a leaf without axes is a NumPy number, and no array",           "rsokl/MyGrad#373",           (),
          edited(Value, "_accumulated", ("np.array(grad)", "np.array(grad)[()]"))),
    Fault("unbroadcast-mean",              "the mean is taken over the axes that were repeated, not the sum",               "ours",                       (),
          edited(engine, "_unbroadcast", ("np.add.reduce(g, axis=tuple", 'RULES["mean"](g, axis=tuple'), ("np.add.reduce(g, axis=axes", 'RULES["mean"](g, axis=axes'))),
    Fault("unbroadcast-one-axis",          "of several axes the last is summed over, and of the others the first taken",    "ours",                       (),
          edited(engine, "_unbroadcast", ("axis=axes, keepdims=True)",
                                          "axis=axes[-1:], keepdims=True)[tuple(slice(1) if i in axes else slice(None) for i in range(g.ndim))]"))),

    # The pass back: the order of nodes.
    Fault("b016-breadth-first",            "nodes are taken level by level: what arrives later at one is lost",             "karpathy/micrograd#2",       (),
          edited(engine, "pass_back", (_TAKEN, "key = -waiting.pop(0)"), (_PUSHED, "waiting.append(-key)"), _LATE)),
    Fault("b016-depth-first",              "nodes are taken before all that was made of them: the rest is lost",            "karpathy/micrograd#67",      (),
          edited(engine, "pass_back", (_TAKEN, "key = -waiting.pop()"), (_PUSHED, "waiting.append(-key)"), _LATE)),
    Fault("b017-engine",                   "nodes that hold the same numbers are taken for one",                            "rsokl/MyGrad#276",           (),
          edited(engine, "pass_back", ("key = operand._id",
                                       "key = next((k for k, (n, _) in arrived.items() if np.array_equal(n._array, operand._array)), operand._id)"))),
    Fault("b018-engine",                   "a node is passed once for each use of it, with all that has arrived",           "rsokl/MyGrad@7491986",       (),
          edited(engine, "pass_back", ("arrived.pop(key)", "arrived[key]"),
                 (_ARRIVES, f"if key in arrived:\n                    {_PUSHED}\n                {_ARRIVES}"))),
    Fault("b019-engine",                   "the graph is walked by recursion, which ends at a depth of a thousand",         "karpathy/micrograd#90",      (),
          edited(engine, "pass_back", ("        waiting.sort()", _VISIT))),
    Fault("pass-order-under-enable-grad",  "nodes made inside enable_grad stand before their operands in the order",        "ours",                       (),
          edited(engine, "_result", ("    value._rule = rule", "    value._id *= -1 if current().outer and current().outer.outer and current().recording else 1\n    value._rule = rule"))),
    Fault("pass-order-by-last-write",      "a write moves a Value to the end of the order, after what was made of it",      "ours",                       (),
          setter(Value, "data", ("self._written = _latest_write", "self._id = self._written = _latest_write"))),

    # The pass back: what arrives at a node.
    Fault("b021-sin",                      "sin writes its gradient over what has arrived, where it should add",            "apache/mxnet#9497",          ("sin",),
          edited(engine, "pass_back", (_ARRIVES, f'if rule.__name__ == "sin" and key in arrived:\n                    arrived[key] = pair\n                    continue\n                {_ARRIVES}'))),
    Fault("b028-engine",                   "an operand that is met twice by one op is passed to but once",                  "karpathy/micrograd",         (),
          edited(engine, "pass_back", (_EACH, "for contribution in {id(o): (o, h) for o, h in reversed(contributions)}.values():"))),
    Fault("b035-engine",                   "of all that was made of a node, one alone counts",                              "chainer/chainer@c89f957",    (),
          edited(engine, "pass_back", ("(operand, there[1] + h)", "pair"), ("total += h", "arrived[key] = pair"))),
    Fault("b036-tan",                      "tan has no way back: what would reach its operand is left out",                 "rsokl/MyGrad@c26f3af",       ("tan",),
          edited(engine, "pass_back", (_EACH, 'for contribution in contributions if rule.__name__ != "tan" else ():'))),
    Fault("b198-engine",                   "what reaches an operand that was broadcast is added a second time",             "rsokl/MyGrad#131",           (),
          edited(engine, "pass_back", ("h = _unbroadcast(h, operand, node)", "h = _unbroadcast(h, operand, node) * 2"))),
    Fault("pass-third-use-lost",           "of a node that is used three times, the third use is lost",                     "ours",                       (),
          edited(engine, "pass_back", ("gradients: Gradients = []", "gradients: Gradients = []\n    came = {}"),
                 (_ARRIVES, f"came.setdefault(key, []).append(h)\n                {_ARRIVES}"),
                 ("pair = arrived.pop(key)", "pair = arrived.pop(key)\n            if len(came.get(key, ())) == 3:\n                pair = (pair[0], came[key][0] + came[key][1])"))),
    Fault("pass-broadcast-written",        "what an op gives is added to in place, be it a broadcast view",                 "ours",                       (),
          edited(engine, "pass_back", (_WAITS, _owned("h is not g")))),
    Fault("pass-others-written",           "what arrives first is added to in place, though others may have it, too",       "ours",                       (),
          edited(engine, "pass_back", (_WAITS, _owned("h.flags.writeable")))),
    Fault("pass-cotangent-written",        "the user's own cotangent is added to in place",                                 "ours",                       (),
          together(edited(Value, "_cotangent", ("gradient.astype(self.dtype)", "gradient.astype(self.dtype, copy=False)")),
                   edited(engine, "pass_back", (_WAITS, _owned("h is cotangent"))))),
    Fault("pass-first-operand",            "a result wants a gradient if its first operand does",                           "ours",                       (),
          edited(engine, "_result", ("for operand in operands:", "for operand in operands[:1]:"))),
    Fault("pass-frozen",                   "a gradient arrives at Values that want none",                                   "ours",                       (),
          edited(engine, "pass_back", (" and a.requires_grad and to_a is not None:\n                    contributions.append((a, to_a(g, node._array, p, q)))",
                                       ":\n                    contributions.append((a, to_a(g, node._array, p, q)))"),
                 (" and b.requires_grad", ""), (" and operand.requires_grad", ""))),
    Fault("pass-roots-in-order",           "of several values the first is taken first, and not the latest",                "ours",                       (),
          edited(engine, "pass_back", ("waiting.sort()", "pass"))),
    Fault("pass-roots-twice",              "of a value that is passed back from twice at once, the last cotangent counts",  "ours",                       (),
          edited(engine, "pass_back", ("cotangent = arrived[key][1] + cotangent", "pass"))),
    Fault("pass-graph-spent",              "the pass takes the graph apart, and a second one reaches nothing",              "ours",                       (),
          edited(engine, "pass_back", ("    return gradients", "    for node, _ in gradients:\n        node._operands = ()\n    return gradients"))),

    # The pass back, recorded.
    Fault("recorded-result-constant",      "second order: pullbacks are given the result as a constant",                    "ours",                       (),
          edited(engine, "_given", ("    options = node._options\n", "    options = node._options\n    y = _plain(y)\n"))),
    Fault("recorded-cotangent-constant",   "second order: pullbacks are given the cotangent as a constant",                 "ours",                       (),
          edited(engine, "pass_back", (_PULLED, _PULLED.replace("(g, y", "(_plain(g), y")))),
    Fault("recorded-kept-constant",        "second order: what the forward kept is not recomputed, and has no slope",       "ours",                       (),
          edited(engine, "_given", ("if create_graph and node._rule is not None and node._rule.keep is not None:", "if False:"))),

    # What becomes of a gradient that has arrived.
    Fault("b193-engine",                   "each pass back is remembered, and its graph with it",                           "huggingface/candle#1243",    (),
          together(_hoard, edited(engine, "pass_back", ("    return gradients", "    _hoard.append(gradients)\n    return gradients")))),
    Fault("b196-engine",                   "a node passes on what it got in the pass before as well",                       "karpathy/micrograd#53",      (),
          edited(engine, "pass_back", (_WAITS, f"{_WAITS[:-1]} if operand._grad is None or operand._rule is None else (operand, h + _plain(operand._grad))\n"))),
    Fault("b197-engine",                   "a leaf's gradient is added to an array that nobody has set to 0",               "torch/nn#792",               (),
          together(_memory, edited(Value, "_accumulated", ("np.array(grad)", "_memory.holding(grad)")))),
    Fault("grad-in-place",                 "a second pass adds to the array that was handed out after the first",           "ours",                       (),
          edited(Value, "_accumulated", ("total = self._grad + grad", "self._grad += grad\n        total = self._grad"))),
    Fault("grad-thrice",                   "a second pass counts twice",                                                    "ours",                       (),
          edited(Value, "_accumulated", ("self._grad + grad", "self._grad + grad + grad"))),
    Fault("grad-inner-accumulates",        "an inner node adds up the gradients of all passes",                             "ours",                       (),
          edited(engine, "_accumulate", ("for value, grad in gradients:\n            value._grad = grad\n",
                                         "for value, grad in gradients:\n            value._grad = grad if value._grad is None else value._grad + grad\n"))),
    Fault("grad-shared",                   "leaves share the array of their gradient",                                      "ours",                       (),
          edited(Value, "_accumulated", ("np.array(grad)", "grad"))),
    Fault("grad-half-a-pass",              "a pass that fails leaves the gradients that it had come to",                    "ours",                       (),
          edited(engine, "pass_back", (_PULLED, _KEPT))),
    Fault("grad-cleared-to-0",             "zero_grad leaves zeros, which an optimizer takes for a gradient",               "folklore",                   (),
          edited(Value, "zero_grad", ("self._grad = None", "self._grad = np.zeros(self.shape, self.dtype)"))),
    Fault("grad-0-is-missing",             "`p.grad = 0.0` makes the gradient missing",                                     "ours",                       (),
          setter(Value, "grad", ('    new = _real(grad, "grad")\n', '    new = _real(grad, "grad")\n        if not new.ndim and not new:\n            self._grad = None\n            return\n'))),
    Fault("grad-assigned-shared",          "an array that is assigned as gradient is not copied",                           "ours",                       (),
          setter(Value, "grad", ("grad = np.full(self.shape, new, self.dtype)",
                 "grad = new if (new.shape, new.dtype) == (self.shape, self.dtype) else np.full(self.shape, new, self.dtype)"))),
    Fault("grad-inner-writable",           "an inner node's gradient can be written to, and others' with it",               "ours",                       (),
          getter(Value, "grad", ("view.flags.writeable = False", "view.flags.writeable = grad.flags.writeable"))),
    Fault("cotangent-broadcast",           "a cotangent of another shape is broadcast, and not refused",                    "ours",                       (),
          edited(Value, "_cotangent", ('gradient = _real(gradient, "cotangent")', 'gradient = np.broadcast_to(_real(gradient, "cotangent"), self.shape)'))),

    # Dtypes.
    Fault("b168-first-cotangent",          "the first cotangent is double, and all gradients with it",                      "HIPS/autograd#163",          (),
          together(edited(Value, "_cotangent", ("np.ones(self.shape, self.dtype)", "np.ones(self.shape)")),
                   edited(engine, "pass_back", (_CAST, "pass")))),
    Fault("b168-python-number",            "a Python number beside single precision makes double of it",                    "chainer/chainer#6212",       (),
          attached(edited(engine, "_binary", ("y = forward(a._array, b)\n", "y = forward(a._array, b if kind is _ndarray else np.float64(b))\n")))),
    Fault("b172-engine",                   "a Value of whole numbers stays one, and a power below 0 of it is refused",      "folklore",                   (),
          edited(engine, "_copied", ('array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.float64', "array.dtype"))),
    Fault("dtype-not-cast-back",           "a single operand beside a double one has a double gradient",                    "ours",                       (),
          edited(engine, "pass_back", (_CAST, "pass"))),
    Fault("dtype-promoted-down",           "single beside double precision gives single",                                   "ours",                       (),
          edited(engine, "_promoted", ("dtype = dtypes.pop() if len(dtypes) == 1", "dtype = min(dtypes, key=lambda d: d.itemsize) if dtypes"))),
    Fault("dtype-whole-numbers-count",     "whole numbers beside single precision make double of it",                       "ours",                       (),
          edited(engine, "_promoted", (' if o.dtype.kind == "f"}', "}"))),

    # Operators, and how NumPy hands its work over.
    Fault("b179-engine",                   "a number plus a Value turns the two round, and again, without end",             "karpathy/micrograd#76",      (),
          attribute(Value, "__radd__", lambda x, number: number + x)),
    Fault("b180-engine",                   "an array times a Value is an array of Values",                                  "pytorch/pytorch#9468",       (),
          attribute(Value, "__array_ufunc__", _elementwise)),
    Fault("b182-engine",                   "`x += d` writes into x, and whatever was made of x before sees it",             "pytorch/pytorch#2425",       (),
          attribute(Value, "__iadd__", _added_in_place)),
    Fault("b185-engine",                   "what NumPy's functions give leaves the graph",                                  "HIPS/autograd#789",          (),
          edited(Value, "__array_function__", ("return [rule.apply", "from ndgrad import no_grad\n        with no_grad():\n            return [rule.apply"))),
    Fault("b184-power",                    "the exponent 2 is told by `is`; all others, and 2.0, have y * b / a: NaN at 0", "HIPS/autograd@6aaba38",      ("power",),
          pullback("power", 0, lambda g, y, a, b: g * (2 * a) if b is _TWO else g * (y * b / a))),
    Fault("operator-exchanged",            "a number or list on the left is taken for the right operand",                   "ours",                       (),
          attached(edited(engine, "_reflected", ("(a, b), _NO_OPTIONS, forward(a, b._array)", "(b, a), _NO_OPTIONS, forward(b._array, a)"),
                          ("record(rule, (a, b)", "record(rule, (b, a)")))),
    Fault("operator-array-exchanged",      "an array on the left is taken for the right operand",                           "ours",                       (),
          edited(Value, "__array_ufunc__", ("record(rule, inputs,", "record(rule, tuple(sorted(inputs, key=lambda x: x.__class__ is not Value)),"))),
    Fault("operator-rows-constant",        "the rows that iteration gives are no part of the graph",                        "ours",                       (),
          edited(Value, "__iter__", ("self[i] for", "self[i].detach() for"))),

    # Memory that is shared.
    Fault("b187-engine",                   "a Value shares the array that it is made from",                                 "folklore",                   (),
          edited(engine, "_copied", ("np.array(array, dtype=dtype,", "np.array(array, copy=None, dtype=dtype,"))),
    Fault("detach-shares",                 "detach gives a view, which follows later writes",                               "ours",                       (),
          edited(Value, "detach", ("self._array.copy()", "self._array"))),
    Fault("detach-wants-a-gradient",       "what detach gives wants a gradient, and gets one",                              "ours",                       (),
          edited(Value, "detach", ("_constant(self._array.copy())", "Value(self._array)"))),
    Fault("assigned-shares",               "an array that is assigned as data is not copied",                               "ours",                       (),
          setter(Value, "data", ("new.astype(self._array.dtype)", "new.astype(self._array.dtype, copy=False)"))),
    Fault("getitem-index-shared",          "an array of indices is not copied: who changes it changes the way back",        "ours",                       (),
          edited(indexing, "_entry", ("array = np.array(entry) if", "array = np.asarray(entry) if"), ("    array.flags.writeable = False\n", ""))),
    Fault("where-condition-shared",        "the condition is not copied: who changes it changes the way back",              "ours",                       (),
          bind("where", lambda condition, a, b: ((a, b), {"condition": np.asarray(condition, bool)}))),
    Fault("views-written",                 "data that is a view of another Value's can be written to",                      "ours",                       (),
          edited(engine, "_result", ("    y.flags.writeable = False", "    pass"))),
    Fault("views-constant-shared",         "a view made under no_grad follows later writes",                                "ours",                       (),
          edited(engine, "_own", ("y.copy() if rule.views else y", "y"))),

    # Writes between forward and backward.
    Fault("b025-engine",                   "a result that was written over is read on the way back",                        "linkedin/Liger-Kernel#272",  (),
          edited(engine, "_unreadable_where_changed", ("    else:\n", "        changed[-1] = False\n    else:\n"))),
    Fault("b118-engine",                   "whether data was assigned since it was used is not asked",                      "rsokl/MyGrad@5b8448c",       (),
          together(edited(engine, "pass_back", (" or key <= _latest_write", "")),
                   edited(engine, "_given", ("if node._id <= _latest_write:", "if hasattr(node, '_remembered'):")))),
    Fault("writes-augmented-unnoticed",    "`x.data -= d` is no assignment, and goes unnoticed",                            "ours",                       (),
          setter(Value, "data", ("self._written = _latest_write", "    self._written = _latest_write"))),
    Fault("writes-behind-views-unnoticed", "a write to what an operand is a view of goes unnoticed",                        "ours",                       (),
          edited(engine, "_written_since", ("if value._rule is None or", "if value._rule is not None or"))),
    Fault("b031-engine",                   "of a chain of views one step is followed: a write behind two goes unnoticed",   "rsokl/MyGrad@9b958b9",       (),
          edited(engine, "_written_since", ("value = base", "return base._written > node_id"))),
    Fault("writes-by-index-unnoticed",     "check_writes remembers nothing, so that `x.data[0] = 9` goes unnoticed",        "ours",                       (),
          edited(engine, "_result", ("if ENTERED and current().remembering:", "if False:"))),

    # Modes.
    Fault("b191-engine",                   "under no_grad, ops of one operand are recorded all the same",                   "facebookresearch/higher#48", (),
          edited(engine, "_result", ("if ENTERED and not current().recording:", "if ENTERED and not current().recording and len(operands) > 1:"))),
    Fault("modes-kept-by-errors",          "no_grad that is left by an error lasts",                                        "folklore",                   (),
          together(_modes, edited(no_grad.__base__, "__exit__", ("    _current.set(", "    if error is not None:\n        return\n    _current.set(")))),
    Fault("modes-do-not-nest",             "the end of an inner no_grad is the end of the outer one",                       "folklore",                   (),
          together(_modes, edited(no_grad.__base__, "__exit__", ("_without(self, _current.get())",
                   "Mode(enable_grad(), _without(self, _current.get()))")))),
    Fault("modes-enable-grad-idle",        "enable_grad inside no_grad has no effect",                                      "ours",                       (),
          attribute(enable_grad, "_switch", lambda _: None)),
    Fault("modes-pass-not-recorded",       "backward(create_graph=True) under no_grad gives constants",                     "ours",                       (),
          edited(engine, "pass_back", (", enable_grad() if create_graph else nullcontext():", ":"))),

    # Memory that is never given back.
    Fault("memory-hoarded",                "the engine keeps a list of all nodes",                                          "pytorch/pytorch#1346",       (),
          together(_hoard, edited(engine, "_result", ("    value.requires_grad = True", "    value.requires_grad = True\n    _hoard.append(value)")))),
    Fault("memory-in-a-circle",            "a node holds itself, and waits for the cyclic collector",                       "folklore",                   (),
          edited(engine, "_result", ("value._rule = rule", "value._rule = object.__new__(Rule)\n    vars(value._rule).update(vars(rule), node=value)"))),
)
# fmt: on
