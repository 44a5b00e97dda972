"""Templates: no word that is not translated, nothing inline, nothing unescaped, a token in every form that posts."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import jinja2
import pytest
from jinja2 import nodes

from portal.core.places import templates_dir
from tests.structure.source import Module, imports_of, portal_modules

if TYPE_CHECKING:
    from collections.abc import Iterator

Attributes = list[tuple[str, str | None]]
# Stand in for what an expression gives: one that holds the token of a form, and any other.
TOKEN, GIVEN = "\ue001", "\ue000"
# Words in these attributes are read by people.
READ = {"title", "aria-label", "aria-description", "placeholder", "alt", "label", "data-copied"}
CODE = {"code", "pre", "kbd", "samp", "script", "style"}
TRANSLATORS = {"_", "gettext", "ngettext"}
# Names of programs and systems, the same in every language.
NAMES = {
    *("Edg", "Edge", "Opera", "Firefox", "Chrome", "Safari"),
    *("Android", "Windows", "CrOS", "ChromeOS", "Mac OS X", "Linux"),
}
# Read by machines although they stand between tags: an address of this site, a line for a shell, the width of a page.
ADDRESS = re.compile(GIVEN + r"(/[\w-]+)+")
SHELL_LINE = re.compile(r"\s*curl ")
WIDTH = re.compile(r"{% block width %}(narrow|wide){% endblock %}")
SENTENCE = re.compile(r"[A-Z][a-z]+|.*[a-z][.!?:]$", re.S)


@cache
def environment() -> jinja2.Environment:
    """Jinja as the pages have it, for reading only."""
    return jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)


def skeleton(source: str) -> str:
    """The markup with each expression as one sign and each block as a blank, on the same lines as before."""
    pieces: list[str] = []
    inside: list[str] | None = None
    for _, kind, value in environment().lex(WIDTH.sub("", source)):
        if kind in {"variable_begin", "block_begin", "comment_begin", "raw_begin"}:
            inside = [value]
        elif kind in {"variable_end", "block_end", "comment_end", "raw_end"} and inside is not None:
            whole = "".join([*inside, value])
            sign = " " if kind != "variable_end" else TOKEN if "csrf" in whole else GIVEN
            pieces.append(sign + "\n" * whole.count("\n"))
            inside = None
        elif inside is not None:
            inside.append(value)
        else:
            pieces.append(value)
    return "".join(pieces)


class Reader(HTMLParser):
    """Walks the skeleton of a template and writes down what is wrong with it."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.code = 0
        self.form: str | None = None

    def fault(self, words: str, below: int = 0) -> None:
        """Write one down, with its line."""
        self.faults.append(f"{self.getpos()[0] + below}: {words}")

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """Look at a tag and its attributes."""
        given = dict(attrs)
        self.code += tag in CODE
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.fault(f"inline {tag}")
        if tag == "form":
            posts = (given.get("method") or "").lower() == "post"
            self.form = f"form to {given.get('action')} has no token" if posts else None
        for name, value in attrs:
            if name == "style" or name.startswith(("on", "hx-on", "data-hx-on")):
                self.fault(f"attribute {name}")
            if (value or "").strip().lower().startswith(("javascript:", "js:", "data:")):
                self.fault(f"{name} leads to {value}")
            if name in READ and has_words(value or ""):
                self.fault(f"{name} {value!r} is not translated")
            self.look_for_token(value or "")

    def handle_endtag(self, tag: str) -> None:
        """Leave code or a form behind."""
        self.code -= tag in CODE
        if tag == "form" and self.form:
            self.fault(self.form)
            self.form = None

    def handle_data(self, data: str) -> None:
        """Look at a text."""
        self.look_for_token(data)
        for below, line in enumerate(data.split("\n")):
            bare = "" if self.code or SHELL_LINE.match(line) else ADDRESS.sub("", line)
            if has_words(bare):
                self.fault(f"{bare.strip()!r} is not translated", below)

    def look_for_token(self, text: str) -> None:
        """The form has its token once one stands in it."""
        if TOKEN in text:
            self.form = None


def has_words(text: str) -> bool:
    """Whether somebody would read this."""
    return any(sign.isalpha() for sign in text)


def literal_words(node: nodes.Node) -> Iterator[str]:
    """Strings that look like words for people and go through no translator: given to macros, set, or shown."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Call) and isinstance(child.node, nodes.Name) and child.node.name in TRANSLATORS:
            continue
        if isinstance(child, nodes.Compare | nodes.FromImport | nodes.Extends | nodes.Include):
            continue
        if isinstance(child, nodes.Const) and isinstance(child.value, str):
            if SENTENCE.match(child.value) and child.value not in NAMES and "/" not in child.value:
                yield f"{child.lineno}: {child.value!r} is not translated"
        else:
            yield from literal_words(child)


def template_faults(source: str) -> list[str]:
    """Everything wrong with a template, each with its line."""
    reader = Reader()
    reader.feed(skeleton(source))
    reader.close()
    tree = environment().parse(source)
    unescaped = [f"{one.lineno}: |safe" for one in tree.find_all(nodes.Filter) if one.name == "safe"]
    unescaped += ["0: autoescape is switched"] if re.search(r"{%-?\s*autoescape", source) else []
    return reader.faults + unescaped + list(literal_words(tree))


def test_templates_are_translated_escaped_and_hold_nothing_inline() -> None:
    files = sorted(path for path in templates_dir().rglob("*.*") if path.suffix in {".html", ".txt"})
    faults = [
        f"{path.relative_to(templates_dir())}:{fault}" for path in files for fault in template_faults(path.read_text())
    ]
    assert len(files) > 40
    assert faults == []


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("<p>Hello</p>", "'Hello' is not translated"),
        ("{% block title %}Users{% endblock %}", "'Users' is not translated"),
        ('<button aria-label="Close">{{ icon("x") }}</button>', "aria-label 'Close' is not translated"),
        ('<input placeholder="Search {{ what }}">', "placeholder"),
        ('{{ panel("Today") }}', "'Today' is not translated"),
        ('{{ "none yet." }}', "'none yet.' is not translated"),
        ('{% call panel("Sign in here") %}{% endcall %}', "'Sign in here' is not translated"),
        ('{{ notice(_("Fine") if fine else "Not fine.", "green") }}', "'Not fine.' is not translated"),
        ("<script>go()</script>", "inline script"),
        ("<style>p {}</style>", "inline style"),
        ('<p style="color: red">{{ x }}</p>', "attribute style"),
        ('<a onclick="go()">{{ x }}</a>', "attribute onclick"),
        ('<a hx-on:click="go()">{{ x }}</a>', "attribute hx-on:click"),
        ('<a href="javascript:go()">{{ x }}</a>', "href leads to javascript:go()"),
        ("<p>{{ x|safe }}</p>", "|safe"),
        ('<p>{{ (x ~ "<br>")|safe|trim }}</p>', "|safe"),
        ("{% autoescape false %}{{ x }}{% endautoescape %}", "autoescape is switched"),
        ('<form method="post" action="/x"><button>{{ x }}</button></form>', "form to /x has no token"),
        ('<form method="POST"></form>{{ form.csrf_token }}', "has no token"),
    ],
)
def test_a_bad_template_is_reported(planted: str, fault: str) -> None:
    (said,) = template_faults(planted)
    assert fault in said


@pytest.mark.parametrize(
    "fine",
    [
        '<p class="muted">{{ _("Hello %(name)s,", name=name) }} · 12 %</p>',
        '<form method="post">{{ form.csrf_token }}<button>{{ _("Go") }}</button></form>',
        '<form method="get"><input name="q" aria-label="{{ _("Words") }}"></form>',
        '<pre>curl {{ site_url }}/api/v1/keys/verify</pre>{# A remark. #}{% if kind == "HiddenField" %}{% endif %}',
        '<a href="{{ site_url }}/forgotten">{{ site_url }}/forgotten</a>{% block width %}wide{% endblock %}',
    ],
)
def test_a_good_template_is_not(fine: str) -> None:
    assert template_faults(fine) == []


def test_the_line_of_a_fault_is_told() -> None:
    assert template_faults('{{ _("a",\n  b=1) }}\n{# x\n #}<p>Hello</p>') == ["4: 'Hello' is not translated"]


def test_python_makes_no_markup_of_its_own() -> None:
    made = [
        f"{module.name}:{found.line}"
        for module in portal_modules()
        for found in imports_of(module)
        if "markupsafe" in found.target or found.target.endswith((".Markup", ".render_template_string"))
    ]
    assert made == []


def test_markup_made_in_python_would_be_seen() -> None:
    text = "from markupsafe import Markup\nfrom flask import render_template_string\n"
    assert [found.target for found in imports_of(Module("portal.web.faces", text))] == [
        "markupsafe.Markup",
        "flask.render_template_string",
    ]
