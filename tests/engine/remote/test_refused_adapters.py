"""An adapter that a server refuses: it is told, and those that were open before go on answering."""

from contextlib import closing
from dataclasses import replace

import pytest

from dlp_local import open_assistant
from dlp_local.core import settings
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.settings import Settings
from dlp_local.core.values import Mix
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.engine.remote.engine import RemoteEngine
from dlp_local.packs.adapters import add_adapter
from tests.support import fake_llama_server
from tests.support.engines import adapter_files, ask
from tests.support.fake_llama_server import ANSWER
from tests.support.turns import finish

SQL = Mix.of({"sql": 1.0})


@pytest.fixture
def llama(bundled):
    with fake_llama_server.running(bundled / "backbone.gguf", adapter_files(bundled)) as running:
        yield running


@pytest.fixture
def on_llama(llama, bundled):
    options = settings.Engine(url=llama.url)
    made = RemoteEngine("p", bundled / "backbone.gguf", adapter_files(bundled), options, 4, open_vocabulary)
    with closing(made) as opened:
        yield opened


def other_sql(bundled):
    """Another adapter under the name of one that there is."""
    files = {file.name: file for file in adapter_files(bundled)}
    return replace(files["sql"], path=files["dates"].path)


def test_a_llama_server_that_refuses_another_adapter_of_a_name_answers_with_the_one_it_has(llama, on_llama, bundled):
    with pytest.raises(EngineError, match=r"the adapter sql there is another one(.|\n)*--lora .*sql-"):
        on_llama.add_adapter(other_sql(bundled))
    assert ask(on_llama, "hello", SQL)[0] == ANSWER
    assert llama.asked[-1]["sql"] == 1.0


def test_a_file_that_was_written_over_and_is_refused_leaves_what_is_loaded_in_use(llama, bundled, tmp_path):
    files = {file.name: file for file in adapter_files(bundled)}
    path = tmp_path / "sql.gguf"
    path.write_bytes(files["sql"].path.read_bytes())
    mine = replace(files["sql"], path=path)
    options = settings.Engine(url=llama.url)
    with closing(RemoteEngine("p", bundled / "backbone.gguf", [mine], options, 4, open_vocabulary)) as engine:
        ask(engine, "hello", SQL)
        path.write_bytes(files["dates"].path.read_bytes())
        with pytest.raises(EngineError, match="another one"):
            engine.add_adapter(mine)
        assert ask(engine, "hello", SQL)[0] == ANSWER


def test_a_new_name_that_a_llama_server_refuses_is_not_known_afterwards(on_llama, bundled):
    with pytest.raises(EngineError, match="the adapter extra is missing there"):
        on_llama.add_adapter(replace(other_sql(bundled), name="extra"))
    with pytest.raises(InputError, match="no adapter 'extra'"):
        ask(on_llama, "hello", Mix.of({"extra": 1.0}))


def test_an_assistant_whose_pack_gets_an_adapter_that_its_llama_server_refuses_goes_on(llama, pack_copy):
    with open_assistant(Settings(engine=settings.Engine(url=llama.url)), pack_copy) as assistant:
        add_adapter(pack_copy, pack_copy / "dates.gguf", "sql", replace=True)
        with pytest.raises(EngineError, match="the adapter sql there is another one"):
            assistant.refresh_if_changed()
        assert finish(assistant, "hello", mix=SQL).answer == ANSWER
        assert llama.asked[-1]["sql"] == 1.0


def test_a_vllm_that_refuses_an_adapter_answers_with_the_one_of_its_name_that_it_has(fake, engine, bundled):
    ask(engine, "hello", SQL)
    fake.max_rank = 8
    with pytest.raises(EngineError, match="takes no adapter of this rank"):
        engine.add_adapter(other_sql(bundled))
    assert ask(engine, "hello", SQL)[0] == "a fine answer"
    (before, after) = (body["model"] for body in fake.asked("/v1/completions"))
    assert before == after


def test_a_new_name_that_a_vllm_refuses_is_not_known_afterwards(fake, engine, bundled):
    fake.max_rank = 8
    with pytest.raises(EngineError, match="takes no adapter of this rank"):
        engine.add_adapter(replace(other_sql(bundled), name="extra"))
    with pytest.raises(InputError, match="no adapter 'extra'"):
        ask(engine, "hello", Mix.of({"extra": 1.0}))
