"""Plots as inline SVG and as bars of HTML; colours are variables of the page's style, so that dark mode fits."""

import math
from collections.abc import Callable, Sequence

from distiller.report.markup import Html, join, tag
from distiller.report.reliability import Bin

WIDTH, HEIGHT = 460, 330
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 46


def reliability_plot(bins: list[Bin]) -> Html:
    """Share right over probability: a dot with its interval per bin, its area the share of answers."""
    x, y = _scale(0, 1, LEFT, WIDTH - RIGHT), _scale(0, 1, HEIGHT - BOTTOM, TOP)
    total, inside = sum(each.count for each in bins), _axes(0, 1, 0, 1, "probability of the answer", "share right")
    inside.append(_line([(x(0), y(0)), (x(1), y(1))], "ideal"))
    for each in bins:
        told = f"{each.count:,} answers of probability {each.confidence:.2f}: {each.right:.1%} right"
        radius = 3 + 9 * math.sqrt(each.count / total)
        inside.append(_line([(x(each.confidence), y(each.low)), (x(each.confidence), y(each.high))], "whisker"))
        inside.append(
            tag(
                "circle",
                tag("title", told),
                cx=f"{x(each.confidence):.1f}",
                cy=f"{y(each.right):.1f}",
                r=f"{radius:.1f}",
                class_="dot student",
            )
        )
    return _svg(inside, "Share of right answers over their probability")


def curve_plot(lines: dict[str, list[tuple[float, float]]], across: str, up: str, best: float | None = None) -> Html:
    """Lines of points by name, drawn with the classes `line a`, `line b`, ...; `best` marks a place on the x axis."""
    points = [point for line in lines.values() for point in line]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    low, high = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1
    bottom, top = _nice(min(ys), max(ys))
    x, y = _scale(low, high, LEFT, WIDTH - RIGHT), _scale(bottom, top, HEIGHT - BOTTOM, TOP)
    inside = _axes(low, high, bottom, top, across, up)
    if best is not None:
        inside.append(_line([(x(best), y(bottom)), (x(best), y(top))], "ideal"))
    for line, class_ in zip(lines.values(), "abcd", strict=False):
        inside.append(_line([(x(a), y(b)) for a, b in line], f"line {class_}"))
        if len(line) <= 40:
            inside += [
                tag(
                    "circle",
                    tag("title", f"{a:g}: {b:.4g}"),
                    cx=f"{x(a):.1f}",
                    cy=f"{y(b):.1f}",
                    r=3.5,
                    class_=f"dot {class_}",
                )
                for a, b in line
            ]
    key = join(tag("span", tag("i", class_=f"swatch {c}"), name) for name, c in zip(lines, "abcd", strict=False))
    return join([_svg(inside, f"{up} over {across}"), tag("p", key, class_="key") if len(lines) > 1 else ""])


def dots(rows: Sequence[tuple[str, Sequence[tuple[str, str, float]]]], low: float, high: float) -> Html:
    """One row per name with dots (class, label, value) on a common scale from low to high."""
    body = []
    for name, marks in rows:
        placed = [
            tag(
                "i",
                class_=f"mark {class_}",
                style=f"left:{100 * (value - low) / (high - low):.2f}%",
                title=f"{label}: {value:.3f}",
            )
            for class_, label, value in marks
        ]
        body.append(tag("div", tag("span", name, class_="name"), tag("div", *placed, class_="track"), class_="dots"))
    ticks = [low + i * (high - low) / 4 for i in range(5)]
    scale = join(tag("span", f"{tick:.2f}", style=f"left:{25 * i}%") for i, tick in enumerate(ticks))
    return join([*body, tag("div", tag("span", "", class_="name"), tag("div", scale, class_="scale"), class_="dots")])


def bar(share: float, class_: str = "student", whisker: tuple[float, float] | None = None, told: str = "") -> Html:
    """A bar as long as a share of its cell, with the ends of an interval."""
    inside = [tag("i", class_=f"fill {class_}", style=f"width:{100 * share:.2f}%")]
    if whisker:
        low, high = whisker
        inside.append(tag("i", class_="range", style=f"left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"))
    return tag("div", *inside, class_="bar", title=told or None)


def _svg(inside: list[Html], label: str) -> Html:
    return tag("svg", *inside, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label, class_="plot")


def _scale(low: float, high: float, begin: float, end: float) -> Callable[[float], float]:
    return lambda value: begin + (value - low) / (high - low) * (end - begin)


def _line(points: Sequence[tuple[float, float]], class_: str) -> Html:
    return tag("polyline", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in points), class_=class_)


def _axes(left: float, right: float, bottom: float, top: float, across: str, up: str) -> list[Html]:
    x, y = _scale(left, right, LEFT, WIDTH - RIGHT), _scale(bottom, top, HEIGHT - BOTTOM, TOP)
    drawn = []
    for tick in _ticks(bottom, top):
        drawn.append(_line([(LEFT, y(tick)), (WIDTH - RIGHT, y(tick))], "grid"))
        drawn.append(tag("text", f"{tick:g}", x=LEFT - 8, y=f"{y(tick) + 4:.1f}", class_="tick up"))
    drawn += [
        tag("text", f"{tick:g}", x=f"{x(tick):.1f}", y=HEIGHT - BOTTOM + 18, class_="tick")
        for tick in _ticks(left, right)
    ]
    middle = (TOP + HEIGHT - BOTTOM) / 2
    drawn.append(tag("text", across, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, class_="axis"))
    drawn.append(tag("text", up, x=13, y=middle, class_="axis", transform=f"rotate(-90 13 {middle})"))
    return drawn


def _ticks(low: float, high: float) -> list[float]:
    """Some four to seven round numbers within the ends."""
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(step * i, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _nice(low: float, high: float) -> tuple[float, float]:
    """Ends with some air around the values; 0 if it is near."""
    span = (high - low) or abs(high) or 1.0
    return (0.0 if 0 <= low < 0.6 * span else low - 0.08 * span), high + 0.08 * span
