"""The manual pages and the completion against what the programs say of themselves."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent.parent
PAGES = ["man1/oxvault.1", "man8/oxvaultd.8"]
OPTION = re.compile(r"^(?:  (-\w), |      )--([a-z0-9-]+)", re.MULTILINE)


def run(*command, **options):
    return subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True, timeout=60,
        **options,
    )


def output(*command):
    done = run(*command)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def commands(build):
    """Every command: ["status", "seal add", ...]."""
    text = output(build.oxvault, "help").split("Commands:\n")[1].split("\n\n")[0]
    names = [line[2:36].strip() for line in text.splitlines()]
    return [re.match(r"[a-z]+(?: [a-z-]+(?![a-z|]))?", name).group().strip() for name in names]


def options(text, title):
    """{long name: short one or ""} below a title of a help text."""
    if f"{title}:\n" not in text:
        return {}
    part = text.split(f"{title}:\n")[1].split("\n\n")[0]
    return {name: short for short, name in OPTION.findall(part + "\n")}


def page(name):
    return (TOP / "docs/man" / name).read_text()


def items(text):
    """{command: {long name: short one or ""}}; the global options under ""."""
    found = {"": {}}
    command = ""
    for line in text.splitlines():
        if match := re.match(r"\.It Ic ([a-z]+(?: [a-z-]+)?)", line):
            command = match[1]
            found[command] = {}
        elif match := re.match(r"\.It (?:Fl (\w) , )?Fl -([a-z0-9-]+)", line):
            found[command][match[2]] = f"-{match[1]}" if match[1] else ""
    return found


@pytest.fixture(scope="module")
def manual():
    return items(page("oxvault.1"))


def test_every_command_has_its_place_in_the_manual_in_the_same_order(build, manual):
    assert [name for name in manual if name] == commands(build)


def test_every_option_of_every_command_is_in_the_manual_and_no_other(build, manual):
    for command in commands(build):
        assert manual[command] == options(output(build.oxvault, "help", *command.split()), "Options"), command
    assert manual[""] == options(output(build.oxvault, "help"), "Options of every command")


def test_the_manual_says_what_the_help_says(build):
    text = " ".join(page("oxvault.1").split()).replace("\\e", "\\")
    for command in commands(build):
        summary = re.search(r"^To (.*)\.$", output(build.oxvault, "help", *command.split()), re.MULTILINE)[1]
        assert f"{summary[0].upper()}{summary[1:]}." in text, command


def test_help_and_the_option_help_say_the_same(build):
    for command in commands(build):
        words = command.split()
        assert output(build.oxvault, "help", *words) == output(build.oxvault, *words, "--help")
    assert output(build.oxvault, "help") == output(build.oxvault, "--help")
    assert output(build.oxvault, "help", "connection") == output(build.oxvault, "connection", "-h")


def test_the_manual_names_every_exit_code(build):
    text = page("oxvault.1").split(".Sh EXIT STATUS")[1].split(".Sh")[0]
    assert re.findall(r"^\.It (\d)$", text, re.MULTILINE) == [str(n) for n in range(9)]


def test_the_manual_of_the_service_has_the_options_of_its_help(build):
    named = set(re.findall(r"^  (--[a-z0-9-]+)", output(build.oxvaultd, "--help"), re.MULTILINE))
    named |= {"--help", "--version"}
    assert {f"--{name}" for name in items(page("oxvaultd.8"))[""]} == named


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man")
@pytest.mark.parametrize("name", PAGES)
def test_the_pages_are_installed_and_render_without_a_warning(build, name):
    installed = build.prefix / "share/man" / name
    done = run("man", "-l", "--warnings", "-E", "UTF-8", "-P", "cat", installed,
               env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "EXIT STATUS" in done.stdout
    assert max(map(len, re.sub(".\b", "", done.stdout).splitlines())) <= 80


# Completion


def complete(build, *words):
    """What bash offers for the last of the words, as its readline would ask."""
    script = f"""
        source {build.prefix}/share/bash-completion/completions/oxvault
        compopt() {{ :; }}
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _oxvault
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = run("bash", "-c", script, "bash", build.oxvault, *words)
    assert done.stderr == "", done
    return [line for line in done.stdout.splitlines() if line]


def test_completion_offers_the_commands(build):
    firsts = dict.fromkeys(command.split()[0] for command in commands(build))
    assert [word for word in complete(build, "") if word[0] != "-"] == list(firsts)
    assert complete(build, "conn") == ["connection"]
    assert [word for word in complete(build, "connection", "") if word[0] != "-"] == [
        "add", "import", "move", "list", "show", "remove",
    ]


def test_completion_offers_the_options_of_the_command(build):
    for command in commands(build):
        text = output(build.oxvault, "help", *command.split())
        wanted = {**options(text, "Options"), **options(text, "Options of every command")}
        assert set(complete(build, *command.split(), "--")) == {f"--{name}" for name in wanted}, command
    assert complete(build, "--run", "/x", "log", "export", "--form") == ["--format"]
    assert complete(build, "sign", "acme", "GET", "--fo") == ["--form"]


def test_completion_offers_values(build, tmp_path):
    assert complete(build, "log", "export", "--format", "") == [
        "jsonl", "csv", "ocsf", "ecs", "cef", "leef", "rfc5424", "tiles",
    ]
    assert complete(build, "init", "--mechanism", "aes-k") == ["aes-kwp", "aes-kwp-wrap"]
    assert complete(build, "seal", "add", "--gcm-iv", "hsm") == ["hsm-writeback", "hsm-appended"]
    (tmp_path / "keyfile-of-mine").write_text("")
    assert complete(build, "init", "--keyfile", f"{tmp_path}/key") == [f"{tmp_path}/keyfile-of-mine"]


def test_bash_completion_finds_the_file_by_the_name_of_the_command(build):
    script = build.prefix / "share/bash-completion/completions/oxvault"
    assert output("bash", "-c", f"source {script}; complete -p oxvault") == "complete -F _oxvault oxvault\n"
