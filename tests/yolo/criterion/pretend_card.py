"""A card that is not there: tensors on the processor that say they lie on cuda:0, and refuse what a card refuses.

`python -m tests.yolo.criterion.pretend_card` runs the criteria on it and prints a JSON object, in a process of its own,
because torch cannot be told afterwards that it has no card. What is refused: operations on tensors of both devices.
What is counted: operations that make the processor wait for the card.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from reg_yolo.config.presets import PRESETS
from tests.yolo.criterion import heads, segments

CARD, PROCESSOR = torch.device("cuda", 0), torch.device("cpu")
# The size of what they return, or the number itself, is known on the card alone.
WAITING = ("_local_scalar_dense", "nonzero", "equal", "unique_consecutive", "unique_dim", "_unique2", "masked_select")


class OnCard(Tensor):
    """A tensor on the pretended card."""

    @staticmethod
    def __new__(cls, held: Tensor) -> OnCard:
        """Wrap a tensor on the processor."""
        tensor = Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype
        )
        tensor.held = held
        return tensor

    device = property(lambda _self: CARD)
    is_cuda = property(lambda _self: True)

    def tolist(self) -> Any:
        """Wait for the card and return plain numbers."""
        Card.waits += 1
        return self.held.detach().tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        """Refuse, as a card does."""
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    @classmethod
    def __torch_function__(cls, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Take the device of another tensor from Python, where it is pretended, not from C++."""
        if func is Tensor.type_as or (func is Tensor.to and len(args) > 1 and isinstance(args[1], Tensor)):
            return args[0].to(args[1].device, args[1].dtype)
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation."""
        return Card.run(func, args, kwargs or {})


class Card(TorchDispatchMode):
    """Runs every operation on the processor, with the rules of a card."""

    waits = 0

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, one without tensors too."""
        return self.run(func, args, kwargs or {})

    @classmethod
    def run(cls, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Check where the operands lie, run the operation, and put its result there."""
        name = func.overloadpacket.__name__
        if name in {"index_put", "_index_put_impl_", "index_put_"} and not isinstance(args[0], OnCard):
            # Zeros that autograd's C++ makes, which knows the processor alone.
            args = (OnCard(args[0]), *args[1:])
        operands = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = [each for each in operands if isinstance(each, OnCard)]
        here = [each for each in operands if not isinstance(each, OnCard)]
        target = kwargs.get("device")
        to_card = bool(there) if target is None else torch.device(target).type == "cuda"
        if target is not None:
            kwargs = {**kwargs, "device": PROCESSOR}
        indexing = name in {"index", "index_put", "_index_put_impl_", "index_put_"}
        if name in {"_to_copy", "copy_"} or indexing:
            cls.waits += (bool(here) and (bool(there) or to_card)) or (bool(there) and not to_card)
        elif there and any(each.dim() for each in here):
            raise RuntimeError(f"{func}: expected all tensors to be on the same device")
        if there:
            flags = indexing and any(each is not None and each.dtype == torch.bool for each in args[1])
            sizes = func is torch.ops.aten.repeat_interleave.Tensor and kwargs.get("output_size") is None
            cls.waits += name in WAITING or flags or sizes
        plain_args, plain_kwargs = tree_map(
            lambda leaf: leaf.held if isinstance(leaf, OnCard) else leaf, (args, kwargs)
        )
        result = func(*plain_args, **plain_kwargs)
        # What is written in place is given back as the very tensor that it was.
        given = {id(each.held): each for each in there}

        def placed(leaf: Any) -> Any:
            if not to_card or not isinstance(leaf, Tensor):
                return leaf
            return given[id(leaf)] if id(leaf) in given else OnCard(leaf)

        return tree_map(placed, result)


def moved(values: dict[str, Any]) -> dict[str, Any]:
    """Return a batch or predictions on the card."""
    return {
        key: [each.detach().to(CARD) for each in value] if isinstance(value, list) else value.detach().to(CARD)
        for key, value in values.items()
    }


def main() -> None:
    """Run the criteria on both devices; print how far they are apart, and how often the mask loss waits."""
    torch.cuda._lazy_init = lambda: None
    found: dict[str, Any] = {"apart": {}, "waits": {}}
    cases = {
        f"{task}, {preset}, {title}": (task, preset, *given)
        for task, batches in (("detect", detect_batches()), ("segment", segment_batches()))
        # Stock's own masks go through loops in which autograd's C++ makes tensors on the processor.
        for preset in (PRESETS if task == "detect" else ("reg_v1", "reg_printed"))
        for title, given in batches.items()
    }
    here = {title: outcome(criterion_for(*case[:2]), *case[2:]) for title, case in cases.items()}
    torch._C._set_only_lift_cpu_tensors(True)
    with Card():
        for title, (task, preset, preds, batch) in cases.items():
            criterion = criterion_for(task, preset, on_card=True)
            preds, batch = moved(preds), moved(batch)
            there = outcome(criterion, preds, batch)
            pairs = zip(here[title], there, strict=True)
            found["apart"][title] = max(float((one - other.held).abs().max()) for one, other in pairs)
            Card.waits = 0
            outcome(criterion, preds, batch)
            found["waits"][title] = Card.waits
    json.dump(found, sys.stdout)


def detect_batches() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return predictions and labels with and without objects."""
    batches = {"labelled": heads.BATCH, "empty": heads.labels([], [], [])}
    return {title: (heads.predictions(batch, heads.IMAGES), batch) for title, batch in batches.items()}


def segment_batches() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return predictions and labels with masks, once and three times over."""
    batch = segments.batch()
    with torch.no_grad():
        preds = segments.network()(torch.rand(heads.IMAGES, 3, segments.IMAGE_SIZE, segments.IMAGE_SIZE))
    index = batch["batch_idx"]
    tripled = {key: torch.cat([value] * 3) for key, value in batch.items()}
    tripled["batch_idx"] = torch.cat([index + heads.IMAGES * turn for turn in range(3)])
    more = {
        key: [torch.cat([each] * 3) for each in value] if isinstance(value, list) else torch.cat([value] * 3)
        for key, value in preds.items()
    }
    return {"once": (preds, batch), "tripled": (more, tripled)}


def criterion_for(task: str, preset: str, *, on_card: bool = False) -> Any:
    """Return our criterion for a model on either device."""
    model = heads.head_like_model() if task == "detect" else segments.network()
    if on_card:
        for module in model.modules():
            for name, parameter in list(module._parameters.items()):
                if parameter is not None:
                    module._parameters[name] = torch.nn.Parameter(parameter.detach().to(CARD))
    return heads.criterion(preset, model=model) if task == "detect" else segments.criterion(model, preset)


def outcome(criterion: Any, preds: dict[str, Any], batch: dict[str, Any]) -> list[Tensor]:
    """Return losses and gradients."""
    leaves = {name: value.detach().requires_grad_() for name, value in preds.items() if name != "feats"}
    loss, _ = criterion({**preds, **leaves}, batch)
    return [loss.detach(), *torch.autograd.grad(loss.sum(), list(leaves.values()))]


if __name__ == "__main__":
    main()
