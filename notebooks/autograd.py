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
# # From a slope to a network that learns
#
# A neural network learns by asking, of each of its numbers: *if this were a little larger, how much would the error
# change?* The answer is a slope. This notebook goes from slopes that you compute by hand to a network that trains
# itself, and builds every piece on the way. At each stop the same is done in PyTorch, and the numbers are compared.
#
# You need Python and school calculus. Run the cells from top to bottom (Shift+Enter). An exercise comes with an answer
# in the cell below it, folded away in JupyterLab; `assert` checks it.

# %%
import math

import numpy as np
import torch

import ndgrad
import reference
from ndgrad import MLP, Layer, Value, numeric
from reference import NdgradEngine, check_engine, ulps

# %% [markdown]
# ## 1. A slope by hand
#
# The slope of a function at a point says how far the result moves when the point does. Move it by a small `h`, and see.

# %%


def f(x):
    return 3 * x**2 - 4 * x + 5


h = 0.001
(f(3 + h) - f(3)) / h

# %% [markdown]
# The derivative of $3x^2 - 4x + 5$ is $6x - 4$, which is 14 at $x = 3$. We are close, because `h` is small. Why not
# make it smaller still? Here are many steps, on a curve that bends more: $e^x$, whose slope is $e^x$ again.

# %%
numeric.error_table(np.exp, 1.0, exact=math.e, methods=("forward", "central"))

# %% [markdown]
# Read it downwards. At first each smaller `h` brings a better slope. Then it turns, and gets worse: the two numbers
# that are subtracted come to share nearly all of their digits, and what is left is mostly rounding. On the right, `f`
# (forward) and `c` (central: a step to either side) each draw a V that lies on its side.
#
# So differences are good for checking, to some eight or ten digits, and no more. And they need one run of the function
# for each number that is nudged: a network with a million numbers would be run a million times for one step.
#
# PyTorch takes no small step, and goes through the function once. It gives the slope to all digits:

# %%
x = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
f(x).backward()
x.grad

# %% [markdown]
# **Exercise.** At which $x$ is the slope of `f` zero? Work it out on paper, then check with a difference.

# %% jupyter={"source_hidden": true} tags=["hide-input", "answer"]
answer = 2 / 3  # 6x - 4 = 0
assert abs(numeric.slope(f, answer, method="central")) < 1e-8

# %% [markdown]
# ## 2. The chain rule by hand
#
# Now an expression of several steps.

# %%
a, b, c, k = 2.0, -3.0, 10.0, -2.0
e = a * b
d = e + c
loss = d * k
loss

# %% [markdown]
# How does `loss` change with `a`? Go backwards, one step at a time.
#
# - `loss = d * k`. If `d` grows by a little, `loss` grows by `k` times as much: the slope towards `d` is `k`. Towards
#   `k` it is `d`.
# - `d = e + c`. If `e` grows, `d` grows by the same: this slope is 1. So `loss` grows by `k * 1`. That is the whole
#   chain rule: **multiply what has arrived by the slope of the step.**
# - `e = a * b`. The slope towards `a` is `b`. What has arrived at `e` is `k`, so what arrives at `a` is `k * b`.

# %%
to_d, to_k = k, d
to_e, to_c = to_d * 1, to_d * 1
to_a, to_b = to_e * b, to_e * a
to_a, to_b, to_c, to_k

# %%


def whole(a, b, c, k):
    return (a * b + c) * k


numeric.slopes(whole, a, b, c, k)  # the same, from differences

# %%
tensors = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in (a, b, c, k)]
whole(*tensors).backward()
assert [t.grad.item() for t in tensors] == [to_a, to_b, to_c, to_k]

# %% [markdown]
# Equal to PyTorch's, to the last bit. One pass backwards gave all four slopes, however many there are. That is why
# networks are trained this way.
#
# **Exercise.** Let `loss` be `(d * k) ** 2` instead. What arrives at `a` now?

# %% jupyter={"source_hidden": true} tags=["hide-input", "answer"]
to_product = 2 * (d * k)  # the slope of a square; everything before it is multiplied by that
answer = to_product * to_a
assert abs(answer - numeric.slope(lambda a: whole(a, b, c, k) ** 2, a, method="central")) < 1e-6

# %% [markdown]
# ## 3. Let the program do it
#
# What we did by hand is the same at every step, so a program can do it. A number needs to remember what it was made of,
# and the slope of the step towards each of its operands. Here it is, in thirty lines; the ten that are missing come
# after it.

# %%


class Number:
    """A number that remembers how it was made."""

    def __init__(self, data, made_of=()):
        self.data = data
        self.made_of = made_of  # pairs: an operand, and the slope of this step towards it
        self.grad = 0.0  # what has arrived so far

    def __add__(self, other):
        other = as_number(other)
        return Number(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        other = as_number(other)
        return Number(self.data * other.data, [(self, other.data), (other, self.data)])

    def __pow__(self, n):
        return Number(self.data**n, [(self, n * self.data ** (n - 1))])

    def tanh(self):
        t = math.tanh(self.data)
        return Number(t, [(self, 1 - t * t)])

    def __sub__(self, other):
        return self + as_number(other) * -1.0

    __radd__, __rmul__ = __add__, __mul__

    def backward(self):
        self.grad = 1.0
        for number in in_order(self):
            for operand, slope in number.made_of:
                operand.grad += slope * number.grad


def as_number(x):
    return x if isinstance(x, Number) else Number(x)


# %% [markdown]
# `backward` is the chain rule, in three lines: go through all the numbers, and give each operand its slope times what
# has arrived. Only `in_order` is missing: in which order?
#
# The first idea is to take the numbers as we reach them.

# %%


def as_reached(last):
    """Take the operands of the last one, then theirs, and so on; each once."""
    reached = [last]
    for number in reached:  # which grows meanwhile
        for operand, _ in number.made_of:
            if operand not in reached:
                reached.append(operand)
    return reached


in_order = as_reached


def reused(x):
    y = x * 3
    return y + y * y * y  # y is used again, further on


x = Number(2.0)
reused(x).backward()
print("backward:  ", x.grad)
print("difference:", numeric.slope(reused, 2.0, method="central"))

# %% [markdown]
# Wrong. `y` is used directly by the last sum, and again by the products. It was reached early by the short way, and
# passed on what had arrived *until then*. What came later by the long way never got to `x`.
#
# So: **a number may pass on only when everything that was made of it has had its turn.** Such an order is called
# topological. This function finds one: it writes down a number after all of its operands, and reads the list backwards.

# %%


def topological(last):
    written, seen = [], set()

    def write(number):
        if number not in seen:
            seen.add(number)
            for operand, _ in number.made_of:
                write(operand)
            written.append(number)

    write(last)
    return written[::-1]


in_order = topological

x = Number(2.0)
reused(x).backward()
t = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
reused(t).backward()
print("backward:", x.grad)
print("PyTorch: ", t.grad.item())
assert x.grad == t.grad.item()

# %% [markdown]
# **Exercise.** In `backward`, a gradient is added with `+=`. What would `y = x + x` give with `=`? And what is right?

# %% jupyter={"source_hidden": true} tags=["hide-input", "answer"]
x = Number(5.0)
(x + x).backward()
assert x.grad == 2.0  # with `=` the second use would write over the first, and it would be 1.0

# %% [markdown]
# ## 4. A neuron
#
# A neuron multiplies each input by a weight, adds them up with a bias, and squeezes the sum between -1 and 1 by `tanh`.


# %%
def neuron(x1, x2, w1, w2, b):
    return (x1 * w1 + x2 * w2 + b).tanh()


start = {"x1": 2.0, "x2": 0.0, "w1": -3.0, "w2": 1.0, "b": 6.8813735870195432}
numbers = {name: Number(number) for name, number in start.items()}
out = neuron(**numbers)
out.backward()
{name: round(number.grad, 4) for name, number in numbers.items()}

# %% [markdown]
# The same with `ndgrad.Value`, which is our `Number` grown up. A notebook shows it as the graph that it remembers:
# boxes with data and gradient, and the steps between them. Read it from the right: at `o` arrives 1, the rest is the
# chain rule.

# %%
values = {name: Value(number, name) for name, number in start.items()}
o = neuron(**values)
o.label = "o"
o.backward()
o

# %% [markdown]
# And beside each gradient, PyTorch's. The distance is counted in ULP, units in the last place: 1 ULP apart means that
# there is no other number between the two. Where they differ, one has rounded elsewhere: ndgrad rounds $\tanh^2$, and
# then $1 - \tanh^2$; PyTorch, in one go, rounds once.

# %%
reference.draw_dot(o)

# %% [markdown]
# **Exercise.** At which weight does the gradient vanish here, and why?

# %% jupyter={"source_hidden": true} tags=["hide-input", "answer"]
assert values["w2"].grad == 0.0  # its slope is its input, x2, and that is 0: no weight learns from an input of 0

# %% [markdown]
# ## 5. Arrays
#
# Networks have thousands of numbers, and a Python object for each would be slow. A `Value` holds a whole NumPy array.
# The chain rule stays what it was, but two things are new.
#
# **Broadcasting.** NumPy repeats an array along an axis where the shapes call for it. What was used several times gets
# several contributions, and they add up: **the gradient of what was repeated is a sum.**

# %%
column = Value([[1.0], [2.0]], "column")
row = Value([10.0, 20.0, 30.0], "row")
product = column * row  # (2, 1) times (3,) is (2, 3)
arriving = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
product.backward(arriving)

by_hand = (arriving * row.data).sum(axis=1, keepdims=True), (arriving * column.data).sum(axis=0)
assert np.array_equal(column.grad, by_hand[0])
assert np.array_equal(row.grad, by_hand[1])
product

# %%
column_t, row_t = (torch.tensor(value.data, requires_grad=True) for value in (column, row))
(column_t * row_t).backward(torch.tensor(arriving))
assert np.array_equal(column.grad, column_t.grad)
assert np.array_equal(row.grad, row_t.grad)

# %% [markdown]
# **Matrix products.** In $Y = XW$ each number of $W$ meets a whole column of $X$. Collecting all of its contributions
# gives another matrix product: with $G$ arriving at $Y$, what arrives at $W$ is $X^T G$, and at $X$ it is $G W^T$.

# %%
rng = np.random.default_rng(0)
X, W = Value(rng.normal(size=(4, 3)), "X"), Value(rng.normal(size=(3, 2)), "W")
G = rng.normal(size=(4, 2))
(X @ W).backward(G)
assert np.allclose(W.grad, X.data.T @ G)
assert np.allclose(X.grad, G @ W.data.T)

# %% [markdown]
# **Exercise.** A bias of shape `(2,)` is added to a result of shape `(4, 2)`. Which gradient does it get, with `G`
# arriving?

# %% jupyter={"source_hidden": true} tags=["hide-input", "answer"]
bias = Value(np.zeros(2), "bias")
(Value(np.ones((4, 2))) + bias).backward(G)
assert np.allclose(bias.grad, G.sum(axis=0))  # it was repeated for four rows

# %% [markdown]
# ## 6. A layer, and a network
#
# Neurons side by side are a layer: one matrix product, one sum, one `tanh`. Layers one after the other are a network.

# %%
layer = Layer(3, 4, rng=0)
layer(np.array([2.0, 3.0, -1.0]))

# %%
points = np.array([[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]])
wanted = np.array([1.0, -1.0, -1.0, 1.0])
network = MLP(3, [4, 4, 1], rng=0)
print(network, "has", sum(parameter.size for parameter in network.parameters()), "numbers to learn")

# %% [markdown]
# The error of the network, over four points: the squares of what it is off by, added up. Arrays of many numbers are
# drawn as small maps: white is 0, blue is above it and orange below.

# %%


def squares(outputs, wanted):
    return ((outputs - wanted) ** 2).sum()


loss = squares(network(points), wanted)
loss.label = "loss"
loss.backward()
loss

# %% [markdown]
# Point after point, as a loop would do it, gives the same error and a larger graph. Of a large graph each layer is
# drawn as one ellipse with a double line, which says what it does and how often.

# %%
one_by_one = np.stack([(network(point) - want) ** 2 for point, want in zip(points, wanted, strict=True)]).sum()
assert math.isclose(one_by_one.item(), loss.item())
one_by_one

# %% [markdown]
# The same network in PyTorch, with the same numbers in it, and the gradients of both side by side.

# %%


def in_pytorch(network):
    """The parameters of a network as tensors."""
    return {name: torch.tensor(p.data, requires_grad=True) for name, p in network.named_parameters().items()}


def run(tensors, x):
    for i in range(len(tensors) // 2):
        x = torch.tanh(x @ tensors[f"layers.{i}.weight"] + tensors[f"layers.{i}.bias"])
    return x.squeeze(-1)


tensors = in_pytorch(network)
loss_t = squares(run(tensors, torch.tensor(points)), torch.tensor(wanted))
loss_t.backward()
print(f"loss               {loss.item():.6f}  PyTorch {loss_t.item():.6f}")
for name, parameter in network.named_parameters().items():
    apart = np.max(ulps(parameter.grad, tensors[name].grad.numpy()))
    size = np.abs(parameter.grad - tensors[name].grad.numpy()).max()
    print(f"{name:<16} largest gradient {np.abs(parameter.grad).max():.4f}, at most {apart:3.0f} ULP apart: {size:.0e}")
    assert size < 1e-13

# %% [markdown]
# ## 7. Training
#
# Each gradient says: *if you grow, so much does the error grow.* So let every number take a small step the other way.
# That is all there is to training. Both networks do it side by side.

# %%
rate = 0.05
network = MLP(3, [4, 4, 1], rng=0)
tensors = in_pytorch(network)
for step in range(40):
    network.zero_grad()
    loss = squares(network(points), wanted)
    loss.backward()
    loss_t = squares(run(tensors, torch.tensor(points)), torch.tensor(wanted))
    slopes_t = torch.autograd.grad(loss_t, list(tensors.values()))
    for parameter in network.parameters():
        parameter.data -= rate * parameter.grad
    with torch.no_grad():
        for tensor, slope in zip(tensors.values(), slopes_t, strict=True):
            tensor.sub_(rate * slope)
    if step % 5 == 0 or step == 39:
        print(f"step {step:2}  loss {loss.item():.6f}  PyTorch's is off by {abs(loss.item() - loss_t.item()):.0e}")

outputs = network(points)
assert np.array_equal(np.sign(outputs.data), wanted)
assert np.allclose(outputs.data, run(tensors, torch.tensor(points)).detach(), rtol=0, atol=1e-12)
outputs.data.round(3), wanted

# %% [markdown]
# It has learned: each output has the right sign, and is near what was wanted. And after 40 steps both networks are
# still the same, but for the last few digits.
#
# **Exercise.** Leave out `network.zero_grad()`. What do the gradients become, and what does that do to the steps?

# %% jupyter={"source_hidden": true} tags=["hide-input", "answer"]
forgetful = MLP(3, [4, 4, 1], rng=0)
for _ in range(2):
    squares(forgetful(points), wanted).backward()
once = MLP(3, [4, 4, 1], rng=0)
squares(once(points), wanted).backward()
# A gradient is added to the one from the step before: the steps grow, and point where the error was.
assert np.array_equal(forgetful.layers[0].weight.grad, 2 * once.layers[0].weight.grad)

# %% [markdown]
# ## 8. Why the last digits differ
#
# Two right programs need not agree to the last bit. `tanh` is computed by different code, and each is right to within a
# ULP or so. And additions in another order are rounded elsewhere.

# %%
x = np.random.default_rng(0).normal(size=100_000)
apart = ulps(np.tanh(x), torch.tanh(torch.tensor(x)).numpy())
print(f"tanh: {np.mean(apart == 0):.1%} the same to the bit, at most {apart.max():.0f} ULP apart")
print("sums:", (0.1 + 0.2) + 0.3, "and", 0.1 + (0.2 + 0.3))
large = np.tanh(15.0)
print(f"1 - tanh²(15): {1 - large**2:.6g}, and with one ULP less in tanh: {1 - np.nextafter(large, 0) ** 2:.6g}")

# %% [markdown]
# The last line shows why no fixed tolerance fits: near 1, `1 - tanh²` turns one ULP of `tanh` into a change in the
# fourth digit. A harness that allows this everywhere would miss real bugs, and one that allows it nowhere would cry
# wolf.
#
# ## 9. Break it
#
# Does anybody notice a bug? Plant one. The slope of `tanh` is `1 - tanh²`; this one forgets the square.

# %%
rule = ndgrad.RULES["tanh"]
right = rule.pullbacks
rule.pullbacks = (lambda g, y, x: g * (1 - y),)
print(*check_engine(NdgradEngine(), ["tanh"]), sep="\n")
rule.pullbacks = right

# %% [markdown]
# The harness drew random programs around `tanh`, ran each in ndgrad and in PyTorch, and shrank the first that failed to
# the smallest that still does. An exact computation, which uses no rule of differentiation, decided who is wrong.
#
# A bug may be far smaller. Here one part in ten million is lost:

# %%
rule.pullbacks = (lambda g, y, x: right[0](g, y, x) * (1 - 1e-7),)
print(*check_engine(NdgradEngine(), ["tanh"]), sep="\n")
rule.pullbacks = right
assert check_engine(NdgradEngine(), ["tanh"]) == []

# %% [markdown]
# With the right rule back, it has nothing to say.
#
# **Exercise.** A loss of `output.sum()` sends ones backwards. Think of a wrong rule for `softmax` that such a test can
# never find: whatever the input, the right gradient of that sum is 0.

# %% jupyter={"source_hidden": true} tags=["hide-input", "answer"]
rule = ndgrad.RULES["softmax"]
right = rule.pullbacks
rule.pullbacks = (lambda g, y, x, axis=-1, **_: 7 * right[0](g, y, x, axis=axis),)  # seven times 0 is 0
x = Value([1.0, 2.0, 3.0])
ndgrad.softmax(x).sum().backward()
failures = check_engine(NdgradEngine(), ["softmax"])
rule.pullbacks = right
assert np.allclose(x.grad, 0)  # nothing to be seen
assert failures  # the harness draws what it sends backwards

# %% [markdown]
# ## Where to go from here
#
# - `ndgrad/engine` is `Number` grown up: arrays, no recursion, and an order that comes for free.
# - `ndgrad/rules/` has the slopes of all ops, one row each.
# - The notebook `your_engine` gives an engine of your own to the harness.
