"""Making demo data: the house, the crowd, their talk, their cases. Runs beside a server, and again on what it made."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from portal.accounts.days import Calendar, usage_day
from portal.core import clock
from portal.demo.cases import make_cases
from portal.demo.conversations import make_conversations
from portal.demo.crowd import Crowd, Recipe, Talker, make_crowd
from portal.demo.house import make_house, make_login
from portal.demo.naming import Namer


def seed_demo(*, users: int, logs: int, seed: int) -> dict[str, Any]:
    """Make `users` users (1 or more) with 60 days of use, and `logs` logged exchanges; call inside the app's context.

    The same `seed` draws the same names, numbers and texts; ids, keys and passwords are always new. Answers the
    credentials as `doorward seed --credentials` writes them; listed users are active ones.
    """
    namer = Namer()
    house = make_house(namer, users=users, logs=logs)
    login = make_login()
    now = clock.now()
    recipe = Recipe(seed, house.plans, login.password, login.hashed, house.admin[0], now)
    crowd = make_crowd(recipe, namer, users)
    make_conversations(_talkers(crowd), house.client_id, logs=logs, number=seed, now=now)
    make_cases(crowd.listed, [name for name, _, _ in house.staff])
    name, password = house.admin
    return {
        "admin": {"username": name, "password": password},
        "staff": [{"username": name, "password": password, "level": level} for name, password, level in house.staff],
        "users": crowd.listed,
        "client": {"id": str(house.client_id), "token": house.client_token},
    }


def _talkers(crowd: Crowd) -> list[Talker]:
    """Those who talk; with very few users, where chance may have left nobody using anything, the first of them."""
    if crowd.talkers:
        return crowd.talkers
    today = usage_day(Calendar("UTC"), clock.now())
    return [Talker(UUID(crowd.listed[0]["id"]), "UTC", clock.now(), (today,))]
