"""
What a YAML scalar means to Kubernetes: the resolver of sigs.k8s.io/yaml (go-yaml v2), which is neither YAML 1.1 nor 1.2.

`y`, `yes`, `on` are booleans, `0777` is octal, `1e3` a float; dates and `12:30:45` are strings.
"""

from __future__ import annotations

import math
import re

STR = "tag:yaml.org,2002:str"
INT = "tag:yaml.org,2002:int"
FLOAT = "tag:yaml.org,2002:float"
BOOL = "tag:yaml.org,2002:bool"
NULL = "tag:yaml.org,2002:null"
SCALAR_TAGS = frozenset({STR, INT, FLOAT, BOOL, NULL})

Scalar = str | int | float | bool | None

_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_NUMBER_START = frozenset("+-.0123456789")
_INT = re.compile(r"[-+]?(?:0[bB][01]+|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_LONGEST_INT = 80  # sign, prefix and 64 binary digits are fewer; longer ones are floats or text


def resolve(text: str) -> Scalar:
    """The value of a plain scalar. Infinities and NaN come out as floats: the caller refuses them."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START:
        return text
    number = text.replace("_", "")
    if len(number) <= _LONGEST_INT and _INT.fullmatch(number):
        value = _integer(number)
        if -(1 << 63) <= value < 1 << 64:
            return value
    if _FLOAT.fullmatch(number):
        approximate = float(number)
        # Out of range is text to Go's ParseFloat, not infinity.
        return text if math.isinf(approximate) else approximate
    return text


def construct(tag: str, text: str) -> Scalar:
    """The value of a scalar with an explicit standard tag. Raises ValueError where the text is not of that type."""
    if tag == STR:
        return text
    value = resolve(text)
    if tag == FLOAT and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    fits = {
        INT: isinstance(value, int) and not isinstance(value, bool),
        FLOAT: isinstance(value, float),
        BOOL: isinstance(value, bool),
        NULL: value is None,
    }
    if not fits[tag]:
        raise ValueError(f"the value is not of its tag !!{tag.rpartition(':')[2]}")
    return value


def _integer(number: str) -> int:
    sign = -1 if number[0] == "-" else 1
    digits = number.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)
