"""Writes a .zip archive like a large Node or Python package: some 28,000 files, 73 MB, always the same.

Usage: make_zip.py FILE
"""

import random
import sys
import zipfile

FILES = 28_000
UNZIPPED_BYTES = 236_000_000
#: Shares of each file, chosen so that deflate leaves 73 MB.
NOISE = 0.02
REPEATED = 0.33


def main(path: str) -> None:
    """Writes the archive to path."""
    chance = random.Random(28_665)
    words = ["".join(chance.choices("etaoinshrdlucmfwypvbgkjqxz_", k=chance.randint(2, 9))) for _ in range(1500)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    marks = [" ", " ", " ", "(", ");\n", " = ", ".", ", ", "\n    "]
    pool = "".join(w + chance.choice(marks) for w in chance.choices(words, weights, k=900_000)).encode()
    noise = chance.randbytes(1 << 22)

    sizes = [int(chance.lognormvariate(7.3, 1.6)) + 1 for _ in range(FILES - 12)]
    # What is left of the sum is in a few native libraries.
    rest = UNZIPPED_BYTES - sum(sizes)
    sizes += [rest // 24] * 8 + [rest // 6] * 4
    chance.shuffle(sizes)

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for number, size in enumerate(sizes):
            parts, left = [], size
            while left > 0:
                source = noise if chance.random() < NOISE else pool
                start = chance.randrange(len(source) - 4096)
                part = source[start : start + min(left, chance.randint(200, 4000))]
                if parts and chance.random() < REPEATED:
                    part = parts[-1][:left]
                parts.append(part)
                left -= len(part)
            name = f"node_modules/package-{number % 300}/lib/part-{number % 4}/module-{number}.js"
            info = zipfile.ZipInfo(name, (2025, 1 + number % 12, 1 + number % 28, 12, 0, 0))
            info.external_attr = 0o100644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, b"".join(parts))


if __name__ == "__main__":
    main(sys.argv[1])
