#!/usr/bin/env bash
# Sees to the programs that the Makefile needs and that cargo cannot bring.
#
#   deploy/prerequisites.sh NAME...     NAME is compiler, postgres, python or node
#
# What is there is left alone. What is missing is installed where that needs no question:
# with apt-get, as root or with a sudo that asks for no password. Everywhere else the script
# says in one line per system what to install, and fails.
set -euo pipefail

readonly OLDEST_POSTGRES=15 # as in src/store/embedded/binaries.rs
readonly PYTHON=${PYTHON:-python3}

say() {
    printf '%s\n' "$@" >&2
}

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
    command -v apt-get >/dev/null && as_root true 2>/dev/null
}

apt() {
    # No standard input and no front end: nothing here may wait for an answer.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

apt_install() {
    say "installing with apt-get: $*"
    # A new machine has no package lists. A stale third-party source must not stop us: what
    # counts is whether the package can be installed.
    apt update || say "apt-get update failed; going on with the lists that are here"
    apt install -y --no-install-recommends "$@" >&2
}

have_compiler() {
    command -v cc >/dev/null
}

# The same places in which the service looks: PATH, pg_config, then where packages put them.
have_postgres() {
    # Then an external server is used, or the service checks the directory by itself.
    [[ -z ${DATABASE_URL:-} && -z ${SAFELANE_PG_BIN_DIR:-} ]] || return 0
    local dirs dir version
    IFS=: read -ra dirs <<<"$PATH"
    shopt -s nullglob
    dirs+=(
        "$(pg_config --bindir 2>/dev/null || true)"
        /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* /usr/lib/postgresql*/bin
        /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /Library/PostgreSQL/*/bin
        /Applications/Postgres.app/Contents/Versions/*/bin /usr/local/pgsql*/bin
    )
    shopt -u nullglob
    for dir in "${dirs[@]}"; do
        [[ -n $dir && -f $dir/postgres && -f $dir/initdb && -f $dir/pg_ctl ]] || continue
        version=$("$dir/postgres" --version 2>/dev/null) || continue
        [[ $version =~ \(PostgreSQL\)\ ([0-9]+) ]] || continue
        ((BASH_REMATCH[1] < OLDEST_POSTGRES)) || return 0
    done
    return 1
}

# Debian's package makes and starts a server of its own unless it is told not to. We only want the
# programs. The setting goes away again, so that a later installation by hand does as usual.
install_postgres() {
    local setting=/etc/postgresql-common/createcluster.d/safelane-build.conf status=0
    as_root mkdir -p "${setting%/*}"
    as_root sh -c "echo 'create_main_cluster = false' > $setting"
    apt_install postgresql || status=$?
    as_root rm -f "$setting"
    return "$status"
}

have_python() {
    "$PYTHON" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

have_node() {
    command -v node >/dev/null && command -v npm >/dev/null
}

# need NAME INSTALL LINE...: the lines say what to do where we cannot.
need() {
    local name=$1 install=$2
    shift 2
    "have_$name" && return
    if can_install; then
        # The check after it decides: a package may be too old.
        $install || say "apt-get could not install it"
        "have_$name" && return
    fi
    say "$@"
    return 1
}

for name in "$@"; do
    case $name in
    compiler)
        need compiler 'apt_install gcc libc6-dev' \
            'No C compiler (cc) was found. Rust links with it. Install it:' \
            '  Debian, Ubuntu:  apt-get install gcc libc6-dev' \
            '  Fedora:          dnf install gcc' \
            '  Alpine:          apk add build-base' \
            '  macOS:           xcode-select --install'
        ;;
    postgres)
        need postgres install_postgres \
            "No server programs of PostgreSQL $OLDEST_POSTGRES or newer were found. Install them:" \
            '  Debian, Ubuntu:  apt-get update && apt-get install postgresql' \
            '  Fedora:          dnf install postgresql-server' \
            '  Alpine:          apk add postgresql17' \
            '  macOS:           brew install postgresql@17' \
            'or set DATABASE_URL to a server of your own: postgres://user:password@host/database'
        ;;
    python)
        need python 'apt_install python3 python3-venv' \
            "No Python 3.10 or newer with venv was found as $PYTHON. Install it, or set PYTHON to its path:" \
            '  Debian, Ubuntu:  apt-get update && apt-get install python3-venv' \
            '  Fedora:          dnf install python3' \
            '  Alpine:          apk add python3' \
            '  macOS:           brew install python3'
        ;;
    node)
        need node 'apt_install nodejs npm' \
            'No Node.js with npm was found. It brings buf, which checks proto/, and runs an example. Install it:' \
            '  Debian, Ubuntu:  apt-get update && apt-get install nodejs npm' \
            '  Fedora:          dnf install nodejs npm' \
            '  Alpine:          apk add nodejs npm' \
            '  macOS:           brew install node'
        ;;
    *)
        say "usage: deploy/prerequisites.sh compiler|postgres|python|node ..."
        exit 2
        ;;
    esac
done
