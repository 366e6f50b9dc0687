"""Default QGIS styles of the layers."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from reg_yolo.inventory.outputs.layers import Layer

_HEAD = (
    "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    '<qgis version="3.28" styleCategories="Symbology|Labeling|Fields|Forms">'
)
_POINT = (
    _HEAD + '<renderer-v2 type="singleSymbol" enableorderby="0">'
    '<symbols><symbol type="marker" name="0" alpha="1">'
    '<layer class="SimpleMarker" enabled="1" pass="0"><Option type="Map">'
    '<Option name="color" type="QString" value="{colour},255"/><Option name="name" type="QString" value="circle"/>'
    '<Option name="outline_color" type="QString" value="255,255,255,255"/>'
    '<Option name="size" type="QString" value="2.6"/></Option></layer></symbol></symbols></renderer-v2>{form}</qgis>'
)
_LINE = (
    _HEAD + '<renderer-v2 type="singleSymbol" enableorderby="0">'
    '<symbols><symbol type="line" name="0" alpha="1"><layer class="SimpleLine" enabled="1" pass="0">'
    '<Option type="Map">'
    '<Option name="line_color" type="QString" value="{colour},255"/>'
    '<Option name="line_width" type="QString" value="{width}"/></Option></layer></symbol></symbols>'
    "</renderer-v2>{form}</qgis>"
)

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
_DRAWN = {
    "points": (_POINT, "31,119,180", ""),
    "lines": (_LINE, "255,127,14", "0.9"),
    "spans": (_LINE, "148,103,189", "1.2"),
    "drive": (_LINE, "120,120,120", "0.3"),
    "rejected": (_POINT, "150,150,150", ""),
    "not_static": (_POINT, "214,39,40", ""),
    "surveyed_stretches": (_LINE, "44,160,44", "0.6"),
}


def style_of(layer: str, photo_column: str | None = None) -> str:
    """Return the QML of a layer.

    Args:
        layer: Its name.
        photo_column: Column with paths of images, relative to the GeoPackage's folder; None for none.
    """
    drawn, colour, width = _DRAWN[layer]
    form = "" if photo_column is None else _PHOTO_FORM.format(column=quoteattr(photo_column))
    return drawn.format(colour=colour, width=width, form=form)


def photo_column(layer: Layer) -> str | None:
    """Return the name of the column that leads to images, where there are some."""
    if not any(row.get("thumbnail") for row in layer.rows):
        return None
    return layer.written.get("thumbnail")
