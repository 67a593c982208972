from __future__ import annotations

import importlib
import inspect
import pkgutil

import penstock
import penstock.login
import pytest
from penstock import aio, client


@pytest.mark.parametrize("package", [penstock, aio, penstock.login])
def test_all_and_what_is_exported_agree(package: object) -> None:
    names = getattr(package, "__all__")  # noqa: B009 - modules have no typed `__all__`

    assert sorted(set(names)) == sorted(names)
    assert [name for name in names if not hasattr(package, name)] == []


def test_every_public_class_stands_in_all() -> None:
    modules = [importlib.import_module(f"penstock.{name}") for name in ("errors", "decisions", "credentials")]
    public = {
        name
        for module in modules
        for name, member in vars(module).items()
        if inspect.isclass(member) and member.__module__ == module.__name__ and not name.startswith("_")
    }

    assert public - set(penstock.__all__) == set()


def test_every_error_derives_from_one_base() -> None:
    modules = (penstock.errors, penstock.login)
    classes = [member for module in modules for member in vars(module).values() if inspect.isclass(member)]
    raised = [each for each in classes if issubclass(each, BaseException)]

    assert raised
    assert [each for each in raised if not issubclass(each, penstock.PenstockError)] == []


def _shape(function: object) -> list[tuple[str, object, object, object]]:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]  # it is a function
    return [(each.name, each.kind, each.default, each.annotation) for each in parameters if each.name != "self"]


@pytest.mark.parametrize(("waits", "awaits"), [(client.Broker, aio.Broker), (client.Result, aio.Result)])
def test_both_clients_have_the_same_methods_with_the_same_parameters(waits: type, awaits: type) -> None:
    methods = {name: each for name, each in vars(awaits).items() if inspect.isfunction(each) and name[0] != "_"}

    assert methods
    assert {name: _shape(vars(waits)[name]) for name in methods} == {
        name: _shape(method) for name, method in methods.items()
    }


def test_both_ways_to_connect_have_the_same_parameters() -> None:
    assert _shape(client.connect) == _shape(aio.connect)


def test_every_module_of_the_client_says_what_it_is() -> None:
    names = [each.name for each in pkgutil.walk_packages(penstock.__path__, "penstock.") if ".v1" not in each.name]
    modules = [importlib.import_module(name) for name in names]

    assert [module.__name__ for module in modules if not module.__doc__] == []
