# Prepares the client libraries of requirements/clients-$1.txt in an environment of their own. Run from the project's root by make.
set -eu
place=.venv/clients/$1
if [ -x .venv/bin/uv ]; then
    .venv/bin/uv venv -q --clear --python .venv/bin/python "$place"
    .venv/bin/uv pip install -q --python "$place/bin/python" --compile-bytecode --require-hashes -r "requirements/clients-$1.txt"
else
    .venv/bin/python -m venv --clear "$place"
    "$place/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "requirements/clients-$1.txt"
fi
