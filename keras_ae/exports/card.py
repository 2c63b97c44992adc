"""card.json of an export: what it says, checked when it is read."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, StrictStr, ValidationError, model_validator

from keras_ae.errors import UserError, one_line

FORMAT = 1
Size = Annotated[int, Field(strict=True, ge=1, le=10**6)]
Shape = tuple[Size, Size, Size]


class Task(BaseModel, extra="allow"):
    """What the model was trained for."""

    name: StrictStr


class HeldOut(BaseModel, extra="allow"):
    """Measured on held-out images. mse: per value on [-1, 1]."""

    mse: float | None = Field(None, gt=0, allow_inf_nan=False)


class Card(BaseModel, extra="allow"):
    """What readers rely on. A card contains more: configuration, seed, versions, times."""

    format: Size = FORMAT
    experiment: StrictStr
    image_shape: Shape
    input_shape: Shape
    latent_dim: Size
    code_shape: list[Size]
    labels: list[StrictStr] = []
    encoder_outputs: list[StrictStr]
    task: Task = Task(name="identity")
    configuration: dict[str, dict[str, Any] | str] = {}
    data: dict[str, Any] = {}
    held_out: HeldOut = HeldOut()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.format > FORMAT:
            raise ValueError(f"a newer keras_ae wrote it (format {self.format}, this one reads {FORMAT}); install that version")
        if math.prod(self.code_shape) != self.latent_dim:
            raise ValueError(f"code_shape {self.code_shape} does not have latent_dim {self.latent_dim} numbers")
        return self


def read_card(folder):
    """The contents of card.json in `folder`, a dict. Raises UserError if it cannot be read or is not a `Card`."""
    path = Path(folder) / "card.json"
    try:
        text = path.read_text(encoding="utf-8")
        Card.model_validate_json(text)
        return json.loads(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        received = f". Received: {str(first['input'])[:80]}" if place else ""
        message = one_line(f"{path}: {place} {first['msg']}{received}")
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {error}"
    raise UserError(f"{message}; export the model again")
