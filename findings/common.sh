# What every finding needs: a temporary folder that goes away, pinned packages in it, and one comparison at the end.
# Sourced by the scripts beside it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# Installs Python packages into an environment of their own: python_packages NAME==VERSION...
python_packages() {
    python3 -m venv environment
    environment/bin/python -m pip --quiet --disable-pip-version-check install "$@"
    echo "with $*, Python $(environment/bin/python -c 'import platform; print(platform.python_version())')"
}

# Runs a Python program from the standard input.
python() {
    environment/bin/python -
}

# Installs npm packages: node_packages NAME@VERSION...
node_packages() {
    echo '{"private": true}' >package.json
    npm install --loglevel=error --no-audit --no-fund "$@" >/dev/null
    echo "with $*, Node $(node --version)"
}

# Fetches Go packages for the program in main.go: go_packages PACKAGE@VERSION...
go_packages() {
    go mod init finding 2>/dev/null
    go get "$@" 2>/dev/null
    echo "with $*, $(go env GOVERSION)"
}

# Fetches jars, and those they need, into the folder jars: java_packages GROUP:ARTIFACT:VERSION...
java_packages() {
    local package group artifact version
    echo '<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version>' >pom.xml
    echo '<dependencies>' >>pom.xml
    for package in "$@"; do
        IFS=: read -r group artifact version <<<"$package"
        echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
    done >>pom.xml
    echo '</dependencies></project>' >>pom.xml
    mvn --quiet --batch-mode -Dstyle.color=never dependency:copy-dependencies -DoutputDirectory=jars >&2
    echo "with $*, Java $(java -version 2>&1 | sed -n '1s/.*"\(.*\)".*/\1/p')"
}

# Shows that the way of looking is right, on something that the software reads well: reads_well EXPECTED SEEN
reads_well() {
    if [[ "$2" != "$1" ]]; then
        printf 'the control differs. Expected: %s\nSeen: %s\n' "$1" "$2" >&2
        exit 1
    fi
}

# Compares what was seen with what this finding says: seen_as_before EXPECTED-BY-THE-FORMAT SEEN-WHEN-FOUND SEEN-NOW
seen_as_before() {
    printf 'the format says: %s\nseen:            %s\n' "$1" "$3"
    if [[ "$3" == "$1" ]]; then
        echo "mended since: the finding no longer holds" >&2
        exit 1
    elif [[ "$3" != "$2" ]]; then
        printf 'changed since. It was: %s\n' "$2" >&2
        exit 1
    fi
    echo "still so"
}
