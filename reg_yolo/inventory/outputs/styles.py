"""Default QGIS styles of the layers."""

from __future__ import annotations

_HEAD = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_POINT = (
    _HEAD
    + '<qgis version="3.28" styleCategories="Symbology|Labeling"><renderer-v2 type="singleSymbol" enableorderby="0">'
    '<symbols><symbol type="marker" name="0" alpha="1">'
    '<layer class="SimpleMarker" enabled="1" pass="0"><Option type="Map">'
    '<Option name="color" type="QString" value="{colour},255"/><Option name="name" type="QString" value="circle"/>'
    '<Option name="outline_color" type="QString" value="255,255,255,255"/>'
    '<Option name="size" type="QString" value="2.6"/></Option></layer></symbol></symbols></renderer-v2></qgis>'
)
_LINE = (
    _HEAD
    + '<qgis version="3.28" styleCategories="Symbology|Labeling"><renderer-v2 type="singleSymbol" enableorderby="0">'
    '<symbols><symbol type="line" name="0" alpha="1"><layer class="SimpleLine" enabled="1" pass="0">'
    '<Option type="Map">'
    '<Option name="line_color" type="QString" value="{colour},255"/>'
    '<Option name="line_width" type="QString" value="{width}"/></Option></layer></symbol></symbols>'
    "</renderer-v2></qgis>"
)

STYLES = {
    "points": _POINT.format(colour="31,119,180"),
    "lines": _LINE.format(colour="255,127,14", width="0.9"),
    "spans": _LINE.format(colour="148,103,189", width="1.2"),
    "drive": _LINE.format(colour="120,120,120", width="0.3"),
    "rejected": _POINT.format(colour="150,150,150"),
    "surveyed_stretches": _LINE.format(colour="44,160,44", width="0.6"),
}
"""QML by layer."""
