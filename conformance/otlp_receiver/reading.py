"""Decodes requests strictly, and finds violations of the encoding."""

import base64
import gzip
import json
import re
import zlib

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.unknown_fields import UnknownFieldSet

IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}
WIDE = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED64,
    FieldDescriptor.TYPE_SINT64,
}


def plain(body, encoding):
    match encoding:
        case "" | "identity":
            return body
        case "gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
    raise ValueError(f"no such content encoding: {encoding}")


def decoded(message):
    """Returns a message as OTLP/JSON writes it; the library's own form has ids in base64."""
    return ids(
        json_format.MessageToDict(message, use_integers_for_enums=True),
        lambda text: base64.b64decode(text).hex(),
    )


def ids(value, convert):
    if isinstance(value, list):
        return [ids(entry, convert) for entry in value]
    if isinstance(value, dict):
        return {
            key: convert(entry) if key in IDS and isinstance(entry, str) else ids(entry, convert)
            for key, entry in value.items()
        }
    return value


def read_protobuf(message, body):
    message.ParseFromString(body)
    return list(unknown(message, message.DESCRIPTOR.name))


def read_json(message, body):
    value = json.loads(body)
    wrong = list(letter(value, message.DESCRIPTOR, message.DESCRIPTOR.name))
    known = ids(value, lambda text: base64.b64encode(bytes.fromhex(text)).decode())
    json_format.ParseDict(known, message, ignore_unknown_fields=True)
    return wrong


def unknown(message, path):
    """Yields the fields that are not in the schema, as the path of their message and their number."""
    for field in UnknownFieldSet(message):
        yield f"{path} has an unknown field {field.field_number}"
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for entry in [value] if hasattr(value, "ListFields") else value:
                yield from unknown(entry, f"{path}.{field.json_name}")


def letter(value, message, path):
    """Yields what OTLP/JSON forbids, although a lenient parser may accept it."""
    if not isinstance(value, dict):
        yield f"{path} is not an object"
        return
    fields = {field.json_name: field for field in message.fields}
    for name, content in value.items():
        field, here = fields.get(name), f"{path}.{name}"
        if field is None:
            yield f"{here} is not a field"
            continue
        # The name of this property changed between releases of the library.
        repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
        if repeated and not isinstance(content, list):
            yield f"{here} is not an array"
            continue
        for entry in content if repeated else [content]:
            if field.type == field.TYPE_MESSAGE:
                yield from letter(entry, field.message_type, here)
            elif name in IDS:
                if not (isinstance(entry, str) and re.fullmatch(f"[0-9a-f]{{{IDS[name]}}}", entry)):
                    yield f"{here} is not {IDS[name]} digits in hex: {entry!r}"
            elif field.type in WIDE:
                if not (isinstance(entry, str) and re.fullmatch("-?[0-9]+", entry)):
                    yield f"{here} is not a 64-bit number as a string: {entry!r}"
            elif field.type in (field.TYPE_ENUM, field.TYPE_UINT32, field.TYPE_FIXED32, field.TYPE_INT32):
                if type(entry) is not int:
                    yield f"{here} is not a whole number: {entry!r}"
