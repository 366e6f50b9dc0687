"""The seam to Ultralytics: the only package of reg_yolo that imports it."""

from reg_yolo.yolo.upstream.environment import prepare_environment

# Upstream reads its switches when it is first imported, and every module below imports it.
prepare_environment()
