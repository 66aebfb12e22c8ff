"""What the loopback server answers, by rules that follow from the request alone."""

import hashlib
import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

Body = dict[str, Any]
END = "<|end|>"


def digest(value: Any) -> str:
    """Hash of any JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def options_of(body: Body) -> list[str]:
    """Possible answers: the choice that is asked for, else `[n]` for all such numbers in the prompt."""
    choice = body.get("structured_outputs", {}).get("choice")
    numbers = re.findall(r"\[(\d+)\]", json.dumps(body["messages"]))
    return list(choice or [f"[{n}]" for n in sorted(set(map(int, numbers)))] or ["[0]"])


def answer(body: Body) -> str:
    """The rule that answers: the hash of the messages decides, also how a schema is filled."""
    draw = random.Random(digest(body["messages"]))
    asked = body.get("response_format", {}).get("json_schema", {}).get("schema")
    if asked is None:
        return draw.choice(options_of(body))
    return json.dumps(filled(asked, draw, [int(n) for n in re.findall(r"\d+", " ".join(options_of(body)))]))


def filled(schema: Body, draw: random.Random, numbers: list[int]) -> Any:
    """Some value that a JSON schema allows; whole numbers without bounds come from `numbers`."""
    if "const" in schema:
        return schema["const"]
    for several in ("enum", "anyOf", "oneOf"):
        if several in schema:
            chosen = draw.choice(schema[several])
            return chosen if several == "enum" else filled(chosen, draw, numbers)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    low, high = schema.get("minimum"), schema.get("maximum")
    if kind == "object":
        return {name: filled(inner, draw, numbers) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [filled(schema["items"], draw, numbers) for _ in range(schema.get("minItems", 1))]
    if kind == "integer":
        return draw.choice(numbers) if high is None else draw.randint(low or 0, high)
    if kind == "number":
        return round(draw.uniform(low or 0.0, 1.0 if high is None else high), 3)
    return draw.random() < 0.5 if kind == "boolean" else f"the names agree in {draw.randint(1, 9)} words"


def distribution(body: Body) -> dict[str, float]:
    """Probability of each text the model could reply, by hash."""
    draw = random.Random(digest(body["messages"]))
    weights = [math.exp(draw.gauss(0, 2)) for _ in options_of(body)]
    return {option: weight / sum(weights) for option, weight in zip(options_of(body), weights, strict=True)}


def pieces(text: str) -> list[str]:
    """The tokens of a text: words, digits, signs."""
    return re.findall(r"[^\W\d]+|\d|\s+|.", text)


def emitted(texts: dict[str, float], cut: Callable[[str], list[str]], top: int, longest: int) -> list[Body]:
    """`logprobs.content` of greedy decoding from a distribution over whole texts."""
    sequences = [([*cut(text), END], p) for text, p in texts.items()]
    content: list[Body] = []
    while len(content) < longest:
        following: Counter[str] = Counter()
        for tokens, p in sequences:
            following[tokens[len(content)]] += p
        logs = {token: math.log(p / following.total()) for token, p in following.items()}
        chosen = max(logs, key=lambda token: logs[token])
        if chosen == END:
            break
        listed = sorted(logs.items(), key=lambda entry: -entry[1])[:top]
        alternatives = [{"token": token, "logprob": value, "bytes": None} for token, value in listed]
        content.append({"token": chosen, "logprob": logs[chosen], "bytes": None, "top_logprobs": alternatives})
        sequences = [(tokens, p) for tokens, p in sequences if tokens[len(content) - 1] == chosen]
    return content
