"""What a bucket holds below some prefixes at one revision: views that have heard the same share one picture of it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from apis_rules.ports.state import Entry, absent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Life:
    """The time in which a bucket hands out each revision once; it ends when the bucket is lost or goes back.

    Attributes:
        pictures: the newest one of each set of prefixes that somebody still has.
    """

    def __init__(self, store_id: str) -> None:
        self.store_id = store_id
        self.pictures: WeakValueDictionary[tuple[str, ...], Picture] = WeakValueDictionary()


class Picture:
    """Never changes: the next revision has a picture of its own.

    Attributes:
        entries: by key, absent ones whose last revision is known included.
        news: what of the last batch concerned it; None where it came of a look at everything.
    """

    def __init__(
        self,
        life: Life,
        prefixes: tuple[str, ...],
        revision: int,
        entries: Mapping[str, Entry],
        news: Sequence[Entry] | None = None,
    ) -> None:
        self.life = life
        self.prefixes = prefixes
        self.revision = revision
        self.entries = entries
        self.news = news
        self._below: dict[str, Mapping[str, Entry]] = {}

    @classmethod
    def of(cls, life: Life, prefixes: tuple[str, ...], revision: int, entries: Iterable[Entry]) -> Picture:
        """Return the picture of *life* at *revision*, in which the bucket has *entries*."""
        known = life.pictures.get(prefixes)
        if known is not None and known.revision == revision:
            return known
        picture = cls(life, prefixes, revision, {e.key: e for e in entries if covers(prefixes, e.key)})
        life.pictures[prefixes] = picture
        return picture

    def after(self, batch: Sequence[Entry]) -> tuple[Picture, Sequence[Entry]]:
        """Return the picture after *batch*, which begins with the revision that comes next, and what concerns it."""
        life, revision = self.life, batch[-1].revision
        newest = life.pictures.get(self.prefixes)
        if newest is not None and newest.revision == revision and newest.news is not None:
            return newest, newest.news
        news = [entry for entry in batch if covers(self.prefixes, entry.key)]
        entries = {**self.entries, **{entry.key: entry for entry in news}} if news else self.entries
        picture = Picture(life, self.prefixes, revision, entries, news)
        # What lies below a prefix of which nothing has changed is the same object: who derived something from it sees.
        picture._below = {p: found for p, found in self._below.items() if not any(e.key.startswith(p) for e in news)}
        if newest is None or newest.revision <= revision:
            life.pictures[self.prefixes] = picture
        return picture, news

    def get(self, key: str) -> Entry:
        """Return what it shows of *key*."""
        return self.entries.get(key) or absent(key)

    def below(self, prefix: str) -> Mapping[str, Entry]:
        """Return every present key below *prefix*."""
        if prefix not in self._below:
            self._below[prefix] = {
                key: entry for key, entry in self.entries.items() if entry.value is not None and covers((prefix,), key)
            }
        return self._below[prefix]


def covers(prefixes: Sequence[str], key: str) -> bool:
    """Whether one of *prefixes* covers *key*: a prefix that ends with a dot, a whole key, or nothing for everything."""
    if not prefixes:
        return True
    return any(p in (key, "") or (p[-1] == "." and key.startswith(p)) for p in prefixes)
