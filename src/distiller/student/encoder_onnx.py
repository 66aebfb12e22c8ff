"""An encoder student as one ONNX file, for servers without torch."""

import importlib.util
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distiller.config import DistillerError
from distiller.student.encoder_network import PairEncoder
from distiller.student.encoder_text import CANDIDATE, QUERY, SPECIAL

LIBRARIES = ("onnx", "onnxscript")


class _Scores(nn.Module):
    """The network with its inputs by name; what a student does not read is no input of it."""

    def __init__(self, network: PairEncoder):
        super().__init__()
        self.network = network

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        records: Tensor | None = None,
    ) -> Tensor:
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        parts = torch.full_like(input_ids, SPECIAL) if records is None else records
        return self.network.read(input_ids, types, parts, attention_mask > 0)


def inputs(network: PairEncoder) -> list[str]:
    """Names of what the exported network reads, each int64 [pairs, tokens].

    input_ids, attention_mask (1 for a token, 0 for padding); token_type_ids where the encoder has types; records where it
    compares both (0 special token or padding, 1 query, 2 candidate).
    """
    return [
        "input_ids",
        "attention_mask",
        *(["token_type_ids"] if network.typed else []),
        *(["records"] if network.pooling == "compare" else []),
    ]


def export(network: PairEncoder, path: Path, settings: dict[str, Any]) -> None:
    """Write a network in float32 and evaluation mode as `path`; its metadata has its settings, JSON, under the key "distiller".

    Its output `scores` is float32 [pairs, 1], the logit of each pair against "none" before calibration; or [pairs, 2] with
    its share in the logit of "none", the mean of which over the pairs of a query is taken from the first. Any number of
    pairs of any length can be read at once.

    Raises:
        DistillerError: a library is missing.
    """
    if missing := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
        raise DistillerError(f"exporting needs the library {missing[0]}: pip install 'distiller-er[onnx]'")
    import onnx

    names = inputs(network)
    row = {
        "input_ids": [network.padding + 1] * 12,
        "attention_mask": [1] * 11 + [0],  # without padding the mask would be left out of the graph
        "token_type_ids": [0] * 12,
        "records": [SPECIAL, *[QUERY] * 5, SPECIAL, *[CANDIDATE] * 4, SPECIAL],
    }
    given = {name: torch.tensor([row[name]] * 2) for name in names}  # inputs that share a tensor would become one
    pairs, tokens = torch.export.Dim("pairs", min=1), torch.export.Dim("tokens", min=2)
    shapes = {name: {0: pairs, 1: tokens} for name in names}
    part = path.with_name(f".{path.name}.part")
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it tells of other libraries for which it has rules of its own
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Scores(network).eval(),
                kwargs=given,
                f=part,
                input_names=names,
                output_names=["scores"],
                dynamic_shapes=shapes,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        model = onnx.load(part)
        onnx.helper.set_model_props(model, {"distiller": json.dumps(settings)})
        onnx.checker.check_model(model)
        onnx.save(model, part)
        part.rename(path)
    finally:
        log.setLevel(level)
        part.unlink(missing_ok=True)
