# setup.sh - sourced by start and check, in the clone's top folder: installs the
# Debian packages that are missing.

# missing_packages GROUP... - those of packages/debian.txt that are not there.
missing_packages()
{
    local groups=" $* " group package installed
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Provides}\n' \
        | sed -n 's/^ii //p' | sed 's/([^)]*)//g' | tr -s ', ' '\n\n')
    while read -r group package; do
        case $groups in
        *" $group "*)
            grep -qxF -e "$package" <<<"$installed" || echo "$package"
            ;;
        esac
    done < <(grep -E '^[a-z]' packages/debian.txt)
}

# install_packages COMMAND GROUP... - for COMMAND, which is named in messages.
install_packages()
{
    local command=$1 packages
    shift
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null
    then
        # Elsewhere than Debian: whoever has the tools may go on.
        if [ "${WEIR_PACKAGES-}" = present ]; then
            return
        fi
        printf '%s\n' \
            "This is not Debian.  Please install what these packages hold:" \
            "$(packages_of "$@" | sed 's/^/    /')" \
            "and run again as:  WEIR_PACKAGES=present $command"
        exit 1
    fi
    packages=$(missing_packages "$@" | tr '\n' ' ')
    if [ -z "$packages" ]; then
        return
    fi
    echo "apt-get install --no-install-recommends $packages"
    if [ "$(id -u)" != 0 ]; then
        echo "These packages are missing.  Install them by the line above, or" \
            "run:  sudo $command"
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    # The lists of a new machine may be empty or old.
    apt-get -qq update </dev/null \
        && apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends $packages </dev/null \
        || { echo "apt-get failed; see above." >&2; exit 1; }
}

packages_of()
{
    local groups=" $* " group package
    while read -r group package; do
        case $groups in
        *" $group "*) echo "$package" ;;
        esac
    done < <(grep -E '^[a-z]' packages/debian.txt)
}
