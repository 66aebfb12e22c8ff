"""Quantities and the units they are written in: 500 g or 0.5 kg, 16 GB or 16384 MB, 15.6 inch or 39.6 cm."""

from distiller.dataset.synthetic_words import Draw

# kind -> (unit, its size in the first unit, decimals that are written, from which amount on it is the usual unit)
UNITS: dict[str, tuple[tuple[str, float, int, float], ...]] = {
    "memory": (("GB", 1, 0, 0), ("MB", 1 / 1024, 0, 1e9), ("TB", 1024, 3, 1024)),
    "speed": (("MHz", 1, 0, 0), ("GHz", 1000, 2, 1000)),
    "screen": (("inch", 1, 1, 0), ("cm", 1 / 2.54, 1, 1e9), ('"', 1, 1, 1e9)),
    "rate": (("Hz", 1, 0, 0),),
    "length": (("cm", 1, 1, 0), ("inches", 2.54, 1, 1e9), ("mm", 0.1, 0, 1e9), ("m", 100, 2, 150)),
    "weight": (("g", 1, 0, 0), ("kg", 1000, 3, 1000), ("oz", 28.3495, 1, 1e9)),
    "volume": (("ml", 1, 0, 0), ("l", 1000, 3, 1000), ("fl oz", 29.5735, 1, 1e9)),
    "power": (("W", 1, 0, 0), ("kW", 1000, 2, 2000)),
    "battery": (("mAh", 1, 0, 0), ("Ah", 1000, 2, 1e9)),
    "count": (("pack", 1, 0, 0), ("pcs", 1, 0, 1e9), ("pk", 1, 0, 1e9)),
}
UNITS["panel"] = UNITS["screen"]


def usual_unit(kind: str, amount: float) -> int:
    """Index in `UNITS[kind]` of the unit in which an amount, given in the first unit, is usually written."""
    best = 0
    for index, (_, _, _, start) in enumerate(UNITS[kind]):
        if amount >= start >= UNITS[kind][best][3]:
            best = index
    return best


def other_unit(kind: str, amount: float, draw: Draw) -> int:
    """Index in `UNITS[kind]` of a unit in which the amount is seldom, yet accurately written; else of the usual one."""
    usual = usual_unit(kind, amount)
    units = []
    for index, (_, size, decimals, _) in enumerate(UNITS[kind]):
        number = amount / size
        if index != usual and 0.1 <= number < 100_000 and abs(round(number, decimals) / number - 1) < 0.01:
            units.append(index)
    return units[int(draw() * len(units))] if units else usual


def written(kind: str, amount: float, unit: int) -> str:
    """The amount, given in the first unit of its kind, as a number, a blank and the unit."""
    name, size, decimals, _ = UNITS[kind][unit]
    number = f"{amount / size:.{decimals}f}"
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {name}"
