"""Whether a model's files can be had, found out in a moment and without loading them."""

import hashlib
from pathlib import Path

from distiller.config import DistillerError

#: Longest wait for the hub, in seconds; it applies to connecting and to the answer, one after the other.
PATIENCE = 2.0
PIECE = 2**20
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def check_model(model: str, revision: str | None) -> None:
    """Find out whether this process may load a model: a local folder, or an id on the hub.

    A folder must hold config.json, a tokenizer and weights. An id is asked for at the hub (HF_ENDPOINT) with the token
    at hand; where the hub is switched off (HF_HUB_OFFLINE) or does not answer, a downloaded copy is looked for.

    Raises:
        DistillerError: the folder is incomplete or an adapter; the id does not exist, is gated, has no such revision or no
            config.json; the hub cannot be reached and no copy is there. One sentence with the way out.
    """
    folder = Path(model)
    if folder.is_dir():
        if revision is not None:
            raise DistillerError(
                f"model {model} is a local folder and has no revision {revision!r}: set revision to null, or model to an id"
            )
        if missing := _missing(folder):
            raise DistillerError(f"model {model} is a folder {missing}")
    elif folder.is_absolute() or model.startswith(("./", "../", "~")):
        raise DistillerError(f"model {model} looks like a path, but there is no such folder")
    else:
        _check_id(model, revision)


def fingerprint(model: str) -> str | None:
    """What tells the contents of a local folder of a model from those of another under the same name; None for an id.

    SHA-256 over names, sizes, and first and last mebibyte of its files: weights that were trained further differ there.
    """
    folder = Path(model)
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}:".encode())
        with open(path, "rb") as file:
            digest.update(file.read(PIECE))
            file.seek(max(size - PIECE, 0))
            digest.update(file.read(PIECE))
    return digest.hexdigest()


def _missing(folder: Path) -> str | None:
    """What keeps a folder from being a model, as the rest of a sentence; None for a whole one."""
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            return "with a LoRA adapter: set model to its base model and the engine's adapter to this folder"
        return "without config.json: give a folder that save_pretrained wrote"
    if not any((folder / name).is_file() for name in TOKENIZERS):
        return f"without a tokenizer ({', '.join(TOKENIZERS)}): save the tokenizer beside the weights"
    if not any(any(folder.glob(pattern)) for pattern in WEIGHTS):
        return f"without weights ({', '.join(WEIGHTS)}): download it whole"
    return None


def _check_id(model: str, revision: str | None) -> None:
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub import errors as hub

    # The base belongs to the HTTP client underneath, which is not the same in all versions of the hub's library.
    HTTPError: type[Exception] = hub.HfHubHTTPError.__bases__[0]
    version = f" at revision {revision!r}" if revision else ""
    if constants.HF_HUB_OFFLINE:
        _check_copy(model, revision, f"model {model!r}{version} cannot be fetched because HF_HUB_OFFLINE is set")
        return
    try:
        get_hf_file_metadata(hf_hub_url(model, "config.json", revision=revision), timeout=PATIENCE)
    except hub.HFValidationError as error:
        raise DistillerError(
            f"model {model!r} is neither a local folder nor an id like 'organisation/name': correct model"
        ) from error
    except hub.GatedRepoError as error:
        raise DistillerError(
            f"model {model!r} is gated: accept its licence at {constants.ENDPOINT}/{model} and log in with "
            "`hf auth login` (or set HF_TOKEN), or set model to a local folder"
        ) from error
    except hub.RevisionNotFoundError as error:
        raise DistillerError(f"model {model!r} has no revision {revision!r} at {constants.ENDPOINT}") from error
    except hub.RepositoryNotFoundError as error:
        raise DistillerError(
            f"model {model!r} is neither a local folder nor found at {constants.ENDPOINT}: correct the name, or log in with "
            "`hf auth login` if it is private"
        ) from error
    except hub.EntryNotFoundError as error:
        raise DistillerError(
            f"model {model!r}{version} has no config.json: choose a repository with weights in the transformers format"
        ) from error
    except (OSError, HTTPError) as error:
        _check_copy(
            model, revision, f"model {model!r}{version}: {constants.ENDPOINT} cannot be asked ({_brief(error)})"
        )


def _check_copy(model: str, revision: str | None, why: str) -> None:
    """Accept a downloaded copy, or raise with `why` no other can be had."""
    from huggingface_hub import errors, try_to_load_from_cache

    try:
        found = try_to_load_from_cache(model, "config.json", revision=revision)
    except errors.HFValidationError:
        found = None
    if not isinstance(found, str):
        raise DistillerError(f"{why} and no copy of it is downloaded: connect, or set model to a local folder")
    if missing := _missing(Path(found).parent):
        raise DistillerError(f"{why} and the downloaded copy {Path(found).parent} is a folder {missing}")


def _brief(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:160]
