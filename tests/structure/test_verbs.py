"""Every verb says who may, and every verb that changes something says so in the audit log."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.structure.source import Module, portal_modules, string_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

GUARDS = {"portal.core.access.needs", "portal.core.access.open_to_all"}
RECORD = "portal.audit.record.record"
SESSION_CHANGES = {"add", "add_all", "delete", "merge", "bulk_save_objects", "bulk_insert_mappings"}
STATEMENTS = re.compile(r"sqlalchemy(\.dialects\.\w+)?\.(insert|update|delete)$")
SQL_CHANGES = re.compile(r"\s*(INSERT INTO|UPDATE \w+ SET|DELETE FROM) ")

# Public, first parameter `actor`, and not for a door to call: what each is instead.
NOT_VERBS = {
    "portal.core.access.outranks": "a question about ranks, asked by verbs",
    RECORD: "how verbs write their entry",
    "portal.core.access.check_recent": "a rule that verbs apply: how long ago the actor proved who they are",
    "portal.core.access.check_grounds": "a rule that verbs apply: staff act in a case, admins for a reason",
    "portal.core.access.check_case": "a rule that verbs apply: the case is about the user they act on",
    "portal.support.viewing.check_viewing": "a rule that verbs apply: the pages of this user are open to the actor",
    "portal.support.cases.find_held_case": "a question of the desk's verbs, about cases of the actor's own",
    "portal.support.cases.close_idle_cases": "the job that ends what nobody uses; each leaves its entry",
    "portal.support.cases.close_cases_of": "how the deletion of a user ends their cases; each leaves its entry",
    "portal.support.cases.within_case": "how verbs of the desk write their entries under a case",
    "portal.support.cases.change_held": "a rule that verbs apply: the case is the actor's; they record what they did",
    "portal.support.handing.level_of": "a question about ranks",
    "portal.support.handing.open_to": "the condition of the queue: what the actor may take",
    "portal.signin.entry.check_password_of": "the first half of signing in, for pages and tokens alike",
    "portal.signin.entry.check_factor_of": "the second half, for pages and tokens alike",
    "portal.signin.entry.check_network": "the last check that every way in applies",
    "portal.signin.entry.check_may_enter": "the checks that every way in applies to whoever showed who they are",
    "portal.signin.entry.admit": "how every way in lets in whoever passed those checks",
    "portal.signin.entry.refusal": "the error of a refused sign-in, with its trace",
    "portal.signin.factor_reset.stands_above": "a question about ranks",
    "portal.signin.recovery.make_recovery_codes": "how verbs that set up the first factor make its codes",
    "portal.outside.arrivals.arrive": "how who comes back from a provider is let in, once `come_back` believes it",
    "portal.signin.reauth.counters_of": "what counts the wrong answers to being asked again, for every way to answer",
    "portal.signin.reauth.wrong_answer": "the trace of each of them",
    "portal.signin.sessions.renew_session": "how verbs give the actor's own session another secret",
    "portal.signin.sessions.keep_only_session": "how verbs end every session but the actor's own",
    "portal.accounts.zones.move_account": "how verbs put an account into another zone",
    "portal.accounts.lifecycle.check_managed": "a rule that verbs apply to the account they act on",
    "portal.accounts.lifecycle.check_outranked": "the same, of its rank alone",
    "portal.usage.credits.most_adjusted": "a bound that a verb applies and pages tell",
    "portal.accounts.lifecycle.checked_level": "a rule that verbs apply to what was typed",
    "portal.accounts.lifecycle.checked_permissions": "a rule that verbs apply to what was typed",
    "portal.keys.verify.ask_about": "the checks of a key that verify and leases share",
    "portal.usage.spending.spend_in": "the hot statements behind verify, consume and leases, which checked who asks",
    "portal.usage.verdicts.decide": "how verify and consume decide, which checked who asks",
    "portal.usage.verdicts.judge_in": "one question of theirs",
    "portal.usage.verdicts.tell_of_nobody": "their answer where there is nobody to decide about",
    "portal.usage.refusals.refuse_in": "how they write a refusal down",
    "portal.usage.leases.take_lease": "the lease behind both verbs, which checked who asks",
    "portal.work.long_work.begin_work": "how verbs ask for long work: they checked who asks, and record it",
    "portal.messages.export_rows.batches_of": "the rows of an export, whose words `open_contents` opens for the actor",
    "portal.messages.export_rows.rows_of": "the same, before they are lines of a file",
    "portal.usage.ledger.by": "the actor as an entry of the ledger names it",
}
# Verbs that write rows and no audit entry, and why that is right.
UNRECORDED = {
    "portal.accounts.preferences.choose_theme": "how one's own pages look, and nothing else",
    "portal.signin.confirmation.ask_for_confirmation": "mails a link; its POST is what changes something",
    "portal.privacy.own_data.stop_archive": "the same, of an archive of one's own data",
    "portal.privacy.own_data.drop_archive": "deletes one's own file; that it was made is recorded",
    "portal.signin.authenticator.begin_authenticator": "a step of this browser: the app counts once confirmed",
    "portal.signin.passkey_entry.begin_entering": "a challenge for this browser: whoever answers it leaves an entry",
    "portal.signin.passkey_entry.begin_factor": "the same, for a second factor",
    "portal.signin.passkey_entry.enter_with_passkey": "`enter_with_factor`, in which it ends, records it",
    "portal.signin.passkey_entry.prove_with_passkey": "`note_proof`, in which it ends, records it",
    "portal.signin.own_passkeys.begin_adding": "the same, for a new passkey",
    "portal.signin.passkey_entry.begin_proving": "the same, to show again who it is",
    "portal.signin.codes.give_up": "drops what this browser had begun and not finished",
    "portal.work.long_work.stop_work": "ends one's own work early; what was done of it is recorded by who began it",
    "portal.messages.exporting.stop_export": "the same, of an export",
    "portal.messages.exporting.drop_export": "deletes one's own file; what it held was recorded when it was asked for",
    "portal.clients.status_checks.post_status_check": "a sign of life every few seconds: its row says who and when",
    "portal.outside.trips.begin_sign_in": "a step in a browser; what comes of it is recorded",
    "portal.outside.trips.begin_link": "the same",
    "portal.outside.trips.begin_proof": "the same",
    "portal.outside.managing.try_provider": "keeps what a provider says of itself, in memory",
    "portal.outside.managing.try_given": "the same",
    "portal.insight.audit_check.begin_check": "asks for a long work, which leaves its entry with what it found",
    "portal.support.cases.in_case": "notes that the case was used; the act that follows is recorded with it",
    "portal.support.notes.notes_of": "notes that whoever is named in a note has seen it; nobody's record changes",
    "portal.support.notes.mentions_of": "the same",
    "portal.insight.figures.dashboard": "counts afresh what can always be counted again; nobody's record changes",
}


@dataclass(frozen=True)
class House:
    """The functions of all modules by dotted name."""

    modules: dict[str, Module]

    @classmethod
    def of(cls, modules: Iterable[Module]) -> House:
        """The house of these modules."""
        return cls({module.name: module for module in modules})

    def function(self, name: str) -> tuple[Module, ast.FunctionDef] | None:
        """The module and tree of a function of ours."""
        owner, _, last = name.rpartition(".")
        module = self.modules.get(owner)
        return (module, module.functions[last]) if module and last in module.functions else None

    def reached(self, name: str, stop: Callable[[str], bool]) -> Iterator[tuple[Module, ast.FunctionDef]]:
        """The function and every one of ours that it calls, however deep, but none for which `stop` holds."""
        waiting, seen = [name], {name}
        while waiting:
            found = self.function(waiting.pop())
            if found is None:
                continue
            yield found
            module, function = found
            called = {module.dotted(node.func) for node in inside(function) if isinstance(node, ast.Call)}
            fresh = {one for one in called - seen if not stop(one)}
            seen |= fresh
            waiting += fresh

    def is_verb(self, name: str) -> bool:
        """Whether the function wears a guard."""
        found = self.function(name)
        return found is not None and wears_guard(*found)


def inside(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Everything in the body of a function, its decorators left out."""
    for statement in function.body:
        yield from ast.walk(statement)


def wears_guard(module: Module, function: ast.FunctionDef) -> bool:
    """Whether the function wears @needs(…) or @open_to_all(…)."""
    return any(isinstance(one, ast.Call) and module.dotted(one.func) in GUARDS for one in function.decorator_list)


def takes_actor(function: ast.FunctionDef) -> bool:
    """Whether the first parameter is `actor`."""
    given = [*function.args.posonlyargs, *function.args.args]
    return bool(given) and given[0].arg == "actor"


def changes(module: Module, function: ast.FunctionDef) -> bool:
    """Whether the function itself adds, changes or deletes rows."""
    for node in inside(function):
        if isinstance(node, ast.Call):
            name = module.dotted(node.func)
            if name == "setattr" or (".session." in name and name.rpartition(".")[2] in SESSION_CHANGES):
                return True
        if isinstance(node, ast.Name) and STATEMENTS.match(module.dotted(node)):
            return True
        if SQL_CHANGES.match(string_of(node) or ""):
            return True
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) != "self":
            return True
    return False


def records_change(module: Module, node: ast.AST) -> bool:
    """Whether this writes the entry of something done; the entry of a refusal is none."""
    if not isinstance(node, ast.Call) or module.dotted(node.func) != RECORD:
        return False
    return not any(word.arg == "result" and string_of(word.value) == "refused" for word in node.keywords)


def bare_verbs(modules: Iterable[Module]) -> list[str]:
    """Each public function of a feature that takes an actor and does not say who may; each guard on something else."""
    faults = []
    for module in modules:
        if not module.is_feature:
            continue
        for name, function in module.functions.items():
            wears = wears_guard(module, function)
            if wears and not takes_actor(function):
                faults.append(f"{module.name}.{name} wears a guard and takes no actor")
            if name.startswith("_") or wears or not takes_actor(function):
                continue
            if f"{module.name}.{name}" not in NOT_VERBS:
                faults.append(f"{module.name}.{name} says not who may")
    return faults


def silent_verbs(modules: Iterable[Module]) -> list[str]:
    """Each verb that changes something, itself or through what is no verb, and writes no audit entry."""
    house = House.of(modules)
    faults = []
    for module in house.modules.values():
        for name in module.functions:
            verb = f"{module.name}.{name}"
            if not house.is_verb(verb) or verb in UNRECORDED:
                continue
            parts = list(house.reached(verb, lambda one: one == RECORD or house.is_verb(one)))
            records = any(records_change(owner, node) for owner, part in parts for node in inside(part))
            if not records and any(changes(owner, part) for owner, part in parts):
                faults.append(f"{verb} changes something and records nothing")
    return faults


def changes_past_verbs(modules: Iterable[Module]) -> list[str]:
    """Each call from a page or route to something that changes rows and is no verb: nobody asked who may."""
    house = House.of(modules)
    faults = []
    for module in house.modules.values():
        if module.folder not in {"pages", "api"}:
            continue
        for node in ast.walk(module.tree):
            name = module.dotted(node.func) if isinstance(node, ast.Call) else ""
            found = house.function(name)
            if found is None or not found[0].is_feature or house.is_verb(name):
                continue
            if any(changes(*part) for part in house.reached(name, house.is_verb)):
                faults.append(f"{module.name} calls {name}")
    return faults


HEAD = """
from portal.audit.record import record
from portal.core.access import needs
from portal.core.database import db
from sqlalchemy import update
"""


def planted(text: str) -> list[Module]:
    """A feature of this text."""
    return [Module("portal.keys.planted", HEAD + text)]


def test_every_verb_says_who_may() -> None:
    assert bare_verbs(portal_modules()) == []


def test_a_bare_verb_is_reported() -> None:
    bad = "def drop_key(actor, key_id): ...\n"
    assert bare_verbs(planted(bad)) == ["portal.keys.planted.drop_key says not who may"]
    assert bare_verbs(planted(f"@needs(1)\n{bad}")) == []
    assert bare_verbs([Module("portal.keys.planted", f"@needs(1)\n{bad}")]) != [], "a guard of another origin"


def test_a_guard_without_an_actor_is_reported() -> None:
    assert bare_verbs(planted("@needs(1)\ndef drop_key(key_id): ...\n")) != []


def test_the_exceptions_are_still_there() -> None:
    house = House.of(portal_modules())
    gone = [name for name in [*NOT_VERBS, *UNRECORDED] if house.function(name) is None]
    assert gone == []
    assert [name for name in UNRECORDED if not house.is_verb(name)] == []


def test_every_change_leaves_an_entry() -> None:
    assert silent_verbs(portal_modules()) == []


def test_a_silent_change_is_reported_however_it_is_made() -> None:
    ways = (
        "db.session.add(key)",
        "db.session.delete(key)",
        "key.name = 'x'",
        "setattr(key, 'name', 'x')",
        "db.session.execute(update(key))",
        "db.session.execute('DELETE FROM api_keys ')",
        "_change(key)",
    )
    helper = "\ndef _change(key):\n    key.name = 'x'\n"
    for way in ways:
        bad = planted(f"@needs(1)\ndef change_key(actor, key):\n    {way}\n{helper}")
        assert silent_verbs(bad) == ["portal.keys.planted.change_key changes something and records nothing"], way


def test_a_recorded_change_is_fine_also_through_a_helper() -> None:
    verb = "@needs(1)\ndef change_key(actor, key):\n    key.name = 'x'\n    _note(actor)\n"
    assert silent_verbs(planted(verb + "def _note(actor):\n    record(actor, 1)\n")) == []
    assert silent_verbs(planted(verb + "def _note(actor):\n    record(actor, 1, result='refused')\n")) != []


def test_doors_change_things_through_verbs_only() -> None:
    assert changes_past_verbs(portal_modules()) == []


def test_a_door_that_goes_past_the_verbs_is_reported() -> None:
    feature = planted("def drop_key(key):\n    db.session.delete(key)\n")
    page = Module("portal.pages.account.keys", "from portal.keys.planted import drop_key\ndrop_key(1)\n")
    assert changes_past_verbs([*feature, page]) == ["portal.pages.account.keys calls portal.keys.planted.drop_key"]
