"""A service whose vault a token seals, or whose connections sign in one."""

import secrets as random_secrets
import subprocess
from pathlib import Path

from support.service import Service, private_file, public_directory

SUPPORT = Path(__file__).resolve().parent


class TokenService(Service):
    """
    token: a SoftHsm of tests/support/tokens.py, or what looks like one.
    seal: "token" (then the PIN is all it is started with), or "keyfile" and "passphrase" as ever.
    """

    def __init__(self, build, token, *, seal="token", module=None, pin_file=None, **options):
        options["environment"] = {**token.env, **options.get("environment", {})}
        super().__init__(build, seal=seal, **options)
        self.token = token
        self.module = module or token.module
        self.pin_file = pin_file or token.pin_file
        if seal != "token":
            self.options += ["--pin-file", f"{token.label}={self.pin_file}"]

    def init(self, *more):
        if self.seal != "token":
            return super().init(*more)
        return self.oxvault(
            "init", "--dir", self.dir, "--seal", self.token.uri, "--module", self.module,
            "--pin-file", self.pin_file, "--generate", *self.users, *more,
            environment=self.environment,
        ).stdout

    def add_token_connection(self, name, credentials, *more):
        """connection add --in-token, as the issue writes it."""
        file = private_file(
            self.base / f"secrets-{random_secrets.token_hex(6)}.json",
            '{"consumer_secret":"%s","token_secret":"%s"}'
            % (credentials.consumer_secret, credentials.token_secret),
        )
        words = ["--in-token", self.token.uri]
        if self.seal != "token":  # nothing else tells the service which module it is
            words += ["--module", self.module]
        try:
            return self.oxvault(
                "connection", "add", name, "--system", "netsuite",
                "--account-id", credentials.account, "--consumer-key", credentials.consumer_key,
                "--token-id", credentials.token, "--secrets-file", file, *words, *more,
            )
        finally:
            file.unlink()

    @property
    def tokens(self):
        return self.oxvault_json("token", "list")["tokens"]

    @property
    def helper_pids(self):
        return self.pids("token")

    def _secret_option(self):
        return ["--pin-file", self.pin_file] if self.seal == "token" else super()._secret_option()


class LoginCounter:
    """SoftHSM behind a module that counts C_Login."""

    def __init__(self):
        self.directory = public_directory("oxv-login-counter-")
        self.file = self.directory / "logins"
        self.module = self.directory / "login_counter.so"
        flags = subprocess.run(
            ["pkg-config", "--cflags", "p11-kit-1"], check=True, capture_output=True, text=True
        ).stdout.split()
        subprocess.run(
            ["cc", "-std=c17", "-D_GNU_SOURCE", "-shared", "-fPIC", *flags,
             f'-DOXV_LOGIN_COUNTER_FILE="{self.file}"', "-o", self.module,
             SUPPORT / "login_counter.c"],
            check=True,
        )

    @property
    def count(self):
        return len(self.file.read_bytes()) if self.file.exists() else 0
