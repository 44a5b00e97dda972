"""`doorward audit`: check the chain of the audit log."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from portal.audit.roots import BadAnchor
from portal.audit.verifying import verify_chain
from portal.cli.frame import fail, in_frame
from portal.core.access import operator_actor

BROKEN = 1


@click.group()
def audit() -> None:
    """The audit log: check that nobody altered it."""


@audit.command("verify")
@click.option(
    "--roots",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A copy of audit-roots.jsonl kept where nobody with this machine could change it.",
)
def audit_verify(roots: Path | None) -> None:
    """Walk the whole chain; name the first entry that is not as it was sealed.

    Ends with 0 when all is whole, else with 1.
    """
    sound = []

    @in_frame
    def check() -> None:
        try:
            verdict = verify_chain(operator_actor(), roots=roots)
        except BadAnchor as error:
            fail(str(error))
        except OSError as error:
            fail(f"{roots or error.filename} cannot be read: {error.strerror}")
        click.echo(str(verdict))
        sound.append(verdict.fault is None)

    check()
    if not all(sound):
        sys.exit(BROKEN)
