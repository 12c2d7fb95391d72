"""Filters in JMESPath, within limits: an expression that explodes or takes too long matches nothing.

The expression sees `{"data": …}`, the event's data as published: ``data.total > `100` ``.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from jmespath import exceptions as errors
from jmespath.ast import literal
from jmespath.functions import Functions
from jmespath.parser import Parser
from jmespath.visitor import TreeInterpreter

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_EXPRESSION = 1000
DEEPEST_NESTING = 20
LARGEST_OUTPUT = 256 * 1024
_LONGEST_CHAIN = 100  # of `a || b || c`, which nests in the tree but not for a reader
_STEPS = 30_000  # about 30 ms; looking at four values counts as one step

_SCAN = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`((?:\\.|[^`\\])*)`|[\[\](){}]""", re.DOTALL)
_CLOSING = {"[": "a closing bracket", "(": "a closing parenthesis", "{": "a closing brace"}
_EXPECTED = {
    "rbracket": "a closing bracket",
    "rparen": "a closing parenthesis",
    "rbrace": "a closing brace",
    "colon": "a colon",
    "comma": "a comma",
    "star": "a number or * in the brackets",
}
_NOT_ALONE = "An & can only stand inside a function, as in sort_by(data.items, &price)."
_CHAINS = frozenset({"pipe", "or_expression", "and_expression"})
_FUNCTIONS: dict[str, Any] = Functions.FUNCTION_TABLE

Node = dict[str, Any]


class FilterError(ValueError):
    """The expression can't be used, or not for this event; the message says why."""


def problem(expression: str) -> str | None:
    """Return what is wrong with an expression, with its column counted from 1; None: it can be used."""
    try:
        _parsed(expression)
    except FilterError as error:
        return str(error)
    return None


def passes(expression: str, data: bytes) -> bool:
    """Tell whether an event with this data (a JSON object) is to be sent; what can't be computed doesn't pass."""
    try:
        return _is_true(evaluate(expression, data))
    except FilterError:
        return False


def explain(expression: str, data: bytes) -> str:
    """Return why an event didn't pass, as words that end a sentence: "total was 40"."""
    try:
        result = evaluate(expression, data)
        compared = next(_compared(_parsed(expression)), None)
        if compared is None:
            return f"it gave {_excerpt(result)}"
        value = _Interpreter(_STEPS).visit(compared, _document(data))
        return f"{_last_name(compared)} was {_excerpt(value)}"
    except FilterError as error:
        return str(error)


def evaluate(expression: str, data: bytes) -> object:
    """Return what the expression makes of the event's data; raise `FilterError` when it can't or takes too long."""
    node = _parsed(expression)
    try:
        result: object = _Interpreter(_STEPS).visit(node, _document(data))
    except errors.JMESPathTypeError as error:
        raise FilterError(f"{error.function_name}() can't take this: {error.actual_type}") from None
    except RecursionError:
        raise FilterError("it is nested too deeply") from None
    except FilterError:
        raise
    except (ValueError, TypeError, ArithmeticError):  # "a" < 1, a slice with step 0, ceil of infinity
        raise FilterError("it can't be computed for this event") from None
    if _amount(result, LARGEST_OUTPUT, per_text=1) > LARGEST_OUTPUT:
        raise FilterError("its result is larger than 256 KiB")
    return result


class _Interpreter(TreeInterpreter):
    """JMESPath's interpreter with a budget: in it no value can outgrow what the steps left allow to look at."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._left = steps

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._spend(1)
        return super().visit(node, *args, **kwargs)

    def visit_comparator(self, node: Any, value: Any) -> Any:
        return super().visit_comparator(self._with_values(node, value), value)

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        node = self._with_values(node, value)
        if node["value"] == "join":  # the one function that multiplies
            glue, parts = (child["value"] for child in node["children"])
            if isinstance(glue, str) and isinstance(parts, list):
                self._spend(len(glue) * len(parts) // 256)
        return self._looked_at(super().visit_function_expression(node, value))

    def visit_multi_select_list(self, node: Any, value: Any) -> Any:
        return self._looked_at(super().visit_multi_select_list(node, value))

    def visit_multi_select_dict(self, node: Any, value: Any) -> Any:
        return self._looked_at(super().visit_multi_select_dict(node, value))

    def visit_flatten(self, node: Any, value: Any) -> Any:
        return self._looked_at(super().visit_flatten(node, value))

    def visit_slice(self, node: Any, value: Any) -> Any:
        return self._looked_at(super().visit_slice(node, value))

    def _with_values(self, node: Any, value: Any) -> Any:
        """The node with its children computed and paid for, so that comparing or calling can't take long."""
        children = [literal(self._looked_at(self.visit(child, value))) for child in node["children"]]
        return {**node, "children": children}

    def _looked_at(self, value: Any) -> Any:
        self._spend(_amount(value, 4 * self._left, per_text=64) // 4)
        return value

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise FilterError("it takes too many steps for this event")


def _amount(value: object, limit: int, *, per_text: int) -> int:
    """Count values, and text in units of `per_text` characters; stop soon after `limit`, whatever is inside."""
    amount = 0
    stack = [value]
    while stack and amount <= limit:
        item = stack.pop()
        amount += 1
        if isinstance(item, str):
            amount += len(item) // per_text
        elif isinstance(item, list):
            amount += len(item) // 16
            stack.extend(item if amount <= limit else ())
        elif isinstance(item, dict):
            amount += sum(1 + len(name) // per_text for name in item)
            stack.extend(item.values())
    return amount


@lru_cache(maxsize=512)
def _parsed(expression: str) -> Node:
    if not expression.strip():
        raise FilterError("Enter a filter, or leave the field empty.")
    if len(expression) > LONGEST_EXPRESSION:
        raise FilterError(f"A filter can have {LONGEST_EXPRESSION:,} characters.")
    open_brackets = _scan(expression)
    try:
        node = cast("Node", Parser().parse(expression).parsed)
    except RecursionError:
        raise FilterError(f"The filter is nested deeper than {DEEPEST_NESTING} levels.") from None
    except errors.IncompleteExpressionError:
        wanted = _CLOSING[open_brackets[-1]] if open_brackets else "something to follow"
        raise FilterError(f"Column {len(expression) + 1}: expected {wanted}.") from None
    except errors.ParseError as error:
        raise FilterError(_sentence(error)) from None
    except ValueError:
        raise FilterError("The filter can't be read.") from None
    _check(node)
    return node


def _scan(expression: str) -> str:
    """Return the brackets still open at the end; refuse backticks around what is no JSON, where JMESPath guesses."""
    still_open = ""
    for token in _SCAN.finditer(expression):
        if token[1] is not None:
            try:
                json.loads(token[1].replace("\\`", "`"))
            except (ValueError, RecursionError):
                raise FilterError(f"Column {token.start() + 1}: write text as '…', not between backticks.") from None
        elif token[0] in _CLOSING:
            still_open += token[0]
        elif token[0] in "])}":
            still_open = still_open[:-1]
        if len(still_open) > DEEPEST_NESTING:
            raise FilterError(f"The filter is nested deeper than {DEEPEST_NESTING} levels.")
    return still_open


def _sentence(error: errors.ParseError) -> str:
    column = f"Column {error.lex_position + 1}: "
    if isinstance(error, errors.LexerError):
        text = str(error.token_value)
        if text[:1] == "=":
            return column + "write == to compare."
        if text[:1] in "'\"`":
            return column + f"the {text[:1]} is not closed."
        return column + f"{text[:20]} can't stand here."
    expected = re.match(r"Expecting: (\w+),", error.msg)
    if expected and expected[1] in _EXPECTED:
        return column + f"expected {_EXPECTED[expected[1]]}."
    if error.token_type == "EOF":  # noqa: S105
        return column + "expected something to follow."
    if error.token_type == "NUMBER":  # noqa: S105
        return column + f"write the number as `{error.token_value}`."
    return column + f"{error.token_value} can't stand here."


def _check(root: Node) -> None:
    """Refuse what could only fail later: too deep a tree, unknown functions, wrong numbers of arguments."""
    if root["type"] == "expref":
        raise FilterError(_NOT_ALONE)
    stack = [(root, 1, 1)]
    while stack:
        node, nesting, depth = stack.pop()
        if nesting > DEEPEST_NESTING or depth > _LONGEST_CHAIN:
            raise FilterError(f"The filter is nested deeper than {DEEPEST_NESTING} levels.")
        is_call = node["type"] == "function_expression"
        if is_call:
            _check_call(node["value"], len(node["children"]))
        for child in node["children"]:
            if isinstance(child, dict):
                if child["type"] == "expref" and not is_call:
                    raise FilterError(_NOT_ALONE)
                goes_on = node["type"] in _CHAINS and child["type"] == node["type"]
                stack.append((child, nesting + (not goes_on), depth + 1))


def _check_call(name: str, given: int) -> None:
    function = _FUNCTIONS.get(name)
    if function is None:
        raise FilterError(f"There is no function {name}().")
    signature = function["signature"]
    is_open = bool(signature) and bool(signature[-1].get("variadic"))
    if given < len(signature) or (given > len(signature) and not is_open):
        raise FilterError(f"{name}() takes {len(signature)} argument{'s' if len(signature) != 1 else ''}, not {given}.")


@lru_cache(maxsize=4)
def _document(data: bytes) -> dict[str, Any]:
    """The document filters see; kept, because one event meets the filters of many webhooks in a row."""
    return {"data": json.loads(data, parse_int=_integer)}


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 40 else float(digits)


def _compared(node: Node) -> Iterator[Node]:
    """Yield the path of a filter that is one comparison of a path with a constant."""
    if node["type"] == "comparator":
        kinds = {child["type"] for child in node["children"]}
        for child in node["children"]:
            is_path = child["type"] == "subexpression" and all(part["type"] == "field" for part in child["children"])
            if "literal" in kinds and is_path:
                yield child


def _last_name(node: Node) -> str:
    return str(node["children"][-1]["value"])


def _excerpt(value: object) -> str:
    if _amount(value, 1000, per_text=1) > 1000:
        return "something large"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def _is_true(value: object) -> bool:
    """Truth as JMESPath has it: 0 is true; empty text, list and object, null and false are not."""
    return not (value is None or value is False or value == "" or value == [] or value == {})
