"""The cost table of a plan: what a conversation with a model costs, in credits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.errors import Invalid
from portal.core.text import BadName, clean_line, gettext

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_MODELS = 200
MOST_NAME = 80
MOST_PRICE = 1_000_000


def canonical_model(typed: str) -> str:
    """The one form of a model's name: trimmed, in small letters, at most 80 characters. Raises BadName."""
    # Measured as it is kept: some letters grow when they are lowered.
    name = clean_line(clean_line(typed, most=MOST_NAME).lower(), most=MOST_NAME)
    if not name:
        raise BadName(gettext("A model needs a name."))
    return name


def parse_prices(lines: Iterable[str]) -> dict[str, int]:
    """The table written as one `model = credits` a line; blank lines say nothing.

    Raises Invalid at `prices`, naming the line.
    """
    prices: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, equals, price = line.rpartition("=")
        try:
            if not equals:
                raise BadName(gettext("Write it as model = credits."))
            model, credits = canonical_model(name), _checked_price(price)
            if model in prices:
                raise BadName(gettext("%(model)s stands there twice.", model=model))
        except BadName as error:
            raise Invalid({"prices": gettext("Line %(number)s: %(wrong)s", number=number, wrong=error)}) from None
        prices[model] = credits
    return checked_prices(prices)


def _checked_price(typed: str) -> int:
    price = typed.strip()
    # Seven digits hold every price there may be; int() would take more shapes than a person would read as a number.
    if not (price.isascii() and price.isdigit() and len(price) <= 7 and int(price) <= MOST_PRICE):
        raise BadName(gettext("The price is a whole number from 0 to 1,000,000."))
    return int(price)


def checked_prices(prices: Mapping[str, object]) -> dict[str, int]:
    """The table under canonical names, sorted. Raises Invalid at `prices`, naming the model."""
    checked: dict[str, int] = {}
    for typed, price in prices.items():
        try:
            model = canonical_model(typed)
        except BadName as error:
            raise Invalid({"prices": gettext("%(model)s: %(wrong)s", model=typed[:MOST_NAME], wrong=error)}) from None
        if model in checked:
            raise Invalid({"prices": gettext("%(model)s stands there twice.", model=model)})
        if not isinstance(price, int) or isinstance(price, bool) or not 0 <= price <= MOST_PRICE:
            said = gettext("The price is a whole number from 0 to 1,000,000.")
            raise Invalid({"prices": gettext("%(model)s: %(wrong)s", model=model, wrong=said)})
        checked[model] = price
    if len(checked) > MOST_MODELS:
        raise Invalid({"prices": gettext("At most %(most)s models.", most=MOST_MODELS)})
    return dict(sorted(checked.items()))


def write_prices(prices: Mapping[str, int]) -> str:
    """The table as `parse_prices` reads it."""
    return "\n".join(f"{model} = {price}" for model, price in sorted(prices.items()))
