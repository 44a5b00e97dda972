"""Whatever a person is shown goes through gettext: labels of fields, messages, errors, navigation."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.structure.source import Module, portal_modules, string_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LAZY = {"portal.core.text.lazy_gettext"}
TRANSLATORS = LAZY | {"portal.core.text.gettext", "portal.core.text.ngettext"}
ERRORS = {
    *("PortalError", "Malformed", "Unauthenticated", "SignInNeeded", "FactorNeeded", "Forbidden", "NotFound"),
    *("Conflict", "Stale", "TooLarge", "UnsupportedType", "Invalid", "LimitReached", "Unavailable"),
    "CaseNeeded",
}
# What is called with words for people, and how many of the arguments in front hold them.
SAYERS = {
    "flask.flash": 1,
    "portal.web.navigation.Entry": 1,
    "portal.mail.outbox.write_mail": 0,
    "portal.core.text.BadName": 1,
    "portal.messages.shape.BadRecord": 1,
    **{f"portal.core.errors.{name}": 2 for name in ERRORS},
}
# The command line speaks to whoever runs the machine, in the language of its options.
NOT_TRANSLATED = {"cli", "demo"}


def said_plainly(node: ast.AST | None) -> Iterator[ast.AST]:
    """The literal words in an argument: as they stand, in a dict's values, in a choice, put together, or a default."""
    if isinstance(node, ast.Dict):
        for value in node.values:
            yield from said_plainly(value)
    elif isinstance(node, ast.IfExp):
        yield from said_plainly(node.body)
        yield from said_plainly(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from said_plainly(value)
    elif isinstance(node, ast.BinOp):
        yield from said_plainly(node.left)
        yield from said_plainly(node.right)
    elif isinstance(node, ast.JoinedStr) or (string_of(node) or "").strip():
        assert node is not None
        yield node


def untranslated(modules: Iterable[Module]) -> list[str]:
    """Each literal that is shown to a person as it stands."""
    faults = []
    for module in modules:
        if module.folder in NOT_TRANSLATED:
            continue
        for node in ast.walk(module.tree):
            name = module.dotted(node.func) if isinstance(node, ast.Call) else ""
            own = f"{module.name}.{name}" if "." not in name else name
            if not isinstance(node, ast.Call) or (name not in SAYERS and own not in SAYERS):
                continue
            said = node.args[: SAYERS.get(name, SAYERS.get(own, 1))]
            said += [word.value for word in node.keywords if word.arg in {"words", "fields", "message"}]
            said += node.args[2:3] if name.endswith("write_mail") else []
            for words in (found for part in said for found in said_plainly(part)):
                faults.append(f"{module.name}:{node.lineno} says {ast.unparse(words)}")
    return faults


def form_faults(modules: Iterable[Module]) -> list[str]:
    """Each field that people see without a lazy label, and each message of a validator that is not lazy."""
    faults = []
    for module in modules:
        for form in (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)):
            if not any(module.dotted(base) == "flask_wtf.FlaskForm" for base in form.bases):
                continue
            for line in form.body:
                field = line.value if isinstance(line, ast.Assign) else None
                if not isinstance(field, ast.Call) or not module.dotted(field.func).startswith("wtforms."):
                    continue
                where = f"{module.name}:{field.lineno} {form.name}.{ast.unparse(line).partition(' ')[0]}"
                if module.dotted(field.func) != "wtforms.HiddenField" and not is_lazy(module, label_of(field)):
                    faults.append(f"{where} has no label in words that wait")
        faults += [
            f"{module.name}:{node.lineno} says {ast.unparse(argument)}"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and module.dotted(node.func).startswith("wtforms.validators.")
            for argument in [*node.args[:1], *(word.value for word in node.keywords if word.arg == "message")]
            if string_of(argument) and not module.dotted(node.func).endswith("EqualTo")
        ]
    return faults


def label_of(field: ast.Call) -> ast.AST | None:
    """The label of a field, as given."""
    named = [word.value for word in field.keywords if word.arg == "label"]
    return field.args[0] if field.args else named[0] if named else None


def is_lazy(module: Module, node: ast.AST | None) -> bool:
    """Whether this is lazy_gettext of a literal: decided when shown, found by whoever collects the words."""
    return (
        isinstance(node, ast.Call)
        and module.dotted(node.func) in LAZY
        and bool(node.args)
        and bool(string_of(node.args[0]))
    )


def unfindable(modules: Iterable[Module]) -> list[str]:
    """Each call of a translator whose words are not a literal, so that nobody who collects them finds them."""
    return [
        f"{module.name}:{node.lineno} {ast.unparse(node)}"
        for module in modules
        if module.name != "portal.core.text"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and module.dotted(node.func) in TRANSLATORS and not string_of(node.args[0])
    ]


def test_everything_said_to_people_is_translated() -> None:
    assert untranslated(portal_modules()) == []


def test_plain_words_are_reported_wherever_they_are_said() -> None:
    head = (
        "from flask import flash\nfrom portal.core.errors import Conflict, Invalid\n"
        "from portal.core.text import BadName, gettext\nfrom portal.web.navigation import Entry\n"
    )
    for call in (
        'flash("Saved.", "green")',
        'flash(f"{name} is paused.", "green")',
        'flash(gettext("Saved.") if done else "Failed.", "red")',
        'raise Conflict("Too late.")',
        'raise Invalid({"name": "Give it a name."})',
        'raise Invalid({}, "Wrong.")',
        'raise Invalid(words="Wrong.")',
        'raise BadName("At most " + most)',
        'Entry("Home", "account.home.index", "home", None)',
    ):
        assert len(untranslated([Module("portal.pages.account.keys", head + call)])) == 1, call
    good = 'flash(gettext("Saved."), "green")\nraise Invalid({"name": gettext("Give it a name.")}, trace=())'
    assert untranslated([Module("portal.pages.account.keys", head + good)]) == []


def test_every_field_has_a_label_in_words_that_wait() -> None:
    assert form_faults(portal_modules()) == []


def test_a_field_without_words_that_wait_is_reported() -> None:
    head = (
        "from flask_wtf import FlaskForm\nfrom wtforms import HiddenField, StringField\n"
        "from wtforms.validators import InputRequired, Length\n"
        "from portal.core.text import gettext, lazy_gettext as words\nclass F(FlaskForm):\n    "
    )
    for line in (
        'name = StringField("Name")',
        "name = StringField()",
        'name = StringField(gettext("Name"))',
        'name = StringField(words("Name"), [InputRequired("Give a name.")])',
        'name = StringField(words("Name"), [Length(max=9, message="Too long.")])',
    ):
        assert len(form_faults([Module("portal.pages.account.keys", head + line)])) == 1, line
    good = 'next = HiddenField()\n    name = StringField(words("Name"), [InputRequired(words("Give a name."))])'
    assert form_faults([Module("portal.pages.account.keys", head + good)]) == []


def test_translators_are_given_literals() -> None:
    assert unfindable(portal_modules()) == []
    bad = Module("portal.keys.service", 'from portal.core.text import gettext\ngettext(f"{name} is gone")\n')
    assert len(unfindable([bad])) == 1
