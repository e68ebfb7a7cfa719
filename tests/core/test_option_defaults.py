"""What holds for an option that a conversation leaves alone, and who said so."""

from dlp_local.core.option_defaults import OptionDefault, option_defaults
from dlp_local.core.settings import Sampling, Settings


def test_an_option_that_nobody_sets_has_the_defaults_of_adapters_and_of_base():
    defaults = option_defaults(Settings())
    assert defaults["temperature"] == OptionDefault(0.0, 0.7, "default")
    assert defaults["system"] == OptionDefault("", "", "default")
    assert defaults["split"] == OptionDefault(True, True, "default")
    assert set(defaults) == {*Sampling.model_fields, "system", "split"}


def test_what_is_set_holds_for_both_and_says_who_set_it():
    defaults = option_defaults(Settings(sampling=Sampling(temperature=0.3, min_p=0.2), system="Be brief."), ["min_p"])
    assert defaults["temperature"] == OptionDefault(0.3, 0.3, "settings")
    assert defaults["min_p"] == OptionDefault(0.2, 0.2, "pack")
    assert defaults["system"].source == "settings"
