# shellcheck shell=bash disable=SC2154  # what the caller sets
# What the scripts of this folder share: a plain Debian in a folder, commands run in it, a display to see its windows on.
# The caller sets: suite, Debian's name; out, where logs and pictures go; data, where the window's documents are.
name=${0##*/} xvfb='' inside=''

fail() {
    echo "$name: $*" >&2
    exit 1
}

say() {
    echo "$name: $(date +%T) $*"
}

needs() {
    local tool
    for tool in mmdebstrap "$@"; do
        command -v "$tool" >/dev/null || fail "$tool is missing: on this machine, mmdebstrap xvfb xdotool imagemagick git rsync are needed."
    done
    [[ $(id -u) == 0 ]] || fail "a chroot is made as root: run this with sudo."
}

# unshare ignores milder signals; what runs inside dies with it.
clean() {
    [[ -z $inside ]] || kill -KILL "$inside" 2>/dev/null || true
    [[ -z $xvfb ]] || kill "$xvfb" 2>/dev/null || true
    wait 2>/dev/null
    [[ -n ${CARREL_CHROOT:-} ]] || rm -rf --one-file-system "$root"
}

# CARREL_CHROOT: the root folder to use; kept afterwards, and reused when it is there. Otherwise a temporary one, removed.
choose_root() {
    root=${CARREL_CHROOT:-$(mktemp -d /var/tmp/carrel-chroot.XXXXXX)}
    trap clean EXIT
}

# This machine's way to Debian's packages, asked for the suite instead of its own; mmdebstrap's own where it has none.
sources() {
    # shellcheck source=/dev/null
    local here file; here=$(. /etc/os-release && echo "$VERSION_CODENAME")
    while read -r file; do
        sed "s/\b$here\b/$suite/g" "$file" >"$out/${file##*/}"
        echo "$out/${file##*/}"
    done < <(find /etc/apt -maxdepth 2 \( -name '*.sources' -o -name '*.list' \) -exec grep -lE "^(deb |Suites:).*\b$here\b" {} +)
}

make_root() {
    [[ ! -x $root/usr/bin/apt-get ]] || return 0
    say "a plain $suite in $root"
    local options=() file from=()
    for file in /etc/apt/apt.conf.d/*; do
        grep -q '^Acquire::' "$file" && options+=("--aptopt=$file")
    done
    mapfile -t from < <(sources)
    mmdebstrap --quiet --variant=minbase "${options[@]}" "$suite" "$root" "${from[@]}"
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf; do
        [[ ! -f $file ]] || cp -L "$file" "$root$file"
    done
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp -rL /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
}

# A process and mount name space of its own: when it ends, so does everything that was started or mounted in it.
# BIND: a folder that is seen inside under the same name.
in_root() {
    local settings=()
    mapfile -t settings < <(env | grep -iE '^((https?|all|no)_proxy|PIP_(CERT|INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|PROXY|DEFAULT_TIMEOUT)|SSL_CERT_(FILE|DIR))=' || true)
    # shellcheck disable=SC2016  # expanded inside
    exec unshare --mount --pid --fork --kill-child -- env -i "${settings[@]}" HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        DISPLAY="${DISPLAY:-}" ROOT="$root" BIND="${BIND:-/tmp/.X11-unix}" bash -c '
        mount --rbind /dev "$ROOT/dev" && mount -t proc proc "$ROOT/proc" && mount -t sysfs sys "$ROOT/sys" || exit 1
        for folder in /tmp/.X11-unix "$BIND"; do
            mkdir -p "$ROOT$folder"
            [[ ! -d $folder ]] || mount --bind "$folder" "$ROOT$folder" || exit 1
        done
        exec chroot "$ROOT" "$@"' -- "$@"
}

start_display() {
    local pipe
    pipe=$(mktemp -u)
    mkfifo "$pipe"
    Xvfb -displayfd 3 -screen 0 1500x950x24 -nolisten tcp 3<>"$pipe" >"$out/xvfb.log" 2>&1 &
    xvfb=$!
    read -r number <"$pipe"
    rm "$pipe"
    export DISPLAY=":$number"
}

# Waits until a command succeeds, what runs inside is gone, or the seconds are over.
wait_for() {
    local seconds=$1
    for ((; seconds > 0; seconds--)); do
        "${@:2}" && return
        kill -0 "$inside" 2>/dev/null || fail "the window is gone: $out/inside.log says why."
        sleep 1
    done
    import -window root "$out/stuck.png"
    fail "waited in vain for: ${*:2}; $out/stuck.png shows the window."
}

window_is_open() {
    xdotool search --onlyvisible --class carrel >/dev/null 2>&1
}

# Whether that many turns have ended, after the library at $data (state 4: done; larger: it ended otherwise); the last one's
# words to $out/answer.txt. What is on the screen is for people to judge.
answered() {
    python3 - "$data/library.sqlite" "$1" >"$out/answer.txt" <<'PY'
import sqlite3, sys
try:
    with sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True) as library:
        turn = library.execute("SELECT id, state, question, answer, reason, pages_read, pages_total FROM turns ORDER BY id DESC").fetchone()
        places = library.execute("SELECT page, share, quote FROM sources WHERE turn = ? ORDER BY rank", turn[:1]).fetchall() if turn else []
except sqlite3.Error:
    turn = None
if not turn or turn[0] < int(sys.argv[2]) or turn[1] < 4:
    sys.exit(1)
print(f"state {turn[1]} {turn[4]}\nQ: {turn[2]}\nA: {turn[3]}\nread {turn[5]} of {turn[6]} pages")
for page, share, quote in places:
    print(f"p. {page} ({share:.2f}): {quote}")
PY
}
