# The wheels that PyPI has for CPython 3.13 on Linux, as AWS's documentation tells users to fetch them.
python3 -m pip install --quiet --target "$STAGE" --only-binary=:all: --implementation cp --python-version 3.13 \
    --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --no-deps -r requirements.txt
find "$STAGE" -name __pycache__ -prune -exec rm -rf {} +
cp app.py "$STAGE/"
