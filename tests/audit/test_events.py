"""Every event has a name of its own and a sentence."""

from __future__ import annotations

import re

from portal.audit import events


def test_each_event_is_named_once_and_worded() -> None:
    declared = [value for value in vars(events).values() if isinstance(value, events.Event)]
    assert len(declared) == len(events.EVENTS) == len({event.name for event in declared})
    for event in declared:
        assert events.EVENTS[event.name] is event
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", event.name)
        assert str(event.sentence)


def test_no_event_asks_for_a_secret() -> None:
    for event in events.EVENTS.values():
        assert not event.facts & {"password", "token", "secret", "key", "email", "digest", "link"}
