"""Readers of annotation tools' exports; each gives the same `AnnotatedSet`.

supervision (MIT, 0.31) reads COCO, Pascal VOC, Labelme and YOLO as well, and was weighed first. It does not serve here.
Its objects have masks all or none, so that in a set of outlines and boxes an object with a box only gets an empty mask;
outlines reach a YOLO file by way of rasters, which keeps neither corners nor, in one row, parts and holes; groups of
shapes, VOC's flags, splits and the size that an export states, which tells turned images, are not carried; it reads
no CVAT; and a fault ends in a ValueError or KeyError that does not name the file. pycocotools does what is hard to get
right, COCO's run-length masks; the rest is a page of code for each format.
"""
