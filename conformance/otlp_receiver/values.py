"""Checks of attributes and ids, which all signals share."""


def attributes(entries, of):
    """Checks that keys are unique and not empty, also in nested lists of keys and values."""
    keys = [entry.key for entry in entries]
    if "" in keys or len(keys) != len(set(keys)):
        yield f"{of} has attributes without a key, or with the same one: {keys}"
    for entry in entries:
        yield from value(entry.value, f"{of}.{entry.key}")


def value(of, path):
    """Checks a value in an attribute, a body or another value."""
    match of.WhichOneof("value"):
        case "kvlist_value":
            yield from attributes(of.kvlist_value.values, path)
        case "array_value":
            for entry in of.array_value.values:
                yield from value(entry, path)


def identity(trace_id, span_id, of):
    """Checks that both ids have the right length and are not zero."""
    if len(trace_id) != 16 or not any(trace_id):
        yield f"{of} has the trace id {trace_id.hex()!r}"
    if len(span_id) != 8 or not any(span_id):
        yield f"{of} has the span id {span_id.hex()!r}"
