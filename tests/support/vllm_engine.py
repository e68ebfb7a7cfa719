"""The engine over the vLLM of the tests."""

from contextlib import closing, contextmanager

from dlp_local.core import settings
from dlp_local.core.values import Mix
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.engine.remote.engine import RemoteEngine
from tests.support.engines import adapter_files

MIX = Mix.of({"sql": 0.75, "shell": 0.25})


@contextmanager
def engine_at(fake, bundled, tmp_path, **options):
    given = {"url": fake.url, "mix_folder": str(tmp_path / "mixes")} | options
    opened = RemoteEngine(
        "bundled", bundled / "backbone.gguf", adapter_files(bundled), settings.Engine(**given), 4, open_vocabulary
    )
    with closing(opened):
        yield opened
