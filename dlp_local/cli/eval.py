"""`dlp-local eval`: whether routing helps, on rows whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlp_local.cli import terminal
from dlp_local.cli.eval_screen import Screen, print_report
from dlp_local.cli.flags import JsonOption, PackOption, SystemOption
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import ExitCode, InputError
from dlp_local.core.settings import Settings, load_settings
from dlp_local.evaluation.metrics import METRICS
from dlp_local.evaluation.policies import DEFAULT, KINDS, ORACLE, parse_policies
from dlp_local.evaluation.row import EvalRow
from dlp_local.evaluation.rows import ROW_HELP, RowProblem, read_rows
from dlp_local.packs.default import pack_folder
from dlp_local.packs.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from dlp_local.assistant import Assistant
    from dlp_local.evaluation.report import Setting
    from dlp_local.evaluation.runner import Event, Measured, Plan

MAX_TOKENS = 512


def eval(
    rows: Annotated[str, typer.Argument(help=f"A file of rows, or - (stdin): {ROW_HELP}", metavar="ROWS.jsonl")],
    pack: PackOption = None,
    policies: Annotated[
        str | None,
        typer.Option(
            "--policies", help="What is compared, with commas between.", show_default=",".join(DEFAULT), metavar="NAMES"
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many rows, drawn evenly over the adapters.")
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="How often; each draws its own rows (--limit), shots and answers.")
    ] = 1,
    shots: Annotated[
        str | None, typer.Option("--shots", help="Rows that few-shot:K takes its examples from.", metavar="FILE")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the report, its pictures and every answer into this folder.", metavar="DIR"),
    ] = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--restart", help="Use the answers that --out has, or ask all anew.", show_default="resume"
        ),
    ] = None,
    plots: Annotated[
        bool | None,
        typer.Option(
            "--plots/--no-plots", help="Draw pictures into --out.", show_default="where matplotlib is installed"
        ),
    ] = None,
    likelihood: Annotated[
        bool,
        typer.Option("--likelihood", help="Score rows with choices by likelihood, too: a reply for each choice."),
    ] = False,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="The longest answer.")] = MAX_TOKENS,
    temperature: Annotated[float, typer.Option("--temperature", min=0, max=5, help="0 answers greedily.")] = 0.0,
    system: SystemOption = None,
    as_json: JsonOption = False,
    server: Annotated[str | None, typer.Option("--server", hidden=True)] = None,
) -> None:
    """Measure whether routing helps: rows whose answers are known, answered under several policies and compared.

    For example: dlp-local eval rows.jsonl --policies base,oracle,top1,top-p --out results
    """
    if server is not None:
        raise InputError(
            "--server: eval measures a pack on this machine, whose weights it knows. Leave it out; with engine.url in "
            "the settings llama-server or vLLM computes for such a pack."
        )
    if out is None and (resume is not None or plots):
        raise InputError("--resume, --restart and --plots are about the folder of --out. Name one.")
    settings = load_settings(pack=pack)
    from dlp_local.evaluation.plots import can_draw
    from dlp_local.evaluation.report import build_report
    from dlp_local.evaluation.results import open_folder, write_results
    from dlp_local.evaluation.runner import check_plan
    from dlp_local.opening import open_assistant

    if plots and not can_draw():
        raise InputError("--plots needs matplotlib, which is not installed. Install it: pip install 'dlp-local[eval]'.")
    manifest = read_manifest(pack_folder(settings.pack))
    own, problems = _read(rows, manifest)
    plan = _plan(settings, manifest, own, policies, shots, _options(temperature, max_tokens, system), limit, seeds)
    plan = replace(plan, likelihood=likelihood)
    check_plan(plan)
    answers = open_folder(out, restart=resume is False) if out is not None else None
    with open_assistant(settings.for_comparison()) as assistant:
        for notice in assistant.notices:
            terminal.print_warning(notice)
        measured = _measure(assistant, plan, manifest, answers)
        if measured.interrupted:
            if out is not None:
                terminal.print_warning(f"stopped. The answers so far are in {out}; the same command goes on from there")
            raise typer.Exit(ExitCode.INTERRUPTED)
        report = build_report(measured, plan, _setting(assistant), problems)
    draws = can_draw() if plots is None else plots
    files = write_results(out, report, measured.outcomes, plots=draws) if out is not None else []
    if as_json:
        terminal.write_json(report)
    else:
        print_report(report, out)
    if out is not None:
        terminal.print_note(f"in {out}: {', '.join(files)}")
        if plots is None and not draws:
            terminal.print_warning("no pictures: matplotlib is not installed (pip install 'dlp-local[eval]')")
    if report["problems"]:
        raise typer.Exit(ExitCode.FAILURE)


eval.__doc__ = "\n\n".join(
    [
        (eval.__doc__ or "").strip(),
        "\b\nPolicies:\n" + "\n".join(f"  {name}: {told}" for name, told in KINDS.items()),
        "\b\nMetrics of a row:\n" + "\n".join(f"  {name}: {metric.title}" for name, metric in METRICS.items()),
    ]
)


def _options(temperature: float, max_tokens: int, system: str | None) -> ChatOptions:
    """Those of every answer; greedy ones have no penalties, either."""
    greedy = {"repeat_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0} if not temperature else {}
    own = {"temperature": temperature, "max_tokens": max_tokens} | ({"system": system} if system is not None else {})
    return ChatOptions.checked(own | greedy)


def _read(source: str, manifest: Manifest) -> tuple[tuple[EvalRow, ...], tuple[RowProblem, ...]]:
    """The rows of a file, and the lines that are none; raises `InputError` where there is no row at all."""
    own, problems = read_rows(terminal.numbered_lines(source), tuple(manifest.enabled), _disabled(manifest))
    if not own:
        first = f" Line {problems[0].line}: {problems[0].reason}" if problems else ""
        raise InputError(f"{source}: holds no row that can be measured.{first}")
    return own, problems


def _disabled(manifest: Manifest) -> tuple[str, ...]:
    return tuple(name for name, adapter in manifest.adapters.items() if not adapter.enabled)


def _plan(
    settings: Settings,
    manifest: Manifest,
    rows: tuple[EvalRow, ...],
    policies: str | None,
    shots: str | None,
    options: ChatOptions,
    limit: int | None,
    seeds: int,
) -> Plan:
    from dlp_local.evaluation.runner import Plan
    from dlp_local.evaluation.shots import Shots

    if policies is None:
        has_adapters = all(row.adapter for row in rows)
        policies = ",".join(name for name in DEFAULT if has_adapters or name != ORACLE)
    parsed = parse_policies(policies, tuple(manifest.enabled), settings.routing, _disabled(manifest))
    if shots is not None and not any(policy.shots for policy in parsed):
        raise InputError("--shots: no policy draws examples from it. Add few-shot:5 to --policies, or leave it out.")
    examples: tuple[EvalRow, ...] = ()
    if shots is not None:
        examples, problems = _read(shots, manifest)
        if problems:
            raise InputError(f"--shots: {shots}, line {problems[0].line}: {problems[0].reason}")
    return Plan(rows, parsed, options, limit, seeds, Shots(examples))


def _setting(assistant: Assistant) -> Setting:
    from dlp_local.evaluation.report import Setting

    return Setting(assistant.name, assistant.concurrent_replies, remote=bool(assistant.settings.engine.url))


def _measure(assistant: Assistant, plan: Plan, manifest: Manifest, file: Path | None) -> Measured:
    """Runs the plan, shown on stderr; Ctrl+C ends it, with what was answered kept in the file."""
    from dlp_local.evaluation.answers import Answers
    from dlp_local.evaluation.runner import Measured, evaluate

    settings = assistant.settings
    context: dict[str, Any] = {
        "sampling": settings.sampling.model_dump(mode="json"),
        "system": settings.system,
        "context": assistant.context_size,
        "engine": settings.engine.url or "",
        "at_once": assistant.concurrent_replies,  # beside others an answer is not to the letter what it is alone
    }
    answers = Answers(assistant, manifest, file, context)
    last: Event = Measured(interrupted=True)
    job = evaluate(assistant, plan, answers)
    with Screen() as screen, terminal.stopped_by_ctrl_c(job, screen.note_stop):
        for last in job:
            if not isinstance(last, Measured):
                screen.show(last)
    assert isinstance(last, Measured)
    return last
