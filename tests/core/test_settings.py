"""Settings: a wrong one is named and nothing starts."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from portal.core.settings import BadSetting, Settings, example_file, load
from tests.races import race

REFUSED = [
    ("PORTAL_ENV", "staging"),
    ("SITE_NAME", "x" * 61),
    ("SITE_URL", "example.org"),
    ("SITE_URL", "ftp://example.org"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "http"),
    ("DATABASE_URL", "mysql://localhost/doorward"),
    ("SPOOL", "memory"),
    ("SPOOL", "redis"),
    ("DURABILITY", "none"),
    ("ENCRYPTION_KEYS", "too-short"),
    ("ENCRYPTION_KEYS", "not*base64"),
    ("TRUSTED_PROXIES", "-1"),
    ("TRUSTED_PROXIES", "9"),
    ("REGISTRATION", "maybe"),
    ("EMAIL_DOMAINS", "example.org,@example.com"),
    ("EMAIL_DOMAINS", "localhost"),
    ("BCRYPT_COST", "3"),
    ("BCRYPT_COST", "17"),
    ("PASSWORD_MIN_LENGTH", "7"),
    ("REQUIRE_FACTOR", "robot"),
    ("SESSION_IDLE_USER_S", "59"),
    ("STAFF_ALLOWED_NETWORKS", "10.0.0.0/99"),
    ("ADMIN_ALLOWED_NETWORKS", "10.0.0.0/8,somewhere"),
    ("SMTP_URL", "mail.example.org"),
    ("FLUSH_INTERVAL_S", "0"),
    ("FLUSH_MAX_ROWS", "-1"),
    ("SPOOL_MAX_BYTES", "1"),
    ("EXPORT_LINK_TTL_S", "59"),
    ("CONTENT_OPEN_S", "0"),
    ("ENCRYPT_MESSAGES", "perhaps"),
    ("DELETED_RETENTION_DAYS", "0"),
    ("KEY_SCOPES", "chat,Chat"),
    ("KEY_SCOPES", "a b"),
    ("LOG_FORMAT", "xml"),
    ("LOG_LEVEL", "chatty"),
    ("JOBS", "sometimes"),
    ("THREADS", "1"),
    ("CONFIRM_EMAIL", "later"),
    ("ACCESS_TOKEN_TTL_S", "3601"),
    ("TOKEN_ALGORITHM", "none"),
    ("MAX_BODY_BYTES", "12"),
    ("DB_TIMEOUT_S", "0"),
    ("TERMS_URL", "/terms"),
    ("CLOCK_OFFSET_S", "soon"),
]

SAFE = {
    "PORTAL_ENV": "production",
    "SECRET_KEY": "pQ3vX9sL2mN8bT5wR7yK4jH6gF1dZ0aC_e-U",
    "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "SITE_URL": "https://desk.example.org",
    "SMTP_URL": "none",
}


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(BadSetting) as told:
        load({name: value}, folder=tmp_path, data_dir=tmp_path)
    assert str(told.value).startswith(f"{name}: ")


def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadSetting) as told:
        load({"PORT": "0", "BCRYPT_COST": "99", "SMTP_URL": "x"}, folder=tmp_path, data_dir=tmp_path)
    assert [line.partition(":")[0] for line in str(told.value).splitlines()] == ["PORT", "BCRYPT_COST", "SMTP_URL"]


def test_a_refused_secret_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadSetting) as told:
        load({"ENCRYPTION_KEYS": "nearly-a-secret"}, folder=tmp_path, data_dir=tmp_path)
    assert "nearly-a-secret" not in str(told.value)


def test_the_environment_wins_over_the_file_and_that_over_the_default(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SITE_NAME=Filed\nPORT=8100\nTHREADS=\n")
    settings = load({"PORT": "8200", "SITE_NAME": ""}, folder=tmp_path, data_dir=tmp_path)
    assert (settings.site_name, settings.port, settings.threads) == ("Filed", 8200, 16)


def test_an_unknown_name_in_the_file_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SMPT_URL=none\nCOLOUR_OF_SKY=blue\n")
    with pytest.raises(BadSetting) as told:
        load({}, folder=tmp_path, data_dir=tmp_path)
    assert str(told.value).splitlines() == [
        "SMPT_URL in .env is not a setting; did you mean SMTP_URL?",
        "COLOUR_OF_SKY in .env is not a setting",
    ]


def test_a_near_miss_in_the_environment_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load({"REGISTRATON": "closed", "PATH": "/bin"}, folder=tmp_path, data_dir=tmp_path)
    assert capsys.readouterr().err == (
        "doorward: REGISTRATON in the environment is not a setting; did you mean REGISTRATION?\n"
    )


def test_safe_production_settings_are_taken(tmp_path: Path) -> None:
    settings = load(SAFE, folder=tmp_path, data_dir=tmp_path)
    assert settings.production
    assert settings.secure_cookies
    assert settings.confirm_email is True
    assert not (tmp_path / "secrets.json").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "a" * 64),
        ("SECRET_KEY", "secret"),
        ("ENCRYPTION_KEYS", ""),
        ("ENCRYPTION_KEYS", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("SITE_URL", ""),
        ("SMTP_URL", ""),
        ("BCRYPT_COST", "9"),
        ("CLOCK_OFFSET_S", "60"),
    ],
)
def test_production_refuses_what_is_unsafe(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(BadSetting) as told:
        load({**SAFE, name: value}, folder=tmp_path, data_dir=tmp_path)
    lines = str(told.value).splitlines()
    assert lines[0].startswith(name)
    assert len(lines) == 1


def test_production_refuses_a_doubled_secret(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="SECRET_KEY and ENCRYPTION_KEYS: two of them are equal"):
        load({**SAFE, "SECRET_KEY": SAFE["ENCRYPTION_KEYS"]}, folder=tmp_path, data_dir=tmp_path)
    with pytest.raises(BadSetting, match="two of them are equal"):
        load({**SAFE, "SECRET_KEY_FALLBACKS": SAFE["SECRET_KEY"]}, folder=tmp_path, data_dir=tmp_path)


def test_development_makes_its_secrets_once_and_keeps_them_to_itself(tmp_path: Path) -> None:
    first = load({}, folder=tmp_path, data_dir=tmp_path / "data")
    kept = tmp_path / "data" / "secrets.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    again = load({}, folder=tmp_path, data_dir=tmp_path / "data")
    assert (again.secret_key, again.encryption_keys) == (first.secret_key, first.encryption_keys)
    assert len(first.secret_key) >= 32


def test_many_who_start_at_once_agree_on_the_secrets(tmp_path: Path) -> None:
    for number in range(10):
        folder = tmp_path / str(number)
        made = race(12, lambda _, folder=folder: load({}, folder=tmp_path, data_dir=folder).secret_key)  # type: ignore[misc]  # mypy wants no defaults here
        assert len(set(made)) == 1
        assert [path.name for path in folder.iterdir()] == ["secrets.json"]


def test_a_data_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match=r"^DATA_DIR: cannot be used"):
        load({}, folder=tmp_path, data_dir=tmp_path / "file" / "below")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_psycopg(tmp_path: Path, scheme: str) -> None:
    settings = load({"DATABASE_URL": f"{scheme}://desk@db/doorward"}, folder=tmp_path, data_dir=tmp_path)
    assert settings.database_url == "postgresql+psycopg://desk@db/doorward"
    assert not settings.sqlite


def test_the_site_answers_to_its_own_name_and_locally_only_in_development(tmp_path: Path) -> None:
    at_home = load({"SITE_URL": "https://desk.example.org"}, folder=tmp_path, data_dir=tmp_path)
    assert at_home.hosts == ["desk.example.org", "localhost", "127.0.0.1", "[::1]"]
    outside = load({**SAFE, "TRUSTED_HOSTS": "other.example.org"}, folder=tmp_path, data_dir=tmp_path)
    assert outside.hosts == ["other.example.org", "desk.example.org"]


def test_lists_are_read_with_commas_and_blanks(tmp_path: Path) -> None:
    settings = load({"EMAIL_DOMAINS": " example.org, example.com ,"}, folder=tmp_path, data_dir=tmp_path)
    assert settings.email_domains == ["example.org", "example.com"]


def test_the_example_file_tells_every_setting_and_is_itself_legal(tmp_path: Path) -> None:
    lines = example_file().splitlines()
    named = [line[1:].partition("=")[0] for line in lines if line.startswith("#") and not line.startswith("# ")]
    assert named == [name.upper() for name in Settings.model_fields]
    (tmp_path / ".env").write_text("\n".join(line[1:] if line[:2] not in {"# ", ""} else line for line in lines))
    assert load({}, folder=tmp_path, data_dir=tmp_path).port == 8000
