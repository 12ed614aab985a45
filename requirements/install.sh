# Installs requirements/$1.txt, hashes required, and this project itself, editable. Run from the project's root by make.
set -eu
if [ -x .venv/bin/uv ]; then
    install() { .venv/bin/uv pip install -q --python .venv/bin/python --compile-bytecode "$@"; }
else
    install() { .venv/bin/python -m pip install -q --disable-pip-version-check "$@"; }
fi
install --require-hashes -r requirements/build.txt -r "requirements/$1.txt"
install --no-deps --no-build-isolation -e .
.venv/bin/python -m compileall -q src || true
