"""Verifies signed requests with the libraries that receivers use.

Reads lines of JSON and prints lines of JSON, both as verify.mjs has them. For http-message-signatures a line may
also have label: which of several signatures is to be verified.
"""

import hashlib
import hmac
import json
import sys
import warnings
from base64 import b64decode, b64encode

import jwt
import requests
import stripe
import svix.webhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.exceptions import InvalidSignature
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from sns_message_validator import SNSMessageValidator
from standardwebhooks.webhooks import Webhook


def check(holds, message):
    if not holds:
        raise ValueError(message)


def header(request, name):
    found = [value for known, value in request["headers"].items() if known.lower() == name.lower()]
    check(len(found) == 1, f"there are {len(found)} of {name}")
    return found[0]


def standardwebhooks(request):
    Webhook(request["secret"]).verify(request["body"], request["headers"])


def svix_webhooks(request):
    svix.webhooks.Webhook(request["secret"]).verify(request["body"], request["headers"])


def ed25519(request):
    """No library for Python verifies v1a."""
    signed = ".".join([header(request, "webhook-id"), header(request, "webhook-timestamp"), request["body"]])
    for given in header(request, "webhook-signature").split(" "):
        for key in request["keys"].values():
            public = Ed25519PublicKey.from_public_bytes(b64decode(key["text"].removeprefix("whpk_")))
            try:
                return public.verify(b64decode(given.removeprefix("v1a,")), signed.encode())
            except InvalidSignature:
                pass
    raise ValueError("no signature matches")


def stripe_signature(request):
    stripe.WebhookSignature.verify_header(
        request["body"], header(request, "stripe-signature"), request["secret"], tolerance=300
    )


def pyjwt(request):
    token = json.loads(request["body"])["jwt"]
    identity = jwt.get_unverified_header(token)["kid"]
    key = request.get("secret") or jwt.PyJWK(request["keys"][identity]["jwk"], algorithm=request["algorithm"])
    claims = jwt.decode(
        token,
        key,
        algorithms=[request["algorithm"]],
        audience=request.get("audience"),
        issuer=request.get("issuer"),
        leeway=5,
        options={"require": ["exp", "iat", "nbf", "jti"]},
    )
    check("data" in claims, "the token has no data")


def sns(request):
    """The library knows signature version 1 only, and has an option for the address of the certificate."""
    document = json.loads(request["body"])
    validator = SNSMessageValidator(cert_url_regex=r"^https?://(127\.0\.0\.1|localhost|hooks\.example)[:/]")
    answer = requests.Response()
    if certificate := request.get("certificate"):
        answer.status_code, answer._content = 200, certificate.encode()
    else:
        # The server in the tests speaks plain HTTP on loopback.
        answer = requests.get(document["SigningCertURL"].replace("https:", "http:"), timeout=10)
    validator._cert_session.get = lambda _: answer
    validator.validate_message(document)


ALGORITHMS = {
    "ed25519": algorithms.ED25519,
    "hmac-sha256": algorithms.HMAC_SHA256,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "ecdsa-p384-sha384": algorithms.ECDSA_P384_SHA384,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
    "rsa-v1_5-sha256": algorithms.RSA_V1_5_SHA256,
}


def http_message_signatures(request):
    class Keys(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id):
            return (request.get("secret") or request["keys"][key_id]["pem"]).encode()

    class Message:
        method, url, headers = request["method"], request["url"], request["headers"]

    algorithm = ALGORITHMS[request["algorithm"]]
    verifier = HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=Keys())
    # It verifies one label, or all of a tag: while keys are rotated, the receiver says which label's key it has.
    verifier.allow_label_only_selection = True
    results = verifier.verify(
        Message,
        expect_label=request.get("label"),
        require_components=("@method", "@target-uri", "content-digest"),
        body=request["body"].encode(),
    )
    check(len(results) == 1, f"{len(results)} signatures verify")


def plain_hmac(request):
    """Every receiver of these writes it by hand."""
    signed = request["body"]
    if name := request.get("timestamp_header"):
        signed = f"{header(request, name)}.{signed}"
    code = hmac.new(request["secret"].encode(), signed.encode(), getattr(hashlib, request["algorithm"])).digest()
    written = code.hex() if request["encoding"] == "hex" else b64encode(code).decode()
    wanted = (request.get("prefix") or "") + written
    check(hmac.compare_digest(header(request, request["header"]), wanted), "the code does not match")


SCHEMES = {
    "standard": {"standardwebhooks": standardwebhooks, "svix": svix_webhooks},
    "standard-asymmetric": {"cryptography": ed25519},
    "stripe": {"stripe": stripe_signature},
    "jwt": {"PyJWT": pyjwt},
    "sns": {"aws-sns-message-validator": sns},
    "http-message-signatures": {"http-message-signatures": http_message_signatures},
    "hmac": {"hmac": plain_hmac},
}

warnings.simplefilter("ignore")
for line in sys.stdin:
    request = json.loads(line)
    for library, verify in SCHEMES.get(request["scheme"], {}).items():
        try:
            verify(request)
        except Exception as error:
            print(json.dumps({"library": library, "verified": False, "error": repr(error)}), flush=True)
        else:
            print(json.dumps({"library": library, "verified": True}), flush=True)
