# Prepares requirements/$2-$1.txt ($2: clients, or peers to measure against) in an environment apart. Run from the root by make.
set -eu
place=.venv/$2/$1
if [ -x .venv/bin/uv ]; then
    .venv/bin/uv venv -q --clear --python .venv/bin/python "$place"
    .venv/bin/uv pip install -q --python "$place/bin/python" --compile-bytecode --require-hashes -r "requirements/$2-$1.txt"
else
    .venv/bin/python -m venv --clear "$place"
    "$place/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "requirements/$2-$1.txt"
fi
# What registries give as torch brings gigabytes for graphics processors. So it is taken only from a folder that pip is told of
# (find-links) and that has a build for ordinary processors; tests that load weights say so if it is not there.
if [ "$1" = transformers ]; then
    .venv/bin/python -m pip --python "$place/bin/python" install -q --disable-pip-version-check --no-index --no-deps torch==2.13.0 ||
        echo "torch 2.13.0 lies in no folder that pip is told of (find-links): tests that load weights will be skipped"
fi
