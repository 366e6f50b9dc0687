"""Readers of annotation tools' exports; each gives the same `AnnotatedSet`.

supervision (MIT) reads COCO, Pascal VOC, Labelme and YOLO as well, and was tried first. It does not serve here: a data
set there is boxes with all masks or none, so a set that mixes polygons and box-only objects loses one kind or gets
empty masks; polygons pass through rasters, so a round trip does not keep corners; crowd, `difficult`, groups of
shapes, splits and the size that an export states are not carried; there is no CVAT reader, and a fault in a file ends
in a ValueError or KeyError without the place. pycocotools decodes COCO's run-length masks; the rest is a page of code
for each format.
"""
