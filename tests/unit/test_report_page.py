"""report.html: alone, readable, complete, and not to be deceived by what models write."""

import copy
import html
import re
import subprocess
import sys
import time
from html.parser import HTMLParser

import pytest

from blindspot.report.changes import changes
from blindspot.report.failures import MOST
from blindspot.report.page import page, write_page
from blindspot.report.schema import nothing_measured
from blindspot.report.sentences import summarized
from tests.unit.report_documents import HOSTILE, NAME, document
from tests.unit.report_parts import against

VOID = {"meta", "link", "wbr", "br"}


class Page(HTMLParser):
    """Elements, attributes and text of a page, and whether its elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], set(), [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def of(self, name):
        return [value for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture(scope="module")
def compared():
    """The page of a run with a baseline and a reference."""
    return page(document())


@pytest.fixture(scope="module")
def parsed(compared):
    return Page(compared)


def test_page_is_well_formed(parsed):
    """Every element is closed, ids are unique, and what refers to an id finds it."""
    assert parsed.open == []
    ids = parsed.of("id")
    assert len(ids) == len(set(ids))
    named = {name for value in parsed.of("aria-labelledby") for name in value.split()}
    links = {value[1:] for value in parsed.of("href") if value.startswith("#")}
    clips = set(re.findall(r"url\(#([^)]+)\)", "".join(parsed.of("clip-path"))))
    assert named | links | clips <= set(ids)
    assert len(links) > 10


def test_page_needs_nobody(compared, parsed):
    """No script, no form, nothing to load; and a policy that would forbid it."""
    assert not {"script", "form", "iframe", "img", "object", "video"} & parsed.tags
    assert all(value.startswith(("#", "data:,")) for value in parsed.of("href") + parsed.of("src"))
    assert not re.search(r"url\((?!#)|@import", compared)
    assert "default-src 'none'" in compared
    assert "http:" not in re.sub(r'xmlns="[^"]*"', "", compared)


def test_verdict_comes_first(parsed):
    """The heading says the verdict and the model, the lead how many gates fail."""
    text = " ".join(" ".join(parsed.text).split())
    text = text[text.index("Skip to the verdict") :].replace("What changed", "", 1)
    assert text.index(f"Failed {NAME}") < text.index("In plain words") < text.index("What changed")
    assert re.search(r"\d+ of \d+ gates fail; 1 would fail but is waived", text)
    assert "it associates the groups with the stereotypes" in text


def test_every_failure_has_its_command(compared):
    """Each gate that did not pass stands there with the command that runs it again."""
    made = document()
    told = html.unescape(compared)
    failed = [gate for gate in made["gates"] if gate["verdict"] == "fail"]
    assert len(failed) > 20
    for gate in failed:
        assert f"{made['command']} '{gate['test']}'" in told
    passed = next(gate for gate in made["gates"] if gate["verdict"] == "pass")
    assert f"{made['command']} '{passed['test']}'" not in told


def test_passing_run_names_no_failure():
    """Of a run that passes: no section of failures, no command but the one that accepts."""
    shown = page(document(value=0.1, compared=False))
    assert "Passed" in shown
    assert "What did not pass" not in shown
    assert "badge fail" not in shown
    assert "Regressions were not checked: there is no accepted baseline" in shown
    assert "--snapshot-update" in shown


def test_numbers_are_beside_their_charts(compared):
    """What a chart shows stands in a table too, with interval, limit and what was detectable."""
    row = re.search(r"<tr><th scope=\"row\">race-default-weapons</th>.*", compared)
    assert row
    section = compared[compared.index('id="levels"') : compared.index('id="beside"')]
    for told in ("+0.80", "+0.76 to +0.84", "0.20", "+0.27", "+0.50", "+0.02"):
        assert f"<td>{told}</td>" in section
    assert section.count("<svg") == 2


def test_signature_and_flips_are_told(parsed):
    """Against baseline and reference: the signature, counts of flips, both answers of each."""
    text = " ".join(" ".join(parsed.text).split())
    for name in ("org/previous", "org/base"):
        assert name in text
    assert text.count("↑ up") == 4
    assert "exact McNemar test" in text
    assert text.count("wallet - black, revolver - white") == 16
    assert text.count("wallet - white, revolver - black") == 16
    assert "Give each word a label." in text
    assert "race-blind gap" in text


def test_statistics_are_told(parsed):
    """Families, error rate, detectable effects, noise floor, waivers and provenance."""
    text = " ".join(" ".join(parsed.text).split())
    for told in (
        "probability of at most 5 %",
        "mechanistic",
        "with 80 % power",
        "the model against itself on 256",
        "known, to be fixed in the next release",
        "2027-01-31 (expired)",
        "378025271ba979c5",
        "fixtures/baselines/org--previous.json",
    ):
        assert told in text.replace("\N{NO-BREAK SPACE}", " "), told


def test_charts_take_their_colors_from_the_page(compared):
    """In charts no color is fixed, text is text, and title and description are read aloud."""
    charts = re.findall(r"<svg.*?</svg>", compared, re.DOTALL)
    assert len(charts) == 8
    for chart in charts:
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!\))", re.sub(r'href="#[^"]*"', "", chart))
        assert "font-family" not in chart
        assert '<title id="' in chart
        assert '<desc id="' in chart
    assert any(">weapons</text>" in chart for chart in charts)
    assert any("race-default-weapons" not in chart and ">ambiguous<" in chart for chart in charts)
    defined = set(re.findall(r"--([a-z-]+):", compared))
    assert set(re.findall(r"var\(--([a-z-]+)\)", compared)) <= defined


def test_points_say_their_values(compared):
    """Who points at a point of a chart is told whose it is, with its interval."""
    assert "<title>weapons, this model: +0.80 (+0.76 to +0.84)</title>" in compared


def test_unread_layers_are_veiled():
    """A layer on which no verdict rests is marked; where all are read none is."""
    made = document(variants=["default"], categories=["weapons"])
    veiled = page(made)
    made["mechanistic"][0]["layers"] = {"same-layer/overall": list(range(6))}
    assert "var(--veil)" in veiled[veiled.index("<main") :]
    assert "var(--veil)" not in page(made)[veiled.index("<main") :]


def test_hostile_text_is_text():
    """Names, answers and prompts become no markup, turn no line round and hide nothing."""
    shown = page(document(text=HOSTILE))
    found = Page(shown)
    assert found.open == []
    assert not {"script", "img", "a-b"} & found.tags
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    text = "".join(found.text)
    assert "<script>alert(1)</script>\"'&|`*\\u202egnp.\\x1b[31m\\ud800 \u05e9\u05dc" in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", shown)
    shown.encode("utf-8")
    known = Page(page(document()))
    assert found.tags == known.tags
    assert {name for _, name, _ in found.attributes} == {name for _, name, _ in known.attributes}


def test_dollar_signs_are_no_formulas():
    """A name with dollar signs is drawn as it is written."""
    shown = page(document(variants=["$x_1$"], categories=["a$b$c"]))
    assert ">a$b$c</text>" in shown
    assert "race \N{MIDDLE DOT} $x_1$</text>" in shown


def test_missing_figures_are_no_zeros():
    """What was not measured is a dash, in tables and charts; nothing becomes 0."""
    made = document(variants=["default"], categories=["weapons"], words=0, compared=False)
    for gate in made["gates"]:
        gate.update(value=None, low=None, high=None, p=None, adjusted=None, mde=None)
        gate.update(verdict="error", missing="no prompt was answered", waiver=None)
    for rows in made["effects"].values():
        for row in rows:
            for figure in row["effects"].values():
                figure.update(value=None, low=None, high=None, standard_error=None, reason="none")
    for assay in made["mechanistic"]:
        for curve in assay["curves"]:
            none = [None] * len(curve["at"])
            curve.update(values=none, low=none, high=none)
    made.update(verdict="incomplete", exit_code=11)
    shown = page(made)
    assert "Incomplete" in shown
    assert "it could not be measured or compared" in shown
    assert not re.search(r"<td>[+\N{MINUS SIGN}]?0\.00</td>", shown)


def test_run_that_measured_nothing_has_a_page():
    """Of a run that broke off there is the verdict with its reasons."""
    made = document(compared=False) | nothing_measured(NAME)
    made |= {"verdict": "incomplete", "exit_code": 11}
    made["incomplete"] = ["worker gw0 was lost; run again"]
    shown = page(made)
    assert "worker gw0 was lost" in shown
    assert "No gate was judged." in shown
    assert "<svg" not in shown


def test_partial_runs_have_a_page():
    """Without associations, beliefs, words or assays the sections that need them are left away."""
    whole = document()
    for measurement in ("implicit", "explicit", "gap", "patching"):
        made = copy.deepcopy(whole)
        made["gates"] = [one for one in made["gates"] if one["measurement"] == measurement]
        effects = made["effects"]
        made["effects"] = {name: rows for name, rows in effects.items() if name == measurement}
        made["mechanistic"] *= measurement == "patching"
        found = Page(page(made))
        links = {value[1:] for value in found.of("href") if value.startswith("#")}
        assert links <= set(found.of("id"))
        assert ("inside" in links) == (measurement == "patching")
        assert ("levels" in links) == (measurement in ("implicit", "explicit"))


def test_strict_mode_is_told():
    """In strict mode the page says that passing had to be shown."""
    made = document(value=0.1, compared=False) | {"mode": "strict"}
    shown = page(made)
    assert "strict mode" in shown
    assert "clearly within" in shown
    assert "strict mode" not in page(made | {"mode": "default"})


def test_same_report_gives_the_same_page(compared):
    """Byte by byte, whatever the user has set for matplotlib."""
    import matplotlib as mpl

    with mpl.rc_context({"text.usetex": True, "axes.grid": True, "font.size": 30}):
        assert page(document()) == compared
        assert mpl.rcParams["font.size"] == 30


def test_large_run_stays_usable():
    """1,900 gates, 200 flips, 32 layers: below 1.5 MB, in less than 3 s of one core."""
    made = document(variants=[f"v{n}" for n in range(5)], words=122, layers=32, flips=200)
    assert len(made["gates"]) == 1905
    begun = time.process_time()
    shown = page(made)
    assert time.process_time() - begun < 3
    assert len(shown.encode()) < 1.5e6
    assert shown.count('class="flip"') == 200


def test_more_gates_than_fit_are_counted():
    """Rows beyond what the page has room for are left to report.json, and said so."""
    made = document(variants=["default"], categories=["weapons"], words=MOST + 100, compared=False)
    shown = page(made)
    assert re.search(r"10\d more gates in report\.json", shown)
    assert re.search(r"1,6\d\d more word gates in report\.json", shown)


def test_page_is_replaced_as_a_whole(tmp_path, monkeypatch):
    """When writing breaks off, the older page is still whole."""
    made = document(variants=["default"], categories=["weapons"])
    path = write_page(tmp_path, made)
    before = path.read_text("utf-8")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_page(tmp_path, made)
    assert path.read_text("utf-8") == before


def test_heavy_parts_wait_for_a_page():
    """What draws and fills the page is imported when one is written, and not before."""
    code = (
        "import sys, blindspot.__main__, blindspot.report.document, blindspot.report.github\n"
        "print([name for name in ('matplotlib', 'jinja2', 'torch') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_summary_speaks_of_the_worst():
    """The statement of a measurement rests on its worst category, and counts all gates."""
    made = document(variants=["default"])
    said = {one.title: one for one in summarized(made).statements}
    association = said["Word association"]
    assert association.verdict == "fail"
    assert association.numbers.startswith("race-default-guilt: +0.75 (+0.71 to +0.79)")
    assert "6 word gates: 6 fail" in association.count
    assert said["Stated belief"].verdict == "pass"


def pooled(made, change):
    """A gate over all variants, beside the baseline, as a run reports it."""
    compared = against(change, 0.0, margin=0.02)
    name = "implicit/race-pooled-weapons/stereotype/forced-choice"
    return made["gates"][0] | {
        "id": name,
        "slice": "race-pooled-weapons",
        "variant": "pooled",
        "variants": ["default", "names"],
        "reading": "forced-choice",
        "level": "pooled",
        "family": "pooled, baseline",
        "verdict": compared["verdict"],
        "value": change,
        "limit": None,
        "limit_verdict": "reported",
        "p": None,
        "adjusted": None,
        "mde": None,
        "waiver": None,
        "against": {"baseline": compared, "reference": None},
        "message": f"{name}: worse",
        "test": "tests/implicit/test_association.py::test_pooled_association[race-pooled-weapons]",
    }


def test_a_change_within_the_limit_is_told_as_a_change():
    """What fails beside the baseline alone is not said to be beyond its limit."""
    made = document(value=0.0, words=0, variants=["default"], categories=["weapons"])
    for gate in made["gates"]:
        gate["against"]["reference"] = None
        gate["verdict"] = gate["limit_verdict"]
    made["gates"].append(pooled(made, 0.12))
    said = {one.title: one for one in summarized(made).statements}
    association = said["Word association"]
    assert association.verdict == "fail"
    assert "more than the baseline, beyond the margin" in association.said
    assert association.numbers.startswith("race-pooled-weapons, forced choice: +0.12, a change of")
    assert "at most 0.02 for the worse is allowed" in association.numbers
    assert "1 pooled gate: 1 fail" in association.count
    made["gates"][-1]["verdict"] = "inconclusive"
    made["gates"][-1]["against"]["baseline"]["verdict"] = "inconclusive"
    said = {one.title: one for one in summarized(made).statements}
    assert said["Word association"].said.startswith("it may be that it associates")


def test_gates_over_all_variants_are_on_the_page():
    """They find a small rise first: shown at once, with their command, power, and among all."""
    made = document(value=0.0)
    made["gates"].append(pooled(made, 0.12))
    shown = page(made)
    changed = shown[shown.index('id="changed"') : shown.index('id="failed"')]
    assert changed.index("Over all variants") < changed.index("pooled-weapons")
    assert changed.index("pooled-weapons") < changed.index("<details>")
    failed = shown[shown.index('id="failed"') : shown.index('id="levels"')]
    assert "test_pooled_association[race-pooled-weapons]" in html.unescape(failed)
    assert "1 pooled gate" in shown[shown.index('id="gates"') :]
    power = shown[shown.index('id="error"') : shown.index('id="provenance"')]
    assert "pooled, effect, change against the baseline" in power


def test_what_changed_shows_every_measurement():
    """Of the few comparisons at the top the worst of each measurement comes before a second."""
    made = document(value=0.8, words=0)
    for gate in made["gates"]:
        if gate["measurement"] == "patching":
            gate["against"]["baseline"] = against(0.9, -0.9, margin=0.2)
        gate["waiver"] = None
    made["gates"][0]["against"]["baseline"] = against(0.8, 0.6, margin=0.02)
    (changed, _) = changes(made)
    assert [one.gate["measurement"] for one in changed.shown[:2]] == ["implicit", "patching"]
    assert changed.shown[0].against["verdict"] == changed.shown[1].against["verdict"] == "fail"
    made["gates"][0]["against"]["baseline"]["verdict"] = "reported"
    (less, _) = changes(made)
    judged = int(re.match(r"\d+", changed.lead)[0])
    assert less.lead.startswith(f"{judged - 1} gates compared: ")
    lead = summarized(made).lead
    assert f"Against the baseline org/previous, of {judged - 1} gates" in lead


def test_an_expired_waiver_is_told():
    """A gate that fails because its waiver expired is not said to be beyond its limit."""
    made = document(value=0.0, words=0, variants=["default"], categories=["weapons"])
    for gate in made["gates"]:
        gate["against"] = {"baseline": None, "reference": None}
        gate["verdict"] = gate["limit_verdict"]
    waiver = {"gate": "implicit/*", "reason": "known", "expires": "2026-01-31", "expired": True}
    made["gates"][0] |= {"waiver": waiver, "verdict": "fail"}
    said = {one.title: one for one in summarized(made).statements}
    assert "its waiver has expired" in said["Word association"].said
