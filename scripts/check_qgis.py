"""Open what `inventory build` wrote in QGIS, draw it, edit it, and say what is wrong.

    apt-get install qgis python3-qgis
    QT_QPA_PLATFORM=offscreen /usr/bin/python3 scripts/check_qgis.py inventory --picture map.png [--edit copy.gpkg]

Needs the Python that QGIS comes with, not this project's. `--edit` writes a GeoPackage in which the first point has
another class, the second stands 3 m further east, and the third is deleted: `inventory decisions import` reads it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCoordinateTransform,
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsGeometry,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

ASSETS = ("points", "spans", "lines")
ROOT = "file_path(layer_property(@layer_id, 'path'))"


def check_project(folder: Path, picture: Path | None) -> list[str]:
    """Return what is wrong with the project."""
    project, wrong = QgsProject.instance(), []
    if not project.read(str(folder / "inventory.qgs")):
        return [f"inventory.qgs cannot be read: {project.error()}"]
    if not project.crs().isValid():
        wrong.append("the project has no coordinate system")
    nodes = project.layerTreeRoot().findLayers()
    lost = [node.name() for node in nodes if node.layer() is None]
    wrong += [f"{name} is in the tree, and no layer" for name in lost]
    if len(nodes) != len(project.mapLayers()):
        wrong.append(f"{len(project.mapLayers())} layers, {len(nodes)} in the tree")
    layers = [node.layer() for node in nodes if node.layer() is not None]
    for layer in layers:
        if not layer.isValid():
            wrong.append(f"{layer.name()} is not valid")
        elif layer.isSpatial() and layer.renderer() is None:
            wrong.append(f"{layer.name()} is not drawn")
        elif layer.name() in ASSETS:
            wrong += check_assets(layer)
    if picture is not None:
        draw(project, [layer for layer in layers if layer.isSpatial()], picture)
    return wrong


def check_assets(layer: QgsVectorLayer) -> list[str]:
    """Return what is wrong with a layer of assets: classes that are drawn as others, images that the form lacks."""
    wrong = []
    drawn = {category.value() for category in layer.renderer().categories()}
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    root = QgsExpression(ROOT).evaluate(context)
    for feature in layer.getFeatures():
        if feature["class"] not in drawn:
            wrong.append(f"{layer.name()}: {feature['class']} has no colour")
        photo = feature["thumbnail"]
        if photo and not (Path(root) / photo).is_file():
            wrong.append(f"{layer.name()}: the form of {feature['asset_id']} lacks {photo}")
    return wrong


def draw(project: QgsProject, layers: list[QgsVectorLayer], picture: Path) -> None:
    """Draw the map as QGIS would."""
    extent = QgsRectangle()
    for layer in layers:
        if layer.featureCount():
            into = QgsCoordinateTransform(layer.crs(), project.crs(), project)
            extent.combineExtentWith(into.transformBoundingBox(layer.extent()))
    extent.scale(1.1)
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(project.crs())
    settings.setOutputSize(QSize(1000, 1000))
    settings.setBackgroundColor(QColor("white"))
    settings.setExtent(extent)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(str(picture))


def check_styles(folder: Path) -> list[str]:
    """Return the layers of assets that are not drawn by class where the GeoPackage is added by hand."""
    wrong = []
    for name in ASSETS:
        layer = QgsVectorLayer(f"{folder / 'inventory.gpkg'}|layername={name}", name, "ogr")
        found = layer.loadDefaultStyle()[1]
        if not found or layer.renderer().type() != "categorizedSymbol":
            wrong.append(f"{name} has no default style")
    return wrong


def edit(folder: Path, target: Path) -> None:
    """Edit three points of a copy."""
    shutil.copyfile(folder / "inventory.gpkg", target)
    layer = QgsVectorLayer(f"{target}|layername=points", "points", "ogr")
    first, second, third = [feature for _, feature in zip(range(3), layer.getFeatures())]  # noqa: B905
    layer.startEditing()
    layer.changeAttributeValue(first.id(), layer.fields().indexOf("class"), "edited_class")
    moved = QgsGeometry(second.geometry())
    moved.translate(3.0 if not layer.crs().isGeographic() else 3e-5, 0.0)
    layer.changeGeometry(second.id(), moved)
    layer.deleteFeature(third.id())
    if not layer.commitChanges():
        raise SystemExit(f"{target}: {layer.commitErrors()}")
    for feature, what in ((first, "is edited_class"), (second, "moved"), (third, "deleted")):
        print(f"{feature['asset_id']} {what}")


def main() -> None:
    """Check, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--edit", type=Path)
    arguments = parser.parse_args()
    application = QgsApplication([], False)
    application.initQgis()
    wrong = [*check_project(arguments.folder, arguments.picture), *check_styles(arguments.folder)]
    if arguments.edit is not None:
        edit(arguments.folder, arguments.edit)
    print("\n".join(wrong) or f"QGIS {Qgis.QGIS_VERSION}: nothing wrong")
    QgsProject.instance().clear()
    application.exitQgis()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
