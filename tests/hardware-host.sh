#!/bin/bash
# Runs programs on an emulated machine whose KVM is hardware KVM.
#
# QEMU's TCG emulates AMD SVM with nested paging, so a stock Debian kernel inside it has a real kvm-amd: native
# ring 0, real exits, nested page tables. What is correct there and on this machine's own KVM is correct on both
# kinds of host. Its times mean nothing.
#
# usage: tests/hardware-host.sh [OPTION]... PROGRAM [ARGUMENT]... [+ PROGRAM [ARGUMENT]...]...
#        tests/hardware-host.sh [OPTION]...    builds this workspace's tests that boot guests, and runs them on two
#
#   --with PATH         also take this file, program or directory along
#   --env NAME=VALUE    set this for every program
#   --memory MIB        the machine's memory (default 2048)
#   --timeout SECONDS   for the whole machine, start to power-off (default 900)
#
# Programs, their shared libraries and everything taken along lie at the same absolute paths inside as outside.
# Prints the machine's console. Exits with 0 only if every program ran and exited with 0: the machine reports exit
# codes on a serial port of its own, so that neither a crash nor anything a program prints can pass for success.
#
# Needs Debian. What is missing is fetched: QEMU with apt-get install (as root), the kernel and busybox into
# target/hardware-host, without installing them.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${CARGO_TARGET_DIR:-$repository/target}/hardware-host
memory=2048
timeout=900
take=()
environment=()

fail() {
    echo "hardware-host: $*" >&2
    exit 1
}

# Prints its argument quoted for a shell.
quote() {
    printf "'%s'" "${1//\'/\'\\\'\'}"
}

# Runs apt-get quietly; on failure refreshes the package lists (as root) and tries once more.
apt() {
    local log=$cache/apt.log
    if apt-get "$@" >"$log" 2>&1; then return; fi
    if [ "$(id -u)" = 0 ] && apt-get update >>"$log" 2>&1 && apt-get "$@" >>"$log" 2>&1; then return; fi
    tail -n 5 "$log" >&2
    fail "apt-get $* failed: is there a network, and are the package lists fresh (apt-get update)?"
}

# Sees to it that QEMU, the kernel and busybox are there. Sets `debian`, `busybox`, `kernel_release`.
obtain() {
    debian=$cache/debian
    mkdir -p "$cache"
    if ! command -v qemu-system-x86_64 >/dev/null; then
        command -v apt-get >/dev/null || fail "qemu-system-x86_64 is not installed, and this is not Debian"
        [ "$(id -u)" = 0 ] || fail "qemu-system-x86_64 is not installed: apt-get install qemu-system-x86"
        echo "hardware-host: installing qemu-system-x86"
        DEBIAN_FRONTEND=noninteractive apt install -y --no-install-recommends qemu-system-x86
    fi
    (
        flock 9
        if [ ! -e "$debian/complete" ]; then
            command -v apt-get >/dev/null || fail "the kernel comes from Debian's archive, and this is not Debian"
            echo "hardware-host: fetching a Debian kernel and busybox"
            fetch
        fi
    ) 9>"$cache/lock"
    busybox=$debian/bin/busybox
    [ -e "$busybox" ] || busybox=$debian/usr/bin/busybox
    kernel_release=$(basename "$debian"/boot/vmlinuz-*)
    kernel_release=${kernel_release#vmlinuz-}
}

# Unpacks the newest cloud kernel and a static busybox into `debian`, whole or not at all.
fetch() {
    local partial=$cache/debian.partial kernel package
    rm -rf "$partial" "$debian"
    mkdir -p "$partial/packages"
    kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
    if [ -z "$kernel" ]; then
        apt update
        kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
    fi
    [ -n "$kernel" ] || fail "Debian's archive has no linux-image-cloud-amd64"
    for package in "$kernel" busybox-static; do
        (cd "$partial/packages" && apt download "$package")
    done
    for package in "$partial"/packages/*.deb; do
        dpkg-deb -x "$package" "$partial"
    done
    rm -r "$partial/packages"
    touch "$partial/complete"
    mv "$partial" "$debian"
}

# Copies a file or directory into the machine's root, at its own absolute path.
carry() {
    local path
    path=$(realpath -s "$1")
    [ -e "$path" ] || fail "$1: no such file"
    mkdir -p "$root$(dirname "$path")"
    cp -rL "$path" "$root$(dirname "$path")"
}

# Copies a program and the shared libraries it is linked with. Debugging sections stay behind: the machine's
# memory holds all of it.
carry_program() {
    local path library
    path=$(realpath -s "$1")
    [ -x "$path" ] || fail "$1: not an executable file"
    carry "$path"
    if command -v strip >/dev/null; then strip --strip-debug "$root$path" 2>/dev/null || true; fi
    while read -r library; do
        if [ ! -e "$root$library" ]; then carry "$library"; fi
    done < <(ldd "$path" 2>/dev/null | sed -n 's/.*[[:space:]]\(\/[^ ]*\) (0x.*/\1/p')
}

# Fills `root` with busybox and the KVM modules.
build_system() {
    local module
    mkdir -p "$root"/{bin,proc,sys,dev,tmp,run,.system}
    cp "$busybox" "$root/.system/busybox"
    while read -r module; do
        mkdir -p "$root/$(dirname "$module")"
        cp "$debian/$module" "$root/$module"
        case $module in *.xz) xz -d "$root/$module" ;; esac
    done < <(cd "$debian" && find ./lib/modules ./usr/lib/modules \
        \( -path '*/arch/x86/kvm/*' -o -name 'irqbypass.ko*' -o -path '*/crypto/ccp/ccp.ko*' \) -type f 2>/dev/null)
    if [ ! -e "$root/lib" ]; then ln -s usr/lib "$root/lib"; fi
    "$busybox" depmod -b "$root" "$kernel_release"
}

# Writes the machine's /init: bring the system up, run the programs of `programs`, report, power off.
build_init() {
    {
        cat <<'INIT'
#!/.system/busybox sh
/.system/busybox --install -s /.system
export PATH=/.system HOME=/tmp TMPDIR=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ip link set lo up
# The report has a serial port of its own. Closing it waits until all is sent.
report() { echo "$*" >/dev/ttyS1; }
end() { report "$*"; poweroff -f; }
modprobe kvm-amd npt=1 || end "no kvm-amd"
[ "$(cat /sys/module/kvm_amd/parameters/npt)" = Y ] || end "no nested paging"
[ -c /dev/kvm ] || end "no /dev/kvm"
ran=0
passed=0
run() {
    echo "hardware-host: running $*"
    "$@" </dev/null
    code=$?
    ran=$((ran + 1))
    if [ $code = 0 ]; then passed=$((passed + 1)); fi
    report "exit $code: $*"
}
INIT
        local variable
        for variable in "${environment[@]}"; do
            echo "export $(quote "$variable")"
        done
        cat "$work/programs" - <<'INIT'
end "ran $ran, passed $passed"
INIT
    } >"$root/init"
    chmod +x "$root/init"
}

# Writes a `run` line for each program of the command line, and carries the program itself.
add_programs() {
    local word line='' program=''
    for word in "$@" +; do
        if [ "$word" = + ]; then
            [ -n "$program" ] || fail "a program is missing before or after '+'"
            echo "run$line" >>"$work/programs"
            line='' program=''
            continue
        fi
        if [ -z "$program" ]; then
            program=$(type -P "$word") || fail "$word: no such program"
            carry_program "$program"
            word=$(realpath -s "$program")
            count=$((count + 1))
        fi
        line+=" $(quote "$word")"
    done
}

# Builds this workspace's tests that boot guests, the binaries they start, and the guests, as `cargo test --workspace`
# builds them, and runs them on two machines at once: one emulates its processors on one of ours. Three tests stay out:
# one tests that cargo builds a guest, and two do work for as long as a real machine needs for it.
run_workspace_tests() {
    local artifacts it others=() options=() one=() other=() word status=0
    # About half of the work: these modules of `it` on one machine; the others, and all else, on the other.
    local half=(block:: mutations:: net:: overwrite:: queues:: vsock::)
    local out=(--skip a_new_crate_runs_at_once --skip kills_lose_nothing_that_was_acknowledged
        --skip a_guest_gets_no_more_of_the_poller_than_its_share)
    artifacts=$(cd "$repository" && cargo test --workspace --no-run --message-format=json |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
    it=$(grep -E '/deps/it-[0-9a-f]+$' <<<"$artifacts") || fail "there are no tests to run"
    mapfile -t others < <(grep -E '/deps/(allocations|run|host)-[0-9a-f]+$' <<<"$artifacts")
    (cd "$repository" && cargo run -q -p trapless-tests --bin trapless-test-guests -- "$work/guests")
    options=(--memory "$memory" --timeout "$timeout" --with "$work/guests" --env "TRAPLESS_GUESTS=$work/guests")
    while read -r word; do
        options+=(--with "$word")
    done < <(grep -E '/(trapless|trapless-test-alone)$' <<<"$artifacts" | sort -u)
    for word in "${take[@]}"; do options+=(--with "$word"); done
    for word in "${environment[@]}"; do options+=(--env "$word"); done

    one=("$it" "${half[@]}" "${out[@]}")
    other=("$it" "${out[@]}")
    for word in "${half[@]}"; do other+=(--skip "$word"); done
    for word in "${others[@]}"; do other+=(+ "$word" "${out[@]}"); done
    "$0" "${options[@]}" "${one[@]}" >"$work/one" 2>&1 &
    local first=$!
    "$0" "${options[@]}" "${other[@]}" &
    wait $! || status=$?
    wait "$first" || status=$?
    cat "$work/one"
    return "$status"
}

# Boots the machine and waits for its end. Its console goes to our output, its report to a file. What QEMU says of
# processor features that TCG lacks is of no interest.
boot() {
    timeout --kill-after=5 "$timeout" qemu-system-x86_64 \
        -machine q35 -accel tcg,thread=single -cpu EPYC,+svm,+npt -smp 2 -m "$memory" \
        -nodefaults -no-user-config -display none -no-reboot -monitor none \
        -serial stdio -serial "file:$work/report" \
        -kernel "$debian/boot/vmlinuz-$kernel_release" -initrd "$work/initramfs" \
        -append 'console=ttyS0 quiet panic=-1 softlockup_panic=1 mitigations=off nokaslr' </dev/null \
        2> >(grep -v "TCG doesn't support requested feature" >&2) &
    wait $!
}

while [ $# -gt 0 ]; do
    case $1 in
    --with | --env | --memory | --timeout) [ $# -gt 1 ] || fail "$1 wants a value" ;;&
    --with) take+=("$2") && shift 2 ;;
    --env) environment+=("$2") && shift 2 ;;
    --memory) memory=$2 && shift 2 ;;
    --timeout) timeout=$2 && shift 2 ;;
    --help) sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit ;;
    --) shift && break ;;
    -*) fail "unknown option $1: see --help" ;;
    *) break ;;
    esac
done

obtain
work=$(mktemp -d "$cache/run.XXXXXX")
# What still runs is ended with this script: a machine, or the scripts that have one each.
trap 'jobs -pr | xargs -r kill 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
if [ $# = 0 ]; then
    run_workspace_tests
    exit
fi
root=$work/root
count=0
mkdir "$root"
build_system
add_programs "$@"
for path in "${take[@]}"; do
    if [ -f "$path" ] && [ -x "$path" ]; then carry_program "$path"; else carry "$path"; fi
done
build_init
(cd "$root" && find . | "$busybox" cpio -o -H newc --quiet) >"$work/initramfs" 2>/dev/null

status=0
boot || status=$?
touch "$work/report"
tr -d '\r' <"$work/report" | sed 's/^/hardware-host: /'
if [ $status = 124 ] || [ $status = 137 ]; then fail "the machine was still running after $timeout seconds"; fi
if [ $status != 0 ]; then fail "QEMU failed with $status"; fi
verdict=$(tr -d '\r' <"$work/report" | tail -n 1)
[ "$verdict" = "ran $count, passed $count" ] || fail "not all of $count programs passed"
