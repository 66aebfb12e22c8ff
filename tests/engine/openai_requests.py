"""Requests of the tests of the engine `openai`, and how they are asked."""

import os

import pytest

from distiller.engine.base import Request
from distiller.engine.openai import OpenAI


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """No key, address or proxy from outside."""
    for name in list(os.environ):
        if name.startswith("OPENAI_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def question(number, shown=(0, 1, 2, 10), **fields):
    """A prompt that shows these options."""
    return Request(messages=(("user", f"query {number}: {' '.join(f'[{n}]' for n in shown)}"),), **fields)


def messages(request):
    """The messages as the server sees them."""
    return [{"role": role, "content": text} for role, text in request.messages]


def numbered(count, **fields):
    """That many different questions, made when they are pulled."""
    return ((number, question(number, **fields)) for number in range(count))


def asked(engine, requests, model="loopback"):
    """All replies, {number: reply}; no number may come twice."""
    replies = {}
    with engine.open(model, None) as opened:
        for number, reply in opened.replies(requests):
            assert number not in replies
            replies[number] = reply
    return replies


def one(server, request, **fields):
    """The reply to one request."""
    return asked(OpenAI(url=server.url, **fields), [(0, request)])[0]
