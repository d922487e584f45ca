"""An uploaded file: a part of the body, which is not copied."""

import os
import re
from typing import TYPE_CHECKING, Final

from kore._http.body.body_storage import BodyStorage

if TYPE_CHECKING:
    from kore._http.body.multipart import FormPart

READ_MAX: Final = 1024  # bytes of one read(), as in Kore
CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f]")
# As open() does; the umask restricts it.
FILE_MODE: Final = 0o666


class HttpFile:
    """A file of a multipart form; Kore's `kore.http_file`.

    It is a part of the request's body, and can be read until the request ends.
    """

    __slots__ = ("_part", "_place", "_source", "filename", "raw_filename")

    def __init__(self, part: "FormPart", source: BodyStorage) -> None:
        self._part = part
        self._source = source
        self._place = 0
        # As the client sent it: it may have directories, or any characters.
        self.raw_filename = part.filename or ""
        self.filename = _get_base_name(self.raw_filename)

    @property
    def name(self) -> str:
        """The field's name."""
        return self._part.name

    @property
    def content_type(self) -> str:
        """The content type that the client sent; may be empty."""
        return self._part.content_type

    @property
    def length(self) -> int:
        """The size in bytes."""
        return self._part.length

    @property
    def body(self) -> bytes:
        """The whole content. If the body is in a file, it is read into memory."""
        return self._source.read(self._part.start, self._part.length)

    def __len__(self) -> int:
        return self._part.length

    def __bool__(self) -> bool:
        return True  # also an empty file

    def __repr__(self) -> str:
        return f"<kore.http_file {self.name!r} {self.filename!r} {len(self)} bytes>"

    def read(self, length: int) -> tuple[int, bytes]:
        """Return the next piece as (number of bytes, bytes); (0, b"") at the end."""
        if length < 0:
            raise ValueError(f"cannot read {length} bytes")
        if length > READ_MAX:
            raise RuntimeError(f"len > sizeof(buf): read at most {READ_MAX} bytes at a time")
        length = min(length, len(self) - self._place)
        piece = self._source.read(self._part.start + self._place, length)
        self._place += len(piece)
        return len(piece), piece

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the content to a new file, by sendfile(2) if the body is in a file.

        Raises FileExistsError if *path* exists, and OSError if the file cannot be written. Large
        files take time: `await asyncio.to_thread(file.save, path)` does not block the worker.
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
    """Return the last part of the path that a client sent, without control characters."""
    name = CONTROL_CHARACTER.sub("", re.split(r"[/\\]", filename)[-1])
    return "" if name in {".", ".."} else name
