"""Losses of four papers, one function an equation, on torch alone.

The table in this folder's README.md leads from the papers' symbols to arguments, equations and departures.
"""

from reg_yolo.losses.class_weights import balanced_weights, imbalance_ratio, inverse_frequency_weights
from reg_yolo.losses.classification import (
    quality_focal_loss,
    sigmoid_focal_loss,
    softmax_focal_loss,
    varifocal_loss,
)
from reg_yolo.losses.coordinate_losses import balanced_l1_loss, focal_l1_loss, smooth_l1_loss
from reg_yolo.losses.distribution import distribution_moments, distribution_spread
from reg_yolo.losses.dual import DualClassWeights
from reg_yolo.losses.dynamic_coefficient import dynamic_coefficient, equilibrated_loss
from reg_yolo.losses.eiou_losses import eiou_loss, focal_eiou_loss, focal_eiou_star_loss, focal_eiou_v1_loss
from reg_yolo.losses.equalized import GradientRatio, equalized_focal_loss, equalized_focal_slope
from reg_yolo.losses.far_probability import far_probability
from reg_yolo.losses.iou_losses import aspect_ratio_term, ciou_loss, diou_loss, giou_loss, iou_loss
from reg_yolo.losses.localization_score import localization_score, match_anchors
from reg_yolo.losses.negative_weights import keep_hard_entries, mitigation_weights
from reg_yolo.losses.pixels import (
    pixel_context_weight,
    pixel_counts,
    predicted_object_class,
    refined_pixel_loss,
)
from reg_yolo.losses.reduction import reduce_loss
from reg_yolo.losses.refined import entry_weight, refined_generalized_focal_loss
from reg_yolo.losses.spatial import center_distance, edge_distance, spatial_context_weight
from reg_yolo.losses.uncertainty import expected_logits, expected_probability
from reg_yolo.losses.variational import expected_quality_focal_loss, gaussian_kl, variational_free_energy

__all__ = [
    # class weights
    "inverse_frequency_weights",
    "balanced_weights",
    "imbalance_ratio",
    "DualClassWeights",
    # classification
    "sigmoid_focal_loss",
    "quality_focal_loss",
    "varifocal_loss",
    "softmax_focal_loss",
    "equalized_focal_loss",
    "equalized_focal_slope",
    "GradientRatio",
    "refined_generalized_focal_loss",
    "entry_weight",
    # context and uncertainty
    "spatial_context_weight",
    "center_distance",
    "edge_distance",
    "keep_hard_entries",
    "mitigation_weights",
    "far_probability",
    "expected_probability",
    "expected_logits",
    "distribution_spread",
    "distribution_moments",
    "gaussian_kl",
    "expected_quality_focal_loss",
    "variational_free_energy",
    # pixels
    "refined_pixel_loss",
    "pixel_context_weight",
    "predicted_object_class",
    "pixel_counts",
    # boxes
    "iou_loss",
    "giou_loss",
    "diou_loss",
    "ciou_loss",
    "aspect_ratio_term",
    "eiou_loss",
    "focal_eiou_loss",
    "focal_eiou_v1_loss",
    "focal_eiou_star_loss",
    # coordinates
    "smooth_l1_loss",
    "focal_l1_loss",
    "balanced_l1_loss",
    # classification and localisation in step
    "dynamic_coefficient",
    "equilibrated_loss",
    "localization_score",
    "match_anchors",
    # reduction
    "reduce_loss",
]
