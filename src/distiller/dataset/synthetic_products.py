"""Synthetic products: one shop's titles, another's names and descriptions, and sister models that do not match."""

from dataclasses import dataclass

from distiller.dataset.synthetic_catalogue import CATEGORIES, SIZES, VARIANTS
from distiller.dataset.synthetic_damage import Columns
from distiller.dataset.synthetic_units import other_unit, usual_unit, written
from distiller.dataset.synthetic_words import SYNONYMS, Draw, pick, pseudo_words

_NOISE = (
    *("New", "Genuine", "Original", "Boxed", "(Retail)", "- OEM", "Bulk", "Sale"),
    *("with Free Shipping", "2-Year Warranty", "(Refurbished)"),
)
CANDIDATES = Columns(("title", "manufacturer", "price"), text=(0, 1), moves=((1, 0), (1, 0), (2, 1)), noise=_NOISE)
QUERIES = Columns(
    ("name", "brand", "description", "cost"),
    text=(0, 1, 2),
    moves=((1, 0), (1, 2), (2, 0), (3, 2)),
    noise=_NOISE,
)

_BRANDS, _LINES = 3000, 9000


@dataclass(slots=True)
class Product:
    """What a product is; sizes are (kind, amount in the first unit of the kind)."""

    brand: str
    line: str
    noun: str
    model: str
    qualities: list[str]
    sizes: list[tuple[str, float]]
    shade: str
    price: float


def entity(seed: int, sibling: int, size: int, draw: Draw) -> Product:
    """A product of the family that `draw` begins; siblings share brand and line but differ in model, size or colour."""
    words = pseudo_words(seed, _BRANDS + _LINES)
    brand = int(draw() ** 3 * _BRANDS)
    line = words[_BRANDS + (brand * 7 + int(draw() * 5)) % _LINES]
    category = CATEGORIES[(brand + int(draw() * 4)) % len(CATEGORIES)]
    noun = pick(category.nouns, draw)
    first = int(draw() * len(category.qualities))
    qualities = [category.qualities[first]]
    if draw() < 0.6:
        qualities.append(
            category.qualities[(first + 1 + int(draw() * (len(category.qualities) - 1))) % len(category.qualities)]
        )
    places = [int(draw() * len(SIZES[kind])) for kind in category.sizes]
    shade = int(draw() * len(category.shades))
    price = category.cheapest * (1 + 9 * draw() ** 2)
    number, step, letters = int(draw() * 9000) + 100, (1, 1, 2, 5, 10, 50, 100)[int(draw() * 7)], draw()
    prefix = words[brand][0].upper() + "ABCDEFGHJKLMNPRSTUVWXYZ"[int(letters * 23)]
    if letters < 0.5:
        prefix += "ACDEGHKLMNPRSTVXZ"[int(draw() * 17)]
    suffix = pick(("", "", "", "A", "B", "S", "X", "NA", "UK", "PRO"), draw)
    differing = draw()
    steps = len(SIZES[category.sizes[0]])
    if sibling:
        if category.coded and differing < 0.55:
            number += step * sibling
            if differing < 0.25:
                places[0] = (places[0] + sibling) % steps
        elif differing < 0.8:
            places[0] = (places[0] + sibling) % steps
            shade = (shade + sibling // steps) % len(category.shades)
            suffix = suffix if differing < 0.65 else f"{suffix}{sibling + 1}"
        else:
            shade = (shade + sibling) % len(category.shades)
            places[0] = (places[0] + sibling // len(category.shades)) % steps
        price *= 1 + 0.4 * sibling / size
    if category.coded and differing >= 0.8:
        suffix = VARIANTS[shade]
    model = f"{prefix}{'-' if letters * 10 % 1 < 0.4 else ''}{number}{suffix}" if category.coded else ""
    sizes = [(kind, SIZES[kind][place]) for kind, place in zip(category.sizes, places, strict=True)]
    return Product(words[brand], line, noun, model, qualities, sizes, category.shades[shade], price)


def row(product: Product, query: bool, strength: float, draw: Draw, done: list[str]) -> list[str | None]:
    """The product's values in the columns of its table; kinds of damage done on the way are added to `done`."""
    sizes = []
    for kind, amount in product.sizes:
        unit = usual_unit(kind, amount)
        if draw() < 0.7 * strength:
            other = other_unit(kind, amount, draw)
            if other != unit:
                unit = other
                done.append("unit")
        text = written(kind, amount, unit)
        if draw() < 0.5 * strength:
            text = text.replace(" ", "", 1)
            done.append("merge")
        sizes.append(text)
    model, price = product.model, product.price
    in_text = model
    if model and draw() < 0.45 * strength:
        in_text = ""
        done.append("drop")
    elif model and draw() < 0.3 * strength:
        in_text = model.replace("-", "") if "-" in model else f"{model[:2]} {model[2:]}"
        done.append("merge" if "-" in model else "number")
    if draw() < 1.6 * strength:
        price *= 1 + 0.3 * strength * (draw() - 0.5)
    cost = f"{price:.2f}" if draw() >= strength else f"{int(price)}.99"
    if cost != f"{product.price:.2f}":
        done.append("number")
    brand, line, noun = product.brand, product.line, product.noun
    if strength:
        if draw() < 0.5 * strength and (synonym := SYNONYMS.get(noun)):
            noun = synonym
            done.append("synonym")
        if draw() < 0.35 * strength:
            line = ""
            done.append("drop")
        if draw() < 0.4 * strength:
            brand = ""
            done.append("drop")
    details = [*product.qualities, *sizes, product.shade]
    if query:
        name = " ".join(word for word in (brand, line, noun) if word)
        return [f"{name} - {in_text}" if in_text else name, product.brand, ", ".join(details), cost]
    if strength:
        kept = [detail for detail in details if draw() > 0.35 * strength]
        done.extend(["drop"] * (len(details) - len(kept)))
        details = kept
    words = [brand, line, noun, in_text, *details]
    return [" ".join(word for word in words if word), product.brand, cost]
