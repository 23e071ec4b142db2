"""Checks that find invalid metrics."""

import math

from values import attributes


def metrics_of(scope):
    """Yields the violations among the metrics of a scope."""
    for metric in scope.metrics:
        yield from metric_of(metric)


def metric_of(metric):
    if not metric.name:
        yield "a metric has no name"
    kind = metric.WhichOneof("data")
    if kind is None:
        yield f"{metric.name} has no data"
        return
    data = getattr(metric, kind)
    if kind in ("sum", "histogram") and data.aggregation_temporality not in (1, 2):
        yield f"{metric.name} has no temporality"
    if not data.data_points:
        yield f"{metric.name} has no points"
    series = set()
    for point in data.data_points:
        yield from attributes(point.attributes, metric.name)
        key = tuple(sorted((entry.key, entry.value.SerializeToString()) for entry in point.attributes))
        if key in series:
            yield f"{metric.name} has two points of one series"
        series.add(key)
        if not point.time_unix_nano:
            yield f"{metric.name} has a point without a time"
        # A monotonic value is read as a rate, whose first value is wrong without a start time.
        grows = kind == "histogram" or kind == "sum" and data.is_monotonic
        if not (1 if grows else 0) <= point.start_time_unix_nano <= point.time_unix_nano:
            yield f"{metric.name} has a point that starts at {point.start_time_unix_nano}"
        if kind == "histogram":
            yield from histogram_of(metric.name, point)
        elif kind != "exponential_histogram" and point.WhichOneof("value") is None:
            yield f"{metric.name} has a point without a value"
        for exemplar in point.exemplars:
            if exemplar.WhichOneof("value") is None or not exemplar.time_unix_nano:
                yield f"{metric.name} has an exemplar without a value or a time"
            if len(exemplar.trace_id) not in (0, 16) or len(exemplar.span_id) not in (0, 8):
                yield f"{metric.name} has an exemplar whose ids are not of 16 and 8 bytes"


def histogram_of(name, point):
    bounds, buckets = list(point.explicit_bounds), list(point.bucket_counts)
    if len(buckets) != len(bounds) + 1:
        yield f"{name} has {len(bounds)} bounds and {len(buckets)} buckets"
    if sum(buckets) != point.count:
        yield f"{name} has a count of {point.count} and {sum(buckets)} in its buckets"
    if bounds != sorted(set(bounds)) or not all(map(math.isfinite, bounds)):
        yield f"{name} has bounds that do not rise: {bounds}"
