"""Tokens for tests: each in a directory of its own, nothing of the machine's is touched."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from support import process

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
        return sorted(f for f in self.tokens.rglob("*.object") if f.name != "token.object")

    def move_away(self):
        """What pulling the token looks like to SoftHSM."""
        self.tokens.rename(self.directory / "tokens.away")

    def move_back(self):
        (self.directory / "tokens.away").rename(self.tokens)

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


SETUP = Path(__file__).resolve().parent / "token-setup"
NSS_OBJECT = "/usr/lib/x86_64-linux-gnu/libsoftokn3.so"


class Nss:
    """NSS's software token, which needs an init string: `module` is a p11-kit module file."""

    label, pin = "NSS Certificate DB", "nsspin12"
    uri = "pkcs11:token=NSS%20Certificate%20DB"
    env = {}

    def __init__(self):
        self.directory = _public_directory("oxv-nss-")
        database = self.directory / "db"
        database.mkdir(mode=0o700)
        self.pin_file = _private_file(self.directory / "pin", self.pin)
        subprocess.run(
            ["certutil", "-N", "-d", f"sql:{database}", "-f", self.pin_file],
            check=True, capture_output=True,
        )
        self.module = str(self.directory / "nss.module")
        Path(self.module).write_text(
            f"# as p11-kit's\nmodule: {NSS_OBJECT}\nx-init-reserved: configdir='sql:{database}' "
            "certPrefix='' keyPrefix='' secmod='secmod.db' flags=\ncritical: yes\n"
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)


class OpenCryptoki:
    """opencryptoki's software token, in mounts of its own: needs root. `wrapper` goes in there."""

    module = "/usr/lib/x86_64-linux-gnu/opencryptoki/libopencryptoki.so.0"
    label, pin, uri = "ocktok", "userpin1", "pkcs11:token=ocktok"
    # The part of it that does the work is unloaded before the leak check, which then cannot tell
    # its leaks from ours.
    env = {"ASAN_OPTIONS": "detect_leaks=0"}

    def __init__(self):
        script = SETUP / "opencryptoki.sh"
        self.process = subprocess.Popen(
            ["unshare", "-m", "-i", "bash", str(script), "echo it is up; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        said = []
        for line in self.process.stdout:
            said.append(line)
            if line.endswith("it is up\n"):
                break
        else:
            raise RuntimeError(f"opencryptoki does not start: {''.join(said)}")
        self.wrapper = ["nsenter", "-t", str(self.process.pid), "-m", "-i", "--"]

    def run(self, *command):
        """A command in there; what it printed."""
        done = subprocess.run([*self.wrapper, *command], check=True, capture_output=True, text=True)
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait(20)


TPM_CONF = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={bus}</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_pair_of_ports():
    """Below the ephemeral ports. Each process begins elsewhere, as several run at once."""
    begin = os.getpid() % 8_000
    for i in range(8_000):
        port = 12_000 + 2 * ((begin + i) % 8_000)
        if _is_free(port) and _is_free(port + 1):
            return port
    raise OSError("no two free ports side by side")


class Tpm:
    """
    A TPM in software with tpm2-pkcs11 before it. A resource manager is needed, and for that a bus.
    max_tries: failures until the TPM locks out; the counter falls by one in `recovery_s`.
    """

    module = "/usr/lib/x86_64-linux-gnu/libtpm2_pkcs11.so.1"
    label, pin, uri = "tpmtok", "tpmpin12", "pkcs11:token=tpmtok"

    def __init__(self, max_tries=32, recovery_s=100_000):
        self.directory = _public_directory("oxv-tpm-")
        for name in ("state", "store", "cfg"):
            (self.directory / name).mkdir(mode=0o700)
        self.port = _free_pair_of_ports()
        self.env = {
            "TPM2_PKCS11_STORE": str(self.directory / "store"),
            "TPM2_PKCS11_TCTI": "tabrmd:bus_type=session",
            "TPM2_PKCS11_LOG_LEVEL": "0",
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.directory}/bus",
        }
        self.tools = {
            **os.environ, **self.env, "TPM2TOOLS_TCTI": "tabrmd:bus_type=session",
            "HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory / "cfg"),
        }
        self.pin_file = _private_file(self.directory / "pin", self.pin)
        self.swtpm = self.abrmd = self.bus = None
        try:
            self._set_up(max_tries, recovery_s)
        except BaseException:
            self.__exit__()
            raise

    def _set_up(self, max_tries, recovery_s):
        state = self.directory / "state"
        for more in (["--create-config-files", "skip-if-exist"], ["--overwrite"]):
            subprocess.run(  # fails over the certificate of its key, which nobody needs
                ["swtpm_setup", "--tpm2", "--tpmstate", state, *more],
                env=self.tools, check=False, capture_output=True,
            )
        conf = self.directory / "bus.conf"
        conf.write_text(TPM_CONF.format(bus=self.directory / "bus"))
        self.bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={conf}", "--nofork"], env=self.tools,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        process.wait_until((self.directory / "bus").exists, what="the bus")
        self.start()
        self.tool("tpm2_dictionarylockout", "--setup-parameters", f"--max-tries={max_tries}",
                  f"--recovery-time={recovery_s}", "--lockout-recovery-time=1")
        store = ["--path", self.env["TPM2_PKCS11_STORE"]]
        self.tool("tpm2_ptool", "init", *store)
        self.tool("tpm2_ptool", "addtoken", "--pid", "1", "--sopin=sopin123",
                  f"--userpin={self.pin}", f"--label={self.label}", *store)

    def start(self):
        """swtpm and its resource manager."""
        self.swtpm = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.directory}/state",
             "--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1",
             "--ctrl", f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1",
             "--flags", "not-need-init,startup-clear"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )

        def is_up():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port + 1)) == 0

        process.wait_until(is_up, what="swtpm")
        root = ["--allow-root"] if os.geteuid() == 0 else []
        self.abrmd = subprocess.Popen(
            ["tpm2-abrmd", *root, "--session", "--tcti",
             f"swtpm:host=127.0.0.1,port={self.port}", "--flush-all"],
            env=self.tools, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        process.wait_until(
            lambda: subprocess.run(["tpm2_getrandom", "4"], env=self.tools, check=False,
                                   capture_output=True).returncode == 0,
            what="the resource manager",
        )

    def stop(self, orderly=True):
        """
        Both end; what was loaded is lost. A TPM that is not shut down in order counts that itself
        as a failure at its next start: so the way to it is cut first, whoever is using it.
        """
        self._end(self.abrmd)
        if orderly and self.swtpm is not None:
            direct = f"swtpm:host=127.0.0.1,port={self.port}"
            self.tool("tpm2_shutdown", "--clear", "--tcti", direct)
        self._end(self.swtpm)
        self.abrmd = self.swtpm = None

    @staticmethod
    def _end(child):
        if child is not None:
            child.kill()
            child.wait()

    def tool(self, *command):
        done = subprocess.run(list(map(str, command)), env=self.tools, check=False,
                              capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def import_hmac(self, key, label):
        """Puts a key of HMAC-SHA256 there, as the vendor's tool does; its CKA_ID."""
        file = self.directory / "key"
        _private_file(file, key.hex())
        file.write_bytes(key)
        store = ["--path", self.env["TPM2_PKCS11_STORE"]]
        self.tool("tpm2_ptool", "import", "--label", self.label, "--key-label", label,
                  "--userpin", self.pin, "--privkey", file, "--algorithm", "hmac:sha256", *store)
        file.unlink()
        listed = self.tool("tpm2_ptool", "listobjects", "--label", self.label, *store)
        for entry in listed.split("- CKA_CLASS:"):
            if f"CKA_LABEL: {label}\n" in entry:
                return bytes.fromhex(re.search(r"- '?([0-9a-f]+)'?", entry)[1])
        raise LookupError(listed)

    def objects(self):
        """How many objects the token has."""
        listed = self.tool("tpm2_ptool", "listobjects", "--label", self.label,
                           "--path", self.env["TPM2_PKCS11_STORE"])
        return listed.count("CKA_CLASS:")

    def lockout_counter(self):
        listed = self.tool("tpm2_getcap", "properties-variable")
        return int(re.search(r"TPM2_PT_LOCKOUT_COUNTER: (\w+)", listed)[1], 16)

    def hand_to(self, uid):
        """The store to that uid."""
        store = self.directory / "store"
        for path in [store, *store.rglob("*")]:
            os.chown(path, uid, -1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(orderly=False)
        if self.bus is not None:
            self.bus.kill()
            self.bus.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
