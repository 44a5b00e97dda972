"""What the applications of the tests share, because it is alike in all of them and dear to make for each.

Some 400 rules with compiled builders, the views behind them, and the statements that SQLAlchemy has compiled: together
as dear as a small test. None of it depends on settings or on the database at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from portal import api, ops, pages
from portal.core.places import static_dir
from portal.web.frame import Doorward

DOORS = (pages, api, ops)
HANG = [door.register for door in DOORS]
# What hanging in a door writes into an application, by the name of the blueprint.
BY_BLUEPRINT = (
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "template_context_processors",
    "url_value_preprocessors",
    "url_default_functions",
    "error_handler_spec",
)
_add_rule: Callable[..., None] = Doorward.add_url_rule
_made: list[Doorward] = []
_compiled: LRUCache[Any, Any] = LRUCache(5000)


def _model() -> Doorward:
    """An application with all doors and nothing else, which answers nobody."""
    if not _made:
        model = Doorward("portal", static_folder=str(static_dir()))
        for hang in HANG:
            hang(model)
        _made.append(model)
    return _made[0]


def _hang_all(app: Flask) -> None:
    """Hang all doors into an application, as they were hung into the model."""
    model = _model()
    if set(app.url_map._rules_by_endpoint) - {"static"}:
        raise RuntimeError("routes of before the doors would be lost")
    app.url_map = model.url_map
    app.view_functions = {**model.view_functions, **app.view_functions}
    app.blueprints = dict(model.blueprints)
    app.extensions["audiences"] = dict(model.extensions["audiences"])
    for name in BY_BLUEPRINT:
        told = {blueprint: what for blueprint, what in getattr(model, name).items() if blueprint is not None}
        getattr(app, name).update(told)


def _hung_already(app: Flask) -> None:
    """The other doors come with the first."""


def _add_own_rule(app: Doorward, *given: Any, **named: Any) -> None:
    """A rule of a test's own goes into a map of that application's own."""
    if _made and app is not _made[0] and app.url_map is _made[0].url_map:
        app.url_map = app.url_map_class([rule.empty() for rule in app.url_map.iter_rules()])
    _add_rule(app, *given, **named)


def _share_statements() -> None:
    """What is compiled for a database of a sort is good for each of that sort."""
    for dialect in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        setattr(dialect, "__eq__", lambda one, other: type(one) is type(other))  # noqa: B010  # the library types it
        setattr(dialect, "__hash__", lambda one: hash(type(one)))  # noqa: B010  # the library types it

    @event.listens_for(Engine, "engine_connect")
    def share(connection: Any) -> None:
        connection.engine._compiled_cache = _compiled


def share_builders() -> None:
    """Make all that once in this process."""
    pages.register = _hang_all
    api.register = ops.register = _hung_already
    setattr(Doorward, "add_url_rule", _add_own_rule)  # noqa: B010  # its type is the library's own
    _share_statements()
