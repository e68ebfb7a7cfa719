"""`/v1/completions`: the request."""

from __future__ import annotations

from pydantic import Field

from dlp_local.core.answer_format import MOST_LOGPROBS, AnswerFormat
from dlp_local.core.text import check_message
from dlp_local.server.bodies import HARMLESS, Unused
from dlp_local.server.errors import ApiError, blamed_on
from dlp_local.server.requests.chat import StreamOptions
from dlp_local.server.requests.formats import biases, checked_format
from dlp_local.server.requests.sampling import THOUGHT, SamplingRequest

UNUSED = Unused(HARMLESS, THOUGHT)


class CompletionRequest(SamplingRequest):
    """Texts, each of which is answered like a user's message, by the model's own chat template."""

    prompt: str | list[str] = Field(description="one text or several")
    n: int = Field(1, ge=1, description="how many answers to each text")
    best_of: int | None = Field(None, ge=1, description="has to be n, if it is given")
    echo: bool = Field(False, description="whether each text stands before its answer")
    stream_options: StreamOptions | None = None
    grammar: str = Field("", description="GBNF that the answer follows")
    logprobs: int | None = Field(None, ge=0, le=MOST_LOGPROBS)
    logit_bias: dict[str, float] = Field({}, description="token's number → what is added to its logit")

    def answer_format(self) -> AnswerFormat:
        """The form of the answers; raises `ApiError` and `InputError`."""
        return checked_format(grammar=self.grammar, logprobs=self.logprobs, logit_bias=biases(self.logit_bias))

    def prompts(self) -> dict[str, str]:
        """The texts by their places, as `prompt[1]`; raises `ApiError`."""
        if self.best_of not in (None, self.n):
            raise ApiError(400, "best_of: has to be n. Leave it out.", param="best_of", code="invalid_value")
        if not self.prompt:
            raise ApiError(400, "prompt: is empty. Send a text.", param="prompt", code="invalid_value")
        texts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        places = ["prompt"] if isinstance(self.prompt, str) else [f"prompt[{at}]" for at in range(len(texts))]
        prompts = dict(zip(places, texts, strict=True))
        for place, prompt in prompts.items():
            with blamed_on(place):
                check_message(prompt)
        return prompts
