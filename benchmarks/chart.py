"""A bar chart as SVG: CPU per request, user and system, one bar for each server."""

from dataclasses import dataclass
from html import escape

WIDTH = 760
LEFT = 210
RIGHT = 90
TOP = 84
ROW = 30
BAR = 18
BOTTOM = 34

# A surface of its own, so that the chart reads on any page; the scheme of the reader chooses it.
STYLE = """\
.card{fill:#fcfcfb;stroke:#e1e0d9}.title{fill:#0b0b0b;font-size:16px;font-weight:600}
.label,.value{fill:#0b0b0b}.note,.key{fill:#52514e}.grid{stroke:#e1e0d9}.axis{stroke:#c3c2b7}
.user{fill:#2a78d6}.system{fill:#9ec5f4}.ours{font-weight:700}
text{font:13px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
.note,.key{font-size:12px}.value{font-variant-numeric:tabular-nums}
@media (prefers-color-scheme:dark){
.card{fill:#1a1a19;stroke:#383835}.title,.label,.value{fill:#fff}.note,.key{fill:#c3c2b7}
.grid{stroke:#2c2c2a}.axis{stroke:#383835}.user{fill:#3987e5}.system{fill:#1c5cab}}"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One server: its name and the two parts of its bar."""

    label: str
    user: float
    system: float
    ours: bool = False

    @property
    def total(self) -> float:
        """Both parts."""
        return self.user + self.system


def drawn(title: str, note: str, bars: list[Bar]) -> str:
    """Return the chart, the bars in the order given."""
    height = TOP + ROW * len(bars) + BOTTOM
    step = _step(max(bar.total for bar in bars))
    top = step * -(-max(bar.total for bar in bars) // step)
    scale = (WIDTH - LEFT - RIGHT) / top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        f'     width="{WIDTH}" height="{height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        _text("title", 20, 30, title),
        _text("note", 20, 50, note),
        *_key(),
        *_grid(top, step, scale, height),
    ]
    for number, bar in enumerate(bars):
        parts += _bar(bar, TOP + ROW * number, scale)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _step(most: float) -> float:
    """Return a round step that makes four to ten lines."""
    size = 1.0
    while most / size > 10:
        size *= 2.5 if str(size)[0] == "2" else 2
    return size


def _key() -> list[str]:
    right = WIDTH - 20
    return [
        _rect("user", right - 200, 60, 10, 10),
        _text("key", right - 185, 69, "in the server"),
        _rect("system", right - 90, 60, 10, 10),
        _text("key", right - 75, 69, "in the kernel"),
    ]


def _grid(top: float, step: float, scale: float, height: int) -> list[str]:
    lines: list[str] = []
    for number in range(round(top / step) + 1):
        x = LEFT + number * step * scale
        kind = "grid" if number else "axis"
        lines += [
            f'<line class="{kind}" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - BOTTOM}"/>',
            _text("note", x, height - 12, f"{number * step:g}", "middle"),
        ]
    return lines


def _bar(bar: Bar, y: float, scale: float) -> list[str]:
    user, system = bar.user * scale, bar.system * scale
    inner = y + (ROW - BAR) / 2
    baseline = y + ROW / 2 + 4.5
    ours = " ours" if bar.ours else ""
    return [
        _text(f"label{ours}", LEFT - 12, baseline, bar.label, "end"),
        _rect("user", LEFT, inner, user),
        # Two pixels of the surface between the parts tell them apart without colour.
        _rect("system", LEFT + user + 2, inner, max(system - 2, 0)),
        _text(f"value{ours}", LEFT + user + system + 8, baseline, f"{bar.total:.1f}"),
    ]


def _text(kind: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'


def _rect(kind: str, x: float, y: float, width: float, height: float = BAR) -> str:
    size = f'width="{width:.1f}" height="{height}"'
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" {size} rx="2"/>'
