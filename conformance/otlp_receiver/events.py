"""Checks that find invalid spans and log records."""

import re

from values import attributes, identity, value

SAMPLED, RANDOM, HAS_IS_REMOTE, IS_REMOTE = 0x1, 0x2, 0x100, 0x200
# W3C Trace Context level 2, "tracestate Header Field Values"; spaces around members are permitted in headers only.
KEY = r"[a-z0-9][a-z0-9_\-*/@]{0,255}"
MEMBER = re.compile(rf"({KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


def spans_of(scope):
    """Yields the violations among the spans of a scope."""
    if not scope.spans:
        yield "a scope has no spans"
    for span in scope.spans:
        yield from span_of(span)


def span_of(span):
    of = f"span {span.name!r}"
    yield from identity(span.trace_id, span.span_id, of)
    parent = span.parent_span_id
    if parent and (len(parent) != 8 or not any(parent) or parent == span.span_id):
        yield f"{of} has the parent {parent.hex()!r}"
    yield from flags(span.flags, of)
    if span.flags & IS_REMOTE and not parent:
        yield f"{of} has a remote parent and none"
    yield from trace_state(span.trace_state, of)
    yield from attributes(span.attributes, of)
    if not span.name:
        yield f"{of} has no name"
    if not 1 <= span.kind <= 5:
        yield f"{of} is of the kind {span.kind}"
    if not 0 < span.start_time_unix_nano <= span.end_time_unix_nano:
        yield f"{of} is from {span.start_time_unix_nano} to {span.end_time_unix_nano}"
    if span.status.code not in (0, 1, 2):
        yield f"{of} has the status {span.status.code}"
    if span.status.message and span.status.code != 2:
        yield f"{of} has not failed and says why"
    last = span.start_time_unix_nano
    for event in span.events:
        if not event.name:
            yield f"{of} has an event without a name"
        if not last <= event.time_unix_nano <= span.end_time_unix_nano:
            yield f"{of} has an event at {event.time_unix_nano}, out of turn"
        last = max(last, event.time_unix_nano)
        yield from attributes(event.attributes, f"an event of {of}")
    for link in span.links:
        yield from identity(link.trace_id, link.span_id, f"a link of {of}")
        yield from flags(link.flags, f"a link of {of}")
        yield from trace_state(link.trace_state, f"a link of {of}")
        yield from attributes(link.attributes, f"a link of {of}")


def records_of(scope):
    """Yields the violations among the log records of a scope."""
    if not scope.log_records:
        yield "a scope has no log records"
    for record in scope.log_records:
        yield from record_of(record)


def record_of(record):
    of = f"log record {record.event_name or record.body.string_value!r}"
    if not record.observed_time_unix_nano:
        yield f"{of} was never seen"
    if record.time_unix_nano > record.observed_time_unix_nano:
        yield f"{of} was seen before it was"
    if not 0 <= record.severity_number <= 24:
        yield f"{of} has the severity {record.severity_number}"
    if record.trace_id or record.span_id:
        yield from identity(record.trace_id, record.span_id, of)
    elif record.flags:
        yield f"{of} has flags of no trace"
    if record.flags & ~(SAMPLED | RANDOM):
        yield f"{of} has the flags {record.flags:#x}"
    if not (record.HasField("body") or record.event_name or record.attributes):
        yield f"{of} says nothing"
    yield from attributes(record.attributes, of)
    yield from value(record.body, of)


def flags(bits, of):
    if bits & ~(SAMPLED | RANDOM | HAS_IS_REMOTE | IS_REMOTE):
        yield f"{of} has the flags {bits:#x}"
    if bits & IS_REMOTE and not bits & HAS_IS_REMOTE:
        yield f"{of} is remote, though nobody knows whether it is"


def trace_state(text, of):
    members = [MEMBER.fullmatch(member) for member in text.split(",")] if text else []
    keys = {member and member[1] for member in members}
    if None in keys or len(members) > 32 or len(keys) != len(members):
        yield f"{of} has the tracestate {text!r}"


def twice(entries, of):
    """Yields the ids that appear more than once in a request."""
    seen = set()
    for entry in entries:
        key = (entry.trace_id, entry.span_id)
        if key in seen:
            yield f"{of} {entry.span_id.hex()} is there twice"
        seen.add(key)
