"""What registration gives, and where it is kept: `~/.config/strongdmid/<client_id>/client.json`, as StrongDM ID's own
instructions lay it out. One folder a client, 0700; the file 0600; refused when others could read it.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from strongdm_auth.jose import Malformed, parse_object

from .client_credentials import ClientCredentials
from .errors import UnsafeFile
from .keys import DPoPKey
from .network import Network
from .private_files import check_private_folder, make_private_folder, read_private, write_private

FILE = "client.json"
KEY_FILE = "dpop-key.json"
#: A client id is the name of a folder here, and it is the issuer that chooses it: nothing that leads elsewhere.
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,199}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A registered client. The secret is given once, and shows in no repr."""

    client_id: str
    client_secret: str = field(repr=False)
    issuer: str
    token_endpoint: str | None = None
    realm: str | None = None
    scopes: tuple[str, ...] = ()

    @classmethod
    def load(cls, client_id: str, *, folder: str | PathLike[str] | None = None) -> "Credentials":
        """Those that were saved for this client.

        Raises:
            UnsafeFile: others can read them, a link stands there, or they are no credentials.
            FileNotFoundError: there are none.
        """
        place = client_folder(client_id, folder)
        check_private_folder(place)
        return cls.load_file(place / FILE)

    @classmethod
    def load_file(cls, path: str | PathLike[str]) -> "Credentials":
        """Those in this file, wherever it is; it must be the owner's alone."""
        try:
            return cls.read(parse_object(read_private(Path(path))))
        except (Malformed, ValueError):
            # What was read is not repeated, nor what could not be: a secret is in it.
            raise UnsafeFile(f"{path} has no client_id, client_secret and issuer in it") from None

    @classmethod
    def read(cls, answer: dict[str, Any]) -> "Credentials":
        """From the issuer's answer, or the file. Raises ValueError where something is missing."""
        texts = {
            name: text
            for name in ("client_id", "client_secret", "issuer")
            if isinstance(text := answer.get(name), str) and text and text.isprintable()
        }
        if len(texts) < 3:
            raise ValueError("client_id, client_secret or issuer is missing")
        endpoint, realm, scopes = answer.get("token_endpoint"), answer.get("realm"), answer.get("granted_scopes")
        return cls(
            **texts,
            token_endpoint=endpoint if isinstance(endpoint, str) else None,
            realm=realm if isinstance(realm, str) else None,
            scopes=tuple(filter(lambda scope: isinstance(scope, str), scopes)) if isinstance(scopes, list) else (),
        )

    def save(self, *, folder: str | PathLike[str] | None = None) -> Path:
        """Keep them where `load` finds them; gives the file's path. What was kept for this client before is replaced."""
        place = client_folder(self.client_id, folder)
        make_private_folder(place)
        members = {"client_id": self.client_id, "client_secret": self.client_secret}
        members |= {"token_endpoint": self.token_endpoint} if self.token_endpoint else {}
        write_private(place / FILE, (json.dumps({**members, "issuer": self.issuer}, indent=2) + "\n").encode())
        return place / FILE

    def source(
        self,
        *,
        scopes: str | Iterable[str] | None = None,
        audience: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        key: DPoPKey | None = None,
        network: Network | None = None,
    ) -> ClientCredentials:
        """A source of tokens for this client."""
        return ClientCredentials(
            self.issuer,
            self.client_id,
            self.client_secret,
            scopes=scopes,
            audience=audience,
            resource=resource,
            key=key,
            network=network,
        )


def client_folder(client_id: str, folder: str | PathLike[str] | None = None) -> Path:
    """The folder of one client, below `folder` or `~/.config/strongdmid`. Raises ValueError for an id that leads elsewhere."""
    if not _CLIENT_ID.fullmatch(client_id):
        raise ValueError("a client_id with characters that no file's name should have")
    return (Path.home() / ".config" / "strongdmid" if folder is None else Path(folder)) / client_id
