"""What the axis letters in the annotations mean.

    T   times 0..H of a horizon H, hence H+1 of them (H where something happens between two times)
    S   states
    A   actions
    K   successors of a pair of state and action

The order is always time, state, action, then any batch axes; `#T` is T or 1 (the same at all times).
"""

from typing import TYPE_CHECKING, Any, Self

from jaxtyping import Array, Bool, Float, Int, Scalar, UInt32

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
else:
    ArrayLike = Any  # numbers, nested lists, NumPy and JAX arrays: the constructors check them

__all__ = ["Array", "ArrayLike", "Bool", "Float", "Int", "Scalar", "Self", "UInt32"]
