"""A picture as SVG text: white ground, dark on light so that it reads in grey, with words for screen readers."""

from __future__ import annotations

from html import escape

INK, MIDDLE, PALE = "#1b2a3a", "#8a97a6", "#d9dee4"  # as far apart in grey as in colour
_FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
_SIZE = 13  # px of its letters
_HEAD = 56  # px above the drawing


class Picture:
    """What is drawn lies below title and subtitle: (0, 0) is its upper left corner, px; ``height`` that of the drawing.

    ``description``: the figures in words, for those who do not see it.
    """

    def __init__(self, title: str, subtitle: str, description: str, width: int, height: int) -> None:
        self.title, self.description, self.width, self.height = title, description, width, height
        self._parts: list[str] = []
        self.text(16, 24 - _HEAD, title, size=16, bold=True)
        self.text(16, 43 - _HEAD, subtitle, size=12, ink="#4a5866")

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "start",
        size: int = _SIZE,
        bold: bool = False,
        ink: str = INK,
    ) -> None:
        """Words whose baseline begins, ends (``anchor`` end) or has its middle at (x, y)."""
        weight = ' font-weight="600"' if bold else ""
        where = f'x="{_px(x)}" y="{_px(y + _HEAD)}" text-anchor="{anchor}"'
        self._parts.append(f'<text {where} font-size="{size}" fill="{ink}"{weight}>{escape(words)}</text>')

    def bar(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """A rectangle with a dark edge."""
        where = f'x="{_px(x)}" y="{_px(y + _HEAD)}" width="{_px(width)}" height="{_px(height)}"'
        self._parts.append(f'<rect {where} fill="{fill}" stroke="{INK}" stroke-width="1"/>')

    def line(self, *points: tuple[float, float], ink: str = INK, width: float = 1, dashes: str = "") -> None:
        """A line through (x, y) points; ``dashes`` as SVG has them."""
        told = " ".join(f"{_px(x)},{_px(y + _HEAD)}" for x, y in points)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        drawn = f'fill="none" stroke="{ink}" stroke-width="{width:g}"{dashed}'
        self._parts.append(f'<polyline points="{told}" {drawn}/>')

    def spread(self, least: float, greatest: float, y: float, ink: str = INK) -> None:
        """From the least to the greatest, at a height: a line with ends."""
        self.line((least, y), (greatest, y), ink=ink, width=1.5)
        for x in (least, greatest):
            self.line((x, y - 4), (x, y + 4), ink=ink, width=1.5)

    def svg(self) -> str:
        """The file."""
        height = self.height + _HEAD
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {height}" width="{self.width}"'
                f' height="{height}" role="img" aria-labelledby="title description" font-family="{_FONT}">',
                f'<title id="title">{escape(self.title)}</title>',
                f'<desc id="description">{escape(self.description)}</desc>',
                f'<rect width="{self.width}" height="{height}" fill="#ffffff"/>',
                *self._parts,
                "</svg>\n",
            ]
        )


def _px(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
