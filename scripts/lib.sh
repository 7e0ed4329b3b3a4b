# Shared by the scripts here: paths, words to the user, packages. Source it, do not run it.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
top=$PWD
# Not the first python3 of the PATH: the Debian packages belong to the system's own.
python=/usr/bin/python3

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' plain=$'\e[0m'
else
    bold='' green='' red='' dim='' plain=''
fi

die() {
    printf '%s%s: %s%s\n' "$red" "$(basename "$0")" "$*" "$plain" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root: $*"
    fi
}

# need_packages LIST...: installs what is missing of scripts/packages/LIST. No call to apt else.
need_packages() {
    local wanted missing
    mapfile -t wanted < <(cd scripts/packages && cat "$@")
    mapfile -t missing < <(
        { dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null || true; } |
            sed -n 's/^installed //p' | sort -u |
            comm -13 - <(printf '%s\n' "${wanted[@]}" | sort -u)
    )
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "not a Debian; please install: ${missing[*]}"
    echo "Installing Debian packages: ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive sh -c '
        log=$(mktemp) &&
        { apt-get -q update && apt-get -q -y --no-install-recommends install "$@"; } >"$log" 2>&1 ||
        { tail -n 30 "$log" >&2; exit 1; }' apt "${missing[@]}"
}

# The service as root runs its processes under users of their own. Packages create them; so do we.
need_role_users() {
    local user missing=
    for user in oxvault oxvault-fe oxvault-token; do
        getent passwd "$user" >/dev/null || missing=yes
    done
    [ -n "$missing" ] || return 0
    echo "Creating the role users oxvault, oxvault-fe, oxvault-token"
    if command -v systemd-sysusers >/dev/null; then
        as_root systemd-sysusers "$top/packaging/sysusers.d/oxvault.conf"
        return
    fi
    for user in oxvault oxvault-fe oxvault-token; do
        getent passwd "$user" >/dev/null ||
            as_root useradd --system --user-group --no-create-home --home-dir /nonexistent \
                --shell /usr/sbin/nologin "$user"
    done
    for user in oxvault-admin oxvault-audit; do
        getent group "$user" >/dev/null || as_root groupadd --system "$user"
    done
}

# configure DIR OPTION...: runs CMake only where the options are not those of the last time.
configure() {
    local dir=$1 stamp
    shift
    stamp="$*"
    if [ "$(cat "$dir/.oxv-configured" 2>/dev/null)" != "$stamp" ] || [ ! -f "$dir/build.ninja" ]; then
        mkdir -p "$dir"
        cmake -G Ninja -S "$top" -B "$dir" "$@"
        printf '%s' "$stamp" >"$dir/.oxv-configured"
    fi
}
