"""Templates, static files and migrations are found in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

from portal.core import places


def test_this_checkout_holds_all_three() -> None:
    assert (places.templates_dir() / "errors" / "error.html").is_file()
    assert (places.static_dir() / "theme.css").is_file()
    assert (places.migrations_dir() / "env.py").is_file()


def test_an_installed_package_carries_its_own(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "portal"
    package.mkdir(parents=True)
    (tmp_path / "site-packages" / "templates").mkdir()  # somebody else's
    assert places.find_root(package) == package


def test_a_checkout_keeps_them_at_the_top(tmp_path: Path) -> None:
    (tmp_path / "portal").mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    assert places.find_root(tmp_path / "portal") == tmp_path
