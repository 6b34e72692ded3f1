"""
The `sops` command, where the operator allows it: for PGP, cloud key services and kinds of age identities that are not read here.

It gets the document by its standard input, and an environment with nothing of ours in it. Services that the operator did not name are
taken out of the document before, so that it asks nobody else; a PGP key is handed over in memory.
"""

from __future__ import annotations

import base64
import binascii
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import IO, Any, Final, NamedTuple
from urllib.parse import urlsplit

from reconciler.model.sealed import FIELD, is_token
from reconciler.model.text import one_line
from reconciler.sealing.document import GROUPS, HOLDERS, SERVICES, Clear, Sealed, describe, entries, groups_of, leaves
from reconciler.sealing.protocol import Keys, SealError
from reconciler.sealing.tree import Plain, TreeError, read_trees, write_trees

SECONDS: Final = 30.0
_LONGEST: Final = 16 * 1024 * 1024
_TOLD: Final = 400
_NO_KEY, _MAC, _VALUE = 128, 51, 25
_VARIABLES: Final = {
    "kms": ("AWS_",),
    "gcp_kms": ("GOOGLE_", "CLOUDSDK_"),
    "azure_kv": ("AZURE_",),
    "hc_vault": ("VAULT_",),
    "hckms": ("HUAWEICLOUD_",),
}
_NETWORK: Final = ("HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
_ADDRESSES: Final = {"azure_kv": "vault_url", "hc_vault": "vault_address"}


class Command(NamedTuple):
    """
    `path`: the program, empty: it may not be used. `services`: key services that it may ask; `hosts`: those that a document may name
    (HOST or HOST:PORT), for services whose address stands in the document. `seconds`: how long it may take.
    """

    path: str = ""
    services: Sequence[str] = ()
    hosts: Sequence[str] = ()
    seconds: float = SECONDS


def run_command(command: Command, sealed: Sealed, keys: Keys, environ: Mapping[str, str]) -> Clear:
    """The values of a document. Raises SealError."""
    metadata, asked = _strip(command, sealed)
    trees = [{**branch, FIELD: metadata} for _, branch in sealed.branches]
    with tempfile.TemporaryDirectory(prefix="reconciler-sops-") as home, _keyring(keys, Path(home)) as ring:
        allowed = {name: environ[name] for name in environ if asked and (name in _NETWORK or name.startswith(asked))}
        env = {**allowed, "HOME": home, "XDG_CONFIG_HOME": home, "GNUPGHOME": home, "PATH": "", "SOPS_DISABLE_VERSION_CHECK": "1"}
        if keys.age:
            env["SOPS_AGE_KEY"] = "\n".join(keys.age)
        code, out, err = _call(command, write_trees(list(trees)), env, home, ring)
    here = (*sealed.at, FIELD)
    if code == _NO_KEY:
        raise sealed.fault(here, f"sops has no key for it (it is for {describe(sealed.metadata)}): {one_line(err.strip(), _TOLD)}").again()
    if code == _MAC:
        raise sealed.fault((*here, "mac"), "the checksum (MAC) does not fit: a value was added, changed or removed after it was encrypted")
    if code == _VALUE:
        raise sealed.fault(here, "sops says that a value was changed or moved after it was encrypted")
    if code:  # what it says may quote what it decrypted
        raise sealed.fault(here, f"sops failed with exit code {code}")
    return _pair(sealed, out)


def _strip(command: Command, sealed: Sealed) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The metadata with nobody in it whom the command may not ask, and the beginnings of the variables that those who are left need."""
    metadata = {name: value for name, value in sealed.metadata.items() if name not in (*HOLDERS, GROUPS)}
    kept = [(at, _allowed(command, group)) for at, group in groups_of(sealed.metadata)]
    for at, group in kept:
        if at:
            metadata.setdefault(GROUPS, []).append(group)
        else:
            metadata |= group
    left = {name for _, group in kept for name in group}
    if not left:
        raise sealed.fault((*sealed.at, FIELD), f"it is for {describe(sealed.metadata)}, and the operator allows none of these key services")
    return metadata, tuple(beginning for name in SERVICES if name in left for beginning in _VARIABLES[name])


def _allowed(command: Command, group: Mapping[str, Any]) -> dict[str, Any]:
    """Of those who can decrypt it, whom the command may ask."""
    found: dict[str, Any] = {}
    for name in HOLDERS:
        wanted = entries(group, name) if name not in SERVICES or name in command.services else []
        found[name] = [entry for entry in wanted if name not in _ADDRESSES or _is_allowed(str(entry.get(_ADDRESSES[name], "")), command.hosts)]
    return {name: wanted for name, wanted in found.items() if wanted}


def _is_allowed(url: str, hosts: Sequence[str]) -> bool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
    except ValueError:
        return False
    return parts.scheme == "https" and bool({host, f"{host}:{port}"} & set(hosts))


@contextmanager
def _keyring(keys: Keys, home: Path) -> Iterator[tuple[int, ...]]:
    """The PGP keys as the keyring that the command looks for, in memory: in the folder is only a link to what it inherits."""
    if not keys.pgp:
        yield ()
        return
    handle = os.memfd_create("keyring", 0)
    try:
        for text in keys.pgp:
            os.write(handle, dearmor(text))
        os.lseek(handle, 0, os.SEEK_SET)
        (home / "secring.gpg").symlink_to(f"/proc/self/fd/{handle}")
        yield (handle,)
    finally:
        os.close(handle)


def dearmor(text: str) -> bytes:
    """The packets of an armored PGP key. Raises SealError."""
    lines = [line.strip() for line in text.strip().splitlines()]
    begin = next((number for number, line in enumerate(lines) if line == "-----BEGIN PGP PRIVATE KEY BLOCK-----"), None)
    if begin is None or "-----END PGP PRIVATE KEY BLOCK-----" not in lines[begin:]:
        raise SealError("a PGP key is no armored private key (gpg --armor --export-secret-keys)", retry=True)
    body = lines[begin + 1 : lines.index("-----END PGP PRIVATE KEY BLOCK-----", begin)]
    body = body[body.index("") + 1 :] if "" in body else body  # headers, as Version:, end with an empty line
    try:
        return base64.b64decode("".join(line for line in body if not line.startswith("=")), validate=True)
    except binascii.Error:
        raise SealError("a PGP key is damaged", retry=True) from None


def _call(command: Command, text: str, env: dict[str, str], folder: str, ring: tuple[int, ...]) -> tuple[int, str, str]:
    """(exit code, output, errors). Raises SealError."""
    words = [command.path, "--decrypt", "--input-type", "yaml", "--output-type", "yaml", "/dev/stdin"]
    with tempfile.TemporaryFile(dir=folder) as said:
        try:
            process = subprocess.Popen(  # noqa: S603  # the operator names the program
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=env, cwd=folder, pass_fds=ring, start_new_session=True
            )
        except OSError as error:
            raise SealError(f"the command {one_line(command.path)} does not run: {error.strerror}", retry=True) from None
        late = Late(process, command.seconds)
        try:
            out = _talk(process, text)
        finally:
            late.timer.cancel()
            _kill(process)
            process.wait()
        if late.over:
            raise SealError(f"the command {one_line(command.path)} gave no answer in {command.seconds:.0f} s", retry=True)
        if out is None:
            raise SealError(f"the command {one_line(command.path)} answers more than {_LONGEST >> 20} MiB")
        said.seek(0)
        return process.returncode, out.decode("utf-8", "replace"), said.read(8192).decode("utf-8", "replace")


class Late:
    """Ends a process whose time is over."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self._process, self.over = process, False
        self.timer = Timer(seconds, self._end)
        self.timer.daemon = True
        self.timer.start()

    def _end(self) -> None:
        self.over = self._process.poll() is None
        _kill(self._process)


def _talk(process: subprocess.Popen[bytes], text: str) -> bytes | None:
    """Sends the document and reads the answer; None where it is too long."""
    source, sink = process.stdin, process.stdout
    assert source is not None
    assert sink is not None
    with source, sink:
        # The command reads all of its input before it writes anything.
        try:
            source.write(text.encode())
            source.close()
        except BrokenPipeError:
            pass
        return _read(process, sink)


def _read(process: subprocess.Popen[bytes], sink: IO[bytes]) -> bytes | None:
    out = sink.read(_LONGEST + 1)
    if len(out) > _LONGEST:
        return None
    process.wait()
    return out


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _pair(sealed: Sealed, out: str) -> Clear:
    """Each encrypted value with what stands in its place in the decrypted document."""
    values: dict[str, str] = {}
    try:
        clear = read_trees(out)
    except TreeError:
        clear = []
    branches = [branch for _, branch in sealed.branches]
    if len(clear) != len(branches):
        raise sealed.fault((*sealed.at, FIELD), "sops answers another number of documents")
    for before, after in zip(branches, clear, strict=True):
        plain = dict(leaves(after, ()))
        for place, leaf in leaves(before, ()):
            if is_token(leaf):
                value = plain.get(place)
                if value is None:
                    raise sealed.fault((*sealed.at, *place), "sops answers no value for it")
                values[str(leaf)] = value.written if isinstance(value, Plain) else value
    return Clear(values)
