"""/account/conversations: read and search one's own."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.messages.reading import models_of, own_conversation, own_conversations
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed

blueprint = Blueprint("conversations", __name__, url_prefix="/conversations")


@blueprint.get("")
@requires(Capability.OWN_CONVERSATIONS)
def index() -> ResponseReturnValue:
    """One page of conversations, narrowed by words and model."""
    who = actor()
    search, model = typed("q"), typed("model")
    page = own_conversations(who, search=search, model=model, cursor=request.args.get("cursor"))
    return render_template(
        "account/conversations/index.html",
        page=page,
        q=search,
        model=model,
        models=models_of(who.id) if who.id else [],
    )


@blueprint.get("/<uuid:conversation_id>")
@requires(Capability.OWN_CONVERSATIONS)
def show(conversation_id: UUID) -> ResponseReturnValue:
    """One conversation, oldest words first."""
    conversation, exchanges = own_conversation(actor(), conversation_id)
    return render_template("account/conversations/show.html", conversation=conversation, exchanges=exchanges)
