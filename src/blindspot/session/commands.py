"""What a test is called in reports, and the commands that run it again."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

from blindspot.paths import INSTALLED, SUITE
from blindspot.session.options import Options

#: The package of the suite in a wheel, as ``--pyargs`` names it.
PACKAGE = "blindspot.suite"


def given_paths(config: pytest.Config) -> tuple[str, ...]:
    """The tests named on the command line, verbatim; none if it names none."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return ()
    return (*(("--pyargs",) if config.option.pyargs else ()), *config.args)


def in_package(arg: str) -> bool:
    """Whether an argument after ``--pyargs`` names the suite of a wheel, or a part of it."""
    return arg.split("::", 1)[0].split(".")[:2] == PACKAGE.split(".")


def names_suite(config: pytest.Config) -> bool:
    """Whether the command line names the suite of a wheel, or a part of it."""
    return config.option.pyargs and any(map(in_package, config.args))


def all_tests(config: pytest.Config) -> tuple[str, ...]:
    """The argument that names all tests of the suite, of which this session runs all or some."""
    if names_suite(config):
        return ("--pyargs", PACKAGE)
    return () if config.invocation_params.dir == config.rootpath else given_paths(config)


def names_all(config: pytest.Config) -> bool:
    """Whether the command line includes every file of the suite: then a missing test is gone."""
    args, option = config.args, config.option
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS or args == [PACKAGE]
    left_out = option.ignore or option.ignore_glob or getattr(option, "lf", False)
    return whole and not left_out


def test_name(report: pytest.TestReport, root: Path) -> str:
    """The id of a test as in a checkout: ``tests/implicit/test_association.py::test_x[...]``.

    With ``--pyargs`` pytest's own id begins after the argument and may lack the file.
    """
    file = _file_of_suite(root, report.location[0])
    return f"{file}::{report.nodeid.split('::', 1)[-1]}" if file else report.nodeid


@lru_cache(maxsize=1024)
def _file_of_suite(root: Path, location: str) -> str:
    """A file as in a checkout, "" if it is not in the suite; called three times per test."""
    file = (root / location).resolve()
    return file.relative_to(SUITE).as_posix() if file.is_relative_to(SUITE) else ""


def one_test(config: pytest.Config, name: str) -> tuple[str, ...]:
    """The argument that selects the test of this name alone."""
    file, rest = name.split("::", 1)
    ours = (SUITE / file).exists()
    if ours and INSTALLED:
        module = ".".join(Path(file).with_suffix("").parts)
        return ("--pyargs", f"{PACKAGE}.{module}::{rest}")
    path = os.path.relpath(
        (SUITE if ours else config.rootpath) / file, config.invocation_params.dir
    )
    return (f"{path}::{rest}",)


@dataclass(frozen=True)
class Commands:
    """The commands that a run prints."""

    config: pytest.Config
    options: Options

    @property
    def ask(self) -> str:
        """The command that repeats this run; followed by a test's id, it reruns that test."""
        return self._rerun()

    @property
    def accept(self) -> str:
        """The command that accepts the candidate as a baseline."""
        words = (*self.options.conditions, *all_tests(self.config), "--snapshot-update")
        return shlex.join(["pytest", *words])

    @property
    def rerun(self) -> str:
        """The command that reruns all that did not pass."""
        return self._rerun(*given_paths(self.config), "--lf")

    def rerun_one(self, name: str) -> str:
        """The command that reruns the test of this name."""
        return self._rerun(*one_test(self.config, name))

    def _rerun(self, *words: str) -> str:
        return shlex.join(["pytest", *self.options.selection, *words])
