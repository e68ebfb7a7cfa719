"""What the slash commands and the function keys do: one method for each command of `tui.command_table`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import DlpLocalError, HistoryError, InputError
from dlp_local.core.files import write_new
from dlp_local.core.paths import user_path
from dlp_local.core.receipt import milliseconds
from dlp_local.core.text import counted
from dlp_local.core.values import BASE, AdapterChange, Mix
from dlp_local.history.export import export
from dlp_local.history.imports import read_conversations
from tui.actions import AdapterAction, RoutingAction
from tui.completion import words
from tui.session import NO_PACK, Session
from tui.state import Status, Turn
from tui.themes import themes
from tui.views.base import View

_CODE = re.compile(r"^(`{3,})[^\n]*\n(.*?)^\1", re.DOTALL | re.MULTILINE)
ROUTED, CODE = "auto", "code"
NOTHING_YET = "There is no message yet."


class ChatCommands:
    """Everything that can be done in a conversation, by the name of its command."""

    def __init__(self, view: View, session: Session) -> None:
        self.view, self._session = view, session
        self.told = ""

    async def do(self, name: str, argument: str) -> None:
        """Runs a command; what goes wrong is told."""
        deed: Callable[[str], object] = getattr(self, f"_{name.replace(' ', '_')}")
        try:
            deed(argument)
        except DlpLocalError as error:
            self.view.told(error)

    def choices(self, command: str, before: Sequence[str]) -> Sequence[str] | None:
        """What can follow a command and the words after it; None: a file."""
        status = self._session.status
        match command, *before:
            case ["import" | "export" | "adapters add"] | ["adapters add", _, _]:
                return None
            case ["adapters remove"]:
                return [adapter.name for adapter in status.pack_adapters]
            case ["adapters enable" | "adapters disable"]:
                wanted = command == "adapters enable"
                return [adapter.name for adapter in status.pack_adapters if adapter.enabled is not wanted]
            case ["mix"]:
                return [*status.adapters, BASE, ROUTED]
            case ["retry"]:
                return [*status.adapters, BASE]
            case ["veto"]:
                return status.adapters
            case ["new"]:
                return list(self._session.history.personas())
            case ["theme"]:
                return themes()
            case ["copy"]:
                return [CODE]
        return []

    @property
    def _last(self) -> Turn:
        turn = self.view.turn
        if turn is None:
            raise InputError(NOTHING_YET)
        return turn

    @property
    def _own(self) -> ChatOptions:
        return self._session.chat.options

    def _set(self, **changes: object) -> None:
        given = self._own.model_dump() | changes
        self._session.set_options(ChatOptions.model_validate(given))

    def draft(self) -> str:
        """What was written but not sent in the open conversation."""
        try:
            return self._session.history.draft(self._session.chat.number)
        except HistoryError:
            return ""

    # ---- conversations ----

    def _help(self, _: str) -> None:
        self.view.show_help()

    def _new(self, persona: str) -> None:
        personas = self._session.history.personas()
        if persona and persona not in personas:
            raise InputError(f"there is no persona '{persona}'. There are: {', '.join(personas) or 'none yet'}.")
        self._session.new(personas.get(persona))

    def _open(self, number: str) -> None:
        if number:
            if not number.isdigit():
                raise InputError(f"'{number}' is no conversation's number. Ctrl+O shows all of them.")
            self._session.open(int(number))
        else:
            self._search("")

    def _search(self, words: str) -> None:
        def go(number: int | None) -> None:
            if number is not None:
                try:
                    self._session.open(number)
                except HistoryError as error:
                    self.view.told(error)

        self.view.show_conversations(self._session.history, words, go)

    def _rename(self, title: str) -> None:
        if self._session.chat.number is None:
            raise InputError(NOTHING_YET)
        self._session.history.rename(self._session.chat.number, title)
        self.view.tell("Renamed.")

    # ---- a turn ----

    def _idle(self) -> None:
        if self._session.busy:
            raise InputError("an answer is being written. Esc stops it.")

    def _retry(self, mix: str) -> None:
        self._idle()
        self._session.retry(self._last.id, self._known(mix) if mix else None)

    def _continue(self, _: str) -> None:
        self._idle()
        if self._last.finish_reason not in ("length", "cancelled") or not self._last.answer:
            raise InputError("the last answer was not cut.")
        self._session.go_on(self._last.id)

    def _edit(self, _: str) -> None:
        self._idle()
        self.view.edit(self._last)

    def _undo(self, _: str) -> None:
        self._idle()
        text = self._session.undo()
        if not text:
            raise InputError(NOTHING_YET)
        self.view.fill(text)

    def _stop(self, _: str) -> None:
        self._session.stop()

    def _copy(self, what: str) -> None:
        text = self._last.answer
        if what == CODE:
            blocks = _CODE.findall(text)
            text = blocks[-1][1].rstrip("\n") if blocks else ""
        if not text:
            raise InputError("there is nothing to copy.")
        self.view.copy(text)
        self.view.tell(f"Copied {len(text)} characters.")

    # ---- routing ----

    def _route(self, _: str) -> None:
        turn = self._last
        adapters = self._session.status.adapters
        self.view.show_routing(turn, adapters, self._own, lambda decision: self._decided(turn, decision))

    def _decided(self, turn: Turn, decision: RoutingAction | None) -> None:
        try:
            match decision:
                case RoutingAction("pin", mix):
                    self._set(pinned=dict(mix.weights))
                case RoutingAction("unpin"):
                    self._set(pinned=None)
                case RoutingAction("veto", _, adapter):
                    self._veto(adapter)
                case RoutingAction("again", mix):
                    self._idle()
                    self._session.retry(turn.id, mix)
                case RoutingAction("beside", mix):
                    self._beside(turn, mix)
                case RoutingAction("wrong", _, adapter):
                    self._session.correct(turn.id, adapter)
                    self.view.tell(f"Noted: this belongs to {adapter}.")
        except DlpLocalError as error:
            self.view.told(error)

    def _beside(self, turn: Turn, mix: Mix) -> None:
        self._idle()
        again = self._session.retry(turn.id, mix)

        def keep(chosen: int | None) -> None:
            if chosen is not None and not self._session.busy:
                self._session.show(chosen)

        self.view.show_beside(turn, again, keep)

    def _known(self, text: str) -> Mix:
        mix, adapters = Mix.parse(text), self._session.status.adapters
        if unknown := [name for name, _ in mix.weights if adapters and name not in adapters]:
            raise InputError(f"mix: there is no adapter '{unknown[0]}'. There are {', '.join(adapters)}.")
        return mix

    def _mix(self, text: str) -> None:
        if not text:
            given = self._own.mix
            self.view.tell(f"Pinned: {given}." if given is not None else "The router chooses.")
        elif text == ROUTED:
            self._set(pinned=None)
        else:
            self._set(pinned=dict(self._known(text).weights))

    def _pin(self, _: str) -> None:
        route = self._last.route
        self._set(pinned=dict(route.mix.weights) if route else {})

    def _veto(self, adapter: str) -> None:
        self._loaded()
        if not adapter:
            raise InputError("say which adapter: /veto sql.")
        if adapter == BASE or adapter not in self._session.status.adapters:
            raise InputError(f"there is no adapter '{adapter}' to veto. /adapters shows them.")
        vetoed = set(self._own.vetoed) ^ {adapter}
        self._set(vetoed=tuple(sorted(vetoed)))

    # ---- options ----

    def _system(self, text: str) -> None:
        self._set(system=text or None)
        self.view.tell("System prompt set." if text else "System prompt: as in the settings.")

    def _temp(self, text: str) -> None:
        self._session.set_options(ChatOptions.checked({"temperature": text or None}, self._own))
        self.view.tell(f"Temperature {text}." if text else "Temperature: as in the settings.")

    def _options(self, _: str) -> None:
        def keep(options: ChatOptions | None) -> None:
            if options is not None:
                self._session.set_options(options)
                if options.persona:
                    self._save(options.persona)

        self.view.show_options(self._own, keep)

    def _save(self, name: str) -> None:
        if not name:
            raise InputError("give the persona a name: /save terse.")
        self._session.history.set_persona(name, self._own)
        self._set(persona=name)
        self.view.tell(f"Kept as the persona '{name}': /new {name} begins with it.")

    # ---- the pack ----

    def _loaded(self) -> Status:
        status = self._session.status
        if status.phase == "loading":
            raise InputError("the pack is still being loaded. Try again in a moment.")
        if status.phase == "failed":
            raise InputError(NO_PACK)
        return status

    def _adapters(self, unknown: str) -> None:
        if unknown:
            raise InputError(f"'{unknown}' is nothing to do with adapters. There are add, enable, disable and remove.")
        status = self._loaded()

        def change(decision: AdapterAction | None) -> None:
            try:
                match decision:
                    case AdapterAction("add"):
                        self.view.fill("/adapters add ")
                    case AdapterAction("enable", name):
                        self._adapters_enable(name)
                    case AdapterAction("disable", name):
                        self._adapters_disable(name)
                    case AdapterAction("remove", name):
                        self._adapters_remove(name)
            except DlpLocalError as error:
                self.view.told(error)

        self.view.show_adapters(status.pack_adapters, status.read_only_reason, change)

    def _adapters_add(self, argument: str) -> None:
        given = words(argument)
        if len(given) not in (2, 3):
            raise InputError(
                "name a file or folder, what it is to be called, and a file of examples if there is one: "
                "/adapters add lora.gguf sql examples.txt. Quotation marks hold a path with spaces together."
            )
        source, name, *rest = given
        path = source if source.startswith("hf:") else user_path(source)
        examples = user_path(rest[0]) if rest else None
        way = "messages like its examples go to it" if examples else f"without examples, only /mix {name} asks it"
        self._session.change_pack(
            f"adding {name}",
            f"{name} is in the pack: {way} from now on.",
            lambda assistant: assistant.add_adapter(path, name, AdapterChange(examples=examples)),
        )

    def _adapters_enable(self, name: str) -> None:
        self._switch(name, True, f"Messages may go to {name} again.")

    def _adapters_disable(self, name: str) -> None:
        self._switch(name, False, f"No message goes to {name} from now on; it stays in the pack.")

    def _switch(self, name: str, enabled: bool, done: str) -> None:
        self._of_pack(name)
        self._session.change_pack(
            f"switching {name} {'on' if enabled else 'off'}",
            done,
            lambda assistant: assistant.set_adapter(name, AdapterChange(enabled=enabled)),
        )

    def _adapters_remove(self, name: str) -> None:
        self._of_pack(name)
        self._session.change_pack(
            f"removing {name}", f"{name} is no longer in the pack.", lambda assistant: assistant.remove_adapter(name)
        )

    def _of_pack(self, name: str) -> None:
        known = [adapter.name for adapter in self._session.status.pack_adapters]
        if not name:
            raise InputError(f"say which adapter. There are: {', '.join(known)}.")
        if known and name not in known:
            raise InputError(f"there is no adapter '{name}' in the pack. There are: {', '.join(known)}.")

    # ---- the rest ----

    def _pack(self, _: str) -> None:
        status = self._loaded()
        self.view.tell(f"{status.name}: {len(status.adapters)} adapters, context {status.context_size} tokens.")

    def _export(self, file: str) -> None:
        chat = self._session.chat
        if not file:
            raise InputError("name a file: /export notes.md, notes.html or notes.json.")
        if not chat.path():
            raise InputError(NOTHING_YET)
        path = _path(file)
        write_new(path, export(chat.conversation(), path.suffix))
        self.view.tell(f"Written to {path}.")

    def _import(self, file: str) -> None:
        if not file:
            raise InputError("name a file that was exported as .json: /import notes.json.")
        conversations = read_conversations(_path(file))
        numbers = [self._session.history.insert(conversation) for conversation in conversations]
        self._session.open(numbers[-1])
        more = f" and {counted(len(numbers) - 1, 'other conversation')}" if len(numbers) > 1 else ""
        self.view.tell(f"Imported: {conversations[-1].info.title}{more}.")

    def _stats(self, _: str) -> None:
        done = [turn.done for turn in self._session.shown().turns if turn.done]
        if not done:
            raise InputError(NOTHING_YET)
        tokens = sum(reply.answer_tokens for reply in done)
        first = sorted(reply.timings.first_token for reply in done)[len(done) // 2]
        speeds = sorted(reply.tokens_per_second for reply in done if reply.tokens_per_second)
        speed = f", {speeds[len(speeds) // 2]:.0f} tok/s" if speeds else ""
        self.view.tell(f"{len(done)} answers, {tokens} tokens; median first token {milliseconds(first)}{speed}.")

    def _theme(self, name: str) -> None:
        self.view.show_theme(name)

    def _quit(self, _: str) -> None:
        self.view.leave()


def _path(argument: str) -> Path:
    """The one path that a command takes, in quotation marks or not."""
    quoted = len(argument) > 1 and argument[0] == argument[-1] == '"'
    return user_path(argument[1:-1] if quoted else argument)
