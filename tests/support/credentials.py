"""Credentials of NetSuite's own documented examples (tests/vectors), as the tests import them."""

import json
from dataclasses import dataclass
from pathlib import Path

VECTORS = Path(__file__).resolve().parent.parent / "vectors"


@dataclass(frozen=True)
class Credentials:
    account: str
    consumer_key: str
    consumer_secret: str
    token: str
    token_secret: str

    @property
    def secrets(self):
        return {"consumer_secret": self.consumer_secret, "token_secret": self.token_secret}


def documented_example():
    """A1 of netsuite.md 1.6: the REST example of NetSuite's help."""
    vectors = json.loads((VECTORS / "oauth1.json").read_text())
    a1 = next(vector for vector in vectors if vector["name"] == "A1")
    return Credentials(
        account="123456",
        consumer_key=a1["consumer_key"],
        consumer_secret=a1["consumer_secret"],
        token=a1["token"],
        token_secret=a1["token_secret"],
    )


A1 = documented_example()
EMPLOYEE_URL = "https://123456.suitetalk.api.netsuite.com/services/rest/record/v1/employee/40"
