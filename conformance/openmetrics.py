"""A strict checker of OpenMetrics 1.0: reads a page on stdin and prints the violations; a valid page prints nothing.

The reference parser (prometheus_client) checks most of the specification: comments, suffixes, units, clashing names,
histograms, exemplars. This script checks the rest: series that appear twice, lines that are not in canonical form,
bounds that are not floats.
"""

import re
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
STRING = r'"(?:[^"\\\n]|\\[\\n"])*"'
LABEL = rf"(?:{LABEL_NAME}|{STRING})={STRING}"
LABELS = rf"\{{(?:{LABEL}(?:,{LABEL})*)?\}}"
# A name outside the legacy character set is quoted and placed among the labels.
SERIES = rf"(?:{NAME}(?:{LABELS})?|\{{{STRING}(?:,{LABEL})*\}})"
NUMBER = r"(?:[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]Inf|NaN)"
SAMPLE = re.compile(rf"(?P<series>{SERIES}) {NUMBER}(?: {NUMBER})?(?P<exemplar> # {LABELS} {NUMBER}(?: {NUMBER})?)?")
COMMENT = re.compile(rf"# (?P<kind>HELP|TYPE|UNIT) (?P<name>{NAME}|{STRING}) .*")


def lines_of(page):
    """Checks that every line is a comment or a canonical sample, no series appears twice, the last line is `# EOF`."""
    if not page.endswith("\n"):
        yield "the last line is not ended"
    lines = page.removesuffix("\n").split("\n")
    if lines.pop() != "# EOF":
        yield "the page does not end with # EOF"
    series = set()
    for number, line in enumerate(lines, 1):
        if COMMENT.fullmatch(line):
            continue
        sample = SAMPLE.fullmatch(line)
        if not sample:
            yield f"line {number} is not canonical: {line}"
            continue
        # Checked here, since the parser silently drops a repeated series.
        name, _, labels = sample["series"].partition("{")
        key = (name, *sorted(re.findall(f"{LABEL}|{STRING}", labels)))
        if key in series:
            yield f"line {number} has a series that appears twice: {line}"
        series.add(key)


def bounds_of(families):
    """Checks that bounds are floats: a scraper compares them as text, so 1 and 1.0 would be two buckets."""
    for family in families:
        for sample in family.samples:
            bound = sample.labels.get("le", "+Inf")
            if sample.name.endswith("_bucket") and not re.search("[.eI]", bound):
                yield f"le={bound} of {family.name} is not written as a float"


def main():
    page = sys.stdin.buffer.read().decode("utf-8", errors="strict")
    wrong = list(lines_of(page))
    try:
        wrong += bounds_of(text_string_to_metric_families(page))
    except ValueError as error:
        wrong.append(f"the reference parser says: {error}")
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


main()
