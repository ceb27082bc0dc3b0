"""An identity provider in a process of its own, whose keys are made on the spot."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from local_cluster.ports import free_port
from tests.support.keys import LOCKED
from tests.support.programs import ListeningProgram

AUDIENCE = "presence"
_MAKE: dict[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
_ALGORITHMS: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


class Keys:
    """The private keys of a provider, by their names."""

    def __init__(self) -> None:
        self._private: dict[str, tuple[str, Any]] = {}

    def add(self, kid: str, algorithm: str = "ES256") -> None:
        """Make a key."""
        self._private[kid] = (algorithm, _MAKE[algorithm]())

    def public(self, kid: str) -> Any:
        """Return the public part of a key."""
        return self._private[kid][1].public_key()

    def jwk(self, kid: str) -> dict[str, Any]:
        """Return the public part of a key as it stands in a key set (RFC 7517)."""
        algorithm, key = self._private[kid]
        found = json.loads(_ALGORITHMS[algorithm].to_jwk(key.public_key()))
        found.pop("key_ops", None)
        return {**found, "kid": kid, "use": "sig", "alg": algorithm}

    def sign(self, kid: str, headers: Any = None, **claims: Any) -> str:
        """Return a token signed with a key; a claim that is ``...`` is left out."""
        algorithm, key = self._private[kid]
        merged = {name: value for name, value in (self.claims() | claims).items() if value != ...}
        return jwt.encode(merged, key, algorithm, headers={"kid": kid, **(headers or {})})

    def claims(self) -> dict[str, Any]:
        """Return the claims of a good token."""
        return {
            "iss": "https://id.example.org",
            "aud": AUDIENCE,
            "sub": "ada",
            "rooms": ["studio", "team-*"],
            "exp": int(time.time()) + 600,
        }


class IdentityProvider(Keys):
    """A provider whose address tells its keys, or does as badly as it is told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        port = free_port()
        file = "tests/access/provider.py"
        self._program = ListeningProgram(file, port, [str(folder)], folder / "provider.log")
        self.url = f"http://127.0.0.1:{port}/keys"

    def start(self) -> IdentityProvider:
        """Start it and wait until it listens."""
        self._program.start()
        return self

    def kill(self) -> None:
        """End it at once."""
        self._program.kill()

    def tell(self, *kids: str, how: str = "well") -> None:
        """Tell these keys from now on, or do something else: see `provider.py`."""
        told = {"how": how, "keys": [self.jwk(kid) for kid in kids]}
        file = self._folder / "says.json"
        file.with_suffix(".new").write_text(json.dumps(told))
        file.with_suffix(".new").rename(file)

    def asked(self) -> list[float]:
        """Return when it was asked for its keys, on the monotonic clock."""
        file = self._folder / "asked"
        return [float(line) for line in file.read_text().split()] if file.exists() else []

    def settings(self, **changes: Any) -> dict[str, str]:
        """Return the settings of a server that takes its tokens."""
        table = {
            "issuer": "https://id.example.org",
            "audience": AUDIENCE,
            "keys_url": self.url,
            "rooms_claim": "rooms",
            "retry_seconds": 1,
            **changes,
        }
        file = self._folder / "issuers.toml"
        lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        file.write_text("\n".join(["[main]", *lines]) + "\n")
        return {**LOCKED, "PRESENCE_TOKEN_ISSUERS": str(file)}
