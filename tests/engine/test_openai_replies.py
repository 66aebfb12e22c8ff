"""What the engine `openai` asks a server for, and what it reads from the replies."""

import json
import math

import pytest
from loopback_answers import answer, distribution
from loopback_server import Loopback
from openai_requests import asked, messages, no_variables, numbered, one, question  # noqa: F401

from distiller.config import DistillerError, identity
from distiller.engine.base import Request
from distiller.engine.openai import OpenAI


def listening(**fields):
    """A server, and the bodies it has seen."""
    seen = []

    def answers(body):
        seen.append(body)
        return answer(body)

    return Loopback(answers=answers, **fields), seen


SCHEMA = {
    "type": "object",
    "properties": {
        "explanation": {"type": "string"},
        "answer": {"type": "string", "enum": ["[0]", "[1]", "[2]"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
}


def test_a_request_is_sent_field_by_field():
    request = Request(
        messages=(("system", "be brief"), ("user", "[0] or [1]?")),
        max_tokens=33,
        temperature=0.7,
        sample=5,
        stop=("\n", "Q:"),
    )
    server, seen = listening()
    with server:
        one(server, request, length_field="max_completion_tokens", extra_body={"reasoning_effort": "low"})
        one(server, request, seed=False)
    shared = {"model": "loopback", "messages": messages(request), "temperature": 0.7, "stop": ["\n", "Q:"]}
    assert seen == [
        {**shared, "max_completion_tokens": 33, "seed": 5, "reasoning_effort": "low"},
        {**shared, "max_tokens": 33},
    ]


def test_structured_output_is_asked_for_in_the_way_the_server_understands():
    schema, options = json.dumps(SCHEMA), ("[0]", "[2]")
    server, seen = listening()
    with server:
        for structured in ("json_schema", "choice"):
            reply = json.loads(one(server, question(1, schema=schema), structured=structured).text)
            assert sorted(reply) == ["answer", "confidence", "explanation"]
            assert reply["answer"] in ("[0]", "[1]", "[2]")
            assert 0 <= reply["confidence"] <= 1
            assert seen[-1]["response_format"]["json_schema"]["schema"] == SCHEMA
        for number in range(5):
            held = Request(messages=question(number, (7, 8)).messages, options=options)
            assert one(server, held, structured="choice").text in options
            assert seen[-1]["structured_outputs"] == {"choice": list(options)}
            assert one(server, held, structured="json_schema").text in ("[7]", "[8]")
        one(server, question(1, schema=schema), structured="none")
        assert not {"response_format", "structured_outputs"} & set(seen[-1])


def test_a_reply_that_is_cut_off_keeps_its_text():
    with Loopback(answers=lambda body: "because the names agree [1]") as server:
        reply = one(server, question(0, max_tokens=5))
        assert (reply.text, reply.finish, reply.tokens_out) == ("because the names", "length", 5)
        assert one(server, question(0, max_tokens=50)).finish == "stop"


def test_half_an_emoji_does_not_spoil_a_reply():
    with Loopback(answers=lambda body: "a\ud83d") as server:
        assert one(server, question(0)).text == "a?"


def refusing(message, parameter=None, code=None, when=lambda body: True):
    error = {"error": {"message": message, "param": parameter, "code": code}}
    return Loopback(refuses=lambda body: error if when(body) else None)


@pytest.mark.parametrize(
    ("message", "parameter", "code", "fields", "hint"),
    [
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
            {},
            "engine.length_field=max_completion_tokens",
        ),
        ("body.seed: Extra inputs are not permitted", None, None, {}, "engine.seed=false"),
        ("This model does not support response_format", None, None, {"schema": "{}"}, "engine.structured=none"),
        ("logprobs is not supported", None, None, {"mode": "score", "options": ("[0]",)}, "reply mode to generate"),
        ("Unsupported value", "temperature", "unsupported_value", {}, "engine.extra_body.temperature=1"),
    ],
)
def test_a_parameter_that_the_server_does_not_know_is_told_with_what_to_set(message, parameter, code, fields, hint):
    with refusing(message, parameter, code) as server:
        with pytest.raises(DistillerError, match="refuses a parameter") as told:
            asked(OpenAI(url=server.url, concurrency=2), numbered(100, **fields))
        assert len(server.log()) <= 2
    assert hint in str(told.value)


def test_a_prompt_that_is_too_long_is_a_failure_of_its_own():
    message = "This model's maximum context length is 4096 tokens, max_tokens 256 is not supported with 4000"
    with refusing(message, "max_tokens", when=lambda body: "query 3:" in body["messages"][0]["content"]) as server:
        replies = asked(OpenAI(url=server.url, concurrency=1), numbered(6))
    assert [number for number, reply in replies.items() if reply.error] == [3]
    assert "maximum context length is 4096" in replies[3].error


def test_where_and_how_fast_is_asked_does_not_change_what_a_reply_is():
    other = OpenAI(url="http://x/v1", key_variable="K", concurrency=1, timeout=1, attempts=1, patience=1, breaker=1)
    assert identity(other) == identity(OpenAI())
    assert identity(OpenAI(structured="none")) != identity(OpenAI())
    assert identity(OpenAI(extra_body={"a": 1})) != identity(OpenAI())


# ---- scores


OPTIONS = tuple(f"[{n}]" for n in range(11))


def scored(texts, cut=list, **fields):
    with Loopback(texts=lambda body: texts, cut=cut, **fields) as server:
        return one(server, question(0, mode="score", options=OPTIONS))


def test_scores_are_those_of_the_model_where_labels_have_several_tokens():
    texts = {"[1]": 0.5, "[10]": 0.3, "[2]": 0.1, "[7]": 0.06, "I think": 0.04}
    reply = scored(texts)
    assert reply.text is None
    assert reply.finish == "stop"
    assert reply.tokens_in > 0
    got = {option: math.exp(score) for option, score in zip(OPTIONS, reply.scores, strict=True)}
    for option in ("[1]", "[10]", "[2]", "[7]"):
        assert got[option] == pytest.approx(texts[option], rel=1e-5)
    assert sum(got.values()) <= 1 + 1e-9
    assert max(got[o] for o in OPTIONS if o not in texts) < 0.04


def test_labels_that_share_a_token_off_the_path_share_its_probability():
    reply = scored({"[2]": 0.6, "[1]": 0.3, "[10]": 0.1})
    assert [math.exp(reply.scores[n]) for n in (2, 1, 10)] == pytest.approx([0.6, 0.2, 0.2], rel=1e-5)


def test_scores_agree_with_the_distribution_where_each_label_is_one_token():
    with Loopback(cut=lambda text: [text]) as server:
        for number in range(10):
            request = question(number, range(11), mode="score", options=OPTIONS)
            known = distribution({"messages": messages(request)})
            scores = one(server, request).scores
            assert [math.exp(s) for s in scores] == pytest.approx([known[o] for o in OPTIONS], rel=1e-5)


@pytest.mark.parametrize(
    ("texts", "fields", "found"),
    [
        ({"[1]": 1.0}, {"logprobs": False}, "no log-probabilities"),
        ({"The best candidate": 0.9, "[": 0.1}, {}, "none of the options"),
    ],
)
def test_where_no_scores_can_be_had_the_failure_says_what_to_do(texts, fields, found):
    reply = scored(texts, **fields)
    assert reply.scores is None
    assert found in reply.error
    assert "reply mode to generate" in reply.error
