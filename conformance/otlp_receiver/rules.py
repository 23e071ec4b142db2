"""Checks that find invalid requests."""

from events import records_of, spans_of, twice
from metrics import metrics_of
from values import attributes

# For each signal: the resources of a request, the scopes of a resource, and the check of a scope.
SIGNALS = [
    ("resource_metrics", "scope_metrics", metrics_of),
    ("resource_spans", "scope_spans", spans_of),
    ("resource_logs", "scope_logs", records_of),
]


def impossible(request):
    """Yields all violations in a decoded request."""
    for resources, scopes, check in SIGNALS:
        for resource in getattr(request, resources, []):
            yield from attributes(resource.resource.attributes, "resource")
            if not any(entry.key == "service.name" for entry in resource.resource.attributes):
                yield "a resource has no service.name"
            seen = set()
            for scope in getattr(resource, scopes):
                yield from attributes(scope.scope.attributes, "scope")
                key = scope.scope.SerializeToString(deterministic=True)
                if key in seen:
                    yield f"the scope {scope.scope.name!r} is there twice"
                seen.add(key)
                yield from check(scope)
    spans = [
        span
        for resource in getattr(request, "resource_spans", [])
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    yield from twice(spans, "span")
