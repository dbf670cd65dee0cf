"""Whether a pytest session runs gates, determined before conftests are loaded; and its root.

Once installed, the plugin is loaded in every pytest session of an environment. It takes part only
in those that ask for it and is invisible in all others: no flag, no marker, no session hook.

pytest determines its root directory and configuration before it knows the options of plugins: in
``pytest --model /data/llama`` it takes ``/data/llama`` for a test path, looks for configuration
there, finds none, and collects everything below the current directory. This module first removes
our flags and their values from the command line, then determines the root with pytest's own
function.
"""

from __future__ import annotations

import argparse
import copy
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NoReturn

import pytest

from blindspot.paths import INSTALLED, SUITE
from blindspot.session.commands import in_package
from blindspot.session.options import TABLE, Kind, flags
from blindspot.session.parser import add_options, added

PLUGIN = "blindspot.plugin"
#: The configuration key that enables the plugin.
KEY = "blindspot"
REMEDY = (
    "blindspot is not part of this session. Name its tests (--pyargs blindspot.suite), or set "
    f"'{KEY} = true' in pytest's configuration"
)
#: What pytest determines together with its root.
_SETTLED = ("_rootpath", "_inipath", "_inicfg", "_ignored_config_files", "known_args_namespace")


@contextmanager
def joined(config: pytest.Config, parser: pytest.Parser, args: list[str]) -> Iterator[None]:
    """Around loading the first conftests: determine the root before, add the flags after.

    After, because argparse refuses a second option of the same name: a project keeps the flags of
    its conftest.

    Raises:
        pytest.UsageError: one of our flags in a session without the plugin.
    """
    asked = _settle(config, args) or is_named_by_a_conftest(config.pluginmanager)
    yield
    if not added(config) and (asked or is_named_by_a_conftest(config.pluginmanager)):
        add_options(config, parser)
    if not added(config):
        _refuse_flags(parser, args)


def _settle(config: pytest.Config, args: list[str]) -> bool:
    """Whether the session asks for the plugin; then root and configuration are determined again."""
    rest = _without_flags(args)
    before = {name: getattr(config, name) for name in _SETTLED}
    if rest != args:
        _settle_root(config, rest)
        if config.rootpath != before["_rootpath"]:
            _refuse_other_checkout(before["_rootpath"])
    asked = _asks(config)
    if not asked:
        for name, value in before.items():
            setattr(config, name, value)
        config._inicache.clear()
    elif before["_inipath"] != config.inipath:
        _take_settings(config, args)
    return asked


def _without_flags(args: list[str]) -> list[str]:
    """The command line without our flags and their values."""
    ours = flags()
    if not any(arg.split("=", 1)[0] in ours for arg in args):
        return args
    parser = _Parser(add_help=False, allow_abbrev=False)
    for flag, name in ours.items():
        row = TABLE.get(name)
        takes = row is not None and row.kind not in (Kind.SWITCH, Kind.TOGGLE)
        parser.add_argument(flag, action="store" if takes else "store_true")
    try:
        return parser.parse_known_args(args)[1]
    except ValueError:
        return args  # pytest reports it


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _settle_root(config: pytest.Config, rest: list[str]) -> None:
    """Determine root directory and configuration for the command line ``rest``.

    Raises:
        pytest.UsageError: this version of pytest does not allow it; says how to write the option.
    """
    try:
        from _pytest.config.findpaths import determine_setup

        known = config._parser.parse_known_args(rest, namespace=copy.copy(config.option))
        known.confcutdir = known.confcutdir or None
        root, ini, settings, ignored = determine_setup(
            inifile=known.inifilename,
            override_ini=known.override_ini,
            args=known.file_or_dir,
            rootdir_cmd_arg=known.rootdir or None,
            invocation_dir=config.invocation_params.dir,
        )
        if known.confcutdir is None:
            known.confcutdir = str(ini.parent if ini else root)
        config.known_args_namespace = known
        config._rootpath, config._inipath = root, ini
        config._inicfg, config._ignored_config_files = settings, ignored
        config._inicache.clear()
    except (ImportError, AttributeError, TypeError):
        raise pytest.UsageError(
            "pytest took the directory of an option for a test path; write the option with an "
            "equals sign, such as --model=DIR"
        ) from None


def refuse_misled(config: pytest.Config) -> None:
    """In a session whose conftest loads the plugin: refuse a root that an option has chosen.

    Raises:
        pytest.UsageError: see `_refuse_other_checkout`.
    """
    args, root = [*map(str, config.invocation_params.args)], config.rootpath
    rest = _without_flags(args)
    if rest == args:
        return
    before = {name: getattr(config, name) for name in _SETTLED}
    _settle_root(config, rest)
    misled = config.rootpath != root
    for name, value in before.items():
        setattr(config, name, value)
    config._inicache.clear()
    if misled:
        _refuse_other_checkout(root)


def _refuse_other_checkout(root: Path) -> None:
    """Refuse to run the code of a checkout that pytest found at the directory of an option.

    ``--model /other/checkout/model`` makes ``/other/checkout`` pytest's root for a moment, and its
    ``pythonpath`` puts that checkout's code first. ``root``: what pytest took for its root.

    Raises:
        pytest.UsageError: this is that code; says how to write the option.
    """
    source = Path(__file__).resolve().parents[2]
    if not source.is_relative_to(root):
        return
    path = list(sys.path)
    first = next((entry for entry in path if Path(entry).resolve() == source), None)
    if first is not None:
        path.remove(first)  # it may stand there a second time, for itself
    found = PathFinder.find_spec("blindspot", path)
    if found is None or source != Path(found.origin or "").resolve().parents[1]:
        raise pytest.UsageError(
            f"the directory of an option lies in {root}, another checkout of blindspot, which "
            "pytest took for the project; write the option with an equals sign, such as --model=DIR"
        )


def _take_settings(config: pytest.Config, args: list[str]) -> None:
    """Read from a configuration that was found late what pytest reads when it finds one."""
    options = config.getini("addopts")
    config.pluginmanager.consider_preparse(options)
    environment = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    args[:] = [*options, *environment, *map(str, config.invocation_params.args)]
    rest, cut = _without_flags(args), config.known_args_namespace.confcutdir
    config.known_args_namespace = config._parser.parse_known_args(
        rest, namespace=copy.copy(config.option)
    )
    config.known_args_namespace.confcutdir = config.known_args_namespace.confcutdir or cut
    config._configure_python_path()


def _asks(config: pytest.Config) -> bool:
    """Whether the command line, the directory or the configuration asks for the plugin."""
    known, here = config.known_args_namespace, config.invocation_params.dir
    named = (*known.plugins, *os.environ.get("PYTEST_PLUGINS", "").split(","))
    return (
        bool(config.getini(KEY))
        or PLUGIN in (name.strip() for name in named)
        or (not INSTALLED and (config.rootpath == SUITE or here.is_relative_to(SUITE)))
        or any(_is_of_suite(arg, here, pyargs=known.pyargs) for arg in known.file_or_dir)
    )


def _is_of_suite(arg: str, here: Path, *, pyargs: bool) -> bool:
    """Whether an argument names our tests: a path, or with ``--pyargs`` a package."""
    name = arg.split("::", 1)[0]
    if pyargs and in_package(name):
        return True
    try:
        return Path(here, name).resolve().is_relative_to(SUITE)
    except (OSError, RuntimeError, ValueError):
        return False  # cannot be examined: not a test of ours


def is_named_by_a_conftest(plugins: pytest.PytestPluginManager) -> bool:
    """Whether a conftest or another plugin names ours in its ``pytest_plugins``."""
    for plugin in plugins.get_plugins():
        named: Any = getattr(plugin, "pytest_plugins", None)
        if named == PLUGIN or (isinstance(named, (list, tuple, set)) and PLUGIN in named):
            return True
    return False


def _refuse_flags(parser: pytest.Parser, args: list[str]) -> None:
    """Say where our flags work, instead of "unrecognized arguments"."""
    ours = flags()
    if any(arg.split("=", 1)[0] in ours for arg in args):
        _, unknown = parser.parse_known_and_unknown_args(args)
        for arg in unknown:
            if (flag := arg.split("=", 1)[0]) in ours:
                raise pytest.UsageError(f"{flag}: {REMEDY}")
