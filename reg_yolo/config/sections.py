"""What all sections of a configuration share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

_WORDS_FOR_TRUTH = {"on": True, "yes": True, "off": False, "no": False}


def _truth_from_word(value: Any) -> Any:
    # YAML 1.1 reads these words as booleans, 1.2 does not; our reader follows 1.2, where `on: positives` keeps its key.
    return _WORDS_FOR_TRUTH.get(value.lower(), value) if isinstance(value, str) else value


Flag = Annotated[bool, BeforeValidator(_truth_from_word)]


class Section(BaseModel):
    """Base of all sections: no unknown key, no silent conversion, no change afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
