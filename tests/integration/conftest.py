"""Fixtures: whole services. OXV_PREFIX and OXV_HOOKS_PREFIX select the installed trees."""

import os
import re
import resource
import shutil
import signal
import stat
from pathlib import Path

import pytest
from support.backends import Backends
from support.service import Build, public_directory

# A process that a sanitizer ended is replaced: only its last words tell.
SANITIZER = re.compile(r"Sanitizer|runtime error:")
TOP = Path(__file__).resolve().parent.parent.parent

# No test takes that long: what hangs shall fail, and say where.
TEST_SECONDS = 180
DESCRIPTORS = 16384  # some tests open thousands of connections; a login shell may give 1024


def pytest_configure():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if os.geteuid() == 0:
        hard = max(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DESCRIPTORS), hard))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    def too_long(*_):
        raise TimeoutError(f"{item.nodeid} takes more than {TEST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root (scripts/test uses sudo)"))
        if item.get_closest_marker("hooks") and not os.environ.get("OXV_HOOKS_PREFIX"):
            item.add_marker(pytest.mark.skip(reason="OXV_HOOKS_PREFIX names no build with hooks"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """In CI nothing may be skipped."""
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {report.longrepr}"


def _reachable(prefix):
    """The tree itself, or a copy where other uids can get at it (a checkout may be in a 0700)."""
    closed = [p for p in (prefix, *prefix.parents) if not p.stat().st_mode & stat.S_IXOTH]
    if not closed or os.geteuid() != 0:
        return prefix, None
    copy = public_directory("oxv-programs-")
    shutil.copytree(prefix, copy / "prefix", symlinks=True)
    return copy / "prefix", copy


def _build(variable, default):
    prefix = Path(os.environ.get(variable) or default).resolve()
    reachable, copy = _reachable(prefix)
    yield Build(reachable)
    if copy is not None:
        shutil.rmtree(copy)


@pytest.fixture(scope="session")
def build():
    """The installed programs under test."""
    yield from _build("OXV_PREFIX", TOP / "build/install")


@pytest.fixture(scope="session")
def hooks_build():
    """The same, built with OXV_TEST_HOOKS."""
    yield from _build("OXV_HOOKS_PREFIX", "")


@pytest.fixture(scope="session")
def backends():
    made = Backends()
    yield made
    made.remove()


@pytest.fixture
def backend(backends, request):
    """Where keys are: in the vault, unless the test is marked with others (support.backends)."""
    return backends[getattr(request, "param", "software")]


@pytest.fixture
def make_service(build, backend):
    """make_service(**options of Service) -> a Service, not yet initialised; removed at the end."""
    made = []

    def make(chosen=None, **options):
        made.append(backend.service(chosen or build, **options))
        return made[-1]

    yield make
    complaints = []
    for one in made:
        if one.stderr_file.exists():
            print(f"--- stderr of {one.base}\n{one.stderr}")
            complaints += [line for line in one.stderr.splitlines() if SANITIZER.search(line)]
        one.remove()
    assert not complaints, complaints


def _started(service, *options):
    service.init()
    service.start(*options)
    return service


@pytest.fixture
def service(make_service):
    """A fresh vault behind a key file seal, open, empty. As root with --users none."""
    return _started(make_service())


@pytest.fixture
def acme(service):
    """The same, with connection acme, this uid as caller order-exchange, and a grant."""
    return service.furnish()


@pytest.fixture
def passphrase_service(make_service):
    return _started(make_service(seal="passphrase"))


@pytest.fixture
def sealed_service(make_service):
    """Up, but not unsealed: no source was given."""
    return _started(make_service(source=False))


@pytest.fixture
def sodium_service(make_service):
    """Keys in sodium_malloc instead of memfd_secret."""
    return _started(make_service(options=["--secret-memory", "sodium"]))


@pytest.fixture
def hooks_service(make_service, hooks_build):
    """Of the build with test hooks."""
    return _started(make_service(hooks_build))


@pytest.fixture
def role_service(make_service):
    """As root, with the role users; mark the test `root`."""
    return _started(make_service(users="roles"))


@pytest.fixture(scope="session")
def other_uids():
    """Uids that belong to nobody, for callers of several kinds."""
    return [60101 + i for i in range(8)]
