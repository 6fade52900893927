"""Pages as a reader meets them: their text, links, headings and tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "br", "input", "img", "hr"})
#: The attributes by which a page can ask for something else.
LEADING = frozenset({"src", "href", "action", "srcset", "xlink:href", "data"})


@dataclass
class Page(HTMLParser):
    """A parsed page. `unclosed` is empty where every element is closed in its order."""

    html: str
    texts: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open_tags or self.open_tags.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open_tags and self.open_tags[-1] not in {"style", "script"}:
            self.texts.append(data)

    @property
    def text(self) -> str:
        """Return what a person reads, on one line."""
        return " ".join(" ".join(self.texts).split())

    @property
    def unclosed(self) -> list[str]:
        return [*self.open_tags, *self.wrong]

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def leads_to(self) -> list[str]:
        """Return everything that the page links to or asks for."""
        return [value for _, attributes in self.tags for name, value in attributes.items() if name in LEADING]
