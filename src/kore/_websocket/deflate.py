"""Compression of WebSocket messages, permessage-deflate (RFC 7692): negotiation and use."""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kore._values.grammar import TOKEN

EXTENSION: Final = "permessage-deflate"
WINDOW_BITS_MAX: Final = 15
# zlib cannot compress raw streams with a window of 2 ** 8, although it can decompress them.
WINDOW_BITS_MIN: Final = 9
# Blocks with BFINAL set in one message. Each costs as much as a new stream, for two bytes of input;
# clients that send any send one.
FINAL_BLOCKS_MAX: Final = 8
# What the sender removes from the end of each message (section 7.2.1).
TAIL: Final = b"\x00\x00\xff\xff"

FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")
PARAMETERS: Final = frozenset({"client_max_window_bits", "server_max_window_bits", *FLAGS})
PARAMETER: Final = re.compile(rf'\s*({TOKEN})\s*(?:=\s*(?:({TOKEN})|"({TOKEN})")\s*)?')

QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)')


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """The negotiated parameters of both directions."""

    server_bits: int = WINDOW_BITS_MAX
    client_bits: int = WINDOW_BITS_MAX
    # Each message of that side is compressed without the context of earlier ones.
    server_no_context: bool = False
    client_no_context: bool = False
    # The offer contains the parameter: then it must be in the response (section 7.1.2.1), else it
    # must not (section 7.1.2.2).
    offers_server_bits: bool = False
    offers_client_bits: bool = False

    def format_field(self) -> str:
        """Return the value of the response field."""
        words = [EXTENSION]
        words += ["server_no_context_takeover"] * self.server_no_context
        words += ["client_no_context_takeover"] * self.client_no_context
        if self.offers_server_bits or self.server_bits < WINDOW_BITS_MAX:
            words.append(f"server_max_window_bits={self.server_bits}")
        if self.offers_client_bits and self.client_bits < WINDOW_BITS_MAX:
            words.append(f"client_max_window_bits={self.client_bits}")
        return "; ".join(words)


def negotiate_deflate(
    offers: str, *, bits_max: int = WINDOW_BITS_MAX
) -> DeflateParameters | None:
    """Return the parameters for the first acceptable offer; None without one.

    *bits_max* is the largest window to use in either direction, for the sake of memory.
    """
    for name, offered in _parse_offers(offers):
        if name == EXTENSION and offered is not None:
            parameters = _accept_offer(offered, bits_max)
            if parameters is not None:
                return parameters
    return None


def _accept_offer(offered: Mapping[str, str | None], bits_max: int) -> DeflateParameters | None:
    """Return the parameters for an offer; None if it must be declined (section 7.1)."""
    server, client = "server_max_window_bits", "client_max_window_bits"
    server_bits = _parse_window_bits(offered.get(server))
    client_bits = _parse_window_bits(offered.get(client))
    if not offered.keys() <= PARAMETERS or server_bits is None or client_bits is None:
        return None
    if any(offered.get(flag) for flag in FLAGS) or offered.get(server, "") is None:
        return None
    if server_bits < WINDOW_BITS_MIN:
        return None
    return DeflateParameters(
        server_bits=min(server_bits, bits_max),
        client_bits=min(client_bits, bits_max) if client in offered else WINDOW_BITS_MAX,
        server_no_context=FLAGS[0] in offered,
        client_no_context=FLAGS[1] in offered,
        offers_server_bits=server in offered,
        offers_client_bits=client in offered,
    )


def _parse_window_bits(text: str | None) -> int | None:
    """Return the size of a window, the largest if it is not given; None if it is invalid."""
    if text is None:
        return WINDOW_BITS_MAX
    if not re.fullmatch("8|9|1[0-5]", text):
        return None
    return int(text)


def _parse_offers(offers: str) -> Iterator[tuple[str, dict[str, str | None] | None]]:
    """Yield the name and the parameters of each offer; None for malformed parameters."""
    for offer in QUOTED.sub(_mask_separators, offers).split(","):
        name, *words = offer.split(";")
        parameters: dict[str, str | None] | None = {}
        for word in words:
            found = PARAMETER.fullmatch(word)
            if found is None or parameters is None or found[1] in parameters:
                parameters = None
                break
            parameters[found[1]] = found[2] or found[3]
        yield name.strip().lower(), parameters


def _mask_separators(quoted: re.Match[str]) -> str:
    """Return a quoted string in which no separator looks like the end of an offer."""
    return re.sub("[,;]", "\0", quoted[0])


class Deflater:
    """The compression of one connection, in both directions."""

    __slots__ = ("_compressor", "_decompressor", "_parameters")

    def __init__(self, parameters: DeflateParameters) -> None:
        self._parameters = parameters
        # Made on first use, and kept only with context takeover: both take 300 KB.
        self._compressor: zlib._Compress | None = None
        self._decompressor: zlib._Decompress | None = None

    def pack(self, data: bytes | memoryview) -> bytes:
        """Return a compressed message."""
        compressor = self._compressor or zlib.compressobj(wbits=-self._parameters.server_bits)
        self._compressor = None if self._parameters.server_no_context else compressor
        compressed = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return compressed.removesuffix(TAIL)

    def unpack(self, data: bytes, size_max: int) -> bytes:
        """Return a decompressed message, cut at *size_max* bytes; *data* ends with TAIL.

        Raises ValueError if it is malformed.
        """
        decompressor = self._decompressor or zlib.decompressobj(-self._parameters.client_bits)
        self._decompressor = None if self._parameters.client_no_context else decompressor
        try:
            found = decompressor.decompress(data, size_max)
            for _ in range(FINAL_BLOCKS_MAX):
                if not decompressor.eof or len(found) >= size_max:
                    return found
                # A block with BFINAL set (section 7.2.3.4): the rest, which is TAIL at least, is a
                # new stream, and may refer to data before it.
                rest = decompressor.unused_data
                decompressor = self._continue_after(found)
                if rest == TAIL:    # without the octet 0x00 in front of it: nothing is missing
                    return found
                found += decompressor.decompress(rest, size_max - len(found))
        except zlib.error as error:
            raise ValueError(str(error)) from None
        raise ValueError("too many last blocks in a message")

    def _continue_after(self, found: bytes) -> "zlib._Decompress":
        """Return a decompressor with the end of *found* as its window."""
        bits = self._parameters.client_bits
        decompressor = zlib.decompressobj(-bits, zdict=found[-(1 << bits) :])
        self._decompressor = None if self._parameters.client_no_context else decompressor
        return decompressor
