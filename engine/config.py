"""The settings of a run (TOML): every key of the contract, its default and its check. Unknown keys are an error."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.consent import PURPOSES
from engine.errors import BadInput
from engine.model import FORMATS, PRODUCTS
from engine.profile_tables import fault

# section -> key -> default; the type of the default is the type of the key. All keys are valid from the first
# version on, also those of products that are not built yet.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "time": {"bound_ms": 5000, "tick_ms": 1000},
    "flow": {"k": 5, "guard": 1},
    "headings": {"k": 5, "guard": 1},
    "zones": {"k": 5, "beside_gates": False},
    "touches": {"k": 5, "guard": 1},
    "screens": {"k": 5, "guard": 1},
    "profiles": {"k": 10, "guard": 1, "providers": 3, "tables": [], "key_file": "", "purpose": "policy"},
    "trips": {"k": 10, "guard": 1, "gap_s": 3600, "purpose": "policy"},
    "points": {"track_ms": 2000},
    "beams": {"pair_ms": 1500},
    "topics": {"people": "auto", "signage": "auto", "profiles": "auto"},
    "status": {"exact": False},
    "privacy": {"phase": "city_only"},
    "store": {"keep_days": 0, "keep_days_of": {}},
    "alerts": {"webhook": ""},
}
_LEAST = {
    "k": 1, "guard": 0, "bound_ms": 0, "tick_ms": 1, "providers": 1, "track_ms": 1, "pair_ms": 1, "keep_days": 0,
    "gap_s": 1,
}  # fmt: skip
_MOST = 1_000_000_000  # of every number: sums of two stay far inside the kernels' integers
_MOST_DAYS = 36_500  # a century: a row's end stays a time the store can hold
_WEBHOOK = re.compile(r"https?://[^/?#\s]+\S*")
_BARE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WORDS = {
    ("privacy", "phase"): ("city_only", "self_sustaining"),
    ("topics", "people"): FORMATS,
    ("topics", "signage"): FORMATS,
    ("topics", "profiles"): FORMATS,
    ("profiles", "purpose"): PURPOSES,
    ("trips", "purpose"): PURPOSES,
}


class Config:
    """Checked settings; ``config["flow", "k"]`` reads one.

    Raises BadInput, in one line with the name, for an unknown section or key, a section that is no table, a value of
    the wrong type or out of range.
    """

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        self._values = {section: dict(keys) for section, keys in DEFAULTS.items()}
        self._given = frozenset(given or {})
        for section, keys in (given or {}).items():
            if section not in DEFAULTS:
                what = f"section [{_shown(section)}]" if isinstance(keys, Mapping) else f"key {_shown(section)}"
                raise BadInput(f"config: unknown {what}; the sections are {', '.join(DEFAULTS)}")
            if not isinstance(keys, Mapping):
                raise BadInput(f"config: {section} must be a table: [{section}] and its settings below")
            for key, value in keys.items():
                if key not in DEFAULTS[section]:
                    known = ", ".join(DEFAULTS[section])
                    raise BadInput(f"config: unknown key {_shown(key)} in [{section}]; its keys are {known}")
                self._values[section][key] = _checked(section, key, value)

    @classmethod
    def load(cls, path: str | Path | None) -> Config:
        """Read a TOML file (None: the defaults). Raises BadInput when it cannot be read or parsed."""
        if path is None:
            return cls()
        try:
            given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise BadInput(f"config {path}: {error.strerror}") from None
        except (ValueError, RecursionError):  # also other encodings, numbers of 5,000 digits, brackets in brackets
            raise BadInput(f"config {path}: not a TOML file") from None
        return cls(given)

    def __getitem__(self, place: tuple[str, str]) -> Any:
        section, key = place
        return self._values[section][key]

    @property
    def threshold(self) -> int:
        """K = k + guard of the product flow."""
        return self.threshold_of("flow")

    def threshold_of(self, product: str) -> int:
        """K = k + guard of a product released by the carry: flow, headings."""
        return int(self[product, "k"]) + int(self[product, "guard"])

    def wire(self, topic: str) -> int:
        """What the messages of a topic may be: AUTO, JSON or ARROW."""
        return FORMATS.index(self["topics", topic])

    def keep_days(self) -> dict[str, int] | None:
        """Product → days its rows are kept (0: for ever); None where no [store] is given: nothing is to change."""
        if "store" not in self._given:
            return None
        days: dict[str, int] = {**dict.fromkeys(PRODUCTS, self["store", "keep_days"]), **self["store", "keep_days_of"]}
        return days

    def as_json(self) -> str:
        """Canonical JSON of all settings (sorted keys)."""
        return json.dumps(self._values, sort_keys=True, separators=(",", ":"))

    def without_secrets(self) -> str:
        """The same, fit to be stored and shown: the address of a webhook is a key to it."""
        values = {**self._values, "alerts": {**self._values["alerts"], "webhook": ""}}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    def hash(self) -> str:
        """SHA-256 over the settings that decide figures: not [status] (live counters), [store], [alerts], paths."""
        deciding = {s: v for s, v in self._values.items() if s not in ("status", "topics", "store", "alerts")}
        deciding["profiles"] = {key: value for key, value in deciding["profiles"].items() if key != "key_file"}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()

    def as_toml(self) -> str:
        """All settings as TOML text, ready to be saved and edited."""
        lines = []
        for section, keys in self._values.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {_toml(value)}" for key, value in keys.items()]
            lines.append("")
        return "\n".join(lines)


def _checked(section: str, key: str, value: Any) -> Any:
    default = DEFAULTS[section][key]
    if type(value) is not type(default):
        raise BadInput(f"config: {key} in [{section}] must be {type(default).__name__}")
    if key in _LEAST:
        most = _MOST_DAYS if key == "keep_days" else _MOST
        if not _LEAST[key] <= value <= most:
            bound = f"at least {_LEAST[key]}" if value < _LEAST[key] else f"at most {most}"
            raise BadInput(f"config: {key} in [{section}] must be {bound}")
    if isinstance(value, dict) and not all(
        name in PRODUCTS and type(days) is int and 0 <= days <= _MOST_DAYS for name, days in value.items()
    ):
        raise BadInput(
            f"config: {key} in [{section}] must name products ({', '.join(PRODUCTS)}) and 0 to {_MOST_DAYS} days"
        )
    if isinstance(value, list) and not all(isinstance(entry, str) for entry in value):
        raise BadInput(f"config: {key} in [{section}] must be a list of texts")
    if key == "tables" and (wrong := fault(value)) is not None:
        raise BadInput(f"config: tables in [profiles]: {wrong}")
    if key == "webhook" and value and not _WEBHOOK.fullmatch(value):
        raise BadInput(f"config: {key} in [{section}] must be an http or https URL, or empty")
    words = _WORDS.get((section, key))
    if words and value not in words:
        raise BadInput(f"config: {key} in [{section}] must be one of {', '.join(words)}")
    return value


def _shown(name: str) -> str:
    """A name as TOML writes it, in one line whatever it holds."""
    return name if _BARE.fullmatch(name) else json.dumps(name[:64])


def _toml(value: Any) -> str:
    """A value as TOML: JSON but for tables, surrogate pairs and DEL, which TOML wants otherwise."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(entry)}" for name, entry in value.items()) + " }" if value else "{}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
