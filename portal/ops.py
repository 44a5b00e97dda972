"""Health and metrics, outside the API."""

from __future__ import annotations

import hmac
import ipaddress
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest

from portal.clients.status_checks import MOST_MEASURED, signs_now
from portal.core import clock, settings
from portal.core.errors import NotFound
from portal.insight.health import check_parts, drift_now, is_ready, overdue_now, unsealed_now
from portal.insight.waiting import waiting_now
from portal.keys.verify import count_unknown
from portal.web.gates import Audience, guard
from portal.web.problems import json_response

if TYPE_CHECKING:
    from flask import Flask

# Registries are made anew for each reading, so the instants of their making would say nothing.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
LEVEL = {"ok": 1.0, "warning": 0.5, "down": 0.0}


def register(app: Flask) -> None:
    """Hang the door in."""
    audience = Blueprint("ops", __name__)
    guard(audience, Audience.OPS)
    audience.add_url_rule("/health", "short", short)
    audience.add_url_rule("/health/live", "live", live)
    audience.add_url_rule("/health/ready", "ready", ready)
    audience.add_url_rule("/metrics", "metrics", metrics)
    app.register_blueprint(audience)


def live() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


def short() -> Response:
    """The short word of ready."""
    fine = is_ready(check_parts())
    return json_response({"status": "ok" if fine else "down"}, 200 if fine else 503)


def ready() -> Response:
    """Each part with its state; 503 when one that matters is down."""
    parts = check_parts()
    fine = is_ready(parts)
    body = {
        "status": "ok" if fine else "down",
        "parts": {part.name: {"state": part.state, "detail": part.words} for part in parts},
    }
    return json_response(body, 200 if fine else 503)


def metrics() -> Response:
    """Prometheus text, by METRICS_TOKEN, or from this machine where none is set."""
    if not _may_scrape():
        raise NotFound
    registry = CollectorRegistry()
    gauge = Gauge("doorward_part_state", "1 ok, 0.5 warning, 0 down", ["part"], registry=registry)
    for part in check_parts():
        gauge.labels(part.name).set(LEVEL[part.state])
    words = "Questions about keys that nobody has, asked of this process"
    Counter("doorward_unknown_keys", words, registry=registry).inc(count_unknown())
    if (drift := drift_now()) is not None:
        words = "Credits by which balances differ from their entries, as last compared"
        Gauge("doorward_credit_drift", words, registry=registry).set(drift.credits)
        words = "Balances that differ from their entries, as last compared"
        Gauge("doorward_credit_drift_balances", words, registry=registry).set(drift.count)
    if (signs := signs_now()) is not None:
        words = "Names whose last status check is older than STATUS_LATE_S"
        Gauge("doorward_status_late", words, registry=registry).set(sum(sign.late for sign in signs))
        words = f"Seconds since the last status check of a name, of the {MOST_MEASURED} silent for longest"
        age = Gauge("doorward_status_age_seconds", words, ["client_name"], registry=registry)
        for sign in signs[:MOST_MEASURED]:
            age.labels(sign.name).set((clock.now() - sign.last_at).total_seconds())
    _measure_spool(registry)
    if (left := unsealed_now()) is not None:
        words = "Logs that may lie unsealed still although ENCRYPT_MESSAGES is on, at most"
        Gauge("doorward_unsealed_logs", words, registry=registry).set(left)
    if (overdue := overdue_now()) is not None:
        words = "Logs past their clock that wait for the purge, among the oldest, counted up to 200"
        Gauge("doorward_overdue_logs", words, registry=registry).set(overdue)
    return Response(generate_latest(registry), mimetype="text/plain; version=0.0.4")


def _measure_spool(registry: CollectorRegistry) -> None:
    found = waiting_now()
    if found is None:
        return
    words = "Bytes that the spool holds, stored or not, of SPOOL_MAX_BYTES"
    Gauge("doorward_spool_bytes", words, registry=registry).set(found.held)
    words = "Bytes of accepted records that no flush has stored yet"
    Gauge("doorward_spool_waiting_bytes", words, registry=registry).set(found.waiting)
    words = "Seconds for which the spool has held something that is not stored; 0 when all is"
    Gauge("doorward_spool_age_seconds", words, registry=registry).set(found.age_s)
    words = "Records that could not be stored and wait for somebody to look at them"
    Gauge("doorward_quarantined_records", words, registry=registry).set(found.quarantined)


def _may_scrape() -> bool:
    token = settings.current().metrics_token
    if token:
        return hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode())
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
