"""Standard normal deviates that are the same on every machine, bit for bit.

Libraries differ in the last bit of log and exp. Here a deviate is the inverse distribution function of a uniform
one, by rational functions and a logarithm made of +, −, ×, ÷ and √ alone, each of which IEEE 754 rounds in one way.
"""

import numpy as np
from jaxtyping import Float64, UInt32

# Source: Wichura 1988, algorithm AS 241 (PPND16), highest power first: within 0.425 of one half, and beyond.
# fmt: off
_CENTRAL = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.3871328727963666080),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)
_TAIL = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)
# fmt: on
_LN2 = 0.6931471805599453
_ATANH_TERMS = 11  # the first that is left out is below 2⁻⁵³ for arguments below 0.172


def normal(words: UInt32[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Φ⁻¹((word + ½) 2⁻³²): normal if the words are uniform, within ±6.34, to about 10⁻¹⁵ of its size.

    >>> normal(np.array([0, 2**31, 2**32 - 1], np.uint32)).round(3)
    array([-6.338,  0.   ,  6.338])
    """
    from_half = (words.astype(np.float64) - (2.0**31 - 0.5)) * 2.0**-32  # exact
    deviates = from_half * _ratio(_CENTRAL, 0.180625 - from_half * from_half)
    outside = np.abs(from_half) > 0.425
    edge = from_half[outside]
    deviates[outside] = np.copysign(_ratio(_TAIL, np.sqrt(-_log(0.5 - np.abs(edge))) - 1.6), edge)
    return deviates


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: np.ndarray) -> np.ndarray:
    return _polynomial(coefficients[0], x) / _polynomial(coefficients[1], x)


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= x
        value += coefficient
    return value


def _log(x: np.ndarray) -> np.ndarray:
    """ln(2ᵉ f) = e ln 2 + 2 artanh((f − 1)/(f + 1)) with f in [√½, √2)."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < 0.5**0.5
    mantissa, exponent = np.where(small, 2 * mantissa, mantissa), exponent - small
    z = (mantissa - 1) / (mantissa + 1)
    series = _polynomial(tuple(2 / (2 * k + 1) for k in reversed(range(_ATANH_TERMS))), z * z)
    return exponent * _LN2 + z * series
