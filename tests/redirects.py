"""Where somebody would like to lead people after they signed in: away from here, in every spelling known."""

from __future__ import annotations

EVIL = "evil.example"
_SCHEMES = ("http:", "https:", "HTTPS:", "hTtP:", "ftp:", "ws:", "wss:", "file:", "blob:", "view-source:")
_SLASHES = ("//", "///", "////", "/", "\\\\", "/\\", "\\/", "/\\/", "\\//", "//\\", "/\\\\")
_BLANKS = ("\t", "\n", "\r", "\v", "\f", "\0", " ", "\u00a0", "\u2028", "\u3000", "\ufeff", "\x1f", "\x7f")

AWAY: list[str] = [
    *(f"{scheme}//{EVIL}" for scheme in _SCHEMES),
    *(f"{slashes}{EVIL}/x" for slashes in _SLASHES),
    *(f"http:{slashes}{EVIL}" for slashes in _SLASHES),
    *(f"{blank}//{EVIL}" for blank in _BLANKS),
    *(f"/{blank}/{EVIL}" for blank in _BLANKS),
    *(f"{blank}https://{EVIL}" for blank in _BLANKS[:7]),
    *(f"/{blank}\\{EVIL}" for blank in _BLANKS[:7]),
    f"//{EVIL}@localhost/",
    f"//localhost@{EVIL}/",
    f"https://localhost@{EVIL}",
    f"https://localhost.{EVIL}",
    f"https:{EVIL}",
    f"http:/{EVIL}",
    f"//{EVIL}%2f..",
    f"/.//{EVIL}",
    f"/..//{EVIL}",
    f"/a/..//{EVIL}",
    f"/%2e%2e//{EVIL}",
    f"/%09/{EVIL}",
    f"/%5c{EVIL}",
    f"/%2f{EVIL}",
    "//%65vil.example",
    f"//{EVIL}:80",
    "//[::1]/",
    "//0x7f000001/",
    "//2130706433/",
    f"\u2044\u2044{EVIL}",
    f"\uff0f\uff0f{EVIL}",
    f"/\uff0f{EVIL}",
    "//evil\u3002example",
    f"?next=//{EVIL}",
    f"#//{EVIL}",
    f";//{EVIL}",
    f"{EVIL}",
    f"@{EVIL}",
    f":80@{EVIL}",
    f".{EVIL}",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "\x01javascript:alert(1)",
    "/javascript:alert(1)",
    "//javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    f"/account\r\nLocation: https://{EVIL}",
    "/account\nSet-Cookie: a=b",
    f"/account?x=\\\\{EVIL}",
    f"/\\{EVIL}#@/account",
    f"///{EVIL}/%2f..",
    "/\ud800",
]
# Led to as it stands.
HERE = [
    "/",
    "/account",
    "/account/keys?q=1&state=used",
    "/account#top",
    "/a%2Fb",
    "/x?next=https://evil.example",
    "/a//b",
]
