"""One point of an explorer as plain data: what a page draws of it."""

import base64
from typing import Any, NamedTuple

import numpy as np

from .._result import NOT_COMPUTED, RESULTS, Result, result_name
from ..equilibrium import Equilibrium

_MOST, _NONE = 65534, 65535
"""A probability p is packed as round(65534 p), in two bytes; 65535 stands for none."""


class Frame(NamedTuple):
    """What is drawn of one point.

    Attributes:
      law: μ_t(s), `[T, S]`; one row for a stationary game.
      policy: π_t(a|s), `[T, S, A]`; None: not known.
      quantity: the number that is drawn against a slider; NaN: there is none.
      code: why the solver stopped, as in `RESULTS`; −1: not computed.
      residual: how far the point is from an equilibrium.
      exploitability: what one agent gains by leaving the policy; NaN: not known.
      period: of a cycle; 0: there is none.
      message: what happened, in words; "" where `verdict` is to say it.
    """

    law: np.ndarray
    policy: np.ndarray | None
    quantity: float
    code: int
    residual: float
    exploitability: float
    period: int = 0
    message: str = ""

    @property
    def found(self) -> bool:
        """Whether there is an equilibrium."""
        return self.code == RESULTS.converged

    def described(self) -> dict[str, Any]:
        """Return the frame as JSON, with packed arrays."""
        return {
            "law": packed(self.law),
            "policy": None if self.policy is None else packed(self.policy),
            "quantity": finite(self.quantity),
            "residual": finite(self.residual),
            "exploitability": finite(self.exploitability),
            "verdict": verdict(self.code, self.period, self.message),
        }


def frame_of(equilibrium: Equilibrium, quantity: float) -> Frame:
    """Return the frame of the result of a solve."""
    law, policy = np.asarray(equilibrium.state_law), np.asarray(equilibrium.policy)
    return Frame(
        law if law.ndim == 2 else law[None],
        policy if policy.ndim == 3 else policy[None],
        quantity,
        int(equilibrium.result.code),
        float(equilibrium.residual),
        float(equilibrium.exploitability),
        int(equilibrium.result.period),
        equilibrium.result.message,
    )


def verdict(code: int, period: int, message: str = "") -> dict[str, Any]:
    """Return whether a result code is that of an equilibrium, its name, and what happened in words."""
    if code == NOT_COMPUTED:
        return {"found": False, "name": result_name(code), "text": "This point of the sweep has not been computed yet."}
    # what to do about it depends on the solver, which a file does not tell: what happened is the first sentence
    text = message or Result(code, period).message.split(". ")[0].rstrip(".") + "."
    return {"found": bool(code == RESULTS.converged), "name": RESULTS(code).name, "text": text}


def packed(probabilities: np.ndarray) -> str:
    """Return probabilities as text: two bytes each, little-endian, in base64."""
    return base64.b64encode(whole_numbers(probabilities).tobytes()).decode()


def whole_numbers(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities as whole numbers of two bytes, little-endian."""
    numbers = np.where(np.isnan(probabilities), _NONE, np.clip(np.nan_to_num(probabilities), 0, 1) * _MOST)
    return np.round(numbers).astype("<u2")


def finite(number: float) -> float | None:
    """Return a number for JSON, which has no NaN, to the digits that a page may show."""
    return float(f"{number:.7g}") if np.isfinite(number) else None
