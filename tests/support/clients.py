"""Real AWS clients, pointed at a test server: boto3 without retries, and the AWS CLI."""

import json
import os
import subprocess
import sys

import boto3
from botocore.config import Config

from .server import clean_environment

DEFAULT_ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{DEFAULT_ACCOUNT}:role/any"


def client(server, service="lambda", key="test", secret="test", region=None, validate=True, pool=64, read_timeout=120):
    """A boto3 client that asks once."""
    session = boto3.Session(aws_access_key_id=key, aws_secret_access_key=secret, region_name=region or server.region)
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=validate, max_pool_connections=pool,
                    connect_timeout=10, read_timeout=read_timeout)
    return session.client(service, endpoint_url=server.url, config=config)


def cli_environment(server, key="test", secret="test"):
    """The environment that users give the AWS CLI, and nothing else of AWS's."""
    return clean_environment(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret, AWS_DEFAULT_REGION=server.region,
                             AWS_ENDPOINT_URL=server.url, AWS_PAGER="", AWS_MAX_ATTEMPTS="1", AWS_CONFIG_FILE=os.devnull,
                             AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true")


class CliError(Exception):
    """The AWS CLI ended with an error."""

    def __init__(self, code, text):
        super().__init__(f"exit status {code}: {text}")
        self.code, self.text = code, text


def aws(server, *arguments, timeout=120, prefix=(), **credentials):
    """Runs the AWS CLI; returns its JSON output, or None when there is none."""
    command = [*prefix, os.path.join(os.path.dirname(sys.executable), "aws"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=cli_environment(server, **credentials),
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise CliError(done.returncode, done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else None
