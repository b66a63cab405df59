"""Registrations under way, kept between `register` and `confirm`: whoever has the poll token and the code gets the client."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from strongdm_auth.client.credentials import client_folder
from strongdm_auth.client.private_files import make_private_folder, read_private, write_private
from strongdm_auth.jose import Malformed, parse_object

from .failure import CommandError

_FILE = "enrollment.json"


@dataclass(frozen=True, slots=True)
class Pending:
    """What `confirm` needs to know."""

    enrollment_id: str
    issuer: str
    name: str
    #: None for an agent, which brings an enrollment token.
    poll_token: str | None = field(repr=False)

    def save(self) -> Path:
        """Keep it, readable by its owner alone."""
        folder = _folder(self.enrollment_id)
        make_private_folder(folder.parent)
        make_private_folder(folder)
        members = {name: getattr(self, name) for name in ("enrollment_id", "issuer", "name", "poll_token")}
        write_private(folder / _FILE, (json.dumps(members, indent=2) + "\n").encode())
        return folder / _FILE

    @classmethod
    def load(cls, enrollment_id: str | None) -> Pending:
        """The one with this id, or the only one there is."""
        if enrollment_id is None:
            known = [file.parent.name for file in _root().glob(f"*/{_FILE}")]
            if not known:
                raise CommandError("no registration is under way; begin with `strongdm-auth register`", status=2)
            if len(known) > 1:
                raise CommandError(f"several are under way; name one: {', '.join(sorted(known))}", status=2)
            enrollment_id = known[0]
        place = _folder(enrollment_id) / _FILE
        try:
            found = parse_object(read_private(place))
        except FileNotFoundError:
            raise CommandError(f"no registration {enrollment_id} is under way", status=2) from None
        except Malformed:
            found = {}
        texts = [text for name in ("enrollment_id", "issuer", "name") if isinstance(text := found.get(name), str)]
        if len(texts) < 3:
            raise CommandError(f"{place} is no registration; remove it and register again", status=2)
        poll_token = found.get("poll_token")
        return cls(texts[0], texts[1], texts[2], poll_token if isinstance(poll_token, str) else None)

    def remove(self) -> None:
        """It is done."""
        folder = _folder(self.enrollment_id)
        with suppress(OSError):
            (folder / _FILE).unlink()
            folder.rmdir()


def kept_folder() -> Path:
    """Where clients are kept, a folder each."""
    return Path.home() / ".config" / "strongdmid"


def _root() -> Path:
    return kept_folder() / "pending"


def _folder(enrollment_id: str) -> Path:
    """The issuer chose the id: it must be a plain name, and lead nowhere else."""
    try:
        return client_folder(enrollment_id, _root())
    except ValueError:
        raise CommandError("an enrollment id with characters that no file's name should have", status=2) from None
