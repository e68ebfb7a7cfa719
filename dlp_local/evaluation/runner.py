"""Runs an evaluation: rows → routes → questions, each asked once → what each policy's answers measure."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from dlp_local.assistant import Assistant
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.values import BASE, Route
from dlp_local.evaluation.answers import Answer, Answers, Question
from dlp_local.evaluation.metrics import METRICS, reported_for
from dlp_local.evaluation.metrics.choices import LIKELIHOOD, most_likely
from dlp_local.evaluation.metrics.metric import Measures
from dlp_local.evaluation.policies import Policy
from dlp_local.evaluation.row import EvalRow
from dlp_local.evaluation.rows import RowProblem, draw, each_once, named_lines
from dlp_local.evaluation.shots import NO_SHOTS, Shots
from dlp_local.history_route import history_route
from dlp_local.routing.message_router import moved_to_base


@dataclass(frozen=True)
class Plan:
    """What is measured: rows (at most `limit` of them a seed), under which policies, and how they are answered.

    `shots` are the rows that few-shot policies draw from. `likelihood`: rows with choices are scored by the likelihood
    of each choice, too; those whose metric that is always are.
    """

    rows: tuple[EvalRow, ...]
    policies: tuple[Policy, ...]
    options: ChatOptions
    limit: int | None = None
    seeds: int = 1
    shots: Shots = NO_SHOTS
    likelihood: bool = False

    @cached_property
    def each(self) -> tuple[EvalRow, ...]:
        """The rows, those that ask the same as one."""
        return each_once(self.rows)

    @cached_property
    def reported(self) -> Mapping[str, tuple[str, ...]]:
        """For each metric of the rows: it, and those that are reported beside it."""
        return {name: reported_for(name, self.likelihood) for name in {row.metric for row in self.rows}}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: `done` of so many routes or answers; those that were kept count as done."""

    stage: str
    done: int
    of: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy's answer to one row measures, by metric; of an oracle the best answer, and the time of all.

    `value` is the score by the row's own metric; where that is a likelihood, `answer` is the likeliest choice.
    `adapters` are in the mix; `trimmed` of the oldest turns before the message did not fit the context.
    """

    row: EvalRow
    seed: int
    policy: str
    answer: str
    measures: Mapping[str, Measures]
    value: float
    adapters: int
    first_token: float
    seconds: float
    trimmed: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out: an outcome for each row, seed and policy; rows that could not be answered are in none.

    `probabilities` are the router's, by the identity of the rows. `interrupted`: it was cancelled, and this is nothing.
    """

    outcomes: tuple[Outcome, ...] = ()
    probabilities: Mapping[str, Mapping[str, float]] | None = None
    problems: tuple[RowProblem, ...] = ()
    interrupted: bool = False


Event = Progress | Measured


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question under one mix, and one about each choice, all by the keys of their answers."""

    key: str
    question: Question
    choices: Mapping[str, Question]

    @property
    def questions(self) -> dict[str, Question]:
        return {self.key: self.question, **self.choices}


@dataclass(frozen=True, slots=True)
class _Case:
    """One row under one policy: what is asked for each of its mixes."""

    row: EvalRow
    seed: int
    policy: Policy
    asked: tuple[_Asked, ...]


@dataclass(frozen=True, slots=True)
class _Routed:
    route: Route
    probabilities: Mapping[str, float]
    previous: Route | None


def evaluate(assistant: Assistant, plan: Plan, answers: Answers) -> Job[Event]:
    """Asks everything that the plan needs; the last event is `Measured`. What is cancelled keeps the answers it has.

    Raises `InputError` for a policy that these rows cannot have, and where no row could be answered.
    """
    check_plan(plan)
    return Job(lambda cancellation: _run(assistant, plan, answers, cancellation))


def check_plan(plan: Plan) -> None:
    """Raises `InputError` for a policy that the rows cannot have, before anything is asked."""
    for policy in plan.policies:
        without = [row.line for row in plan.rows if row.adapter is None]
        if policy.needs_adapter and without:
            raise InputError(
                f"policy '{policy.name}' needs rows that say whose they are, and {named_lines(without)} "
                f"{'does' if len(without) == 1 else 'do'} not. "
                'Add "adapter" to them, or leave the policy out.'
            )
        if policy.shots and not plan.shots:
            raise InputError(f"policy '{policy.name}' draws its examples from rows. Give them with --shots FILE.")
        for row in plan.each if policy.shots else ():
            plan.shots.before(row, policy.shots, seed=0)


def _run(
    assistant: Assistant, plan: Plan, answers: Answers, cancellation: Cancellation
) -> Generator[Event, None, None]:
    drawn = {seed: draw(plan.each, plan.limit, seed) for seed in range(plan.seeds)}
    rows = list({row.identity: row for of_seed in drawn.values() for row in of_seed}.values())
    routes, failed = dict[str, _Routed](), dict[str, str]()
    for index, row in enumerate(rows):
        yield Progress("routing", index, len(rows))
        if cancellation.requested:
            yield Measured(interrupted=True)
            return
        try:
            routes[row.identity] = _route(assistant, row, plan.options)
        except InputError as error:
            failed[row.identity] = str(error)
    yield Progress("routing", len(rows), len(rows))
    routable = {seed: [row for row in of_seed if row.identity in routes] for seed, of_seed in drawn.items()}
    cases = [
        _case(row, seed, policy, routes[row.identity], plan, answers)
        for policy in plan.policies
        for seed, of_seed in routable.items()
        for row in of_seed
    ]
    given, refused = yield from _ask_all(cases, answers, cancellation)
    if cancellation.requested:
        yield Measured(interrupted=True)
        return
    for case in cases:
        keys = (key for asked in case.asked for key in asked.questions)
        if reason := next((refused[key] for key in keys if key in refused), None):
            failed.setdefault(case.row.identity, f"policy {case.policy.name}: {reason}")
    outcomes = tuple(_outcome(case, plan, given) for case in cases if case.row.identity not in failed)
    problems = tuple(RowProblem(row.line, failed[row.identity]) for row in rows if row.identity in failed)
    if not outcomes:
        reason = f" Line {problems[0].line}: {problems[0].reason}" if problems else ""
        raise InputError(f"no row could be measured.{reason}")
    probabilities = {identity: routed.probabilities for identity, routed in routes.items()}
    yield Measured(outcomes, probabilities, problems)


def _route(assistant: Assistant, row: EvalRow, options: ChatOptions) -> _Routed:
    """The router's decision about a row, once for all policies; adapters that are switched off have no share of it."""
    previous = history_route(assistant, row.history, options) if row.history else None
    route = assistant.route(row.text, previous_route=previous)
    absent = set(route.probabilities) - {*assistant.adapters, BASE}
    return _Routed(route, moved_to_base(route.probabilities, absent), previous)


def _case(row: EvalRow, seed: int, policy: Policy, routed: _Routed, plan: Plan, answers: Answers) -> _Case:
    """The questions of one row under one policy."""
    history = tuple(message for message in row.history if message.role != "system")
    system = next((message.content for message in row.history if message.role == "system"), plan.options.system)
    options = plan.options.model_copy(update={"system": system, "seed": seed if plan.options.temperature else 0})
    if policy.shots:
        history = (*plan.shots.before(row, policy.shots, seed), *history)
    parts = tuple((part.text, part.mix) for part in routed.route.parts) if policy.in_parts else ()
    scores_choices = LIKELIHOOD.name in plan.reported[row.metric]
    asked = []
    for mix in policy.mixes(row, routed.probabilities):
        whole = Question(row.text, mix, options, history)
        choices = [replace(whole, choice=choice) for choice in row.choices] if scores_choices else []
        question = replace(whole, mix=None, parts=parts, previous=routed.previous) if parts else whole
        asked.append(_Asked(answers.key(question), question, {answers.key(choice): choice for choice in choices}))
    return _Case(row, seed, policy, tuple(asked))


def _ask_all(
    cases: Sequence[_Case], answers: Answers, cancellation: Cancellation
) -> Generator[Event, None, tuple[dict[str, Answer], dict[str, str]]]:
    """The answers to the questions of all cases, each asked once, and why there is none to some, by their keys."""
    questions = {key: one for case in cases for asked in case.asked for key, one in asked.questions.items()}
    given, refused = dict[str, Answer](), dict[str, str]()
    yield Progress("answering", 0, len(questions))
    for key, answer in answers.of_all(questions, cancellation):
        if isinstance(answer, Answer):
            given[key] = answer
        else:
            refused[key] = str(answer)
        yield Progress("answering", len(given) + len(refused), len(questions))
    return given, refused


def _outcome(case: _Case, plan: Plan, given: Mapping[str, Answer]) -> Outcome:
    """What the best of a case's answers measures."""
    row, found = case.row, list[Outcome]()
    for asked in case.asked:
        answer = given[asked.key]
        likelihoods = {one.choice or "": given[key].log_likelihood for key, one in asked.choices.items()}
        likeliest = most_likely(likelihoods) if likelihoods else ""
        measures = {
            name: METRICS[name].measure(likeliest if name == LIKELIHOOD.name else answer.text, row)
            for name in plan.reported[row.metric]
            if name == row.metric or not METRICS[name].misfit(row.answers)
        }
        value = METRICS[row.metric].value(measures[row.metric])
        adapters = len({name for mix in asked.question.mixes for name, _ in mix.weights})
        found.append(
            Outcome(
                row,
                case.seed,
                case.policy.name,
                likeliest if row.metric == LIKELIHOOD.name else answer.text,
                measures,
                value,
                adapters,
                answer.first_token,
                answer.seconds,
                answer.trimmed,
            )
        )
    best = max(found, key=lambda outcome: (outcome.value, *(_values(outcome.measures))))
    return replace(best, first_token=sum(one.first_token for one in found), seconds=sum(one.seconds for one in found))


def _values(measures: Mapping[str, Measures]) -> list[float]:
    """The scores of one row by each metric: of answers that are equally good by its own, the others decide."""
    return [METRICS[name].value(measured) for name, measured in measures.items()]
