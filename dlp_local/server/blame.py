"""Which field of a request it is that an answer could not be begun with."""

from __future__ import annotations

from dataclasses import dataclass

from dlp_local.core.answer_format import AnswerFormat
from dlp_local.core.errors import ContextLengthError, InputError
from dlp_local.server.errors import ApiError

_FORM = ("JSON schema:", "grammar:", "answer format:")
_CANNOT_DO = "answer format: this engine cannot do "
"""What errors of the assistant say, which name the thing first."""


@dataclass(frozen=True, slots=True)
class FieldNames:
    """What a request calls what is said in it, and the schema of its answer."""

    said: str
    schema: str = "response_format"

    def blamed(self, error: InputError, answer_format: AnswerFormat) -> ApiError:
        """An error of the assistant, with the field of the request that it speaks of."""
        text = str(error)
        if isinstance(error, ContextLengthError):
            return ApiError(400, text, param=self.said, code="context_length_exceeded")
        return ApiError(400, text, param=self._param(text, answer_format), code="invalid_value")

    def _param(self, text: str, answer_format: AnswerFormat) -> str | None:
        if text.startswith("answer format: a bias "):
            return "logit_bias"
        if text.startswith("tools:"):
            return "tools"
        if text.startswith("scope:"):
            return "dlp_local.scope"
        if text.startswith(_CANNOT_DO):
            return self._of_feature(text.removeprefix(_CANNOT_DO).partition(".")[0].partition(",")[0])
        if text.startswith(_FORM):
            used = (answer_format.grammar and "grammar", answer_format.json_schema and "json_schema", "tools")
            return self._of_feature(next(filter(None, used)))
        return None

    def _of_feature(self, feature: str) -> str:
        return self.schema if feature == "json_schema" else feature
