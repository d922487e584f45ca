"""Media types by file name extension: a table of the types of the web.

The names are those of IANA's registry, <https://www.iana.org/assignments/media-types>, as of
2026; of two names the one that browsers act on. The system's own table is not read, so that
responses do not depend on other installed packages.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

# Browsers download this type, and guess no other: RFC 9110 section 8.3.
UNKNOWN_TYPE: Final = "application/octet-stream"

# Type and extensions. RFC 9239 for JavaScript, RFC 8081 for fonts.
TEXTS: Final = """
text/calendar ics ifb
text/cache-manifest appcache
text/css css
text/csv csv
text/html html htm shtml
text/javascript js mjs cjs
text/markdown md markdown
text/plain txt text log conf ini cfg diff patch rst asc srt
text/plain c h cc cpp hpp py pyi rs go java sh
text/tab-separated-values tsv
text/troff man roff
text/turtle ttl
text/vcard vcf vcard
text/vtt vtt
text/x-component htc
"""
DOCUMENTS: Final = """
application/atom+xml atom
application/cbor cbor
application/dash+xml mpd
application/epub+zip epub
application/geo+json geojson
application/gltf-buffer glbin glbuf
application/gpx+xml gpx
application/json json map jsonc json5 topojson
application/jsonl jsonl ndjson
application/ld+json jsonld
application/manifest+json webmanifest
application/mathml+xml mathml mml
application/msword doc dot
application/n-quads nq
application/n-triples nt
application/ogg ogx
application/oxps oxps
application/pdf pdf
application/pgp-encrypted pgp gpg
application/pgp-signature sig
application/pkcs10 p10
application/pkcs12 p12 pfx
application/pkcs7-mime p7m p7c
application/pkcs7-signature p7s
application/pkix-cert cer
application/pkix-crl crl
application/postscript ps ai eps
application/rdf+xml rdf
application/rss+xml rss
application/rtf rtf
application/smil+xml smi smil
application/sparql-query rq
application/sql sql
application/toml toml
application/ttml+xml ttml
application/vnd.amazon.mobi8-ebook azw3
application/vnd.android.package-archive apk
application/vnd.apache.arrow.file arrow
application/vnd.apache.parquet parquet
application/vnd.apple.installer+xml pkg mpkg
application/vnd.apple.keynote keynote
application/vnd.apple.mpegurl m3u8
application/vnd.apple.numbers numbers
application/vnd.apple.pages pages
application/vnd.apple.pkpass pkpass
application/vnd.debian.binary-package deb udeb
application/vnd.google-earth.kml+xml kml
application/vnd.google-earth.kmz kmz
application/vnd.microsoft.portable-executable exe dll
application/vnd.ms-cab-compressed cab
application/vnd.ms-excel xls xlt xla
application/vnd.ms-excel.sheet.binary.macroenabled.12 xlsb
application/vnd.ms-excel.sheet.macroenabled.12 xlsm
application/vnd.ms-fontobject eot
application/vnd.ms-outlook msg
application/vnd.ms-powerpoint ppt pps pot
application/vnd.ms-powerpoint.presentation.macroenabled.12 pptm
application/vnd.ms-project mpp mpt
application/vnd.ms-word.document.macroenabled.12 docm
application/vnd.ms-xpsdocument xps
application/vnd.oasis.opendocument.chart odc
application/vnd.oasis.opendocument.formula odf
application/vnd.oasis.opendocument.graphics odg
application/vnd.oasis.opendocument.graphics-template otg
application/vnd.oasis.opendocument.image odi
application/vnd.oasis.opendocument.presentation odp
application/vnd.oasis.opendocument.presentation-template otp
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.spreadsheet-template ots
application/vnd.oasis.opendocument.text odt
application/vnd.oasis.opendocument.text-template ott
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.openxmlformats-officedocument.presentationml.slideshow ppsx
application/vnd.openxmlformats-officedocument.presentationml.template potx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.spreadsheetml.template xltx
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/vnd.openxmlformats-officedocument.wordprocessingml.template dotx
application/vnd.rar rar
application/vnd.sqlite3 sqlite sqlite3
application/vnd.visio vsd vst vsdx
application/vnd.wap.wmlc wmlc
application/wasm wasm
application/x-7z-compressed 7z
application/x-apple-diskimage dmg
application/x-bittorrent torrent
application/x-bzip2 bz2
application/x-chrome-extension crx
application/x-iso9660-image iso
application/x-java-jnlp-file jnlp
application/x-mobipocket-ebook mobi prc
application/x-ms-application application
application/x-msi msi
application/x-ms-manifest manifest
application/x-redhat-package-manager rpm
application/x-shockwave-flash swf
application/x-tar tar
application/x-x509-ca-cert der crt pem
application/x-xpinstall xpi
application/x-xz xz
application/xhtml+xml xhtml xht
application/xml xml xsd wsdl xsl
application/xml-dtd dtd
application/xslt+xml xslt
application/xspf+xml xspf
application/yaml yaml yml
application/gzip gz tgz
application/java-archive jar war ear
application/zip zip
application/zstd zst
application/octet-stream bin img data br lz4 lzma
"""
PICTURES: Final = """
font/collection ttc
font/otf otf
font/ttf ttf
font/woff woff
font/woff2 woff2
image/aces exr
image/apng apng
image/avif avif
image/avif-sequence avifs
image/bmp bmp dib
image/emf emf
image/gif gif
image/heic heic
image/heif heif
image/jp2 jp2 jpg2
image/jpeg jpg jpeg jpe jfif pjpeg pjp
image/jpx jpx jpf
image/jxl jxl
image/ktx ktx
image/ktx2 ktx2
image/png png
image/svg+xml svg
image/tiff tif tiff
image/vnd.adobe.photoshop psd
image/vnd.djvu djvu djv
image/vnd.dxf dxf
image/vnd.microsoft.icon ico cur
image/webp webp
image/wmf wmf
image/x-portable-anymap pnm
image/x-portable-bitmap pbm
image/x-portable-graymap pgm
image/x-portable-pixmap ppm
image/x-tga tga
model/3mf 3mf
model/gltf+json gltf
model/gltf-binary glb
model/mtl mtl
model/obj obj
model/stl stl
model/vnd.collada+xml dae
model/vnd.usdz+zip usdz
model/vrml wrl vrml
"""
SOUNDS: Final = """
audio/aac aac adts
audio/ac3 ac3
audio/amr amr
audio/basic au snd
audio/flac flac
audio/matroska mka
audio/midi mid midi kar
audio/mp4 m4a m4b mp4a
audio/mpeg mp3 mp2 mpga
audio/mpegurl m3u
audio/ogg ogg oga spx opus
audio/wav wav
audio/webm weba
audio/x-aiff aif aiff aifc
audio/x-ms-wma wma
audio/x-scpls pls
video/3gpp 3gp 3gpp
video/3gpp2 3g2
video/iso.segment m4s
video/matroska mkv
video/mp2t ts m2ts mts
video/mp4 mp4 m4v mp4v
video/mpeg mpeg mpg mpe m1v m2v
video/ogg ogv
video/quicktime mov qt
video/webm webm
video/x-flv flv
video/x-ms-asf asf asx
video/x-ms-wmv wmv
video/x-msvideo avi
"""

# Types that are compressed already: compressed versions of these are not looked for.
COMPRESSED_PREFIXES: Final = ("image/", "audio/", "video/", "font/woff")
COMPRESSED_TYPES: Final = """
application/epub+zip application/gzip application/java-archive application/pdf application/zip
application/vnd.android.package-archive application/vnd.debian.binary-package application/vnd.rar
application/x-7z-compressed application/x-apple-diskimage application/x-bzip2 application/x-xz
application/zstd
"""
UNCOMPRESSED_TYPES: Final = """
image/bmp image/svg+xml image/tiff image/vnd.adobe.photoshop image/vnd.microsoft.icon
"""


@dataclass(frozen=True, slots=True)
class FileMediaType:
    """The content type of a file, and whether its format is compressed already."""

    type: str
    is_compressed: bool


MediaTypes = Mapping[str, FileMediaType]


def build_table(added: Iterable[str] = (), charset: str = "") -> MediaTypes:
    """Return the types by extension in lower case, those of *added* before the table's.

    The entry of the empty extension is for all other files.
    """
    rows = [row for part in (TEXTS, DOCUMENTS, PICTURES, SOUNDS) for row in part.split("\n") if row]
    found = {"": _build_media_type(UNKNOWN_TYPE, "")}
    for row in (*rows, *added):
        name, *extensions = row.split()
        made = _build_media_type(name, charset)
        found.update({extension.lstrip(".").lower(): made for extension in extensions})
    return MappingProxyType(found)


def _build_media_type(name: str, charset: str) -> FileMediaType:
    """Return a media type; types of text get the parameter *charset*."""
    is_compressed = name in COMPRESSED_TYPES.split() or (
        name.startswith(COMPRESSED_PREFIXES) and name not in UNCOMPRESSED_TYPES.split()
    )
    has_charset = bool(charset) and name.lower().startswith("text/")
    return FileMediaType(f"{name}; charset={charset}" if has_charset else name, is_compressed)
