"""doorward account: help for whoever is shut out."""

from __future__ import annotations

import click

from portal.cli.frame import in_frame, named_account
from portal.core.access import operator_actor
from portal.signin.factor_reset import reset_factors
from portal.signin.rescue import hand_out_reset_link, unlock


@click.group()
def account() -> None:
    """One account: reset-link, reset-factor, unlock."""


@account.command("reset-link")
@click.argument("name")
@in_frame
def reset_link(name: str) -> None:
    """Print a link that sets a new password, for whoever cannot get mail. It works once, within an hour."""
    click.echo(hand_out_reset_link(operator_actor(), named_account(name).id))


@account.command("reset-factor")
@click.argument("name")
@in_frame
def reset_factor(name: str) -> None:
    """Take away authenticator app, passkeys and recovery codes of whoever lost them; ends the sessions."""
    found = reset_factors(operator_actor().because("asked for at the command line"), named_account(name).id)
    click.echo(f"{found.username} has no second factor any more")


@account.command("unlock")
@click.argument("name")
@in_frame
def unlock_command(name: str) -> None:
    """Forget failed sign-ins of an account and lift its lock."""
    found = unlock(operator_actor(), named_account(name).id)
    click.echo(f"{found.username} may try again")
