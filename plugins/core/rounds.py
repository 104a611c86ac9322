"""Spec 3.4, calls of several rounds - decides what a plugin may ask the person before it answers.

Rules:
- A method that says so in its contract (`asks`) may answer with questions; the caller puts them to the person and makes
  the same call again, with the answers and with whatever state the plugin gave along.
- A question is one form: a sentence, and a flat schema of plain values. No plugin asks for a model, a file or a link.
- A form is small and has no pattern, so that holding an answer against it is quick whatever the plugin wrote.
- A round without an answer is no result: whoever cannot ask the person sees a failure that says what was wanted.

Not here: who makes the next round, and which version it goes to (`gateway/rounds.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import JsonValue

from domain.base import JsonObject
from domain.calls import ErrorKind
from plugins.core.channel import Progress
from plugins.core.failures import PluginFailure

FORM_METHOD: Final = "elicitation/create"
MOST_QUESTIONS: Final = 5
MOST_FIELDS: Final = 20
LONGEST_KEY: Final = 64
LONGEST_MESSAGE: Final = 2_000
LONGEST_STATE: Final = 64 * 1024
_FIELD_TYPES: Final = frozenset({"string", "number", "integer", "boolean"})
_FIELD_KEYWORDS: Final = frozenset(
    {"type", "title", "description", "default", "enum", "minLength", "maxLength", "minimum", "maximum", "format"}
)


@dataclass(frozen=True)
class Turn:
    """What goes along with a call's arguments.

    Attributes:
        progress: told how far the call is.
        state: what the plugin gave along with its questions, as it was.
        answers: the person's answers to them: `{"action", "content"}` by key.
    """

    progress: Progress | None = None
    state: str | None = None
    answers: JsonObject = field(default_factory=dict)

    @property
    def more(self) -> JsonObject:
        """What a further round adds to the parameters of the call; nothing in the first one."""
        told: JsonObject = {"inputResponses": self.answers} if self.answers else {}
        return told if self.state is None else {**told, "requestState": self.state}


FIRST_ROUND: Final = Turn()


@dataclass(frozen=True)
class Question:
    """One form that the person is to fill in."""

    message: str
    schema: JsonObject

    def fault_of(self, answer: JsonValue) -> str | None:
        """Return why something is no answer to the question, None when it is one."""
        action = answer.get("action") if isinstance(answer, dict) else None
        if not isinstance(answer, dict) or action not in {"accept", "decline", "cancel"}:
            return "it has no action accept, decline or cancel"
        if action != "accept":
            return None
        fault = best_match(Draft202012Validator(self.schema).iter_errors(answer.get("content")))
        return None if fault is None else f"{fault.json_path}: {fault.message[:200]}"


class Asked(PluginFailure):
    """A plugin that wants to know something of the person first.

    Args:
        subject: the tool that asks.
        questions: by key.
        state: to be given back with the answers.
    """

    def __init__(self, subject: str, questions: Mapping[str, Question], state: str | None) -> None:
        wanted = "; ".join(question.message for question in questions.values())
        super().__init__(
            ErrorKind.INPUT_REQUIRED, f"{subject} asks the person first, which is not possible here: {wanted}"
        )
        self.subject = subject
        self.questions = questions
        self.state = state


def asked_of(subject: str, result: Mapping[str, Any]) -> Asked:
    """Return what an `input_required` result asks.

    Raises:
        PluginFailure: `invalid_result`: it is not what may be asked.
    """
    requests, state = result.get("inputRequests"), result.get("requestState")
    if not isinstance(requests, dict) or not 1 <= len(requests) <= MOST_QUESTIONS:
        raise _wrong(subject, f"asks no question or more than {MOST_QUESTIONS}")
    if state is not None and (not isinstance(state, str) or len(state) > LONGEST_STATE):
        raise _wrong(subject, f"gives a state that is no text of at most {LONGEST_STATE} characters")
    if any(not key or len(key) > LONGEST_KEY for key in requests):
        raise _wrong(subject, f"names a question with none or more than {LONGEST_KEY} characters")
    return Asked(subject, {key: _question(subject, request) for key, request in requests.items()}, state)


def _question(subject: str, request: object) -> Question:
    params = request.get("params") if isinstance(request, dict) and request.get("method") == FORM_METHOD else None
    if not isinstance(params, dict) or params.get("mode", "form") != "form":
        raise _wrong(subject, f"asks for something else than a form ({FORM_METHOD})")
    message, schema = params.get("message"), params.get("requestedSchema")
    if not isinstance(message, str) or not 0 < len(message) <= LONGEST_MESSAGE:
        raise _wrong(subject, f"asks without a sentence, or with more than {LONGEST_MESSAGE} characters")
    if not isinstance(schema, dict) or not _is_plain_form(schema):
        raise _wrong(subject, f"asks for more than at most {MOST_FIELDS} plain values")
    return Question(message, schema)


def _is_plain_form(schema: Mapping[str, object]) -> bool:
    fields = schema.get("properties")
    required = schema.get("required", [])
    return (
        schema.keys() <= {"type", "properties", "required"}
        and schema.get("type") == "object"
        and isinstance(fields, dict)
        and len(fields) <= MOST_FIELDS
        and isinstance(required, list)
        and all(name in fields for name in required)
        and all(_is_plain_field(value) for value in fields.values())
    )


def _is_plain_field(schema: object) -> bool:
    return (
        isinstance(schema, dict)
        and schema.get("type") in _FIELD_TYPES
        and schema.keys() <= _FIELD_KEYWORDS
        and Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(schema)
    )


def _wrong(subject: str, what: str) -> PluginFailure:
    return PluginFailure(ErrorKind.INVALID_RESULT, f"{subject} {what}.")
