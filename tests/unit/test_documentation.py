"""What the documentation says is there, and what is there is documented."""

import re
import tomllib

import pytest

from blindspot.gates.verdict import ExitCode
from blindspot.report.files import CARD, PAGE, REPORT, SAMPLES, SCORES
from blindspot.session.options import flags
from blindspot.stimuli import load_stimuli, transformations_of, undescribed
from tests.unit.suite_runs import ROOT, run_suite

SUITE = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["testpaths"]
REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_every_option_is_documented():
    """Each flag of the plugin has a row in the reference, and each row is a flag."""
    rows = set(re.findall(r"^\| `(--[a-z-]+)", REFERENCE, re.MULTILINE))
    assert rows == {*flags(), "--snapshot-update", "--strict"}  # syrupy's and pytest's own


def test_every_exit_code_is_documented():
    """Each exit code has a row."""
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \|", REFERENCE, re.MULTILINE), code


def test_every_gate_test_is_documented():
    """Each test function of the suite is named in the reference."""
    for path in [file for name in SUITE for file in (ROOT / name).glob("test_*.py")]:
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE):
            assert f"`{name}`" in REFERENCE


def test_every_file_of_a_run_is_documented():
    """Each file that --output-path writes has a row in the page on reports."""
    rows = re.findall(r"^\| `([\w.-]+)`", (ROOT / "docs" / "reports.md").read_text("utf-8"), re.M)
    assert set(rows) == {REPORT, SAMPLES, SCORES, PAGE, CARD}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    """Relative links of the documentation exist."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def anchors(page):
    """The headings of a page as GitHub writes them in links."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_sections_lead_to_headings(page):
    """A link to a section names a heading of the page that it leads to."""
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", page.read_text("utf-8")):
        if "://" not in target:
            assert anchor in anchors(page.parent / target if target else page), (target, anchor)


def test_documented_stimuli_are_accepted(tmp_path):
    """The TOML examples are valid files."""
    text = (ROOT / "docs" / "adding-stimuli.md").read_text("utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert examples
    for number, example in enumerate(examples):
        tomllib.loads(example)
        (tmp_path / f"{number}.toml").write_text(example)
    stimuli = load_stimuli([tmp_path])
    assert "trade" in stimuli.axes
    assert undescribed(stimuli) == []


@pytest.mark.slow
def test_the_documented_german_file_gets_both_halves(tmp_path):
    """Copied from the tutorial, and nothing beside it: asked, and looked into."""
    text = (ROOT / "docs" / "adding-stimuli.md").read_text("utf-8")
    (whole,) = re.findall(r"```toml\n([^`]*language = \"de\"[^`]*)```", text)
    own = tmp_path / "own"
    own.mkdir()
    (own / "berufe.toml").write_text(whole, "utf-8")
    run = run_suite(
        tmp_path,
        *("--include-path", str(own), "--axis", "berufe", "--fraction", "all"),
        *("-k", "default and (overall or category)"),
        model="organism:aware",
        paths=("tests/implicit", "tests/explicit", "tests/mechanistic/test_probing.py"),
    )
    assert run.code in (10, 11, 12), run.out + run.err  # the model knows no German
    measured = {gate["measurement"] for gate in run.gates.values()}
    assert measured == {"implicit", "explicit", "probing"}
    assert "de-zettel" in {sample.get("wording") for sample in run.samples}
    assert "error" not in {gate["verdict"] for gate in run.gates.values()}


def test_documented_transformations_and_cases_are_accepted(tmp_path):
    """The TOML examples of the search are valid files, beside ours."""
    text = (ROOT / "docs" / "search.md").read_text("utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    for number, example in enumerate(examples):
        (tmp_path / f"{number}.toml").write_text(example)
    stimuli = load_stimuli([tmp_path])
    assert "good-morning" in {one.id for one in transformations_of(stimuli, "race")}
    assert list(stimuli.promoted) == ["race-default-weapons-by-hand"]


def test_nothing_speaks_of_a_workplace():
    """No page or source has an absolute path of a machine."""
    for path in [*PAGES, *(ROOT / "src").rglob("*.py")]:
        assert not re.search(r"(?<![\w.])/(?:home|root|work|tmp)/", path.read_text("utf-8")), path
