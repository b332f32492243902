"""Fetching from a repository that is not ours, and saying what stood in the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from trimtab.adapters.git.command import Finished, GitTimeout, git_failed, without_passwords
from trimtab.adapters.git.repository import Repository
from trimtab.core.errors import TrimtabError, failure

_NO_ENTRY = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied",
    "host key verification failed",
    "requested url returned error: 401",
    "requested url returned error: 403",
)
_NOT_THERE = (
    "could not resolve host",
    "connection refused",
    "connection timed out",
    "connection reset",
    "unable to access",
    "unable to connect",
    "does not appear to be a git repository",
    "could not read from remote repository",
    "the remote end hung up",
    "unable to find remote helper",
    "not found",
    "transport",
)


async def fetch(
    repository: Repository,
    url: str,
    ref: str,
    into: str,
    headers: Mapping[str, str],
    extra: Sequence[str] = (),
    env: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Bring `ref` of the repository at `url` here as `into`, also when it was rewritten there. `headers`: sent with
    each HTTP request to that address. `extra`: further options of `git fetch`; `env`: further variables.

    Raises `TrimtabError`: `git-remote-timeout`, `git-remote-unreachable`, `git-auth`, `git-branch-missing`,
    `git-failed`.
    """
    shown = without_passwords(url)
    try:
        # Its progress is the sign of life that keeps a large but lively fetch from being given up.
        done = await repository.git(
            "fetch",
            "--progress",
            "--no-tags",
            "--no-write-fetch-head",
            *extra,
            "--end-of-options",
            url,
            f"+{ref}:{into}",
            ok=None,
            env={**_sent_with(url, headers), **env},
        )
    except GitTimeout as error:
        raise failure(
            "git-remote-timeout",
            f"{shown} gave no answer for {repository.timeout_s:g} s",
            "see whether the address is right and the remote is up; it is tried again at the next poll",
            repository.path.name,
        ) from error
    if done.code != 0:
        raise _why_not(repository, shown, ref, done)


def _why_not(repository: Repository, shown: str, ref: str, done: Finished) -> TrimtabError:
    """What stood in the way, by what Git says."""
    said = done.stderr.lower()
    if "couldn't find remote ref" in said:
        what = f"no branch `{ref[11:]}`" if ref.startswith("refs/heads/") else f"no `{ref}`"
        return failure("git-branch-missing", f"{shown} has {what}", "see its name", repository.path.name)
    if any(words in said for words in _NO_ENTRY):
        hint = "give this user a key or a token that may read it, or `trimtab apps add` the forge's token"
        return _refused("git-auth", f"{shown} does not let Trimtab in", done.complaint, hint, repository)
    if any(words in said for words in _NOT_THERE):
        hint = "see whether the address is right: `git ls-remote` must list its branches"
        return _refused("git-remote-unreachable", f"{shown} cannot be reached", done.complaint, hint, repository)
    return git_failed("fetch", done, repository.path.name)


def _refused(code: str, message: str, complaint: str, hint: str, repository: Repository) -> TrimtabError:
    return failure(code, f"{message}: {complaint}", hint, repository.path.name)


def _sent_with(url: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The environment that makes Git send these headers. Neither the command line nor a file has them, so nobody else
    reads them, and Git sends them to no other address."""
    env = {"GIT_CONFIG_COUNT": str(len(headers))} if headers else {}
    for number, (name, value) in enumerate(headers.items()):
        env[f"GIT_CONFIG_KEY_{number}"] = f"http.{url}.extraHeader"
        env[f"GIT_CONFIG_VALUE_{number}"] = f"{name}: {value}"
    return env
