"""What is asked of every page that any test fetches: valid HTML, one h1, a title, labelled fields, a CSRF token
in each form that posts, no duplicate ids, no inline script or style, headers that forbid the rest."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import html5lib
import lxml.html

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# A browser mends these without harm, and templates cannot always avoid them.
MENDED: frozenset[str] = frozenset()
VOID_TYPES = {"hidden", "submit", "button", "reset", "image"}
# Words and values in which nothing can be wrong: pages that differ in these alone have the same markup.
PLAIN_TEXT = re.compile(r">(?:[^<>&]|&(?:amp|lt|gt|quot|#34|#39);)+<")
PLAIN_VALUE = re.compile(r'="(?:[^"<>&]|&(?:amp|lt|gt|quot|#34|#39);)*"')


@lru_cache(maxsize=16)
def parse(html: str) -> Element:
    """The page as a tree, which others look at too: change nothing in it."""
    tree: Any = lxml.html.document_fromstring(html, parser=lxml.html.HTMLParser(remove_comments=True, remove_pis=True))
    for field in tree.iter("textarea"):  # by the standard a line break right at the start is none
        field.text = re.sub(r"\A\r?\n", "", field.text or "")
    return tree  # type: ignore[no-any-return]  # has all that is asked of an Element


def markup_faults(html: str) -> list[str]:
    """What is wrong with the markup, by the standard's own parser, which is slow: of pages that are alike, once."""
    return list(_faults_of_markup(PLAIN_VALUE.sub('="v"', PLAIN_TEXT.sub(_shortened, html))))


def _shortened(found: re.Match[str]) -> str:
    # Blanks stay blanks: there are places where nothing else may stand.
    return "> <" if found[0][1:-1].isspace() else ">t<"


@lru_cache(maxsize=2000)
def _faults_of_markup(html: str) -> tuple[str, ...]:
    parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False)
    parser.parse(html)
    return tuple(f"markup at {where}: {code}" for where, code, _ in parser.errors if code not in MENDED)


def faults_of(html: str) -> list[str]:
    """Everything wrong with the page, in words; empty when it is as it should be."""
    tree = parse(html)
    faults = markup_faults(html)
    faults += _heading_faults(tree)
    faults += _id_faults(tree)
    faults += _field_faults(tree)
    faults += _form_faults(tree)
    faults += _inline_faults(tree)
    return faults


def _text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _heading_faults(tree: Element) -> list[str]:
    faults = []
    if len(list(tree.iter("h1"))) != 1:
        faults.append(f"{len(list(tree.iter('h1')))} h1 instead of one")
    titles = [_text(title) for title in tree.iter("title")]
    if not titles or " · " not in titles[0]:
        faults.append(f"title {titles[:1]} is not 'what · SITE_NAME'")
    if len(list(tree.iter("main"))) != 1:
        faults.append("not exactly one main")
    if not (tree.get("lang") or tree.find(".").get("lang")):  # type: ignore[union-attr]  # a tree has a root
        faults.append("no lang")
    return faults


def _id_faults(tree: Element) -> list[str]:
    ids = Counter(element.get("id") for element in tree.iter() if element.get("id"))
    return [f"id {name} stands {count} times" for name, count in ids.items() if count > 1]


def _field_faults(tree: Element) -> list[str]:
    labelled = {label.get("for") for label in tree.iter("label")}
    wrapped = {inner for label in tree.iter("label") for inner in label.iter()}
    faults = []
    for field in tree.iter():
        if field.tag not in {"input", "select", "textarea"} or field.get("type") in VOID_TYPES:
            continue
        named = field.get("aria-label") or field.get("aria-labelledby")
        if not (named or field.get("id") in labelled or field in wrapped):
            faults.append(f"field {field.get('name')} has no label")
    faults += [
        f"button without words: {button.attrib}"
        for button in tree.iter("button")
        if not (_text(button) or button.get("aria-label"))
    ]
    return faults


def _form_faults(tree: Element) -> list[str]:
    faults = []
    for form in tree.iter("form"):
        if (form.get("method") or "get").lower() != "post":
            continue
        tokens = [field for field in form.iter("input") if field.get("name") == "csrf_token" and field.get("value")]
        if len(tokens) != 1:
            faults.append(f"form to {form.get('action')} has {len(tokens)} CSRF tokens")
    return faults


def _inline_faults(tree: Element) -> list[str]:
    faults = [f"inline {element.tag}" for element in tree.iter() if element.tag == "style"]
    faults += ["inline script" for script in tree.iter("script") if not script.get("src")]
    for element in tree.iter():
        for name in element.attrib:
            if name == "style" or name.startswith("on"):
                faults.append(f"attribute {name} on {element.tag}")
    for link in tree.iter("a"):
        if (link.get("href") or "").strip().lower().startswith(("javascript:", "data:")):
            faults.append(f"link to {link.get('href')}")
    return faults
