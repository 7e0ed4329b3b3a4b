#!/usr/bin/python3
"""A small stand-in for NetSuite: HTTPS with a throw-away CA; checks signatures with oauthlib.

    netsuite_standin.py --dir DIR --account 123456 --consumer-key K --token T --secrets-file S.json

It writes DIR/ca.pem and prints `listening PORT`. Send to it as to NetSuite itself:

    curl --cacert DIR/ca.pem --connect-to ::127.0.0.1:PORT https://123456.suitetalk.api....
"""

import argparse
import hmac
import json
import ssl
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from support import oauth  # noqa: E402

CLOCK_SECONDS = 300
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "urn:messages_2025_2.platform.webservices.netsuite.com"
DOMAINS = ("suitetalk.api.netsuite.com", "restlets.api.netsuite.com", "app.netsuite.com")


class Refused(Exception):
    """The reason is what NetSuite shows in its Login Audit Trail only."""


class Judge:
    """Decides whether a request is signed by the one connection that the stand-in knows."""

    def __init__(self, account, consumer_key, token, secrets, clock=time.time):
        self.account = account
        self.consumer_key = consumer_key
        self.token = token
        self.secrets = secrets
        self.clock = clock
        self.seen = set()

    def check_header(self, authorization, method, url):
        """RFC 5849: REST web services and RESTlets."""
        if not authorization or not authorization.startswith("OAuth "):
            raise Refused("no OAuth header")
        given = oauth.header_parameters(authorization)
        if given.get("realm") != self.account:
            raise Refused("realm is not the account id")
        if any(not name.startswith("oauth_") for name in given if name != "realm"):
            raise Refused("parameter_rejected")
        if given.get("oauth_signature_method") != "HMAC-SHA256":
            raise Refused("UnknownAlgorithm")
        if given.get("oauth_version", "1.0") != "1.0":
            raise Refused("VersionRejected")
        self._check_ids(given.get("oauth_consumer_key"), given.get("oauth_token"))
        if not oauth.verifies(authorization, method, url, self.secrets):
            raise Refused("InvalidSignature")
        self._use(given.get("oauth_nonce", ""), given.get("oauth_timestamp", ""))

    def check_passport(self, passport):
        """`passport`: the fields of a TokenPassport, by their names."""
        if passport.get("account") != self.account:
            raise Refused("account is not ours")
        self._check_ids(passport.get("consumerKey"), passport.get("token"))
        wanted = oauth.passport_signature(
            self.account, self.consumer_key, self.token, passport.get("nonce", ""),
            passport.get("timestamp", ""), self.secrets,
        )
        if not hmac.compare_digest(passport.get("signature", ""), wanted):
            raise Refused("InvalidSignature")
        self._use(passport["nonce"], passport["timestamp"])

    def _check_ids(self, consumer_key, token):
        if consumer_key != self.consumer_key:
            raise Refused("ConsumerKeyUnknown")
        if token != self.token:
            raise Refused("TokenRejected")

    def _use(self, nonce, timestamp):
        if not (6 <= len(nonce) <= 64 and nonce.isascii() and nonce.isalnum()):
            raise Refused("NonceRejected")
        if not (timestamp.isascii() and timestamp.isdigit()):
            raise Refused("InvalidTimestamp")
        if abs(self.clock() - int(timestamp)) > CLOCK_SECONDS:
            raise Refused("InvalidTimestamp")
        if (nonce, timestamp) in self.seen:
            raise Refused("NonceUsed")
        self.seen.add((nonce, timestamp))


def passport_of(envelope):
    """The fields of the one TokenPassport in a SOAP envelope."""
    element = ElementTree.fromstring(envelope).find(f"{{{SOAP}}}Header/{{{MESSAGES}}}tokenPassport")
    if element is None:
        raise Refused("no tokenPassport")
    return {child.tag.split("}")[1]: child.text or "" for child in element}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    judge = None

    def do_GET(self):
        self._serve("GET")

    def do_POST(self):
        self._serve("POST")

    def _serve(self, method):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = f"https://{self.headers['Host']}{self.path}"
        try:
            if self.path.startswith("/services/NetSuitePort_"):
                self.judge.check_passport(passport_of(body))
                self._answer(200, "text/xml", self._server_time())
                return
            self.judge.check_header(self.headers.get("Authorization"), method, url)
            self._answer(200, "application/json", json.dumps(self._result(method, body)))
        except Refused as refused:
            print(f"audit trail: {method} {self.path}: {refused}", file=sys.stderr, flush=True)
            self._answer(401, "application/json", json.dumps({
                "title": "Unauthorized", "status": 401, "o:errorDetails": [
                    {"detail": "Invalid login attempt.", "o:errorCode": "INVALID_LOGIN"}],
            }))

    def _result(self, method, body):
        if self.path.startswith("/services/rest/record/v1/employee/"):
            return {"id": self.path.rsplit("/", 1)[1], "entityId": "Ada Lovelace"}
        if self.path.startswith("/services/rest/query/v1/suiteql") and method == "POST":
            if "q" not in json.loads(body):
                return {"items": [], "count": 0}
            return {"items": [{"id": "7", "tranid": "SO1007"}], "count": 1, "hasMore": False}
        return {"status": "ok"}

    @staticmethod
    def _server_time():
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        return (
            f'<soapenv:Envelope xmlns:soapenv="{SOAP}"><soapenv:Body>'
            f'<getServerTimeResponse xmlns="{MESSAGES}"><getServerTimeResult>'
            f'<status isSuccess="true"/><serverTime>{now}</serverTime>'
            "</getServerTimeResult></getServerTimeResponse></soapenv:Body></soapenv:Envelope>"
        )

    def _answer(self, status, media_type, text):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def make_certificates(directory, account):
    """A CA for this run only, and a certificate of it for the account's hosts."""
    host = account.lower().replace("_", "-")
    names = ",".join(f"DNS:{host}.{domain}" for domain in DOMAINS)
    (directory / "names").write_text(f"subjectAltName={names}\n")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=throw-away CA of the NetSuite stand-in")
    openssl("req", "-new", *curve, "-keyout", "server.key", "-out", "server.csr",
            "-subj", f"/CN={host}")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
            "-CAcreateserial", "-extfile", "names", "-out", "server.pem")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--consumer-key", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--secrets-file", type=Path, required=True)
    given = parser.parse_args()

    given.dir.mkdir(exist_ok=True)
    make_certificates(given.dir, given.account)
    secrets = json.loads(given.secrets_file.read_text())
    Handler.judge = Judge(given.account, given.consumer_key, given.token, secrets)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.dir / "server.pem", given.dir / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(f"listening {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
