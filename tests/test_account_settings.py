"""GetAccountSettings: limits as in AWS's quotas, usage as it is."""

from support.clients import client
from support.functions import ECHO, create, fresh_name
from support.zips import package


def test_limits_and_usage_of_an_account(server):
    mine = client(server, key="333333333333")
    settings = mine.get_account_settings()
    # "Lambda quotas": 300 GB of code storage, 250 MB unzipped, 50 MB zipped, 1,000 concurrent executions.
    assert settings["AccountLimit"] == {
        "TotalCodeSize": 300 * 1024**3,
        "CodeSizeUnzipped": 262_144_000,
        "CodeSizeZipped": 52_428_800,
        "ConcurrentExecutions": 1000,
        "UnreservedConcurrentExecutions": 1000,
    }
    assert settings["AccountUsage"] == {"TotalCodeSize": 0, "FunctionCount": 0}
    archive = package({"app.py": ECHO})
    names = [create(mine, fresh_name(), zip_file=archive, wait=False, Role="arn:aws:iam::333333333333:role/any") for _ in range(2)]
    usage = mine.get_account_settings()["AccountUsage"]
    assert usage["FunctionCount"] == 2 and usage["TotalCodeSize"] > 0
    for name in names:
        mine.delete_function(FunctionName=name)
    assert mine.get_account_settings()["AccountUsage"] == {"TotalCodeSize": 0, "FunctionCount": 0}
