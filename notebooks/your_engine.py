# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Verify your own engine
#
# You have written an autograd engine. Is it right? This notebook verifies a small engine with the harness, and fixes it
# until no failure is left. You need an adapter of four small methods, and a table of functions.

# %%
import numpy as np

from reference import TapeEngine, TorchEngine, check_engine, judge, parse

# %% [markdown]
# ## An engine
#
# This engine is small and plausible. Each array remembers its parents as pairs: an operand, and the pullback that
# computes the contribution to the operand's gradient.

# %%


class Tensor:
    def __init__(self, data, parents=()):
        self.data = np.asarray(data)
        self.parents = parents
        self.grad = None

    def receive(self, g):
        if self.grad is None:
            self.grad = g
        else:
            self.grad += g
        for parent, pullback in self.parents:
            parent.receive(pullback(g))


def tensor(x):
    return x if isinstance(x, Tensor) else Tensor(x)


def add(a, b):
    a, b = tensor(a), tensor(b)
    return Tensor(a.data + b.data, [(a, lambda g: g), (b, lambda g: g)])


def multiply(a, b):
    a, b = tensor(a), tensor(b)
    return Tensor(a.data * b.data, [(a, lambda g: g * b.data), (b, lambda g: g * a.data)])


def exp(x):
    x = tensor(x)
    y = np.exp(x.data)
    return Tensor(y, [(x, lambda g: g * y)])


# %% [markdown]
# Its author tried it, and the result was right:

# %%
x, y = Tensor(2.0), Tensor(3.0)
multiply(x, y).receive(np.array(1.0))
x.grad, y.grad

# %% [markdown]
# ## The adapter
#
# The adapter tells the harness how to make a leaf, read a value, run the backward pass, and read a gradient. Ops have
# the names of `reference.ops`. Operands are positional; options such as `axis` are keywords.

# %%


class Mine(TapeEngine):
    def leaf(self, array, name):
        return Tensor(array)

    def data(self, value):
        return value.data

    def back(self, result, cotangent):
        result.receive(cotangent)

    def gradient(self, leaf):
        return None if leaf.grad is None else np.asarray(leaf.grad)


def failures():
    """Check the engine in its present state."""
    return check_engine(Mine("mine 0.1", {"add": add, "multiply": multiply, "exp": exp}))


print(*failures(), sep="\n\n")

# %% [markdown]
# ## Fixing the engine
#
# There are two bugs. Each failure is a case small enough to redo by hand.
#
# - *The pass back raised:* `self.grad += g` adds in place, into an array that other code uses as well. Here it was the
#   harness's cotangent, which is read-only for this reason. In a user's program, a number elsewhere would have become
#   wrong. The sum must be a new array.
# - *The shape after broadcasting:* if an operand was broadcast, its gradient is the sum over the broadcast axes.

# %%


def unbroadcast(g, shape):
    """Sum a gradient over the broadcast axes of its operand."""
    g = np.sum(g, axis=tuple(range(np.ndim(g) - len(shape))))
    return np.sum(g, axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def receive(self, g):
    g = unbroadcast(g, self.data.shape)
    self.grad = g if self.grad is None else self.grad + g
    for parent, pullback in self.parents:
        parent.receive(pullback(g))


Tensor.receive = receive
print(*failures(), sep="\n\n")

# %% [markdown]
# The first two bugs are fixed, and a bug that they hid has appeared: single and double precision in one expression. The
# gradient of a float32 must be float32.

# %%


def receive(self, g):
    g = unbroadcast(g, self.data.shape).astype(self.data.dtype)
    self.grad = g if self.grad is None else self.grad + g
    for parent, pullback in self.parents:
        parent.receive(pullback(g))


Tensor.receive = receive
print(*failures(), sep="\n\n")

# %% [markdown]
# The next case has a Python number and a float32. In NumPy and PyTorch such a number is weak: the result stays float32.
# Our `tensor` turns it into a float64 array, which is not weak. Integer arrays have the same problem. NumPy treats them
# differently, but the harness follows PyTorch. So operands that are not floats must take the dtype of the floats.

# %%


def numbers(*operands):
    """The operands as arrays of one dtype: that of the floats among them."""
    arrays = [x.data if isinstance(x, Tensor) else np.asarray(x) for x in operands]
    floats = [
        a.dtype for a, x in zip(arrays, operands, strict=True) if a.dtype.kind == "f" and not isinstance(x, float)
    ]
    return [a.astype(np.result_type(*floats)) for a in arrays]


def record(data, *pairs):
    """Make a result that remembers the operands that require a gradient."""
    return Tensor(data, [(operand, pullback) for operand, pullback in pairs if isinstance(operand, Tensor)])


def add(a, b):
    p, q = numbers(a, b)
    return record(p + q, (a, lambda g: g), (b, lambda g: g))


def multiply(a, b):
    p, q = numbers(a, b)
    return record(p * q, (a, lambda g: g * q), (b, lambda g: g * p))


print(*failures(), sep="\n\n")
assert failures() == []

# %% [markdown]
# There are no more failures. That means something, because the random programs cover a lot: empty arrays, axes of
# length 1, the same operand twice, constants, both precisions, memory in any order, numbers from 1e-12 to 1000 as well
# as infinities and NaN, and random cotangents.
#
# In a test of your own, this is one line: `assert check_engine(Mine(...)) == []`. With `profile="deep"` it runs many
# more programs.
#
# ## Replay one case
#
# The last line of a failure contains the whole case. `parse` reads it, and `judge` runs it in an engine and in the
# reference.

# %%
program = parse("x=f8([1.0,2.0]); y=f8(3.0); a=multiply(x,y); back(a,f8([1.0,10.0]))")
mine = Mine("mine 0.2", {"multiply": multiply})
print(judge(program, mine, TorchEngine()).result)
mine.run(program).gradients

# %% [markdown]
# **Exercise.** Add `tanh` with the slope `1 - y * y`. Then leave out the square, and read the harness's report.

# %% jupyter={"source_hidden": true} tags=["hide-input", "answer"]


def tanh(x):
    y = np.tanh(x.data)
    return record(y, (x, lambda g: g * (1 - y * y)))


def wrong_tanh(x):
    y = np.tanh(x.data)
    return record(y, (x, lambda g: g * (1 - y)))


assert check_engine(Mine("mine 0.3", {"tanh": tanh})) == []
(failure,) = check_engine(Mine("mine 0.3", {"tanh": wrong_tanh}))
assert failure.startswith("tanh: grad[x] is")
print(failure)
