"""Conversations drawn by chance from written ones: real topics, several exchanges, another name or city each time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from random import Random

MODELS = ("m-1", "m-1-mini", "m-2", "m-2-large")
MODEL_SHARES = (0.30, 0.42, 0.20, 0.08)
# Milliseconds for a token, roughly, and before the first one.
PACE = {"m-1": (14.0, 320), "m-1-mini": (6.0, 140), "m-2": (19.0, 420), "m-2-large": (31.0, 700)}
GREETINGS = ("", "", "", "", "Hello! ", "Hi! ", "Quick question. ", "Good morning. ", "Hello again. ")
THANKS = (
    ("Thank you, that helps a lot.", "Gladly. Come back when the next question turns up."),
    ("Great, that is all I needed.", "Good to hear. Good luck with it!"),
    ("Could you sum that up in one sentence?", "In short: do the first step today, and look again in a week."),
    ("Thanks! I will try it tonight.", "Do, and tell me how it went; we can adjust it then."),
)
CITIES = (
    "Lagos",
    "Leeds",
    "Denver",
    "Bremen",
    "Lyon",
    "Valencia",
    "Bogota",
    "Recife",
    "Turin",
    "Bergen",
    "Tampere",
    "Gdansk",
    "Brno",
    "Lviv",
    "Patras",
    "Izmir",
    "Alexandria",
    "Haifa",
    "Shiraz",
    "Pune",
    "Lahore",
    "Chengdu",
    "Osaka",
    "Busan",
    "Hanoi",
    "Bandung",
    "Cebu",
    "Mombasa",
    "Durban",
    "Accra",
    "Wellington",
)
FRIENDS = (
    "Amina",
    "Ben",
    "Clara",
    "Dmitri",
    "Esther",
    "Farid",
    "Grace",
    "Hiro",
    "Ines",
    "Jamal",
    "Kirsten",
    "Leo",
    "Mina",
    "Noor",
    "Otto",
    "Petra",
    "Rosa",
    "Sam",
)
MONTHS = ("March", "April", "May", "June", "September", "October")


@dataclass(frozen=True, slots=True)
class Said:
    """One exchange as drawn, with its numbers: tokens, and milliseconds until the answer was there."""

    question: str
    answer: str
    prompt_tokens: int
    completion_tokens: int
    latency_ms: int


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation as drawn."""

    topic: str
    model: str
    said: list[Said]


@lru_cache(maxsize=1)
def written_talks() -> dict[str, list[tuple[str, str]]]:
    """The written conversations by topic: (question, answer) in order."""
    talks: dict[str, list[tuple[str, str]]] = {}
    for block in resources.files("portal.demo").joinpath("talks.txt").read_text("utf-8").strip().split("\n\n"):
        topic, *lines = block.split("\n")
        asked = [line.removeprefix("Q: ") for line in lines if line.startswith("Q: ")]
        answered = [line.removeprefix("A: ") for line in lines if line.startswith("A: ")]
        talks[topic] = list(zip(asked, answered, strict=True))
    return talks


def draw_talk(chance: Random, *, most: int) -> Talk:
    """A conversation of one to `most` exchanges."""
    topic, exchanges = chance.choice(list(written_talks().items()))
    model = chance.choices(MODELS, MODEL_SHARES)[0]
    words = {
        "city": chance.choice(CITIES),
        "friend": chance.choice(FRIENDS),
        "month": chance.choice(MONTHS),
        "small": str(chance.randint(3, 9)),
        "large": str(chance.randint(12, 60)),
        "big": f"{chance.randint(2, 90)} million",
    }
    wanted = min(most, len(exchanges) if chance.random() < 0.75 else chance.randint(1, len(exchanges)))
    lines = [(asked, answered) for asked, answered in exchanges[:wanted]]
    english = exchanges[0][0].isascii()
    lines[0] = ((chance.choice(GREETINGS) if english else "") + lines[0][0], lines[0][1])
    closing = chance.choice(THANKS)
    if english and len(lines) < most and chance.random() < 0.3:
        lines.append(closing)
    said, before = [], chance.randint(20, 60)
    for asked, answered in lines:
        exchange = _measured(chance, model, _filled(asked, words), _filled(answered, words), before)
        before = exchange.prompt_tokens + exchange.completion_tokens
        said.append(exchange)
    return Talk(topic, model, said)


def _filled(line: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        line = line.replace(f"{{{name}}}", word)
    return line


def _measured(chance: Random, model: str, asked: str, answered: str, before: int) -> Said:
    """Tokens and time as a model of this name would have needed; the prompt carries what was said before."""
    completion = max(1, round(len(answered) / 4.1))
    pace, start = PACE[model]
    latency = round((start + completion * pace) * chance.uniform(0.75, 1.5))
    return Said(asked, answered, before + max(1, round(len(asked) / 4.1)), completion, latency)
