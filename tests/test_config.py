"""A configuration is built whole or refused with one line per fault."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import pytest
from conformance import built, composed
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from pydantic import Field, ValidationError

from distiller.config import (
    Component,
    ConfigurationError,
    build,
    component,
    declares,
    identity,
    nearest,
    part,
    runtime,
    uses_gold,
)


@component
class Lamp(Component):
    """A part."""

    watts: Annotated[int, Field(ge=1, le=100)] = 40
    colour: str = "white"
    port: int = runtime(80)


@component
class House(Component):
    """A component with parts."""

    lamp: Lamp = part()
    others: dict[str, Lamp] = part()
    rooms: list[Lamp] = part()
    size: float = 1.0


@component
class Seer(Component):
    """A part that reads gold and features."""

    USES_GOLD = True
    USES_FEATURES = True


@component
class Tower(Component):
    """Holds a part that may read gold."""

    top: Component = part()
    more: dict[str, Component] = part()


HERE = __name__


def lamp(**fields: Any) -> dict[str, Any]:
    return {"_target_": f"{HERE}.Lamp", **fields}


def house(**fields: Any) -> dict[str, Any]:
    return {"_target_": f"{HERE}.House", "lamp": lamp(), "others": {"a": lamp()}, "rooms": [lamp()], **fields}


def faults(config: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        build(OmegaConf.create(config))
    lines = str(raised.value).splitlines()
    assert lines == ["invalid configuration", *(f"  {fault}" for fault in raised.value.faults)]
    return raised.value.faults


def test_a_yaml_is_a_constructor_call() -> None:
    got = build(OmegaConf.create(house(lamp=lamp(watts=60), others={"x": lamp(colour="red")}, size=2)))
    assert got == House(lamp=Lamp(watts=60), others={"x": Lamp(colour="red")}, rooms=[Lamp()], size=2.0)


def test_components_are_frozen_and_take_no_unknown_field() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Lamp().watts = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="bulbs"):
        Lamp(bulbs=3)  # type: ignore[call-arg]


def test_all_faults_are_told_at_once_by_the_keys_of_the_command_line() -> None:
    config = house(
        lamp=lamp(watts=0, color="red"),
        others={"a": lamp(watts="many"), "b": lamp(watts=101)},
        rooms=[lamp(), lamp(port="?")],
        sise=3,
    )
    assert faults(config) == [
        "lamp.color: Lamp has no such field; did you mean 'colour'?",
        "lamp.watts: must be greater than or equal to 1, got 0",
        "others.a.watts: must be a valid integer, unable to parse string as an integer, got 'many'",
        "others.b.watts: must be less than or equal to 100, got 101",
        "rooms[1].port: must be a valid integer, unable to parse string as an integer, got '?'",
        "sise: House has no such field; did you mean 'size'?",
    ]


def test_a_part_of_another_class_is_named_with_the_class_it_should_have() -> None:
    (fault,) = faults(house(lamp=house()))
    assert fault == "lamp: needs a Lamp of distiller.lamp, got House"


def test_mandatory_values_are_asked_for_once_each() -> None:
    assert faults(house(lamp=lamp(watts="???", colour="???"))) == [
        "lamp.watts: must be set, it has no default",
        "lamp.colour: must be set, it has no default",
    ]


@pytest.mark.parametrize("target", ["nowhere.Lamp", f"{HERE}.Lampp", "Lamp", ""])
def test_a_target_that_cannot_be_imported_is_a_fault(target: str) -> None:
    (fault,) = faults({"a": {"_target_": target}})
    assert fault.startswith("a._target_: cannot import ")
    assert repr(target) in fault


def test_an_interpolation_that_leads_nowhere_is_a_fault() -> None:
    (fault,) = faults(house(size="${nowhere}"))
    assert "nowhere" in fault


def test_identity_leaves_out_what_only_changes_speed_also_in_parts() -> None:
    one = House(lamp=Lamp(), others={"a": Lamp()}, rooms=[Lamp()])
    two = House(lamp=Lamp(port=1), others={"a": Lamp(port=2)}, rooms=[Lamp(port=3)])
    assert identity(one) == identity(two)
    assert "port" not in str(identity(one))
    assert identity(House(lamp=Lamp(), others={"b": Lamp()}, rooms=[Lamp()])) != identity(one)


def test_gold_and_features_are_declared_by_the_whole_if_by_any_part() -> None:
    plain, seer = Lamp(), Seer()
    assert not uses_gold(Tower(top=plain, more={}))
    assert uses_gold(Tower(top=seer, more={}))
    assert uses_gold(Tower(top=plain, more={"x": Tower(top=plain, more={"y": seer})}))
    assert declares(Tower(top=seer, more={}), "USES_FEATURES")


@given(st.text(max_size=8), st.lists(st.text(min_size=1, max_size=6), max_size=5))
def test_the_hint_names_only_known_words(word: str, known: list[str]) -> None:
    hint = nearest(word, known)
    assert hint.startswith(("; did you mean ", "; known: "))
    if hint.startswith("; did you mean "):
        assert hint in {f"; did you mean {each!r}?" for each in known}
    else:
        assert all(each in hint for each in known)


def test_the_hint_for_a_mistyped_word_is_the_word() -> None:
    assert nearest("budgt", ["seed", "budget"]) == "; did you mean 'budget'?"
    assert nearest("xyz", ["seed", "budget"]) == "; known: budget, seed"
    assert nearest("xyz", []) == "; known: none"


def test_the_main_configuration_is_built_with_a_component_for_every_stage() -> None:
    experiment = built()
    for field in dataclasses.fields(experiment):
        if field.name not in ("seed", "threads", "until", "objective"):
            assert isinstance(getattr(experiment, field.name), Component), field.name
    assert experiment.store.root == Path("outputs/store")


def test_the_seed_of_the_run_is_the_seed_of_every_part_that_draws() -> None:
    experiment = built("seed=7", "selector=random")
    seeds = {
        f"{field.name}": part.seed
        for field in dataclasses.fields(experiment)
        if isinstance(part := getattr(experiment, field.name), Component) and hasattr(part, "seed")
    }
    assert set(seeds.values()) == {7}
    assert {"dataset", "selector", "student"} <= seeds.keys()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("selector.budget=0", "selector.budget: must be a fraction in (0, 1]"),
        ("selector.budget=1.5", "selector.budget: must be a fraction in (0, 1]"),
        ("selector.budget=true", "selector.budget: must be a fraction in (0, 1]"),
        ("selector.budget=0 seed=text", "seed: must be a valid integer"),
        ("threads=0", "threads: must be greater than or equal to 1, got 0"),
        (
            "until=train",
            "until: must be 'config', 'block', 'select', 'forecast', 'elicit', 'distil', 'predict' or 'score'",
        ),
        ("trainer.precision=8", "trainer.precision: must be '32-true'"),
        ("student.members=0", "student.members: must be greater than or equal to"),
        ("blocker.direction=both", "blocker.direction: must be "),
        ("trainer.max_steps=-1", "trainer.max_steps: must be greater than or equal to 1, got -1"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_key_also_among_others(override: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        build(composed(*override.split()))
    lines = str(raised.value).splitlines()
    assert any(line.startswith(f"  {said}") for line in lines), lines
