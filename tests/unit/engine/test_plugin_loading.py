"""Rule 13f: only the plug-ins that the operator names are loaded, and what is none is refused with a sentence that says why."""

import dataclasses
import sys
from importlib.metadata import EntryPoint
from typing import Annotated

import msgspec
import pytest

from reconciler.engine.plugins import loading
from reconciler.engine.plugins.loading import PluginError, load_plugins, read_parameters, read_plugin
from reconciler.wiring import RESERVED


class Plain:
    def run(self, context): ...
    def rollback(self, context): ...


class Warm(Plain):
    class Parameters(msgspec.Struct, rename="camel"):
        site: Annotated[str, msgspec.Meta(min_length=1, description="whose cache")]
        max_pages: Annotated[int, msgspec.Meta(ge=1)] = 10
        paths: list[str] = []

    def sync(self, context): ...


def variant(base=Plain, **members):
    return type("Made", (base,), members)


@pytest.fixture
def installed(monkeypatch):
    """Entry points as if packages with them were installed; answers what was imported of them."""
    imported = []

    def install(**points):
        class Point(EntryPoint):
            def load(self):
                imported.append(self.name)
                return points[self.name]

        found = [Point(name, f"package:{name}", "reconciler.steps") for name in points]
        monkeypatch.setattr(loading, "entry_points", lambda group: found if group == "reconciler.steps" else [])
        return imported

    return install


def test_rule_13f_only_the_plug_ins_that_are_named_are_imported(installed):
    imported = installed(warm=Warm, cold=Plain, other=Plain)
    assert list(load_plugins(["warm", "cold", "warm"], RESERVED)) == ["warm", "cold"]
    assert imported == ["warm", "cold"]


def test_a_plug_in_that_is_not_installed_is_an_error_that_names_the_nearest_one(installed):
    installed(warm=Warm)
    with pytest.raises(PluginError, match=r"step plug-in wram is not installed; did you mean warm\? \(installed are warm\)"):
        load_plugins(["wram"], RESERVED)


def test_where_none_is_installed_the_error_says_so(installed):
    installed()
    with pytest.raises(PluginError, match="no package installed here has any"):
        load_plugins(["warm"], RESERVED)


@pytest.mark.parametrize("name", ["suspend", "apply-object", "webhook"])
def test_rule_13f_a_plug_in_never_replaces_a_built_in_step_type(installed, name):
    imported = installed(**{name: Plain})
    with pytest.raises(PluginError, match="built in"):
        load_plugins([name], RESERVED)
    assert imported == []


def test_two_packages_with_one_name_are_an_error(installed, monkeypatch):
    found = [EntryPoint("warm", value, "reconciler.steps") for value in ("one:Warm", "two:Warm")]
    monkeypatch.setattr(loading, "entry_points", lambda group: found)
    with pytest.raises(PluginError, match="several packages"):
        load_plugins(["warm"], RESERVED)


@pytest.mark.parametrize("error", [ImportError("no module numpyy"), SystemExit(3), ValueError("x\x1b[31my")])
def test_a_module_that_breaks_when_it_is_imported_is_an_error_on_one_line(monkeypatch, error):
    class Point(EntryPoint):
        def load(self):
            raise error

    monkeypatch.setattr(loading, "entry_points", lambda group: [Point("warm", "warm:Warm", "reconciler.steps")])
    with pytest.raises(PluginError, match=type(error).__name__) as caught:
        load_plugins(["warm"], RESERVED)
    assert str(caught.value).isprintable()


class Loud(msgspec.Struct):
    def __post_init__(self):
        sys.exit(1)


NO_PLUGINS = {
    "not a class": (Plain(), "Plain is not a class"),
    "no rollback": (type("Half", (), {"run": lambda self, context: None}), "no method rollback"),
    "sync is no method": (variant(sync=3), "sync"),
    "too patient": (variant(seconds=601), "seconds"),
    "not a number": (variant(seconds=float("nan")), "seconds"),
    "parameters of no kind": (variant(Parameters=dict), "msgspec Struct or a dataclass"),
    "parameters that run code": (variant(Parameters=Loud), "__post_init__"),
    "parameters that hold code": (variant(Parameters=msgspec.defstruct("P", [("inner", list[Loud])])), "__post_init__"),
    "parameters of a type of its own": (variant(Parameters=msgspec.defstruct("P", [("inner", Plain)])), "plain type"),
}


@pytest.mark.parametrize(("found", "said"), NO_PLUGINS.values(), ids=NO_PLUGINS)
def test_what_is_no_plug_in_is_refused_with_a_reason(found, said):
    with pytest.raises(PluginError, match=said):
        read_plugin("warm", found)


@pytest.mark.parametrize("name", ["", "-x", "a/b", "a b", "x" * 64])
def test_a_name_that_could_not_stand_in_a_manifest_is_refused(name):
    with pytest.raises(PluginError, match="a name is"):
        read_plugin(name, Plain)


def test_nothing_of_a_class_is_called_when_it_is_read():
    def refuse(*_):
        raise AssertionError("called")

    assert read_plugin("x", variant(__init__=refuse, run=refuse, rollback=refuse)).seconds == 60


def test_the_parameters_of_a_plug_in_are_known_by_the_names_that_manifests_use():
    step = read_plugin("warm", Warm).step
    assert step.params == {"site": "whose cache", "maxPages": "", "paths": ""}
    assert step.required == ("site",)


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({"site": ""}, "site"),
        ({"site": 3}, "site"),
        ({"maxPages": 0}, "maxPages"),
        ({"maxPages": "many"}, "maxPages"),
        ({"paths": ["a", 1]}, "paths[1]"),
    ],
)
def test_properties_are_checked_one_by_one_and_the_field_is_named(properties, field):
    assert [where for where, _ in read_plugin("warm", Warm).step.check(properties)] == [field]


def test_properties_that_inputs_bring_later_may_be_missing_when_the_manifest_is_read():
    assert read_plugin("warm", Warm).step.check({"maxPages": 5}) == []


def test_a_dataclass_will_do_for_parameters_and_numbers_may_be_written_as_text():
    @dataclasses.dataclass
    class Parameters:
        seconds: int

    plugin = read_plugin("x", variant(Parameters=Parameters))
    assert plugin.step.check({"seconds": "20"}) == []
    assert read_parameters(plugin, {"seconds": "20"}) == Parameters(20)


@pytest.mark.parametrize("properties", [{}, {"site": "a", "sight": "b"}, {"site": None}])
def test_parameters_that_do_not_hold_are_refused_before_the_call(properties):
    with pytest.raises(ValueError, match=r"site|sight"):
        read_parameters(read_plugin("warm", Warm), properties)


def test_a_plug_in_without_parameters_takes_none():
    plugin = read_plugin("plain", Plain)
    read_parameters(plugin, {})
    with pytest.raises(ValueError, match="not known"):
        read_parameters(plugin, {"a": 1})
