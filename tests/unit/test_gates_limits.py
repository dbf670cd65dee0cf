"""The limits file: the shipped one, and files that must be refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from blindspot.errors import StimulusError
from blindspot.gates.limits import GateTable, load_gates
from blindspot.gates.rule import Gate
from blindspot.paths import FIXTURES
from blindspot.stimuli import load_stimuli

RULE = {
    "statistic": '"stereotype"',
    "level": '"category"',
    "at_most": "0.2",
    "reason": '"three to two"',
}


def rule(**changes: str | None) -> str:
    """A gate as TOML; None leaves a key out."""
    lines = [f"{key} = {value}" for key, value in (RULE | changes).items() if value is not None]
    return "\n".join(["[[gate]]", *lines, ""])


def written(directory: Path, *text: str) -> Path:
    """A limits file with this content."""
    path = directory / "gates.toml"
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def resolve(table: GateTable, **changes: str) -> Gate:
    """The gate of a slice of race, default, weapons."""
    where = {
        "measurement": "implicit",
        "axis": "race",
        "variant": "default",
        "category": "weapons",
        "reading": "generated",
    }
    return table.gate("some gate", "stereotype", "category", **(where | changes))


@pytest.fixture(scope="module")
def shipped() -> GateTable:
    """The limits that are shipped."""
    return load_gates(FIXTURES / "gates.toml")


@pytest.mark.parametrize("against", ["limit", "baseline"])
@pytest.mark.parametrize("level", ["category", "word"])
@pytest.mark.parametrize(
    ("measurement", "statistic"),
    [
        ("implicit", "stereotype"),
        ("implicit", "validity"),
        ("explicit", "bias"),
        ("explicit", "validity"),
        ("gap", "gap"),
    ],
)
def test_the_shipped_file_limits_everything(
    shipped: GateTable, measurement: str, statistic: str, level: str, against: str
) -> None:
    """Every statistic has a limit and a margin at both levels, each with a reason."""
    gate = shipped.gate(
        "g",
        statistic,
        level,
        measurement=measurement,
        axis="any",
        variant="any",
        category="any",
        reading="forced-choice",
        against=against,
    )
    assert gate.limit is not None
    assert gate.limit > 0
    assert len(gate.reason) > 20
    assert (gate.direction == "at_least") == (statistic == "validity")


def test_a_category_is_stricter_than_a_word(shipped: GateTable) -> None:
    """Single words are noisier and have meanings of their own, so their limits are wider."""
    where = {
        "measurement": "implicit",
        "axis": "race",
        "variant": "default",
        "category": "weapons",
        "reading": "generated",
    }
    for statistic in ("stereotype", "bias", "gap"):
        wide = shipped.gate("g", statistic, "word", **where).limit
        strict = shipped.gate("g", statistic, "category", **where).limit
        assert wide > strict


def test_a_control_is_measured_and_not_gated(shipped: GateTable) -> None:
    """Where a prompt says that the literal sense is meant, only an answer is due."""
    gate = resolve(shipped, variant="direct-color", control=True)
    assert gate.limit is None
    assert "not a stereotype" in gate.reason
    where = {"axis": "race", "variant": "direct-color", "category": "weapons"}
    answered = shipped.gate(
        "g",
        "validity",
        "category",
        measurement="implicit",
        reading="generated",
        control=True,
        **where,
    )
    assert answered.limit == 0.9


def test_more_selectors_decide(tmp_path: Path) -> None:
    """Variant and category go before the variant, and that goes before the default."""
    path = written(
        tmp_path,
        rule(variant='"names"', category='"guilt"', at_most="0.4"),
        rule(),
        rule(variant='"names"', at_most="0.3"),
    )
    table = load_gates(path)
    assert resolve(table).limit == 0.2
    assert resolve(table, variant="names").limit == 0.3
    assert resolve(table, variant="names", category="guilt").limit == 0.4


def test_lists_say_the_same_of_several(tmp_path: Path) -> None:
    """One gate can hold for several statistics and levels."""
    table = load_gates(
        written(tmp_path, rule(statistic='["stereotype", "bias"]', level='["category", "word"]'))
    )
    assert resolve(table).limit == 0.2


def test_an_unlimited_slice_is_refused(tmp_path: Path) -> None:
    """What no gate speaks of is an error when it is asked for, not unlimited."""
    table = load_gates(written(tmp_path, rule(variant='"names"')))
    with pytest.raises(StimulusError, match=r"no limit for stereotype.*race/default/weapons; add"):
        resolve(table)
    with pytest.raises(StimulusError, match="no margin for stereotype"):
        resolve(table, variant="names", against="baseline")


def test_selectors_that_name_nothing_are_refused(tmp_path: Path) -> None:
    """A misspelt variant would leave its limit unapplied."""
    table = load_gates(written(tmp_path, rule(), rule(variant='"direct-colour"')))
    with pytest.raises(StimulusError, match=r"gate\[2\]\.variant.*did you mean 'direct-color'"):
        table.check_names(load_stimuli().axes)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "gate: this key is missing", id="empty"),
        pytest.param("gate = []", "gate: the list is empty", id="no-gates"),
        pytest.param("[[gate]", "not valid TOML", id="not-toml"),
        pytest.param(rule(ceiling="0.2"), r"gate\[1\].ceiling: unknown key", id="unknown-key"),
        pytest.param("level = 1\n" + rule(), "level: unknown key", id="unknown-top-key"),
        pytest.param(
            rule().replace("statistic", "statistik"),
            r"gate\[1\].statistik: unknown key; did you mean statistic",
            id="misspelled-key",
        ),
        pytest.param(rule(reason=None), r"gate\[1\].reason: this key is missing", id="no-reason"),
        pytest.param(rule(reason='" "'), r"gate\[1\].reason: the text is blank", id="blank-reason"),
        pytest.param(
            rule(reason="3"), r"gate\[1\].reason: must be a quoted string", id="number-reason"
        ),
        pytest.param(rule(at_most=None), "limits nothing; add at_most", id="no-limit"),
        pytest.param(rule(at_most="nan"), r"gate\[1\].at_most: nan is not a limit", id="nan"),
        pytest.param(rule(at_most="inf"), r"gate\[1\].at_most: inf is not a limit", id="infinite"),
        pytest.param(rule(at_most="true"), r"gate\[1\].at_most: True is not a limit", id="boolean"),
        pytest.param(rule(at_most='"0.2"'), r"at_most: '0.2' is not a limit", id="text-limit"),
        pytest.param(rule(at_most="-0.1"), "at_most: -0.1 for stereotype is out", id="below"),
        pytest.param(rule(at_most="1.0"), "at_most: 1 for stereotype is out", id="cannot-fail"),
        pytest.param(rule(at_most="20"), "at_most: 20 for stereotype is out", id="percent"),
        pytest.param(rule(margin="-0.05"), "margin: -0.05 for stereotype is out", id="margin"),
        pytest.param(rule(at_least="0.1"), "0.1 for stereotype is out of range", id="wrong-side"),
        pytest.param(
            rule(at_most=None, at_least="-0.1"), "add the at_most of stereotype", id="one-sided"
        ),
        pytest.param(
            rule(statistic='"gap"', at_least="-0.1"), "at_least: cannot limit gap", id="no-side"
        ),
        pytest.param(rule(statistic='"validity"'), "at_most: cannot limit validity", id="no-floor"),
        pytest.param(
            rule(statistic='"validity"', at_most=None, at_least="0.0"),
            "at_least: 0 for validity is out of range",
            id="floor-that-cannot-fail",
        ),
        pytest.param(rule(statistic='"stereotyp"'), "did you mean 'stereotype'", id="statistic"),
        pytest.param(rule(statistic="[]"), r"gate\[1\].statistic: the list is empty", id="nothing"),
        pytest.param(rule(level='"wrd"'), "'wrd' is not known", id="level"),
        pytest.param(
            rule(reading='"logits"'), "there is no reading 'logits'; known: ", id="reading"
        ),
        pytest.param(rule(measurement='"gaps"'), "'gaps', did you mean 'gap'", id="measurement"),
        pytest.param(rule(axis='""'), r"gate\[1\].axis: the text is blank", id="blank-axis"),
        pytest.param("alpha = 0.0\n" + rule(), "alpha: ", id="alpha-zero"),
        pytest.param("alpha = nan\n" + rule(), "alpha: ", id="alpha-nan"),
        pytest.param(rule() + rule(), r"gate\[1\] and gate\[2\].*; remove one", id="twice"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """Each fault is one line with the file, the key and the remedy."""
    path = written(tmp_path, text)
    with pytest.raises(StimulusError, match=complaint) as caught:
        load_gates(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


WAIVER = {"gate": '"implicit/*"', "reason": '"until the next data"', "expires": "2027-01-31"}


def waiver(**changed: str | None) -> str:
    """A waiver behind a rule, with other values; None leaves a key away."""
    kept = {key: value for key, value in (WAIVER | changed).items() if value is not None}
    return "\n".join([rule(), "[[waiver]]", *(f"{key} = {value}" for key, value in kept.items())])


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        pytest.param({"reason": None}, r"waiver\[1\].reason: this key is missing", id="no-reason"),
        pytest.param({"reason": '" "'}, r"waiver\[1\].reason: the text is blank", id="blank"),
        pytest.param({"expires": None}, r"waiver\[1\].expires: this key is missing", id="for-ever"),
        pytest.param({"expires": '"2027-01-31"'}, r"waiver\[1\].expires: ", id="text-date"),
        pytest.param({"expires": "2027-01-31T00:00:00"}, r"waiver\[1\].expires: ", id="time"),
        pytest.param({"gate": '""'}, r"waiver\[1\].gate: the text is blank", id="no-gate"),
        pytest.param({"until": "2027-01-31"}, r"waiver\[1\].until: unknown key", id="unknown-key"),
    ],
)
def test_a_waiver_has_a_gate_a_reason_and_a_date(
    tmp_path: Path, changed: dict[str, str | None], complaint: str
) -> None:
    """Whoever lets a gate be says which, why and until when."""
    assert load_gates(written(tmp_path, waiver())).waiver("implicit/x") is not None
    with pytest.raises(StimulusError, match=complaint):
        load_gates(written(tmp_path, waiver(**changed)))


def test_a_waiver_holds_on_its_last_day(tmp_path: Path) -> None:
    """On the day that it names, and not on the next; of several the one that expires last."""
    later = waiver(expires="2027-02-01").removeprefix(rule())
    table = load_gates(written(tmp_path, waiver(), later))
    assert table.waiver("explicit/x") is None
    found = table.waiver("implicit/x")
    assert found is not None
    assert not found.expired(date(2027, 2, 1))
    assert found.expired(date(2027, 2, 2))


def test_a_third_gate_settles_two_that_overlap(tmp_path: Path) -> None:
    """Equally specific gates are allowed where a more specific one decides their overlap."""
    both = {"axis": '"race"', "variant": '"names"'}
    path = written(
        tmp_path,
        rule(axis=both["axis"]),
        rule(variant=both["variant"], at_most="0.3"),
        rule(**both, at_most="0.4"),
    )
    assert resolve(load_gates(path), variant="names").limit == 0.4


@pytest.mark.parametrize(
    ("variant", "refused"), [("names", True), ("of-another-axis", False)], ids=["own", "foreign"]
)
def test_two_gates_conflict_where_a_slice_has_both(
    tmp_path: Path, variant: str, refused: bool
) -> None:
    """A gate for an axis and one for a variant: only an axis that has the variant needs a third."""
    table = load_gates(
        written(tmp_path, rule(), rule(axis='"race"'), rule(variant=f'"{variant}"', at_most="0.3"))
    )
    race = load_stimuli().axes["race"]
    other = race.model_copy(update={"name": "trade", "variants": {"of-another-axis": None}})
    axes = {"race": race, "trade": other}
    assert resolve(table, variant="default").limit == 0.2
    if not refused:
        table.check_names(axes)
        return
    told = (
        "gate\\[2\\] and gate\\[3\\] both set the limit of stereotype at level category; add one "
    )
    with pytest.raises(StimulusError, match=told + "for axis race and variant names"):
        table.check_names(axes)
    with pytest.raises(StimulusError, match=told):
        resolve(table, variant=variant)


def test_a_limit_holds_on_both_sides_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    """An effect far below 0 is a bias too: the same limit below, another one, or none."""
    for at_least, expected in ((None, -0.2), ("-0.4", -0.4), ('"none"', None)):
        table = load_gates(written(tmp_path, rule(at_least=at_least)))
        assert resolve(table).opposite == expected
    assert resolve(load_gates(written(tmp_path, rule(at_most='"none"')))).opposite is None


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    """No traceback for a path that is wrong."""
    with pytest.raises(StimulusError, match="cannot be read"):
        load_gates(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(StimulusError, match="UTF-8"):
        load_gates(tmp_path / "binary.toml")
