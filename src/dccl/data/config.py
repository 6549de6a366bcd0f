"""Which log to load and how: the `data` part of a run's configuration."""

import msgspec


class DataConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a log is and what to keep of it; only `path` is needed for the formats that are recognised."""

    path: str
    """A file, or a folder that holds one log (gzip'd or not)."""
    format: str = "auto"
    """`recbole`, `grouplens`, `sequences`, `amazon`, `taobao`, `table`, or `auto`: told by name and
    contents."""
    user: str | None = None
    """Column of the user, for tables whose column has an uncommon name; `column_1` is a headerless file's
    first."""
    item: str | None = None
    time: str | None = None
    """Column that orders a user's events (`timestamp`, `order`, …), or `line`: the order of the file's
    lines."""
    rating: str | None = None
    category: str | None = None
    """Column of the item's category, in the log or in its item table."""
    behaviour: str | None = None
    profiles: tuple[str, ...] | None = None
    """Profile fields to keep; without it all but those that nearly tell the user apart (a postcode)."""
    separator: str | None = None
    """Between the fields of a plain text table; without it comma, tab, semicolon or bar, told by the first
    line."""
    min_rating: float | None = None
    """Events with a lower rating are left out, and counted."""
    behaviours: tuple[str, ...] = ()
    """Kinds of events to keep (Taobao: pv, fav, cart, buy); empty keeps all."""
    window: bool = True
    """Leave out events outside the days that a data set documents (Taobao: 25 November to 3 December
    2017)."""
    min_user_events: int = 0
    """Leave out users with fewer events, together with `min_item_events`, again and again until both hold."""
    min_item_events: int = 0
    allow_bad: float = 0.01
    """Largest share of bad rows that is accepted; they are left out and reported."""
    cache: bool = True
    """Keep the arrays in the cache folder, for the next load of the same files with the same
    configuration."""
