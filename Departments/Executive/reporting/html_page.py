"""Pages as HTML: one file without requests, in light, dark and print.

Every value passes `make_safe` and Jinja's escaping on its way into a page, so no text of a stranger is markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from Departments.core.moments import iso, parse_iso, show_moment, show_shortly, show_span, show_time
from Departments.core.money import count_noun, usd, usd_cents
from Departments.core.safe_text import Form, make_safe
from Departments.core.statuses import PhaseName
from Departments.Executive.reporting.attention import list_needs
from Departments.Executive.reporting.pictures import SHOWN, Span, draw_cash, draw_days, draw_timeline, draw_weights
from Departments.Executive.reporting.reason_words import describe_reasons
from Departments.Executive.reporting.since_last import changed_sentences

TEMPLATES: Final = Path(__file__).parent / "templates"
LARGEST_PAGE: Final = 300_000  # bytes
#: Rows of orders that a page tries to show, until it is small enough; its last try is small whatever they say.
_ORDERS_SHOWN: Final = (300, 150, 60, 10)
_ROWS_SHOWN: Final = 60  # of every other list
_DAYS_SHOWN: Final = 260  # of a tear sheet: a year
_LONGEST_TEXT: Final = 500  # characters of one value; files hold the whole
#: A code with its numbers, or a key of the limits, inside a sentence.
_KEY: Final = r"(?<![\w/\\.-])[a-z]+(?:_[a-z]+)+(?![\w/\\.-])"
_CODE: Final = re.compile(rf"\s*\(?\b([A-Z]{{3,}}_[A-Z_]*[A-Z](?::[^()]*)?|{_KEY})\)?(?=\W|$)")
#: The pictures of a tear sheet: key, title, and the colours with their words.
_FIGURES: Final = (
    ("equity", "Equity, with deposits", (("one", "equity"), ("dot", "day with a deposit or withdrawal"))),
    ("growth", "Growth, SPY and drawdown", (("one", "growth"), ("two", "SPY"), ("three", "drawdown"))),
    ("money", "Cash and reserve", (("one", "cash after the run"), ("two", "reserve"))),
    ("use", "Deployment and turnover", (("one", "invested"), ("two", "turnover"))),
    ("realised", "Realised profit by day", (("one", "realised"),)),
)
_ORDER_HEADS: Final = (
    *(("Symbol", ""), ("Planned", "n"), ("Funded", "n"), ("Sent", "n"), ("Filled", "n"), ("Plan", "n"), ("Price", "n")),
    (Markup('<abbr title="basis points worse than the plan\'s price">bps</abbr>'), "n"),
    *(("Sent to ended", "n"), ("Status and reason", "")),
)
_DAY_HEADS: Final = (
    *(("Day", ""), ("Status", ""), ("Equity", "n"), ("Profit", "n"), ("Deposits", "n"), ("Cash", "n")),
    *(("Reserve", "n"), ("Invested", "n"), ("Turnover", "n")),
    (Markup('<abbr title="slippage of BUYs and SELLs in basis points">Slippage</abbr>'), "n"),
    ("Realised", "n"),
)
_MAXIMA: Final = {
    "single": "position_limits.max_single_position_pct",
    "sector": "position_limits.max_sector_concentration_pct",
}


@dataclass(frozen=True, slots=True)
class Cut:
    """The one owner of how many rows a page shows: of orders, of other lists, of days. `whole` shows all of them."""

    whole: str
    orders: int = _ORDERS_SHOWN[0]
    days: int = _DAYS_SHOWN

    @property
    def rows(self) -> int:
        """Return the rows of a list without orders."""
        return min(_ROWS_SHOWN, self.orders)


def make_environment(*folders: Path) -> Environment:
    """Return the templates of these folders and of reports, with every value safe."""
    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_make_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": lambda at: "" if not at else show_time(parse_iso(at)),
        "moment": lambda at: "" if not at else show_moment(parse_iso(at), seconds=True),
        "shortly": lambda at: "" if not at else show_shortly(parse_iso(at)),
        "span": _write_span,
        "isotime": iso,
        "count": count_noun,
        "lines": lambda text: Markup(make_safe(text, Form.HTML)),  # noqa: S704 - made safe
        "money": _write_money,
        "dollars": lambda amount: "" if amount is None else usd(Decimal(str(amount))),
        "share": _write_share,
        "prose": _write_prose,
        "notes": describe_reasons,
        "limit": lambda key: key.partition(".")[2].removesuffix("_pct").replace("_", " ").capitalize(),
        "words": lambda code: str(code).replace("_", " ").lower(),
    }
    return environment


def render_report(document: Mapping[str, Any], links: Mapping[str, str] | None = None) -> str:
    """Return the page of a document with `page`. `links` leads from the id of a message to its file."""
    html = ""
    for orders in _ORDERS_SHOWN:
        html = _templates().get_template("report.html").render(report_values(document, links, orders))
        if len(html.encode()) <= LARGEST_PAGE:
            break
    return html


def report_values(
    document: Mapping[str, Any], links: Mapping[str, str] | None = None, orders: int = _ORDERS_SHOWN[0]
) -> dict[str, Any]:
    """Return what the templates of a report show, with its pictures; of long lists the first rows."""
    page = document["page"]
    return {
        "cut": Cut(f"departments report {document['plan_id']} --format json", orders),
        "order_heads": _ORDER_HEADS,
        "weights_drawn": SHOWN,
        "document": document,
        "page": page,
        "links": links or {},
        "needs": list_needs(document),
        "changes": changed_sentences(document["since_last"]),
        "pictures": _draw(document, orders),
        "phases": [
            (phase, list(rows))
            for phase, rows in groupby(page["trades"], key=lambda t: (t["phase"], t["attempt"]))
            if phase[0] in {PhaseName.SELL, PhaseName.BUY}
        ],
        "others": [t for t in page["trades"] if t["phase"] not in {PhaseName.SELL, PhaseName.BUY}],
        "bounds": _find_bounds(document),
    }


def render_tear_sheet(sheet: Mapping[str, Any]) -> str:
    """Return the page of a tear sheet."""
    spy = next((row["spy"] for row in reversed(sheet["growth"]) if row["spy"] is not None), None)
    cut = Cut(f"departments report --from {sheet['first']} --to {sheet['last']} --format json")
    values = {"sheet": sheet, "spy": spy, "pictures": _draw_days(sheet), "figures": _FIGURES, "cut": cut}
    values["day_heads"] = _DAY_HEADS
    return _templates().get_template("tear_sheet.html").render(values)


def _draw_days(sheet: Mapping[str, Any]) -> dict[str, Markup]:
    days = [day for day in sheet["days"] if day["equity"] is not None]
    names = [day["day"] for day in days]

    def read(key: str, rows: list[Mapping[str, Any]]) -> list[Decimal | None]:
        return [None if row[key] is None else Decimal(row[key]) for row in rows]

    deposits = [
        equity if Decimal(day["deposits"]) else None for day, equity in zip(days, read("equity", days), strict=True)
    ]
    growth = [read(key, sheet["growth"]) for key in ("growth", "spy", "drawdown")]
    drawn = {
        "equity": draw_days([read("equity", days)], names, marks=deposits),
        "growth": draw_days(growth, names, share=True),
        "money": draw_days([read("cash", days), read("reserve", days)], names),
        "use": draw_days([read("deployment", days), read("turnover", days)], names, share=True),
        "realised": draw_days([read("realised", days)], names),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - drawn here


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return make_environment()


def _draw(document: Mapping[str, Any], orders: int) -> dict[str, Markup]:
    """Draw the pictures, with so many orders. Their texts were made safe, and pygal escapes them."""
    page, bounds = document["page"], _find_bounds(document)
    drawn = {
        "cash": draw_cash(
            _read_steps(page["cash"]) if any(what for _, _, what in page["cash"]) else [],
            _read_steps(page["cash_buys_first"]),
            Decimal(document["account"]["reserve"] or 0),
        ),
        "timeline": draw_timeline(_list_spans(document, orders)),
        "weights": draw_weights(_read_weights(page["weights"], "ticker"), bounds["single"]),
        "sectors": draw_weights(_read_weights(page["sectors"], "name"), bounds["sector"]),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - drawn here


def _list_spans(document: Mapping[str, Any], orders: int) -> list[Span]:
    """Return each phase and, up to a number, its orders that were sent and have ended."""
    spans, left = list[Span](), orders
    for phase in document["phases"]:
        begin, end = phase["started_at"], phase["ended_at"] or phase["started_at"]
        mine = [
            Span(t["ticker"], t["side"].lower(), parse_iso(t["sent_at"]), parse_iso(t["ended_at"]))
            for t in document["page"]["trades"]
            if (t["phase"], t["attempt"]) == (phase["name"], phase["attempt"]) and t["sent_at"] and t["ended_at"]
        ][:left]
        left -= len(mine)
        if mine:
            spans += [Span(f"{phase['name']} phase", "phase", parse_iso(begin), parse_iso(end)), *mine]
    return spans


def _read_steps(steps: list[list[str]]) -> list[tuple[Any, Decimal]]:
    return [(parse_iso(at), Decimal(cash)) for at, cash, _ in steps]


def _read_weights(rows: list[Mapping[str, str]], name: str) -> list[tuple[str, Decimal, Decimal]]:
    found = ((str(r[name]), Decimal(r["before"]), Decimal(r["after"])) for r in rows)
    return [row for row in found if row[1] or row[2]]


def _find_bounds(document: Mapping[str, Any]) -> dict[str, Decimal | None]:
    """Return the limits of one symbol and one sector as shares of equity, None for unknown ones."""
    limits = {row["limit"]: Decimal(str(row["bound"])) for row in document["page"]["limits"]}
    equity = Decimal(document["account"]["equity"] or 0)
    return {name: limits[key] / equity if key in limits and equity > 0 else None for name, key in _MAXIMA.items()}


def _make_visible(value: object) -> object:
    return value if isinstance(value, Markup) else make_safe(_shorten(value))


def _shorten(value: object) -> object:
    """Cut a long text: a plan file may hold whole essays."""
    return f"{value[:_LONGEST_TEXT]}…" if isinstance(value, str) and len(value) > _LONGEST_TEXT else value


def _write_prose(sentence: object) -> Markup:
    """Return a sentence with the codes in it as small print."""
    parts = _CODE.split(make_safe(_shorten(sentence)))
    small = Markup(' <code class="id">{}</code>')
    return Markup("").join(small.format(part) if number % 2 else escape(part) for number, part in enumerate(parts))


def _write_span(since: str | None, until: str | None) -> str:
    """Return from when to when, in New York time, as far as it is known."""
    if since and until:
        return show_span(parse_iso(since), parse_iso(until))
    known = since or until
    return show_time(parse_iso(known)) if known else ""


def _write_money(amount: object) -> str:
    return "" if amount is None else usd_cents(Decimal(str(amount)))


def _write_share(share: object) -> str:
    return "" if share is None else f"{Decimal(str(share)) * 100:.1f}\u00a0%"
