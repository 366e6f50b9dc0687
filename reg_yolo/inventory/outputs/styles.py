"""Default QGIS styles of the layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import quoteattr

from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.outputs.layers import Layer

_HEAD = (
    "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    '<qgis version="3.22" styleCategories="Symbology|Labeling|Fields|Forms">'
)
_POINT = (
    '<symbol type="marker" name="{number}" alpha="1"><layer class="SimpleMarker" enabled="1" pass="0">'
    '<Option type="Map">'
    '<Option name="color" type="QString" value="{colour},255"/><Option name="name" type="QString" value="circle"/>'
    '<Option name="outline_color" type="QString" value="255,255,255,255"/>'
    '<Option name="size" type="QString" value="{width}"/></Option></layer></symbol>'
)
_LINE = (
    '<symbol type="line" name="{number}" alpha="1"><layer class="SimpleLine" enabled="1" pass="0"><Option type="Map">'
    '<Option name="line_color" type="QString" value="{colour},255"/>'
    '<Option name="line_width" type="QString" value="{width}"/></Option></layer></symbol>'
)
PALETTE = (
    "31,119,180", "255,127,14", "44,160,44", "214,39,40", "148,103,189", "140,86,75", "227,119,194", "127,127,127",
    "188,189,34", "23,190,207",
)  # fmt: skip
"""Colours of the classes in the order of their names, as in the report."""
_OTHER = "150,150,150"

# Shows the image next to the GeoPackage, wherever both are moved, in forms and when a feature is identified.
_PHOTO_FORM = (
    '<fieldConfiguration><field name={column}><editWidget type="ExternalResource"><config><Option type="Map">'
    '<Option name="DocumentViewer" type="int" value="1"/><Option name="DocumentViewerHeight" type="int" value="240"/>'
    '<Option name="DocumentViewerWidth" type="int" value="320"/><Option name="FileWidget" type="bool" value="true"/>'
    '<Option name="FileWidgetButton" type="bool" value="false"/>'
    '<Option name="FileWidgetFilter" type="QString" value=""/>'
    '<Option name="PropertyCollection" type="Map"><Option name="name" type="QString" value=""/>'
    '<Option name="properties" type="Map"><Option name="propertyRootPath" type="Map">'
    '<Option name="active" type="bool" value="true"/>'
    '<Option name="expression" type="QString" value="file_path(layer_property(@layer_id, &apos;path&apos;))"/>'
    '<Option name="type" type="int" value="3"/></Option></Option>'
    '<Option name="type" type="QString" value="collection"/></Option>'
    '<Option name="RelativeStorage" type="int" value="2"/><Option name="StorageMode" type="int" value="0"/>'
    '<Option name="UseLink" type="bool" value="true"/></Option></config></editWidget></field></fieldConfiguration>'
)
_WIDTH = {"points": "2.6", "lines": "0.9", "spans": "1.2"}
_DRAWN = {
    "drive": (_LINE, "120,120,120", "0.3"),
    "rejected": (_POINT, _OTHER, "2.6"),
    "not_static": (_POINT, "214,39,40", "2.6"),
    "surveyed_stretches": (_LINE, "44,160,44", "0.6"),
}
"""Of the layers besides the assets': symbol, colour and width."""


def style_of(layer: Layer, assets: Iterable[Asset]) -> str:
    """Return the QML of a layer: assets by class, and images in their form where there are some.

    Args:
        layer: One with a geometry.
        assets: Of all layers; the order of their classes says which colour each has.
    """
    drawn = _WIDTH.get(layer.name)
    renderer = (
        _by_class(layer, drawn, sorted({asset.class_name for asset in assets}))
        if drawn
        else _alike(*_DRAWN[layer.name])
    )
    photo = layer.written.get("thumbnail") if any(row.get("thumbnail") for row in layer.rows) else None
    form = "" if photo is None else _PHOTO_FORM.format(column=quoteattr(photo))
    return f"{_HEAD}{renderer}{form}</qgis>"


def _alike(symbol: str, colour: str, width: str) -> str:
    drawn = symbol.format(number=0, colour=colour, width=width)
    return f'<renderer-v2 type="singleSymbol" enableorderby="0"><symbols>{drawn}</symbols></renderer-v2>'


def _by_class(layer: Layer, width: str, classes: Sequence[str]) -> str:
    present = {str(row["class"]) for row in layer.rows}
    colours = {name: PALETTE[n % len(PALETTE)] for n, name in enumerate(classes) if name in present}
    # Features that are added by hand, or get another class, are drawn as well.
    known = [*((name, name, colour) for name, colour in colours.items()), ("", "others", _OTHER)]
    symbol = _POINT if layer.geometry == "Point" else _LINE
    categories = "".join(
        f'<category symbol="{n}" value={quoteattr(value)} label={quoteattr(label)} render="true" type="string"/>'
        for n, (value, label, _) in enumerate(known)
    )
    symbols = "".join(symbol.format(number=n, colour=colour, width=width) for n, (_, _, colour) in enumerate(known))
    attribute = quoteattr(layer.written.get("class", "class"))
    return (
        f'<renderer-v2 type="categorizedSymbol" attr={attribute} enableorderby="0">'
        f"<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2>"
    )
