"""The Hugging Face hub: revisions as commits, errors in words that say what to do, no chatter on the terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from saespec.errors import CallError, SaespecError, StageError, reason
from saespec.plan.project import paths_root
from saespec.spec.transformer import is_folder

Kind = Literal["model", "dataset"]


def local_folder(name: str, root: Path) -> Path | None:
    """The folder that a name means, relative to the root; None if it is a hub id.

    A name is a folder if it starts with `.`, `/` or `~`. Raises CallError if there is no such folder, or if a
    hub id is a folder's name too.
    """
    if not is_folder(name):
        if (root / name).is_dir():  # the libraries would take it without a word
            raise CallError(
                f"{name} is a folder here: write ./{name} for it, or rename it for the hub's {name}"
            )
        return None
    folder = paths_root(root) / Path(name).expanduser()
    if not folder.is_dir():
        raise CallError(f"{name}: there is no such folder under {paths_root(root)}: put the files there")
    return folder


def commit(kind: Kind, name: str, revision: str | None) -> str:
    """The commit, 40 hex digits, that a branch, tag or commit of a hub id means now.

    Without a connection it is what the revision meant when it was last asked for. Raises CallError if the
    revision is missing or unknown, StageError if the hub cannot be reached.
    """
    if not revision:
        raise CallError(
            f"{name} is a hub id and needs a revision: name a commit, such as the newest one on its page; "
            f"a folder's name starts with ./"
        )
    import huggingface_hub

    with asking(kind, name, revision):
        return str(huggingface_hub.HfApi().resolve_revision(name, repo_type=kind, revision=revision).resolved)


@contextlib.contextmanager
def asking(kind: Kind, name: str, revision: str = "") -> Iterator[None]:
    """Turn errors about a hub id or a local folder into CallError and StageError, and keep its libraries quiet."""
    with quiet():
        try:
            yield
        except SaespecError:
            raise
        except Exception as error:
            raise _translated(error, kind, name, revision) from error


def _translated(error: BaseException, kind: Kind, name: str, revision: str) -> SaespecError:
    import httpx2
    from huggingface_hub import constants, errors

    what = "data set" if kind == "dataset" else "model"
    page = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{name}"
    chain = list(_causes(error))

    def any_of(*kinds: type[BaseException]) -> BaseException | None:
        return next((e for e in chain if isinstance(e, kinds)), None)

    if any_of(errors.GatedRepoError):
        return CallError(f"{name} is gated: accept its terms on {page}, then log in with `hf auth login`")
    if any_of(errors.RevisionNotFoundError):
        return CallError(f"{name} has no revision {revision}: {page}/commits/main lists its commits")
    if any_of(errors.RepositoryNotFoundError):
        return CallError(
            f"the hub has no {what} {name}, or it is private: check the name; log in with `hf auth login` "
            f"if it is yours"
        )
    if any_of(errors.OfflineModeIsEnabled):
        return StageError(
            f"the {what} {name} was not downloaded before, and HF_HUB_OFFLINE is set: unset it and run the "
            f"same command again"
        )
    unreachable = any_of(httpx2.TransportError, ConnectionError, TimeoutError, errors.RevisionResolutionError)
    if unreachable:
        return StageError(
            f"cannot reach the hub at {constants.ENDPOINT} for the {what} {name} ({_first_line(unreachable)}): "
            f"run the same command again once it answers"
        )
    refused = any_of(errors.HfHubHTTPError)
    if refused:
        return StageError(f"the hub refused the {what} {name}: {_first_line(refused)}")
    full = next((e for e in chain if isinstance(e, OSError) and e.errno == 28), None)
    if full:
        return StageError(f"the disk is full: cannot store the {what} {name} in {constants.HF_HOME}")
    return CallError(f"cannot load the {what} {name}: {_first_line(error)}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from or while handling."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    return reason(error)[:300]


LIBRARIES = ("transformers", "datasets", "huggingface_hub", "accelerate")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without progress bars, advice and warnings of the hub's libraries that are imported: saespec reports itself."""
    bars = list(_progress_bars())  # first: importing the hub's library sets its logger up
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    with contextlib.ExitStack() as stack:
        for logger in loggers:
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.ERROR)
        for hide, show in bars:
            stack.callback(show)
            hide()
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module=rf"({'|'.join(LIBRARIES)})\b")
        yield


def _progress_bars() -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """What hides and shows the progress bars that are on now."""
    import huggingface_hub.utils

    hub: Any = huggingface_hub.utils
    if not hub.are_progress_bars_disabled():
        yield hub.disable_progress_bars, hub.enable_progress_bars
    if "transformers" in sys.modules:
        from transformers.utils import logging as bars

        if bars.is_progress_bar_enabled():
            yield bars.disable_progress_bar, bars.enable_progress_bar
    if "datasets" in sys.modules:
        import datasets

        if not datasets.are_progress_bars_disabled():
            yield datasets.disable_progress_bars, datasets.enable_progress_bars
