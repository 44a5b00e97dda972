"""The cost table of a plan: one line a model, canonical names, and each wrong line named."""

from __future__ import annotations

import pytest

from portal.core.errors import Invalid
from portal.core.text import BadName
from portal.usage.prices import canonical_model, checked_prices, parse_prices, write_prices


def test_a_table_is_read_in_any_case_and_order_and_written_back_the_same() -> None:
    prices = parse_prices(["  M-2=0", "", "m-1 = 5 ", "vendor/Big=Model = 1000000", "   "])
    assert prices == {"m-1": 5, "m-2": 0, "vendor/big=model": 1_000_000}
    assert list(prices) == sorted(prices)
    assert parse_prices(write_prices(prices).splitlines()) == prices
    assert parse_prices([]) == {}


PRICES = ["-1", "1.5", "1000001", str(2**53), str(2**63), "1e308", "abc", "", "1_000", "٣", "+5", "0x10"]


@pytest.mark.parametrize("price", PRICES)
def test_a_price_that_is_no_plain_whole_number_in_bounds_names_its_line(price: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_prices(["m-1 = 1", f"m-2 = {price}"])
    assert list(refused.value.fields) == ["prices"]
    assert "Line 2" in str(refused.value.fields["prices"])


@pytest.mark.parametrize("line", ["m-1", "= 5", "m-1 5", "x" * 81 + " = 1", "a\u202eb = 1", "M-0 = 2"])
def test_a_line_that_says_no_model_or_one_twice_is_named(line: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_prices(["m-0 = 1", line])
    assert "Line 2" in str(refused.value.fields["prices"])


def test_two_hundred_models_and_no_more() -> None:
    lines = [f"m-{number} = {number}" for number in range(200)]
    assert len(parse_prices(lines)) == 200
    with pytest.raises(Invalid) as refused:
        parse_prices([*lines, "one-more = 1"])
    assert "200" in str(refused.value.fields["prices"])


@pytest.mark.parametrize(
    "prices", [{"m": -1}, {"m": 1_000_001}, {"m": 1.5}, {"m": True}, {"m": "5"}, {"": 1}, {"M": 1, "m": 2}], ids=str
)
def test_a_table_from_a_program_is_checked_as_well(prices: dict[str, object]) -> None:
    with pytest.raises(Invalid) as refused:
        checked_prices(prices)
    assert list(refused.value.fields) == ["prices"]


def test_a_model_that_grows_when_lowered_is_measured_as_it_is_kept() -> None:
    assert canonical_model("  GPT-4 ") == "gpt-4"
    with pytest.raises(BadName):
        canonical_model("İ" * 80)
