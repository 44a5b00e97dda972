"""`doorward networks`: from where staff and admins may sign in, and the way back in for whoever shut all out."""

from __future__ import annotations

import click

from portal.cli.frame import echo_json, in_frame
from portal.core.access import operator_actor
from portal.signin.networks import KINDS, clear_networks, list_networks


@click.group()
def networks() -> None:
    """Networks of staff and admins: list, clear."""


@networks.command("list")
@in_frame
def networks_list() -> None:
    """The networks of each kind, and which of the two lists holds."""
    echo_json(
        [
            {
                "kind": one.kind,
                "settings": one.given,
                "console": [row.network for row in one.listed],
                "holds": "settings" if one.given else "console" if one.listed else "none: from everywhere",
            }
            for one in list_networks(operator_actor())
        ]
    )


@networks.command("clear")
@click.option("--kind", type=click.Choice(KINDS), required=True)
@in_frame
def networks_clear(kind: str) -> None:
    """Take what the console put down off the list, so that signing in is open from everywhere again.

    Networks of the settings are not touched: change STAFF_ALLOWED_NETWORKS or ADMIN_ALLOWED_NETWORKS and start again.
    """
    echo_json({"kind": kind, "removed": clear_networks(operator_actor(), kind)})
