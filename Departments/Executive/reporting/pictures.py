"""Pictures of a day as small SVG texts, drawn by pygal without a style of their own.

A page brings the style (`templates/style.css`), so light, dark and print need one picture. Numbers are floats here:
they become lengths on a screen.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pygal
from pygal.style import Style

from Departments.core.moments import show_time
from Departments.core.money import percent, usd
from Departments.core.safe_text import make_safe

# pygal adds a finder of an old form to every later import of the program; only its maps need it.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder) is not pygal.PluginImportFixer]

WIDTH: Final = 520  # of every picture, in its own units: the page scales it, to a half on a phone
MARGIN: Final = 6
ROW: Final = 14  # units of height for one bar
ROWS_SEEN: Final = 25  # of a timeline at once, on a phone: longer ones have their times above, too
#: Distances between two ticks of weights.
_STEPS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
DAYS_NAMED: Final = 4  # below a picture of days: more would run together on a phone
SHOWN: Final = 40  # rows of a picture of weights; the table beside it has all
#: What pygal draws for its script, and what the page says in words.
_UNUSED: Final = frozenset({"comment", "defs", "desc", "title", "script", "style", "metadata"})
#: Classes of pygal that neither its script nor our style needs.
_IDLE: Final = frozenset({"", "bar", "bars", "rect reactive tooltip-trigger"})
_FRACTION: Final = re.compile(r"-?\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Span:
    """One bar of a timeline. `kind` is the class of its colour, `lane` the words before it."""

    lane: str
    kind: str
    start: datetime
    end: datetime


def draw_cash(
    cash: Sequence[tuple[datetime, Decimal]], buys_first: Sequence[tuple[datetime, Decimal]], reserve: Decimal
) -> str:
    """Draw cash (dollars) as steps, the same with the BUYs first as a dashed line, and the reserve as a rule."""
    if not cash:
        return ""
    first, last = cash[0][0], cash[-1][0]
    chart = pygal.XY(
        stroke=True,
        show_dots=False,
        x_value_formatter=_clock_from(first),
        value_formatter=lambda value: usd(Decimal(str(round(value)))),
        x_labels=_ticks((last - first).total_seconds()),
        range=_widen([float(amount) for _, amount in (*cash, *buys_first)] + [float(reserve)]),
        **_settings(height=210),
    )
    chart.add("cash", _steps(cash, first))
    chart.add("first", _steps(buys_first, first))
    end = max(1.0, (last - first).total_seconds())
    chart.add("reserve", [(0, float(reserve)), (end, float(reserve))])
    return _render(chart)


def draw_timeline(spans: Sequence[Span]) -> str:
    """Draw one bar from sent to filled for each order, on the bands of the phases.

    A phase comes before its orders; its band is as long as it lasted, and as high as they are.
    """
    if not spans:
        return ""
    first, last = min(s.start for s in spans), max(s.end for s in spans)
    whole = max(1.0, (last - first).total_seconds())
    chart = pygal.HorizontalStackedBar(
        value_formatter=_clock_from(first), y_labels=_ticks(whole), **_settings(height=ROW * len(spans) + 60)
    )
    drawn = list(reversed(spans))  # the first is on top
    chart.x_labels = [make_safe(span.lane) for span in drawn]
    chart.add("before", [(span.start - first).total_seconds() for span in drawn])
    for kind in ("phase", "sell", "buy"):
        chart.add(kind, [_length(span, whole) if span.kind == kind else None for span in drawn])
    return _render(chart, lambda root: _frame_timeline(root, spans))


def _frame_timeline(root: Any, spans: Sequence[Span]) -> Any:
    """Stretch phases to bands behind their orders, and cut off the air that pygal leaves above and below many rows."""
    lanes = [float(each.get("y")) for each in _find(root, "y", "text")]  # from below
    pitch = (lanes[0] - lanes[-1]) / (len(lanes) - 1) if len(lanes) > 1 else float(ROW)
    starts = [number for number, span in enumerate(spans) if span.kind == "phase"]
    bands = reversed(_find(root, "serie-1", "rect"))
    for band, start, end in zip(bands, starts, [*starts, len(spans)][1:], strict=True):
        band.set("height", f"{float(band.get('height')) + (end - start - 1) * pitch:.1f}")
    top, bottom = lanes[-1] - pitch, lanes[0] + pitch / 2
    heights = [bottom + ROW, *([top - ROW / 2] if len(spans) > ROWS_SEEN else [])]
    for tick in _find(root, "x", "g")[1:]:
        for line, text in zip(_find(tick, "", "path"), _find(tick, "", "text"), strict=True):
            line.set("d", f"{line.get('d').split()[0]} {top:.1f} v{bottom - top:.1f}")
            times = [text, *(deepcopy(text) for _ in heights[1:])]
            tick.extend(times[1:])
            for height, each in zip(heights, times, strict=True):
                each.set("y", f"{height:.1f}")
    above = top - (1.5 * ROW if len(heights) > 1 else 0)
    root.set("viewBox", f"0 {above + MARGIN:.1f} {WIDTH} {bottom + 1.5 * ROW - above:.1f}")
    return root


def _find(root: Any, kind: str, tag: str) -> list[Any]:
    """Return the elements of a tag inside the group of a class, empty for the root itself."""
    group = root if not kind else next((each for each in root.iter() if kind in each.get("class", "").split()), None)
    return [] if group is None else [each for each in group.iter() if each.tag.rpartition("}")[2] == tag]


def draw_weights(rows: Sequence[tuple[str, Decimal, Decimal]], most: Decimal | None) -> str:
    """Draw weights before and after (shares of equity) as pairs of bars, the largest first; `most` is the limit."""
    shown = list(rows)[:SHOWN][::-1]
    if not shown:
        return ""
    bound = () if most is None else (float(most),)
    top = max([float(max(before, after)) for _, before, after in shown] + list(bound)) * 1.05 or 1.0
    step = next((size for size in _STEPS if top / size <= 6), top)
    ticks = [step * number for number in range(int(top / step) + 1)]
    chart = pygal.HorizontalBar(
        value_formatter=_write_percent,
        y_labels=[*(tick for tick in ticks if all(abs(tick - each) > top / 12 for each in bound)), *bound],
        y_labels_major=list(bound),
        range=(0, top),
        **_settings(height=int(ROW * 1.4) * len(shown) + 60),
    )
    chart.x_labels = [make_safe(name) for name, _, _ in shown]
    chart.add("after", [float(after) for _, _, after in shown])  # the later series is drawn above
    chart.add("before", [float(before) for _, before, _ in shown])
    return _render(chart)


def _write_percent(value: float) -> str:
    """Return a share as a percentage; a limit such as 12.5% keeps its tenth."""
    share = Decimal(str(round(value, 4)))
    return percent(share, 0 if share * 100 % 1 == 0 else 1)


def _settings(height: int) -> dict[str, Any]:
    return {
        "width": WIDTH,
        "height": height,
        "js": (),
        "css": (),
        "no_prefix": True,
        "disable_xml_declaration": True,
        "show_legend": False,
        "print_values": False,
        "max_scale": 8,
        "margin": MARGIN,
        "margin_right": 46,  # half of the last label
        "spacing": 6,
        "truncate_label": -1,
        "style": Style(label_font_size=15, major_label_font_size=15),  # only to measure the labels
    }


def _render(chart: Any, *filters: Callable[[Any], Any]) -> str:
    for each in (_strip, *filters):
        chart.add_xml_filter(each)
    return str(chart.render(is_unicode=True))


def _strip(root: Any) -> Any:
    """Remove what only pygal's script reads, and hide the drawing from readers: the table beside it speaks."""
    for parent in reversed(list(root.iter())):
        for child in list(parent):
            name = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else "comment"
            is_empty = not len(child) and (name == "g" or (name == "rect" and not float(child.get("width") or 0)))
            if name in _UNUSED or is_empty or child.get("class") == "tooltip":
                parent.remove(child)
    for each in root.iter():
        _shorten(each)
    root.attrib.pop("id", None)
    root.set("aria-hidden", "true")
    return root


def _shorten(each: Any) -> None:
    """Drop attributes without effect, and digits that no screen shows."""
    if each.get("class", "") in _IDLE:
        each.attrib.pop("class", None)
    for name in ("rx", "ry"):
        each.attrib.pop(name, None)
    for name in ("x", "y", "width", "height", "d"):
        if each.get(name):
            each.set(name, _FRACTION.sub(lambda found: f"{float(found.group()):.1f}", each.get(name)))


def _steps(cash: Iterable[tuple[datetime, Decimal]], first: datetime) -> list[tuple[float, float]]:
    points = list[tuple[float, float]]()
    for at, amount in cash:
        seconds = (at - first).total_seconds()
        if points:
            points.append((seconds, points[-1][1]))
        points.append((seconds, float(amount)))
    return points


def _widen(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of values with a little air, so that no line runs along the edge."""
    air = (max(values) - min(values)) / 25 or 1.0
    return min(values) - air, max(values) + air


def _length(span: Span, whole: float) -> float:
    """Return the length of a bar in seconds; one that is too short to see gets half a hundredth of the picture."""
    return max((span.end - span.start).total_seconds(), whole / 200)


def _ticks(whole: float) -> list[float]:
    return [whole * step / 3 for step in range(4)]


def _clock_from(first: datetime) -> Callable[[float], str]:
    def write(seconds: float) -> str:
        return show_time(first + timedelta(seconds=float(seconds)))

    return write


def draw_days(
    lines: Sequence[Sequence[Decimal | None]],
    days: Sequence[str],
    *,
    marks: Sequence[Decimal | None] = (),
    share: bool = False,
) -> str:
    """Draw lines over days, in dollars or shares of one; `marks` are dots on the days that have one."""
    if not days:
        return ""

    def write(value: float) -> str:
        amount = Decimal(str(value))
        return percent(amount) if share else usd(amount)

    chart = pygal.Line(value_formatter=write, show_minor_x_labels=False, **_settings(height=200))
    chart.x_labels = list(days)
    every = -(-len(days) // DAYS_NAMED)
    chart.x_labels_major = list(days[::every])
    for values in lines:
        chart.add("", list(map(_float, values)), show_dots=len(days) == 1)
    if any(mark is not None for mark in marks):
        chart.add("", list(map(_float, marks)), stroke=False, show_dots=True, dots_size=4)
    return _render(chart)


def _float(number: Decimal | None) -> float | None:
    return None if number is None else float(number)
