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
# You have written an autograd engine. Is it right? This notebook gives one to the harness, and mends it until there is
# nothing left to say. It takes an adapter of four small methods, and a table of functions.

# %%
import numpy as np

from reference import TapeEngine, TorchEngine, check_engine, judge, parse

# %% [markdown]
# ## An engine
#
# Small, and plausible. Arrays remember what they were made of; each pair is an operand, and what carries a gradient to
# it.

# %%


class Tensor:
    def __init__(self, data, made_of=()):
        self.data = np.asarray(data)
        self.made_of = made_of
        self.grad = None

    def receive(self, g):
        if self.grad is None:
            self.grad = g
        else:
            self.grad += g
        for operand, carried in self.made_of:
            operand.receive(carried(g))


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
# Its author tried it, and it was fine:

# %%
x, y = Tensor(2.0), Tensor(3.0)
multiply(x, y).receive(np.array(1.0))
x.grad, y.grad

# %% [markdown]
# ## The adapter
#
# How to make a leaf, read a value, pass back, and read a gradient. Ops go by the names of `reference.ops`; operands
# are positional, options such as `axis` by keyword.

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
    """What is wrong with the engine as it stands."""
    return check_engine(Mine("mine 0.1", {"add": add, "multiply": multiply, "exp": exp}))


print(*failures(), sep="\n\n")

# %% [markdown]
# ## Mending
#
# Two bugs, and each failure is a case small enough to redo by hand.
#
# - *The pass back raised:* `self.grad += g` adds in place, into an array that somebody else has as well. Here it was
#   the harness's own cotangent, which is read-only for that very reason. In a user's program it would have been a wrong
#   number somewhere else. The sum must be a new array.
# - *The shape after broadcasting:* where an operand was repeated, its gradient is the sum over the repeats.

# %%


def summed(g, shape):
    """Sum a gradient over the axes along which its operand was repeated."""
    g = np.sum(g, axis=tuple(range(np.ndim(g) - len(shape))))
    return np.sum(g, axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def receive(self, g):
    g = summed(g, self.data.shape)
    self.grad = g if self.grad is None else self.grad + g
    for operand, carried in self.made_of:
        operand.receive(carried(g))


Tensor.receive = receive
print(*failures(), sep="\n\n")

# %% [markdown]
# The first two are gone, and what they hid has come up: single and double precision in one expression. The gradient of
# a float32 must be float32.

# %%


def receive(self, g):
    g = summed(g, self.data.shape).astype(self.data.dtype)
    self.grad = g if self.grad is None else self.grad + g
    for operand, carried in self.made_of:
        operand.receive(carried(g))


Tensor.receive = receive
print(*failures(), sep="\n\n")

# %% [markdown]
# Now a Python number beside a float32. In NumPy and in PyTorch such a number is weak: the result stays float32. Our
# `tensor` makes a float64 array of it, which is not weak. The same holds of integer arrays, though there NumPy thinks
# otherwise; the harness goes by PyTorch. So: what is no float takes the dtype of the floats beside it.

# %%


def numbers(*operands):
    """The operands' numbers, in one dtype: that of the floats among them."""
    arrays = [x.data if isinstance(x, Tensor) else np.asarray(x) for x in operands]
    floats = [
        a.dtype for a, x in zip(arrays, operands, strict=True) if a.dtype.kind == "f" and not isinstance(x, float)
    ]
    return [a.astype(np.result_type(*floats)) for a in arrays]


def made(data, *pairs):
    """A result, that remembers those of its operands which want a gradient."""
    return Tensor(data, [(operand, carried) for operand, carried in pairs if isinstance(operand, Tensor)])


def add(a, b):
    p, q = numbers(a, b)
    return made(p + q, (a, lambda g: g), (b, lambda g: g))


def multiply(a, b):
    p, q = numbers(a, b)
    return made(p * q, (a, lambda g: g * q), (b, lambda g: g * p))


print(*failures(), sep="\n\n")
assert failures() == []

# %% [markdown]
# Nothing left to say. That is worth something, for silence was not to be had by looking away: the programs that were
# drawn have empty arrays and axes of length 1, the same operand twice, constants, both precisions, memory in any order,
# numbers from 1e-12 to 1000 with infinities and NaN among them, and what is sent backwards is drawn, too.
#
# In a test of your own, that is one line: `assert check_engine(Mine(...)) == []`. With `profile="deep"` it draws many
# more.
#
# ## One case again
#
# The last line of a failure is the whole case. `parse` reads it, and `judge` runs it in an engine and in the reference.

# %%
program = parse("x=f8([1.0,2.0]); y=f8(3.0); a=multiply(x,y); back(a,f8([1.0,10.0]))")
mine = Mine("mine 0.2", {"multiply": multiply})
print(judge(program, mine, TorchEngine()).result)
mine.run(program).gradients

# %% [markdown]
# **Exercise.** Add `tanh`, with the slope `1 - y * y`. Then lose the square, and read what the harness says.

# %% jupyter={"source_hidden": true} tags=["hide-input", "answer"]


def tanh(x):
    y = np.tanh(x.data)
    return made(y, (x, lambda g: g * (1 - y * y)))


def hasty_tanh(x):
    y = np.tanh(x.data)
    return made(y, (x, lambda g: g * (1 - y)))


assert check_engine(Mine("mine 0.3", {"tanh": tanh})) == []
(failure,) = check_engine(Mine("mine 0.3", {"tanh": hasty_tanh}))
assert "a factor lost" in failure
print(failure)
