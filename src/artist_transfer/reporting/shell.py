"""What every page is put into: the template, plotly without network, and a policy that runs no other script."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    import plotly.graph_objects as go

LOADER = """
for (const place of document.querySelectorAll("div.plot")) {
  const figure = JSON.parse(document.getElementById(place.id + "-data").textContent);
  Plotly.newPlot(place, figure.data, figure.layout, {
    responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"],
  });
}
document.querySelectorAll("details").forEach(function (details) {
  details.addEventListener("toggle", function () { window.dispatchEvent(new Event("resize")); });
});
"""


@dataclass(frozen=True)
class Shown:
    """A figure in a page.

    Attributes
    ----------
    name : str
        Its id in the page.
    alt : str
        What it shows, in words.
    height : int > 0
        In pixels.
    data : Markup
        The figure as JSON that cannot end its script element.
    """

    name: str
    alt: str
    height: int
    data: Markup


def shown(name: str, figure: go.Figure, alt: str) -> Shown:
    """Make a figure ready for a page.

    Parameters
    ----------
    name : str
        Unique in the page.
    figure : go.Figure
    alt : str

    Returns
    -------
    Shown
    """
    text = str(figure.to_json()).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Shown(f"figure-{name}", alt, int(figure.layout.height or 430), Markup(text))


class Figures(dict[str, Shown]):
    """The figures of a page by name, in the order in which they were drawn; what there was no data for is not there."""

    def draw(self, name: str, figure: go.Figure, alt: str) -> None:
        """Add a figure.

        Parameters
        ----------
        name : str
            Unique in the page.
        figure : go.Figure
        alt : str
            What it shows, in words.
        """
        self[name] = shown(name, figure, alt)


def render(template: str, context: Mapping[str, object]) -> str:
    """Fill a template of this package.

    Parameters
    ----------
    template : str
        Name of a file in ``templates``.
    context : mapping
        What it speaks of, ``title``, ``sections`` and ``figures`` (`Figures`) always; everything is escaped.

    Returns
    -------
    str
        HTML.
    """
    from plotly.offline import get_plotlyjs

    plotly = str(get_plotlyjs())
    if "</script" in plotly.lower():
        raise AssertionError("plotly.js would end its own script element")
    environment = Environment(
        loader=PackageLoader("artist_transfer.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        **context,
        script_hashes=Markup(" ".join(f"'sha256-{_digest(script)}'" for script in (plotly, LOADER))),
        plotly=Markup(plotly),
        loader=Markup(LOADER),
    )


def _digest(script: str) -> str:
    # a browser reads line ends of HTML as \n before it hashes
    return b64encode(hashlib.sha256(script.replace("\r\n", "\n").encode()).digest()).decode()
