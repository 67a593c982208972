"""`~/.config/penstock/config.yaml`: which servers there are, and under which profiles.

```yaml
profile: alice                       # what `--profile` is by default
server: broker.example.com:443      # for every profile that has none of its own
profiles:
  alice: {}
  nightly: {server: other.example.com:443, ca: other-ca.pem, token_file: /run/secrets/token}
```

Unknown and duplicate keys are errors. Relative paths are relative to the file. Every value is text: `no` is a name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

from penstock.errors import InvalidRequest, invalid

_PATHS = frozenset({"ca", "token_file", "client_certificate", "client_key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSettings:
    """What a profile says; None where it says nothing."""

    server: str | None = None
    ca: Path | None = None
    token_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFile:
    """The whole file; empty where there is none. `shared` holds for every profile that says nothing else."""

    profile: str | None = None
    shared: ProfileSettings = field(default_factory=ProfileSettings)
    profiles: Mapping[str, ProfileSettings] = field(default_factory=dict)

    def settings(self, profile: str) -> ProfileSettings:
        """Give what holds for a profile.

        Its own server brings its own files: what is shared belongs to the shared server.
        """
        own = self.profiles.get(profile, ProfileSettings())
        if own.server is not None:
            return own
        merged = {each.name: getattr(own, each.name) or getattr(self.shared, each.name) for each in fields(own)}
        return ProfileSettings(**merged)


def path(environment: Mapping[str, str]) -> Path:
    """Give where the file is: `$XDG_CONFIG_HOME/penstock/config.yaml`, by default under `~/.config`."""
    base = environment.get("XDG_CONFIG_HOME", "")
    # The XDG specification has relative paths ignored.
    root = Path(base) if os.path.isabs(base) else Path.home() / ".config"
    return root / "penstock" / "config.yaml"


def read(file: Path) -> ConfigurationFile:
    """Read the file; a missing one says nothing.

    Raises:
        InvalidRequest: it cannot be read, or holds what it must not; names file and line.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ConfigurationFile()
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(str(file), "cannot be read as UTF-8 text") from error
    return _Reader(file).configuration(text)


def remember(file: Path, profile: str, server: str) -> bool:
    """Note the server of a profile, for commands that name none. Tells whether the file says so now.

    A file that somebody has written by hand is never rewritten: comments and order would be lost.
    """
    known = read(file)
    if known.settings(profile).server == server:
        return True
    text = file.read_text(encoding="utf-8") if file.exists() else None
    if text is not None and text != _printed(known):
        return False
    profiles = {**known.profiles, profile: ProfileSettings(server=server)}
    changed = ConfigurationFile(profile=known.profile, shared=known.shared, profiles=profiles)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_suffix(".yaml.new")
    draft.write_text(_printed(changed), encoding="utf-8")
    draft.replace(file)
    return True


def _printed(configuration: ConfigurationFile) -> str:
    content: dict[str, object] = {}
    if configuration.profile is not None:
        content["profile"] = configuration.profile
    content |= _members(configuration.shared)
    content["profiles"] = {name: _members(each) for name, each in sorted(configuration.profiles.items())}
    return "# Written by `penstock login`.\n" + yaml.safe_dump(content, sort_keys=False)


def _members(settings: ProfileSettings) -> dict[str, object]:
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    return {name: str(value) for name, value in values.items() if value is not None}


class _Reader:
    """Walks the nodes of one file, so that each problem has its line."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def configuration(self, text: str) -> ConfigurationFile:
        try:
            root = yaml.compose(text, Loader=yaml.BaseLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise self._problem(mark.line if mark else 0, "is no YAML") from error
        if root is None:
            return ConfigurationFile()
        members = self._mapping(root, {"profile", "profiles", *_names()})
        profile = members.pop("profile", None)
        profiles = members.pop("profiles", None)
        named = {} if profiles is None else self._mapping(profiles, None)
        return ConfigurationFile(
            profile=None if profile is None else self._text(profile),
            shared=self._settings(members),
            profiles={name: self._settings(self._mapping(node, _names())) for name, node in named.items()},
        )

    def _settings(self, members: Mapping[str, yaml.Node]) -> ProfileSettings:
        texts = {name: self._text(node) for name, node in members.items()}
        paths = {name: self._file.parent / text for name, text in texts.items() if name in _PATHS}
        return ProfileSettings(server=texts.get("server"), **paths)

    def _mapping(self, node: yaml.Node, known: set[str] | None) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self._problem(node.start_mark.line, "must be a mapping of keys to values")
        members: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._text(key)
            if name in members:
                raise self._problem(key.start_mark.line, f"has the key `{name}` twice")
            if known is not None and name not in known:
                keys = ", ".join(f"`{each}`" for each in sorted(known))
                raise self._problem(key.start_mark.line, f"has the unknown key `{name}`; known are {keys}")
            members[name] = value
        return members

    def _text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            raise self._problem(node.start_mark.line, "needs a text here")
        return str(node.value)

    def _problem(self, line: int, rule: str) -> InvalidRequest:
        return invalid(f"{self._file}:{line + 1}", rule)


def _names() -> set[str]:
    return {each.name for each in fields(ProfileSettings)}
