"""The segment files of an access log, read as they stand."""


def segment_lines(log):
    """
    The lines of all segments below the folder `log`, commit lines included, as bytes. Behind those
    of the newest one a writer leaves zeros, for the lines to come (docs/log-format.md).
    """
    segments = sorted((log / "seg").iterdir())
    *full, newest = [segment.read_bytes() for segment in segments]
    return b"".join([*full, newest.rstrip(b"\0")]).splitlines()


def entry_lines(log):
    return [line for line in segment_lines(log) if not line.startswith(b'{"commit":')]
