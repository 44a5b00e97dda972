"""The constraints files hold what they promise, and the check sees when one does not."""

from pathlib import Path

from tools.lock import FILES, ROOT, find_faults

GOOD = "alpha==1.0 \\\n    --hash=sha256:00\n"


def test_our_own_are_right() -> None:
    assert find_faults({file: Path(ROOT, file).read_text() for file in FILES}) == []


def test_each_fault_is_named() -> None:
    faults = find_faults(
        {
            "constraints.txt": f"--index-url https://example.org/simple\n{GOOD}beta==2.0\n",
            "constraints-dev.txt": GOOD,
        }
    )
    assert faults == [
        "constraints.txt names an address",
        "constraints.txt: no digest for --index-url",
        "constraints.txt: no digest for beta==2.0",
        "constraints-dev.txt lacks beta 2.0",
    ]
