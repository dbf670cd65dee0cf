"""A directory given to an option is not taken for the place of the tests."""

import pytest

from tests.unit.suite_runs import ROOT, run_here


@pytest.mark.parametrize("written", ["--model=DIR", "--model DIR", "--reference DIR"])
def test_model_directory_elsewhere_leaves_the_root(tmp_path, written):
    """Whichever way the option is written, the checkout's own tests and settings are used."""
    model = [part.replace("DIR", str(tmp_path)) for part in written.split()]
    _, out = run_here(ROOT, "--collect-only", "-q", "-k", "race-default-weapons", *model)
    assert "tests/implicit/test_association.py::test_category_association" in out
    assert "tests/unit" not in out  # which testpaths leaves out


@pytest.mark.parametrize("written", ["--model=DIR", "--model DIR"])
def test_other_suites_are_settled_too(tmp_path, written):
    """In another project the option does not move the root either; the model's files are not ours.

    A configuration in the model's directory is not read, and its addopts do not stay.
    """
    (tmp_path / "pytest.ini").write_text("[pytest]\nblindspot = true\naddopts = -q -q\n")
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n")
    elsewhere = tmp_path.parent / f"{tmp_path.name}-model"
    elsewhere.mkdir()
    (elsewhere / "pytest.ini").write_text("[pytest]\naddopts = --verbose --frobnicate\n")
    model = [part.replace("DIR", str(elsewhere)) for part in written.split()]
    code, out = run_here(tmp_path, "--collect-only", *model)
    assert code == 0, out
    assert out.strip() == "test_one.py: 1"
