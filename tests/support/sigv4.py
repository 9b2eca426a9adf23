"""Signature Version 4, written from AWS's description of it, so that each part of a request can be made wrong on its own."""

import datetime
import hashlib
import hmac
import urllib.parse

UNSIGNED = "UNSIGNED-PAYLOAD"


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _key(secret, date, region, service):
    return _hmac(_hmac(_hmac(_hmac(b"AWS4" + secret.encode(), date), region), service), "aws4_request")


def _quote(text, safe="-_.~"):
    return urllib.parse.quote(text, safe=safe)


def _canonical(method, path, query, headers, payload_hash):
    # Every service but S3 signs the path encoded once more.
    pairs = sorted((_quote(key), _quote(value)) for key, value in urllib.parse.parse_qsl(query, keep_blank_values=True))
    names = sorted(headers)
    return "\n".join([method, _quote(path, "/-_.~"), "&".join(f"{key}={value}" for key, value in pairs),
                      *[f"{name}:{' '.join(headers[name].split())}" for name in names], "", ";".join(names), payload_hash])


def sign(server, method, path, body=b"", *, service="lambda", region=None, key="test", secret="test", headers=None, when=None,
         payload_hash=None, token=None):
    """The headers of a signed request: those given, and `host`, `x-amz-date`, `authorization` …"""
    when = when or datetime.datetime.now(datetime.timezone.utc)
    region = region or server.region
    stamp, date = when.strftime("%Y%m%dT%H%M%SZ"), when.strftime("%Y%m%d")
    body = body.encode() if isinstance(body, str) else body
    path, _, query = path.partition("?")
    signed = {name.lower(): value for name, value in (headers or {}).items()}
    signed["host"] = signed.get("host", f"127.0.0.1:{server.port}")
    signed["x-amz-date"] = stamp
    if token:
        signed["x-amz-security-token"] = token
    if payload_hash:
        signed["x-amz-content-sha256"] = payload_hash
    digest = payload_hash or hashlib.sha256(body).hexdigest()
    scope = f"{date}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                      hashlib.sha256(_canonical(method, path, query, signed, digest).encode()).hexdigest()])
    signature = hmac.new(_key(secret, date, region, service), text.encode(), hashlib.sha256).hexdigest()
    signed["authorization"] = (f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={';'.join(sorted(signed))}, "
                               f"Signature={signature}")
    return signed


def request(server, method, path, body=b"", *, send_body=None, send_headers=None, **how):
    """Signs and sends one request: status, headers and body. `send_body` and `send_headers` are what is sent instead of, or
    beside, what was signed."""
    headers = {**sign(server, method, path, body, **how), **(send_headers or {})}
    return server.request(method, path, body if send_body is None else send_body, headers)


def presign(server, method, path, *, service="lambda", region=None, key="test", secret="test", when=None, expires=300, host=None):
    """The path and query of a presigned request."""
    when = when or datetime.datetime.now(datetime.timezone.utc)
    region = region or server.region
    stamp, date = when.strftime("%Y%m%dT%H%M%SZ"), when.strftime("%Y%m%d")
    scope = f"{date}/{region}/{service}/aws4_request"
    path, _, query = path.partition("?")
    added = urllib.parse.urlencode({"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{key}/{scope}", "X-Amz-Date": stamp,
                                    "X-Amz-Expires": str(expires), "X-Amz-SignedHeaders": "host"}, quote_via=urllib.parse.quote)
    query = f"{query}&{added}" if query else added
    canonical = _canonical(method, path, query, {"host": host or f"127.0.0.1:{server.port}"}, hashlib.sha256(b"").hexdigest())
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(_key(secret, date, region, service), text.encode(), hashlib.sha256).hexdigest()
    return f"{path}?{query}&X-Amz-Signature={signature}"
