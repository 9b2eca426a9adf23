"""Fetches one file of a package registry, checked against the registry's own digest.

    fetch.py npm NAME@VERSION FILE
    fetch.py maven GROUP:ARTIFACT:VERSION FILE

Uses this machine's settings: proxies and certificates from the environment, npm's registry from its environment variable
or .npmrc, Maven's mirror from settings.xml.
"""

import base64
import hashlib
import json
import os
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree


def get(url):
    context = ssl.create_default_context()
    for name in ("NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"):
        if os.path.isfile(os.environ.get(name, "")):
            context.load_verify_locations(os.environ[name])
    last = None
    for _ in range(3):
        try:
            with urllib.request.urlopen(url, timeout=60, context=context) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            if error.code < 500:
                sys.exit(f"{url}: {error}")
            last = error
        except OSError as error:
            last = error
    sys.exit(f"{url}: {last}")


def npm_registry():
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if os.environ.get(name):
            return os.environ[name]
    for path in (os.environ.get("NPM_CONFIG_USERCONFIG"), os.path.expanduser("~/.npmrc"), "/etc/npmrc"):
        if path and os.path.isfile(path):
            for line in open(path, encoding="utf-8"):
                key, _, value = line.partition("=")
                if key.strip() == "registry" and value.strip():
                    return value.strip()
    return "https://registry.npmjs.org"


def npm(package):
    name, _, version = package.rpartition("@")
    described = json.loads(get(f"{npm_registry().rstrip('/')}/{urllib.parse.quote(name, safe='@')}/{version}"))
    content = get(described["dist"]["tarball"])
    algorithm, _, wanted = described["dist"]["integrity"].split()[0].partition("-")
    if hashlib.new(algorithm, content).digest() != base64.b64decode(wanted):
        sys.exit(f"{package}: its content is not what the registry says it is")
    return content


def maven_repository():
    path = os.path.expanduser("~/.m2/settings.xml")
    if os.path.isfile(path):
        for element in xml.etree.ElementTree.parse(path).iter():
            if element.tag.rpartition("}")[2] == "mirror":
                fields = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in element}
                if fields.get("url") and fields.get("mirrorOf", "*") in ("*", "central", "external:*"):
                    return fields["url"]
    return "https://repo.maven.apache.org/maven2"


def maven(package):
    group, artifact, version = package.split(":")
    url = f"{maven_repository().rstrip('/')}/{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}.jar"
    content = get(url)
    if hashlib.sha1(content).hexdigest() != get(url + ".sha1").decode().split()[0]:
        sys.exit(f"{package}: its content is not what the repository says it is")
    return content


if __name__ == "__main__":
    kind, package, target = sys.argv[1:]
    with open(target, "wb") as file:
        file.write({"npm": npm, "maven": maven}[kind](package))
