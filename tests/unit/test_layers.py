"""No module imports itself by way of others; which room imports which is `make check`'s."""

import grimp
import pytest


def circles(imports):
    """Sets of modules that reach each other; ``imports``: module -> what it imports."""
    reached = {}
    for module in imports:
        seen, left = set(), [module]
        while left:
            new = set(imports.get(left.pop(), ())) - seen
            seen |= new
            left += new
        reached[module] = seen
    return {
        frozenset(other for other in reached[module] if module in reached.get(other, ()))
        for module in imports
        if module in reached[module]
    }


@pytest.mark.parametrize(
    ("imports", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, set()),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, {frozenset("bc")}),
    ],
)
def test_circles_are_seen(imports, found):
    """What the next test looks for."""
    assert circles(imports) == found


def test_modules_import_in_no_circle():
    """Imports in functions and for type checkers count: they bind modules as much as others do."""
    graph = grimp.build_graph("blindspot", exclude_type_checking_imports=False, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert circles(imports) == set()


def test_a_run_knows_neither_pytest_nor_its_session():
    """From the plan to the record values go in and values come out."""
    graph = grimp.build_graph("blindspot", include_external_packages=True, cache_dir=None)
    rooms = ("stimuli", "answers", "estimates", "measurements", "models", "store", "run", "gates")
    steps = [
        name
        for name in graph.modules
        if name.startswith(tuple(f"blindspot.{room}" for room in (*rooms, "baselines")))
        and name != "blindspot.baselines.acceptance"
    ]
    for step in (*steps, "blindspot.session.execution"):
        imported = graph.find_modules_directly_imported_by(step)
        assert not imported & {"pytest", "syrupy", "blindspot.session.session"}, step
