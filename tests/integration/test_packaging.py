"""The systemd units and the users, as they are installed."""

import re
import shutil
import subprocess

import pytest

UNITS = ["oxvaultd.service", "oxvault-sign.socket", "oxvault-admin.socket", "oxvault-audit.socket"]
NEEDED_CALLS = {
    "memfd_secret", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
    "seccomp",
}

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze"
)


@pytest.fixture
def units(build):
    return build.prefix / "lib/systemd/system"


def settings(path):
    """{key: [values]} of a unit, sections put together."""
    found = {}
    for line in path.read_text().splitlines():
        if line and line[0] not in "#[":
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


def run(*command):
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_unit_starts_the_program_that_was_installed_with_it(build, units):
    command = settings(units / "oxvaultd.service")["ExecStart"][0].split()
    assert command[0].endswith("/sbin/oxvaultd")
    assert command[1:] == ["--dir", "/var/lib/oxvault", "--run", "/run/oxvault"]


def test_systemd_analyze_verify_finds_nothing(build, units, tmp_path):
    for unit in UNITS:
        text = (units / unit).read_text()
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={build.oxvaultd}", text, flags=re.MULTILINE)
        (tmp_path / unit).write_text(text)
    done = run("systemd-analyze", "verify", "--man=no", *(tmp_path / unit for unit in UNITS))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_analyze_security_rates_the_service_below_2(units):
    done = run(
        "systemd-analyze", "security", "--offline=true", "--no-pager", units / "oxvaultd.service"
    )
    exposure = re.search(r"Overall exposure level for oxvaultd.service: ([0-9.]+)", done.stdout)
    assert exposure, done.stdout + done.stderr
    assert float(exposure.group(1)) < 2.0, done.stdout


@pytest.fixture
def drop_ins(build):
    return build.prefix / "share/doc/oxvault/tokens"


@pytest.mark.parametrize("name", ["network", "opencryptoki", "softhsm", "tpm", "usb"])
def test_what_a_token_needs_leaves_the_service_shut_in(build, units, drop_ins, tmp_path, name):
    for unit in UNITS:
        text = (units / unit).read_text()
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={build.oxvaultd}", text, flags=re.MULTILINE)
        (tmp_path / unit).write_text(text)
    (tmp_path / "oxvaultd.service.d").mkdir()
    shutil.copy(drop_ins / f"{name}.conf", tmp_path / "oxvaultd.service.d")
    done = run("systemd-analyze", "verify", "--man=no", *(tmp_path / unit for unit in UNITS))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    added = settings(drop_ins / f"{name}.conf")
    # all of what it widens is for the token: no other process of the service opens a device or socket
    assert added.keys() <= {
        "After", "Environment", "ReadWritePaths", "PrivateDevices", "DeviceAllow", "PrivateNetwork",
        "RestrictAddressFamilies", "IPAddressAllow", "PrivateIPC",
    }
    assert not {"AF_PACKET", "any"} & set(" ".join(sum(added.values(), [])).split())


def test_every_drop_in_is_tested(drop_ins):
    found = {path.stem for path in drop_ins.iterdir()}
    assert found == {"network", "opencryptoki", "softhsm", "tpm", "usb"}


def test_a_token_that_is_away_is_waited_for_and_a_wrong_pin_is_not_tried_again(units):
    found = settings(units / "oxvaultd.service")
    never_again = set(found["RestartPreventExitStatus"][0].split())
    assert "4" in never_again
    assert "7" not in never_again
    # systemd gives up after 5 starts in 10 s
    assert float(found["RestartSec"][0]) * 4 > 10


def test_nothing_in_the_unit_erases_the_identity_of_callers(units):
    found = settings(units / "oxvaultd.service")
    for key in ("PrivateUsers", "DynamicUser", "User"):
        assert key not in found
    assert found["Type"] == ["notify"]
    # by name, not by path: without such a file the service starts all the same
    assert found["LoadCredential"][0].startswith("passphrase:/")
    assert found["LoadCredential"][1:] == ["pin:oxvault.pin"]


def test_the_units_filter_lets_the_processes_lock_themselves_in(units):
    words = " ".join(settings(units / "oxvaultd.service")["SystemCallFilter"]).split()
    assert NEEDED_CALLS <= set(words)


@pytest.mark.parametrize(
    ("door", "mode", "group"),
    [("sign", "0666", None), ("admin", "0660", "oxvault-admin"), ("audit", "0660", "oxvault-audit")],
)
def test_each_door_has_a_socket_unit_with_its_name_mode_and_group(units, door, mode, group):
    found = settings(units / f"oxvault-{door}.socket")
    assert found["ListenStream"] == [f"/run/oxvault/{door}.sock"]
    assert found["FileDescriptorName"] == [door]
    assert found["SocketMode"] == [mode]
    assert found.get("SocketGroup") == ([group] if group else None)
    assert found["Service"] == ["oxvaultd.service"]


def test_sysusers_makes_three_users_and_two_groups(build, tmp_path):
    rules = build.prefix / "lib/sysusers.d/oxvault.conf"
    (tmp_path / "etc").mkdir()
    done = run("systemd-sysusers", f"--root={tmp_path}", rules)
    assert done.returncode == 0, done.stderr
    users = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()]
    assert sorted(u[0] for u in users) == ["oxvault", "oxvault-fe", "oxvault-token"]
    assert len({u[2] for u in users}) == 3
    groups = {line.split(":")[0] for line in (tmp_path / "etc/group").read_text().splitlines()}
    assert {"oxvault-admin", "oxvault-audit"} <= groups


def test_the_programs_that_hold_keys_cannot_be_read_by_others(build):
    for name in ("oxvault-keeper", "oxvault-frontend", "oxvault-token"):
        assert (build.libexec / name).stat().st_mode & 0o7777 == 0o711
    assert build.oxvaultd.stat().st_mode & 0o7777 == 0o755
