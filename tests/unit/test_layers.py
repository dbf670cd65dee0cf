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
