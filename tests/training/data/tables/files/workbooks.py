"""Write small workbooks without a library: .xlsx, .ods, .xls and .xlsb, with the least that their formats demand.

The formats: OpenDocument 1.3, and Microsoft's [MS-CFB], [MS-XLS] and [MS-XLSB].
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from xml.sax.saxutils import escape

Cell = str | float | bool | date | None
Sheets = Mapping[str, Sequence[Sequence[Cell]]]
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def write(path: Path, sheets: Sheets) -> Path:
    """Write each sheet's rows; None is an empty cell."""
    names = "".join(
        f'<sheet name="{escape(name)}" sheetId="{number}" r:id="r{number}"/>' for number, name in enumerate(sheets, 1)
    )
    links = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in range(1, len(sheets) + 1)
    )
    files = {
        "[Content_Types].xml": (
            f'<Types xmlns="{_TYPES}"><Default Extension="xml" ContentType="application/xml"/></Types>'
        ),
        "_rels/.rels": (
            f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="r1" Type="{_OFFICE}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_RELATIONS}">{links}</Relationships>',
    }
    for number, rows in enumerate(sheets.values(), 1):
        body = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
        files[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>'
        )
    return _write_archive(path, files)


def write_ods(path: Path, sheets: Sheets) -> Path:
    """Write an OpenDocument spreadsheet, with the empty rows at the end of each sheet that LibreOffice adds."""
    names = {prefix: f"urn:oasis:names:tc:opendocument:xmlns:{prefix}:1.0" for prefix in ("office", "table", "text")}
    declared = " ".join(f'xmlns:{prefix}="{name}"' for prefix, name in names.items())
    tables = "".join(
        f'<table:table table:name="{escape(name)}">'
        + "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
        + '<table:table-row table:number-rows-repeated="1048000"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row></table:table>'
        for name, rows in sheets.items()
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    files = {
        "mimetype": kind,
        "META-INF/manifest.xml": (
            f'<manifest:manifest xmlns:manifest="{manifest}"><manifest:file-entry manifest:full-path="/" '
            f'manifest:media-type="{kind}"/></manifest:manifest>'
        ),
        "content.xml": (
            f"<office:document-content {declared}><office:body><office:spreadsheet>{tables}</office:spreadsheet>"
            "</office:body></office:document-content>"
        ),
    }
    return _write_archive(path, files)


def write_xls(path: Path, sheets: Sheets) -> Path:
    """Write a workbook of Excel 97 to 2003: records in the stream "Workbook" of a compound file."""
    bodies = [_xls_sheet(rows) for rows in sheets.values()]
    # Cells refer to the second format: 14 is a date.
    formats = b"".join(_record(0x00E0, struct.pack("<HH", 0, code) + bytes(16)) for code in (0, 14))
    names = [name.encode("latin-1") for name in sheets]
    start = 20 + len(formats) + sum(12 + len(name) for name in names) + 4
    listed = b""
    for name, body in zip(names, bodies, strict=True):
        listed += _record(0x0085, struct.pack("<IBBBB", start, 0, 0, len(name), 0) + name)
        start += len(body)
    path.write_bytes(_compound(_bof(0x0005) + formats + listed + _record(0x000A) + b"".join(bodies)))
    return path


def write_xlsb(path: Path, sheets: Sheets) -> Path:
    """Write a binary workbook of Excel 2007: an archive like .xlsx, with records instead of XML in it."""
    links = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{number}.bin"/>'
        for number in range(1, len(sheets) + 1)
    )
    listed = b"".join(
        _long_record(156, struct.pack("<II", 0, number) + _wide(f"r{number}") + _wide(name))
        for number, name in enumerate(sheets, 1)
    )
    files: dict[str, str | bytes] = {
        "xl/workbook.bin": b"".join(
            (_long_record(131), _long_record(143), listed, _long_record(144), _long_record(132))
        ),
        "xl/_rels/workbook.bin.rels": f'<Relationships xmlns="{_RELATIONS}">{links}</Relationships>',
    }
    for number, rows in enumerate(sheets.values(), 1):
        width = max(map(len, rows))
        size = _long_record(148, struct.pack("<IIII", 0, len(rows) - 1, 0, width - 1))
        body = b"".join(_xlsb_row(index, row) for index, row in enumerate(rows))
        parts = (_long_record(129), size, _long_record(145), body, _long_record(146), _long_record(130))
        files[f"xl/worksheets/sheet{number}.bin"] = b"".join(parts)
    return _write_archive(path, files)


def _write_archive(path: Path, files: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _ods_cell(value: Cell) -> str:
    if value is None:
        return "<table:table-cell/>"
    if isinstance(value, bool):
        kind, text = f'boolean" office:boolean-value="{str(value).lower()}', str(value).upper()
    elif isinstance(value, date):
        kind, text = f'date" office:date-value="{value.isoformat()}', f"{value:%d/%m/%y}"
    elif isinstance(value, str):
        kind, text = "string", escape(value)
    else:
        kind, text = f'float" office:value="{value}', str(value)
    return f'<table:table-cell office:value-type="{kind}"><text:p>{text}</text:p></table:table-cell>'


def _record(code: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", code, len(data)) + data


def _bof(kind: int) -> bytes:
    return _record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0, 1997, 0, 6))


def _serial(day: date) -> float:
    return float((day - date(1899, 12, 30)).days)


def _xls_sheet(rows: Sequence[Sequence[Cell]]) -> bytes:
    size = struct.pack("<IIHHH", 0, len(rows), 0, max(map(len, rows)), 0)
    cells = b"".join(
        _xls_cell(row, column, value) for row, values in enumerate(rows) for column, value in enumerate(values)
    )
    return _bof(0x0010) + _record(0x0200, size) + cells + _record(0x000A)


def _xls_cell(row: int, column: int, value: Cell) -> bytes:
    place = struct.pack("<HHH", row, column, int(isinstance(value, date)))
    if value is None:
        return b""
    if isinstance(value, bool):
        return _record(0x0205, place + struct.pack("<BB", value, 0))
    if isinstance(value, str):
        return _record(0x0204, place + struct.pack("<HB", len(value), 1) + value.encode("utf-16-le"))
    return _record(0x0203, place + struct.pack("<d", _serial(value) if isinstance(value, date) else value))


def _compound(stream: bytes) -> bytes:
    """Return a compound file with one stream: header, allocation table, directory and the stream, in 512 bytes each."""
    stream = stream.ljust(4096, b"\0")  # shorter ones are stored otherwise
    count = -(-len(stream) // 512)
    free, end, table = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    chain = [table, end, *range(3, count + 2), end]
    entries = [
        _entry("Root Entry", 5, child=1, start=end, size=0),
        _entry("Workbook", 2, child=free, start=2, size=len(stream)),
        bytes(128),
        bytes(128),
    ]
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16)
    header += struct.pack("<HHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0, 0)
    header += struct.pack("<108I", *[free] * 108)
    allocation = struct.pack("<128I", *chain, *[free] * (128 - len(chain)))
    return header + allocation + b"".join(entries) + stream.ljust(count * 512, b"\0")


def _entry(name: str, kind: int, *, child: int, start: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    free = 0xFFFFFFFF
    head = encoded.ljust(64, b"\0") + struct.pack("<HBBIII", len(encoded), kind, 1, free, free, child)
    return head + bytes(36) + struct.pack("<IQ", start, size)


def _long_record(code: int, data: bytes = b"") -> bytes:
    """Return a record of .xlsb: its code and length in groups of seven bits."""
    return b"".join(map(_groups, (code, len(data)))) + data


def _groups(value: int) -> bytes:
    if value < 128:
        return bytes([value])
    return bytes([value & 127 | 128]) + _groups(value >> 7)


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _xlsb_row(index: int, row: Sequence[Cell]) -> bytes:
    found = _long_record(0, struct.pack("<IIH", index, 0, 300) + bytes(15))
    for column, value in enumerate(row):
        place = struct.pack("<II", column, 0)
        if isinstance(value, bool):
            found += _long_record(4, place + struct.pack("<B", value))
        elif isinstance(value, str):
            found += _long_record(6, place + _wide(value))
        elif isinstance(value, date):
            found += _long_record(5, place + struct.pack("<d", _serial(value)))
        elif value is not None:
            found += _long_record(5, place + struct.pack("<d", value))
    return found


def _cell(value: Cell) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f"<c><v>{value}</v></c>"
