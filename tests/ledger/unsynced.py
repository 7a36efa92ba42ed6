"""What a power cut may leave of SQLite's files: a layer under SQLite records every write, truncation and sync.

The layer is a copy of the system's VFS whose files report before they write and after they synced; everything else is
SQLite's own. What was synced is on the disk. Of what was written since, any part may be: each piece of 512 bytes is
there or not, whatever came before or after it. A write harms nothing beside itself, as SQLite, too, takes for granted
(`SQLITE_IOCAP_POWERSAFE_OVERWRITE`), and the files' names are durable.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p, cast
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

PIECE: Final = 512
_OK: Final = 0


@frozen
class Wrote:
    """Bytes were handed to the operating system."""

    path: str
    offset: int
    data: bytes


@frozen
class Cut:
    """A file was cut to a length."""

    path: str
    size: int


@frozen
class Synced:
    """Everything of a file that was written before is on the disk."""

    path: str


@frozen
class Deleted:
    """A file is gone."""

    path: str


@frozen
class Said:
    """Something that a test notes in between: `asked` or `acked`, and what."""

    what: str
    name: str


Step = Wrote | Cut | Synced | Deleted | Said

_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
_DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(Structure):
    """`sqlite3_vfs` of version 3."""

    _fields_ = [  # type: ignore[mutable-override] # ctypes wants it so
        ("iVersion", c_int), ("szOsFile", c_int), ("mxPathname", c_int), ("pNext", c_void_p), ("zName", c_char_p),
        ("pAppData", c_void_p), ("xOpen", c_void_p), ("xDelete", c_void_p), ("others", c_void_p * 14),
    ]  # fmt: skip


class _Methods(Structure):
    """`sqlite3_io_methods` of version 3."""

    _fields_ = [  # type: ignore[mutable-override] # ctypes wants it so
        ("iVersion", c_int), ("xClose", c_void_p), ("xRead", c_void_p), ("xWrite", c_void_p), ("xTruncate", c_void_p),
        ("xSync", c_void_p), ("others", c_void_p * 13),
    ]  # fmt: skip


class _File(Structure):
    """`sqlite3_file`."""

    _fields_ = [("pMethods", POINTER(_Methods))]  # type: ignore[mutable-override] # same


class NoHookError(Exception):
    """This SQLite is built in such a way that nothing can be put under it."""


@define
class Recorder:
    """The layer.

    Attributes:
        steps: What happened, in order.
    """

    steps: list[Step] = field(factory=list)
    _paths: dict[int, str] = field(factory=dict)
    _methods: dict[int, _Methods] = field(factory=dict)
    _kept: list[Any] = field(factory=list)

    @contextmanager
    def under_sqlite(self) -> Iterator[None]:
        """Every database that is opened meanwhile is recorded.

        Raises:
            NoHookError: That cannot be done here.
        """
        library = ctypes.CDLL(_sqlite3.__file__)
        try:
            find, register, unregister = (
                library.sqlite3_vfs_find, library.sqlite3_vfs_register, library.sqlite3_vfs_unregister,
            )  # fmt: skip
        except AttributeError:
            raise NoHookError from None
        find.restype = POINTER(_Vfs)
        original = find(None)
        if original.contents.iVersion != 3:
            raise NoHookError
        own = _Vfs()
        ctypes.memmove(ctypes.byref(own), original, ctypes.sizeof(_Vfs))
        own.zName, own.pNext = b"recorded", None
        own.xOpen = self._hook(_OPEN, self._opening(cast(original.contents.xOpen, _OPEN)))
        own.xDelete = self._hook(_DELETE, self._deleting(cast(original.contents.xDelete, _DELETE)))
        register(ctypes.byref(own), 1)
        try:
            yield
        finally:
            register(original, 1)
            unregister(ctypes.byref(own))

    def _hook(self, kind: Any, function: Any) -> Any:
        hooked = kind(function)
        self._kept.append(hooked)  # what the library still calls must not be collected
        return cast(hooked, c_void_p).value

    def _opening(self, original: Any) -> Any:
        def opened(vfs: int, name: int | None, file: int, flags: int, out: Any) -> int:
            # The name is handed on as it came: SQLite keeps the place, and reads on behind its end.
            result: int = original(vfs, name, file, flags, out)
            if result == _OK and name:
                self._paths[file] = ctypes.string_at(name).decode()
                held = cast(file, POINTER(_File)).contents
                held.pMethods = ctypes.pointer(self._recording(held.pMethods))
            return result

        return opened

    def _deleting(self, original: Any) -> Any:
        def deleted(vfs: int, name: bytes, sync: int) -> int:
            result: int = original(vfs, name, sync)
            if result == _OK:
                self.steps.append(Deleted(name.decode()))
            return result

        return deleted

    def _recording(self, original: Any) -> _Methods:
        place = ctypes.addressof(original.contents)
        if place not in self._methods:
            methods = _Methods()
            ctypes.memmove(ctypes.byref(methods), original, ctypes.sizeof(_Methods))
            write, cut, sync = (
                cast(methods.xWrite, _WRITE), cast(methods.xTruncate, _TRUNCATE), cast(methods.xSync, _SYNC),
            )  # fmt: skip

            def written(file: int, data: int, size: int, offset: int) -> int:
                self.steps.append(Wrote(self._paths[file], offset, ctypes.string_at(data, size)))
                return int(write(file, data, size, offset))

            def truncated(file: int, size: int) -> int:
                self.steps.append(Cut(self._paths[file], size))
                return int(cut(file, size))

            def synced(file: int, flags: int) -> int:
                result = int(sync(file, flags))
                if result == _OK:
                    self.steps.append(Synced(self._paths[file]))
                return result

            methods.xWrite = self._hook(_WRITE, written)
            methods.xTruncate = self._hook(_TRUNCATE, truncated)
            methods.xSync = self._hook(_SYNC, synced)
            self._methods[place] = methods
        return self._methods[place]


def after_a_cut(steps: Sequence[Step], folder: Path, chance: random.Random) -> None:
    """Write the files as a power cut after these steps may leave them.

    Args:
        steps: What happened until then.
        folder: Where the files are written, under their own names.
        chance: Decides which unsynced pieces are there.
    """
    disk: dict[str, bytearray] = {}
    unsynced: dict[str, list[Wrote | Cut]] = {}
    for step in steps:
        match step:
            case Wrote() | Cut():
                disk.setdefault(step.path, bytearray())
                unsynced.setdefault(step.path, []).append(step)
            case Synced():
                for one in unsynced.pop(step.path, []):
                    _apply(disk[step.path], one)
            case Deleted():
                disk.pop(step.path, None)
                unsynced.pop(step.path, None)
            case Said():
                pass
    often = chance.choice((0.0, 0.2, 0.5, 0.8, 1.0))
    for path, waiting in unsynced.items():
        for one in waiting:
            for piece in _pieces(one):
                if chance.random() < often:
                    _apply(disk[path], piece)
    for path, content in disk.items():
        (folder / Path(path).name).write_bytes(content)


def _apply(content: bytearray, step: Wrote | Cut) -> None:
    if isinstance(step, Cut):
        del content[step.size :]
        return
    if len(content) < step.offset:
        content.extend(bytes(step.offset - len(content)))
    content[step.offset : step.offset + len(step.data)] = step.data


def _pieces(step: Wrote | Cut) -> Iterator[Wrote | Cut]:
    """A write as the disk sees it: pieces that end where its own do."""
    if isinstance(step, Cut):
        yield step
        return
    place = 0
    while place < len(step.data):
        size = PIECE - (step.offset + place) % PIECE
        yield Wrote(step.path, step.offset + place, step.data[place : place + size])
        place += size
