"""Finished runs as one file, to be carried to another store: hashes are checked, and nothing is overwritten."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lstmlab.errors import LstmlabError
from lstmlab.progress import bar
from lstmlab.studies.files import StorageError, failure, scratch, writing
from lstmlab.studies.status import result_of

MANIFEST = "manifest.json"
FORMAT = 1
RUN = re.compile(r"[A-Za-z0-9_.-]+-s\d+-[0-9a-f]{16}")
FILES = ("config.yaml", "fitted.json", "metrics.jsonl", "result.json", "weights.safetensors")


@dataclass
class Imported:
    """What became of the runs of an archive, by name."""

    new: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)


def export_runs(runs: Path, names: Iterable[str], target: Path) -> list[str]:
    """Write finished runs to a tar file, with the SHA-256 of every file; return their names.

    Args:
        runs: the folder ``runs`` of a store.
        names: of the runs; those that have not finished are left out.
        target: the file; it is there whole or not at all.
    """
    done = [name for name in names if _done(runs / name)]
    if not done:
        raise LstmlabError(f"{runs} has no finished run of these to export; `lstmlab status` shows how they stand")
    hashes = {f"{name}/{file}": _sha256(runs / name / file) for name in done for file in FILES}
    manifest = json.dumps({"format": FORMAT, "files": hashes}, indent=1).encode()
    with (
        writing(target) as out,
        tarfile.open(fileobj=out, mode="w") as tar,
        bar(len(hashes), target.name, "file") as shown,
    ):
        _add(tar, MANIFEST, manifest)
        for name in hashes:
            _add(tar, name, (runs / name).read_bytes())
            shown.update()
    return done


def import_runs(source: Path, runs: Path) -> Imported:
    """Take the runs of an archive into a store.

    A run that the store has finished is kept: it is told whether the archive's result is the same.

    Raises:
        LstmlabError: when the archive is damaged, or holds what no archive of ours holds; nothing is taken then.
    """
    with scratch(runs, ".import.") as place:
        names = _unpack(source, place)
        imported = Imported()
        for name in names:
            _take(place / name, runs / name, imported)
        return imported


def _unpack(source: Path, place: Path) -> list[str]:
    """Write the archive's files below ``place`` after checking each; return the runs."""
    try:
        with tarfile.open(source) as tar:
            members = iter(tar)
            first = next(members, None)
            if first is None or first.name != MANIFEST:
                raise ValueError(f"it does not begin with {MANIFEST}")
            manifest = json.loads(_content(tar, first))
            if manifest["format"] > FORMAT:
                raise ValueError(f"a newer lstmlab wrote it (format {manifest['format']}): update lstmlab")
            missing = dict(manifest["files"])
            for member in members:
                name, content = member.name, _content(tar, member)
                run, _, file = name.partition("/")
                if not RUN.fullmatch(run) or file not in FILES or name not in missing:
                    raise ValueError(f"{name} does not belong into it")
                if hashlib.sha256(content).hexdigest() != missing.pop(name):
                    raise ValueError(f"{name} has another SHA-256 than {MANIFEST} says")
                (place / run).mkdir(exist_ok=True)
                (place / name).write_bytes(content)
            if missing:
                raise ValueError(f"{next(iter(missing))} is missing")
    except FileNotFoundError:
        raise LstmlabError(f"{source} is not there: give an archive that `lstmlab study export` wrote") from None
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
        raise LstmlabError(f"{source} cannot be imported: {error}. Nothing was taken from it.") from None
    return sorted(f.name for f in place.iterdir())


def _take(new: Path, there: Path, imported: Imported) -> None:
    if _done(there):
        same = _outcome(new) == _outcome(there)
        (imported.known if same else imported.different).append(there.name)
        return
    for name in sorted(FILES, key=lambda f: f == "result.json"):  # the result last, as a run itself writes it
        try:
            there.mkdir(exist_ok=True)
            os.replace(new / name, there / name)
        except OSError as error:
            raise failure(there / name, error) from error
    imported.new.append(there.name)


def _outcome(folder: Path) -> tuple[object, ...]:
    """Return what must be equal for two results to be the same: scores and weights, not times and machine."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return result["id"], result["scores"], _sha256(folder / "weights.safetensors")


def _done(folder: Path) -> bool:
    return (result_of(folder) or {}).get("status") == "done"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from None


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file: IO[bytes] | None = tar.extractfile(member) if member.isfile() else None
    if file is None:
        raise ValueError(f"{member.name} is not a file")
    return file.read()


def unplanned(outputs: Path, planned: Iterable[str]) -> Iterator[Path]:
    """Yield the folders of runs that no study lists."""
    kept = set(planned)
    for folder in sorted((outputs / "runs").glob("*/")):
        if folder.name not in kept and RUN.fullmatch(folder.name):
            yield folder
