"""`doorward keys`: the API keys of users."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from portal.accounts.models import Kind
from portal.cli.frame import echo_json, in_frame, named_account
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.errors import NotFound
from portal.keys.managing import change_key_of, create_key_for, key_named, revoke_key_of, rotate_key_of
from portal.keys.rotation import uses_of
from portal.keys.service import NewKey, keys_of
from portal.keys.terms import MOST_LIMIT, KeyTerms, terms_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.keys.models import ApiKey

SHOWN = ("id", "name", "prefix", "scopes", "expires_at", "networks", "daily_limit", "last_used_at", "state")
MORE = ("user_id", "last_used_from", "last_used_by", "replaced_by", "revoked_at", "revoked_why", "version")
NO_LIMIT, NEVER = "none", "never"


@click.group()
def keys() -> None:
    """API keys: list, show, create, change, rotate, revoke. KEY is an id, or how the key begins as lists show it."""


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _shape(key: ApiKey, names: tuple[str, ...] = SHOWN) -> dict[str, Any]:
    return {name: _plain(getattr(key, name)) for name in (*names, "created_at")}


def _made(made: NewKey) -> dict[str, Any]:
    """A key just made, with the one chance to read it."""
    return {**_shape(made.key), "key": made.secret}


def _user_id(name: str) -> UUID:
    found = named_account(name)
    if found.kind != Kind.USER.value:
        raise NotFound(f"there is no user {name}")
    return found.id


@keys.command("list")
@click.argument("name")
@in_frame
def keys_list(name: str) -> None:
    """The keys of a user, those in use first."""
    echo_json([_shape(key) for key in keys_of(operator_actor(), _user_id(name))])


@keys.command("show")
@click.argument("key")
@in_frame
def keys_show(key: str) -> None:
    """One key, and who called with it since it was replaced."""
    found = key_named(operator_actor(), key)
    uses = [
        {"client": use.client_name, "address": use.address, "count": use.count, "last_at": _plain(use.last_at)}
        for use in uses_of(operator_actor(), found.id)
    ]
    echo_json({**_shape(found, SHOWN + MORE), "uses": uses})


@keys.command("create")
@click.argument("name")
@click.option("--name", "key_name", required=True, help="What the key is called.")
@click.option("--scope", "scopes", multiple=True, help="Repeat for each; left out means everything.")
@click.option("--network", "networks", multiple=True, help="Address or network; left out means from anywhere.")
@click.option("--daily-limit", type=int, help="Conversations a day by this key; left out means no limit of its own.")
@click.option("--expires-in-days", type=click.IntRange(1, 3650), help="Left out means never.")
@in_frame
def keys_create(
    name: str,
    key_name: str,
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
    daily_limit: int | None,
    expires_in_days: int | None,
) -> None:
    """A new key for a user; it is printed this once. The user is told by mail."""
    ends = clock.now() + timedelta(days=expires_in_days) if expires_in_days else None
    terms = KeyTerms(key_name, scopes, ends, networks, daily_limit)
    echo_json(_made(create_key_for(operator_actor(), _user_id(name), terms)))


@keys.command("change")
@click.argument("key")
@click.option("--name", "key_name", help="What the key is called.")
@click.option("--scope", "scopes", multiple=True, help="Repeat for each; they take the place of all.")
@click.option("--any-scope", is_flag=True, help="Good for everything.")
@click.option("--network", "networks", multiple=True, help="Repeat for each; they take the place of all.")
@click.option("--from-anywhere", is_flag=True, help="Bound to no network.")
@click.option("--daily-limit", metavar=f"NUMBER|{NO_LIMIT}", help="Conversations a day by this key.")
@click.option("--expires-in-days", metavar=f"NUMBER|{NEVER}", help="Counted from now.")
@in_frame
def keys_change(
    key: str,
    key_name: str | None,
    scopes: tuple[str, ...],
    any_scope: bool,
    networks: tuple[str, ...],
    from_anywhere: bool,
    daily_limit: str | None,
    expires_in_days: str | None,
) -> None:
    """Give a key other terms; what is left out stays. The user is told by mail."""
    found = key_named(operator_actor(), key)
    terms = terms_of(found)
    if key_name is not None:
        terms = replace(terms, name=key_name)
    if scopes or any_scope:
        terms = replace(terms, scopes=() if any_scope else scopes)
    if networks or from_anywhere:
        terms = replace(terms, networks=() if from_anywhere else networks)
    if daily_limit is not None:
        terms = replace(terms, daily_limit=_number("--daily-limit", daily_limit, NO_LIMIT, MOST_LIMIT))
    if expires_in_days is not None:
        days = _number("--expires-in-days", expires_in_days, NEVER, 3650)
        terms = replace(terms, expires_at=None if days is None else clock.now() + timedelta(days=days))
    echo_json(_shape(change_key_of(operator_actor(), found.user_id, found.id, terms)))


def _number(option: str, typed: str, nothing: str, most: int) -> int | None:
    """A whole number up to `most`, or None for the word that means none."""
    if typed == nothing:
        return None
    if not typed.isascii() or not typed.isdigit() or len(typed) > 10 or int(typed) > most:
        raise click.BadParameter(
            f"{typed!r} is neither a whole number up to {most:,} nor {nothing}.", param_hint=option
        )
    return int(typed)


@keys.command("rotate")
@click.argument("key")
@click.option("--overlap-s", type=int, default=86400, show_default=True, help="Seconds the old key goes on; 0 is none.")
@in_frame
def keys_rotate(key: str, overlap_s: int) -> None:
    """Replace a key by a new one with the same terms, which is printed this once. The user is told by mail."""
    found = key_named(operator_actor(), key)
    made = rotate_key_of(operator_actor(), found.user_id, found.id, overlap_s=overlap_s)
    echo_json({**_made(made), "replaces": _shape(found)})


@keys.command("revoke")
@click.argument("key")
@in_frame
def keys_revoke(key: str) -> None:
    """End a key at once and for good. The user is told by mail."""
    found = key_named(operator_actor(), key)
    echo_json(_shape(revoke_key_of(operator_actor(), found.user_id, found.id)))
