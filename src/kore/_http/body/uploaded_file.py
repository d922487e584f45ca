"""An uploaded file, as a handler sees it: a part of the body, which is not copied."""

import os
import re
from typing import TYPE_CHECKING, Final

from kore._http.body.body_storage import BodyStorage

if TYPE_CHECKING:
    from kore._http.body.multipart import FormPart

READ_MAX: Final = 1024  # bytes of one read(), as in Kore
CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f]")
# As open() has it: what others may do is up to the umask.
FILE_MODE: Final = 0o666


class HttpFile:
    """A file of a multipart form. `kore.http_file` in Kore's words.

    It is a part of the request's body, and can be read as long as the request is not over.
    """

    __slots__ = ("_part", "_place", "_source", "filename", "raw_filename")

    def __init__(self, part: "FormPart", source: BodyStorage) -> None:
        self._part = part
        self._source = source
        self._place = 0
        # What the client wrote; it may hold folders, or anything else.
        self.raw_filename = part.filename or ""
        self.filename = _get_base_name(self.raw_filename)

    @property
    def name(self) -> str:
        """The field's name."""
        return self._part.name

    @property
    def content_type(self) -> str:
        """What the client says it is; may be empty."""
        return self._part.content_type

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return self._part.length

    @property
    def body(self) -> bytes:
        """The whole content. Of a body in a file, all of it is read into memory."""
        return self._source.read(self._part.start, self._part.length)

    def __len__(self) -> int:
        return self._part.length

    def __bool__(self) -> bool:
        return True  # an empty file is a file

    def __repr__(self) -> str:
        return f"<kore.http_file {self.name!r} {self.filename!r} {len(self)} bytes>"

    def read(self, length: int) -> tuple[int, bytes]:
        """Return the next piece as (how many bytes, bytes); (0, b"") at the end."""
        if length < 0:
            raise ValueError(f"cannot read {length} bytes")
        if length > READ_MAX:
            raise RuntimeError(f"len > sizeof(buf): read at most {READ_MAX} bytes at a time")
        length = min(length, len(self) - self._place)
        piece = self._source.read(self._part.start + self._place, length)
        self._place += len(piece)
        return len(piece), piece

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the content to a new file, by the kernel where it can.

        Raises FileExistsError where there is one, and whatever the disk says. A large file takes
        its time: `await asyncio.to_thread(file.save, path)` keeps nobody else waiting.
        """
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        target = os.open(path, flags, FILE_MODE)
        try:
            self._source.copy(target, self._part.start, self._part.length)
        except BaseException:
            os.unlink(path)  # noqa: PTH108 - beside the descriptors it belongs to
            raise
        finally:
            os.close(target)


def _get_base_name(filename: str) -> str:
    """Return what a file may safely be called: the last part of the path that a client sent."""
    name = CONTROL_CHARACTER.sub("", re.split(r"[/\\]", filename)[-1])
    return "" if name in {".", ".."} else name
