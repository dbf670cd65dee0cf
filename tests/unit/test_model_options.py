"""Arguments of a model as the user writes them."""

from __future__ import annotations

import pytest

from blindspot.errors import ModelError
from blindspot.models import ModelOptions, parse_model_args


def test_values_are_typed() -> None:
    """Numbers, truth values and None are read as such, anything else is text."""
    text = "a=1, b=-2.5,c=1e3,d=true,e=False,f=None,g=flash_attention_2,h=1.2.3,i="
    assert parse_model_args(text) == {
        "a": 1,
        "b": -2.5,
        "c": 1000.0,
        "d": True,
        "e": False,
        "f": None,
        "g": "flash_attention_2",
        "h": "1.2.3",
        "i": "",
    }


def test_nothing_is_no_argument() -> None:
    """An empty text and stray commas are nothing."""
    assert parse_model_args("") == parse_model_args(" , ") == {}


def test_a_value_may_hold_an_equals_sign() -> None:
    """Only the first equals sign separates."""
    assert parse_model_args("a=b=c") == {"a": "b=c"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("device_map", "'device_map' is not of the form name=value"),
        ("=1", "a part is not of the form name=value"),
        ("a b=1", "a part is not of the form name=value"),
        ("a=1,a=2", "a is given twice"),
        ("dtype=bfloat16", "dtype cannot be given here; use --dtype"),
        ("pretrained=x", "pretrained cannot be given here; use --model"),
        ("use_safetensors=false", "use_safetensors cannot be given here; it is fixed"),
    ],
    ids=["no-value", "no-name", "blank-in-name", "twice", "own-flag", "harness-name", "fixed"],
)
def test_mistakes_are_told(text: str, said: str) -> None:
    """The message names the argument and the way out."""
    with pytest.raises(ModelError, match=f"^--model-args: {said}"):
        parse_model_args(text)


@pytest.mark.parametrize(
    "text",
    ["token:hf_1", "hf_1", "tok\u200ben=hf_1", "token hf_1=1", "a=1, hf_1"],
)
def test_no_mistake_shows_a_secret(text: str) -> None:
    """What was misspelled may hold one, wherever it stands."""
    with pytest.raises(ModelError) as caught:
        parse_model_args(text)
    assert "hf_1" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "rows"), [("auto", None), ("8", 8), (8, 8)], ids=["auto", "text", "number"]
)
def test_batch_size(given: str | int, rows: int | None) -> None:
    """Auto, or a number however it is written."""
    assert ModelOptions("m", batch_size=given).rows() == rows


@pytest.mark.parametrize("given", ["0", "-1", "many", 0], ids=["zero", "minus", "word", "number"])
def test_wrong_batch_size(given: str | int) -> None:
    """Anything else is refused."""
    with pytest.raises(ModelError, match=r"--batch-size .*use auto or a whole number above 0"):
        ModelOptions("m", batch_size=given).rows()
