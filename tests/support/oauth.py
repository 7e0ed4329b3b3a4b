"""Checks what the service signs, by oauthlib: an OAuth 1.0 of somebody else's."""

import base64
import hashlib
import hmac

from oauthlib.oauth1.rfc5849 import signature as oauth
from oauthlib.oauth1.rfc5849 import utils


class _Client:
    def __init__(self, consumer_secret, token_secret):
        self.client_secret = consumer_secret
        self.resource_owner_secret = token_secret


def header_parameters(authorization):
    """The pairs of an Authorization header, decoded, realm included."""
    pairs = utils.parse_authorization_header(authorization)
    return {utils.unescape(name): utils.unescape(value) for name, value in pairs}


def expected_signature(authorization, method, url, secrets, form=None):
    """What oauthlib computes for this request; the signature in the header plays no part."""
    query = url.split("?", 1)[1] if "?" in url else ""
    parameters = oauth.collect_parameters(
        uri_query=query,
        body=form or [],
        headers={"Authorization": authorization},
        exclude_oauth_signature=True,
        with_realm=False,
    )
    base_string = oauth.signature_base_string(
        method, oauth.base_string_uri(url), oauth.normalize_parameters(parameters)
    )
    client = _Client(secrets["consumer_secret"], secrets["token_secret"])
    signer = {
        "HMAC-SHA1": oauth.sign_hmac_sha1_with_client,
        "HMAC-SHA256": oauth.sign_hmac_sha256_with_client,
        "HMAC-SHA512": oauth.sign_hmac_sha512_with_client,
    }[header_parameters(authorization)["oauth_signature_method"]]
    return signer(base_string, client)


def verifies(authorization, method, url, secrets, form=None):
    wanted = expected_signature(authorization, method, url, secrets, form)
    return hmac.compare_digest(header_parameters(authorization)["oauth_signature"], wanted)


def passport_signature(account, consumer_key, token, nonce, timestamp, secrets):
    """NetSuite's TokenPassport and Connect password: netsuite.md 2 and 3."""
    base = "&".join(
        utils.escape(str(value)) for value in (account, consumer_key, token, nonce, timestamp)
    )
    key = "&".join(utils.escape(secrets[name]) for name in ("consumer_secret", "token_secret"))
    digest = hmac.new(key.encode(), base.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def signature_hash(signature):
    """`sig_hash` of the access log: SHA-256 of the signature's bytes, in hex."""
    return hashlib.sha256(base64.b64decode(signature, validate=True)).hexdigest()
