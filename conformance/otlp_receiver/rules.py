"""What no request can say, whatever was recorded."""

from events import records_of, spans_of, twice
from metrics import metrics_of
from values import attributes

# Of each signal: the resources in a request, the scopes in one of those, and the check of a scope.
SIGNALS = [
    ("resource_metrics", "scope_metrics", metrics_of),
    ("resource_spans", "scope_spans", spans_of),
    ("resource_logs", "scope_logs", records_of),
]


def impossible(request):
    """Everything that is wrong about a request though it can be read."""
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
