"""Tokens for tests: each in a directory of its own, nothing of the machine's is touched."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SOFTHSM_MODULE = "/usr/lib/softhsm/libsofthsm2.so"
SO_PIN = "12345678"


def _public_directory(prefix):
    path = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    path.chmod(0o755)
    return path


def _private_file(path, content):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    return path


class SoftHsm:
    """
    A SoftHSM token of its own.
      directory   everything lies below it
      conf        softhsm2.conf; env carries it (SOFTHSM2_CONF), for whoever starts a service
      pin_file    0600, no newline; pin is its text
      module      path of the module; uri the URI of the token, by its label
    mechanisms: SoftHSM's slots.mechanisms, which makes one module play many tokens.
    owner: the uid whose token it is (a helper under a role user), else the caller's.
    """

    def __init__(self, label="ci", pin="1234", *, mechanisms="ALL", reset_on_fork=False,
                 owner=None):
        self.label, self.pin, self.module = label, pin, SOFTHSM_MODULE
        self.directory = _public_directory("oxv-softhsm-")
        self.tokens = self.directory / "tokens"
        self.tokens.mkdir(mode=0o700)
        self.conf = self.directory / "softhsm2.conf"
        self.configure(mechanisms=mechanisms, reset_on_fork=reset_on_fork)
        self.env = {"SOFTHSM2_CONF": str(self.conf)}
        self.pin_file = _private_file(self.directory / "pin", pin)
        self.uri = f"pkcs11:token={label}"
        self.add_token(label, pin)
        if owner is not None:
            self.hand_to(owner)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def configure(self, *, mechanisms="ALL", reset_on_fork=False):
        """Writes softhsm2.conf anew; a module that runs already keeps the old one."""
        self.conf.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\n"
            f"log.level = ERROR\nslots.removable = false\nslots.mechanisms = {mechanisms}\n"
            f"library.reset_on_fork = {str(reset_on_fork).lower()}\n"
        )

    def add_token(self, label, pin):
        """One more token; the label may be there already."""
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", SO_PIN,
             "--pin", pin],
            env={**os.environ, **self.env}, check=True, capture_output=True,
        )

    def hand_to(self, uid):
        """The token's files to that uid. The PIN file stays: the supervisor opens it."""
        for path in [self.tokens, *self.tokens.rglob("*")]:
            os.chown(path, uid, -1)

    def objects(self):
        """The files of objects: one for each object of the token."""
        return sorted(self.tokens.rglob("*.object"))

    def move_away(self):
        """What pulling the token looks like to SoftHSM."""
        self.tokens.rename(self.directory / "tokens.away")

    def move_back(self):
        (self.directory / "tokens.away").rename(self.tokens)

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)
