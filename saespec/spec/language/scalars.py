"""What an unquoted YAML scalar is, and the YAML parser's complaints in plain words."""

from __future__ import annotations

from ruamel.yaml.resolver import implicit_resolvers

TAG = "tag:yaml.org,2002:"
_RULES = [
    (tag.removeprefix(TAG), pattern, frozenset(first))
    for versions, tag, pattern, first in implicit_resolvers
    if (1, 2) in versions and tag not in (f"{TAG}value", f"{TAG}yaml")
]


KINDS = {
    "bool": "true or false",
    "float": "a number",
    "int": "a number",
    "null": "nothing",
    "timestamp": "a date",
}


def kind_of(text: str) -> str:
    """What an unquoted scalar is in YAML 1.2, by ruamel's own rules."""
    first = text[:1]
    for kind, pattern, starts in _RULES:
        if first in starts and pattern.match(text):
            return kind
    return "str"


def number_of(text: str, kind: str) -> int | float | None:
    digits = text.replace("_", "").lower()
    try:
        if kind == "float":
            return float(digits.replace(".inf", "inf").replace(".nan", "nan"))
        base = {"0b": 2, "0o": 8, "0x": 16}.get(digits.lstrip("+-")[:2], 10)
        return int(digits, base)
    except ValueError:  # `1_`, `0o`, thousands of digits
        return None


def short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}…"


def in_plain_words(problem: str, context: str, rest: str) -> tuple[str, str, bool]:
    """The parser's complaint in plain words: message, hint, and whether to point at where it began."""
    if "cannot start any token" in problem:
        if rest.startswith("\t"):
            return "a tab stands where YAML wants spaces", "indent with spaces", False
        return f"text cannot begin with {rest[:1] or 'this'}", "put the text in quotes", False
    if "quoted scalar" in context:
        if "end of stream" in problem or "document indicator" in problem:
            return "the quote that opens here is never closed", "add the closing quote", True
        return "this quoted text is not valid", "write it in 'single quotes', or as a | block", False
    if "flow sequence" in context:
        return "the [ that opens here is not closed, or a comma is missing", "check [ and ]", True
    if "flow mapping" in context:
        return "the { that opens here is not closed, or a comma is missing", "check { and }", True
    if "flow node" in context and not rest:
        return "the bracket that opens here is not closed", "check [ ] and { }", True
    if "tab character" in problem:
        return "a tab stands where YAML wants spaces", "indent with spaces", False
    if "expected node content" in problem:
        return "a value is missing here", "check the brackets and commas", False
    if "mapping keys are not allowed" in problem:
        return "text cannot begin with `? `", "put the text in quotes", False
    if "mapping values are not allowed" in problem or "unexpected ':'" in problem:
        return "a colon is not allowed here", "quote text that holds `: `, or check the indentation", False
    if "could not find expected ':'" in problem:
        return "this is no `key: value`", "add the colon, or check the indentation", True
    if "block sequence entries are not allowed" in problem:
        return "a list item is not allowed here", "begin the list on a new line, indented", False
    if "expected key" in problem or "'-' indicator" in problem or "block end" in problem:
        return "this does not fit what stands above it", "check the indentation and the quotes", False
    if "alias" in context or "anchor" in context:
        return "text cannot begin with & or *", "put the text in quotes", True
    if "expected <document start>" in problem:
        return "this does not belong to what stands above it", "check the indentation", False
    if "tag" in context:
        return "text cannot begin with !", "put the text in quotes", True
    if "block scalar" in context:
        return "the block of text that begins here is not valid", "indent it with spaces", False
    if "directive" in context or "directive" in problem:
        return "a line cannot begin with %", "put the text in quotes", False
    return f"this is not valid YAML: {problem}", "check the indentation and the quotes", False
