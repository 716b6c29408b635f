"""Croissant 1.1: results and feature tables as a data set that loaders of data sets read."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pyarrow import parquet

from persona import __version__
from persona.keeping import store

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "isArray": "cr:isArray",
    "recordSet": "cr:recordSet",
    "sc": "https://schema.org/",
    "source": "cr:source",
}
CITATION = (
    "Koshal, Phukan, Jain, Buduru and Sharma, PERSONA: An Application for Emotion Recognition, "
    "Gender Recognition and Age Estimation"
)
LICENCES = {
    "crema-d": "https://opendatacommons.org/licenses/odbl/1-0/",
    "emodb": "https://creativecommons.org/licenses/by/4.0/",
    "speechocean762": "https://creativecommons.org/licenses/by/4.0/",
}
VECTORS = {"clip": "sc:Text", "embedding": "sc:Float"}
"""Columns of a feature table."""


def described(metrics: Path, columns: dict[str, str], tables: Iterable[Path], base: str) -> Any:
    """The JSON-LD document.

    metrics : a CSV beside it. columns : its columns, by name their Croissant type.
    tables : feature tables of what ships. base : address of the folder that ships, with a slash at
    its end, from where the document lies.
    """
    files = [_file(metrics, metrics.name, "text/csv")]
    records = [_records("metrics", metrics.name, columns)]
    for table in tables:
        name = table.relative_to(store.shipped()).as_posix()
        files.append(_file(table, name, "application/x-parquet", base + name))
        if width := _width(table):
            records.append(_records(name.removesuffix(".parquet"), name, VECTORS, width))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": "PERSONA: results and feature tables",
        "description": "What was measured of emotion, gender and age in voices, with 95 % "
        "intervals over speakers, and a vector of each clip by each representation.",
        "version": __version__,
        "license": sorted(set(LICENCES.values())),
        "url": base,
        "citeAs": CITATION,
        "creator": {"@type": "sc:Organization", "name": "The PERSONA contributors"},
        "distribution": files,
        "recordSet": records,
    }


def _width(table: Path) -> int:
    """Length of its vectors; 0 where they are kept as bytes, which Croissant has no words for."""
    return int(getattr(parquet.read_schema(table).field("embedding").type, "list_size", 0))


def _file(file: Path, name: str, kind: str, address: str | None = None) -> dict[str, str]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": address or name,
        "contentSize": f"{file.stat().st_size} B",
        "encodingFormat": kind,
        "sha256": store.sha256(file),
    }


def _records(name: str, file: str, kinds: dict[str, str], width: int = 0) -> dict[str, Any]:
    """width : of the vectors, in the column `embedding`."""
    fields = []
    for column, kind in kinds.items():
        field = {
            "@type": "cr:Field",
            "@id": f"{name}/{column}",
            "name": column,
            "dataType": kind,
            "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
        }
        if column == "embedding":
            field |= {"isArray": True, "arrayShape": str(width)}
        fields.append(field)
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}
