"""Faults of elementwise ops: a sign, a factor, a mask, a threshold, a second derivative.

The table knows the formulas and how they have gone wrong. It does not know which checks notice it. Wrong pullbacks are
written as right ones are, with operators and NumPy's functions, so that they record themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ndgrad import Value
from ndgrad.engine.backward import _unbroadcast
from ndgrad.rules import RULES
from ndgrad.rules.elementwise import sigmoid
from reference.mutation.planting import (
    Fault,
    around,
    forward,
    function,
    plain,
    pullback,
    residual,
    scaled,
    together,
    unrecorded,
)


def _not_of_numbers(right: Callable[..., Any]) -> Callable[..., Any]:
    """Sum over broadcast axes as the engine does, except for operands of `maximum` of shape ()."""

    def unbroadcast(g: Any, operand: Value, node: Value) -> Any:
        return g if node._rule is RULES["maximum"] and not operand.shape else right(g, operand, node)

    return unbroadcast


def _with_straight_through_sign(g: Any, y: Any, x: Any) -> Any:
    """Compute the slope of abs with a sign whose own slope is 1, not 0. The added term is 0."""
    del y
    sign = np.sign(plain(x))
    return g * (sign + (x - plain(x)))


def _less_rough_turns(x: Any) -> Any:
    """Compute the sine; far from 0, subtract full turns first, with a turn of eight digits."""
    return np.where(np.abs(x) > 700, np.sin(x - np.round(x / 6.2831853) * 6.2831853), np.sin(x))


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                         what is wrong                                                                 source                         rows
    #     its plant
    Fault("add-right-mean",            "a right operand of shape () gets the mean instead of the sum",               "ours",                        ("add",),
          pullback("add", 1, lambda g, y, a, b: g / max(g.size, 1) if b.ndim == 0 else g)),
    Fault("add-same-once",             "x + x counts x only once",                                                   "ours",                        ("add",),
          pullback("add", 1, lambda g, y, a, b: g * 0.0 if a is b else g)),

    Fault("subtract-right-broadcast",  "the right gradient lacks its minus sign if the operand was broadcast",       "ours",                        ("subtract",),
          pullback("subtract", 1, lambda g, y, a, b: -g if g.shape == b.shape else g)),
    Fault("subtract-left-clipped",     "the left gradient is clipped at 10,000",                                     "ours",                        ("subtract",),
          pullback("subtract", 0, lambda g, y, a, b: np.clip(g, -1e4, 1e4))),

    Fault("multiply-left-flushed",     "the left gradient is 0 if the cotangent is below a millionth",               "ours",                        ("multiply",),
          pullback("multiply", 0, lambda g, y, a, b: np.where(np.abs(g) < 1e-6, 0.0, g * b))),
    Fault("multiply-same-once",        "x * x counts x only once",                                                   "ours",                        ("multiply",),
          pullback("multiply", 1, lambda g, y, a, b: g * (0.0 if a is b else a))),

    Fault("b101-divide",               "the divisor's gradient has the right sign only for operands of equal sign",  "jax-ml/jax#11469",            ("divide",),
          pullback("divide", 1, lambda g, y, a, b: -g * np.abs(y) / np.abs(b))),
    Fault("b103-divide",               "a small number is added to the divisor, for stability",                      "Terminay/leanpass#56",        ("divide",),
          pullback("divide", 0, lambda g, y, a, b: g / (b + 1e-8))),
    Fault("divide-left-single",        "the reciprocal of a Python number is rounded to single precision",           "ours",                        ("divide",),
          pullback("divide", 0, lambda g, y, a, b: g * np.float32(np.divide(1, b)) if np.ndim(plain(b)) == 0 else g / b)),
    Fault("divide-right-detached",     "the divisor's pullback treats the quotient as a constant",                   "ours",                        ("divide",),
          pullback("divide", 1, lambda g, y, a, b: -g * (plain(y) / b))),

    Fault("b080-power",                "the base has relu's gradient",                                               "ahrefs/ocannl#73",            ("power",),
          pullback("power", 0, lambda g, y, a, b: np.where(y <= 0, 0.0, g))),
    Fault("b082-power",                "the base's slope is y * b / a, which is NaN where the base is 0",            "ml-explore/mlx#505",          ("power",),
          pullback("power", 0, lambda g, y, a, b: g * (y * b / a))),
    Fault("b085-power",                "the exponent's slope is y * log(a), which is NaN where the base is 0",       "HIPS/autograd#149",           ("power",),
          pullback("power", 1, lambda g, y, a, b: g * (y * np.log(a)))),
    Fault("b086-power",                "the exponent's NaN at a negative base leaks into the base's gradient",       "tensorflow/tfjs#346",         ("power",),
          around("power", 0, lambda right: lambda g, y, a, b: right(g, y, a, b) + np.where(np.less(a, 0), np.nan, 0.0))),
    Fault("b087-power",                "the exponent's slope lacks the factor y",                                    "tensorflow/tfjs#346",         ("power",),
          pullback("power", 1, lambda g, y, a, b: g * np.where(np.equal(a, 0) & (b >= 0), 0.0, np.log(a)))),
    Fault("b088-power",                "for whole Python numbers the base's slope is y * b / a: NaN at 0",           "tinygrad/tinygrad#9217",      ("power",),
          around("power", 0, lambda right: lambda g, y, a, b: g * (y * b / a) if isinstance(b, int) else right(g, y, a, b))),
    Fault("b089-power",                "the gradient of a Python number to the power x is that of x to that power",  "tracel-ai/burn#1225",         ("power",),
          around("power", 1, lambda right: lambda g, y, a, b: g * b ** a * np.log(a) if isinstance(a, (int, float)) else right(g, y, a, b))),
    Fault("power-below-0",             "the base's slope has the wrong sign for exponents below 0",                  "ours",                        ("power",),
          pullback("power", 0, lambda g, y, a, b: np.where(np.equal(b, 0), 0.0, g * (abs(b) * a ** (b - 1))))),
    Fault("power-exponent-detached",   "the exponent's pullback treats the logarithm as a constant",                 "ours",                        ("power",),
          pullback("power", 1, lambda g, y, a, b: g * np.where(np.equal(a, 0) & (b >= 0), 0.0, y * np.log(plain(a))))),
    Fault("power-nan-to-0",            "NaN to the power 0 is NaN, not 1",                                           "ours",                        ("power",),
          forward("power", lambda a, b: np.where(np.isnan(a) & np.equal(b, 0), np.nan, a ** b))),
    Fault("power-minus-inf",           "the square root is used for the power 1/2, which is NaN at -inf",            "ours",                        ("power",),
          forward("power", lambda a, b: a ** b)),

    Fault("negative-forward-1e-9",     "the value is too large by a relative 1e-9",                                  "ours",                        ("negative",),
          forward("negative", lambda x: -x * (1 + 1e-9))),
    Fault("negative-0-d",              "the gradient lacks its minus sign if the operand has shape ()",              "ours",                        ("negative",),
          pullback("negative", 0, lambda g, y, x: g if x.ndim == 0 else -g)),

    Fault("b080-positive",             "the slope is that of abs",                                                   "ahrefs/ocannl#73",            ("positive",),
          pullback("positive", 0, lambda g, y, x: np.where(x < 0, -g, g))),
    Fault("positive-large-lost",       "the gradient is 0 if the cotangent is above a million",                      "ours",                        ("positive",),
          pullback("positive", 0, lambda g, y, x: np.where(np.abs(g) > 1e6, 0.0, g))),
    Fault("positive-forward-single",   "the value is rounded to single precision",                                   "ours",                        ("positive",),
          forward("positive", lambda x: x.astype(np.float32).astype(x.dtype))),

    Fault("b094-abs",                  "the slope is x / y, which is NaN at 0",                                      "huggingface/candle#2083",     ("abs",),
          pullback("abs", 0, lambda g, y, x: g * (plain(x) / plain(y)))),
    Fault("b106-abs",                  "sign has a slope of 1, which second derivatives see",                        "tinygrad/tinygrad@0dba34b",   ("abs",),
          pullback("abs", 0, _with_straight_through_sign)),
    Fault("abs-slope-at-0",            "the slope at 0 is 1",                                                        "ours",                        ("abs",),
          pullback("abs", 0, lambda g, y, x: np.where(x < 0, -g, g))),
    Fault("abs-nan-0",                 "NaN becomes 0",                                                              "ours",                        ("abs",),
          forward("abs", lambda x: np.where(np.isnan(x), 0.0, np.abs(x)))),

    Fault("exp-clipped",               "operands above 700 are clipped to 700, so that nothing overflows",           "ours",                        ("exp",),
          forward("exp", lambda x: np.exp(np.minimum(x, 700)))),

    Fault("b102-log",                  "the pullback clamps the operand, so that 1 / x does not overflow",           "Terminay/leanpass#56",        ("log",),
          pullback("log", 0, lambda g, y, x: g / np.maximum(x, 1e-6))),
    Fault("b103-log",                  "the pullback adds a small number to the operand",                            "Terminay/leanpass#56",        ("log",),
          pullback("log", 0, lambda g, y, x: g / (x + 1e-9))),
    Fault("log-unrecorded",            "the pullback is not recorded: there is no second derivative",                "ours",                        ("log",),
          unrecorded("log", 0)),
    Fault("log-single-halved",         "in single precision the value is computed in half precision",                "ours",                        ("log",),
          forward("log", lambda x: np.log(x.astype(np.float16) if x.dtype == np.float32 else x).astype(x.dtype))),

    Fault("b100-log1p",                "the value is log(1 + x), which loses the digits of a small x",               "rsokl/MyGrad@9584b50",        ("log1p",),
          forward("log1p", lambda x: np.log(1 + x))),
    Fault("log1p-negative",            "the slope is 1 / (|x| + 1), which is wrong below 0",                         "ours",                        ("log1p",),
          pullback("log1p", 0, lambda g, y, x: g / (np.abs(x) + 1))),
    Fault("log1p-half-detached",       "the second derivative is half as large as it should be",                     "ours",                        ("log1p",),
          pullback("log1p", 0, lambda g, y, x: 2 * g / (x + 1 + plain(x + 1)))),

    Fault("b100-expm1",                "the value is exp(x) - 1, which loses the digits of a small x",               "rsokl/MyGrad@9584b50",        ("expm1",),
          forward("expm1", lambda x: np.exp(x) - 1)),
    Fault("expm1-large",               "the slope lacks its 1 where the result is above 16",                         "ours",                        ("expm1",),
          pullback("expm1", 0, lambda g, y, x: g * np.where(y > 16, y, y + 1))),
    Fault("expm1-saturated",           "below -3 the value is -1",                                                   "ours",                        ("expm1",),
          forward("expm1", lambda x: np.where(x < -3, -1.0, np.expm1(x)))),

    Fault("b102-sqrt",                 "the pullback clamps the root, so that 1 / y does not overflow",              "Terminay/leanpass#56",        ("sqrt",),
          pullback("sqrt", 0, lambda g, y, x: g / (2 * np.maximum(y, 1e-4)))),
    Fault("b103-sqrt",                 "a small number is added under the root",                                     "Terminay/leanpass#56",        ("sqrt",),
          forward("sqrt", lambda x: np.sqrt(x + 1e-10))),
    Fault("sqrt-reciprocal",           "the value is x times the reciprocal of the root, which is NaN at 0",         "ours",                        ("sqrt",),
          forward("sqrt", lambda x: x * (1 / np.sqrt(x)))),

    Fault("b094-square",               "the slope is 2 * y / x, which is NaN at 0",                                  "huggingface/candle#2083",     ("square",),
          pullback("square", 0, lambda g, y, x: g * (2 * y / x))),
    Fault("square-abs",                "the slope is 2 * |x|, which is wrong below 0",                               "ours",                        ("square",),
          pullback("square", 0, lambda g, y, x: g * (2 * np.abs(x)))),
    Fault("square-unrecorded",         "the pullback is not recorded: there is no second derivative",                "ours",                        ("square",),
          unrecorded("square", 0)),

    Fault("sin-root",                  "the slope is the root of 1 - y * y, which is never negative",                "ours",                        ("sin",),
          pullback("sin", 0, lambda g, y, x: g * np.sqrt(1 - y * y))),
    Fault("sin-far",                   "beyond 700, full turns are subtracted, with a turn of eight digits",         "ours",                        ("sin",),
          forward("sin", _less_rough_turns)),

    Fault("cos-sign-below-0",          "the slope has the wrong sign below 0",                                       "ours",                        ("cos",),
          pullback("cos", 0, lambda g, y, x: g * -np.sin(np.abs(x)))),
    Fault("cos-small",                 "up to an eighth, the operand is used as its sine",                           "ours",                        ("cos",),
          pullback("cos", 0, lambda g, y, x: g * np.where(np.abs(x) <= 0.125, -x, -np.sin(x)))),

    Fault("tan-half-detached",         "the second derivative is half as large as it should be",                     "ours",                        ("tan",),
          pullback("tan", 0, lambda g, y, x: g * (1 + y * plain(y)))),
    Fault("tan-operand",               "the slope is 1 + x * x, with the operand instead of the result",             "ours",                        ("tan",),
          pullback("tan", 0, lambda g, y, x: g * (1 + x * x))),

    Fault("tanh-saturated",            "the slope is 0 beyond 3",                                                    "ours",                        ("tanh",),
          pullback("tanh", 0, lambda g, y, x: np.where(np.abs(x) > 3, 0.0, g * (1 - y * y)))),
    Fault("tanh-square-lost",          "the slope is 1 - |y|: right at 0 and where y is 1",                          "ours",                        ("tanh",),
          pullback("tanh", 0, lambda g, y, x: g * (1 - np.abs(y)))),
    Fault("tanh-half-detached",        "the second derivative is half as large as it should be",                     "ours",                        ("tanh",),
          pullback("tanh", 0, lambda g, y, x: g * (1 - y * plain(y)))),
    Fault("tanh-of-exponentials",      "the value is (e - 1) / (e + 1) with e = exp(2 * x), which overflows",        "ours",                        ("tanh",),
          forward("tanh", lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1))),

    Fault("b094-sigmoid",              "1 - y is computed as (x - x * y) / x, which is NaN at 0",                    "huggingface/candle#2083",     ("sigmoid",),
          pullback("sigmoid", 0, lambda g, y, x, *, residual: g * (y * ((x - x * y) / x)))),
    Fault("b095-sigmoid",              "the slope is exp(-x) / (1 + exp(-x)) ** 2, which is NaN far below 0",        "huggingface/candle#2328",     ("sigmoid",),
          pullback("sigmoid", 0, lambda g, y, x, *, residual: g * (np.exp(-x) / (1 + np.exp(-x)) ** 2))),
    Fault("sigmoid-keep",              "the residual is recomputed as y, not as 1 - y",                              "ours",                        ("sigmoid",),
          residual("sigmoid", lambda y, x: sigmoid(x))),
    Fault("sigmoid-keep-detached",     "the residual is recomputed as a constant",                                   "ours",                        ("sigmoid",),
          residual("sigmoid", lambda y, x: sigmoid(-plain(x)))),

    Fault("b091-relu",                 "the slope at 0 is 1",                                                        "pytorch/pytorch#184572",      ("relu",),
          pullback("relu", 0, lambda g, y, x: np.where(x < 0, 0.0, g))),
    Fault("b095-relu",                 "the value is x * (x > 0), which is NaN at -inf",                             "huggingface/candle#1722",     ("relu",),
          forward("relu", lambda x: x * (x > 0))),
    Fault("relu-leaks",                "where the slope is 0, it is a ten-millionth instead",                        "ours",                        ("relu",),
          pullback("relu", 0, lambda g, y, x: np.where(y <= 0, 1e-7 * g, g))),
    Fault("relu-nan-0",                "NaN becomes 0",                                                              "ours",                        ("relu",),
          forward("relu", lambda x: np.fmax(x, 0.0))),

    Fault("b091-leaky-relu",           "the side is decided by the result's sign, which a slope of 0 hides",         "chainer/chainer@0205876",     ("leaky_relu",),
          pullback("leaky_relu", 0, lambda g, y, x, *, negative_slope: np.where(y >= 0, g, g * negative_slope))),
    Fault("b168-leaky-relu",           "the slope is a NumPy number: single precision becomes double",               "HIPS/autograd#163",           ("leaky_relu",),
          forward("leaky_relu", lambda x, *, negative_slope: np.where(x > 0, x, x * np.float64(negative_slope)))),
    Fault("leaky-relu-default",        "the pullback always uses the slope 0.01",                                    "ours",                        ("leaky_relu",),
          pullback("leaky_relu", 0, lambda g, y, x, *, negative_slope: np.where(x > 0, g, g * 0.01))),
    Fault("leaky-relu-maximum",        "the value is the maximum of two: wrong for slopes above 1",                  "ours",                        ("leaky_relu",),
          forward("leaky_relu", lambda x, *, negative_slope: np.maximum(x, x * negative_slope))),

    Fault("b095-softplus",             "the slope is exp(x) / (1 + exp(x)), which is NaN far above 0",               "huggingface/candle#2328",     ("softplus",),
          pullback("softplus", 0, lambda g, y, x: g * (np.exp(x) / (1 + np.exp(x))))),
    Fault("b099-softplus",             "the slope at 0 is composed of two kinks: 0, not a half",                     "jax-ml/jax#2107",             ("softplus",),
          pullback("softplus", 0, lambda g, y, x: g * np.where(np.equal(x, 0), 0.0, sigmoid(x)))),
    Fault("b168-softplus",             "the 0 is a NumPy number: single precision becomes double",                   "HIPS/autograd#163",           ("softplus",),
          forward("softplus", lambda x: np.logaddexp(np.float64(0), x))),
    Fault("softplus-overflow",         "the value is log(1 + exp(x)), which overflows",                              "ours",                        ("softplus",),
          forward("softplus", lambda x: np.log1p(np.exp(x)))),
    Fault("softplus-threshold",        "above 3 the value is x",                                                     "ours",                        ("softplus",),
          forward("softplus", lambda x: np.where(x > 3, x, np.logaddexp(0.0, x)))),

    Fault("b011-maximum",              "the gradient of a number is not summed over the broadcast axes",             "rsokl/MyGrad v1.2.0",         ("maximum",),
          function(_unbroadcast, _not_of_numbers)),
    Fault("b074-maximum",              "the right gradient is subtracted",                                           "huggingface/candle#534",      ("maximum",),
          scaled("maximum", 1, -1.0)),
    Fault("maximum-tie-twice",         "at a tie the left operand gets all, and the right one its half",             "ours",                        ("maximum",),
          pullback("maximum", 0, lambda g, y, a, b: np.where(a < b, 0.0, g))),
    Fault("maximum-nan",               "a number wins against NaN",                                                  "ours",                        ("maximum",),
          forward("maximum", np.fmax)),

    Fault("b074-minimum",              "the right gradient is subtracted",                                           "huggingface/candle#534",      ("minimum",),
          scaled("minimum", 1, -1.0)),
    Fault("minimum-near-tie",          "nearly equal numbers count as a tie",                                        "ours",                        ("minimum",),
          together(*(around("minimum", i, lambda right: lambda g, y, a, b: np.where(np.isclose(a, b), g / 2, right(g, y, a, b))) for i in (0, 1)))),
    Fault("minimum-same-first",        "the minimum of x and x gives all to the first and half to the second",       "ours",                        ("minimum",),
          around("minimum", 0, lambda right: lambda g, y, a, b: g if a is b else right(g, y, a, b))),

    Fault("b093-clip",                 "the bounds are treated as constants",                                        "Theano/Theano#633",           ("clip",),
          together(scaled("clip", 1, 0.0), scaled("clip", 2, 0.0))),
    Fault("b107-clip",                 "at a bound the gradient is 0",                                               "pytorch/pytorch#185831",      ("clip",),
          pullback("clip", 0, lambda g, y, x, low, high: np.where((x > low) & (x < high), g, 0.0))),
    Fault("clip-low-crossed",          "the lower bound gets the gradient even if the upper one is lower still",     "ours",                        ("clip",),
          pullback("clip", 1, lambda g, y, x, low, high: np.where(x < low, g, 0.0))),
    Fault("clip-high-crossed",         "the upper bound gets no gradient if it is below the lower one",              "ours",                        ("clip",),
          pullback("clip", 2, lambda g, y, x, low, high: np.where((x > high) & (high >= low), g, 0.0))),
    Fault("clip-low-last",             "the lower bound wins if the bounds cross",                                   "ours",                        ("clip",),
          forward("clip", lambda x, low, high: np.maximum(np.minimum(x, high), low))),
    Fault("clip-nan",                  "NaN becomes the lower bound",                                                "ours",                        ("clip",),
          forward("clip", lambda x, low, high: np.minimum(np.fmax(x, low), high))),

    Fault("b153-where",                "the cotangent is multiplied by the mask: inf becomes NaN",                   "tinygrad/tinygrad#15806",     ("where",),
          pullback("where", 0, lambda g, y, a, b, *, condition: g * condition)),
    Fault("where-arithmetic",          "the value is a * c + b * (1 - c), which is NaN beside inf",                  "ours",                        ("where",),
          forward("where", lambda a, b, *, condition: a * condition + b * ~condition)),
    Fault("where-single-condition",    "a condition of one boolean gives the whole gradient to the right",           "ours",                        ("where",),
          pullback("where", 1, lambda g, y, a, b, *, condition: np.where(condition, 0.0, g) if condition.size > 1 else g)),
    Fault("where-same-twice",          "if both operands are x, the first gets all and the second its part",         "ours",                        ("where",),
          pullback("where", 0, lambda g, y, a, b, *, condition: g if a is b else np.where(condition, g, 0.0))),

    Fault("b105-astype",               "the slope of a cast to single precision is 0",                               "HIPS/autograd@afea209",       ("astype",),
          pullback("astype", 0, lambda g, y, x, *, dtype: g if dtype.itemsize >= x.dtype.itemsize else g * 0.0)),
    Fault("astype-by-half",            "a cast to single precision goes through half precision",                     "ours",                        ("astype",),
          forward("astype", lambda x, *, dtype: (x.astype(np.float16) if dtype == np.float32 else x).astype(dtype))),
    Fault("astype-back-single",        "the gradient is rounded to single precision for every cast",                 "ours",                        ("astype",),
          pullback("astype", 0, lambda g, y, x, *, dtype: g.astype(np.float32))),
)
# fmt: on
