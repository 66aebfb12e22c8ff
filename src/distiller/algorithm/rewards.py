"""What a written reply is worth: separate rewards in [0, 1], each a pure function of the reply and of what was asked.

The reference counts single digits only, so that a right "[10]" is worth less than a right "[3]", pays for a bare number as for
the format asked for, and does not mind numbers beyond the list (fault Q25).
"""

import re

import numpy as np

from distiller.elicitation.replies import read_bracketed

_WELL_FORMED = re.compile(r"\[(?:0|[1-9][0-9]*)\]")
_NUMBER = re.compile(r"[0-9]+")


def well_formed(text: str, ended: bool) -> float:
    """1 if the reply is exactly one bracketed number, and then ends."""
    return float(ended and bool(_WELL_FORMED.fullmatch(text)))


def in_range(text: str, n_options: int) -> float:
    """1 if the reply names numbers, and all of them are options: 0 for "none", or 1..n_options."""
    numbers = [int(number[:9]) for number in _NUMBER.findall(text)]
    return float(bool(numbers) and max(numbers) <= n_options)


def correct(text: str, target: np.ndarray) -> float:
    """The target's probability of the option that the reply names; 0 if it cannot be read.

    target: probabilities of options 0..k, [k + 1]; a hard label gives 1 or 0.
    """
    choice = read_bracketed(text, len(target) - 1).choice
    return float(target[choice]) if choice >= 0 else 0.0
