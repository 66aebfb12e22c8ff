"""What the tests of encoder students share: a small world, tiny encoders, and students taught once."""

import pytest
from student.encoder_world import ARCHITECTURES, School, World
from student.tiny_encoder import tiny_encoder


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory, world):
    folder = tmp_path_factory.mktemp("encoders")
    return {kind: str(tiny_encoder(folder / kind, kind, world.texts)) for kind in ARCHITECTURES}


@pytest.fixture(scope="session")
def school(tmp_path_factory, world):
    return School(tmp_path_factory.mktemp("taught"), world)
