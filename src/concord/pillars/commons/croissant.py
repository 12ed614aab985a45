"""A dataset described for tools: Croissant 1.0 (mlcommons.org/croissant), JSON-LD on the words of schema.org.

Each file stands there with its address, size, media type and SHA-256. A table whose columns can be read cheaply becomes a record
set with a field for each column. What the format asks for and nobody said (a version, say) is not made up. The name is the repo's,
in the letters, digits, `_` and `-` that Croissant allows.
"""

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from mimetypes import guess_type
from typing import Any

from concord.pillars.commons.columns import Column, Read, columns, kind
from concord.pillars.commons.edition import Edition
from concord.pillars.commons.tree import File

FILES_MAX = 2_000  # files that are described, of those that there are
TABLES_MAX = 40  # files whose columns are read
CONFORMS = "http://mlcommons.org/croissant/1.0"
_SPDX = "https://spdx.org/licenses/"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(edition: Edition, read: Read) -> dict[str, Any]:
    """The description; `read` gives bytes of the files that are here."""
    files = edition.files[:FILES_MAX]
    told: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": _name(edition.name),
        "alternateName": [edition.name, *([edition.card.title] if edition.card.title else [])],
        "description": _description(edition),
        "url": edition.page(),
        "license": _license(edition),
        "datePublished": edition.date,
        "creator": {"@type": "Organization", "name": edition.publisher},
        "inLanguage": list(edition.card.languages),
        "keywords": list(dict.fromkeys(edition.card.tags)),
        "distribution": [_file(edition, file) for file in files],
        "recordSet": list(_record_sets(files, read)),
    }
    return {name: value for name, value in told.items() if value not in (None, "", [])}


def _description(edition: Edition) -> str:
    words = f"{edition.title}, published by {edition.publisher}, commit {edition.revision.oid}."
    rest = len(edition.files) - FILES_MAX
    return f"{words} {rest} more files are not described here." if rest > 0 else words


def _license(edition: Edition) -> str:
    """The licence as a page that describes it, or else in the card's own words."""
    licence = edition.passport.licence
    return f"{_SPDX}{licence.id}.html" if licence.id else (licence.named[-1] if licence.named else licence.said)


def _file(edition: Edition, file: File) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": _id(file),
        "name": file.path,
        "contentUrl": edition.link(file.path),
        "contentSize": f"{file.size} B",
        "encodingFormat": kind(file.path) or guess_type(file.path)[0] or "application/octet-stream",
        "sha256": file.sha256,
    }


def _record_sets(files: Sequence[File], read: Read) -> Iterator[dict[str, Any]]:
    tables = [file for file in files if kind(file.path) is not None]
    names: set[str] = set()
    for file in tables[:TABLES_MAX]:
        found = columns(file, read)
        name = _name(file.path.rpartition(".")[0])
        if found and name not in names:
            names.add(name)
            fields = [_field(file, name, number, column) for number, column in enumerate(found)]
            yield {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}


def _field(file: File, table: str, number: int, column: Column) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{table}/{_name(column.name)}-{number}",
        "name": column.name,
        "dataType": f"sc:{column.type}",
        "source": {"fileObject": {"@id": _id(file)}, "extract": {"column": column.name}},
    }


def _id(file: File) -> str:
    """What the description calls a file: its path, if that can stand in an identifier, and otherwise a digest of it."""
    return file.path if re.fullmatch(r"[A-Za-z0-9._/-]+", file.path) else f"file-{sha256(file.path.encode()).hexdigest()[:32]}"


def _name(words: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", words).strip("-") or "unnamed"
