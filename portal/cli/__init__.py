"""The `doorward` command. Bad input prints one line and exits non-zero."""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from portal import create_app, serving
from portal.accounts.directory import UserFilter, account_named, list_users, user_record
from portal.cli.account import account
from portal.cli.audit import audit
from portal.cli.backup import backup
from portal.cli.credits import credits
from portal.cli.frame import echo_json, fail, in_frame, load_settings, opened, ready_app, refuse_settings, seal_left
from portal.cli.keys import keys
from portal.cli.networks import networks
from portal.cli.plans import plans
from portal.cli.rotate import rotate
from portal.cli.usage import usage
from portal.clients.models import ServiceClient
from portal.clients.service import create_client, list_clients
from portal.core.access import operator_actor
from portal.core.data_keys import check_encryption_keys
from portal.core.errors import NotFound, PortalError
from portal.core.secret_check import check_secret_key
from portal.core.settings import BadSetting
from portal.demo.seed import seed_demo
from portal.insight.clocks import check_clock
from portal.insight.health import check_parts, is_ready
from portal.jobs.runner import run_job
from portal.jobs.table import JOBS
from portal.mail.managing import check_mail
from portal.signin.first_admin import create_admin
from portal.signin.registration import NewPerson
from portal.tokens.rotating import state_of_keys
from portal.web.routes import list_routes
from portal.work.runs import latest_run


@click.group()
@click.version_option(package_name="doorward")
def main() -> None:
    """The front desk of a metered service."""


main.add_command(account)
main.add_command(audit)
main.add_command(backup)
main.add_command(credits)
main.add_command(keys)
main.add_command(networks)
main.add_command(plans)
main.add_command(rotate)
main.add_command(usage)


@main.command()
@click.option("--host", help="Address to listen on (HOST).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (PORT).")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
def serve(host: str | None, port: int | None, workers: int) -> None:
    """Serve, with the jobs inside."""
    if host:
        os.environ["HOST"] = host
    if port:
        os.environ["PORT"] = str(port)
    settings = load_settings()
    if not serving.port_is_free(settings.host, settings.port):
        fail(f"port {settings.port} on {settings.host} is taken; choose another with --port or PORT")
    try:
        serving.serve(settings, workers=workers)
    except BadSetting as error:
        refuse_settings(error)


@main.command()
def check() -> None:
    """Say what is wrong and what to do."""
    settings = load_settings(log_level="error")
    with opened(create_app(settings)):
        parts = [*check_parts(), check_clock()]
        for part in parts:
            click.echo(f"{part.state:8} {part.name}: {part.words}")
        for state, words in check_mail(settings):
            click.echo(f"{state:8} mail: {words}")
        state, words = state_of_keys()
        click.echo(f"{state:8} signing-keys: {words}")
        try:
            check_encryption_keys(leave=False)
            click.echo("ok       keys: those that sealed what is kept here")
            other = check_secret_key(leave=False)
            click.echo(
                f"{'warning' if other else 'ok':8} secret key: {other or 'the one this database is served with'}"
            )
        except SQLAlchemyError as error:
            click.echo(f"warning  keys: cannot tell ({type(error).__name__})")
        except BadSetting as error:
            refuse_settings(error)
        fine = is_ready(parts)
    if not fine:
        fail("not ready")


@main.command("create-admin")
@click.option("--username", required=True)
@click.option("--email", required=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@in_frame
def create_admin_command(username: str, email: str, password_stdin: bool) -> None:
    """Make a full admin. Without --password-stdin a password is made and printed once."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else secrets.token_urlsafe(18)
    admin = create_admin(operator_actor(), NewPerson(username, email), password)
    shown: dict[str, Any] = {"id": str(admin.id), "username": admin.username}
    if not password_stdin:
        shown["password"] = password
    echo_json(shown)


@main.group()
def client() -> None:
    """Service clients."""


@client.command("create")
@click.option("--name", required=True)
@click.option("--scope", "scopes", multiple=True, required=True)
@click.option("--rate", type=int, help="Calls a minute that it has; without it they are not counted.")
@in_frame
def client_create(name: str, scopes: tuple[str, ...], rate: int | None) -> None:
    """Make a client; its token is printed this once, as JSON."""
    made, token = create_client(operator_actor(), name=name, scopes=list(scopes), rate_per_minute=rate)
    shown = {"id": str(made.id), "name": made.name, "scopes": made.scopes, "rate_per_minute": made.rate_per_minute}
    echo_json({**shown, "token": token})


@client.command("list")
@in_frame
def client_list() -> None:
    """All clients."""
    echo_json([_client(row) for row in list_clients(operator_actor())])


def _client(row: ServiceClient) -> dict[str, Any]:
    told = {"id": row.id, "name": row.name, "scopes": row.scopes, "rate_per_minute": row.rate_per_minute}
    return {**told, "disabled_at": row.disabled_at}


@main.command()
@click.option("--users", type=click.IntRange(1, 2_000_000), default=200, show_default=True)
@click.option("--logs", type=click.IntRange(0, 5_000_000), default=2000, show_default=True)
@click.option("--seed", "number", type=int, default=1, show_default=True, help="The same seed gives the same data.")
@click.option("--credentials", type=click.Path(dir_okay=False, path_type=Path), help="Write sign-ins and tokens here.")
def seed(users: int, logs: int, number: int, credentials: Path | None) -> None:
    """Make demo data: people, plans, 60 days of usage, conversations."""
    settings = load_settings(log_level="error")
    if settings.production:
        fail("demo data is not for production")
    with opened(ready_app(settings)):
        made = seed_demo(users=users, logs=logs, seed=number)
        seal_left()
    if credentials:
        descriptor = os.open(credentials, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(made, file, indent=2)
    click.echo(f"made {users} users and {logs} message logs")


@main.group()
def jobs() -> None:
    """Jobs: list, run."""


@jobs.command("list")
@in_frame
def jobs_list() -> None:
    """Every job and its last run."""
    for job in JOBS.values():
        run = latest_run(job.name)
        said = f"{run.outcome} {run.started_at:%Y-%m-%d %H:%M:%S}Z {run.summary}" if run else "has not run"
        click.echo(f"{job.name:22} {said}")


@jobs.command("run")
@click.argument("name")
@in_frame
def jobs_run(name: str) -> None:
    """Run a job now and print what came of it."""
    if name not in JOBS:
        raise NotFound(f"there is no job {name}; there are: {', '.join(JOBS)}")
    run = run_job(name, by_hand=True)
    if run is None or run.outcome != "done":
        raise PortalError(f"{name} failed: {run.summary if run else ''}")
    click.echo(run.summary)


@main.command()
@click.option("--json", "as_json", is_flag=True)
def routes(as_json: bool) -> None:
    """Every route with its audience and capability."""
    app = create_app(load_settings(log_level="error"))
    listed = [
        {
            "route": one.route,
            "methods": one.methods,
            "endpoint": one.endpoint,
            "audience": one.audience,
            "capability": " or ".join(one.capabilities) or None,
        }
        for one in list_routes(app)
    ]
    if as_json:
        echo_json(listed)
        return
    for row in listed:
        click.echo(f"{row['audience']:8} {','.join(row['methods'] or ()):10} {row['route']}  {row['capability'] or ''}")


@main.group()
def users() -> None:
    """Users: list, show."""


@users.command("list")
@click.option("--search", default="")
@in_frame
def users_list(search: str) -> None:
    """The newest users, or those that match."""
    page = list_users(operator_actor(), UserFilter(search=search))
    echo_json([{"id": one.id, "username": one.username, "email": one.email, "state": one.state} for one in page.items])


@users.command("show")
@click.argument("name")
@in_frame
def users_show(name: str) -> None:
    """One user by username or e-mail."""
    found = account_named(name)
    user = user_record(operator_actor(), found.id) if found else None
    if user is None:
        raise NotFound(f"there is no user {name}")
    echo_json(
        {
            "id": user.id,
            "username": user.username,
            "email": user.email,
            "state": user.state,
            "time_zone": user.time_zone,
        }
    )
