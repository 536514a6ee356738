"""Chat with an instruct model: messages in through its own template, its answer out, nothing else added."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.catalog import ModelEntry
from models.codec import InstructCodec, Purpose
from models.engine.protocol import Generation, Output
from models.errors import InvalidInput
from models.loaded import TextModel
from models.pool import ModelPool
from models.server_model import ServerCodec
from models.steps import Generate, Steps, Usage

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A conversation to go on with."""

    messages: tuple[ChatMessage, ...]
    entry: ModelEntry
    """An instruct model."""
    max_tokens: int | None = None
    """At most so many new ones; the model's own limit holds too."""


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """A model's answer to messages."""

    text: str
    model: str
    usage: Usage
    complete: bool
    """False if the model stopped at a limit of tokens rather than at an end of its own."""


def chat(pool: ModelPool, request: ChatRequest) -> Steps[ChatAnswer]:
    """Have the model answer; its words are told as they come. Raises InvalidInput for what is too long."""
    with pool.use(request.entry) as model:
        assert isinstance(model, TextModel) and isinstance(model.codec, InstructCodec | ServerCodec)  # noqa: S101 - by its feed
        codec = model.codec
        ids = codec.encode_messages([(each.role, each.content) for each in request.messages])
        most = model.entry.max_source_tokens
        unit = "characters" if request.entry.kind == "server" else "tokens"
        if len(ids) > most:
            raise InvalidInput(
                f"the messages have {len(ids)} {unit}", field="messages", allowed=f"at most {most} {unit}"
            )
        own = model.entry.max_new_tokens
        decoding = codec.decoding(Purpose("summarize", "und"), max_new_tokens=request.max_tokens or own)
        generation = Generation(ids, decoding)
        outputs: Sequence[Output] = yield Generate(model.engine, [generation], codec.decode)
        return ChatAnswer(
            codec.decode(outputs[0].token_ids),
            request.entry.name,
            Usage.of([generation], outputs),
            outputs[0].finish == "stop",
        )
