"""Trains the adapters of a pack, on the dequantized weights of the GGUF that they run on, as `adapters train` does.

    python -m tools.train_adapters PACK --data DATA --backbone MODEL.gguf [--start WEIGHTS] [ADAPTER …]

One after the other, each into a PEFT folder `OUT/NAME`; those that are there are not trained again, and one that was
cut goes on where it was. What each learns stands in the pack's `AdapterSet`. `--start` holds PEFT folders by adapter to
go on from, and `--rows` bounds what is learnt, where there is no GPU.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from dlp_local.core.values import Message
from dlp_local.formats.peft.convert import convert_lora
from dlp_local.training.adapter.batches import Example
from dlp_local.training.adapter.encoding import RowEncoder, open_row_encoder
from dlp_local.training.adapter.rows import TrainingRow, split_rows
from tools.adapter_runs import AdapterRuns, Rows
from tools.adapter_set import AdapterSet
from tools.recipes import RECIPES

LONGEST = 512
"""Tokens of a row, with what stands before it."""

WEIGHTS_FILE = "adapter_model.safetensors"


def train(
    adapters: AdapterSet,
    data: Path,
    backbone: Path,
    out: Path,
    names: Sequence[str] = (),
    *,
    start: Path | None = None,
    most_rows: int | None = None,
) -> None:
    """Trains adapters, or all of them, each into a PEFT folder `out/NAME` unless it is there.

    Raises `InputError` for a `start` that is none of the backbone's, or has a larger rank than is trained.
    """
    runs = AdapterRuns(backbone, out / ".runs")
    missing = [name for name in names or adapters.plans if not (out / name / WEIGHTS_FILE).exists()]
    with open_row_encoder(backbone, "", "turn", "", LONGEST) as encoder:
        for name in missing:
            print(f"  {name}", file=sys.stderr, flush=True)
            plan = adapters.plans[name]
            count = min(plan.rows, most_rows or plan.rows)
            rows = encoded(encoder, adapters, data, name, count)
            with _as_gguf(start / name if start else None, backbone, out / ".runs") as begun:
                run = runs.run({name: rows}, replace(plan.choices, start=begun).for_rows(count), encoder)
            aside = out / ".runs" / name  # a copy that was cut off would pass for one that is there
            shutil.copytree(run.folders[name], aside, dirs_exist_ok=True)
            aside.rename(out / name)


def encoded(encoder: RowEncoder, adapters: AdapterSet, data: Path, name: str, count: int) -> Rows:
    """The first rows of a task in tokens, each after its history where both have room; some are held out."""
    histories = adapters.histories(data)
    drawn = islice(adapters.rows(data, name, 0), count)
    rows = [TrainingRow((*next(histories), Message("user", row.message)), row.answer) for row in drawn]
    split = split_rows(rows)
    return Rows(_encoded(encoder, split.train), _encoded(encoder, split.held_out))


def _encoded(encoder: RowEncoder, rows: Sequence[TrainingRow]) -> list[Example]:
    found = []
    for row in rows:
        alone = replace(row, messages=row.messages[-1:])
        found += [example for one in (row, alone) if encoder.fits(example := encoder.encode(one))][:1]
    return found


@contextmanager
def _as_gguf(folder: Path | None, backbone: Path, beside: Path) -> Iterator[Path | None]:
    """A PEFT folder as the GGUF adapter that a training begins with; None where there is no such folder."""
    if folder is None or not folder.is_dir():
        yield None
        return
    beside.mkdir(parents=True, exist_ok=True)
    file = beside / f"start-{folder.name}.gguf"
    convert_lora(folder, backbone, file)
    yield file
    file.unlink()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", choices=sorted(RECIPES))
    parser.add_argument("adapters", nargs="*", metavar="ADAPTER", help="these alone; none: all of them")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--backbone", type=Path, required=True, help="the GGUF that the adapters will run on")
    parser.add_argument("--out", type=Path, help="else build/PACK/adapters")
    parser.add_argument("--start", type=Path, help="folder of PEFT folders to go on from, by adapter")
    parser.add_argument("--rows", type=int, help="of each adapter, at most")
    args = parser.parse_args()
    adapters = RECIPES[args.pack].adapter_set
    if unknown := set(args.adapters) - set(adapters.plans):
        parser.error(f"no such adapter: {', '.join(sorted(unknown))}; there are {', '.join(adapters.plans)}")
    out = args.out or Path("build") / args.pack / "adapters"
    train(adapters, args.data, args.backbone, out, args.adapters, start=args.start, most_rows=args.rows)


if __name__ == "__main__":
    main()
