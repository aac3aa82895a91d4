#!/usr/bin/env bash
# Builds the documentation's site from docs/ and the public headers into build/site/. A warning is an error.
# usage: scripts/site.sh [output folder]     exit status 77: what it needs is not installed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
output=${1:-build/site}
python=
for candidate in "${PYTHON:-python3}" /usr/bin/python3; do
    if "$candidate" -c 'import sphinx, myst_parser, furo' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "scripts/site.sh: needs Sphinx with MyST and the theme Furo. Hint: apt-get install python3-sphinx" \
         "python3-myst-parser furo, or pip install sphinx myst-parser furo" >&2
    exit 77
fi
"$python" scripts/reference.py docs/reference
"$python" -m sphinx -q -W --keep-going -b html -d "$output/.doctrees" docs "$output"
echo "The site: $output/index.html"
