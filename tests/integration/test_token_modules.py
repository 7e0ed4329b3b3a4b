"""The token helper before real modules: SoftHSM, NSS, opencryptoki, tpm2-pkcs11 over swtpm."""

import hashlib
import hmac
import json
import os
import secrets
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from support.process import wait_until
from support.token_helper import (
    APPENDED, CKR, HOST, IN_TOKEN, MECHANISMS, PRE_PROVISIONED, SHA1, SHA256, SHA512, UNWRAP,
    WRITEBACK, Helper, Trouble,
)
from support.tokens import Nss, OpenCryptoki, SoftHsm, Tpm

HASHES = {SHA256: hashlib.sha256, SHA512: hashlib.sha512, SHA1: hashlib.sha1}
KEY_LENGTHS = (1, 5, 19, 20, 31, 32, 33, 63, 64, 65, 129, 200, 500)


@pytest.fixture(scope="module")
def softhsm():
    with SoftHsm() as token:
        yield token


@pytest.fixture(scope="module")
def nss():
    with Nss() as token:
        yield token


@pytest.fixture(scope="module")
def opencryptoki():
    with OpenCryptoki() as token:
        yield token


@pytest.fixture(scope="module")
def tpm():
    with Tpm() as token:
        yield token


@pytest.fixture
def start(build):
    """start(token) -> a helper that is logged in to it; ended, with exit code 0, after the test."""
    helpers = []

    def make(token, login=True):
        helper = Helper(build, token.env, getattr(token, "wrapper", ()))
        helpers.append(helper)
        helper.open(token.module, token.uri)
        if login:
            helper.login(token.pin)
        return helper

    yield make
    for helper in helpers:
        assert helper.close() == 0, helper.stderr


def k0(key, hash_):
    """RFC 2104: what a key of any length is to HMAC."""
    block = HASHES[hash_]().block_size
    key = HASHES[hash_](key).digest() if len(key) > block else key
    return key.ljust(block, b"\0")


def mac(key, message, hash_=SHA256):
    return hmac.new(key, message, HASHES[hash_]).digest()


def oaep(pair, key):
    """To the token's public key, as the importing command does it."""
    public = serialization.load_der_public_key(pair["public_key"])
    chosen = hashes.SHA256() if pair["oaep"] == 1 else hashes.SHA1()
    return public.encrypt(key, padding.OAEP(padding.MGF1(chosen), chosen, None))


def run_mode(build, token, *options, pin=None):
    """A mode of the program: its JSON, or (exit code, stderr)."""
    reader, writer = os.pipe()
    os.write(writer, (pin or "").encode())
    os.close(writer)
    done = subprocess.run(
        [*getattr(token, "wrapper", ()), build.libexec / "oxvault-token", *map(str, options),
         *(["--pin-fd", str(reader)] if pin is not None else [])],
        check=False, capture_output=True, text=True, pass_fds=[reader],
        env={"PATH": os.environ["PATH"], **token.env},
    )
    os.close(reader)
    if done.returncode != 0:
        return done.returncode, done.stderr
    return json.loads(done.stdout)


# Keys of HMAC


@pytest.mark.parametrize("hash_", (SHA256, SHA512, SHA1))
def test_k0_signs_as_the_key_of_any_length_does(start, softhsm, hash_):
    helper = start(softhsm)
    for length in KEY_LENGTHS:
        secret, ident = secrets.token_bytes(length), secrets.token_bytes(16)
        key = helper.load(IN_TOKEN, ident, hash_, key=k0(secret, hash_), label="oxvault:k0")
        for message in (b"", b"a", secrets.token_bytes(300), secrets.token_bytes(8192)):
            assert helper.sign(key, message) == mac(secret, message, hash_)
        helper.drop(key, destroy=1)


@pytest.mark.root
@pytest.mark.parametrize("hash_", (SHA256, SHA512, SHA1))
def test_k0_signs_as_the_key_of_any_length_does_in_opencryptoki(start, opencryptoki, hash_):
    helper = start(opencryptoki)
    for length in KEY_LENGTHS:
        secret, ident = secrets.token_bytes(length), secrets.token_bytes(16)
        key = helper.load(IN_TOKEN, ident, hash_, key=k0(secret, hash_), label="oxvault:k0")
        assert helper.sign(key, b"GET&https") == mac(secret, b"GET&https", hash_)
        helper.drop(key, destroy=1)


def test_vectors_of_rfc_4231_and_2202(start, softhsm):
    helper = start(softhsm)
    vectors = (
        (SHA256, b"\x0b" * 20, b"Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (SHA256, b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        (SHA1, b"\x0b" * 20, b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
        (SHA1, b"\xaa" * 80, b"Test Using Larger Than Block-Size Key - Hash Key First",
         "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
    )
    for hash_, secret, message, expected in vectors:
        key = helper.load(IN_TOKEN, secrets.token_bytes(16), hash_, key=k0(secret, hash_))
        assert helper.sign(key, message).hex() == expected


def test_a_key_is_found_again_after_a_restart(start, softhsm):
    secret, ident = secrets.token_bytes(64), secrets.token_bytes(16)
    first = start(softhsm)
    expected = first.sign(first.load(IN_TOKEN, ident, key=secret, label="stays"), b"kcv")
    second = start(softhsm)
    key = second.load(IN_TOKEN, ident)
    assert second.sign(key, b"kcv") == expected == mac(secret, b"kcv")
    assert second.load(IN_TOKEN, ident) != key, "each load has a handle of its own"


def test_a_blob_made_with_the_public_key_alone_becomes_a_key(start, softhsm):
    helper = start(softhsm)
    before = len(softhsm.objects())
    pair = helper.pair()
    assert pair["oaep"] == 2, "SoftHSM knows OAEP with SHA-1 only"
    assert len(softhsm.objects()) == before + 2
    for hash_ in (SHA256, SHA512, SHA1):
        secret = secrets.token_bytes(129)
        key = helper.load(UNWRAP, secrets.token_bytes(16), hash_, pair_id=pair["key_id"],
                          oaep=pair["oaep"], blob=oaep(pair, k0(secret, hash_)))
        assert helper.sign(key, b"base string") == mac(secret, b"base string", hash_)
        helper.drop(key)
    assert len(softhsm.objects()) == before + 2, "keys of sessions are no objects of the token"
    assert helper.pair(key_id=pair["key_id"])["public_key"] == pair["public_key"]


def test_without_leave_for_sha1_there_is_no_pair_of_softhsm(start, softhsm):
    helper = start(softhsm)
    before = softhsm.objects()
    with pytest.raises(Trouble) as refused:
        helper.pair(allow_oaep_sha1=0)
    assert refused.value.word == "unfit" and refused.value.ckr == CKR["ARGUMENTS_BAD"]
    assert softhsm.objects() == before, "the pair that did not do is destroyed"


def test_a_damaged_blob_makes_no_key(start, softhsm):
    helper = start(softhsm)
    pair = helper.pair()
    good = oaep(pair, secrets.token_bytes(64))
    other = helper.load(UNWRAP, secrets.token_bytes(16), pair_id=pair["key_id"], oaep=pair["oaep"],
                        blob=good)
    for at in (0, len(good) // 2, len(good) - 1):
        bad = bytearray(good)
        bad[at] ^= 1
        with pytest.raises(Trouble) as refused:
            helper.load(UNWRAP, secrets.token_bytes(16), pair_id=pair["key_id"],
                        oaep=pair["oaep"], blob=bytes(bad))
        assert refused.value.word == "data"
    # SoftHSM's code for it is the one for a broken device too: another key that signs rules that out.
    assert len(helper.sign(other, b"x")) == 32
    again = helper.load(UNWRAP, secrets.token_bytes(16), pair_id=pair["key_id"],
                        oaep=pair["oaep"], blob=good)
    assert len(helper.sign(again, b"x")) == 32


@pytest.mark.root
def test_opencryptoki_cannot_hold_unwrapped_keys(start, opencryptoki):
    """It makes them readable, whatever it was asked for; and it knows no unwrap template."""
    helper = start(opencryptoki)
    with pytest.raises(Trouble) as refused:
        helper.pair()
    assert refused.value.word == "unfit" and "CKA_UNWRAP_TEMPLATE" in refused.value.text


def test_nss_is_leaky_and_gets_no_key(start, nss):
    helper = start(nss)
    ident = secrets.token_bytes(16)
    for _ in range(2):
        with pytest.raises(Trouble) as refused:
            helper.load(IN_TOKEN, ident, key=secrets.token_bytes(64), label="oxvault:no")
        assert refused.value.word == "unfit" and "leaky" in refused.value.text
    with pytest.raises(Trouble) as gone:
        helper.load(IN_TOKEN, ident)
    assert gone.value.word == "no key", "what was made is destroyed"
    with pytest.raises(Trouble) as refused:
        helper.pair()
    assert refused.value.word == "unfit" and "leaky" in refused.value.text


def test_a_tpm_signs_with_a_key_of_the_vendors_tool(start, tpm):
    secret = secrets.token_bytes(32)
    ident = tpm.import_hmac(secret, "oauth")
    helper = start(tpm)
    key = helper.load(PRE_PROVISIONED, ident)
    for message in (b"", b"x", secrets.token_bytes(300), secrets.token_bytes(3000)):
        if message:
            assert helper.sign(key, message) == mac(secret, message)
    with pytest.raises(Trouble) as refused:
        helper.sign(key, secrets.token_bytes(9000))
    assert refused.value.word == "unfit" and "too long" in refused.value.text
    assert helper.sign(key, b"after") == mac(secret, b"after")
    helper.drop(key, destroy=1)
    assert helper.sign(helper.load(PRE_PROVISIONED, ident), b"y") == mac(secret, b"y"), \
        "what others made is not destroyed"
    with pytest.raises(Trouble) as refused:
        helper.load(IN_TOKEN, secrets.token_bytes(16), key=secret, label="oxvault:no")
    assert refused.value.word == "unfit" and refused.value.ckr == 0x13
    with pytest.raises(Trouble) as refused:
        helper.pair()
    assert refused.value.word == "unfit"
    assert tpm.lockout_counter() == 0


# Ids


def test_a_key_id_that_is_there_is_refused_and_two_are_ambiguous(start, softhsm):
    helper = start(softhsm)
    ident, secret = secrets.token_bytes(16), secrets.token_bytes(64)
    helper.load(IN_TOKEN, ident, key=secret)
    before = softhsm.objects()
    with pytest.raises(Trouble) as refused:
        helper.load(IN_TOKEN, ident, key=secrets.token_bytes(64))
    assert refused.value.word == "ambiguous"
    assert softhsm.objects() == before
    subprocess.run(
        ["pkcs11-tool", "--module", softhsm.module, "--token-label", softhsm.label, "--login",
         "--pin", softhsm.pin, "--keygen", "--key-type", "GENERIC:64", "--id", ident.hex(),
         "--sensitive"],
        env={**os.environ, **softhsm.env}, check=True, capture_output=True,
    )
    with pytest.raises(Trouble) as refused:
        start(softhsm).load(IN_TOKEN, ident)
    assert refused.value.word == "ambiguous" and "several" in refused.value.text


def test_a_key_that_is_not_there_is_not_made(start, softhsm):
    helper = start(softhsm)
    before = softhsm.objects()
    for form in (IN_TOKEN, PRE_PROVISIONED):
        for _ in range(2):
            with pytest.raises(Trouble) as missing:
                helper.load(form, secrets.token_bytes(16))
            assert missing.value.word == "no key"
    with pytest.raises(Trouble) as missing:
        helper.load(UNWRAP, secrets.token_bytes(16), pair_id=secrets.token_bytes(16), oaep=2,
                    blob=bytes(384))
    assert missing.value.word == "no key"
    with pytest.raises(Trouble) as missing:
        helper.pair(key_id=secrets.token_bytes(16))
    assert missing.value.word == "no key"
    assert softhsm.objects() == before


def test_a_readable_key_of_others_is_refused(start, softhsm):
    """pkcs11-tool without --sensitive: SoftHSM gives its value to everybody who asks."""
    ident = secrets.token_bytes(16)
    subprocess.run(
        ["pkcs11-tool", "--module", softhsm.module, "--token-label", softhsm.label, "--login",
         "--pin", softhsm.pin, "--keygen", "--key-type", "GENERIC:64", "--id", ident.hex(),
         "--extractable"],
        env={**os.environ, **softhsm.env}, check=True, capture_output=True,
    )
    helper = start(softhsm)
    for form in (IN_TOKEN, PRE_PROVISIONED):
        with pytest.raises(Trouble) as refused:
            helper.load(form, ident)
        assert refused.value.word == "unfit"


def test_a_readable_key_of_others_makes_no_good_grade(build):
    """The token takes no key of ours, and the one that is there comes out for everybody."""
    with SoftHsm(mechanisms="CKM_SHA256_HMAC,CKM_GENERIC_SECRET_KEY_GEN") as token:
        subprocess.run(
            ["pkcs11-tool", "--module", token.module, "--token-label", token.label, "--login",
             "--pin", token.pin, "--keygen", "--key-type", "GENERIC:64", "--id", "01",
             "--extractable"],
            env={**os.environ, **token.env}, check=True, capture_output=True,
        )
        probe = run_mode(build, token, "--probe", "--module", token.module, "--uri", token.uri,
                         pin=token.pin)
    [found] = [f for f in probe["sign"]["forms"] if f["form"] == "pre-provisioned"]
    assert not found["works"] and "value" in found["reason"], found


# Surroundings


def test_softhsm_that_forgets_itself_in_children(build):
    """library.reset_on_fork makes SoftHSM behave as hardware does; a helper never forks."""
    with SoftHsm(reset_on_fork=True) as token, Helper(build, token.env) as helper:
        helper.open(token.module, token.uri)
        helper.login(token.pin)
        secret = secrets.token_bytes(64)
        key = helper.load(IN_TOKEN, secrets.token_bytes(16), key=secret)
        assert helper.sign(key, b"x") == mac(secret, b"x")


def test_a_module_without_its_configuration_is_an_absent_token(build):
    with SoftHsm() as token:
        for env in ({}, {"SOFTHSM2_CONF": str(token.directory / "none.conf")}):
            with Helper(build, env) as helper:
                with pytest.raises(Trouble) as absent:
                    helper.open(token.module, token.uri)
                assert absent.value.word == "absent"


@pytest.mark.root
def test_a_token_directory_that_cannot_be_read_is_an_absent_token(build):
    with SoftHsm(owner=60177) as token:
        drop = ["setpriv", "--reuid=60178", "--regid=60178", "--clear-groups", "--"]
        with Helper(build, token.env, drop) as helper:
            with pytest.raises(Trouble) as absent:
                helper.open(token.module, token.uri)
            assert absent.value.word == "absent"
        drop[1:3] = ["--reuid=60177", "--regid=60177"]
        with Helper(build, token.env, drop) as helper:
            assert helper.open(token.module, token.uri)["label"] == "ci"
            assert helper.login(token.pin)["logged_in"] == 1


def test_a_configuration_of_openssl_is_not_read(build, tmp_path):
    """It could load a provider that loads this very module."""
    conf = tmp_path / "openssl.cnf"
    conf.write_text("openssl_conf = all\n[all]\nproviders = p\n[p]\nevil = e\n[e]\n"
                    "module = /nonexistent/evil.so\nactivate = 1\n")
    with SoftHsm() as token:
        with Helper(build, {**token.env, "OPENSSL_CONF": str(conf)}) as helper:
            helper.open(token.module, token.uri)
            helper.login(token.pin)
            assert helper.seal(generate=1)["mechanism"] == 1


def test_p11_kits_server_killed_and_started_again(build):
    """Its client writes to a socket whose other end is gone: SIGPIPE is ignored."""
    client = "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so"
    with SoftHsm() as token:
        address = token.directory / "p11.sock"

        def serve():
            server = subprocess.Popen(
                ["p11-kit", "server", "--foreground", "--provider", token.module,
                 "--name", str(address), token.uri],
                env={**os.environ, **token.env}, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            wait_until(address.exists, what="the server")
            return server

        server = serve()
        env = {"P11_KIT_SERVER_ADDRESS": f"unix:path={address}"}
        with Helper(build, env) as helper:
            helper.open(client, token.uri)
            helper.login(token.pin)
            secret, ident = secrets.token_bytes(64), secrets.token_bytes(16)
            key = helper.load(IN_TOKEN, ident, key=secret)
            assert helper.sign(key, b"x") == mac(secret, b"x")
            # Each connection has a process of its own: all of them.
            subprocess.run(["pkill", "-KILL", "-P", str(server.pid)], check=False)
            server.kill()
            server.wait()
            for _ in range(3):
                with pytest.raises(Trouble) as gone:
                    helper.sign(key, b"x")
                assert gone.value.word in ("absent", "stale")
            address.unlink(missing_ok=True)
            server = serve()
            helper.state(lambda s: s.get("trouble", 0) == 0 and s.get("logged_in") == 1)
            assert helper.sign(helper.load(IN_TOKEN, ident), b"x") == mac(secret, b"x")
        server.kill()
        server.wait()


# Seals


def damaged(helper, sealed):
    """Every way to change one bit of a seal: (what, the trouble, its text)."""
    for name in ("blob", "key_hash", "key_id"):
        value = sealed.get(name, b"")
        for at in {0, len(value) // 2, len(value) - 1} if value else ():
            bad = bytearray(value)
            bad[at] ^= 1
            try:
                helper.unseal(sealed, **{name: bytes(bad)})
            except Trouble as trouble:
                yield name, trouble.word, trouble.text
            else:
                yield name, "opened", ""


@pytest.mark.parametrize("mechanism", ("aes-gcm", "aes-kwp-wrap", "rsa-oaep-sha1"))
def test_softhsm_seals_by_each_step_it_can(start, softhsm, mechanism):
    seal_and_damage(start, softhsm, mechanism)


@pytest.mark.parametrize("mechanism", ("aes-gcm", "aes-kwp", "aes-kwp-wrap", "rsa-oaep-sha256",
                                       "rsa-oaep-sha1"))
def test_nss_seals_by_each_step_it_can(start, nss, mechanism):
    seal_and_damage(start, nss, mechanism)


@pytest.mark.root
@pytest.mark.parametrize("mechanism", ("rsa-oaep-sha256", "rsa-oaep-sha1"))
def test_opencryptoki_seals_by_each_step_it_can(start, opencryptoki, mechanism):
    seal_and_damage(start, opencryptoki, mechanism)


def test_a_tpm_seals_by_oaep(start, tpm):
    seal_and_damage(start, tpm, "rsa-oaep-sha256")
    assert tpm.lockout_counter() == 0


def seal_and_damage(start, token, mechanism):
    helper = start(token)
    sealed = helper.seal(generate=1, mechanism=mechanism)
    assert sealed["mechanism"] == MECHANISMS.index(mechanism) + 1
    assert sealed.get("gcm_iv", 0) == (HOST if mechanism == "aes-gcm" else 0)
    assert len(sealed["value"]) == 32 and len(sealed["key_id"]) == 16
    assert ("key_hash" in sealed) == mechanism.startswith("rsa")
    assert helper.unseal(sealed) == sealed["value"]
    texts = set()
    for name, word, text in damaged(helper, sealed):
        assert word == ("no key" if name == "key_id" else "data"), (name, word, text)
        if name != "key_id":
            texts.add(text)
    assert len(texts) == 1, "one text, whatever was changed"
    again = start(token)
    assert again.unseal(sealed) == sealed["value"]
    assert again.seal(key_id=sealed["key_id"], mechanism=mechanism)["value"] != sealed["value"]


def test_ecdh_and_pkcs1_give_another_value_or_none_for_a_changed_blob(start, softhsm, nss):
    """They do not authenticate: whoever uses the value finds out (the vault's AEAD)."""
    for token in (softhsm, nss):
        helper = start(token)
        for mechanism in ("ecdh", "rsa-pkcs1"):
            sealed = helper.seal(generate=1, mechanism=mechanism)
            assert helper.unseal(sealed) == sealed["value"]
            for at in (1, len(sealed["blob"]) - 1):
                bad = bytearray(sealed["blob"])
                bad[at] ^= 1
                try:
                    assert helper.unseal(sealed, blob=bytes(bad)) != sealed["value"]
                except Trouble as trouble:
                    assert trouble.word == "data"
    infinity = b"\x04" + bytes(64)
    sealed = start(softhsm).seal(generate=1, mechanism="ecdh")
    with pytest.raises(Trouble) as refused:
        start(softhsm).unseal(sealed, blob=infinity)
    assert refused.value.word == "data"


def test_unsealing_does_what_is_pinned_and_nothing_else(start, nss):
    helper = start(nss)
    gcm = helper.seal(generate=1, mechanism="aes-gcm")
    rsa = helper.seal(generate=1, mechanism="rsa-oaep-sha256")
    for sealed, changed in (
        (gcm, {"mechanism": 2, "gcm_iv": None}), (gcm, {"mechanism": 3, "gcm_iv": None}),
        (gcm, {"gcm_iv": APPENDED}), (gcm, {"gcm_iv": None}), (rsa, {"mechanism": 6}),
        (rsa, {"mechanism": 1, "gcm_iv": HOST}), (rsa, {"key_hash": None}),
    ):
        with pytest.raises(Trouble):
            helper.unseal(sealed, **changed)
    assert helper.unseal(gcm) == gcm["value"] and helper.unseal(rsa) == rsa["value"]


def test_a_swapped_key_of_the_same_id_is_noticed(build):
    """The token's pair is replaced: the public key's hash is pinned."""
    with SoftHsm() as token, Helper(build, token.env) as helper:
        helper.open(token.module, token.uri)
        helper.login(token.pin)
        sealed = helper.seal(generate=1, mechanism="rsa-oaep-sha1")
        tool = ["pkcs11-tool", "--module", token.module, "--token-label", token.label, "--login",
                "--pin", token.pin]
        ident = sealed["key_id"].hex()
        for kind in ("privkey", "pubkey"):
            subprocess.run([*tool, "--delete-object", "--type", kind, "--id", ident],
                           env={**os.environ, **token.env}, check=True, capture_output=True)
        subprocess.run([*tool, "--keypairgen", "--key-type", "rsa:3072", "--id", ident],
                       env={**os.environ, **token.env}, check=True, capture_output=True)
        with Helper(build, token.env) as other:
            other.open(token.module, token.uri)
            other.login(token.pin)
            with pytest.raises(Trouble) as refused:
                other.unseal(sealed)
        assert refused.value.word == "data" and "replaced" in refused.value.text


@pytest.mark.parametrize("mechanisms, best", (
    ("ALL", "aes-gcm"),
    ("CKM_AES_KEY_GEN,CKM_AES_GCM", "aes-gcm"),
    ("CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP_PAD,CKM_EC_KEY_PAIR_GEN,CKM_ECDH1_DERIVE", "aes-kwp-wrap"),
    ("CKM_EC_KEY_PAIR_GEN,CKM_ECDH1_DERIVE", "ecdh"),
    ("CKM_RSA_PKCS_KEY_PAIR_GEN,CKM_RSA_PKCS_OAEP,CKM_RSA_PKCS", "rsa-oaep-sha1"),
    ("CKM_RSA_PKCS_KEY_PAIR_GEN,CKM_RSA_PKCS", "rsa-pkcs1"),
    ("CKM_SHA256_HMAC,CKM_AES_CBC,CKM_AES_KEY_GEN", None),
))
def test_the_best_step_that_works_is_taken(build, mechanisms, best):
    """One module plays many tokens. The last two steps need leave."""
    with SoftHsm(mechanisms=mechanisms) as token, Helper(build, token.env) as helper:
        helper.open(token.module, token.uri)
        helper.login(token.pin)
        before = len(token.objects())
        if best in (None, "rsa-oaep-sha1", "rsa-pkcs1"):
            with pytest.raises(Trouble) as refused:
                helper.seal(generate=1)
            assert refused.value.word == "unfit"
            for word in ("aes-gcm", "aes-kwp", "rsa-oaep-sha256", "aes-kwp-wrap", "ecdh"):
                assert f"{word}: " in refused.value.text
            assert len(token.objects()) == before
        if best is None:
            with pytest.raises(Trouble) as refused:
                helper.seal(generate=1, allow_oaep_sha1=1, allow_pkcs1=1)
            assert refused.value.word == "unfit"
            assert len(token.objects()) == before, "keys that did not do are destroyed"
            return
        sealed = helper.seal(generate=1, allow_oaep_sha1=1, allow_pkcs1=1)
        assert MECHANISMS[sealed["mechanism"] - 1] == best
        assert helper.unseal(sealed) == sealed["value"]


def test_an_existing_key_is_used_and_several_are_ambiguous(build):
    with SoftHsm() as token, Helper(build, token.env) as helper:
        helper.open(token.module, token.uri)
        helper.login(token.pin)
        with pytest.raises(Trouble) as missing:
            helper.seal()
        assert missing.value.word == "no key" and "--generate" in missing.value.text
        first = helper.seal(generate=1)
        assert helper.seal()["key_id"] == first["key_id"]
        second = helper.seal(generate=1)
        with pytest.raises(Trouble) as refused:
            helper.seal()
        assert refused.value.word == "ambiguous"
        assert first["key_id"].hex() in refused.value.text
        assert second["key_id"].hex() in refused.value.text
        assert helper.seal(key_id=second["key_id"])["key_id"] == second["key_id"]
        with pytest.raises(Trouble) as refused:
            helper.seal(key_id=second["key_id"], generate=1)
        assert refused.value.word == "refused"


def test_a_pair_for_connections_is_no_key_to_seal_with(build):
    with SoftHsm() as token, Helper(build, token.env) as helper:
        helper.open(token.module, token.uri)
        helper.login(token.pin)
        pair = helper.pair()
        for key_id in (None, pair["key_id"]):
            with pytest.raises(Trouble) as refused:
                helper.seal(key_id=key_id, allow_oaep_sha1=1, allow_pkcs1=1)
            assert refused.value.word == "no key"


def test_a_dialect_that_the_token_does_not_speak_is_refused(start, softhsm, nss):
    """A zero IV is used as it is by both, which would be one IV for all."""
    for token in (softhsm, nss):
        for dialect in (WRITEBACK, APPENDED):
            with pytest.raises(Trouble) as refused:
                start(token).seal(generate=1, mechanism="aes-gcm", gcm_iv=dialect)
            assert refused.value.word == "unfit", refused.value


# What the command asks for


def test_list_tells_what_there_is(build, softhsm, nss):
    listed = run_mode(build, softhsm, "--list", "--module", softhsm.module)
    assert listed["module"] == softhsm.module
    [token] = listed["tokens"]
    assert token["label"] == "ci" and token["pin"] == "ok" and token["pin_pad"] is False
    assert token["uri"].endswith(f";serial={token['serial']};token=ci")
    assert {"token-initialized", "login-required"} <= set(token["flags"])
    assert token["mechanisms"] == 70
    labels = {t["label"] for t in run_mode(build, nss, "--list", "--module", nss.module)["tokens"]}
    assert labels == {"NSS Generic Crypto Services", "NSS Certificate DB"}


def works(probe):
    return {s["mechanism"] for s in probe["seal"] if s["works"]}


def forms(probe):
    return {f["form"] for f in probe["sign"]["forms"] if f["works"]}


def test_probe_of_softhsm(build, softhsm):
    before = softhsm.objects()
    probe = run_mode(build, softhsm, "--probe", "--module", softhsm.module, "--uri", softhsm.uri,
                     pin=softhsm.pin)
    assert works(probe) == {"aes-gcm", "aes-kwp-wrap", "ecdh", "rsa-oaep-sha1", "rsa-pkcs1"}
    assert [s["step"] for s in probe["seal"]] == list(range(1, 8))
    failed = {s["mechanism"]: s["ckr"] for s in probe["seal"] if not s["works"]}
    assert failed == {"aes-kwp": "CKR_MECHANISM_INVALID", "rsa-oaep-sha256": "CKR_ARGUMENTS_BAD"}
    assert probe["sign"]["grade"] == "good" and {"unwrap", "token"} <= forms(probe)
    assert probe["sign"]["hashes"] == ["sha256", "sha512", "sha1"]
    assert probe["sign"]["message_max_bytes"] == 60000
    assert any("SHA-1" in note for note in probe["notes"])
    assert softhsm.objects() == before


def test_probe_grades_nss_leaky(build, nss):
    probe = run_mode(build, nss, "--probe", "--module", nss.module, "--uri", nss.uri, pin=nss.pin)
    assert works(probe) == set(MECHANISMS)
    assert probe["sign"]["grade"] == "leaky"
    assert not {"unwrap", "token"} & forms(probe)
    assert any("keys out" in note for note in probe["notes"])


@pytest.mark.root
def test_probe_of_opencryptoki(build, opencryptoki):
    probe = run_mode(build, opencryptoki, "--probe", "--module", opencryptoki.module, "--uri",
                     opencryptoki.uri, pin=opencryptoki.pin)
    assert works(probe) == {"rsa-oaep-sha256", "rsa-oaep-sha1", "rsa-pkcs1"}
    assert probe["sign"]["grade"] == "good" and "token" in forms(probe)
    assert "unwrap" not in forms(probe)


def test_probe_of_a_tpm_leaves_nothing_behind(build, tpm):
    tpm.import_hmac(secrets.token_bytes(32), "probed")
    before = tpm.objects()
    probe = run_mode(build, tpm, "--probe", "--module", tpm.module, "--uri", tpm.uri, pin=tpm.pin)
    assert works(probe) == {"rsa-oaep-sha256", "rsa-oaep-sha1", "rsa-pkcs1"}
    assert forms(probe) == {"pre-provisioned"} and probe["sign"]["hashes"] == ["sha256"]
    assert probe["sign"]["message_max_bytes"] == 4096
    assert tpm.objects() == before
    assert tpm.lockout_counter() == 0


def test_probe_says_by_its_exit_code_what_is_wrong(build, softhsm):
    module = ("--probe", "--module", softhsm.module, "--uri")
    code, text = run_mode(build, softhsm, *module, softhsm.uri, pin="9999")
    assert code == 4 and text.startswith("oxvault-token: ") and "CKR_PIN_INCORRECT" in text
    assert text.count("\n") == 1 and "9999" not in text
    assert run_mode(build, softhsm, *module, softhsm.uri)[0] == 4
    assert run_mode(build, softhsm, *module, "pkcs11:token=nobody", pin=softhsm.pin)[0] == 7
    assert run_mode(build, softhsm, *module, "pkcs11:", pin=softhsm.pin)[0] == 2
    assert run_mode(build, softhsm, "--list")[0] == 2
    assert run_mode(build, softhsm, "--list", "--module", "/nonexistent.so")[0] == 2
