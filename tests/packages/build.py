"""Builds the real deployment packages that the end-to-end tests and the benchmarks upload.

    python tests/packages/build.py            every package
    python tests/packages/build.py NAME …     those

A recipe is a folder beside this file with a `build.sh`, which fills the directory `$STAGE`; what is in it becomes the
.zip. The result is kept under `.cache/packages`, named by the digest of the recipe's files, so that nothing is built
twice and a changed recipe never yields an old package. The archive is deterministic: sorted names, one fixed time.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

RECIPES = pathlib.Path(__file__).resolve().parent
REPOSITORY = RECIPES.parent.parent
CACHE = pathlib.Path(os.environ.get("BOJAGI_TEST_CACHE", REPOSITORY / ".cache")) / "packages"

# Raised when this file changes what a stage becomes.
FORMAT = b"1"


def names():
    """Every recipe's name."""
    return sorted(path.parent.name for path in RECIPES.glob("*/build.sh"))


def digest(recipe):
    """The digest of a recipe's files: names and contents."""
    sha = hashlib.sha256(FORMAT)
    for path in sorted(recipe.rglob("*")):
        if path.is_file():
            sha.update(str(path.relative_to(recipe)).encode() + b"\0" + path.read_bytes() + b"\0")
    return sha.hexdigest()[:16]


def write_zip(stage, out, level=6):
    """Writes the tree under `stage` as a .zip: sorted, with Unix modes and symbolic links, at one fixed time."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for path in sorted(stage.rglob("*")):
            name = path.relative_to(stage).as_posix()
            mode = path.lstat().st_mode
            info = zipfile.ZipInfo(name + ("/" if path.is_dir() and not path.is_symlink() else ""))
            info.date_time = (2026, 1, 1, 0, 0, 0)
            info.create_system = 3
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            if path.is_symlink():
                archive.writestr(info, os.readlink(path))
            elif path.is_dir():
                archive.writestr(info, b"")
            else:
                archive.writestr(info, path.read_bytes(), compresslevel=level)


def build(name):
    """The path of the named package's .zip, which is built now unless its recipe was built before."""
    recipe = RECIPES / name
    if not (recipe / "build.sh").exists():
        raise SystemExit(f"no such package: {name} (there are {', '.join(names())})")
    out = CACHE / f"{name}-{digest(recipe)}.zip"
    if out.exists():
        return out
    CACHE.mkdir(parents=True, exist_ok=True)
    work = CACHE / "work" / name
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        stage = pathlib.Path(temporary) / "stage"
        stage.mkdir()
        environment = dict(os.environ, RECIPE=str(recipe), STAGE=str(stage), WORK=str(work))
        shutil.copytree(recipe, work, dirs_exist_ok=True)
        log = CACHE / f"{name}.log"
        with open(log, "wb") as sink:
            done = subprocess.run(["bash", "-euo", "pipefail", "build.sh"], cwd=work, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=sink, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            tail = log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"package {name}: build.sh ended with {done.returncode}, its log {log} ends:\n{tail}")
        partial = pathlib.Path(temporary) / "package.zip"
        write_zip(stage, partial)
        os.replace(partial, out)
    return out


if __name__ == "__main__":
    for each in sys.argv[1:] or names():
        print(build(each))
