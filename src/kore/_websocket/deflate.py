"""Compressed messages, RFC 7692: what is agreed on, and doing it."""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

NAME: Final = "permessage-deflate"
WINDOW_MAX: Final = 15
# zlib cannot make raw streams with a window of 2 ** 8, although it can read them.
WINDOW_MIN: Final = 9
# Each costs as much as a whole stream, in two bytes; who sends any sends one in a message.
LAST_ONES: Final = 8
TAIL: Final = b"\x00\x00\xff\xff"

FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")
PARAMETERS: Final = frozenset({"client_max_window_bits", "server_max_window_bits", *FLAGS})
TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110 section 5.6.2, no password
PARAMETER: Final = re.compile(rf'\s*({TOKEN})\s*(?:=\s*(?:({TOKEN})|"({TOKEN})")\s*)?')

QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)')


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """What both sides do."""

    server_bits: int = WINDOW_MAX
    client_bits: int = WINDOW_MAX
    # Whether each message of that side stands alone.
    server_alone: bool = False
    client_alone: bool = False
    # What the client has asked for must be answered (7.1.2.1), what it has not must not (7.1.2.2).
    says_server_bits: bool = False
    says_client_bits: bool = False

    def text(self) -> str:
        """Return the field value that agrees."""
        words = [NAME]
        words += ["server_no_context_takeover"] * self.server_alone
        words += ["client_no_context_takeover"] * self.client_alone
        if self.says_server_bits or self.server_bits < WINDOW_MAX:
            words.append(f"server_max_window_bits={self.server_bits}")
        if self.says_client_bits and self.client_bits < WINDOW_MAX:
            words.append(f"client_max_window_bits={self.client_bits}")
        return "; ".join(words)


def agreed(offers: str, *, bits: int = WINDOW_MAX) -> DeflateParameters | None:
    """Return what to agree on: the first offer that is understood; None without one.

    *bits* is the largest window we want to spend memory on, either way.
    """
    for name, parameters in extensions(offers):
        if name == NAME and parameters is not None:
            agreement = answered(parameters, bits)
            if agreement is not None:
                return agreement
    return None


def answered(parameters: Mapping[str, str | None], bits: int) -> DeflateParameters | None:
    """Return the answer to an offer, None to one that is not understood (section 7.1)."""
    ours, theirs = "server_max_window_bits", "client_max_window_bits"
    server_bits = window(parameters.get(ours))
    client_bits = window(parameters.get(theirs))
    if not parameters.keys() <= PARAMETERS or server_bits is None or client_bits is None:
        return None
    if any(parameters.get(flag) for flag in FLAGS) or parameters.get(ours, "") is None:
        return None
    if server_bits < WINDOW_MIN:
        return None
    return DeflateParameters(
        server_bits=min(server_bits, bits),
        client_bits=min(client_bits, bits) if theirs in parameters else WINDOW_MAX,
        server_alone=FLAGS[0] in parameters,
        client_alone=FLAGS[1] in parameters,
        says_server_bits=ours in parameters,
        says_client_bits=theirs in parameters,
    )


def window(text: str | None) -> int | None:
    """Return the size of a window; one that is not named has the largest. None: it is not valid."""
    if text is None:
        return WINDOW_MAX
    if not re.fullmatch("8|9|1[0-5]", text):
        return None
    return int(text)


def extensions(offers: str) -> Iterator[tuple[str, dict[str, str | None] | None]]:
    """Yield the name and the parameters of each offer; None for those that make no sense."""
    for offer in QUOTED.sub(without_separators, offers).split(","):
        name, *words = offer.split(";")
        parameters: dict[str, str | None] | None = {}
        for word in words:
            found = PARAMETER.fullmatch(word)
            if found is None or parameters is None or found[1] in parameters:
                parameters = None
                break
            parameters[found[1]] = found[2] or found[3]
        yield name.strip().lower(), parameters


def without_separators(quoted: re.Match[str]) -> str:
    """Return a quoted string in which nothing looks like the end of an offer."""
    return re.sub("[,;]", "\0", quoted[0])


class Deflater:
    """The compression of one connection, both ways."""

    __slots__ = ("_agreement", "_packer", "_unpacker")

    def __init__(self, agreement: DeflateParameters) -> None:
        self._agreement = agreement
        # Made when they are needed, kept only where context is taken over: 300 KB for both.
        self._packer: zlib._Compress | None = None
        self._unpacker: zlib._Decompress | None = None

    def pack(self, data: bytes | memoryview) -> bytes:
        """Compress a message."""
        packer = self._packer or zlib.compressobj(wbits=-self._agreement.server_bits)
        self._packer = None if self._agreement.server_alone else packer
        return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)

    def unpack(self, data: bytes, most: int) -> bytes:
        """Decompress a message with its tail, to *most* bytes; ValueError for what is none."""
        unpacker = self._unpacker or zlib.decompressobj(-self._agreement.client_bits)
        self._unpacker = None if self._agreement.client_alone else unpacker
        try:
            found = unpacker.decompress(data, most)
            for _ in range(LAST_ONES):
                if not unpacker.eof or len(found) >= most:
                    return found
                # A block that says it is the last one, 7.2.3.4: another stream goes on with what
                # is left, the tail at least. It may refer to what came before.
                rest = unpacker.unused_data
                unpacker = self._follows(found)
                if rest == TAIL:    # without the octet that should follow it: nothing is missing
                    return found
                found += unpacker.decompress(rest, most - len(found))
        except zlib.error as error:
            raise ValueError(str(error)) from None
        raise ValueError("too many last blocks in a message")

    def _follows(self, found: bytes) -> "zlib._Decompress":
        bits = self._agreement.client_bits
        unpacker = zlib.decompressobj(-bits, zdict=found[-(1 << bits) :])
        self._unpacker = None if self._agreement.client_alone else unpacker
        return unpacker
