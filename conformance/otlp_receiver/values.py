"""What holds for attributes and ids wherever they are."""


def attributes(entries, of):
    """Keys are there, and once; the same in lists of keys among the values."""
    keys = [entry.key for entry in entries]
    if "" in keys or len(keys) != len(set(keys)):
        yield f"{of} has attributes without a key, or with the same one: {keys}"
    for entry in entries:
        yield from value(entry.value, f"{of}.{entry.key}")


def value(of, path):
    """A value in an attribute, a body or another value."""
    match of.WhichOneof("value"):
        case "kvlist_value":
            yield from attributes(of.kvlist_value.values, path)
        case "array_value":
            for entry in of.array_value.values:
                yield from value(entry, path)


def identity(trace_id, span_id, of):
    """Both ids are there, as long as they have to be, and not zero."""
    if len(trace_id) != 16 or not any(trace_id):
        yield f"{of} has the trace id {trace_id.hex()!r}"
    if len(span_id) != 8 or not any(span_id):
        yield f"{of} has the span id {span_id.hex()!r}"
