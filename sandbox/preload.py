"""Imports all that tools may need while files can still be opened; children inherit it by fork."""

import importlib
import mimetypes
import zoneinfo
from contextlib import suppress

import pydantic

from sandbox.modules import BASE_MODULES
from sandbox.words import words

_SUBMODULES = words("""
    asyncio.taskgroups asyncio.timeouts collections.abc concurrent.futures email.message
    email.mime.multipart email.mime.text email.parser email.utils html.entities html.parser
    http.client http.cookies importlib.resources json.encoder pydantic.dataclasses pydantic.main
    urllib.parse xml.dom.expatbuilder xml.dom.minidom xml.etree.ElementTree
""")

_ACCELERATORS = words("""
    _asyncio _bisect _blake2 _contextvars _csv _datetime _decimal _elementtree _hashlib _heapq _json
    _md5 _multibytecodec _opcode _queue _random _sha1 _sha256 _sha3 _sha512 _statistics _strptime
    _struct _uuid _zoneinfo bz2 fcntl inspect lzma pyexpat select
""")

_CODECS = words("""
    ascii base64_codec cp1252 cp437 hex_codec idna iso8859_1 iso8859_15 latin_1 mac_roman punycode
    quopri_codec raw_unicode_escape rot_13 unicode_escape utf_16 utf_16_be utf_16_le utf_32
    utf_32_le utf_8_sig zlib_codec
""")

_ZONES: list[zoneinfo.ZoneInfo] = []


def preload() -> None:
    codecs = [f"encodings.{name}" for name in _CODECS]
    for name in [*sorted(BASE_MODULES), *_SUBMODULES, *_ACCELERATORS, *codecs]:
        # Builds of Python differ in their accelerators; a tool then gets a plain ImportError.
        with suppress(ImportError):
            importlib.import_module(name)
    for name in pydantic.__all__:  # its names are loaded on first use
        with suppress(AttributeError, ImportError):
            getattr(pydantic, name)
    mimetypes.init(files=())  # its own table, not whatever this host has
    model = pydantic.create_model("Warm", number=(int, 1), text=(str | None, None))
    model(number="2").model_dump_json()


def preload_time_zones() -> None:
    """For children that may open no file at all."""
    _ZONES.extend(zoneinfo.ZoneInfo(key) for key in sorted(zoneinfo.available_timezones()))
