"""Settings: every key known, every value checked, saved text reads back."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import DEFAULTS, Config
from engine.errors import BadInput
from engine.model import PRODUCTS

CONTRACT = """
[time]
bound_ms = 5000
tick_ms = 1000
[flow]
k = 5
guard = 1
[headings]
k = 5
guard = 1
[zones]
k = 5
beside_gates = false
[touches]
k = 5
guard = 1
[screens]
k = 5
guard = 1
[profiles]
k = 10
guard = 1
providers = 3
tables = []
key_file = ""
purpose = "policy"
[trips]
k = 10
guard = 1
gap_s = 3600
purpose = "policy"
[points]
track_ms = 2000
[beams]
pair_ms = 1500
[topics]
people = "auto"
signage = "auto"
profiles = "auto"
[status]
exact = false
[privacy]
phase = "city_only"
[store]
keep_days = 0
keep_days_of = {}
[alerts]
webhook = ""
"""


def test_defaults_are_those_of_the_contract() -> None:
    assert tomllib.loads(CONTRACT) == {section: dict(keys) for section, keys in DEFAULTS.items()}
    assert Config().threshold == 6
    assert Config({"flow": {"k": 1, "guard": 0}}).threshold == 1


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "hitonami.toml"
    path.write_text("[flow]\nk = 7\n")
    config = Config.load(path)
    assert config["flow", "k"] == 7
    assert config["flow", "guard"] == 1
    assert config["time", "bound_ms"] == 5000


def test_no_file_is_the_defaults() -> None:
    assert Config.load(None).as_json() == Config().as_json()


FLOW_KEYS = "; its keys are k, guard"
SECTIONS = "; the sections are " + ", ".join(DEFAULTS)
KEPT = f"keep_days_of in [store] must name products ({', '.join(PRODUCTS)}) and 0 to 36500 days"
NO_TABLE = " must be a table: [flow] and its settings below"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[flows]\n", "unknown section [flows]" + SECTIONS),
        ("[Flow]\nk = 5\n", "unknown section [Flow]" + SECTIONS),
        ("k = 5\n", "unknown key k" + SECTIONS),
        ("[[k]]\n", "unknown key k" + SECTIONS),
        ('["a\\nb"]\n', 'unknown section ["a\\nb"]' + SECTIONS),
        ("[flow]\nK = 5\n", "unknown key K in [flow]" + FLOW_KEYS),
        ('[flow]\n"k\\n" = 5\n', 'unknown key "k\\n" in [flow]' + FLOW_KEYS),
        ('[flow]\n"" = 5\n', 'unknown key "" in [flow]' + FLOW_KEYS),
        ("[flow.gates]\nk = 5\n", "unknown key gates in [flow]" + FLOW_KEYS),
        ("[zones]\nguard = 1\n", "unknown key guard in [zones]; its keys are k, beside_gates"),
        ("[flow]\nk = 5\nwindow = '1m'\n", "unknown key window in [flow]" + FLOW_KEYS),
        ("flow = 5\n", "flow" + NO_TABLE),
        ("flow = 'k'\n", "flow" + NO_TABLE),
        ("flow = []\n", "flow" + NO_TABLE),
        ("flow = [5, 1]\n", "flow" + NO_TABLE),
        ("[[flow]]\nk = 5\n", "flow" + NO_TABLE),
        ("flow = 2026-01-01\n", "flow" + NO_TABLE),
        ("[alerts]\nwebhook = 'ftp://a/b'\n", "webhook in [alerts] must be an http or https URL, or empty"),
        ("[alerts]\nwebhook = 'https://'\n", "webhook in [alerts] must be an http or https URL, or empty"),
        ("[alerts]\nwebhook = 'https://a b'\n", "webhook in [alerts] must be an http or https URL, or empty"),
        ("[alerts]\nwebhook = 7\n", "webhook in [alerts] must be str"),
        ("[flow.k]\nk = 5\n", "k in [flow] must be int"),
        ("[[flow.k]]\n", "k in [flow] must be int"),
        ("flow.k = [5]\n", "k in [flow] must be int"),
        ("flow.k = true\n", "k in [flow] must be int"),
        ("flow.k = 5.0\n", "k in [flow] must be int"),
        ("flow.k = nan\n", "k in [flow] must be int"),
        ("flow.k = 2026-01-01\n", "k in [flow] must be int"),
        ("flow.k = 0\n", "k in [flow] must be at least 1"),
        ("flow.k = -5\n", "k in [flow] must be at least 1"),
        ("flow.guard = -1\n", "guard in [flow] must be at least 0"),
        ("flow.guard = 1_000_000_001\n", "guard in [flow] must be at most 1000000000"),
        ("flow.k = 9_223_372_036_854_775_808\n", "k in [flow] must be at most 1000000000"),
        ("profiles.tables = [['age']]\n", "tables in [profiles] must be a list of texts"),
        ("profiles.tables = [2026-01-01]\n", "tables in [profiles] must be a list of texts"),
        ("profiles.tables = {age = 1}\n", "tables in [profiles] must be list"),
        ("store.keep_days = -1\n", "keep_days in [store] must be at least 0"),
        ("store.keep_days = 36501\n", "keep_days in [store] must be at most 36500"),
        ("store.keep_days_of = 5\n", "keep_days_of in [store] must be dict"),
        ("store.keep_days_of.flows = 5\n", KEPT),
        ("store.keep_days_of.flow = true\n", KEPT),
        ("store.keep_days_of.flow = -1\n", KEPT),
    ],
)
def test_a_wrong_file_is_bad_input_in_one_line_with_the_name(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(BadInput) as raised:
        Config.load(path)
    assert str(raised.value) == f"config: {fault}"
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 3


@pytest.mark.parametrize(
    ("section", "key", "value", "why"),
    [
        ("flow", "k", "5", "must be int"),
        ("flow", "k", 5.0, "must be int"),
        ("flow", "k", True, "must be int"),
        ("flow", "k", None, "must be int"),
        ("flow", "k", 0, "at least 1"),
        ("flow", "k", -5, "at least 1"),
        ("flow", "guard", -1, "at least 0"),
        ("time", "bound_ms", -1, "at least 0"),
        ("time", "tick_ms", 0, "at least 1"),
        ("profiles", "providers", 0, "at least 1"),
        ("profiles", "tables", "age", "must be list"),
        ("profiles", "key_file", 1, "must be str"),
        ("points", "track_ms", 0, "at least 1"),
        ("beams", "pair_ms", 0, "at least 1"),
        ("zones", "beside_gates", 1, "must be bool"),
        ("status", "exact", "yes", "must be bool"),
        ("topics", "people", "xml", "one of auto, json, arrow"),
        ("privacy", "phase", "open", "one of city_only, self_sustaining"),
    ],
)
def test_a_value_that_cannot_be_names_its_place(section: str, key: str, value: object, why: str) -> None:
    with pytest.raises(BadInput) as raised:
        Config({section: {key: value}})
    assert str(raised.value) == f"config: {key} in [{section}] must be {why.removeprefix('must be ')}"
    assert raised.value.exit_code == 3


@pytest.mark.parametrize(
    "text",
    [
        "[flow",
        "k: 5",
        "[flow]\nk = 5\nk = 6\n",
        "flow = 5\n[flow]\n",
        "\x00",
        "k = " + "9" * 5_000,
        "k = " + "[" * 9_999,
    ],
    ids=["open", "colon", "twice", "both", "nul", "digits", "brackets"],
)
def test_what_is_not_toml_is_bad_input(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match="not a TOML file"):
        Config.load(path)


def test_a_file_in_another_encoding_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b'[profiles]\nkey_file = "\xff"\n')
    with pytest.raises(BadInput, match="not a TOML file"):
        Config.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.toml"):
        Config.load(tmp_path / "absent.toml")


def _settings() -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    words = {"people": ("auto", "json", "arrow"), "phase": ("city_only", "self_sustaining")}
    words["signage"] = words["profiles"] = words["people"]
    words["purpose"] = ("disaster_support", "policy")

    def value(key: str, default: object) -> st.SearchStrategy[Any]:
        if isinstance(default, bool):
            return st.booleans()
        if isinstance(default, int):
            return st.integers(1, 36_500 if key == "keep_days" else 10**9)
        if isinstance(default, dict):
            return st.dictionaries(st.sampled_from(list(PRODUCTS)), st.integers(0, 36_500))
        if isinstance(default, list):
            return st.lists(st.sampled_from(["gender", "gender*birth_year", "interests"]), unique=True)
        if key == "webhook":
            return st.sampled_from(["", "https://user:p%20w@a.example:8443/x?y=1#é"])
        if key in words:
            return st.sampled_from(words[key])
        return st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x7f"), max_size=20)

    return st.fixed_dictionaries(
        {},
        optional={
            section: st.fixed_dictionaries({}, optional={key: value(key, d) for key, d in keys.items()})
            for section, keys in DEFAULTS.items()
        },
    )


@given(_settings())
def test_what_is_saved_as_toml_reads_back(given_: dict[str, dict[str, Any]]) -> None:
    config = Config(given_)
    again = Config(tomllib.loads(config.as_toml()))
    assert again.as_json() == config.as_json()
    assert again.hash() == config.hash()


def test_the_hash_tells_settings_apart_that_change_figures() -> None:
    plain = Config().hash()
    assert Config({"flow": {"k": 6}}).hash() != plain
    assert Config({"time": {"bound_ms": 4999}}).hash() != plain
    assert Config({"zones": {"beside_gates": True}}).hash() != plain
    assert Config({"status": {"exact": True}}).hash() == plain  # changes live counters only
    assert Config({"store": {"keep_days": 9, "keep_days_of": {"flow": 1}}}).hash() == plain  # what is kept, not made
    assert Config({"alerts": {"webhook": "https://a/b"}}).hash() == plain  # who is called
    assert json.loads(Config().as_json()) == json.loads(Config({"flow": {"k": 5}}).as_json())


def test_the_address_of_a_webhook_is_not_stored() -> None:
    config = Config({"alerts": {"webhook": "https://user:word@a/secret"}, "flow": {"k": 9}})
    assert config["alerts", "webhook"] == "https://user:word@a/secret"
    assert Config(json.loads(config.as_json()))["alerts", "webhook"] == "https://user:word@a/secret"
    assert json.loads(config.without_secrets()) == json.loads(Config({"flow": {"k": 9}}).as_json())


def test_how_long_rows_are_kept() -> None:
    assert Config().keep_days() is None
    assert Config({"store": {}}).keep_days() == dict.fromkeys(PRODUCTS, 0)
    kept = Config({"store": {"keep_days": 400, "keep_days_of": {"flow": 800, "rejects": 0}}}).keep_days()
    assert kept == dict.fromkeys(PRODUCTS, 400) | {"flow": 800, "rejects": 0}


def test_one_config_does_not_change_another() -> None:
    Config({"flow": {"k": 9}})
    assert Config()["flow", "k"] == 5
    assert DEFAULTS["flow"]["k"] == 5
