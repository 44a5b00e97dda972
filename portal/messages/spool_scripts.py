"""What the Redis spool has its server do in one step: the scripts, and what they answer.

A script that writes is written to the append-only file as one transaction, so a server that dies keeps all of it or
nothing; and one that begins below `maxmemory` ends.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Script:
    """The text of a script; the server knows it by its digest once it has seen it."""

    text: str

    @cached_property
    def digest(self) -> str:
        """What EVALSHA wants."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


# KEYS lines, ids, bytes. ARGV group, most bytes, and for each record its id, its digest, its line.
# Answers for each record an empty text when it is kept, else the digest of the one that waits here with its id; or -1
# when there is no room, and then none is kept. Such a twin is written down once more, so that whoever is told of it
# waits for the disk just as whoever brought it.
APPEND = Script("""
local mine, answers, size = {}, {}, 0
for at = 3, #ARGV, 3 do
  local twin = mine[ARGV[at]] or redis.call('HGET', KEYS[2], ARGV[at])
  if not twin then
    mine[ARGV[at]] = ARGV[at + 1]
    size = size + #ARGV[at + 2]
  end
  answers[at / 3] = twin or ''
end
if size > 0 and tonumber(redis.call('GET', KEYS[3]) or '0') + size > tonumber(ARGV[2]) then
  return -1
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
end
for at = 3, #ARGV, 3 do
  local twin = answers[at / 3]
  if twin == '' then
    redis.call('XADD', KEYS[1], '*', 'id', ARGV[at], 'line', ARGV[at + 2])
    twin = ARGV[at + 1]
  end
  if not mine[ARGV[at]] or answers[at / 3] == '' then
    redis.call('HSET', KEYS[2], ARGV[at], twin)
  end
end
if size > 0 then
  redis.call('INCRBY', KEYS[3], size)
end
return answers
""")

# KEYS lines, ids, bytes. ARGV group, and for each entry its number in the stream, its id, the length of its line.
# Answers how many went. An entry that is gone already gives back nothing a second time.
TRIM = Script("""
local went, size = 0, 0
for at = 2, #ARGV, 3 do
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[at])
  if redis.call('XDEL', KEYS[1], ARGV[at]) == 1 then
    went = went + 1
    size = size + tonumber(ARGV[at + 2])
    redis.call('HDEL', KEYS[2], ARGV[at + 1])
  end
end
if size > 0 then
  redis.call('DECRBY', KEYS[3], size)
end
return went
""")
