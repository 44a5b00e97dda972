"""Every setting: its name, type, default, meaning, and what is refused.

Read from the environment, then `.env`, then the default. A wrong one is named and nothing starts.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from contextvars import ContextVar
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from portal.core.origins import is_origin
from portal.core.own_secrets import keys_of, made_secrets
from portal.core.provider_terms import ProviderTerms, read_providers
from portal.core.text import BadName, canonical_email

if TYPE_CHECKING:
    from collections.abc import Mapping


class BadSetting(Exception):
    """One or more settings are wrong; the text names each and says what to do."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _kinds(value: object) -> object:
    return [] if value == "none" else _split(value)


def _providers(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        return read_providers(value, plain=info.data.get("portal_env") != "production")
    return value


Words = Annotated[list[str], BeforeValidator(_split)]
Kind = Literal["user", "staff", "admin"]
# A scope of an API key: what the service behind calls one of its parts.
KEY_SCOPE = re.compile(r"[a-z0-9][a-z0-9:._-]{0,39}")
# Undoing, reports of one's own and the desk look back on entries of the last weeks.
LEAST_AUDIT_DAYS = 30
FACTORS_IN_PRODUCTION: tuple[Kind, ...] = ("staff", "admin")
EXAMPLE_SECRETS = {"change-me", "changeme", "secret", "dev", "example", "test", "password"}


class Settings(BaseModel):
    """The settings of one running Doorward. Field names in capitals are the names in the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    portal_env: Literal["development", "production"] = Field(
        "development", description="What this is: development or production."
    )
    site_name: str = Field(
        "Doorward", min_length=1, max_length=60, description="The name shown on every page and mail."
    )
    site_url: str = Field(
        "",
        description="Where people reach the site; mailed links begin with it. Development: http://localhost:PORT.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    data_dir: Path = Field(
        Path("instance"),
        description="Folder for the SQLite database, the spool, and what is made at first start.",
    )
    database_url: str = Field(
        "",
        description="Database address: sqlite:///… or postgresql+psycopg://…; empty is SQLite in DATA_DIR.",
    )
    redis_url: str = Field(
        "", description="Redis or Valkey address for shared counters and SPOOL=redis; empty is none."
    )
    spool: Literal["file", "redis"] = Field(
        "file", description="Where accepted message logs wait: file (in DATA_DIR), or redis (at REDIS_URL)."
    )
    durability: Literal["power", "process"] = Field(
        "power",
        description="What an answer survives: a power cut (power), or a killed process of Doorward (process, faster).",
    )
    secret_key: str = Field("", description="Signs cookies and cursors; at least 32 characters in production.")
    secret_key_fallbacks: Words = Field(
        [], description="Former SECRET_KEYs whose signatures are still accepted, comma separated."
    )
    encryption_keys: Words = Field([], description="Fernet keys for sealed values, newest first, comma separated.")
    signing_keys_dir: str = Field(
        "", description="Folder of the keys that sign access tokens; empty is DATA_DIR/signing-keys."
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=8,
        description="How many proxies of yours stand before the server. They must drop header names with underscores.",
    )
    trusted_hosts: Words = Field(
        [], description="Host names that are answered, comma separated; that of SITE_URL always is."
    )
    registration: Literal["open", "invite", "closed"] = Field(
        "open", description="Who may register: open, invite, closed."
    )
    email_domains: Words = Field(
        [], description="Only these e-mail domains may register, comma separated; empty is all."
    )
    bcrypt_cost: int = Field(12, ge=4, le=16, description="Work factor of password hashes.")
    password_min_length: int = Field(
        12,
        ge=8,
        le=128,
        description="Least characters of a user's password; admins and staff need 15 at least.",
    )
    require_factor: Annotated[list[Kind], BeforeValidator(_kinds)] = Field(
        [],
        description="Kinds that must have a second factor: user, staff, admin; or none. Production: staff,admin.",
    )
    session_idle_user_s: int = Field(
        14 * 86400, ge=60, description="Seconds without use after which a user's session ends."
    )
    session_idle_staff_s: int = Field(3600, ge=60, description="The same for staff and admins.")
    session_max_user_s: int = Field(
        30 * 86400, ge=60, description="Seconds after which a user's session ends however much it is used."
    )
    session_max_staff_s: int = Field(12 * 3600, ge=60, description="The same for staff and admins.")
    staff_allowed_networks: Words = Field(
        [], description="Networks from which staff may sign in, comma separated; empty is all."
    )
    admin_allowed_networks: Words = Field(
        [], description="Networks from which admins may sign in, comma separated; empty is all."
    )
    cors_origins: Words = Field(
        [], description="Origins whose pages may call the API, comma separated, as https://app.example.org."
    )
    smtp_url: str = Field(
        "console", description="smtp://user:password@host:587, smtps://…, console (prints mails), or none."
    )
    mail_from: str = Field("doorward@localhost", min_length=3, description="Sender of every mail.")
    flush_interval_s: int = Field(2, ge=1, le=300, description="Seconds between two flushes of the spool.")
    flush_max_rows: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Most records written in one transaction of a flush; 0 is 200 on SQLite, 1,000 on PostgreSQL.",
    )
    flush_max_bytes: int = Field(
        4 * 1024 * 1024, ge=65536, description="Most bytes read for one transaction of a flush."
    )
    spool_max_bytes: int = Field(
        512 * 1024 * 1024,
        ge=1024 * 1024,
        description="Bytes the spool may hold; beyond it pushes are refused with 503.",
    )
    export_link_ttl_s: int = Field(86_400, ge=60, description="Seconds for which the file of an export can be fetched.")
    export_most_streamed: int = Field(
        10_000, ge=1, description="Most rows exported while one waits; more are written to a file by a job."
    )
    content_open_s: int = Field(
        1800, ge=60, description="Seconds for which a reason given opens message content of another."
    )
    memory_limit_mb: int = Field(1024, ge=64, description="Memory of a process above which readiness warns.")
    encrypt_messages: bool = Field(False, description="Seal message content at rest.")
    log_retention_days: int = Field(
        365, ge=1, description="Days for which message logs are kept where the plan says nothing."
    )
    audit_retention_days: int = Field(
        0,
        ge=0,
        description="Days after which audit entries move into files in DATA_DIR; 0 is never, else 30 at least.",
    )
    deleted_retention_days: int = Field(30, ge=1, description="Days for which a deleted user can be restored.")
    oidc_providers: Annotated[list[ProviderTerms], BeforeValidator(_providers)] = Field(
        [],
        description="Outside sign-in providers (OpenID Connect): a JSON list, in one line; see docs/signing-in.md.",
    )
    metrics_token: str = Field("", description="Bearer token for /metrics; empty: loopback addresses only.")
    log_format: Literal["console", "json"] = Field("console", description="Shape of the log: console or json.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    jobs: bool = Field(True, description="Run the jobs inside the server.")
    threads: int = Field(16, ge=2, le=256, description="Threads of one worker.")
    confirm_email: bool | None = Field(
        None, description="Registration waits for the mailed link. Development: false, production: true."
    )
    default_plan: str = Field("free", min_length=1, description="Plan of a new user.")
    key_scopes: Words = Field(
        [], description="Scopes that API keys may be given, comma separated; empty is any well-formed word."
    )
    password_grant: bool = Field(True, description="Offer OAuth's password grant to first-party clients.")
    access_token_ttl_s: int = Field(900, ge=60, le=3600, description="Seconds for which an access token is good.")
    token_algorithm: Literal["EdDSA", "RS256"] = Field("EdDSA", description="Algorithm of access tokens.")
    api_rate_per_minute: int = Field(
        600, ge=0, le=1_000_000, description="Calls of the API a minute that an account has; 0 is no bound."
    )
    api_address_rate_per_minute: int = Field(
        600,
        ge=0,
        le=1_000_000,
        description="Calls a minute of an address at what the API offers without a token; 0 is no bound.",
    )
    staff_credit_cap: int = Field(1000, ge=0, description="Credits that one level 3 adjustment may move.")
    staff_reveals_per_day: int = Field(50, ge=0, description="Fields one staff member may reveal in a day.")
    reveal_open_s: int = Field(
        600, ge=1, le=86_400, description="For how many seconds a revealed field stays unmasked for who revealed it."
    )
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024, description="Largest request body.")
    db_pool_size: int = Field(0, ge=0, le=512, description="Database connections of one worker; 0 is THREADS + 4.")
    db_timeout_s: int = Field(5, ge=1, le=120, description="Seconds to wait for a connection, a lock or a statement.")
    status_late_s: int = Field(300, ge=10, description="Seconds after which a silent client counts as late.")
    support_email: str = Field("", description="Shown in the footer.")
    terms_url: str = Field("", description="Shown in the footer.")
    privacy_url: str = Field("", description="Shown in the footer.")
    clock_offset_s: int = Field(0, description="Moves the clock, in development only.")

    @field_validator("spool")
    @classmethod
    def _spool(cls, value: str, info: ValidationInfo) -> str:
        if value == "redis" and not info.data.get("redis_url"):
            raise ValueError("redis needs REDIS_URL")
        return value

    @field_validator("audit_retention_days")
    @classmethod
    def _audit_retention(cls, value: int) -> int:
        if 0 < value < LEAST_AUDIT_DAYS:
            raise ValueError(f"must be 0, or {LEAST_AUDIT_DAYS} at least")
        return value

    @field_validator("staff_allowed_networks", "admin_allowed_networks")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for network in value:
            ipaddress.ip_network(network, strict=False)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if not is_origin(origin):
                raise ValueError(f"{origin!r} is no origin as browsers send it, such as https://app.example.org")
        return value

    @field_validator("key_scopes")
    @classmethod
    def _key_scopes(cls, value: list[str]) -> list[str]:
        if not all(KEY_SCOPE.fullmatch(scope) for scope in value):
            raise ValueError("must be words of up to 40 small letters, digits and : . _ -")
        return list(dict.fromkeys(value))

    @field_validator("email_domains")
    @classmethod
    def _domains(cls, value: list[str]) -> list[str]:
        try:
            return [canonical_email(f"anybody@{domain}").rpartition("@")[2] for domain in value]
        except BadName:
            raise ValueError("must be domains such as example.org") from None

    @field_validator("site_url", "terms_url", "privacy_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc):
            raise ValueError("must be an http:// or https:// address")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        value = value.replace("postgres://", "postgresql://", 1) if value.startswith("postgres://") else value
        if value.startswith("postgresql://"):
            value = value.replace("postgresql://", "postgresql+psycopg://", 1)
        if value and not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _smtp(cls, value: str) -> str:
        if value not in {"console", "none"} and not value.startswith(("smtp://", "smtps://")):
            raise ValueError("must be console, none, or begin with smtp:// or smtps://")
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _fernet(cls, value: list[str]) -> list[str]:
        import base64  # only when a key is given

        for key in value:
            try:
                fine = len(base64.urlsafe_b64decode(key)) == 32
            except ValueError:
                fine = False
            if not fine:
                raise ValueError("each key must be 32 bytes in URL-safe base64")
        return value

    @property
    def production(self) -> bool:
        """Whether unsafe defaults are refused."""
        return self.portal_env == "production"

    @property
    def secure_cookies(self) -> bool:
        """Whether people come over HTTPS."""
        return self.site_url.startswith("https://")

    @property
    def mail_leaves(self) -> bool:
        """Whether mail goes to people (an SMTP server is set)."""
        return self.smtp_url.startswith("smtp")

    @property
    def sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return self.database_url.startswith("sqlite")

    @property
    def flush_rows(self) -> int:
        """Most records written in one transaction of a flush."""
        return self.flush_max_rows or (200 if self.sqlite else 1000)

    @property
    def hosts(self) -> list[str]:
        """Host names that are answered."""
        own = urlsplit(self.site_url).hostname or "localhost"
        local = [] if self.production else ["localhost", "127.0.0.1", "[::1]"]
        return list(dict.fromkeys([*(host.lower() for host in self.trusted_hosts), own, *local]))


_current: ContextVar[tuple[Settings, ...]] = ContextVar("settings", default=())


def current() -> Settings:
    """The settings of the application whose context we are in. LookupError outside any."""
    stack = _current.get()
    if not stack:
        raise LookupError("no application context")
    return stack[-1]


def enter(settings: Settings) -> None:
    """Make these the current settings of this thread, until `leave`."""
    _current.set((*_current.get(), settings))


def leave() -> None:
    """Go back to the settings of before."""
    _current.set(_current.get()[:-1])


def load(environment: Mapping[str, str] | None = None, *, folder: Path | None = None, **given: Any) -> Settings:
    """Settings from `given`, the environment, then `.env` in `folder` (the present one), then defaults.

    Completes what development makes for itself (SITE_URL, secrets kept in DATA_DIR with mode 600).
    Raises BadSetting naming every wrong setting.
    """
    environment = os.environ if environment is None else environment
    names = {name.upper(): name for name in Settings.model_fields}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for key, text in dotenv_values((folder or Path.cwd()) / ".env").items():
        if key not in names:
            problems.append(f"{key} in .env is not a setting{_nearest(key, names)}")
        elif text:
            values[names[key]] = text
    for key, text in environment.items():
        if key in names:
            if text != "":
                values[names[key]] = text
        elif close := get_close_matches(key, names, 1, 0.9):
            sys.stderr.write(f"doorward: {key} in the environment is not a setting; did you mean {close[0]}?\n")
    values.update(given)
    if problems:
        raise BadSetting("\n".join(problems))
    settings = _checked(values)
    if settings.production:
        _refuse_unsafe(settings, values)
    return _complete(settings, values)


def _nearest(key: str, names: Mapping[str, str]) -> str:
    close = get_close_matches(key, names, 1, 0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _checked(values: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            name = str(fault["loc"][0]).upper() if fault["loc"] else "settings"
            words = fault["msg"].removeprefix("Value error, ")
            lines.append(f"{name}: {words[0].lower()}{words[1:]}")
        raise BadSetting("\n".join(lines)) from None


def _recipe(name: str) -> str:
    """The command that makes a good secret for this setting."""
    if name.startswith("ENCRYPTION_KEYS"):
        return 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
    return 'python -c "import secrets; print(secrets.token_urlsafe(48))"'


def _refuse_unsafe(settings: Settings, values: Mapping[str, Any]) -> None:
    problems = []
    secrets_given = {"SECRET_KEY": settings.secret_key}
    secrets_given |= {f"ENCRYPTION_KEYS[{at}]": key for at, key in enumerate(settings.encryption_keys)}
    if not settings.encryption_keys:
        problems.append("ENCRYPTION_KEYS: must be given in production")
    for name, secret in secrets_given.items():
        if not secret:
            problems.append(f"{name}: must be given in production")
        elif len(secret) < 32 or secret.lower() in EXAMPLE_SECRETS or len(set(secret)) < 8:
            problems.append(f"{name}: is too short or an example; make one with: {_recipe(name)}")
    given = [secret for secret in secrets_given.values() if secret] + settings.secret_key_fallbacks
    if len(given) != len(set(given)):
        problems.append("SECRET_KEY and ENCRYPTION_KEYS: two of them are equal")
    if not settings.site_url:
        problems.append("SITE_URL: must be given in production")
    if "smtp_url" not in values:
        problems.append("SMTP_URL: must be given in production (none is legal)")
    if settings.bcrypt_cost < 10:
        problems.append("BCRYPT_COST: must be 10 or more in production")
    if settings.clock_offset_s:
        problems.append("CLOCK_OFFSET_S: is for development only")
    if problems:
        raise BadSetting("\n".join(problems))


def _complete(settings: Settings, values: Mapping[str, Any]) -> Settings:
    data_dir = settings.data_dir.expanduser().absolute()
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = {} if settings.production else made_secrets(data_dir)
    except OSError as error:
        raise BadSetting(f"DATA_DIR: cannot be used ({error.strerror})") from None
    return settings.model_copy(
        update={
            "data_dir": data_dir,
            "site_url": settings.site_url or f"http://localhost:{settings.port}",
            "database_url": settings.database_url or f"sqlite:///{data_dir / 'doorward.sqlite3'}",
            "require_factor": settings.require_factor
            if "require_factor" in values or not settings.production
            else list(FACTORS_IN_PRODUCTION),
            "confirm_email": settings.production if settings.confirm_email is None else settings.confirm_email,
            "secret_key": settings.secret_key or made.get("secret_key", ""),
            "encryption_keys": settings.encryption_keys or keys_of(made),
            "signing_keys_dir": settings.signing_keys_dir or str(data_dir / "signing-keys"),
        }
    )


def example_file() -> str:
    """The text of `.env.example`: every setting with its meaning and default."""
    lines = ["# Every setting of Doorward. Uncomment to change; the environment wins over this file.", ""]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = ",".join(default) if isinstance(default, list) else default
        shown = "" if shown is None else str(shown).lower() if isinstance(shown, bool) else shown
        lines += [f"# {field.description}", f"#{name.upper()}={shown}", ""]
    return "\n".join(lines)
