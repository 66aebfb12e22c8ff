"""A student's folder as a repository on the hub; nothing is sent anywhere unless this is called."""

import importlib.util
from pathlib import Path

from distiller import student_folder
from distiller.config import DistillerError


def push(folder: Path, repo_id: str, private: bool = True) -> str:
    """Upload the files that make up a student, and no others that lie beside them; returns the address of the repository.

    repo_id: `organisation/name`, or `name` for the user's own; made if there is none. private: whether a new repository can be
    seen by its owner alone. The hub is that of HF_ENDPOINT, the token that of `hf auth login` or HF_TOKEN.

    Raises:
        DistillerError: there is no token, the hub refuses or cannot be reached, or private is asked for and there is a public
            repository of this name.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise DistillerError("pushing to the hub needs the library huggingface_hub: pip install huggingface_hub")
    from huggingface_hub import HfApi, constants, errors, get_token

    if constants.HF_HUB_OFFLINE:
        raise DistillerError("pushing to the hub is impossible while HF_HUB_OFFLINE is set; unset it")
    token = get_token()
    if token is None:
        raise DistillerError(
            f"pushing to {constants.ENDPOINT} needs a token: log in with `hf auth login`, or set HF_TOKEN"
        )
    api, names = HfApi(token=token), student_folder.files(folder)
    # The base belongs to the HTTP client underneath, which is not the same in all versions of the hub's library.
    HTTPError: type[Exception] = errors.HfHubHTTPError.__bases__[0]
    try:
        made = api.create_repo(repo_id, private=private, exist_ok=True)
        if private and not api.model_info(made.repo_id).private:
            raise DistillerError(
                f"{made.repo_id} is a public repository of {constants.ENDPOINT} and private=true was asked for; choose another "
                "name, or push with private=false (--public)"
            )
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            allow_patterns=names,
            commit_message="Student of entity resolution",
        )
    except errors.HFValidationError as error:
        raise DistillerError(f"{repo_id!r} is no name of a repository; write organisation/name") from error
    except (OSError, HTTPError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise DistillerError(
            f"{constants.ENDPOINT} did not take {repo_id} ({said[:200]}); check name, token and network"
        ) from error
    return str(made)
